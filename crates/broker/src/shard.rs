//! One shard in memory: who gets which offset, and how far readers may read.
//!
//! Two numbers matter. `next` is the offset the next put gets; it is taken under a lock within which the write
//! is also queued, so that the order of offsets is the order of writes. The tail is how far what was queued is
//! known to be durable; readers read up to it and are woken when it moves. Between the two lies what is being
//! written. An offset whose write failed is a gap that nobody sees; it is never given out again while it might
//! be on disk.

use crate::meta::{Floor, ShardMeta};
use millstream_types::Wall;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A shard of a stream. Lives as long as anybody reads it, also after the shard is gone.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    append: Mutex<Append>,
    tail: watch::Sender<Tail>,
}

#[derive(Debug)]
struct Append {
    next: Floor,
    intake: Intake,
}

/// Whether a shard takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    Open,
    /// A write failed half-way: what is on disk must be made certain before more is appended.
    Doubtful,
    /// A split, merge or delete is on its way, or done.
    Closed,
}

/// Why a shard does not take a record now; the graver later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// Records go elsewhere; the stream's next view tells where.
    Closed,
    /// The stream must recover first.
    Doubtful,
}

/// How far a shard can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The offset after the newest record that is known to be durable.
    pub(crate) end: u64,
    /// When that record arrived.
    pub(crate) arrival: Wall,
    /// Records below this offset were removed.
    pub(crate) trimmed: u64,
    /// Nothing will ever follow `end`.
    pub(crate) closed: bool,
    /// The stream was deleted.
    pub(crate) gone: bool,
}

impl Shard {
    /// A shard as the store has it: `stored` is the place after the last record on disk.
    pub(crate) fn new(meta: &ShardMeta, stored: Floor) -> Self {
        let next = meta.floor.max(stored);
        let intake = if meta.closed.is_some() {
            Intake::Closed
        } else {
            Intake::Open
        };
        let tail = Tail {
            end: next.offset,
            arrival: stored.arrival,
            trimmed: meta.trimmed,
            closed: meta.closed.is_some(),
            gone: false,
        };
        Self {
            index: meta.index,
            append: Mutex::new(Append { next, intake }),
            tail: watch::Sender::new(tail),
        }
    }

    /// Gives `count` records their offsets and arrival, and has `queue` queue their write, as one step.
    pub(crate) fn append<T>(
        &self,
        count: u32,
        now: Wall,
        queue: impl FnOnce(Floor) -> T,
    ) -> Result<(Floor, T), Refusal> {
        let mut append = self.lock();
        match append.intake {
            Intake::Closed => return Err(Refusal::Closed),
            Intake::Doubtful => return Err(Refusal::Doubtful),
            Intake::Open => {}
        }
        let place = Floor {
            offset: append.next.offset,
            arrival: append.next.arrival.max(now),
        };
        append.next = Floor {
            offset: place.offset + u64::from(count),
            arrival: place.arrival,
        };
        Ok((place, queue(place)))
    }

    /// What was appended up to here is durable: readers may have it. Called in the order of the writes.
    pub(crate) fn committed(&self, to: Floor) {
        self.tail.send_if_modified(|tail| {
            let moves = to.offset > tail.end;
            if moves {
                (tail.end, tail.arrival) = (to.offset, to.arrival);
            }
            moves
        });
    }

    /// A write may or may not have reached the disk.
    pub(crate) fn doubt(&self) {
        let mut append = self.lock();
        if append.intake == Intake::Open {
            append.intake = Intake::Doubtful;
        }
    }

