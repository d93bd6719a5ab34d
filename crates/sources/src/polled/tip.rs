//! What the readers of one shard share once they are at its end: one iterator and the newest records, so that any
//! number of mappings costs the calls of one. Pure; who owns the lock makes the call.
//!
//! A reader belongs to the tip when it stands at a record that the tip reaches back to. One that is further behind
//! reads with an iterator of its own until it is there.

use super::Fetched;
use millstream_types::{Mark, Record, Wall};
use std::collections::VecDeque;
use std::time::Duration;

/// Records are kept for the others up to so many bytes; a page that is larger is not kept.
const MOST_BYTES: usize = 1 << 20;

/// The end of one shard, as far as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    /// The records behind `from`, without a gap, up to `through`.
    records: VecDeque<Record>,
    bytes: usize,
    from: Mark,
    through: Mark,
    /// Leads on from `through`; none at the end of the shard.
    iterator: Option<String>,
    state: TipState,
}

/// What the last call said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TipState {
    /// How far behind the newest record `through` is.
    pub(crate) behind: Option<Duration>,
    /// Whether more is there to be read at once.
    pub(crate) more: bool,
    /// All that arrived before this was read.
    pub(crate) read_until: Option<Wall>,
    /// Counts the calls, so that a reader can tell whether somebody called since it looked.
    pub(crate) calls: u64,
}

/// What a reader finds at the tip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Others read these after the reader's place.
    Records(Vec<Record>, TipState),
    /// Others looked since and found nothing.
    Nothing(TipState),
    /// The shard ends at the reader's place.
    End,
    /// It is the reader's turn to read, with this iterator.
    Read(String),
    /// The tip is further ahead: the reader has to catch up by itself.
    Ahead,
    /// The reader is ahead: it makes a better tip.
    Behind,
}

impl Tip {
    /// A tip at `through`, from where `iterator` leads on.
    pub(crate) fn new(through: Mark, iterator: String, state: TipState) -> Self {
        Self {
            records: VecDeque::new(),
            bytes: 0,
            from: through,
            through,
            iterator: Some(iterator),
            state,
        }
    }

    /// What is here for a reader at `at` that last saw the call number `seen`.
    pub(crate) fn look(&self, at: Mark, seen: u64) -> Look {
        if at < self.from {
            return Look::Ahead;
        }
        if at > self.through {
            return Look::Behind;
        }
        if at < self.through {
            let start = self.records.partition_point(|r| r.mark <= at);
            return Look::Records(self.records.range(start..).cloned().collect(), self.state);
        }
        match &self.iterator {
            None => Look::End,
            Some(_) if self.state.calls != seen => Look::Nothing(self.state),
            Some(iterator) => Look::Read(iterator.clone()),
        }
    }

    /// The last call's number.
    pub(crate) fn state(&self) -> TipState {
        self.state
    }

    /// Adds what was read with the tip's iterator. `keep` if others may want it.
    pub(crate) fn add(&mut self, fetched: &Fetched, keep: bool) {
        self.iterator.clone_from(&fetched.next);
        self.state.calls += 1;
        self.state.behind = fetched.behind;
        self.state.more = fetched.more;
        let newest = fetched.records.last().map(|r| r.arrival);
        let caught_up = fetched.behind.map(|by| {
            Wall(
                fetched
                    .date
                    .0
                    .saturating_sub(by.as_millis().try_into().unwrap_or(u64::MAX)),
            )
        });
        self.state.read_until = self.state.read_until.max(newest).max(caught_up);
        let Some(last) = fetched.records.last() else {
            return;
        };
        self.through = last.mark;
        self.records.extend(fetched.records.iter().cloned());
        self.bytes += fetched.records.iter().map(size).sum::<usize>();
        let most = if keep { MOST_BYTES } else { 0 };
        while self.bytes > most
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= size(&oldest);
            self.from = oldest.mark;
        }
    }
}

fn size(record: &Record) -> usize {
    record.partition_key.len() + record.data.len()
}

#[cfg(test)]
mod tests;
