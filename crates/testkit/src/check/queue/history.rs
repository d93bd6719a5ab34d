//! What the events add up to: the facts that several invariants need.

use crate::queue_log::{BatchResult, Delivery, QueueEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The facts so far.
#[derive(Clone, Debug, Default)]
pub struct QueueHistory {
    messages: BTreeMap<Arc<str>, MessageFacts>,
    /// Per group: messages that are not finished, in the order of sending.
    open: BTreeMap<Arc<str>, BTreeMap<usize, Arc<str>>>,
    pub(super) running: BTreeMap<u64, Vec<Delivery>>,
    /// The call that the last event ended, and which of its batch failed.
    pub(super) just_ended: Option<(Vec<Delivery>, BTreeSet<usize>)>,
    /// Messages whose first success that was.
    pub(super) just_done: Vec<Arc<str>>,
    pub(super) most_in_flight: Option<usize>,
    pub(super) max_receives: Option<u32>,
    peak: usize,
    losses: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct MessageFacts {
    /// Its place in the order of sending.
    pub(super) place: usize,
    pub(super) group: Option<Arc<str>>,
    /// The receive counts of the deliveries that succeeded.
    pub(super) successes: BTreeSet<u32>,
    /// No filter wants it.
    pub(super) unwanted: bool,
    pub(super) fate: Fate,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Queued,
    Deleted,
    DeadLettered,
}

impl QueueHistory {
    /// How many messages were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.messages.len()
    }

    /// How many succeeded at least once.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.messages.values().filter(|m| !m.successes.is_empty()).count()
    }

    /// How many successes were repetitions.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.messages
            .values()
            .map(|m| m.successes.len().saturating_sub(1))
            .sum()
    }

    /// How many went to the dead-letter queue.
    #[must_use]
    pub fn dead_lettered(&self) -> usize {
        let dead = |m: &&MessageFacts| m.fate == Fate::DeadLettered;
        self.messages.values().filter(dead).count()
    }

    /// Most calls that ran at once (I12).
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// How often memory was lost.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// Messages that are neither deleted nor dead letters, at most `limit`.
    #[must_use]
    pub fn unfinished(&self, limit: usize) -> Vec<Arc<str>> {
        let left = self.messages.iter().filter(|(_, m)| m.fate == Fate::Queued);
        left.map(|(id, _)| id.clone()).take(limit).collect()
    }

    pub(super) fn message(&self, id: &str) -> Option<&MessageFacts> {
        self.messages.get(id)
    }

    /// The messages of a group that come before this one and are not finished.
    pub(super) fn open_before(&self, message: &MessageFacts) -> impl Iterator<Item = &Arc<str>> {
        let open = message.group.as_ref().and_then(|group| self.open.get(group));
        open.into_iter()
            .flat_map(|open| open.range(..message.place).map(|(_, id)| id))
    }

    pub(super) fn apply(&mut self, event: &QueueEvent) {
        self.just_ended = None;
        self.just_done.clear();
        match event {
            QueueEvent::Configured {
                most_in_flight,
                max_receives,
            } => (self.most_in_flight, self.max_receives) = (*most_in_flight, *max_receives),
            QueueEvent::Sent { message, group } => self.send(message, group.clone()),
            QueueEvent::Unwanted { message } => {
                if let Some(message) = self.messages.get_mut(message) {
                    message.unwanted = true;
                }
                self.close(message);
            }
            QueueEvent::Started { call, messages } => {
                self.running.insert(*call, messages.clone());
                self.peak = self.peak.max(self.running.len());
            }
            QueueEvent::Ended { call, result } => self.end(*call, result),
            QueueEvent::Deleted(delivery) => self.leave(&delivery.message, Fate::Deleted),
            QueueEvent::Gone { message } => self.leave(message, Fate::Deleted),
            QueueEvent::DeadLettered { message, .. } => self.leave(message, Fate::DeadLettered),
            QueueEvent::Lost => {
                self.losses += 1;
                self.running.clear();
            }
            QueueEvent::Pausing | QueueEvent::Paused | QueueEvent::Resumed => {}
        }
    }

    fn send(&mut self, id: &Arc<str>, group: Option<Arc<str>>) {
        let place = self.messages.len();
        if let Some(group) = &group {
            self.open
                .entry(group.clone())
                .or_default()
                .insert(place, id.clone());
        }
        let facts = MessageFacts {
            place,
            group,
            ..MessageFacts::default()
        };
        self.messages.insert(id.clone(), facts);
    }

    fn end(&mut self, call: u64, result: &BatchResult) {
        let Some(batch) = self.running.remove(&call) else {
            return;
        };
        let failed: BTreeSet<usize> = match result {
            BatchResult::Done => BTreeSet::new(),
            BatchResult::DoneBut(failed) => failed.iter().copied().collect(),
            BatchResult::Failed | BatchResult::NotRun => (0..batch.len()).collect(),
        };
        for (at, delivery) in batch.iter().enumerate().filter(|(at, _)| !failed.contains(at)) {
            let Some(message) = self.messages.get_mut(&delivery.message) else {
                continue;
            };
            let first = message.successes.is_empty();
            message.successes.insert(delivery.receives);
            if first {
                self.just_done.push(batch[at].message.clone());
                self.close(&delivery.message);
            }
        }
        self.just_ended = Some((batch, failed));
    }

    fn leave(&mut self, id: &str, fate: Fate) {
        if let Some(message) = self.messages.get_mut(id) {
            message.fate = fate;
            self.close(id);
        }
    }

    /// Nothing of its group has to wait for it any more.
    fn close(&mut self, id: &str) {
        let Some(message) = self.messages.get(id) else {
            return;
        };
        if let Some(open) = message.group.as_ref().and_then(|g| self.open.get_mut(g)) {
            open.remove(&message.place);
        }
    }
}