    /// Whether a write's outcome is unknown.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.lock().intake == Intake::Doubtful
    }

    /// Takes no more records; tells what the next one would have got.
    pub(crate) fn close_intake(&self) -> Result<Floor, Refusal> {
        let mut append = self.lock();
        match append.intake {
            Intake::Open => {
                append.intake = Intake::Closed;
                Ok(append.next)
            }
            Intake::Closed => Err(Refusal::Closed),
            Intake::Doubtful => Err(Refusal::Doubtful),
        }
    }

    /// What the next record will get at least.
    pub(crate) fn next(&self) -> Floor {
        self.lock().next
    }

    /// No later record arrives before `at`.
    pub(crate) fn raise_arrival(&self, at: Wall) {
        let mut append = self.lock();
        append.next.arrival = append.next.arrival.max(at);
    }

    /// Takes over what was stored about the shard. With `certain`, everything below the stored floor is known
    /// to be written or to be missing for good, and an end of doubt.
    pub(crate) fn adopt(&self, meta: &ShardMeta, certain: bool) {
        let mut append = self.lock();
        append.next = append.next.max(meta.floor);
        match meta.closed {
            Some(_) => append.intake = Intake::Closed,
            None if certain => append.intake = Intake::Open,
            None => {}
        }
        let end = match meta.closed {
            Some(closed) => Some(closed.end),
            None => certain.then_some(meta.floor.offset),
        };
        let arrival = append.next.arrival;
        self.tail.send_if_modified(|tail| {
            let before = *tail;
            if let Some(end) = end.filter(|end| *end > tail.end) {
                (tail.end, tail.arrival) = (end, arrival);
            }
            tail.trimmed = tail.trimmed.max(meta.trimmed);
            tail.closed |= meta.closed.is_some();
            *tail != before
        });
    }

    /// The stream was deleted, or the shard fell out of retention: nothing more happens here.
    pub(crate) fn end(&self, gone: bool) {
        self.lock().intake = Intake::Closed;
        self.tail.send_modify(|tail| {
            tail.closed = true;
            tail.gone |= gone;
            tail.trimmed = tail.end;
        });
    }

    pub(crate) fn tail(&self) -> Tail {
        *self.tail.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Append> {
        // Nothing in here panics half-way through a change.
        self.append.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{Closed, StreamMeta};
    use millstream_types::StreamSpec;

    fn at(offset: u64, arrival: u64) -> Floor {
        Floor {
            offset,
            arrival: Wall(arrival),
        }
    }

    fn meta() -> ShardMeta {
        StreamMeta::new(1, StreamSpec::default(), Wall(0))
            .shards
            .remove(0)
    }

    #[test]
    fn offsets_follow_each_other_and_arrivals_never_go_back() {
        let shard = Shard::new(&meta(), at(5, 100));
        for (count, now, want) in [(2, 90, at(5, 100)), (3, 120, at(7, 120)), (1, 110, at(10, 120))] {
            assert_eq!(shard.append(count, Wall(now), |place| place), Ok((want, want)));
        }
        shard.raise_arrival(Wall(200));
        assert_eq!(shard.append(1, Wall(150), |_| ()).unwrap().0, at(11, 200));
    }

    #[test]
    fn readers_see_only_what_is_committed() {
        let shard = Shard::new(&meta(), Floor::default());
        let mut tail = shard.watch();
        shard.append(3, Wall(1), |_| ()).unwrap();
        assert!(!tail.has_changed().unwrap() && tail.borrow_and_update().end == 0);
        shard.committed(at(3, 1));
        assert!(tail.has_changed().unwrap() && tail.borrow_and_update().end == 3);
        shard.committed(at(2, 1));
        assert!(!tail.has_changed().unwrap() && tail.borrow().end == 3);
    }

    #[test]
    fn a_doubtful_shard_takes_nothing_until_it_is_certain_and_reuses_nothing() {
        let shard = Shard::new(&meta(), Floor::default());
        shard.append(3, Wall(1), |_| ()).unwrap();
        shard.doubt();
        assert_eq!(shard.append(1, Wall(1), |_| ()), Err(Refusal::Doubtful));
        assert_eq!(shard.close_intake(), Err(Refusal::Doubtful));
        let stored = ShardMeta {
            floor: at(3, 1),
            ..meta()
        };
        shard.adopt(&stored, false);
        assert_eq!(shard.append(1, Wall(1), |_| ()), Err(Refusal::Doubtful));
        shard.adopt(&stored, true);
        assert_eq!(shard.tail().end, 3);
        assert_eq!(shard.append(1, Wall(1), |_| ()).unwrap().0, at(3, 1));
    }

    #[test]
    fn a_closed_shard_says_where_it_ends() {
        let shard = Shard::new(&meta(), at(4, 9));
        assert_eq!(shard.close_intake(), Ok(at(4, 9)));
        assert_eq!(shard.append(1, Wall(9), |_| ()), Err(Refusal::Closed));
        assert!(!shard.tail().closed, "only what is stored counts");
        shard.adopt(
            &ShardMeta {
                closed: Some(Closed { at: Wall(10), end: 4 }),
                ..meta()
            },
            false,
        );
        assert!(shard.tail().closed);
    }
}
