//! The machine itself: its inputs, its actions, and the order in which they are worked through.

use super::batch::Waiting;
use super::carried::Carried;
use super::commits::{CommitOrder, CommitToken, Commits, StoredProgress};
use super::config::ShardConfig;
use super::cursors::{Cursor, Cursors, PageIn, ReadOrder};
use super::head::Phase;
use super::inspect::Counters;
use super::lane::Lane;
use super::windows::Windows;
use crate::ids::IdSource;
use crate::mutant::{self, Mutant};
use crate::route::Entry;
use crate::verdict::Verdict;
use bytes::Bytes;
use millstream_types::commit::CommitOutcome;
use millstream_types::invocation::RecordRange;
use millstream_types::{Mark, Mono, Now, Position, RequestId, Wall, WindowEnvelope};
use std::time::Duration;

/// How long nothing is sent after an attempt was held. A drain is on its way then, so this bounds only how often it is
/// tried in vain until that comes.
const HELD_FOR: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Read a page.
    Read(ReadOrder),
    /// Store.
    Commit(CommitOrder),
    /// Run one attempt.
    Invoke(AttemptOrder),
    /// The machine has stopped; nothing follows.
    Stopped(StopReason),
}

/// Why a machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The shard is closed, and all of it is finished and stored.
    Finished,
    /// As asked; everything is stored.
    Drained,
    /// Another owner has the shard: this one must not do anything more.
    Fenced,
    /// Nobody knows whether a commit is stored: take a new lease and read.
    Uncertain,
}

/// Identifies an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptToken {
    /// The lane.
    pub lane: u8,
    /// A number of its own within this machine.
    pub serial: u64,
}

/// Run one attempt, and answer with [`ShardMachine::on_attempt`]; or with [`ShardMachine::on_held`] if it must not start.
#[derive(Clone, Debug)]
pub struct AttemptOrder {
    /// Its number.
    pub token: AttemptToken,
    /// The id of the request.
    pub request_id: RequestId,
    /// Which attempt of this batch, from 1.
    pub attempt: u32,
    /// The records.
    pub batch: RecordRange,
    /// How long the first of them waited at the front of its lane until the batch was made; when a batch is sent for
    /// the first time, and was not stored by an earlier owner.
    pub waited: Option<Duration>,
    /// The tumbling window they belong to; none without windows.
    pub window: Option<WindowEnvelope>,
    /// The last record of the lane that is finished; with it a batch without records can be told from others.
    pub after: Option<Mark>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// Its number.
    pub token: AttemptToken,
    /// What it means.
    pub verdict: Verdict,
    /// When it was sent.
    pub started: Wall,
    /// In a tumbling window, what the function returned as its state, if there was progress
    /// ([`crate::verdict::window_verdict`]). Without one there is none.
    pub state: Option<Bytes>,
}

