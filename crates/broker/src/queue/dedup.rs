//! Which deduplication ids a FIFO queue has seen in the last five minutes, by the minute: what is over goes as a
//! whole, in memory and on disk.

use super::meta::DedupRow;
use millstream_types::Wall;
use millstream_types::queue::DeduplicationScope;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// How long an id is remembered, in milliseconds.
pub(crate) const WINDOW_MILLIS: u64 = 5 * 60 * 1000;
const MINUTE_MILLIS: u64 = 60 * 1000;

/// The ids of one queue.
#[derive(Debug, Default)]
pub(crate) struct Dedup {
    minutes: BTreeMap<u64, HashMap<u128, DedupRow>>,
}

/// The minute in which something was seen.
pub(crate) fn minute(at: Wall) -> u64 {
    at.0 / MINUTE_MILLIS
}

/// What an id is known by. 128 bits of a SHA-256: two different ids are not taken for one.
pub(crate) fn digest(scope: DeduplicationScope, group: &str, id: &str) -> u128 {
    let mut digest = Sha256::new();
    if scope == DeduplicationScope::MessageGroup {
        digest.update(group.as_bytes());
    }
    // No group contains a zero byte.
    digest.update([0]);
    digest.update(id.as_bytes());
    let bytes: [u8; 32] = digest.finalize().into();
    bytes
        .iter()
        .take(16)
        .fold(0, |n, byte| (n << 8) | u128::from(*byte))
}

/// The id of a message sent without one to a queue with content-based deduplication: the SHA-256 of its body.
pub(crate) fn of_content(body: &[u8]) -> String {
    super::message::hex(&Sha256::digest(body))
}

impl Dedup {
    /// The message that was sent under this id within the window.
    pub(crate) fn get(&self, digest: u128, now: Wall) -> Option<DedupRow> {
        let first = minute(Wall(now.0.saturating_sub(WINDOW_MILLIS)));
        let found = self
            .minutes
            .range(first..)
            .rev()
            .find_map(|(_, ids)| ids.get(&digest));
        found
            .copied()
            .filter(|row| now.0.saturating_sub(row.at.0) < WINDOW_MILLIS)
    }

    pub(crate) fn put(&mut self, digest: u128, row: DedupRow) {
        self.minutes
            .entry(minute(row.at))
            .or_default()
            .insert(digest, row);
    }

    /// The message was not stored.
    pub(crate) fn remove(&mut self, digest: u128, number: u64) {
        for ids in self.minutes.values_mut() {
            if ids.get(&digest).is_some_and(|row| row.number == number) {
                ids.remove(&digest);
            }
        }
    }

    /// Forgets what is over; the first minute that is kept, if any was forgotten.
    pub(crate) fn prune(&mut self, now: Wall) -> Option<u64> {
        let keep = minute(Wall(now.0.saturating_sub(WINDOW_MILLIS)));
        let kept = self.minutes.split_off(&keep);
        let forgotten = std::mem::replace(&mut self.minutes, kept);
        (!forgotten.is_empty()).then_some(keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(10_000_000);

    fn row(number: u64, at: u64) -> DedupRow {
        DedupRow {
            message: 7,
            number,
            at: Wall(at),
        }
    }

    #[test]
    fn an_id_is_known_for_exactly_five_minutes() {
        let mut dedup = Dedup::default();
        dedup.put(1, row(1, NOW.0));
        assert!(dedup.get(1, Wall(NOW.0 + WINDOW_MILLIS - 1)).is_some());
        assert!(dedup.get(1, Wall(NOW.0 + WINDOW_MILLIS)).is_none());
        assert!(dedup.get(2, NOW).is_none());
        dedup.put(1, row(2, NOW.0 + WINDOW_MILLIS));
        assert_eq!(
            dedup.get(1, Wall(NOW.0 + WINDOW_MILLIS)).map(|row| row.number),
            Some(2)
        );
    }

    #[test]
    fn minutes_are_forgotten_as_a_whole() {
        let mut dedup = Dedup::default();
        dedup.put(1, row(1, NOW.0));
        assert_eq!(dedup.prune(Wall(NOW.0 + WINDOW_MILLIS)), None);
        let later = Wall(NOW.0 + WINDOW_MILLIS + 60_000);
        assert_eq!(dedup.prune(later), Some(minute(NOW) + 1));
        assert_eq!(dedup.prune(later), None);
    }

    #[test]
    fn a_message_that_was_not_stored_is_no_duplicate() {
        let mut dedup = Dedup::default();
        dedup.put(1, row(1, NOW.0));
        dedup.remove(1, 2);
        assert!(dedup.get(1, NOW).is_some());
        dedup.remove(1, 1);
        assert!(dedup.get(1, NOW).is_none());
    }

    #[test]
    fn the_scope_decides_what_is_the_same() {
        let (queue, group) = (DeduplicationScope::Queue, DeduplicationScope::MessageGroup);
        assert_eq!(digest(queue, "a", "x"), digest(queue, "b", "x"));
        assert_ne!(digest(group, "a", "x"), digest(group, "b", "x"));
        assert_ne!(digest(group, "ab", "x"), digest(group, "a", "bx"));
    }
}
