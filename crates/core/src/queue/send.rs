//! What a slot does next: wait for more, send, give back, end.

use super::history::Ended;
use super::item::Item;
use super::machine::{Mode, Order, QueueMachine};
use super::orders::{Action, AttemptOrder};
use super::slot::Phase;
use millstream_types::Mono;
use millstream_types::durable::AttemptResult;
use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

/// How long a batch whose window is over waits for receives that are still on their way.
const GRACE: Duration = Duration::from_secs(1);
/// The error's type of a message that does not fit into an event.
const TOO_LARGE: &str = "PayloadTooLarge";

impl QueueMachine {
    /// Does one step; true if there may be another.
    pub(super) fn step(&mut self, slot: usize, out: &mut Vec<Action>) -> bool {
        let draining = self.mode != Mode::Running;
        match self.slots[slot].phase {
            Phase::Free | Phase::Invoking(_) => false,
            Phase::Receiving if self.slots[slot].receives > 0 => false,
            Phase::Receiving => {
                self.end(slot);
                false
            }
            Phase::Filling | Phase::Gated | Phase::Held if draining => {
                self.give_all_back(slot);
                true
            }
            Phase::Filling if self.is_cut(slot) => self.send(slot, out),
            Phase::Filling => false,
            Phase::Gated => self.send(slot, out),
            Phase::Held if self.slots[slot].not_before <= self.now.mono => self.send(slot, out),
            Phase::Held => false,
            Phase::Settling => self.end_settling(slot),
        }
    }

    /// Whether the batch takes no more (semantics 4.1: window, size or payload, whichever is first).
    fn is_cut(&self, slot: usize) -> bool {
        let s = &self.slots[slot];
        let now = self.now.mono;
        s.items.len() >= self.config.batch_size
            || !s.carry.is_empty()
            || s.bytes >= self.config.limits.event_bytes
            || (now >= s.window_end && s.receives == 0)
            || now >= s.window_end.plus(GRACE)
    }

    /// Sends the batch, unless nothing of it is left or a group must be waited for.
    fn send(&mut self, slot: usize, out: &mut Vec<Action>) -> bool {
        self.drop_lost(slot);
        self.drop_superseded(slot);
        let s = &self.slots[slot];
        if s.items.is_empty() {
            self.release_batch(slot);
            return true;
        }
        if s.bytes > self.config.limits.event_bytes {
            self.fail_oversized(slot, out);
            return true;
        }
        let is_ours = |i: &Item| {
            i.group(self.config.fifo)
                .is_none_or(|g| self.gate.is_owner(g, slot))
        };
        if !s.items.iter().all(is_ours) {
            self.set_phase(slot, Phase::Gated);
            return false;
        }
        let request_id = match s.request_id {
            Some(id) => id,
            None => self.ids.request(),
        };
        let s = &self.slots[slot];
        let waited = (s.phase == Phase::Filling).then(|| self.now.mono.since(s.since.mono));
        let id = self.order(Order::Attempt { slot });
        self.unhold(slot);
        self.set_phase(slot, Phase::Invoking(id));
        self.counters.attempts += 1;
        let s = &mut self.slots[slot];
        s.request_id = Some(request_id);
        out.push(Action::Invoke(AttemptOrder {
            id,
            slot: slot as u32,
            request_id,
            messages: s.messages(),
            waited,
        }));
        false
    }

    /// Takes out of the batch what others may have by now: it waited too long. Of a FIFO queue nothing that follows in
    /// its group may go before it either, and is given back.
    fn drop_lost(&mut self, slot: usize) {
        let now = self.now.mono;
        if !self.slots[slot].held().any(|i| i.is_lost(now)) {
            return;
        }
        let s = &mut self.slots[slot];
        let batch = take(&mut s.items);
        let carry = take(&mut s.carry);
        let mut broken: BTreeSet<Arc<str>> = BTreeSet::new();
        for (is_batch, item) in batch
            .into_iter()
            .map(|i| (true, i))
            .chain(carry.into_iter().map(|i| (false, i)))
        {
            let group = item.group(self.config.fifo).cloned();
            if item.is_lost(now) {
                broken.extend(group);
                self.counters.dropped += 1;
                self.part(slot, &item);
            } else if group.is_some_and(|g| broken.contains(&g)) {
                self.give_back(slot, item);
            } else if is_batch {
                self.slots[slot].items.push(item);
            } else {
                self.slots[slot].carry.push_back(item);
            }
        }
        self.slots[slot].recount();
    }