impl AttemptReport {
    /// As if the code had not run: it costs no attempt.
    #[must_use]
    pub fn not_run(token: AttemptToken, started: Wall) -> Self {
        Self {
            token,
            verdict: Verdict::Throttled { retry_after: None },
            started,
            state: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Running,
    Draining,
    Stopped,
}

/// Decides everything about one shard of one mapping.
#[derive(Clone, Debug)]
pub struct ShardMachine {
    pub(super) config: ShardConfig,
    pub(super) ids: IdSource,
    pub(super) start: Position,
    pub(super) lanes: Vec<Lane>,
    pub(super) carried: Carried,
    pub(super) cursors: Cursors,
    /// None if there are no tumbling windows.
    pub(super) windows: Option<Windows>,
    pub(super) commits: Commits,
    pub(super) mode: Mode,
    pub(super) now: Now,
    pub(super) attempts: u64,
    /// Nothing is sent before this.
    pub(super) held: Option<Mono>,
    pub(super) finish_stored: bool,
    pub(super) stored_through: Option<Mark>,
    /// What a crash now would leave.
    pub(super) stored: StoredProgress,
    pub(super) counters: Counters,
    pub(super) last_attempt_failed: Option<bool>,
}

impl ShardMachine {
    /// Begins to read and invoke.
    pub fn start(&mut self, now: Now, out: &mut Vec<Action>) {
        self.advance(now, out);
    }

    /// A page was read.
    pub fn on_page(&mut self, page: PageIn, now: Now, out: &mut Vec<Action>) {
        if page.generation != self.config.generation {
            // What other filters decided is not ours: read again.
            self.cursors.disregard(page.serial);
        } else if self.mode == Mode::Running {
            match page.cursor {
                Cursor::Main if self.cursors.main == Some(page.serial) => self.take_main(page, now),
                Cursor::CatchUp => self.take_catch_up(page, now),
                Cursor::Main => {}
            }
        }
        self.advance(now, out);
    }

    /// The main cursor looked and found nothing new; how far that is behind the newest record.
    pub fn on_lag(&mut self, lag_ms: u64, lag_records: Option<u64>, now: Now, out: &mut Vec<Action>) {
        self.cursors.lag_ms = Some(lag_ms);
        self.cursors.lag_records = lag_records;
        self.cursors.caught_up = true;
        self.advance(now, out);
    }

    /// The source cannot be read: whether all there is has been read is not known until it was looked at again.
    pub fn on_unreadable(&mut self) {
        self.cursors.caught_up = false;
    }

    fn take_main(&mut self, page: PageIn, now: Now) {
        self.cursors.main = None;
        self.cursors.caught_up = false;
        let before = self.cursors.read_through;
        self.counters.records_read += page.filtered;
        self.counters.records_filtered += page.filtered;
        for quarantined in page.quarantined {
            self.quarantine(quarantined, now);
        }
        for (l, entries) in page.lanes.into_iter().enumerate() {
            self.counters.records_read += entries.len() as u64;
            let Some(lane) = self.lanes.get_mut(l) else {
                continue;
            };
            if lane.lagging.is_some() || entries.is_empty() {
                continue;
            }
            if lane.has_room(&self.config.limits) {
                lane.keep_progress(before);
                accept(lane, &self.carried, entries, now);
            } else {
                lane.lagging = Some(before);
            }
        }
        self.cursors.read_through = before.max(page.through);
        self.cursors.at_end = page.end;
        self.cursors.lag_ms = Some(page.lag_ms);
        self.cursors.lag_records = page.lag_records;
    }

    fn take_catch_up(&mut self, page: PageIn, now: Now) {
        let Some(order) = self.cursors.catch_up.filter(|o| o.serial == page.serial) else {
            return;
        };
        self.cursors.catch_up = None;
        let limits = self.config.limits;
        let reached = if page.tip || page.end {
            page.through.max(order.main_was_at)
        } else {
            page.through
        };
        // What lies behind the main cursor comes with one of its own pages, which may be on its way already.
        let met = self.cursors.read_through;
        for (lane, entries) in self.lanes.iter_mut().zip(page.lanes) {
            // A lane that had taken in less than where this page begins would get a hole.
            let Some(taken_in) = lane.lagging.filter(|taken_in| *taken_in >= order.from) else {
                continue;
            };
            if lane.has_room(&limits) {
                let fresh = entries
                    .into_iter()
                    .filter(|e| taken_in < Some(e.record.mark) && Some(e.record.mark) <= met)
                    .collect();
                lane.keep_progress(met);
                accept(lane, &self.carried, fresh, now);
                let taken_in = taken_in.max(reached);
                lane.lagging = (taken_in < met).then_some(taken_in);
            }
        }
    }

    /// An attempt ended.
    pub fn on_attempt(&mut self, report: AttemptReport, now: Now, out: &mut Vec<Action>) {
        let lane = usize::from(report.token.lane);
        let current = self
            .lanes
            .get(lane)
            .and_then(|l| l.head.as_ref())
            .map(|h| h.phase);
        if self.mode != Mode::Stopped && current == Some(Phase::InFlight(report.token.serial)) {
            self.judge(lane, report, now);
        }
        self.advance(now, out);
    }

    /// An attempt was not started, because its mapping is to start nothing: a newer version of it is paused or being
    /// removed, and the drain for that has not come yet. It is as if it had never been ordered: no attempt is spent,
    /// nothing is counted or entered in the history. No lane sends anything for a second.
    pub fn on_held(&mut self, token: AttemptToken, now: Now, out: &mut Vec<Action>) {
        let head = self
            .lanes
            .get_mut(usize::from(token.lane))
            .and_then(|l| l.head.as_mut())
            .filter(|h| h.phase == Phase::InFlight(token.serial));
        if let (true, Some(head)) = (self.mode != Mode::Stopped, head) {
            head.phase = Phase::Waiting;
            self.counters.attempts = self.counters.attempts.saturating_sub(1);
            self.held = Some(now.mono.plus(HELD_FOR));
        }
        self.advance(now, out);
    }

    /// A commit ended.
    pub fn on_commit(&mut self, token: CommitToken, outcome: CommitOutcome, now: Now, out: &mut Vec<Action>) {
        if self.mode == Mode::Stopped || self.commits.running.as_ref().is_none_or(|r| r.token != token) {
            return;
        }
        let running = self.commits.running.take();
        let outcome = match outcome {
            CommitOutcome::Unknown if mutant::on(Mutant::UnknownAsSuccess) => CommitOutcome::Committed,
            CommitOutcome::Unknown if mutant::on(Mutant::UnknownAsFailure) => {
                self.commits.require_sync();
                self.release(&running.map_or_else(Vec::new, |r| r.gated));
                return self.advance(now, out);
            }
            known => known,
        };
        match outcome {
            CommitOutcome::Committed => {
                if let Some(running) = running {
                    self.finish_stored |= running.finishes;
                    self.stored = running.progress;
                    for lane in &mut self.lanes {
                        lane.storing = 0;
                    }
                    self.release(&running.gated);
                }
                self.advance(now, out);
            }
            CommitOutcome::Rejected => self.stop(StopReason::Fenced, out),
            CommitOutcome::Unknown => self.stop(StopReason::Uncertain, out),
        }
    }

    fn release(&mut self, gated: &[usize]) {
        for lane in gated {
            if let Some(head) = self.lanes.get_mut(*lane).and_then(|l| l.head.as_mut())
                && head.phase == Phase::Committing
            {
                head.phase = Phase::Waiting;
            }
            if let Some(lane) = self.lanes.get_mut(*lane) {
                lane.gated = false;
            }
        }
    }

    /// The time given by [`ShardMachine::deadline`] has come.
    pub fn on_tick(&mut self, now: Now, out: &mut Vec<Action>) {
        self.advance(now, out);
    }

    /// Starts nothing more; [`Action::Stopped`] follows when what runs has ended and is stored.
    pub fn drain(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.mode == Mode::Running {
            self.mode = Mode::Draining;
            self.commits.require_sync();
        }
        self.advance(now, out);
    }

    /// Gives back memory of lanes that are stuck; returns how many bytes. They read again when they move.
    pub fn shed(&mut self) -> usize {
        self.lanes.iter_mut().map(Lane::shed).sum()
    }

    fn stop(&mut self, reason: StopReason, out: &mut Vec<Action>) {
        self.mode = Mode::Stopped;
        out.push(Action::Stopped(reason));
    }

    fn advance(&mut self, now: Now, out: &mut Vec<Action>) {
        self.now = now;
        if self.mode == Mode::Stopped {
            return;
        }
        if self.mode == Mode::Running {
            if self.held.is_none_or(|until| until <= now.mono) {
                for lane in 0..self.lanes.len() {
                    self.step(lane, now, out);
                }
            }
            self.read_more(out);
        }
        self.commit(out);
        let nothing_runs = self.commits.idle() && !self.lanes.iter().any(Lane::in_flight);
        if self.finish_stored && nothing_runs {
            self.stop(StopReason::Finished, out);
        } else if self.mode == Mode::Draining && nothing_runs {
            self.stop(StopReason::Drained, out);
        }
    }

    fn read_more(&mut self, out: &mut Vec<Action>) {
        let (start, limits) = (self.start, self.config.limits);
        out.extend(
            self.cursors
                .want_main(&self.lanes, start, &limits)
                .map(Action::Read),
        );
        out.extend(
            self.cursors
                .want_catch_up(&self.lanes, start, &limits)
                .map(Action::Read),
        );
    }

    fn commit(&mut self, out: &mut Vec<Action>) {
        let idle = self.lanes.iter().all(|l| l.is_idle() && l.lagging.is_none());
        let open = self.windows.as_ref().is_some_and(|w| w.open().is_some());
        let finishes = self.cursors.at_end && ((idle && !open) || mutant::on(Mutant::FinishedTooEarly));
        if finishes && !self.finish_stored && self.commits.running.as_ref().is_none_or(|r| !r.finishes) {
            self.commits.require_sync();
        } else if idle && self.stored_through < self.cursors.read_through {
            self.commits.note();
        }
        if self.commits.due() {
            if self.mode == Mode::Draining {
                // Whoever asked to drain goes on from what is stored last: a pause, other settings, another node.
                self.commits.require_sync();
            }
            let mut record = self.record(finishes);
            if mutant::on(Mutant::StaleCheckpoint) && self.attempts % 7 == 6 {
                record.lanes.iter_mut().for_each(|l| l.done_through = None);
            }
            self.stored_through = record.read_through;
            self.carried.prune(self.watermark());
            for lane in &mut self.lanes {
                lane.storing = std::mem::take(&mut lane.unstored);
            }
            out.push(Action::Commit(self.commits.take(record)));
        }
    }
}

fn accept(lane: &mut Lane, carried: &Carried, entries: Vec<Entry>, now: Now) {
    for entry in entries {
        let (key, mark) = (&entry.record.partition_key, entry.record.mark);
        let known = lane.done_through >= Some(mark) || carried.finished(key, mark);
        if !known {
            let carried = carried.part_of(key, mark);
            lane.push(Waiting { entry, carried }, now.mono);
        }
    }
}
