//! The inside of a shard, for people.

use super::head::{Head, Phase};
use super::lane::Lane;
use super::machine::ShardMachine;
use millstream_types::{Mark, Position, RequestId, Wall};

/// Counts since the machine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records read from the source by the main cursor.
    pub records_read: u64,
    /// Attempts that were sent.
    pub attempts: u64,
    /// Attempts that failed, wholly or in part.
    pub failures: u64,
    /// Attempts without capacity.
    pub throttles: u64,
    /// Records finished by success.
    pub records_done: u64,
    /// Records given up.
    pub records_discarded: u64,
    /// Times a batch was split.
    pub splits: u64,
    /// Records that matched no filter; also in `records_read`.
    pub records_filtered: u64,
}

impl Counters {
    /// Adds another's counts to these.
    pub fn add(&mut self, other: &Self) {
        self.records_read += other.records_read;
        self.attempts += other.attempts;
        self.failures += other.failures;
        self.throttles += other.throttles;
        self.records_done += other.records_done;
        self.records_discarded += other.records_discarded;
        self.splits += other.splits;
        self.records_filtered += other.records_filtered;
    }
}

/// The inside of a shard, now.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardSnapshot {
    /// Every record up to here is finished, and that is stored.
    pub checkpoint: Position,
    /// How far it has been read.
    pub read_through: Option<Mark>,
    /// How far it is behind.
    pub lag: ShardLag,
    /// Records read and not finished.
    pub held_records: u64,
    /// Whether a lane has records left at the source.
    pub lagging: bool,
    /// Bytes held in memory.
    pub buffered_bytes: u64,
    /// The lanes.
    pub lanes: Vec<LaneInspection>,
    /// Counts.
    pub counters: Counters,
    /// Whether the last attempt failed; none before the first.
    pub last_attempt_failed: Option<bool>,
    /// The tumbling window that has begun and not ended.
    pub window: Option<WindowInspection>,
}

/// A tumbling window that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowInspection {
    /// Its start, inclusive.
    pub start: Wall,
    /// Its end, exclusive.
    pub end: Wall,
    /// Bytes of what the function returned last.
    pub state_bytes: u64,
    /// Whether its last invocation runs or is to be tried again.
    pub ending: bool,
    /// Whether it ends early because its state is too big.
    pub early: bool,
}

/// How far a shard is behind, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardLag {
    /// How far reading is behind the newest record, in ms; none before the first page.
    pub lag_ms: Option<u64>,
    /// When the oldest record that was read and is not finished arrived at the source.
    pub oldest_unfinished: Option<Wall>,
    /// Records that are not finished, read or not; none if not known, as while a lane has records left at the source.
    pub records: Option<u64>,
}

impl ShardLag {
    /// How old the oldest record is that is not finished, or how far reading is behind, in ms at `now`; none if not
    /// known.
    #[must_use]
    pub fn age_ms(&self, now: Wall) -> Option<u64> {
        let oldest = self.oldest_unfinished.map(|at| now.0.saturating_sub(at.0));
        oldest.max(self.lag_ms)
    }
}

/// One lane of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneInspection {
    /// Its number, from 0.
    pub lane: u8,
    /// Every record of the lane up to here is finished, and that is stored.
    pub done_through: Option<Mark>,
    /// Records in memory behind the current batch.
    pub buffered: u32,
    /// Whether newer records of the lane are left at the source until there is room.
    pub lagging: bool,
    /// The batch it works on.
    pub batch: Option<BatchInspection>,
}

/// The batch a lane works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInspection {
    /// The id of its invocation.
    pub request_id: RequestId,
    /// First record.
    pub first: Option<Mark>,
    /// Last record.
    pub last: Option<Mark>,
    /// How many records.
    pub records: u32,
    /// The attempt that runs, or the next one, from 1.
    pub attempt: u32,
    /// Whether it runs now.
    pub in_flight: bool,
    /// When it is tried next, if it waits.
    pub next_attempt: Option<Wall>,
    /// Parts split off that wait behind it.
    pub parts_waiting: u32,
    /// The last error.
    pub last_error: Option<String>,
}

