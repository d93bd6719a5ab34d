//! Drives one queue machine by hand: a queue in memory, a function that is a closure, and time that jumps to whatever
//! happens next.

use bytes::Bytes;
use millstream_core::queue::{
    Action, AttemptReport, EntryAnswer, OrderId, QueueConfig, QueueMachine, QueueSnapshot, ReceiveFault,
    ReceiveOrder, ReceiveReport, Received, StopReason, Unmatched,
};
use millstream_core::verdict::queue_verdict;
use millstream_ports::EntryError;
use millstream_testkit::{QueueState, message_number, receipt_number};
use millstream_types::durable::QueueAttempt;
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{
    FunctionName, MappingId, MappingSpec, Message, Mono, Now, Outcome, QueueName, Receipt, RequestId,
    SourceArn, Wall,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// The mapping of every run.
pub fn mapping() -> MappingId {
    MappingId::from_random(1)
}

/// When every run begins.
pub const BEGIN: Wall = Wall(1_700_000_000_000);
const NO_END: u32 = 200_000;

/// One attempt as the function saw it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: OrderId,
    pub request: RequestId,
    pub messages: Vec<Message>,
    /// Milliseconds since the run began.
    pub at: u64,
    pub waited: Option<Duration>,
}

impl Sent {
    pub fn numbers(&self) -> Vec<u64> {
        self.messages.iter().map(message_number).collect()
    }
}

/// What was ordered of the queue, as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Delete(Vec<u64>),
    /// Number and seconds.
    Visibility(Vec<(u64, u64)>),
}

/// What a closure says of an attempt: the outcome and after how many ms; none leaves it in flight.
pub type Function = Box<dyn FnMut(&Sent) -> Option<(u64, Outcome)>>;

pub struct Rig {
    pub machine: QueueMachine,
    pub queue: QueueState,
    pub now: Now,
    pub sent: Vec<Sent>,
    /// With the time in ms.
    pub asked: Vec<(u64, Asked)>,
    /// Receives, with the time in ms.
    pub receives: Vec<(u64, ReceiveOrder)>,
    /// Receives that wait for their first message, and until when.
    pub polls: BTreeMap<OrderId, (Mono, ReceiveOrder)>,
    pub hanging: Vec<Sent>,
    pub stopped: Option<StopReason>,
    /// Whether deletes and changes of visibility cannot be carried out.
    pub queue_down: bool,
    /// Whether receives cannot.
    pub receive_fault: Option<ReceiveFault>,
    /// Leaves deletes unanswered (though carried out) in `unanswered`.
    pub hold_deletes: bool,
    pub unanswered: Vec<(OrderId, Vec<EntryAnswer>)>,
    pub most_running: usize,
    /// The history.
    pub history: Vec<QueueAttempt>,
    /// Receives cannot be cut short: they bring what there is.
    pub uncut: bool,
    /// What becomes of messages that match no filter, by their numbers.
    pub unmatched: BTreeMap<u64, Unmatched>,
    config: QueueConfig,
    function: Function,
    actions: Vec<Action>,
    ends: BTreeMap<(Mono, OrderId), (Sent, Outcome)>,
    running: usize,
}

impl Rig {
    pub fn new(
        spec: MappingSpec,
        visibility: u64,
        function: impl FnMut(&Sent) -> Option<(u64, Outcome)> + 'static,
    ) -> Self {
        let visibility = Duration::from_secs(visibility);
        Self::with(QueueConfig::new(mapping(), 1, &spec, visibility), function)
    }

    pub fn with(
        config: QueueConfig,
        function: impl FnMut(&Sent) -> Option<(u64, Outcome)> + 'static,
    ) -> Self {
        let now = Now {
            wall: BEGIN,
            mono: Mono(0),
        };
        let mut rig = Self {
            machine: QueueMachine::new(config.clone(), 1, now),
            queue: QueueState::new(config.fifo, config.visibility_timeout),
            now,
            sent: Vec::new(),
            asked: Vec::new(),
            receives: Vec::new(),
            polls: BTreeMap::new(),
            hanging: Vec::new(),
            stopped: None,
            queue_down: false,
            receive_fault: None,
            hold_deletes: false,
            unanswered: Vec::new(),
            most_running: 0,
            history: Vec::new(),
            uncut: false,
            unmatched: BTreeMap::new(),
            config,
            function: Box::new(function),
            actions: Vec::new(),
            ends: BTreeMap::new(),
            running: 0,
        };
        rig.machine.start(rig.now, &mut rig.actions);
        rig
    }

    /// Sends `n` messages without a group.
    pub fn send(&mut self, n: usize) -> &mut Self {
        for _ in 0..n {
            self.queue.send(None, b"x", self.now.wall);
        }
        self
    }

    /// Sends one message of each of these groups.
    pub fn send_to(&mut self, groups: &[&str]) -> &mut Self {
        for group in groups {
            self.queue.send(Some(group), b"x", self.now.wall);
        }
        self
    }

