//! When to receive, and what to do with what comes.
//!
//! A receive is ordered only for a slot that has room for all it may bring. How many slots wait for messages at once
//! follows what comes: twice as many after a receive that was full, half as many after an empty one, down to the one
//! long poll of an idle queue.

use super::gate::{Admission, Arrival};
use super::item::Item;
use super::machine::{Mode, Order, QueueMachine};
use super::orders::{Action, ReceiveFault, ReceiveOrder, ReceiveReport, Received};
use super::slot::{MOST_ORDERS, Phase, Slot};
use crate::backoff::retry_delay;
use crate::shard::window_end;
use millstream_types::Now;
use std::time::Duration;

/// Most messages of one receive.
const MOST_MESSAGES: usize = 10;
/// Longest wait of one receive.
const LONG_POLL: Duration = Duration::from_secs(20);
/// How long to rest after a receive that came back empty well before its wait was over; also what must remain of a
/// window to make another receive worth while.
const PAUSE: Duration = Duration::from_secs(1);
/// How often at most a queue is looked for that does not exist.
const NO_QUEUE_PAUSE: Duration = Duration::from_secs(10);

impl QueueMachine {
    /// Lets free slots wait for messages, as many as are wanted and may.
    pub(super) fn open(&mut self, out: &mut Vec<Action>) {
        while self.may_receive(self.most_per_receive()) && self.in_use.hungry < self.polls {
            let busy = self.slots.len() - self.free.len();
            if busy >= self.scaler.limit() {
                return;
            }
            let slot = self.free.pop_first().unwrap_or_else(|| {
                self.slots.push(Slot::new(self.now));
                self.slots.len() - 1
            });
            self.set_phase(slot, Phase::Receiving);
            self.order_receive(slot, self.most_per_receive(), LONG_POLL, out);
        }
    }

    /// Lets a slot whose window runs ask for more.
    pub(super) fn fill(&mut self, slot: usize, out: &mut Vec<Action>) {
        loop {
            let s = &self.slots[slot];
            let room = self.config.batch_size.saturating_sub(s.items.len() + s.reserved);
            let wait = s.window_end.since(self.now.mono).min(LONG_POLL);
            let max = room.min(MOST_MESSAGES);
            if max == 0 || wait.is_zero() || s.dry || s.receives >= s.width || !self.may_receive(max) {
                return;
            }
            self.order_receive(slot, max, wait, out);
        }
    }

    fn most_per_receive(&self) -> usize {
        self.config.batch_size.min(MOST_MESSAGES)
    }

    fn may_receive(&self, max: usize) -> bool {
        if self.mode != Mode::Running || self.resting {
            return false;
        }
        let (u, limits) = (&self.in_use, &self.config.limits);
        let nothing_held = u.messages + u.reserved == 0;
        let bytes = u.bytes + (u.receives + 1).saturating_mul(self.largest_receive);
        let fits = u.messages + u.reserved + max <= limits.held_messages && bytes <= limits.held_bytes;
        nothing_held || fits
    }

    fn order_receive(&mut self, slot: usize, max: usize, wait: Duration, out: &mut Vec<Action>) {
        let at = self.now.mono;
        let id = self.order(Order::Receive { slot, max, at, wait });
        let s = &mut self.slots[slot];
        s.receives += 1;
        s.reserved += max;
        self.in_use.receives += 1;
        self.in_use.reserved += max;
        self.counters.receives += 1;
        self.receives.count(at);
        out.push(Action::Receive(ReceiveOrder { id, max, wait }));
    }

    /// A receive ended.
    pub fn on_receive(&mut self, report: ReceiveReport, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if let Some(Order::Receive { slot, max, at, wait }) = take(&mut self.orders, report.id, |o| {
            matches!(o, Order::Receive { .. })
        }) {
            let s = &mut self.slots[slot];
            s.receives -= 1;
            s.reserved -= max;
            self.in_use.receives -= 1;
            self.in_use.reserved -= max;
            match report.result {
                Ok(received) => {
                    let early = now.mono.since(at) < wait / 2;
                    self.note_receive(slot, &received, max, early && wait >= PAUSE);
                    self.take_in(slot, received);
                }
                Err(fault) => self.note_fault(fault),
            }
            self.touch(slot, out);
        }
        self.advance(out);
    }

