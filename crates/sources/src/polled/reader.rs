//! The reader of one shard: takes its turns, keeps its place, shares the tip.
//!
//! What was fetched and not yet handed out waits here; a call brings about as many bytes as are asked for, as far as
//! the size of earlier records tells.

use super::place::Place;
use super::stream::{SharedShard, SharedStream};
use super::tip::{Look, Tip, TipState};
use super::{Fetched, IteratorAt, Wire, WireError, take_within};
use crate::pace::Idle;
use async_trait::async_trait;
use millstream_ports::{Clock, Credit, Gap, Lag, Page, ShardReader, SourceError};
use millstream_types::{Position, Record, ShardId, Wall};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How often an iterator is made anew within one read.
const ITERATORS_PER_READ: usize = 3;
/// What a record is taken for before the first was seen, in bytes.
const FIRST_GUESS: usize = 1 << 10;

/// What a reader is made of.
pub(crate) struct ReaderArgs {
    pub(crate) wire: Arc<dyn Wire>,
    pub(crate) stream: Arc<SharedStream>,
    pub(crate) share: Arc<SharedShard>,
    pub(crate) shard: ShardId,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Reads one shard.
pub(crate) struct Reader {
    args: ReaderArgs,
    place: Place,
    /// The iterator that leads on from the place, while the reader does not read at the tip.
    own: Option<String>,
    /// Fetched, not handed out.
    pending: VecDeque<Record>,
    /// When the newest of them arrived.
    newest: Option<Wall>,
    /// What the last call said of the place behind all that is pending.
    said: TipState,
    /// Nothing follows what is pending.
    at_end: bool,
    /// The end was handed out.
    end_told: bool,
    /// Bytes of a record, about.
    typical: usize,
    idle: Idle,
}

impl Reader {
    pub(crate) fn new(args: ReaderArgs, from: Position) -> Self {
        let manners = args.wire.manners();
        Self {
            place: Place::new(from, None),
            own: None,
            pending: VecDeque::new(),
            newest: None,
            said: TipState::default(),
            at_end: from == Position::End,
            end_told: from == Position::End,
            typical: FIRST_GUESS,
            idle: Idle::new(manners.shortest_wait, manners.longest_wait),
            args,
        }
    }

    /// Fills what is pending, if there is anything to be had. Returns what was lost on the way.
    async fn fill(&mut self, credit: Credit) -> Result<Option<Gap>, SourceError> {
        let mut refused = WireError::Expired;
        for _ in 0..ITERATORS_PER_READ {
            match self.round(credit).await {
                Ok(gap) => return Ok(gap),
                // The place is still known: another iterator leads there.
                Err(error @ (WireError::Expired | WireError::Trimmed | WireError::Refused(_))) => {
                    self.own = None;
                    refused = error;
                }
                Err(error) => return Err(self.explain(error).await),
            }
        }
        Err(refused.for_stream(self.args.wire.arn()))
    }

    /// One call with an iterator, or what others got by one.
    async fn round(&mut self, credit: Credit) -> Result<Option<Gap>, WireError> {
        if self.at_tip(credit).await? {
            return Ok(None);
        }
        let iterator = self.own_iterator().await?;
        let fetched = self.fetch(&iterator, credit).await?;
        Ok(self.take_own(fetched))
    }

    /// Reads at the tip, if this reader belongs there.
    async fn at_tip(&mut self, credit: Credit) -> Result<bool, WireError> {
        let Some(at) = self.place.last() else {
            return Ok(false);
        };
        let share = Arc::clone(&self.args.share);
        let mut slot = share.tip.lock().await;
        let look = slot
            .as_ref()
            .map_or(Look::Behind, |tip| tip.look(at, self.said.calls));
        let iterator = match look {
            Look::Ahead => return Ok(false),
            Look::Records(records, state) => {
                self.leave(&records, state);
                return Ok(true);
            }
            Look::Nothing(state) => {
                self.leave(&[], state);
                return Ok(true);
            }
            Look::End => {
                self.at_end = true;
                return Ok(true);
            }
            Look::Read(iterator) => iterator,
            Look::Behind => {
                let Some(iterator) = self.own.take_if(|_| self.place.is_sure()) else {
                    return Ok(false);
                };
                let state = TipState {
                    read_until: self.place.read_until(),
                    ..self.said
                };
                *slot = Some(Tip::new(at, iterator.clone(), state));
                iterator
            }
        };
        match self.fetch(&iterator, credit).await {
            Ok(fetched) => {
                if let Some(tip) = slot.as_mut() {
                    self.share_out(tip, &fetched);
                }
                Ok(true)
            }
            Err(error) => Err(self.drop_tip(&mut slot, error)),
        }
    }

    /// A tip whose iterator is not taken any more is of no use; the place and its time are.
    fn drop_tip(&mut self, slot: &mut Option<Tip>, error: WireError) -> WireError {
        if let (WireError::Expired | WireError::Trimmed | WireError::Refused(_), Some(tip)) =
            (&error, slot.as_ref())
        {
            if let Some(last) = self.place.last() {
                self.place.follow(last, tip.state().read_until);
            }
            *slot = None;
        }
        error
    }

    /// Takes what was read at the tip, and leaves it there for the others.
    fn share_out(&mut self, tip: &mut Tip, fetched: &Fetched) {
        // One is the stream's, one this reader's, one this call's.
        let shared = Arc::strong_count(&self.args.share) > 3;
        tip.add(fetched, shared);
        self.leave(&fetched.records, tip.state());
        self.at_end = fetched.next.is_none();
    }

