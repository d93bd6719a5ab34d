//! The owner of the mapping: a machine, what is in flight for it, and how its actions are carried out.

use super::poll::ANSWER_WITHIN;
use super::world::{Ask, Item, Transition, World};
use crate::rig::{ok, raised, throttled};
use millstream_core::queue::{
    Action, AttemptOrder, AttemptReport, DeleteOrder, EntryAnswer, Obstacle, OrderId, QueueConfig,
    QueueMachine, ReceiveFault, ReceiveReport, Received, VisibilityOrder,
};
use millstream_core::verdict::{QueueVerdict, queue_verdict};
use millstream_testkit::{BatchResult, Delivery, QueueEvent, receipt_number, report_of_ids};
use millstream_types::{Message, Mono, Now, Outcome, Receipt, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first byte of bodies that the function never accepts.
pub const POISON: u8 = b'!';

pub struct Owner {
    pub id: u64,
    pub machine: QueueMachine,
    config: QueueConfig,
    tick: Option<Mono>,
    /// Receipts by what is known of them: in a call that runs, or sent before.
    with_function: BTreeSet<Receipt>,
    /// Receipts of which an extension was ordered.
    extended: BTreeSet<Receipt>,
    /// Receipts that were judged as failed.
    failed: BTreeSet<Receipt>,
    /// Receipts whose visibility is being changed.
    changing: BTreeSet<Receipt>,
}

impl Owner {
    pub fn is_idle(&self) -> bool {
        let s = self.machine.snapshot(Now::default());
        s.messages_in_flight == 0 && s.batches_in_flight == 0 && s.buffered_bytes == 0
    }
}

pub struct Call {
    owner: u64,
    order: OrderId,
    verdict: QueueVerdict,
    started: Wall,
    receipts: Vec<Receipt>,
    /// The worker dies before it can tell.
    fault: bool,
}

impl World {
    pub fn start(&mut self) {
        if self.owner.is_some() || self.transition != Transition::None {
            return;
        }
        self.next_id += 1;
        let config = self.plan.config(self.generation);
        let seed = self.rng.next_u128();
        self.owner = Some(Owner {
            id: self.next_id,
            machine: QueueMachine::new(config.clone(), seed, self.now),
            config,
            tick: None,
            with_function: BTreeSet::new(),
            extended: BTreeSet::new(),
            failed: BTreeSet::new(),
            changing: BTreeSet::new(),
        });
        self.drive(self.next_id, |machine, now, out| machine.start(now, out));
    }

    /// Tells the machine something, and carries out what it wants.
    fn drive(&mut self, id: u64, input: impl FnOnce(&mut QueueMachine, Now, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        let Some(owner) = self.owner.as_mut().filter(|o| o.id == id) else {
            return;
        };
        input(&mut owner.machine, self.now, &mut actions);
        let limits = self.plan.limits;
        let held = owner.machine.snapshot(self.now).messages_in_flight as usize;
        if held > limits.held_messages.max(10) {
            self.wrong(format!(
                "{held} messages held, {} are allowed",
                limits.held_messages
            ));
        }
        for action in actions {
            match action {
                Action::Receive(order) => {
                    let most = self.plan.spec.batch_size.min(10) as usize;
                    if order.max == 0 || order.max > most || order.wait > Duration::from_secs(20) {
                        self.wrong(format!("{order:?}"));
                    }
                    self.order_receive(id, order);
                }
                Action::CutShort(order) => self.cut_short(id, order),
                Action::Invoke(order) => self.invoke(id, order),
                Action::Delete(order) => self.order_delete(id, order),
                Action::ChangeVisibility(order) => self.order_visibility(id, order),
                Action::Note(attempt) => {
                    self.notes += 1;
                    if attempt.named.len() != attempt.messages as usize || attempt.finished > attempt.messages
                    {
                        self.wrong(format!("{attempt:?}"));
                    }
                }
                Action::Stopped(_) => self.stopped(),
            }
        }
        self.plan_tick(id);
    }

    fn plan_tick(&mut self, id: u64) {
        let Some(owner) = self.owner.as_mut().filter(|o| o.id == id) else {
            return;
        };
        let tick = owner.machine.deadline().map(|at| at.max(self.now.mono));
        if tick != owner.tick {
            owner.tick = tick;
            if let Some(at) = tick {
                self.at(at, Item::Tick(id, at));
            }
        }
    }

    pub fn tick(&mut self, id: u64, at: Mono) {
        if let Some(owner) = self.owner.as_mut().filter(|o| o.id == id && o.tick == Some(at)) {
            owner.tick = None;
            self.drive(id, |machine, now, out| machine.on_tick(now, out));
        }
    }

    pub fn arrived(&mut self, id: u64, order: OrderId, result: Result<Vec<Message>, ReceiveFault>) {
        let Some(owner) = self.owner.as_ref().filter(|o| o.id == id) else {
            return;
        };
        let shape = owner.config.shape.clone();
        let result = result.map(|messages| Received::measure(messages, &shape));
        let report = ReceiveReport { id: order, result };
        self.drive(id, |machine, now, out| machine.on_receive(report, now, out));
    }

    fn invoke(&mut self, id: u64, order: AttemptOrder) {
        if self.transition == Transition::Pausing {
            self.count("held attempts", 1);
            let ms = self.rng.between(0, 5);
            return self.after(ms, Item::Held(id, order.id));
        }
        self.judge_batch(&order.messages);
        self.next_id += 1;
        let call = self.next_id;
        let outcome = self.outcome(&order.messages);
        let reports = self.plan.spec.report_batch_item_failures;
        let verdict = queue_verdict(&outcome, &order.messages, reports);
        let receipts: Vec<Receipt> = order.messages.iter().map(|m| m.receipt.clone()).collect();
        if let Some(owner) = self.owner.as_mut() {
            owner.with_function.extend(receipts.iter().cloned());
        }
        let call_of = Call {
            owner: id,
            order: order.id,
            verdict,
            started: self.now.wall,
            receipts,
            fault: self.goes_wrong(self.plan.rates.fault),
        };
        self.calls.insert(call, call_of);
        self.count("calls", 1);
        self.note(QueueEvent::Started {
            call,
            messages: order.messages.iter().map(Delivery::of).collect(),
        });
        let ms = self.rng.between(0, self.plan.call_ms);
        self.after(ms, Item::CallEnd(call));
    }

    fn judge_batch(&mut self, batch: &[Message]) {
        let distinct: BTreeSet<&str> = batch.iter().map(|m| &*m.id).collect();
        if batch.len() > self.plan.spec.batch_size as usize
            || batch.is_empty()
            || distinct.len() < batch.len()
        {
            self.wrong(format!("a batch of {}: {distinct:?}", batch.len()));
        }
        if let Some(owner) = &self.owner {
            let len = owner.config.shape.encode(batch).len();
            if len > self.plan.limits.event_bytes {
                self.wrong(format!("an event of {len} bytes"));
            }
        }
    }

    /// What the function says. Poison fails for ever where it soon becomes a dead letter, else while the chaos lasts.
    fn outcome(&mut self, batch: &[Message]) -> Outcome {
        let rates = self.plan.rates;
        if self.goes_wrong(rates.throttle) {
            let asked = Duration::from_millis(self.rng.between(1, 5_000));
            return match self.rng.index(3) {
                0 => throttled(),
                1 => Outcome::Throttled {
                    retry_after: Some(asked),
                },
                _ => Outcome::Unreachable {
                    reason: "told to".to_owned(),
                },
            };
        }
        if self.goes_wrong(rates.error) {
            return raised();
        }
        let fails = self.chaotic() || self.plan.visibility <= 5;
        let is_bad = |m: &&Message| fails && m.body[0] == POISON;
        let mut bad: Vec<&str> = batch.iter().filter(is_bad).map(|m| &*m.id).collect();
        if self.goes_wrong(rates.partial) {
            let n = self.rng.index(batch.len());
            bad.extend(batch.get(n).map(|m| &*m.id));
        }
        match bad.is_empty() {
            true => ok(),
            false if self.plan.spec.report_batch_item_failures => report_of_ids(&bad),
            false => raised(),
        }
    }

    pub fn held(&mut self, id: u64, order: OrderId) {
        self.drive(id, |machine, now, out| {
            machine.on_held(order, Obstacle::NotLetGo, now, out)
        });
    }

    pub fn call_end(&mut self, call: u64) {
        let Some(ended) = self.calls.remove(&call) else {
            return;
        };
        self.note(QueueEvent::Ended {
            call,
            result: result_of(&ended.verdict),
        });
        let Some(owner) = self.owner.as_mut().filter(|o| o.id == ended.owner) else {
            return;
        };
        for receipt in &ended.receipts {
            owner.with_function.remove(receipt);
        }
        if ended.fault {
            self.count("lost workers", 1);
            return self.drive(ended.owner, |machine, now, out| {
                machine.on_held(ended.order, Obstacle::Fault, now, out)
            });
        }
        let failed: Vec<usize> = match &ended.verdict {
            QueueVerdict::Partial { failed } => failed.clone(),
            QueueVerdict::Failed { .. } => (0..ended.receipts.len()).collect(),
            QueueVerdict::Done | QueueVerdict::Throttled { .. } => Vec::new(),
        };
        owner
            .failed
            .extend(failed.iter().map(|at| ended.receipts[*at].clone()));
        let report = AttemptReport {
            id: ended.order,
            verdict: ended.verdict,
            started: ended.started,
        };
        let before = self.notes;
        self.drive(ended.owner, |machine, now, out| {
            machine.on_attempt(report, now, out)
        });
        if self.notes == before {
            self.wrong("an attempt is not in the history".to_owned());
        }
    }

    /// A call that runs as the process ends: the function may be done with it, and nobody heard.
    pub fn call_ends_unheard(&mut self, call: u64) {
        if let Some(ended) = self.calls.remove(&call) {
            self.note(QueueEvent::Ended {
                call,
                result: result_of(&ended.verdict),
            });
        }
    }

    fn order_delete(&mut self, id: u64, order: DeleteOrder) {
        let numbers: BTreeSet<u64> = order.receipts.iter().map(receipt_number).collect();
        let owner = self.owner.as_ref().filter(|o| o.id == id);
        let busy = owner.is_some_and(|o| order.receipts.iter().any(|r| o.with_function.contains(r)));
        if numbers.len() < order.receipts.len() || !(1..=10).contains(&numbers.len()) || busy {
            self.wrong(format!("in use: {busy}, {order:?}"));
        }
        self.ask(id, Ask::Delete(order));
    }

    /// Only what was never sent, or whose time is over anyway, is shown; what failed is left alone unless it was
    /// extended.
    fn order_visibility(&mut self, id: u64, order: VisibilityOrder) {
        let receipts: BTreeSet<&Receipt> = order.entries.iter().map(|(receipt, _)| receipt).collect();
        let mut faults = Vec::new();
        let (mut renewals, mut resets) = (0, 0);
        if let Some(owner) = self.owner.as_mut().filter(|o| o.id == id) {
            for (receipt, hidden) in &order.entries {
                let (failed, was_extended) =
                    (owner.failed.contains(receipt), owner.extended.contains(receipt));
                let longest = owner.config.visibility_timeout.max(Duration::from_secs(2));
                if *hidden > longest {
                    faults.push(format!("{receipt:?} is to be hidden for {hidden:?}"));
                }
                if failed && !was_extended {
                    faults.push(format!("{receipt:?} failed and is not left alone"));
                }
                if owner.with_function.contains(receipt) && hidden.is_zero() {
                    faults.push(format!("{receipt:?} is with the function and is shown"));
                }
                if !owner.changing.insert(receipt.clone()) {
                    faults.push(format!("{receipt:?} is changed twice at once: which comes last?"));
                }
                if failed {
                    resets += 1;
                } else if !hidden.is_zero() {
                    renewals += 1;
                    owner.extended.insert(receipt.clone());
                }
            }
        }
        self.count("renewals", renewals);
        self.count("resets", resets);
        if receipts.len() < order.entries.len() || !(1..=10).contains(&receipts.len()) {
            faults.push(format!("{order:?}"));
        }
        if let Some(fault) = faults.pop() {
            self.wrong(fault);
        }
        self.ask(id, Ask::Visibility(order));
    }

    /// Sends a call to the queue. One that is lost has an effect or not, now or late; it is given up in any case.
    fn ask(&mut self, id: u64, ask: Ask) {
        let way = self.rng.between(0, self.plan.way_ms);
        if !self.goes_wrong(self.plan.rates.call_lost) {
            return self.after(way, Item::Effect(id, ask, true));
        }
        self.count("lost calls", 1);
        if self.rng.per_mille(700) {
            let way = self.rng.between(0, 15_000);
            self.after(way, Item::Effect(id, ask.clone(), false));
        }
        self.at(
            self.now.mono.plus(ANSWER_WITHIN),
            Item::Answer(id, ask, Vec::new()),
        );
    }

    pub fn effect(&mut self, id: u64, ask: Ask, answered: bool) {
        let now = self.now.mono;
        let entries: Vec<(Receipt, Option<Duration>)> = match &ask {
            Ask::Delete(order) => order.receipts.iter().map(|r| (r.clone(), None)).collect(),
            Ask::Visibility(order) => order.entries.iter().map(|(r, d)| (r.clone(), Some(*d))).collect(),
        };
        let mut answers = Vec::new();
        for (receipt, hidden) in entries {
            let (wrong, done) = (
                self.goes_wrong(self.plan.rates.entry_error),
                self.rng.per_mille(500),
            );
            let result = match hidden {
                _ if wrong && !done => Ok(()),
                None => self.queue.delete(&receipt, now),
                Some(hidden) => self.queue.change_visibility(&receipt, hidden, now),
            };
            answers.push(match wrong {
                true => EntryAnswer::Unavailable("told to".to_owned()),
                false => crate::rig::answer(result),
            });
        }
        self.tell(|| format!("{ask:?}: {answers:?}"));
        self.wake_polls();
        if answered {
            let way = self.rng.between(0, self.plan.way_ms);
            self.after(way, Item::Answer(id, ask, answers));
        }
    }

    pub fn answer(&mut self, id: u64, ask: &Ask, answers: &[EntryAnswer]) {
        if let (Some(owner), Ask::Visibility(order)) = (self.owner.as_mut().filter(|o| o.id == id), ask) {
            for (receipt, _) in &order.entries {
                owner.changing.remove(receipt);
            }
        }
        self.drive(id, |machine, now, out| match ask {
            Ask::Delete(order) => machine.on_delete(order.id, answers, now, out),
            Ask::Visibility(order) => machine.on_visibility(order.id, answers, now, out),
        });
    }

    pub fn drain(&mut self) {
        if let Some(id) = self.owner.as_ref().map(|o| o.id) {
            self.drive(id, |machine, now, out| machine.drain(now, out));
        }
    }

    /// The machine is done: nothing of it runs, and what it received is accounted for, message by message.
    fn stopped(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        let calls = self.calls.values().filter(|c| c.owner == owner.id).count();
        let polls = self.polls.values().filter(|p| p.owner == owner.id).count();
        let c = owner.machine.counters();
        let gone = c.deleted + c.undeleted + c.failed + c.returned + c.dropped + c.left;
        if calls + polls > 0 || !owner.is_idle() || c.received != gone {
            let snapshot = owner.machine.snapshot(self.now);
            self.wrong(format!(
                "stopped with {calls} calls, {polls} receives, {gone} gone: {snapshot:?}"
            ));
        }
        self.sum_up(&owner);
        self.went();
    }

    pub fn sum_up(&mut self, owner: &Owner) {
        let c = owner.machine.counters();
        let counts: BTreeMap<&'static str, u64> = BTreeMap::from([
            ("throttles", c.throttles),
            ("returned", c.returned),
            ("dropped", c.dropped),
            ("left", c.left),
            ("undeleted", c.undeleted),
        ]);
        for (what, n) in counts {
            self.count(what, n);
        }
    }
}

fn result_of(verdict: &QueueVerdict) -> BatchResult {
    match verdict {
        QueueVerdict::Done => BatchResult::Done,
        QueueVerdict::Partial { failed } => BatchResult::DoneBut(failed.clone()),
        QueueVerdict::Failed { .. } => BatchResult::Failed,
        QueueVerdict::Throttled { .. } => BatchResult::NotRun,
    }
}
