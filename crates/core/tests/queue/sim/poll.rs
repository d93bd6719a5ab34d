//! Receives: long polls that wait, and answers that are slow, lost, or cut short.

use super::world::{Item, World};
use millstream_core::queue::{OrderId, ReceiveFault, ReceiveOrder};
use millstream_types::{Message, Mono};
use std::time::Duration;

/// What the engine waits for an answer beyond what it asked the queue to wait.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A receive on its way.
#[derive(Debug)]
pub struct Poll {
    pub owner: u64,
    pub order: ReceiveOrder,
    until: Mono,
    /// When it looks for messages next.
    looks: Mono,
    /// Messages that were handed out, and are on their way.
    handed: Option<Vec<Message>>,
}

impl World {
    pub fn order_receive(&mut self, owner: u64, order: ReceiveOrder) {
        self.next_id += 1;
        let id = self.next_id;
        let until = self.now.mono.plus(order.wait);
        let way = Duration::from_millis(self.rng.between(0, self.plan.way_ms));
        let poll = Poll {
            owner,
            order,
            until,
            looks: Mono(0),
            handed: None,
        };
        self.polls.insert(id, poll);
        self.look(id, self.now.mono.plus(way));
    }

    fn look(&mut self, id: u64, at: Mono) {
        if let Some(poll) = self.polls.get_mut(&id) {
            poll.looks = at;
            self.at(at, Item::Poll(id));
        }
    }

    pub fn wake_polls(&mut self) {
        let waiting: Vec<u64> = self
            .polls
            .iter()
            .filter(|(_, p)| p.handed.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.look(id, self.now.mono);
        }
    }

    pub fn poll(&mut self, id: u64) {
        let now = self.now;
        let looks = |p: &&Poll| p.handed.is_none() && p.looks == now.mono;
        let Some(poll) = self.polls.get(&id).filter(looks) else {
            return;
        };
        let (owner, order, until) = (poll.owner, poll.order, poll.until);
        if self.goes_wrong(self.plan.rates.receive_error) {
            self.count("failed receives", 1);
            self.polls.remove(&id);
            let fault = match self.rng.per_mille(800) {
                true => ReceiveFault::Unavailable("told to".to_owned()),
                false => ReceiveFault::NoSuchQueue("told to".to_owned()),
            };
            return self.after(1, Item::Received(owner, order.id, Err(fault)));
        }
        let mut messages = self.queue.receive(order.max, now, Some(&mut self.rng));
        if messages.len() < order.max && self.goes_wrong(self.plan.rates.duplicate) {
            let all: Vec<u64> = self.queue.messages().map(|m| m.number).collect();
            let twice = self.rng.pick(&all).and_then(|n| self.queue.hand_out(*n, now));
            self.count("duplicates", u64::from(twice.is_some()));
            messages.extend(twice);
        }
        if messages.is_empty() && now.mono < until {
            let next = self
                .queue
                .next_visible(now.mono)
                .map_or(until, |at| at.min(until));
            return self.look(id, next);
        }
        if !messages.is_empty() && self.goes_wrong(self.plan.rates.receive_lost) {
            self.count("lost receives", 1);
            self.polls.remove(&id);
            let fault = ReceiveFault::Unavailable("not answered in time".to_owned());
            return self.at(
                until.plus(ANSWER_WITHIN),
                Item::Received(owner, order.id, Err(fault)),
            );
        }
        let mut way = self.rng.between(0, self.plan.way_ms);
        if !messages.is_empty() && self.goes_wrong(self.plan.rates.receive_slow) {
            self.count("slow receives", 1);
            // Slower than its visibility timeout, a message comes out of order: nobody can tell when it was handed out.
            let longest = match self.queue.is_fifo() {
                true => (self.plan.visibility * 1_000).min(9_000) - 500,
                false => 9_000,
            };
            way = self.rng.between(0, longest);
        }
        if let Some(poll) = self.polls.get_mut(&id) {
            poll.handed = Some(messages.clone());
        }
        self.after(way, Item::Received(owner, order.id, Ok(messages)));
    }

    fn poll_of(&self, owner: u64, order: OrderId) -> Option<u64> {
        let same = |p: &Poll| p.owner == owner && p.order.id == order;
        self.polls.iter().find(|(_, p)| same(p)).map(|(id, _)| *id)
    }

    /// Nobody waits for it any more: what was handed out to it is shown again.
    pub fn cut_short(&mut self, owner: u64, order: OrderId) {
        let Some(id) = self.poll_of(owner, order) else {
            return;
        };
        let Some(poll) = self.polls.remove(&id) else {
            return;
        };
        self.count("cut receives", 1);
        self.drop_poll(poll);
        self.after(0, Item::Received(owner, order, Ok(Vec::new())));
    }

    pub fn drop_poll(&mut self, poll: Poll) {
        for message in poll.handed.into_iter().flatten() {
            // What is visible already needs no showing.
            let _stale = self
                .queue
                .change_visibility(&message.receipt, Duration::ZERO, self.now.mono);
        }
        self.wake_polls();
    }

    pub fn received(&mut self, owner: u64, order: OrderId, result: Result<Vec<Message>, ReceiveFault>) {
        let handed = result.as_ref().is_ok_and(|m| !m.is_empty());
        match self.poll_of(owner, order) {
            Some(id) => drop(self.polls.remove(&id)),
            // It was cut short, and answered then.
            None if handed => return,
            None => {}
        }
        self.arrived(owner, order, result);
    }
}
