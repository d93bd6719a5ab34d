//! Queues as the engine reads them: receives that fail, are slow or lost; messages that come twice; entries that are
//! refused, or done and reported as if they were not.

use crate::plan::{MappingPlan, QueueFaults, QueuePlan, Source};
use crate::world::{Port, World};
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::future::{pending, select};
use millstream_ports::{Clock, EntryError, QueueAttributes, QueueDepth, QueueSource, SourceError};
use millstream_testkit::{QueueEvent, QueueState, id_of, message_number};
use millstream_types::{Message, Mono, Receipt, SourceArn};
use std::time::Duration;

pub(crate) struct Queue {
    pub(crate) arn: SourceArn,
    pub(crate) state: QueueState,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Queue {
    pub(crate) fn new(plan: &QueuePlan) -> Self {
        let mut state = QueueState::new(plan.fifo, Duration::from_secs(plan.visibility));
        state.set_max_receives(plan.max_receives);
        Self {
            arn: SourceArn::local_queue(&plan.name),
            state,
            waiting: Vec::new(),
        }
    }

    fn wake(&mut self) {
        for waiter in self.waiting.drain(..) {
            let _gone = waiter.send(());
        }
    }
}

enum Polled {
    Messages(Vec<Message>),
    /// They are handed out, and the answer is never seen.
    Lost,
    Wait(oneshot::Receiver<()>, Option<Mono>),
}

impl World {
    pub(crate) fn send(&mut self, queue: usize) {
        if !self.chaotic() {
            return;
        }
        let group = format!("g{}", self.rng.between(1, self.plan.queues[queue].groups));
        let number = self.number().to_string();
        let wall = self.now.wall;
        let state = &mut self.queues[queue].state;
        let message = id_of(state.send(Some(&group), number.as_bytes(), wall));
        self.queues[queue].wake();
        self.queue_news(queue);
        let reads = |m: &&MappingPlan| m.source == Source::Queue(queue);
        let reader = self.plan.mappings.iter().find(reads);
        if reader.is_some_and(|m| !m.wants(group.as_bytes())) {
            self.note_queue(queue, QueueEvent::Unwanted { message });
            self.seen("message that no filter wants");
        }
        // A function that takes its time gets less to do, or a run would take for ever.
        let arn = &self.queues[queue].arn;
        let reads = self.plan.mappings.iter().find(|m| m.spec.source == *arn);
        let slowly = reads.map_or(0, |m| m.behaviour.call_ms / 4);
        let pause = self.rng.between(0, 2 * self.plan.put_every_ms + slowly);
        self.after_ms(pause, move |w| w.send(queue));
    }

    fn queue_news(&mut self, queue: usize) {
        for event in self.queues[queue].state.news() {
            if matches!(event, QueueEvent::DeadLettered { .. }) {
                self.seen("dead letter");
            }
            self.note_queue(queue, event);
        }
    }

    fn faults_of(&self, queue: usize) -> QueueFaults {
        self.plan.queues[queue].faults
    }

    fn poll_queue(&mut self, queue: usize, max: usize, until: Mono) -> Result<Polled, SourceError> {
        let (faults, now) = (self.faults_of(queue), self.now);
        let down = !self.plan.queues[queue].clean && self.outage.source > now.mono;
        if down || self.trouble(faults.receive_fails) {
            return Err(SourceError::Unavailable("so it is simulated".to_owned()));
        }
        let mut messages = self.queues[queue].state.receive(max, now, Some(&mut self.rng));
        self.queue_news(queue);
        if messages.is_empty() {
            let q = &mut self.queues[queue];
            if now.mono >= until {
                return Ok(Polled::Messages(messages));
            }
            let (tx, rx) = oneshot::channel();
            q.waiting.push(tx);
            return Ok(Polled::Wait(rx, q.state.next_visible(now.mono)));
        }
        if messages.len() < max && self.trouble(faults.twice) {
            self.seen("message handed out twice");
            let again = self.queues[queue]
                .state
                .hand_out(message_number(&messages[0]), now);
            messages.extend(again);
        }
        let numbers: Vec<u64> = messages.iter().map(message_number).collect();
        self.write(&format!("queue {queue}: hands out {numbers:?}"));
        if self.trouble(faults.receive_lost) {
            self.seen("receive lost");
            return Ok(Polled::Lost);
        }
        Ok(Polled::Messages(messages))
    }