    /// Stands at the tip now, behind these records.
    fn leave(&mut self, records: &[Record], state: TipState) {
        self.own = None;
        self.said = state;
        self.idle.read(!records.is_empty());
        let last = records.last().map(|r| r.mark).or(self.place.last());
        if let Some(last) = last {
            self.place.follow(last, state.read_until);
        }
        self.pend(records.iter().cloned());
    }

    /// The iterator of a reader that is on its own.
    async fn own_iterator(&mut self) -> Result<String, WireError> {
        if let Some(iterator) = &self.own {
            return Ok(iterator.clone());
        }
        let at = self.place.iterator_at();
        let made = match self.make_iterator(at).await {
            // The place is before the oldest record, or the service cannot tell what is: it is found by reading.
            Err(WireError::Trimmed | WireError::Refused(_)) if at != IteratorAt::Oldest => {
                self.make_iterator(IteratorAt::Oldest).await
            }
            made => made,
        };
        let iterator = made?;
        self.own = Some(iterator.clone());
        Ok(iterator)
    }

    async fn make_iterator(&self, at: IteratorAt) -> Result<String, WireError> {
        let ReaderArgs {
            wire,
            share,
            shard,
            clock,
            ..
        } = &self.args;
        share.pace.turn_to_iterate(clock.as_ref()).await;
        let made = wire.iterator(shard, at).await;
        match &made {
            Ok(_) => share.pace.iterator_made(clock.now().mono),
            Err(WireError::Throttled) => share.pace.iterator_throttled(clock.now().mono),
            Err(_) => {}
        }
        made
    }

    async fn fetch(&mut self, iterator: &str, credit: Credit) -> Result<Fetched, WireError> {
        let ReaderArgs {
            wire, share, clock, ..
        } = &self.args;
        let limit = (credit.bytes / self.typical.max(1)).clamp(1, wire.manners().records);
        share.pace.turn_to_read(clock.as_ref()).await;
        let fetched = wire.read(iterator, limit).await;
        match &fetched {
            Ok(fetched) => {
                share.pace.read(clock.now().mono, fetched.bytes);
                if let Some(size) = fetched.bytes.checked_div(fetched.records.len()) {
                    // Large records are believed at once, small ones by and by.
                    self.typical = size.max(self.typical - self.typical / 4);
                }
            }
            Err(WireError::Throttled) => share.pace.read_throttled(clock.now().mono),
            Err(_) => {}
        }
        fetched
    }

    fn take_own(&mut self, fetched: Fetched) -> Option<Gap> {
        self.idle.read(!fetched.records.is_empty());
        let (records, gap) = self.place.take(fetched.records, fetched.date, fetched.behind);
        self.said = TipState {
            behind: fetched.behind,
            more: fetched.more,
            ..self.said
        };
        self.at_end = fetched.next.is_none();
        self.own = fetched.next;
        self.pend(records);
        gap
    }

    fn pend(&mut self, records: impl IntoIterator<Item = Record>) {
        self.pending.extend(records);
        self.newest = self.pending.back().map(|r| r.arrival);
    }

    /// The next page out of what is pending.
    fn page(&mut self, credit: Credit) -> Page {
        let records = take_within(&mut self.pending, credit);
        let left = match (records.last(), self.newest) {
            (Some(last), Some(newest)) if !self.pending.is_empty() => newest.since(last.arrival),
            _ => Duration::ZERO,
        };
        let through = records.last().map(|r| r.mark);
        Page {
            lag: Lag {
                millis: (self.said.behind.unwrap_or_default() + left)
                    .as_millis()
                    .try_into()
                    .unwrap_or(u64::MAX),
                records: None,
            },
            through: through.or(self.place.last()),
            gap: None,
            end: self.at_end && self.pending.is_empty(),
            records,
        }
    }

    /// What is missing: the shard, or the whole stream?
    async fn explain(&self, error: WireError) -> SourceError {
        let ReaderArgs { wire, shard, .. } = &self.args;
        if error != WireError::Missing {
            return error.for_stream(wire.arn());
        }
        match wire.list().await {
            Ok(listing) if !listing.shards.iter().any(|s| s.id == *shard) => SourceError::NoSuchShard {
                arn: wire.arn().to_owned(),
                shard: shard.clone(),
            },
            Ok(_) => SourceError::Unavailable(format!("shard {shard} of {} is not found now", wire.arn())),
            Err(error) => error.for_stream(wire.arn()),
        }
    }
}

#[async_trait]
impl ShardReader for Reader {
    async fn next(&mut self, credit: Credit) -> Result<Page, SourceError> {
        let mut gap = None;
        if self.pending.is_empty() && !self.at_end {
            gap = self.fill(credit).await?;
        }
        let page = Page {
            gap,
            ..self.page(credit)
        };
        if page.end && !self.end_told {
            self.end_told = true;
            self.args.stream.shard_ended();
        }
        Ok(page)
    }

    async fn wait(&mut self) {
        let more = self.said.more && !self.at_end;
        if more || !self.pending.is_empty() {
            return;
        }
        let clock = &self.args.clock;
        clock.sleep_until(clock.now().mono.plus(self.idle.wait())).await;
    }
}

#[cfg(test)]
mod tests;
