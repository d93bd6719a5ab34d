//! What becomes of a batch after an attempt (semantics, sections 8 and 10).

use super::history::Ended;
use super::item::{Item, Leaving};
use super::machine::{Mode, Order, QueueMachine};
use super::orders::{Action, AttemptReport, Obstacle, OrderId};
use super::poll::take;
use super::slot::Phase;
use crate::backoff::throttle_delay;
use crate::mutant::{self, Mutant};
use crate::verdict::QueueVerdict;
use millstream_types::durable::AttemptResult;
use millstream_types::{Now, Wall};
use std::time::Duration;

/// How long a batch is held that was not let go. A drain is on its way then, so this bounds only how often it is tried
/// in vain until that comes.
const NOT_LET_GO: Duration = Duration::from_secs(1);

impl QueueMachine {
    /// An attempt ended.
    pub fn on_attempt(&mut self, report: AttemptReport, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if let Some(Order::Attempt { slot }) = take(&mut self.orders, report.id, |o| {
            matches!(o, Order::Attempt { .. })
        }) {
            self.judge(slot, report.verdict, report.started, out);
            self.touch(slot, out);
        }
        self.advance(out);
    }

    /// An attempt came to nothing: its batch is held and sent again. That is no throttle: it says nothing about the
    /// function, and nothing is counted.
    pub fn on_held(&mut self, id: OrderId, why: Obstacle, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if let Some(Order::Attempt { slot }) =
            take(&mut self.orders, id, |o| matches!(o, Order::Attempt { .. }))
        {
            let (delay, reason) = match why {
                Obstacle::NotLetGo => {
                    self.counters.attempts = self.counters.attempts.saturating_sub(1);
                    (NOT_LET_GO, "the mapping is being paused or removed")
                }
                Obstacle::Fault => {
                    let s = &mut self.slots[slot];
                    s.throttles = s.throttles.saturating_add(1);
                    let delay = throttle_delay(s.throttles, None, self.ids.jitter());
                    (delay, "its attempt was lost by a fault of this node")
                }
            };
            self.hold(slot, delay, true, reason.to_owned());
            self.touch(slot, out);
        }
        self.advance(out);
    }

    fn judge(&mut self, slot: usize, verdict: QueueVerdict, started: Wall, out: &mut Vec<Action>) {
        let (result, failed, error) = match &verdict {
            QueueVerdict::Done => (AttemptResult::Done, Some(&[][..]), None),
            QueueVerdict::Partial { failed } => (AttemptResult::Partial, Some(&failed[..]), None),
            QueueVerdict::Failed { error } => (AttemptResult::Retry, None, Some(error.clone())),
            QueueVerdict::Throttled { unreachable, .. } => {
                (AttemptResult::Throttled, None, unreachable.clone())
            }
        };
        let ended = Ended {
            result,
            failed,
            error,
            started,
        };
        self.note(slot, ended, out);
        match verdict {
            QueueVerdict::Throttled {
                retry_after,
                unreachable,
            } => return self.throttled(slot, retry_after, unreachable),
            QueueVerdict::Done => self.finish(slot, &[]),
            QueueVerdict::Partial { failed } => self.finish(slot, &failed),
            QueueVerdict::Failed { error } => {
                self.counters.failures += 1;
                self.last_attempt_failed = Some(true);
                self.function_trouble = Some(error);
                self.scaler.on_failure();
                let items = self.release_batch(slot);
                self.leave_failed(slot, items);
            }
        }
        self.wake_held();
    }

    /// Deletes what succeeded, and leaves alone what did not.
    fn finish(&mut self, slot: usize, failed: &[usize]) {
        self.last_attempt_failed = Some(false);
        self.scaler.on_success();
        if failed.is_empty() {
            self.function_trouble = None;
        } else {
            self.counters.failures += 1;
        }
        let mut left = Vec::new();
        for (at, mut item) in self.release_batch(slot).into_iter().enumerate() {
            let deletes_all = mutant::on(Mutant::DeleteDespitePartial);
            if failed.binary_search(&at).is_ok() && !deletes_all {
                left.push(item);
            } else {
                self.counters.done += 1;
                item.leaving = Leaving::Delete;
                item.tries = 0;
                self.slots[slot].settlement.deletes.push_back(item);
            }
        }
        self.leave_failed(slot, left);
    }

    /// The messages come back by themselves; only what an extension had added is taken off again. What was carried
    /// over of their groups must not go before them.
    pub(super) fn leave_failed(&mut self, slot: usize, items: Vec<Item>) {
        for item in items {
            self.counters.failed += 1;
            let until = item.at_first_until.max(self.now.mono);
            if let Some(group) = item.group(self.config.fifo) {
                self.gate.fail(group, item.sequence(), until);
            }
            if item.extended || item.renewing.is_some() {
                self.show_at(slot, item, until);
            } else {
                self.part(slot, &item);
            }
        }
        if !self.config.fifo {
            return;
        }
        for item in std::mem::take(&mut self.slots[slot].carry) {
            if item.group(true).is_some_and(|g| self.gate.has_failed(g)) {
                self.give_back(slot, item);
            } else {
                self.slots[slot].carry.push_back(item);
            }
        }
    }

    /// No capacity: nothing was spent, so nothing is given up (semantics, section 10).
    fn throttled(&mut self, slot: usize, retry_after: Option<Duration>, unreachable: Option<String>) {
        self.counters.throttles += 1;
        let s = &mut self.slots[slot];
        s.throttles = s.throttles.saturating_add(1);
        let delay = throttle_delay(s.throttles, retry_after, self.ids.jitter());
        let reason = match &unreachable {
            Some(why) => format!("the function cannot be reached: {why}"),
            None => "the function has no more capacity".to_owned(),
        };
        if let Some(why) = unreachable {
            self.function_trouble = Some(why);
        }
        self.hold(slot, delay, retry_after.is_some(), reason);
        self.scaler.on_throttle(self.in_use.running);
    }

    /// Keeps a batch until it is sent again; `patient` if it is not to go before its time.
    fn hold(&mut self, slot: usize, delay: Duration, patient: bool, reason: String) {
        let place = self.next_id();
        let s = &mut self.slots[slot];
        s.not_before = self.now.mono.plus(delay);
        s.hold = Some((place, patient));
        s.reason = Some(reason);
        self.held.insert((place, slot));
        self.set_phase(slot, Phase::Held);
    }

    /// An attempt ended, so there is room for another: the batch that waits longest need not wait for its time, unless
    /// it is to.
    fn wake_held(&mut self) {
        if self.mode != Mode::Running {
            return;
        }
        let willing = |(_, slot): &&(u64, usize)| self.slots[*slot].hold.is_some_and(|(_, patient)| !patient);
        if let Some((_, slot)) = self.held.iter().find(willing).copied() {
            self.slots[slot].not_before = self.now.mono;
            self.woken.push(slot);
        }
    }
}
