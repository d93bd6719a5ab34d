//! When to receive, and what to do with what comes.
//!
//! A receive is ordered only for a slot that has room for all it may bring. How many are on their way at once follows
//! what comes: one more for each that comes back full without having waited, so that they double with every round; half
//! as many after an empty one, down to the one long poll of an idle queue.

use super::gate::{Admission, Arrival};
use super::item::Item;
use super::machine::{Mode, Order, QueueMachine};
use super::orders::{Action, ReceiveFault, ReceiveOrder, ReceiveReport, Received, Unmatched};
use super::slot::{Phase, Slot};
use crate::backoff::retry_delay;
use crate::shard::window_end;
use millstream_types::{Mono, Now, ProvisionedPollers};
use std::time::Duration;

/// Most messages of one receive.
const MOST_MESSAGES: usize = 10;
/// However few batches may be in flight, so many receives may fill them.
const LEAST_MOST_POLLS: usize = 10;
/// Longest wait of one receive.
const LONG_POLL: Duration = Duration::from_secs(20);
/// How long to rest after a receive that came back empty well before its wait was over; also what must remain of a
/// window to make another receive worth while.
const PAUSE: Duration = Duration::from_secs(1);
/// How often at most a queue is looked for that does not exist.
const NO_QUEUE_PAUSE: Duration = Duration::from_secs(10);
/// How soon to look again after the node had no memory left for another receive.
pub(super) const NO_ROOM_PAUSE: Duration = Duration::from_millis(100);