    /// Runs for so many ms.
    pub fn run_for(&mut self, ms: u64) -> &mut Self {
        let end = self.now.mono.plus(Duration::from_millis(ms));
        for _ in 0..NO_END {
            if self.work() {
                continue;
            }
            let next = [
                self.machine.deadline(),
                self.ends.keys().next().map(|k| k.0),
                self.polls.values().map(|p| p.0).min(),
                self.queue
                    .next_visible(self.now.mono)
                    .filter(|_| !self.polls.is_empty()),
            ];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                self.sleep_to(end);
                return self;
            };
            self.sleep_to(at.max(self.now.mono));
            if self.machine.deadline().is_some_and(|d| d <= self.now.mono) {
                self.machine.on_tick(self.now, &mut self.actions);
            }
        }
        panic!("does not come to rest: {:#?}", self.machine.snapshot(self.now));
    }

    fn sleep_to(&mut self, at: Mono) {
        self.now = Now {
            wall: BEGIN.plus(at.since(Mono(0))),
            mono: at,
        };
    }

    pub fn ms(&self) -> u64 {
        self.now.mono.0 / 1_000_000
    }

    fn work(&mut self) -> bool {
        let actions = std::mem::take(&mut self.actions);
        let any = !actions.is_empty();
        for action in actions {
            self.carry_out(action);
        }
        any || self.end_attempt() || self.answer_poll()
    }

    fn carry_out(&mut self, action: Action) {
        let at = self.ms();
        match action {
            Action::Receive(order) => {
                assert!(
                    (1..=10).contains(&order.max) && order.wait <= Duration::from_secs(20),
                    "{order:?}"
                );
                self.receives.push((at, order));
                self.polls
                    .insert(order.id, (self.now.mono.plus(order.wait), order));
            }
            Action::CutShort(id) => {
                if !self.uncut && self.polls.remove(&id).is_some() {
                    let result = Ok(Vec::new());
                    self.machine
                        .on_receive(ReceiveReport { id, result }, self.now, &mut self.actions);
                }
            }
            Action::Invoke(order) => {
                let sent = Sent {
                    id: order.id,
                    request: order.request_id,
                    messages: order.messages.to_vec(),
                    at,
                    waited: order.waited,
                };
                self.sent.push(sent.clone());
                self.running += 1;
                self.most_running = self.most_running.max(self.running);
                match (self.function)(&sent) {
                    None => self.hanging.push(sent),
                    Some((ms, outcome)) => {
                        let end = self.now.mono.plus(Duration::from_millis(ms));
                        self.ends.insert((end, sent.id), (sent, outcome));
                    }
                }
            }
            Action::Delete(order) => {
                let numbers = order.receipts.iter().map(receipt_number).collect();
                self.asked.push((at, Asked::Delete(numbers)));
                let answers: Vec<_> = order.receipts.iter().map(|r| self.delete(r)).collect();
                if self.hold_deletes {
                    self.unanswered.push((order.id, answers));
                } else {
                    self.machine
                        .on_delete(order.id, &answers, self.now, &mut self.actions);
                }
            }
            Action::ChangeVisibility(order) => {
                let entries = order
                    .entries
                    .iter()
                    .map(|(r, d)| (receipt_number(r), d.as_secs()))
                    .collect();
                self.asked.push((at, Asked::Visibility(entries)));
                let answers: Vec<_> = order.entries.iter().map(|(r, d)| self.change(r, *d)).collect();
                self.machine
                    .on_visibility(order.id, &answers, self.now, &mut self.actions);
            }
            Action::Note(attempt) => self.history.push(*attempt),
            Action::Stopped(reason) => self.stopped = Some(reason),
        }
    }

    fn delete(&mut self, receipt: &Receipt) -> EntryAnswer {
        if self.queue_down {
            return EntryAnswer::Unavailable("down".to_owned());
        }
        answer(self.queue.delete(receipt, self.now.mono))
    }

    fn change(&mut self, receipt: &Receipt, hidden: Duration) -> EntryAnswer {
        if self.queue_down {
            return EntryAnswer::Unavailable("down".to_owned());
        }
        answer(self.queue.change_visibility(receipt, hidden, self.now.mono))
    }

    /// Answers deletes that were left unanswered.
    pub fn answer_deletes(&mut self) -> &mut Self {
        for (id, answers) in std::mem::take(&mut self.unanswered) {
            self.machine.on_delete(id, &answers, self.now, &mut self.actions);
        }
        self
    }

    fn end_attempt(&mut self) -> bool {
        let Some((end, id)) = self.ends.keys().next().copied().filter(|k| k.0 <= self.now.mono) else {
            return false;
        };
        let (sent, outcome) = self.ends.remove(&(end, id)).unwrap();
        self.end(&sent, outcome);
        true
    }

    /// Ends an attempt that was left in flight.
    pub fn release(&mut self, at: usize, outcome: Outcome) -> &mut Self {
        let sent = self.hanging.remove(at);
        self.end(&sent, outcome);
        self
    }

    fn end(&mut self, sent: &Sent, outcome: Outcome) {
        self.running -= 1;
        let verdict = queue_verdict(&outcome, &sent.messages, self.config.report_item_failures);
        let report = AttemptReport {
            id: sent.id,
            verdict,
            started: Wall(BEGIN.0 + sent.at),
        };
        self.machine.on_attempt(report, self.now, &mut self.actions);
    }

    fn answer_poll(&mut self) -> bool {
        for (id, (until, order)) in self.polls.clone() {
            let result = match &self.receive_fault {
                Some(fault) => Err(fault.clone()),
                None => {
                    let got = self.queue.receive(order.max, self.now, None);
                    if got.is_empty() && until > self.now.mono {
                        continue;
                    }
                    let mut got = Received::measure(got, &self.config.shape);
                    for received in &mut got {
                        let number = message_number(&received.message);
                        received.unmatched = self.unmatched.get(&number).copied();
                    }
                    Ok(got)
                }
            };
            self.polls.remove(&id);
            self.machine
                .on_receive(ReceiveReport { id, result }, self.now, &mut self.actions);
            return true;
        }
        false
    }

    pub fn drain(&mut self) -> &mut Self {
        self.machine.drain(self.now, &mut self.actions);
        self
    }

    /// A machine of the next process takes the queue over.
    pub fn restart(&mut self) -> &mut Self {
        assert!(self.stopped.take().is_some(), "it has not stopped yet");
        self.machine = QueueMachine::new(self.config.clone(), 2, self.now);
        self.machine.start(self.now, &mut self.actions);
        self
    }

    pub fn snapshot(&self) -> QueueSnapshot {
        self.machine.snapshot(self.now)
    }

    /// The batches that were sent, by the numbers of their messages.
    pub fn batches(&self) -> Vec<Vec<u64>> {
        self.sent.iter().map(Sent::numbers).collect()
    }

    /// When each batch was sent, in ms.
    pub fn times(&self) -> Vec<u64> {
        self.sent.iter().map(|s| s.at).collect()
    }

    /// What was deleted, in order.
    pub fn deletes(&self) -> Vec<u64> {
        let of = |(_, a): &(u64, Asked)| match a {
            Asked::Delete(n) => n.clone(),
            Asked::Visibility(_) => Vec::new(),
        };
        self.asked.iter().flat_map(of).collect()
    }

    /// Every change of visibility: ms, message, seconds.
    pub fn changes(&self) -> Vec<(u64, u64, u64)> {
        let of = |(at, a): &(u64, Asked)| match a {
            Asked::Delete(_) => Vec::new(),
            Asked::Visibility(v) => v.iter().map(|(n, s)| (*at, *n, *s)).collect(),
        };
        self.asked.iter().flat_map(of).collect()
    }
}

