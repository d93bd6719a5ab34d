//! The batch a lane works on: a stack of parts, the current one on top (semantics, section 7).

use crate::ids::IdSource;
use crate::mutant::{self, Mutant};
use millstream_types::durable::{HeadRecord, SegmentRecord};
use millstream_types::{Mark, Mono, Now, Record, RequestId, ResponseContext, Wall};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What the current part is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// May be sent once its time has come.
    Waiting,
    /// An attempt with this number runs.
    InFlight(u64),
    /// Waits for a commit before it goes on.
    Committing,
}

/// A part of a batch with its own retry budget and request id.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) range: Range<usize>,
    pub(super) attempts: u32,
    pub(super) request_id: RequestId,
    pub(super) not_before: Option<(Mono, Wall)>,
    pub(super) last_response: Option<ResponseContext>,
    pub(super) last_error: Option<String>,
    /// Throttles in a row; forgotten by a crash, as they cost nothing.
    pub(super) throttles: u32,
}

impl Segment {
    fn fresh(range: Range<usize>, ids: &mut IdSource) -> Self {
        Self {
            range,
            attempts: 0,
            request_id: ids.request(),
            not_before: None,
            last_response: None,
            last_error: None,
            throttles: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether it was sent, as far as is known: without an answer since a restart it was not.
    pub(super) fn was_offered(&self) -> bool {
        self.attempts > 0 || self.throttles > 0
    }
}

/// The batch a lane works on.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) records: Arc<[Record]>,
    /// Bytes of the first n records in an event, for n from 0.
    sums: Arc<[u64]>,
    /// Never empty; a part further up comes earlier in the stream.
    pub(super) stack: Vec<Segment>,
    pub(super) phase: Phase,
    /// Whether it failed or was split: then it is part of the shard's record.
    pub(super) troubled: bool,
    /// How long its first record had waited in the lane, until it is sent for the first time; for people.
    pub(super) waited: Option<Duration>,
}

impl Head {
    pub(super) fn new(records: Vec<(Record, u32)>, ids: &mut IdSource) -> Self {
        let n = records.len();
        let mut sum = 0;
        let ends = records.iter().map(|r| {
            sum += u64::from(r.1);
            sum
        });
        let sums: Arc<[u64]> = std::iter::once(0).chain(ends).collect();
        let records: Arc<[Record]> = records.into_iter().map(|r| r.0).collect();
        Self {
            records,
            sums,
            stack: vec![Segment::fresh(0..n, ids)],
            phase: Phase::Waiting,
            troubled: false,
            waited: None,
        }
    }

    /// A batch without records.
    pub(super) fn empty(ids: &mut IdSource) -> Self {
        Self::new(Vec::new(), ids)
    }

    /// The batch a stored head described, from the records up to its end that still exist; none if none do.
    pub(super) fn restore(
        records: Vec<(Record, u32)>,
        stored: &HeadRecord,
        now: Now,
        ids: &mut IdSource,
    ) -> Option<Self> {
        let mut head = Self::new(records, ids);
        let mut stack = Vec::with_capacity(stored.segments.len());
        let mut start = 0;
        // From the earliest part on: what lies between two parts goes with the later one, so no record is left out.
        for s in stored.segments.iter().rev() {
            let end = head.records.partition_point(|r| Some(r.mark) <= s.last);
            if end > start || s.last.is_none() {
                stack.push(Segment {
                    range: start..end,
                    attempts: if mutant::on(Mutant::LostRetryCounter) {
                        0
                    } else {
                        s.attempts
                    },
                    request_id: s.request_id,
                    not_before: s.not_before.map(|at| (now.mono_at(at), at)),
                    last_response: s.last_response.clone(),
                    last_error: None,
                    throttles: 0,
                });
                start = end;
            }
        }
        stack.reverse();
        head.troubled = true;
        head.stack = stack;
        (!head.stack.is_empty()).then_some(head)
    }

