//! The records of one shard on disk: finding a place, and reading on from it.
//!
//! Every call makes one RocksDB iterator and drops it: one costs about as much as a seek, and a kept one would
//! hold old files alive while a reader waits, and would have to be given up at a reopen of the database.

use crate::codec::{BadBatch, Batch};
use crate::sequence::shard_id;
use millstream_ports::Credit;
use millstream_store::schema::{Key, Range};
use millstream_store::{Db, ReadError};
use millstream_types::{Record, Wall};
use std::ops::ControlFlow;

/// Why a shard cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("stored records of shard {} (stream number {stream}) are damaged: {why}", shard_id(*shard))]
    Damaged { stream: u64, shard: u32, why: BadBatch },
}

/// The head of a stored batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) base: u64,
    pub(crate) end: u64,
    pub(crate) arrival: Wall,
}

/// The records of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) db: Db,
    pub(crate) stream: u64,
    pub(crate) shard: u32,
}

/// What may be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// The first offset wanted.
    pub(crate) next: u64,
    /// The end of what is durable.
    pub(crate) end: u64,
    /// Offsets below were removed.
    pub(crate) trimmed: u64,
    /// What arrived before is out of retention, though it may still be there.
    pub(crate) cutoff: Wall,
    /// What arrived before is not wanted.
    pub(crate) not_before: Wall,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) records: Vec<Record>,
    /// Where to go on.
    pub(crate) next: u64,
    /// Wanted records below this offset are out of retention.
    pub(crate) lost_below: Option<u64>,
    /// Nothing is left up to the window's end.
    pub(crate) complete: bool,
}

/// Why one pass over the batches ended.
enum Pass {
    Complete,
    Full,
    Expired,
}

impl Log {
    fn key(&self, base: u64) -> Key {
        Key::StreamBatch {
            stream: self.stream,
            shard: self.shard,
            base,
        }
    }

    fn below(&self, end: u64) -> Range {
        Range::stream_shard(self.stream, self.shard).below(&self.key(end))
    }

    /// All batches that start between two offsets.
    pub(crate) fn between(&self, from: u64, end: u64) -> Range {
        self.below(end).starting_at(&self.key(from))
    }

    fn damaged(&self, why: BadBatch) -> LogError {
        LogError::Damaged {
            stream: self.stream,
            shard: self.shard,
            why,
        }
    }

    fn head(&self, found: Option<Result<Head, BadBatch>>) -> Result<Option<Head>, LogError> {
        found.transpose().map_err(|why| self.damaged(why))
    }

    /// The first batch below `end`.
    pub(crate) fn first(&self, end: u64) -> Result<Option<Head>, LogError> {
        let mut found = None;
        self.db.scan(&self.below(end), take_head(&mut found))?;
        self.head(found)
    }

    /// The last batch below `end`.
    pub(crate) fn last(&self, end: u64) -> Result<Option<Head>, LogError> {
        let mut found = None;
        self.db.scan_back(&self.below(end), take_head(&mut found))?;
        self.head(found)
    }

    /// The last batch that starts at `offset` or before, or else the first one, below `end`.
    fn floor(&self, offset: u64, end: u64) -> Result<Option<Head>, LogError> {
        let mut found = None;
        self.db.scan_from_floor(
            &self.below(end),
            &self.key(offset).encode(),
            take_head(&mut found),
        )?;
        self.head(found)
    }

    /// The base of the first batch below `end` that arrived at `time` or later; `end` if there is none.
    /// Arrivals never fall along a shard, so this is a binary search over the offsets.
    pub(crate) fn first_since(&self, time: Wall, end: u64) -> Result<u64, LogError> {
        let Some(last) = self.last(end)?.filter(|last| last.arrival >= time) else {
            return Ok(end);
        };
        let first = self.first(end)?.unwrap_or(last);
        if first.arrival >= time {
            return Ok(first.base);
        }
        // Below `low` everything is too old; the batch at `high` is not.
        let (mut low, mut high) = (first.end, last.base);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.floor(middle, end)? {
                Some(head) if head.arrival >= time => high = head.base.min(middle),
                Some(head) => low = head.end.max(middle + 1),
                None => low = middle + 1,
            }
        }
        Ok(high)
    }

    /// Reads at most `credit`, and at least one record if there is one.
    pub(crate) fn read(&self, window: Window, credit: Credit) -> Result<Run, LogError> {
        let lost_below = Some(window.trimmed).filter(|trimmed| *trimmed > window.next);
        let mut run = Run {
            next: window.next.max(window.trimmed),
            lost_below,
            ..Run::default()
        };
        let credit = Credit {
            records: credit.records.max(1),
            ..credit
        };
        loop {
            match self.pass(window, credit, &mut run)? {
                Pass::Full => run.complete = run.next >= window.end,
                Pass::Complete => {
                    run.next = run.next.max(window.end);
                    run.complete = true;
                }
                // What is expired comes first, so this happens once; and whatever is stored, it moves on.
                Pass::Expired => {
                    run.next = self.first_since(window.cutoff, window.end)?.max(run.next + 1);
                    run.lost_below = Some(run.next);
                    continue;
                }
            }
            return Ok(run);
        }
    }

    fn pass(&self, window: Window, credit: Credit, run: &mut Run) -> Result<Pass, LogError> {
        let mut ended = Ok(Pass::Complete);
        let mut bytes = 0;
        let start = self.key(run.next).encode();
        self.db
            .scan_from_floor(&self.below(window.end), &start, |_, value| {
                match visit(value, self.shard, &window, credit, run, &mut bytes) {
                    Ok(None) => ControlFlow::Continue(()),
                    Ok(Some(pass)) => {
                        ended = Ok(pass);
                        ControlFlow::Break(())
                    }
                    Err(why) => {
                        ended = Err(self.damaged(why));
                        ControlFlow::Break(())
                    }
                }
            })?;
        ended
    }
}

/// Takes what is wanted of one batch; tells whether and why the pass ends with it.
fn visit(
    value: &[u8],
    shard: u32,
    window: &Window,
    credit: Credit,
    run: &mut Run,
    bytes: &mut usize,
) -> Result<Option<Pass>, BadBatch> {
    let batch = Batch::parse(value)?;
    if batch.end() <= run.next {
        return Ok(None);
    }
    if batch.arrival < window.cutoff {
        return Ok(Some(Pass::Expired));
    }
    if batch.arrival < window.not_before {
        run.next = batch.end();
        return Ok(None);
    }
    run.next = run.next.max(batch.base);
    // Less than the batch's count, which is 32 bits.
    let from = (run.next - batch.base) as u32;
    let room = credit.records - run.records.len();
    let mut count = batch.fitting(from, room, credit.bytes.saturating_sub(*bytes))?;
    if count == 0 && run.records.is_empty() {
        count = 1;
    }
    batch.take(shard, from, count, &mut run.records)?;
    *bytes += batch.bytes_of(from, count)?;
    run.next += u64::from(count);
    let full = run.next < batch.end() || run.records.len() >= credit.records;
    Ok(full.then_some(Pass::Full))
}

fn take_head(found: &mut Option<Result<Head, BadBatch>>) -> impl FnMut(&[u8], &[u8]) -> ControlFlow<()> + '_ {
    |_, value| {
        let head = |b: Batch<'_>| Head {
            base: b.base,
            end: b.end(),
            arrival: b.arrival,
        };
        *found = Some(Batch::parse(value).map(head));
        ControlFlow::Break(())
    }
}
