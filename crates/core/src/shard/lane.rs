//! One lane: the records that wait, the batch in progress, and how far it is finished.

use super::batch::Waiting;
use super::config::Limits;
use super::head::{Head, Phase};
use millstream_types::durable::HeadRecord;
use millstream_types::{Mark, Mono};
use std::collections::VecDeque;

/// One parallel slot of a shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// Every record of the lane up to here is finished.
    pub(super) done_through: Option<Mark>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) waiting_bytes: usize,
    /// When the first of `waiting` came to the front of an empty lane.
    pub(super) waiting_since: Mono,
    /// When the last invocation ended.
    pub(super) idle_since: Mono,
    pub(super) head: Option<Head>,
    /// A stored batch whose records are still being read again.
    pub(super) restoring: Option<HeadRecord>,
    /// Newer records are left at the source: `Some(m)` if all up to `m` were taken in.
    pub(super) lagging: Option<Option<Mark>>,
    /// After memory was given back, do not refill before the batch in trouble has moved.
    pub(super) hold: bool,
    /// Waits for a commit before anything more of it is sent.
    pub(super) gated: bool,
    /// Records finished since the record of the newest commit was made.
    pub(super) unstored: usize,
    /// Records whose being finished is in the commit on its way.
    pub(super) storing: usize,
}

impl Lane {
    pub(super) fn is_idle(&self) -> bool {
        self.head.is_none() && self.waiting.is_empty() && self.restoring.is_none()
    }

    pub(super) fn in_flight(&self) -> bool {
        self.head
            .as_ref()
            .is_some_and(|h| matches!(h.phase, Phase::InFlight(_)))
    }

    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        // A batch that is being restored must become complete, whatever its size under older settings.
        self.restoring.is_some()
            || (self.waiting.len() < limits.lane_records && self.waiting_bytes < limits.lane_bytes)
    }

    /// Whether it is worth reading old records again for it.
    pub(super) fn wants_catch_up(&self, limits: &Limits) -> bool {
        let half = Limits {
            lane_records: (limits.lane_records / 2).max(1),
            lane_bytes: (limits.lane_bytes / 2).max(1),
            ..*limits
        };
        self.lagging.is_some() && !self.hold && self.has_room(&half)
    }

    /// Whether a crash now could repeat so much that nothing may be added to it: what is finished and not stored
    /// is more than one batch. The attempt that is started otherwise makes it two batches at most.
    pub(super) fn is_ahead(&self, batch_size: usize) -> bool {
        self.unstored + self.storing > batch_size
    }

    pub(super) fn push(&mut self, waiting: Waiting, now: Mono) {
        if self.waiting.is_empty() {
            self.waiting_since = now;
        }
        self.waiting_bytes += waiting.entry.encoded_len as usize;
        self.waiting.push_back(waiting);
    }

    pub(super) fn take(&mut self, n: usize, now: Mono) -> Vec<Waiting> {
        let taken: Vec<Waiting> = self.waiting.drain(..n.min(self.waiting.len())).collect();
        self.waiting_bytes -= taken.iter().map(|w| w.entry.encoded_len as usize).sum::<usize>();
        self.waiting_since = now;
        taken
    }

    /// The finished prefix, given how far the shard was read.
    pub(super) fn finished_through(&self, read_through: Option<Mark>) -> Option<Mark> {
        let nothing_left = self.is_idle();
        match self.lagging {
            None if nothing_left => read_through.max(self.done_through),
            Some(taken_in) if nothing_left => taken_in.max(self.done_through),
            _ => self.done_through,
        }
    }

    /// Before records are put into it: a lane with nothing to do was finished as far as the shard was read, and
    /// that must not be forgotten when it gets something to do.
    pub(super) fn keep_progress(&mut self, read_through: Option<Mark>) {
        self.done_through = self.finished_through(read_through);
    }

    /// Up to where its records were taken into memory.
    pub(super) fn taken_through(&self, read_through: Option<Mark>) -> Option<Mark> {
        self.lagging.unwrap_or(read_through)
    }

    /// Gives back the memory of records that wait behind a batch in trouble; they are read again later.
    pub(super) fn shed(&mut self) -> usize {
        let stuck = self
            .head
            .as_ref()
            .is_some_and(|h| h.phase == Phase::Waiting && h.troubled);
        if !stuck || self.waiting.is_empty() {
            return 0;
        }
        let kept = self
            .head
            .as_ref()
            .and_then(Head::last_mark)
            .max(self.done_through);
        self.lagging = Some(kept);
        self.hold = true;
        self.waiting.clear();
        std::mem::take(&mut self.waiting_bytes)
    }
}