    pub(super) fn stored(&self) -> Option<HeadRecord> {
        let segment = |s: &Segment| {
            let records = self.slice(s.range.clone());
            SegmentRecord {
                first: records.first().map(|r| r.mark),
                last: records.last().map(|r| r.mark),
                attempts: s.attempts,
                request_id: s.request_id,
                not_before: s.not_before.map(|(_, wall)| wall),
                last_response: s.last_response.clone(),
            }
        };
        let segments: Vec<_> = self.stack.iter().map(segment).collect();
        (self.troubled && !segments.is_empty()).then_some(HeadRecord { segments })
    }

    pub(super) fn current(&self) -> Option<&Segment> {
        self.stack.last()
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Segment> {
        self.stack.last_mut()
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[Record] {
        self.records.get(range).unwrap_or_default()
    }

    /// The last record of the whole batch.
    pub(super) fn last_mark(&self) -> Option<Mark> {
        let end = self.stack.first()?.range.end;
        self.records.get(end.checked_sub(1)?).map(|r| r.mark)
    }

    /// Bytes that the records of the range take in an event, without commas and envelope.
    pub(super) fn bytes_of(&self, range: &Range<usize>) -> usize {
        let at = |n: usize| self.sums.get(n).copied().unwrap_or_default();
        at(range.end).saturating_sub(at(range.start)) as usize
    }

    /// Bytes of all unfinished parts.
    pub(super) fn bytes(&self) -> usize {
        let start = self.stack.last().map_or(self.records.len(), |s| s.range.start);
        self.bytes_of(&(start..self.records.len()))
    }

    /// Removes the current part, finished as a whole, and returns its records' range.
    pub(super) fn pop(&mut self) -> Range<usize> {
        self.phase = Phase::Waiting;
        self.stack.pop().map_or(0..0, |s| s.range)
    }

    /// Splits the current part at ⌊n/2⌋, the first half on top, each with a budget and an id of its own.
    pub(super) fn split(&mut self, ids: &mut IdSource) {
        if let Some(whole) = self.stack.pop() {
            let middle = whole.range.start + whole.len() / 2;
            let forgotten = usize::from(mutant::on(Mutant::BisectDropsMiddle) && whole.len() > 2);
            self.stack
                .push(Segment::fresh(middle + forgotten..whole.range.end, ids));
            self.stack.push(Segment::fresh(whole.range.start..middle, ids));
            self.troubled = true;
        }
    }

    /// Cuts the first `n` records off the current part, which goes on as a new part with a new budget.
    pub(super) fn suffix(&mut self, n: usize, ids: &mut IdSource) -> Range<usize> {
        let Some(whole) = self.stack.pop() else {
            return 0..0;
        };
        let middle = whole.range.start + n;
        self.stack.push(Segment::fresh(middle..whole.range.end, ids));
        self.phase = Phase::Waiting;
        whole.range.start..middle
    }

    /// Cuts the current part in two behind its first `n` records, without anything having failed: both keep its budget,
    /// under ids of their own.
    pub(super) fn cut(&mut self, n: usize, ids: &mut IdSource) {
        if let Some(whole) = self.stack.pop() {
            let middle = whole.range.start + n;
            let mut part = |range| Segment {
                range,
                request_id: ids.request(),
                ..whole.clone()
            };
            let rest = part(middle..whole.range.end);
            let first = part(whole.range.start..middle);
            self.stack.extend([rest, first]);
        }
    }

    /// Puts a part without records before the current one.
    pub(super) fn interrupt(&mut self, ids: &mut IdSource) {
        let at = self.current().map_or(self.records.len(), |s| s.range.start);
        self.stack.push(Segment::fresh(at..at, ids));
    }

    /// Cuts the first `n` records off the current part, which keeps its budget; its id changes with its content.
    pub(super) fn shorten(&mut self, n: usize, ids: &mut IdSource) -> Range<usize> {
        let Some(current) = self.stack.last_mut() else {
            return 0..0;
        };
        let cut = current.range.start..current.range.start + n;
        current.range.start = cut.end;
        current.request_id = ids.request();
        cut
    }
}
