//! Where a reader stands in its shard: which iterator brings it there again, which records it skips, and whether
//! records were lost. Pure.
//!
//! A place is opened *at* the last record that was read, not after it: if that record still comes, nothing is
//! missing, and no call more was made than without the question. If it does not come, records *may* be missing. That
//! alone is no loss: the last record of a shard in which nothing happens falls out of retention too. So the evidence
//! decides, see [`Place::lost`].

use millstream_ports::Gap;
use millstream_types::{Mark, Position, Record, Seq, Wall};
use std::time::Duration;

/// Both services keep every record at least so long.
const KEPT_AT_LEAST: Duration = Duration::from_secs(24 * 60 * 60);
/// A reader that does not know when it read last takes a record that waited so long for a sign that nobody read for
/// long.
const UNREAD_FOR_LONG: Duration = Duration::from_secs(60 * 60);

/// Where an iterator is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IteratorAt {
    /// With the oldest record.
    Oldest,
    /// With this record.
    Record(Seq),
    /// With the first record that arrived then or later.
    Time(Wall),
}

/// The place of one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What was asked for, until a record was taken.
    start: Position,
    /// The last record that was taken, or that reading was to go on after.
    last: Option<Mark>,
    /// All that arrived before this was read, as far as it was there. None while nobody knows.
    read_until: Option<Wall>,
    /// The iterator is new and has brought nothing yet, so that nobody knows whether the place is still there.
    unsure: bool,
}

impl Place {
    /// A place at `start`; `read_until` if another reader stood there at that time.
    pub(crate) fn new(start: Position, read_until: Option<Wall>) -> Self {
        let last = match start {
            Position::After(mark) => Some(mark),
            _ => None,
        };
        Self {
            start,
            last,
            read_until,
            unsure: false,
        }
    }

    /// The last record that was taken, or that reading goes on after.
    pub(crate) fn last(&self) -> Option<Mark> {
        self.last
    }

    /// Until when everything was read.
    pub(crate) fn read_until(&self) -> Option<Wall> {
        self.read_until
    }

    /// Whether the iterator proved to continue where the reader stood.
    pub(crate) fn is_sure(&self) -> bool {
        !self.unsure
    }

    /// Where an iterator that leads here begins. The next read is the first with it.
    pub(crate) fn iterator_at(&mut self) -> IteratorAt {
        self.unsure = self.anchor().is_some();
        match (self.anchor(), self.start) {
            (Some(mark), _) => IteratorAt::Record(mark.seq),
            (None, Position::Timestamp(at)) => IteratorAt::Time(at),
            (None, _) => IteratorAt::Oldest,
        }
    }

    /// The record that must still be there, or an older one, if nothing was lost.
    fn anchor(&self) -> Option<Mark> {
        match self.start {
            Position::At(mark) => Some(self.last.unwrap_or(mark)),
            _ => self.last,
        }
    }

    /// Takes what a read brought: the records that are wanted, and what was lost before the first of them.
    ///
    /// `now` is the source's time, `behind` how far the end of the read is behind the tip, if that is known.
    pub(crate) fn take(
        &mut self,
        mut records: Vec<Record>,
        now: Wall,
        behind: Option<Duration>,
    ) -> (Vec<Record>, Option<Gap>) {
        let gap = records.first().and_then(|first| self.lost(first, now));
        if !records.is_empty() || behind == Some(Duration::ZERO) {
            self.unsure = false;
        }
        let newest = records.last().map(|r| r.arrival);
        self.skip(&mut records);
        if let Some(last) = records.last() {
            self.last = Some(last.mark);
        }
        let caught_up = behind.map(|by| Wall(now.0.saturating_sub(millis(by))));
        // What an iterator passed over before it proved where it is was not read.
        if !self.unsure {
            self.read_until = self.read_until.max(newest).max(caught_up);
        }
        (records, gap)
    }

    /// Records that other readers read while this one stood at their beginning.
    pub(crate) fn follow(&mut self, last: Mark, read_until: Option<Wall>) {
        self.last = Some(last);
        self.read_until = self.read_until.max(read_until);
    }

    /// Leaves out what was read before, or arrived before the start.
    fn skip(&self, records: &mut Vec<Record>) {
        let wanted = |record: &Record| match (self.last, self.start) {
            (Some(last), _) => record.mark > last,
            (None, Position::At(mark)) => record.mark >= mark,
            (None, Position::Timestamp(from)) => record.arrival >= from,
            (None, _) => true,
        };
        // What follows the first wanted record is wanted too, though arrival times are not quite in order.
        let skipped = records.iter().take_while(|r| !wanted(r)).count();
        records.drain(..skipped);
    }

    /// The loss, if `first`, the first record of a new iterator, shows one.
    ///
    /// The record to go on from is gone. It is taken for a loss
    /// - if it is known until when all was read: when records of then may be gone already;
    /// - else, after a restart: when `first` waited so long that nobody can have read for as long.
    fn lost(&self, first: &Record, now: Wall) -> Option<Gap> {
        let anchor = self.anchor().filter(|_| self.unsure)?;
        if first.mark.seq <= anchor.seq {
            return None;
        }
        let lost = match self.read_until {
            Some(until) => now.since(until) >= KEPT_AT_LEAST,
            None => now.since(first.arrival) >= UNREAD_FOR_LONG,
        };
        let wanted = self.last.map_or(self.start, Position::After);
        lost.then_some(Gap {
            wanted,
            found: first.mark,
        })
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
