//! What is known of messages that were received or are delayed: how often, until when, under which receipt.

use super::meta::HeldRow;
use millstream_types::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What keeps a message from being received, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It was sent with a delay that is not over.
    Delayed,
    /// It was received and is hidden.
    InFlight,
    /// It can be received (again).
    Visible,
    /// A receive looks at it, or it moves to the dead-letter queue.
    Busy,
    /// Its deletion waits for the disk.
    Deleting,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) phase: Phase,
    /// When `Delayed` or `InFlight` ends.
    pub(crate) until: Mono,
    pub(crate) until_wall: Wall,
    pub(crate) receives: u32,
    pub(crate) first_received: Wall,
    /// Of the newest receipt.
    pub(crate) receipt: u64,
    /// When it was received last.
    pub(crate) received: Mono,
    pub(crate) sent: Wall,
    pub(crate) group: Option<Arc<str>>,
}

impl Held {
    /// A message that a receive looks at for the first time.
    pub(crate) fn looked_at(sent: Wall, group: Option<Arc<str>>, now: Now) -> Self {
        Self {
            phase: Phase::Busy,
            until: now.mono,
            until_wall: now.wall,
            receives: 0,
            first_received: Wall(0),
            receipt: 0,
            received: now.mono,
            sent,
            group,
        }
    }

    pub(crate) fn row(&self) -> HeldRow {
        HeldRow {
            until: self.until_wall,
            received: self.receives > 0,
            receives: self.receives,
            first_received: self.first_received,
            receipt: self.receipt,
            sent: self.sent,
            group: self.group.as_deref().map(str::to_owned),
        }
    }

    /// As it was stored. A wall clock that jumped does not hide it for longer than `most`.
    pub(crate) fn of_row(row: HeldRow, now: Now, most: std::time::Duration) -> Self {
        let phase = if row.received {
            Phase::InFlight
        } else {
            Phase::Delayed
        };
        Self {
            phase,
            until: now.mono_at(row.until).min(now.mono.plus(most)),
            until_wall: row.until,
            receives: row.receives,
            first_received: row.first_received,
            receipt: row.receipt,
            received: now.mono,
            sent: row.sent,
            group: row.group.map(Into::into),
        }
    }
}

/// All held messages of a queue by number.
#[derive(Debug, Default)]
pub(crate) struct HeldSet {
    messages: BTreeMap<u64, Held>,
    due: BTreeSet<(Mono, u64)>,
    in_flight: u64,
    delayed: u64,
    busy: u64,
}

impl HeldSet {
    pub(crate) fn get(&self, number: u64) -> Option<&Held> {
        self.messages.get(&number)
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.messages.contains_key(&number)
    }

    pub(crate) fn put(&mut self, number: u64, held: Held) {
        self.remove(number);
        match held.phase {
            Phase::Delayed => self.delayed += 1,
            Phase::InFlight | Phase::Deleting => self.in_flight += 1,
            Phase::Busy => self.busy += 1,
            Phase::Visible => {}
        }
        if matches!(held.phase, Phase::Delayed | Phase::InFlight) {
            self.due.insert((held.until, number));
        }
        self.messages.insert(number, held);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.messages.remove(&number)?;
        match held.phase {
            Phase::Delayed => self.delayed -= 1,
            Phase::InFlight | Phase::Deleting => self.in_flight -= 1,
            Phase::Busy => self.busy -= 1,
            Phase::Visible => {}
        }
        self.due.remove(&(held.until, number));
        Some(held)
    }

    /// Changes a message's phase; tells whether it is there.
    pub(crate) fn turn(&mut self, number: u64, phase: Phase) -> bool {
        let Some(held) = self.remove(number) else {
            return false;
        };
        self.put(number, Held { phase, ..held });
        true
    }

    /// When the next delay or visibility timeout ends.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A message whose delay or visibility timeout is over, now visible, and which of the two it was.
    pub(crate) fn pop_due(&mut self, now: Mono) -> Option<(u64, Phase)> {
        let (_, number) = *self.due.first().filter(|(at, _)| *at <= now)?;
        let phase = self.messages.get(&number)?.phase;
        self.turn(number, Phase::Visible);
        Some((number, phase))
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(crate) fn delayed(&self) -> u64 {
        self.delayed
    }

    /// How many a receive looks at, or are on their way to the dead-letter queue.
    pub(crate) fn busy(&self) -> u64 {
        self.busy
    }

    /// In the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Held)> {
        self.messages.iter().map(|(number, held)| (*number, held))
    }

    /// How many have this number or a later one.
    pub(crate) fn count_from(&self, number: u64) -> u64 {
        self.messages.range(number..).count() as u64
    }

    /// Their numbers from this one on.
    pub(crate) fn numbers_from(&self, number: u64) -> impl Iterator<Item = u64> {
        self.messages.range(number..).map(|(number, _)| *number)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.messages.last_key_value().map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn held(phase: Phase, until: u64) -> Held {
        Held {
            phase,
            until: Mono(until),
            until_wall: Wall(until),
            receives: 1,
            first_received: Wall(0),
            receipt: 7,
            received: Mono(0),
            sent: Wall(0),
            group: None,
        }
    }

    #[test]
    fn what_is_due_becomes_visible_in_order() {
        let mut set = HeldSet::default();
        set.put(1, held(Phase::InFlight, 30));
        set.put(2, held(Phase::Delayed, 10));
        set.put(3, held(Phase::Visible, 0));
        assert_eq!(
            (set.in_flight(), set.delayed(), set.next_due()),
            (1, 1, Some(Mono(10)))
        );
        assert_eq!(set.pop_due(Mono(9)), None);
        assert_eq!(set.pop_due(Mono(30)), Some((2, Phase::Delayed)));
        assert_eq!(set.pop_due(Mono(30)), Some((1, Phase::InFlight)));
        assert_eq!(set.pop_due(Mono(30)), None);
        assert_eq!((set.in_flight(), set.delayed(), set.next_due()), (0, 0, None));
    }

    #[test]
    fn a_changed_deadline_replaces_the_old_one() {
        let mut set = HeldSet::default();
        set.put(1, held(Phase::InFlight, 10));
        set.put(1, held(Phase::InFlight, 50));
        assert_eq!((set.in_flight(), set.pop_due(Mono(10))), (1, None));
        assert!(set.turn(1, Phase::Deleting));
        assert_eq!(
            (set.in_flight(), set.next_due()),
            (1, None),
            "a deletion has no deadline"
        );
        set.remove(1);
        assert_eq!((set.in_flight(), set.turn(1, Phase::Visible)), (0, false));
    }

    #[test]
    fn a_stored_deadline_far_away_is_cut() {
        let row = HeldRow {
            until: Wall(u64::MAX),
            ..held(Phase::InFlight, 0).row()
        };
        let now = Now {
            wall: Wall(1_000),
            mono: Mono(5),
        };
        let most = Duration::from_secs(1);
        assert_eq!(Held::of_row(row, now, most).until, Mono(1_000_000_005));
    }
}
