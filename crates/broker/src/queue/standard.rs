//! The order of a standard queue: a cursor over messages never received, and the messages that came back.

use super::message::StoredMessage;
use std::collections::{BTreeSet, VecDeque};

/// Most messages, and bytes, that are read ahead of their receive.
pub(crate) const AHEAD_MESSAGES: usize = 500;
pub(crate) const AHEAD_BYTES: usize = 1 << 20;

/// What a standard queue keeps in memory.
#[derive(Debug)]
pub(crate) struct Standard {
    /// Messages from here on were never received, unless they are held.
    pub(crate) cursor: u64,
    /// Rows below are durable.
    pub(crate) committed: u64,
    /// Read ahead, in order, from the cursor on.
    ahead: VecDeque<(u64, StoredMessage)>,
    ahead_bytes: usize,
    /// Where to read on.
    pub(crate) read_to: u64,
    /// Below the cursor or delayed, and visible (again).
    pub(crate) returned: BTreeSet<u64>,
    /// Handed out, and not yet known to be stored as held: the stored cursor stays below.
    unsaved: BTreeSet<u64>,
    /// Those of them whose write failed.
    failed: BTreeSet<u64>,
    /// The cursor as it was written last.
    stored: u64,
    /// Numbers from the cursor on under which nothing lies (any more), so that they are not counted.
    gaps: BTreeSet<u64>,
}

impl Standard {
    pub(crate) fn new(cursor: u64, committed: u64) -> Self {
        Self {
            cursor,
            committed,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            read_to: cursor,
            returned: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            failed: BTreeSet::new(),
            stored: cursor,
            gaps: BTreeSet::new(),
        }
    }

    /// Nothing lies under `number` (any more).
    pub(crate) fn is_gap(&mut self, number: u64) {
        if number >= self.cursor {
            self.gaps.insert(number);
        }
    }

    /// About how many were never received, the `held` ones among them not counted.
    pub(crate) fn fresh(&self, held: u64) -> u64 {
        let numbers = self.committed.saturating_sub(self.cursor);
        // Gaps may lie behind the last message, too.
        let gaps = self.gaps.range(..self.committed).count() as u64;
        numbers.saturating_sub(held + gaps)
    }

    fn go_to(&mut self, cursor: u64) {
        if cursor > self.cursor {
            self.cursor = cursor;
            self.gaps = self.gaps.split_off(&cursor);
        }
    }

    /// A message is durable. At the tip it need not be read again.
    pub(crate) fn commit(&mut self, number: u64, message: StoredMessage, delayed: bool) {
        self.committed = self.committed.max(number + 1);
        let room = self.ahead.len() < AHEAD_MESSAGES && self.ahead_bytes + message.bytes() <= AHEAD_BYTES;
        if self.read_to == number && (room || delayed) {
            self.read_to = number + 1;
            if !delayed {
                self.ahead_bytes += message.bytes();
                self.ahead.push_back((number, message));
            }
            self.skip();
        }
    }

    /// What to read so that `want` messages are at hand, if anything.
    pub(crate) fn to_read(&self, want: usize) -> Option<(u64, u64)> {
        (self.ahead.len() < want && self.read_to < self.committed).then_some((self.read_to, self.committed))
    }

    /// Takes in what was read from `from` up to `to`, unless something else happened in the meantime.
    pub(crate) fn read(&mut self, from: u64, to: u64, messages: Vec<(u64, StoredMessage)>) {
        if self.read_to != from {
            return;
        }
        self.read_to = to;
        self.ahead_bytes += messages.iter().map(|(_, message)| message.bytes()).sum::<usize>();
        self.ahead.extend(messages);
        self.skip();
    }

    /// What was read and is not there need not wait for a receive to be passed.
    fn skip(&mut self) {
        if self.ahead.is_empty() {
            self.go_to(self.read_to);
        }
    }

    /// The next message that was never received, if it is wanted.
    pub(crate) fn next_fresh_if(
        &mut self,
        wanted: impl Fn(&StoredMessage) -> bool,
    ) -> Option<(u64, StoredMessage)> {
        self.ahead.front().filter(|(_, message)| wanted(message))?;
        let (number, message) = self.ahead.pop_front()?;
        self.ahead_bytes -= message.bytes();
        self.go_to(number + 1);
        self.skip();
        Some((number, message))
    }

    /// How many messages that were never received are in memory.
    pub(crate) fn fresh_at_hand(&self) -> usize {
        self.ahead.len()
    }

    /// Whether a receive would find something.
    pub(crate) fn has_any(&self) -> bool {
        !self.ahead.is_empty() || !self.returned.is_empty() || self.read_to < self.committed
    }