impl ShardMachine {
    /// The inside of the shard, now.
    #[must_use]
    pub fn snapshot(&self) -> ShardSnapshot {
        let through = self.cursors.read_through;
        ShardSnapshot {
            checkpoint: self.stored.checkpoint,
            read_through: through,
            lag: self.lag(),
            held_records: self.held_records(),
            lagging: self.lagging(),
            buffered_bytes: self.buffered_bytes() as u64,
            lanes: self
                .lanes
                .iter()
                .enumerate()
                .map(|(n, l)| lane(n, l, self.stored.done_through.get(n).copied().flatten()))
                .collect(),
            counters: self.counters,
            last_attempt_failed: self.last_attempt_failed,
            window: self.window(),
        }
    }

    fn window(&self) -> Option<WindowInspection> {
        let open = self.windows.as_ref()?.open()?;
        let current = self.lanes.first().and_then(|l| l.head.as_ref()?.current());
        Some(WindowInspection {
            start: open.start,
            end: open.end,
            state_bytes: open.state.len() as u64,
            ending: open.early || current.is_some_and(|part| part.len() == 0),
            early: open.early,
        })
    }

    /// How far it is behind; what of its inside is worth to be told after every input.
    #[must_use]
    pub fn lag(&self) -> ShardLag {
        ShardLag {
            lag_ms: self.cursors.lag_ms,
            oldest_unfinished: self.lanes.iter().filter_map(oldest).min(),
            records: self
                .cursors
                .lag_records
                .filter(|_| !self.lagging())
                .map(|unread| unread + self.held_records()),
        }
    }

    fn held_records(&self) -> u64 {
        self.lanes.iter().map(held).sum()
    }

    fn lagging(&self) -> bool {
        self.lanes.iter().any(|l| l.lagging.is_some())
    }

    /// Bytes of records held in memory, as they will be in events.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.lanes
            .iter()
            .map(|l| l.waiting_bytes + l.head.as_ref().map_or(0, Head::bytes))
            .sum()
    }

    /// The most records of one lane that would be repeated if the process ended now: those that are finished but
    /// not stored, and those of the attempt that runs. At most two batches: a lane starts nothing while more than
    /// one batch of it waits to be stored.
    #[must_use]
    pub fn repeatable(&self) -> usize {
        let of = |l: &Lane| {
            let in_flight = l.in_flight().then(|| l.head.as_ref()?.current());
            l.unstored + l.storing + in_flight.flatten().map_or(0, super::head::Segment::len)
        };
        self.lanes.iter().map(of).max().unwrap_or_default()
    }

    /// Counts since the machine was made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether the last attempt failed; none before the first.
    #[must_use]
    pub fn last_attempt_failed(&self) -> Option<bool> {
        self.last_attempt_failed
    }
}

fn oldest(lane: &Lane) -> Option<Wall> {
    let in_head = lane
        .head
        .as_ref()
        .and_then(|h| h.slice(h.current()?.range.clone()).first());
    in_head
        .or_else(|| lane.waiting.front().map(|w| &w.entry.record))
        .map(|r| r.arrival)
}

fn held(lane: &Lane) -> u64 {
    let in_head = lane
        .head
        .as_ref()
        .map_or(0, |h| h.stack.iter().map(super::head::Segment::len).sum());
    (lane.waiting.len() + in_head) as u64
}

fn lane(number: usize, lane: &Lane, done_through: Option<Mark>) -> LaneInspection {
    LaneInspection {
        lane: number as u8,
        done_through,
        buffered: lane.waiting.len() as u32,
        lagging: lane.lagging.is_some(),
        batch: lane.head.as_ref().and_then(batch),
    }
}

fn batch(head: &Head) -> Option<BatchInspection> {
    let current = head.current()?;
    let records = head.slice(current.range.clone());
    Some(BatchInspection {
        request_id: current.request_id,
        first: records.first().map(|r| r.mark),
        last: records.last().map(|r| r.mark),
        records: records.len() as u32,
        attempt: current.attempts + 1,
        in_flight: matches!(head.phase, Phase::InFlight(_)),
        next_attempt: current
            .not_before
            .map(|n| n.1)
            .filter(|_| head.phase == Phase::Waiting),
        parts_waiting: head.stack.len().saturating_sub(1) as u32,
        last_error: current.last_error.clone(),
    })
}