impl QueueMachine {
    /// Orders receives, as many as are wanted and may: for batches that fill first, so that they are full soon, then
    /// for free slots.
    pub(super) fn ask(&mut self, out: &mut Vec<Action>) {
        self.starved = false;
        self.paced = None;
        if self.mode != Mode::Running || self.resting {
            return;
        }
        let mut after = 0;
        while self.in_use.receives < self.polls
            && let Some(slot) = self.filling.range(after..).next().copied()
        {
            after = slot + 1;
            self.fill(slot, out);
        }
        while self.in_use.receives < self.polls && self.has_room(self.most_per_receive()) {
            let busy = self.slots.len() - self.free.len();
            if busy >= self.scaler.limit() || self.is_paced() {
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
    fn fill(&mut self, slot: usize, out: &mut Vec<Action>) {
        while self.in_use.receives < self.polls {
            let s = &self.slots[slot];
            let room = self.config.batch_size.saturating_sub(s.items.len() + s.reserved);
            let wait = s.window_end.since(self.now.mono).min(LONG_POLL);
            let max = room.min(MOST_MESSAGES);
            if max == 0 || wait.is_zero() || s.dry || !s.carry.is_empty() || !self.has_room(max) {
                return;
            }
            if self.is_paced() {
                return;
            }
            self.order_receive(slot, max, wait, out);
        }
    }

    /// Provisioned pollers that work now: as many as the batches that may be in flight need; none without them.
    fn pollers(&self) -> Option<u64> {
        self.config.pollers?;
        let batches = self.scaler.limit() as u64;
        Some(batches.div_ceil(ProvisionedPollers::BATCHES_EACH.into()).max(1))
    }

    /// Whether the pollers have to wait before they receive again; if so, for how long is noted.
    fn is_paced(&mut self) -> bool {
        self.paced = self
            .pollers()
            .and_then(|pollers| self.rate.wait(pollers, self.now.mono));
        self.paced.is_some()
    }

    /// However little there is, so many receives wait for more.
    fn least_polls(&self) -> usize {
        self.config.pollers.map_or(1, |p| p.fewest().max(1) as usize)
    }

    fn most_per_receive(&self) -> usize {
        self.config.batch_size.min(MOST_MESSAGES)
    }

    /// Whether memory has room for what another receive may bring. A queue that holds nothing may always ask, so that
    /// it comes on however much the others hold.
    fn has_room(&mut self, max: usize) -> bool {
        let (u, limits) = (&self.in_use, &self.config.limits);
        let nothing_held = u.messages + u.reserved == 0;
        let bytes = u.bytes + (u.receives + 1).saturating_mul(self.largest_receive);
        let fits = u.messages + u.reserved + max <= limits.held_messages && bytes <= limits.held_bytes;
        let starved = fits && !nothing_held && bytes > self.node_room;
        self.starved |= starved;
        (nothing_held || fits) && !starved
    }

    fn order_receive(&mut self, slot: usize, max: usize, wait: Duration, out: &mut Vec<Action>) {
        let at = self.now.mono;
        let id = self.order(Order::Receive { slot, max, at, wait });
        self.receiving.insert(id);
        let s = &mut self.slots[slot];
        s.receives += 1;
        s.reserved += max;
        self.in_use.receives += 1;
        self.in_use.reserved += max;
        self.counters.receives += 1;
        self.requests.count(at);
        if let Some(pollers) = self.pollers() {
            self.rate.on_order(pollers, at);
        }
        out.push(Action::Receive(ReceiveOrder { id, max, wait }));
    }

    /// A receive ended.
    pub fn on_receive(&mut self, report: ReceiveReport, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if let Some(Order::Receive { slot, max, at, wait }) = take(&mut self.orders, report.id, |o| {
            matches!(o, Order::Receive { .. })
        }) {
            self.receiving.remove(&report.id);
            let s = &mut self.slots[slot];
            s.receives -= 1;
            s.reserved -= max;
            self.in_use.receives -= 1;
            self.in_use.reserved -= max;
            match report.result {
                Ok(received) => {
                    self.note_receive(slot, &received, max, at, wait);
                    self.take_in(slot, received);
                }
                Err(fault) => self.note_fault(fault),
            }
            self.touch(slot, out);
        }
        self.advance(out);
    }

    fn note_receive(&mut self, slot: usize, received: &[Received], max: usize, at: Mono, wait: Duration) {
        self.faults = 0;
        self.queue_trouble = None;
        self.counters.received += received.len() as u64;
        let least = self.least_polls();
        let s = &mut self.slots[slot];
        if received.is_empty() {
            self.counters.empty_receives += 1;
            self.scaler.on_empty();
            self.polls = (self.polls / 2).max(least);
            s.dry = s.window_end.since(self.now.mono) < PAUSE;
            let is_early = wait >= PAUSE && self.now.mono.since(at) < wait / 2;
            if is_early && self.mode == Mode::Running {
                self.rest(self.now.mono.plus(PAUSE));
            }
        } else if received.len() >= max && self.is_prompt(at) {
            self.polls = (self.polls + 1).min(self.scaler.limit().max(LEAST_MOST_POLLS));
        }
    }

    /// Whether neither a receive ordered at `at`, which has brought something, nor any other had to wait for it. If so,
    /// the queue has more than is asked for. If not, more receives could only wait, too: as is the rule of a FIFO queue
    /// of few groups.
    fn is_prompt(&self, at: Mono) -> bool {
        let oldest = self.receiving.first().and_then(|id| self.orders.get(id));
        let waits = |at: Mono| self.now.mono.since(at) >= PAUSE;
        !waits(at) && !matches!(oldest, Some(Order::Receive { at, .. }) if waits(*at))
    }

    fn note_fault(&mut self, fault: ReceiveFault) {
        self.counters.receive_faults += 1;
        self.polls = 1;
        // Those that were on their way together have failed together.
        if !self.resting {
            self.faults = self.faults.saturating_add(1);
        }
        let pause = retry_delay(self.faults, self.ids.jitter());
        let (why, pause) = match fault {
            ReceiveFault::Unavailable(why) => (why, pause),
            ReceiveFault::NoSuchQueue(why) => (why, pause.max(NO_QUEUE_PAUSE)),
        };
        self.queue_trouble = Some(why);
        self.rest(self.now.mono.plus(pause));
    }

    /// Messages are ours now: into the batch, behind it, or back; deleted at once if no filter wants them.
    fn take_in(&mut self, slot: usize, received: Vec<Received>) {
        let bytes: usize = received.iter().map(|r| r.event_len as usize).sum();
        self.largest_receive = self.largest_receive.max(bytes);
        if let Some(pollers) = self.pollers() {
            self.rate.on_bytes(bytes, pollers, self.now.mono);
        }
        for received in received {
            let (key, unmatched) = (self.next_id(), received.unmatched);
            if unmatched == Some(Unmatched::Left) {
                self.counters.filtered += 1;
                continue;
            }
            let item = Item::new(key, received, self.now.mono, self.visibility);
            if !self.admit(slot, &item) {
                self.counters.left += 1;
                continue;
            }
            self.in_use.messages += 1;
            self.in_use.bytes += item.bytes();
            self.counters.filtered += u64::from(unmatched.is_some());
            match unmatched {
                None if self.mode == Mode::Running => self.place(slot, item),
                Some(Unmatched::Deleted) if self.mode != Mode::Running => self.give_back(slot, item),
                None => self.give_back(slot, item),
                Some(_) => self.slots[slot].settlement.deletes.push_back(item),
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
        let lets_go = |owner: usize| !slots[owner].held().any(|i| i.group(true) == Some(group));
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
            s.window_end = window_end(self.completed, self.now.mono, self.config.window);
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
