//! Readers: each has a place of its own in one shard, and is woken by the writer.
//!
//! A page near the tail is read on the spot: a seek and at most 64 KiB cost less than a hop to another thread.
//! A reader that is further behind reads in a blocking thread, where one hop serves a whole page.

use crate::log::{LogError, Run, Window};
use crate::sequence::{mark_of, place_of};
use crate::shard::{Shard, Tail};
use crate::stream::Stream;
use async_trait::async_trait;
use millstream_ports::{Credit, Gap, Lag, Page, ShardReader, SourceError};
use millstream_types::{Mark, Position, Wall};
use std::sync::Arc;
use tokio::sync::watch;

/// Most bytes read without leaving the caller's thread.
const INLINE_BYTES: usize = 64 * 1024;

/// Reads one shard.
pub(crate) struct Reader {
    stream: Arc<Stream>,
    shard: Arc<Shard>,
    arn: Arc<str>,
    tail: watch::Receiver<Tail>,
    cursor: Cursor,
    /// The last page left something unread.
    behind: bool,
    /// The end of the shard was reported.
    ended: bool,
}

/// A place in a shard.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The next offset to look at.
    next: u64,
    /// Earlier arrivals are skipped.
    not_before: Wall,
    /// What was asked for, while nothing was read: what is missing from there on is a gap.
    asked: Option<Position>,
    /// A place was reached, so that what is missing from now on is a gap.
    placed: bool,
}

impl Reader {
    /// A reader at `from`. A place behind the newest record is the place behind the newest record; a mark of
    /// another shard counts by its number, which is before or behind all of this one's.
    pub(crate) fn open(
        stream: Arc<Stream>,
        shard: Arc<Shard>,
        arn: Arc<str>,
        from: Position,
    ) -> Result<Self, SourceError> {
        let mut tail = shard.watch();
        let now = *tail.borrow_and_update();
        let mut cursor = Cursor {
            next: 0,
            not_before: Wall(0),
            asked: Some(from),
            placed: false,
        };
        match from {
            Position::Trim => {}
            Position::At(mark) => cursor.next = offset_of(shard.index, mark).min(now.end),
            Position::After(mark) => {
                cursor.next = offset_of(shard.index, mark).saturating_add(1).min(now.end);
            }
            Position::Timestamp(at) => {
                let found = stream.log(shard.index).first_since(at, now.end);
                cursor.next = found.map_err(|e| unavailable(&e))?;
                cursor.not_before = at;
            }
            Position::End => cursor.next = now.end,
        }
        cursor.placed = matches!(from, Position::At(_) | Position::After(_));
        Ok(Self {
            stream,
            shard,
            arn,
            tail,
            cursor,
            behind: false,
            ended: false,
        })
    }

    /// A reader that is asked for one large page.
    pub(crate) fn for_a_large_page(mut self) -> Self {
        self.behind = true;
        self
    }

    fn window(&self, tail: Tail) -> Window {
        let view = self.stream.view();
        Window {
            next: self.cursor.next,
            end: tail.end,
            trimmed: tail.trimmed,
            cutoff: view.meta.cutoff(self.stream.now()),
            not_before: self.cursor.not_before,
        }
    }

    async fn read(&self, window: Window, credit: Credit) -> Result<Run, SourceError> {
        let log = self.stream.log(self.shard.index);
        if !self.behind || credit.bytes <= INLINE_BYTES {
            let credit = Credit {
                bytes: credit.bytes.min(INLINE_BYTES),
                ..credit
            };
            return log.read(window, credit).map_err(|e| unavailable(&e));
        }
        match tokio::task::spawn_blocking(move || log.read(window, credit)).await {
            Ok(read) => read.map_err(|e| unavailable(&e)),
            Err(e) => Err(SourceError::Unavailable(format!("reading was interrupted: {e}"))),
        }
    }

    /// Turns what was read into a page, and moves on.
    fn page(&mut self, tail: Tail, run: Run) -> Page {
        let gap = self.gap(&run);
        let newest = run.records.last().map(|r| r.arrival);
        let lag = Lag {
            millis: match newest {
                Some(arrival) if !run.complete => tail.arrival.0.saturating_sub(arrival.0),
                _ => 0,
            },
            records: Some(tail.end.saturating_sub(run.next)),
        };
        self.cursor.next = run.next;
        if !run.records.is_empty() {
            // Arrivals never fall: what follows is late enough too.
            self.cursor.not_before = Wall(0);
        }
        if !run.records.is_empty() || gap.is_some() {
            (self.cursor.placed, self.cursor.asked) = (true, None);
        }
        self.behind = !run.complete;
        self.ended = run.complete && tail.closed;
        let through = run
            .next
            .checked_sub(1)
            .map(|last| mark_of(self.shard.index, last));
        Page {
            records: run.records,
            through,
            lag,
            gap,
            end: self.ended,
        }
    }

    fn gap(&self, run: &Run) -> Option<Gap> {
        let below = run.lost_below.filter(|_| self.cursor.placed)?;
        let here = Position::At(mark_of(self.shard.index, self.cursor.next));
        Some(Gap {
            wanted: self.cursor.asked.unwrap_or(here),
            found: mark_of(self.shard.index, below),
        })
    }
}

#[async_trait]
impl ShardReader for Reader {
    async fn next(&mut self, credit: Credit) -> Result<Page, SourceError> {
        let tail = *self.tail.borrow_and_update();
        if tail.gone {
            return Err(SourceError::NotFound(self.arn.to_string()));
        }
        let run = self.read(self.window(tail), credit).await?;
        Ok(self.page(tail, run))
    }

    async fn wait(&mut self) {
        loop {
            let tail = *self.tail.borrow_and_update();
            let more = tail.end > self.cursor.next || (tail.closed && !self.ended);
            if more || tail.gone || self.tail.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The offset that a mark means in a shard.
fn offset_of(shard: u32, mark: Mark) -> u64 {
    match place_of(mark.seq) {
        Some((of, offset)) if of == shard => offset,
        _ if mark < mark_of(shard, 0) => 0,
        _ => u64::MAX,
    }
}

fn unavailable(e: &LogError) -> SourceError {
    SourceError::Unavailable(e.to_string())
}