    /// `number` was handed out for the first time; its row is on the way.
    pub(crate) fn saving(&mut self, number: u64) {
        self.unsaved.insert(number);
        self.failed.remove(&number);
    }

    /// Its row is stored, or the message is gone.
    pub(crate) fn saved(&mut self, number: u64) {
        self.unsaved.remove(&number);
        self.failed.remove(&number);
    }

    /// Its row is not, or perhaps not, stored.
    pub(crate) fn not_saved(&mut self, number: u64) {
        if self.unsaved.contains(&number) {
            self.failed.insert(number);
        }
    }

    /// At most `most` messages whose rows are to be written again.
    pub(crate) fn to_save(&self, most: usize) -> Vec<u64> {
        self.failed.iter().take(most).copied().collect()
    }

    /// The cursor to be stored, if it moved: it never passes a message that is not stored as held.
    pub(crate) fn cursor_to_store(&mut self) -> Option<u64> {
        let safe = self
            .unsaved
            .first()
            .map_or(self.cursor, |first| self.cursor.min(*first));
        let moved = safe != self.stored;
        self.stored = safe;
        moved.then_some(safe)
    }

    /// The write of the cursor failed.
    pub(crate) fn cursor_not_stored(&mut self) {
        self.stored = 0;
    }

    /// What was never received below `number` is gone.
    pub(crate) fn pass(&mut self, number: u64) {
        self.go_to(number);
        self.read_to = self.read_to.max(number);
        self.ahead.retain(|(n, _)| *n >= number);
        self.ahead_bytes = self.ahead.iter().map(|(_, message)| message.bytes()).sum();
        self.skip();
    }

    /// Everything below `number` is gone.
    pub(crate) fn purge(&mut self, number: u64) {
        self.committed = self.committed.max(number);
        self.pass(number);
        self.returned.retain(|n| *n >= number);
        self.unsaved.retain(|n| *n >= number);
        self.failed.retain(|n| *n >= number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::entry::tests::stored;

    fn commit(lane: &mut Standard, number: u64) {
        lane.commit(number, stored("x"), false);
    }

    #[test]
    fn messages_at_the_tip_are_not_read_again() {
        let mut lane = Standard::new(0, 0);
        commit(&mut lane, 0);
        commit(&mut lane, 1);
        assert_eq!(lane.to_read(10), None);
        assert_eq!(lane.next_fresh_if(|_| true).map(|(n, _)| n), Some(0));
        assert_eq!((lane.cursor, lane.has_any()), (1, true));
        assert_eq!(lane.next_fresh_if(|_| true).map(|(n, _)| n), Some(1));
        assert_eq!((lane.cursor, lane.has_any()), (2, false));
    }

    #[test]
    fn what_does_not_fit_is_read_later() {
        let mut lane = Standard::new(0, 0);
        for number in 0..600 {
            commit(&mut lane, number);
        }
        assert_eq!(lane.to_read(500), None);
        assert_eq!(lane.to_read(501), Some((500, 600)));
        lane.read(500, 600, vec![(599, stored("x"))]);
        assert_eq!(lane.to_read(600), None);
        lane.read(500, 600, vec![(599, stored("x"))]);
        assert_eq!(std::iter::from_fn(|| lane.next_fresh_if(|_| true)).count(), 501);
        assert_eq!(lane.cursor, 600);
    }

    #[test]
    fn gaps_are_passed() {
        let mut lane = Standard::new(5, 9);
        assert_eq!(lane.to_read(1), Some((5, 9)));
        lane.read(5, 9, Vec::new());
        assert_eq!((lane.cursor, lane.has_any()), (9, false));
    }

    #[test]
    fn the_stored_cursor_waits_for_what_is_not_stored() {
        let mut lane = Standard::new(0, 0);
        for number in 0..3 {
            commit(&mut lane, number);
            lane.next_fresh_if(|_| true);
            lane.saving(number);
        }
        assert_eq!(lane.cursor_to_store(), None);
        lane.saved(1);
        lane.not_saved(0);
        assert_eq!((lane.cursor_to_store(), lane.to_save(10)), (None, vec![0]));
        lane.saving(0);
        lane.saved(0);
        assert_eq!((lane.cursor_to_store(), lane.cursor_to_store()), (Some(2), None));
        lane.saved(2);
        assert_eq!(lane.cursor_to_store(), Some(3));
    }

    #[test]
    fn a_purge_leaves_what_came_after() {
        let mut lane = Standard::new(0, 0);
        for number in 0..4 {
            commit(&mut lane, number);
        }
        lane.returned.insert(1);
        lane.purge(3);
        assert_eq!(lane.next_fresh_if(|_| true).map(|(n, _)| n), Some(3));
        assert_eq!((lane.cursor, lane.has_any()), (4, false));
    }
}