/// What an entry of a delete or change of visibility is answered.
pub fn answer(result: Result<(), EntryError>) -> EntryAnswer {
    match result {
        Ok(()) => EntryAnswer::Done,
        Err(EntryError::Receipt(_)) => EntryAnswer::ReceiptInvalid,
        Err(EntryError::Unavailable(why)) => EntryAnswer::Unavailable(why),
    }
}

/// A mapping of a standard queue with AWS's defaults, changed as the test likes.
pub fn standard(change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    spec("jobs", change)
}

/// The same of a FIFO queue.
pub fn fifo(change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    spec("jobs.fifo", change)
}

fn spec(queue: &str, change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    let arn = SourceArn::local_queue(&QueueName::new(queue).unwrap());
    let mut spec = MappingSpec::queue(arn, FunctionName::new("f").unwrap());
    change(&mut spec);
    spec
}

pub fn ok() -> Outcome {
    Outcome::Response(Bytes::from_static(b"{}"))
}

pub fn raised() -> Outcome {
    Outcome::FunctionError(FunctionError {
        kind: FunctionErrorKind::Raised,
        error_type: "ValueError".to_owned(),
        message: String::new(),
    })
}

pub fn throttled() -> Outcome {
    Outcome::Throttled { retry_after: None }
}

/// A report of these messages.
pub fn report(failed: &[u64]) -> Outcome {
    let items: Vec<String> = failed
        .iter()
        .map(|n| format!(r#"{{"itemIdentifier":"m{n}"}}"#))
        .collect();
    Outcome::Response(format!(r#"{{"batchItemFailures":[{}]}}"#, items.join(",")).into())
}

/// Always the same, at once.
pub fn always(outcome: Outcome) -> impl FnMut(&Sent) -> Option<(u64, Outcome)> {
    move |_| Some((0, outcome.clone()))
}

/// Never ends.
pub fn never() -> impl FnMut(&Sent) -> Option<(u64, Outcome)> {
    |_| None
}
