//! The inside of a queue's consumer, for people.

use super::machine::{Mode, QueueMachine};
use super::scaler::ScaleReason;
use super::slot::{Phase, Slot};
use crate::shard::Counters;
use millstream_types::{Mono, Now, RequestId, Wall};
use std::collections::BTreeSet;

/// Most slots of a snapshot.
const MOST_SLOTS: usize = 100;

/// Counts since the machine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Receives ordered.
    pub receives: u64,
    /// Receives that brought nothing.
    pub empty_receives: u64,
    /// Receives that failed.
    pub receive_faults: u64,
    /// Messages received; one that comes again counts again.
    pub received: u64,
    /// Attempts that were sent.
    pub attempts: u64,
    /// Attempts that failed, wholly or in part.
    pub failures: u64,
    /// Attempts without capacity.
    pub throttles: u64,
    /// Messages the function succeeded with.
    pub done: u64,
    /// Messages the function failed with, or that were too long for it: left alone.
    pub failed: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Messages done that could not be deleted: they come again.
    pub undeleted: u64,
    /// Messages given back at once, never sent.
    pub returned: u64,
    /// Messages never sent that came back because they could not be kept hidden for longer.
    pub dropped: u64,
    /// Messages left alone on receipt: another of their group is being worked on or has failed, or they came once more
    /// into the same batch.
    pub left: u64,
    /// Visibility timeouts extended.
    pub renewals: u64,
    /// Messages that matched no filter, each time they were received.
    pub filtered: u64,
}

impl QueueCounters {
    /// What all kinds of sources count.
    #[must_use]
    pub fn common(&self) -> Counters {
        Counters {
            records_read: self.received,
            attempts: self.attempts,
            failures: self.failures,
            throttles: self.throttles,
            records_done: self.done,
            records_discarded: 0,
            splits: 0,
            records_filtered: self.filtered,
        }
    }
}

/// The inside of a queue's consumer, now.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSnapshot {
    /// Batches that may be in flight now.
    pub concurrency: u32,
    /// Why not more.
    pub concurrency_reason: ScaleReason,
    /// Messages received and neither finished nor let go.
    pub messages_in_flight: u32,
    /// Batches whose attempt runs.
    pub batches_in_flight: u32,
    /// FIFO: groups worked on, or of which a failed message is hidden. 0 for a standard queue.
    pub active_groups: u32,
    /// Calls of the queue ordered in the last hour, or since the machine was made: receives, deletes and changes of
    /// visibility, each of up to 10 messages.
    pub requests_last_hour: u64,
    /// The slots in use, the first 100.
    pub slots: Vec<SlotInspection>,
    /// Bytes of messages held.
    pub buffered_bytes: u64,
    /// Counts.
    pub counters: QueueCounters,
    /// Whether the last attempt failed wholly; none before the first.
    pub last_attempt_failed: Option<bool>,
    /// What is wrong with the queue; none once a receive works again.
    pub queue_trouble: Option<String>,
    /// What was wrong with the last attempt that did not succeed; none after one that did.
    pub function_trouble: Option<String>,
    /// Whether nothing new is started.
    pub draining: bool,
}

/// What a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotActivity {
    /// Waits for messages.
    Receiving,
    /// Has messages, and waits for more until the window ends.
    Filling,
    /// Its batch is with the function.
    Invoking,
    /// Has a batch that cannot be sent now.
    Held,
    /// Messages are deleted or given back.
    Settling,
}

/// One slot that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotInspection {
    /// Its number, from 0.
    pub slot: u32,
    /// What it does.
    pub activity: SlotActivity,
    /// Messages it has.
    pub messages: u32,
    /// FIFO: how many groups they are of.
    pub groups: u32,
    /// The id of the invocation, once there was one.
    pub request_id: Option<RequestId>,
    /// Since when it does that.
    pub since: Wall,
    /// When it goes on by itself.
    pub next: Option<Wall>,
    /// Why it is held.
    pub reason: Option<String>,
}

impl QueueMachine {
    /// The inside, at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> QueueSnapshot {
        let used = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.phase != Phase::Free);
        QueueSnapshot {
            concurrency: self.scaler.limit() as u32,
            concurrency_reason: self.scaler.reason(),
            messages_in_flight: self.in_use.messages as u32,
            batches_in_flight: self.in_use.running as u32,
            active_groups: self.gate.active() as u32,
            requests_last_hour: self.requests.last_hour(now.mono),
            slots: used.take(MOST_SLOTS).map(|(n, s)| self.slot(n, s, now)).collect(),
            buffered_bytes: self.in_use.bytes as u64,
            counters: self.counters,
            last_attempt_failed: self.last_attempt_failed,
            queue_trouble: self.queue_trouble.clone(),
            function_trouble: self.function_trouble.clone(),
            draining: matches!(self.mode, Mode::Draining | Mode::Stopped),
        }
    }

    fn slot(&self, number: usize, slot: &Slot, now: Now) -> SlotInspection {
        let (activity, next, reason) = match slot.phase {
            Phase::Free | Phase::Receiving => (SlotActivity::Receiving, None, None),
            Phase::Filling => (SlotActivity::Filling, Some(slot.window_end), None),
            Phase::Gated => {
                let why = "another batch is about to let go of one of its message groups".to_owned();
                (SlotActivity::Held, None, Some(why))
            }
            Phase::Invoking(_) => (SlotActivity::Invoking, None, None),
            Phase::Held => (SlotActivity::Held, Some(slot.not_before), slot.reason.clone()),
            Phase::Settling => (SlotActivity::Settling, slot.settlement.deadline(), None),
        };
        let groups: BTreeSet<_> = slot.held().filter_map(|i| i.group(self.config.fifo)).collect();
        SlotInspection {
            slot: number as u32,
            activity,
            messages: (slot.held().count() + self.leaving(number)) as u32,
            groups: groups.len() as u32,
            request_id: slot.request_id,
            since: slot.since.wall,
            next: next.map(|at| wall_at(now, at)),
            reason,
        }
    }

    /// Messages of a slot that are on their way out.
    fn leaving(&self, slot: usize) -> usize {
        use super::machine::Order;
        let in_order = |order: &Order| match order {
            Order::Delete { slot: s, items } | Order::Show { slot: s, items } if *s == slot => items.len(),
            _ => 0,
        };
        self.slots[slot].settlement.waiting() + self.orders.values().map(in_order).sum::<usize>()
    }

    /// What is wrong with the queue; none once a receive works again.
    #[must_use]
    pub fn queue_trouble(&self) -> Option<&str> {
        self.queue_trouble.as_deref()
    }

    /// Bytes of messages held in memory, as they will be in events.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.in_use.bytes
    }

    /// Counts since the machine was made.
    #[must_use]
    pub fn counters(&self) -> QueueCounters {
        self.counters
    }

    /// Whether the last attempt failed wholly; none before the first.
    #[must_use]
    pub fn last_attempt_failed(&self) -> Option<bool> {
        self.last_attempt_failed
    }
}

/// What the wall clock shows at a monotonic time.
fn wall_at(now: Now, at: Mono) -> Wall {
    now.wall.plus(at.since(now.mono))
}
