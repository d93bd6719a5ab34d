//! The heartbeat: keeps messages hidden while we have them.
//!
//! It comes only when a visibility timeout is about to end, so a batch that is sent at once to a function that answers
//! in time never has one. It goes on while a window runs, while a batch is held for a throttle, and while an invocation
//! outlasts the timeout; for 12 hours at most, which is as long as a queue hides a message.

use super::item::minus;
use super::machine::{Order, QueueMachine};
use super::orders::{Action, EntryAnswer, OrderId, VisibilityOrder};
use super::settle::MOST_ENTRIES;
use super::slot::MOST_ORDERS;
use crate::backoff::retry_delay;
use millstream_types::Mono;
use std::time::Duration;

impl QueueMachine {
    /// Orders the extensions whose time has come, with those that are nearly due.
    pub(super) fn renew(&mut self, slot: usize, out: &mut Vec<Action>) {
        let now = self.now.mono;
        if self.slots[slot].renew_at.is_none_or(|at| at > now) {
            return;
        }
        let visibility = self.visibility;
        let soon = now.plus(visibility.margin() / 2);
        while self.slots[slot].renewals < MOST_ORDERS {
            let id = OrderId(self.next_id());
            let (mut keys, mut entries, mut least) = (Vec::new(), Vec::new(), None);
            for item in self.slots[slot].held_mut() {
                if keys.len() == MOST_ENTRIES || item.renew_due.is_none_or(|due| due > soon) {
                    continue;
                }
                item.renew_due = None;
                let Some(until) = item.extension(now, visibility) else {
                    continue;
                };
                item.renewing = Some(id);
                keys.push(item.key);
                entries.push((item.message.receipt.clone(), until.since(now)));
                least = Some(least.map_or(until, |l: Mono| l.min(until)));
            }
            let Some(until) = least else { break };
            self.counters.renewals += keys.len() as u64;
            self.slots[slot].renewals += 1;
            self.orders.insert(id, Order::Renew { slot, keys, until });
            self.requests.count(now);
            out.push(Action::ChangeVisibility(VisibilityOrder { id, entries }));
        }
        self.plan_renewals(slot);
    }

    /// When the next extension of a slot is due.
    pub(super) fn plan_renewals(&mut self, slot: usize) {
        let s = &mut self.slots[slot];
        let due = s.held().filter_map(|i| i.renew_due).min();
        // With so many on their way, the next one to be answered is the time to look again.
        s.renew_at = due.filter(|_| s.renewals < MOST_ORDERS);
    }

    pub(super) fn renewed(&mut self, slot: usize, keys: &[u64], until: Mono, answers: &[EntryAnswer]) {
        let (now, visibility) = (self.now.mono, self.visibility);
        self.slots[slot].renewals -= 1;
        let (jitter, mut answers) = (self.ids.jitter(), answers.iter());
        for key in keys {
            let answer = answers.next();
            let s = &mut self.slots[slot];
            if let Some(at) = s.settlement.renewing.iter().position(|i| i.key == *key) {
                let mut item = s.settlement.renewing.swap_remove(at);
                item.renewing = None;
                item.hidden_until = item.hidden_until.max(until);
                s.settlement.shows.push_back(item);
                continue;
            }
            let at = s.items.binary_search_by_key(key, |i| i.key);
            let item = match at {
                Ok(at) => s.items.get_mut(at),
                Err(_) => s.carry.iter_mut().find(|i| i.key == *key),
            };
            let Some(item) = item else { continue };
            match answer {
                Some(EntryAnswer::Done) => item.renewed(until, visibility),
                Some(EntryAnswer::ReceiptInvalid) => {
                    item.renewing = None;
                    item.hidden_until = item.hidden_until.min(minus(now, Duration::from_nanos(1)));
                }
                Some(EntryAnswer::Unavailable(_)) | None => {
                    item.renewing = None;
                    item.extended = true;
                    item.tries += 1;
                    let again = now.plus(retry_delay(item.tries, jitter));
                    item.renew_due = (again < item.hidden_until).then_some(again);
                }
            }
        }
        self.plan_renewals(slot);
    }
}
