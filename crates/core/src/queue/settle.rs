//! Messages on their way out of our hands: deleted, or shown to others.

use super::item::{Item, Leaving};
use super::machine::{Mode, Order, QueueMachine};
use super::orders::{Action, DeleteOrder, EntryAnswer, OrderId, VisibilityOrder};
use super::poll::take;
use super::slot::MOST_ORDERS;
use crate::backoff::retry_delay;
use millstream_types::{Mono, Now, Receipt};
use std::time::Duration;

/// Most entries of one order.
pub(super) const MOST_ENTRIES: usize = 10;
/// Most tries of a change of visibility, and of a delete while draining: the message comes back by itself.
const MOST_TRIES: u32 = 8;

impl QueueMachine {
    /// A delete ended; one answer per entry, in their order.
    pub fn on_delete(&mut self, id: OrderId, answers: &[EntryAnswer], now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if let Some(Order::Delete { slot, items }) =
            take(&mut self.orders, id, |o| matches!(o, Order::Delete { .. }))
        {
            self.slots[slot].settlement.orders -= 1;
            let (jitter, mut answers) = (self.ids.jitter(), answers.iter());
            for item in items {
                match answers.next() {
                    Some(EntryAnswer::Done) => {
                        self.counters.deleted += 1;
                        self.part(slot, &item);
                    }
                    Some(EntryAnswer::ReceiptInvalid) => {
                        self.counters.undeleted += 1;
                        self.part(slot, &item);
                    }
                    Some(EntryAnswer::Unavailable(why)) => {
                        self.queue_trouble = Some(why.clone());
                        self.try_later(slot, item, jitter);
                    }
                    None => self.try_later(slot, item, jitter),
                }
            }
            self.touch(slot, out);
        }
        self.advance(out);
    }

    /// A change of visibility ended; one answer per entry, in their order.
    pub fn on_visibility(&mut self, id: OrderId, answers: &[EntryAnswer], now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        match take(&mut self.orders, id, |o| {
            matches!(o, Order::Show { .. } | Order::Renew { .. })
        }) {
            Some(Order::Show { slot, items }) => {
                self.slots[slot].settlement.orders -= 1;
                let (jitter, mut answers) = (self.ids.jitter(), answers.iter());
                for item in items {
                    match answers.next() {
                        Some(EntryAnswer::Done | EntryAnswer::ReceiptInvalid) => self.part(slot, &item),
                        Some(EntryAnswer::Unavailable(_)) | None => self.try_later(slot, item, jitter),
                    }
                }
                self.touch(slot, out);
            }
            Some(Order::Renew { slot, keys, until }) => {
                self.renewed(slot, &keys, until, answers);
                self.touch(slot, out);
            }
            _ => {}
        }
        self.advance(out);
    }

    /// Never sent to the function: others may have it at once.
    pub(super) fn give_back(&mut self, slot: usize, item: Item) {
        self.counters.returned += 1;
        self.show_at(slot, item, self.now.mono);
    }

    /// Lets others see a message from `at` on. An extension on its way must not come after that.
    pub(super) fn show_at(&mut self, slot: usize, mut item: Item, at: Mono) {
        item.leaving = Leaving::ShowAt(at);
        item.tries = 0;
        let settlement = &mut self.slots[slot].settlement;
        if item.renewing.is_some() {
            settlement.renewing.push(item);
        } else {
            settlement.shows.push_back(item);
        }
    }

    /// Puts a failed try off, or gives it up: when the message is visible anyway, or when waiting would keep a drain.
    /// What failed together is tried again together: it has the same `jitter`.
    fn try_later(&mut self, slot: usize, mut item: Item, jitter: f64) {
        item.tries += 1;
        item.retry_at = self.now.mono.plus(retry_delay(item.tries, jitter));
        let is_delete = item.leaving == Leaving::Delete;
        let is_bounded = !is_delete || self.mode != Mode::Running;
        if item.retry_at >= item.hidden_until || (is_bounded && item.tries >= MOST_TRIES) {
            self.counters.undeleted += u64::from(is_delete);
            self.part(slot, &item);
        } else {
            self.slots[slot].settlement.later.push(item);
        }
    }

    /// Orders what waits to be deleted or shown.
    pub(super) fn settle(&mut self, slot: usize, out: &mut Vec<Action>) {
        self.requeue(slot);
        loop {
            let settlement = &mut self.slots[slot].settlement;
            if settlement.orders >= MOST_ORDERS {
                return;
            }
            if !settlement.deletes.is_empty() {
                let n = settlement.deletes.len().min(MOST_ENTRIES);
                let items: Vec<Item> = settlement.deletes.drain(..n).collect();
                settlement.orders += 1;
                let receipts = items.iter().map(|i| i.message.receipt.clone()).collect();
                let id = self.order(Order::Delete { slot, items });
                self.requests.count(self.now.mono);
                out.push(Action::Delete(DeleteOrder { id, receipts }));
            } else if !settlement.shows.is_empty() {
                let n = settlement.shows.len().min(MOST_ENTRIES);
                let items: Vec<Item> = settlement.shows.drain(..n).collect();
                settlement.orders += 1;
                let entries = items.iter().map(|i| self.shown(i)).collect();
                let id = self.order(Order::Show { slot, items });
                self.requests.count(self.now.mono);
                out.push(Action::ChangeVisibility(VisibilityOrder { id, entries }));
            } else {
                return;
            }
        }
    }

    fn shown(&self, item: &Item) -> (Receipt, Duration) {
        let wait = match item.leaving {
            Leaving::ShowAt(at) => at.since(self.now.mono),
            Leaving::Delete => Duration::ZERO,
        };
        (item.message.receipt.clone(), wait)
    }

    fn requeue(&mut self, slot: usize) {
        let now = self.now.mono;
        let settlement = &mut self.slots[slot].settlement;
        if settlement.later.is_empty() {
            return;
        }
        for item in std::mem::take(&mut settlement.later) {
            match item.leaving {
                _ if item.retry_at > now => settlement.later.push(item),
                Leaving::Delete => settlement.deletes.push_back(item),
                Leaving::ShowAt(_) => settlement.shows.push_back(item),
            }
        }
    }

    /// A message is not ours any more.
    pub(super) fn part(&mut self, slot: usize, item: &Item) {
        self.in_use.messages -= 1;
        self.in_use.bytes -= item.bytes();
        if let Some(group) = item.group(self.config.fifo)
            && let Some(goes_on) = self.gate.leave(group, slot)
        {
            self.woken.push(goes_on);
        }
    }
}