    fn note_receive(&mut self, slot: usize, received: &[Received], max: usize, early: bool) {
        self.faults = 0;
        self.queue_trouble = None;
        self.counters.received += received.len() as u64;
        let s = &mut self.slots[slot];
        if received.is_empty() {
            self.counters.empty_receives += 1;
            self.scaler.on_empty();
            self.polls = (self.polls / 2).max(1);
            s.width = 1;
            s.dry = s.window_end.since(self.now.mono) < PAUSE;
            if early && self.mode == Mode::Running {
                self.rest(self.now.mono.plus(PAUSE));
            }
        } else if received.len() >= max {
            self.polls = (self.polls * 2).min(self.scaler.limit()).max(1);
            s.width = (s.width * 2).min(MOST_ORDERS);
        } else {
            s.width = 1;
        }
    }

    fn note_fault(&mut self, fault: ReceiveFault) {
        self.faults = self.faults.saturating_add(1);
        self.counters.receive_faults += 1;
        self.polls = 1;
        let pause = retry_delay(self.faults, self.ids.jitter());
        let (why, pause) = match fault {
            ReceiveFault::Unavailable(why) => (why, pause),
            ReceiveFault::NoSuchQueue(why) => (why, pause.max(NO_QUEUE_PAUSE)),
        };
        self.queue_trouble = Some(why);
        self.rest(self.now.mono.plus(pause));
    }

    /// Messages are ours now: into the batch, behind it, or back.
    fn take_in(&mut self, slot: usize, received: Vec<Received>) {
        let bytes: usize = received.iter().map(|r| r.event_len as usize).sum();
        self.largest_receive = self.largest_receive.max(bytes);
        for received in received {
            let key = self.next_id();
            let item = Item::new(key, received, self.now.mono, self.visibility);
            if !self.admit(slot, &item) {
                self.counters.left += 1;
                continue;
            }
            self.in_use.messages += 1;
            self.in_use.bytes += item.bytes();
            if self.mode == Mode::Running {
                self.place(slot, item);
            } else {
                self.give_back(slot, item);
            }
        }
        self.plan_renewals(slot);
    }

    fn admit(&mut self, slot: usize, item: &Item) -> bool {
        let Some(group) = item.group(self.config.fifo) else {
            return true;
        };
        let arrival = Arrival {
            group,
            sequence: item.sequence(),
            slot,
            now: self.now.mono,
            slack: self.visibility.slack(),
        };
        let slots = &self.slots;
        let lets_go = |owner: usize| {
            let s = &slots[owner];
            s.phase == Phase::Settling && !s.carry.iter().any(|i| i.group(true) == Some(group))
        };
        self.gate.admit(&arrival, lets_go) != Admission::Refused
    }

    fn place(&mut self, slot: usize, item: Item) {
        let (size, limit) = (self.config.batch_size, self.config.limits.event_bytes);
        let s = &mut self.slots[slot];
        let takes = matches!(s.phase, Phase::Receiving | Phase::Filling) && s.carry.is_empty();
        if !takes || !s.fits(item.event_len, size, limit) {
            s.carry.push_back(item);
            return;
        }
        s.push(item);
        if s.items.len() == 1 {
            s.dry = false;
            s.window_end = window_end(s.completed, self.now.mono, self.config.window);
            self.set_phase(slot, Phase::Filling);
        }
    }

    /// What was carried over makes the next batch.
    pub(super) fn refill(&mut self, slot: usize) {
        self.set_phase(slot, Phase::Receiving);
        for item in std::mem::take(&mut self.slots[slot].carry) {
            self.place(slot, item);
        }
        self.plan_renewals(slot);
    }
}

/// Removes an order if it is of the kind that was answered.
pub(super) fn take(
    orders: &mut std::collections::BTreeMap<super::OrderId, Order>,
    id: super::OrderId,
    kind: impl Fn(&Order) -> bool,
) -> Option<Order> {
    if orders.get(&id).is_some_and(kind) {
        orders.remove(&id)
    } else {
        None
    }
}