    /// Of a message that came more than once, only the newest receipt counts for its queue: the others are dropped. So
    /// a batch, and a delete, has a message once.
    fn drop_superseded(&mut self, slot: usize) {
        let s = &mut self.slots[slot];
        if s.items.len() + s.carry.len() < 2 {
            return;
        }
        let mut newest: Vec<(&str, u64)> = s.held().map(|i| (&*i.message.id, i.key)).collect();
        newest.sort_unstable_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
        let is_old = |pair: &[(&str, u64)]| (pair[0].0 == pair[1].0).then_some(pair[1].1);
        let old: BTreeSet<u64> = newest.windows(2).filter_map(is_old).collect();
        if old.is_empty() {
            return;
        }
        let (gone, items): (Vec<Item>, _) =
            take(&mut s.items).into_iter().partition(|i| old.contains(&i.key));
        let (late, carry): (Vec<Item>, _) =
            take(&mut s.carry).into_iter().partition(|i| old.contains(&i.key));
        (s.items, s.carry) = (items, carry.into());
        s.recount();
        for item in gone.into_iter().chain(late) {
            self.counters.left += 1;
            self.part(slot, &item);
        }
    }

    /// A message that can never fit fails without being sent (semantics 4.9), and is left alone as any other.
    fn fail_oversized(&mut self, slot: usize, out: &mut Vec<Action>) {
        let request_id = self.ids.request();
        self.slots[slot].request_id.get_or_insert(request_id);
        let ended = Ended {
            result: AttemptResult::Retry,
            failed: None,
            error: Some(TOO_LARGE.to_owned()),
            started: self.now.wall,
        };
        self.note(slot, ended, out);
        self.counters.failures += 1;
        self.last_attempt_failed = Some(true);
        self.function_trouble = Some("a message is too long for an event".to_owned());
        let items = self.release_batch(slot);
        self.leave_failed(slot, items);
    }

    /// Ends the batch; what was in it is the caller's.
    pub(super) fn release_batch(&mut self, slot: usize) -> Vec<Item> {
        self.unhold(slot);
        self.set_phase(slot, Phase::Settling);
        self.completed = self.now.mono;
        self.slots[slot].clear_batch()
    }

    fn give_all_back(&mut self, slot: usize) {
        let mut items = self.release_batch(slot);
        items.extend(take(&mut self.slots[slot].carry));
        for item in items {
            self.give_back(slot, item);
        }
    }

    pub(super) fn unhold(&mut self, slot: usize) {
        if let Some((place, _)) = self.slots[slot].hold.take() {
            self.held.remove(&(place, slot));
        }
    }

    /// Once all has left, the slot goes on with what was carried over, or is free.
    fn end_settling(&mut self, slot: usize) -> bool {
        let s = &self.slots[slot];
        if !s.settlement.is_done() || s.renewals > 0 {
            return false;
        }
        if self.mode != Mode::Running && !s.carry.is_empty() {
            self.give_all_back(slot);
            return true;
        }
        if s.carry.is_empty() && s.receives == 0 {
            self.end(slot);
            return false;
        }
        self.refill(slot);
        true
    }

    fn end(&mut self, slot: usize) {
        if self.slots[slot].settlement.is_done() && self.slots[slot].renewals == 0 {
            self.slots[slot].dry = false;
            self.set_phase(slot, Phase::Free);
        } else {
            self.set_phase(slot, Phase::Settling);
        }
    }

    pub(super) fn slot_deadline(&self, slot: usize) -> Option<Mono> {
        let s = &self.slots[slot];
        let next = match s.phase {
            Phase::Filling if s.window_end > self.now.mono => Some(s.window_end),
            Phase::Filling => Some(s.window_end.plus(GRACE)),
            Phase::Held => Some(s.not_before),
            _ => None,
        };
        let more = [s.renew_at, s.settlement.deadline()];
        next.into_iter().chain(more.into_iter().flatten()).min()
    }
}