    fn show_again(&mut self, queue: usize, messages: &[Message]) {
        let now = self.now.mono;
        for message in messages {
            // What is no more hidden needs no showing.
            let q = &mut self.queues[queue].state;
            let _stale = q.change_visibility(&message.receipt, Duration::ZERO, now);
        }
        self.queues[queue].wake();
    }

    /// One answer per entry; none if the whole call is never answered.
    fn entries<T>(
        &mut self,
        queue: usize,
        entries: &[T],
        apply: impl Fn(&mut QueueState, &T, Mono) -> Result<(), EntryError>,
    ) -> Option<Vec<Result<(), EntryError>>> {
        let (faults, now) = (self.faults_of(queue), self.now.mono);
        let unavailable = || Err(EntryError::Unavailable("so it is simulated".to_owned()));
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.trouble(faults.refused) {
                self.seen("delete refused");
                answers.push(unavailable());
                continue;
            }
            let result = apply(&mut self.queues[queue].state, entry, now);
            self.queue_news(queue);
            let misreported = self.trouble(faults.misreported);
            answers.push(if misreported { unavailable() } else { result });
        }
        self.queues[queue].wake();
        (!self.trouble(faults.unanswered)).then_some(answers)
    }
}

/// A queue, as one process uses it.
pub(crate) struct SimQueue {
    pub(crate) port: Port,
    pub(crate) queue: usize,
}

/// Messages whose answer is on its way: shown again if nobody waits for it any more.
struct Answer<'a> {
    of: &'a SimQueue,
    messages: Vec<Message>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if !self.messages.is_empty() {
            let (queue, messages) = (self.of.queue, std::mem::take(&mut self.messages));
            self.of.port.with(|w| w.show_again(queue, &messages));
        }
    }
}

impl SimQueue {
    async fn answered<T>(answer: Option<T>) -> T {
        match answer {
            Some(answer) => answer,
            None => pending().await,
        }
    }
}

#[async_trait]
impl QueueSource for SimQueue {
    async fn attributes(&self) -> Result<QueueAttributes, SourceError> {
        let queue = self.queue;
        self.port
            .call(move |w| {
                let faults = w.faults_of(queue);
                if w.trouble(faults.receive_fails) {
                    return Err(SourceError::Unavailable("so it is simulated".to_owned()));
                }
                let state = &w.queues[queue].state;
                Ok(QueueAttributes {
                    fifo: state.is_fifo(),
                    visibility_timeout: state.visibility(),
                    max_receive_count: state.max_receives(),
                })
            })
            .await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Message>, SourceError> {
        let queue = self.queue;
        let (there, back, slow) = self.port.sim.with(|w| {
            let faults = w.faults_of(queue);
            // An answer that takes longer than its messages are hidden looks like any other: nobody could tell.
            let longest = w.queues[queue].state.visibility() / 4;
            let slow = w.trouble(faults.receive_slow);
            let back = w.way().min(longest);
            let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
            let slow = slow.then(|| w.rng.between(100, longest_ms));
            (w.way(), back, slow)
        });
        self.port.sleep(there).await;
        let until = self.port.now().mono.plus(wait);
        loop {
            let polled = Self::answered(self.port.with(|w| w.poll_queue(queue, max, until))).await?;
            match polled {
                Polled::Wait(woken, next) => {
                    let at = next.map_or(until, |next| next.min(until));
                    select(woken, self.port.sleep_until(at)).await;
                }
                Polled::Lost => return pending().await,
                Polled::Messages(messages) => {
                    let mut answer = Answer { of: self, messages };
                    let back = slow.map_or(back, Duration::from_millis);
                    self.port.sleep(back).await;
                    return Ok(std::mem::take(&mut answer.messages));
                }
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>> {
        let (queue, receipts) = (self.queue, receipts.to_vec());
        let answers = self
            .port
            .call(move |w| w.entries(queue, &receipts, |state, receipt, now| state.delete(receipt, now)));
        Self::answered(answers.await).await
    }

    async fn change_visibility(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>> {
        let (queue, entries) = (self.queue, entries.to_vec());
        let answers = self.port.call(move |w| {
            for (_, hidden) in &entries {
                w.seen(match hidden.is_zero() {
                    true => "visibility given back",
                    false => "visibility extended",
                });
            }
            w.entries(queue, &entries, |state, (receipt, hidden), now| {
                state.change_visibility(receipt, *hidden, now)
            })
        });
        Self::answered(answers.await).await
    }

    async fn depth(&self) -> Result<QueueDepth, SourceError> {
        let queue = self.queue;
        self.port
            .call(move |w| Ok(w.queues[queue].state.depth(w.now)))
            .await
    }
}
