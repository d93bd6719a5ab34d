//! The queue's ports over [`QueueState`], with faults as a test wants them.

use crate::entropy::Rng;
use crate::queue::{QueueState, receipt_number};
use crate::queue_log::QueueLog;
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::future::{pending, select};
use millstream_ports::{
    Clock, EntryError, QueueAttributes, QueueDepth, QueueSource, SourceError, Sources, StreamSource,
};
use millstream_types::{Message, Mono, Namespace, QueueName, Receipt, SourceArn};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong with one of the next receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveTrouble {
    /// It fails, and nothing is handed out.
    Fails(SourceError),
    /// Messages are handed out, and the answer takes so long. If nobody waits for it any more, they are given back.
    Slow(Duration),
    /// Messages are handed out, and the answer is lost.
    Lost,
    /// One of the messages is handed out twice, as a standard queue may do.
    Twice,
}

/// What goes wrong with one entry of the next deletes and changes of visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryTrouble {
    /// Nothing happens, and that is answered.
    Refused,
    /// It happens, and is answered as if it had not.
    Misreported,
    /// It happens, and the whole call is never answered.
    Unanswered,
}

/// What was asked of a queue, as it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A receive began.
    Receive {
        /// Most messages.
        max: usize,
        /// How long it waits.
        wait: Duration,
    },
    /// A receive handed out these.
    Handed(Vec<u64>),
    /// These were to be deleted.
    Delete(Vec<u64>),
    /// These were to stay hidden for so long.
    Visibility(Vec<(u64, Duration)>),
}

/// An in-memory queue for tests of the engine. Clones share one state.
#[derive(Clone)]
pub struct MemoryQueue {
    name: QueueName,
    clock: Arc<dyn Clock>,
    log: QueueLog,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    state: QueueState,
    /// Grows when the queue goes away, and when it is made anew: handles are of one of these lives.
    life: u64,
    exists: bool,
    rng: Option<Rng>,
    receives: VecDeque<ReceiveTrouble>,
    entries: VecDeque<EntryTrouble>,
    down: Option<SourceError>,
    asked: Vec<(Mono, Asked)>,
    polls: usize,
    waiting: Vec<oneshot::Sender<()>>,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// An empty queue; a FIFO queue if its name ends in `.fifo`. It writes what happens into `log`.
    #[must_use]
    pub fn new(name: &QueueName, visibility: Duration, clock: Arc<dyn Clock>, log: &QueueLog) -> Self {
        let shared = Shared {
            state: QueueState::new(name.as_str().ends_with(".fifo"), visibility),
            life: 1,
            exists: true,
            rng: None,
            receives: VecDeque::new(),
            entries: VecDeque::new(),
            down: None,
            asked: Vec::new(),
            polls: 0,
            waiting: Vec::new(),
        };
        Self {
            name: name.clone(),
            clock,
            log: log.clone(),
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// Its ARN in the built-in broker.
    #[must_use]
    pub fn arn(&self) -> SourceArn {
        SourceArn::local_queue(&self.name)
    }

    /// Sends a message, and wakes who waits for one; its number.
    pub fn send(&self, group: Option<&str>, body: &str) -> u64 {
        let at = self.clock.now().wall;
        self.change(|state| state.send(group, body.as_bytes(), at))
    }

    /// Changes the queue as the test likes, and wakes everybody.
    pub fn change<T>(&self, f: impl FnOnce(&mut QueueState) -> T) -> T {
        self.with(|s| {
            let result = f(&mut s.state);
            s.wake();
            result
        })
    }

    /// From now on messages of a standard queue come in any order.
    pub fn shuffle(&self, seed: u64) {
        self.with(|s| s.rng = Some(Rng::new(seed)));
    }

    /// A copy of the state as it is now.
    #[must_use]
    pub fn state(&self) -> QueueState {
        self.with(|s| s.state.clone())
    }

    /// What was asked of it so far, and when.
    #[must_use]
    pub fn asked(&self) -> Vec<(Mono, Asked)> {
        self.with(|s| s.asked.clone())
    }

    /// How many receives wait now.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.with(|s| s.polls)
    }

    /// Lets something go wrong with the next receives that have a message, one after the other.
    pub fn trouble_receives(&self, trouble: impl IntoIterator<Item = ReceiveTrouble>) {
        self.with(|s| s.receives.extend(trouble));
    }

    /// Lets something go wrong with the next entries of deletes and changes of visibility, one after the other.
    pub fn trouble_entries(&self, trouble: impl IntoIterator<Item = EntryTrouble>) {
        self.with(|s| s.entries.extend(trouble));
    }

    /// From now on everything fails like this; or nothing any more.
    pub fn set_down(&self, down: Option<SourceError>) {
        self.with(|s| {
            s.down = down;
            s.wake();
        });
    }

    /// The queue is removed, with all its messages.
    pub fn remove(&self) {
        self.with(|s| {
            s.exists = false;
            s.life += 1;
            let (fifo, visibility) = (s.state.is_fifo(), s.state.visibility());
            s.state = QueueState::new(fifo, visibility);
            s.wake();
        });
    }

    /// A queue of this name is made anew. Handles of the old one do not reach it.
    pub fn make_anew(&self) {
        self.with(|s| {
            s.exists = true;
            s.life += 1;
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut shared);
        self.log.extend(shared.state.news());
        result
    }

    fn open(&self) -> Result<Arc<dyn QueueSource>, SourceError> {
        let life = self.with(|s| s.available().map(|()| s.life));
        match life {
            Ok(life) => Ok(Arc::new(Handle {
                queue: self.clone(),
                life,
            })),
            Err(e) => Err(self.named(e)),
        }
    }

    fn named(&self, error: Option<SourceError>) -> SourceError {
        error.unwrap_or_else(|| SourceError::NoSuchQueue {
            arn: self.arn().to_string(),
        })
    }
}

impl Shared {
    fn wake(&mut self) {
        for waiter in self.waiting.drain(..) {
            let _gone = waiter.send(());
        }
    }

    /// None: there is no such queue.
    fn available(&self) -> Result<(), Option<SourceError>> {
        match (&self.down, self.exists) {
            (Some(error), _) => Err(Some(error.clone())),
            (None, false) => Err(None),
            (None, true) => Ok(()),
        }
    }
}

/// One life of a queue.
#[derive(Clone, Debug)]
struct Handle {
    queue: MemoryQueue,
    life: u64,
}

/// Messages handed out whose answer is on its way. If nobody waits for it, they are shown again.
struct Answer {
    handle: Handle,
    messages: Vec<Message>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let now = self.handle.queue.clock.now().mono;
        let messages = std::mem::take(&mut self.messages);
        if !messages.is_empty() {
            self.handle.queue.change(|state| {
                for message in messages {
                    // What is no more hidden needs no showing.
                    let _stale = state.change_visibility(&message.receipt, Duration::ZERO, now);
                }
            });
        }
    }
}

enum Polled {
    Messages(Vec<Message>, Option<ReceiveTrouble>),
    Wait(oneshot::Receiver<()>, Option<Mono>),
}

impl Handle {
    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> Result<T, SourceError> {
        let result = self.queue.with(|s| {
            s.available()?;
            if s.life == self.life { Ok(f(s)) } else { Err(None) }
        });
        result.map_err(|e| self.queue.named(e))
    }

    fn poll(&self, max: usize, until: Mono) -> Result<Polled, SourceError> {
        let now = self.queue.clock.now();
        let polled = self.with(|s| {
            let next_trouble = s.receives.front().cloned();
            if let Some(ReceiveTrouble::Fails(error)) = next_trouble {
                s.receives.pop_front();
                return Err(error);
            }
            let mut messages = s.state.receive(max, now, s.rng.as_mut());
            if messages.is_empty() && now.mono < until {
                let (waiter, woken) = oneshot::channel();
                s.waiting.push(waiter);
                return Ok(Polled::Wait(woken, s.state.next_visible(now.mono)));
            }
            let trouble = if messages.is_empty() {
                None
            } else {
                s.receives.pop_front()
            };
            if trouble == Some(ReceiveTrouble::Twice) {
                let number = crate::queue::message_number(&messages[0]);
                messages.extend(s.state.hand_out(number, now).filter(|_| messages.len() < max));
            }
            let numbers = messages.iter().map(crate::queue::message_number).collect();
            s.asked.push((now.mono, Asked::Handed(numbers)));
            Ok(Polled::Messages(messages, trouble))
        });
        polled?
    }

    fn entries<T>(
        &self,
        entries: &[T],
        apply: impl Fn(&mut QueueState, &T, Mono) -> Result<(), EntryError>,
    ) -> (Vec<Result<(), EntryError>>, bool) {
        let now = self.queue.clock.now().mono;
        let unavailable = || Err(EntryError::Unavailable("as the test told it".to_owned()));
        let mut answered = true;
        let answers = self.with(|s| {
            let one = |entry| {
                let trouble = s.entries.pop_front();
                if trouble == Some(EntryTrouble::Refused) {
                    return unavailable();
                }
                let result = apply(&mut s.state, entry, now);
                answered &= trouble != Some(EntryTrouble::Unanswered);
                if trouble == Some(EntryTrouble::Misreported) {
                    unavailable()
                } else {
                    result
                }
            };
            let answers = entries.iter().map(one).collect();
            s.wake();
            answers
        });
        let answers = answers.unwrap_or_else(|e| {
            let down = |_| Err(EntryError::Unavailable(e.to_string()));
            entries.iter().map(down).collect()
        });
        (answers, answered)
    }

    fn note(&self, asked: Asked) {
        let at = self.queue.clock.now().mono;
        self.queue.with(|s| s.asked.push((at, asked)));
    }
}

/// Counts a receive that waits, for as long as it does.
struct Polling<'a>(&'a Handle);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.queue.with(|s| s.polls -= 1);
    }
}

#[async_trait]
impl QueueSource for Handle {
    async fn attributes(&self) -> Result<QueueAttributes, SourceError> {
        self.with(|s| QueueAttributes {
            fifo: s.state.is_fifo(),
            visibility_timeout: s.state.visibility(),
            max_receive_count: s.state.max_receives(),
        })
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Message>, SourceError> {
        self.note(Asked::Receive { max, wait });
        let clock = &self.queue.clock;
        let until = clock.now().mono.plus(wait);
        self.queue.with(|s| s.polls += 1);
        let _polling = Polling(self);
        loop {
            match self.poll(max, until)? {
                Polled::Wait(woken, next) => {
                    let at = next.map_or(until, |next| next.min(until));
                    select(woken, clock.sleep_until(at)).await;
                }
                Polled::Messages(messages, Some(ReceiveTrouble::Lost)) => {
                    drop(messages);
                    return pending().await;
                }
                Polled::Messages(messages, trouble) => {
                    let handle = self.clone();
                    let mut answer = Answer { handle, messages };
                    if let Some(ReceiveTrouble::Slow(by)) = trouble {
                        clock.sleep_until(clock.now().mono.plus(by)).await;
                    }
                    return Ok(std::mem::take(&mut answer.messages));
                }
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>> {
        self.note(Asked::Delete(receipts.iter().map(receipt_number).collect()));
        let (answers, answered) = self.entries(receipts, |state, receipt, now| state.delete(receipt, now));
        if answered { answers } else { pending().await }
    }

    async fn change_visibility(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>> {
        let asked = entries.iter().map(|(r, hidden)| (receipt_number(r), *hidden));
        self.note(Asked::Visibility(asked.collect()));
        let (answers, answered) = self.entries(entries, |state, (receipt, hidden), now| {
            state.change_visibility(receipt, *hidden, now)
        });
        if answered { answers } else { pending().await }
    }

    async fn depth(&self) -> Result<QueueDepth, SourceError> {
        let now = self.queue.clock.now();
        self.with(|s| s.state.depth(now))
    }
}

/// Sources that are some in-memory queues, and no stream.
#[derive(Clone, Debug, Default)]
pub struct MemoryQueues(BTreeMap<QueueName, MemoryQueue>);

impl MemoryQueues {
    /// These queues.
    #[must_use]
    pub fn of(queues: impl IntoIterator<Item = MemoryQueue>) -> Self {
        Self(queues.into_iter().map(|q| (q.name.clone(), q)).collect())
    }
}

#[async_trait]
impl Sources for MemoryQueues {
    async fn stream(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn StreamSource>, SourceError> {
        Err(SourceError::NotFound(arn.to_string()))
    }

    async fn queue(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn QueueSource>, SourceError> {
        match self.0.values().find(|queue| queue.arn() == *arn) {
            Some(queue) => queue.open(),
            None => Err(SourceError::NoSuchQueue { arn: arn.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use futures::FutureExt;
    use millstream_types::Wall;

    const HIDDEN: Duration = Duration::from_secs(30);
    const WAIT: Duration = Duration::from_secs(20);

    fn queue() -> (Arc<ManualClock>, MemoryQueue, Arc<dyn QueueSource>) {
        let clock = Arc::new(ManualClock::at(Wall(0)));
        let name = QueueName::new("jobs").unwrap();
        let queue = MemoryQueue::new(&name, HIDDEN, clock.clone(), &QueueLog::default());
        let source = queue.open().unwrap();
        (clock, queue, source)
    }

    #[test]
    fn a_long_poll_wakes_for_a_message_and_ends_without_one() {
        let (clock, queue, source) = queue();
        let mut first = source.receive(10, WAIT);
        let mut second = source.receive(10, WAIT);
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert_eq!(queue.polls(), 2);
        queue.send(None, "a");
        assert_eq!((&mut first).now_or_never().unwrap().unwrap().len(), 1);
        assert!(
            (&mut second).now_or_never().is_none(),
            "one message, one receiver"
        );
        clock.advance(WAIT);
        assert_eq!((&mut second).now_or_never().unwrap(), Ok(Vec::new()));
        assert_eq!(queue.polls(), 0);
        let mut third = source.receive(10, WAIT);
        assert!((&mut third).now_or_never().is_none());
        clock.advance(HIDDEN - WAIT);
        assert_eq!(
            (&mut third).now_or_never().unwrap().unwrap()[0]
                .system
                .receive_count,
            2
        );
    }

    #[test]
    fn a_dropped_receive_leaves_nothing_hidden_unless_its_answer_is_lost() {
        for (trouble, visible) in [(ReceiveTrouble::Slow(WAIT), 1), (ReceiveTrouble::Lost, 0)] {
            let (_clock, queue, source) = queue();
            queue.send(None, "a");
            queue.trouble_receives([trouble]);
            assert!(source.receive(10, WAIT).now_or_never().is_none());
            let depth = source.depth().now_or_never().unwrap().unwrap();
            assert_eq!(depth.visible, visible);
        }
    }

    #[test]
    fn entries_fail_one_by_one() {
        let (_clock, queue, source) = queue();
        for _ in 0..3 {
            queue.send(None, "a");
        }
        let messages = source.receive(10, WAIT).now_or_never().unwrap().unwrap();
        let receipts: Vec<Receipt> = messages.iter().map(|m| m.receipt.clone()).collect();
        queue.trouble_entries([EntryTrouble::Refused, EntryTrouble::Misreported]);
        let answers = source.delete(&receipts).now_or_never().unwrap();
        let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(failed, [true, true, false]);
        assert_eq!(
            queue.state().messages().map(|m| m.number).collect::<Vec<_>>(),
            [1]
        );
        queue.trouble_entries([EntryTrouble::Unanswered]);
        assert!(source.delete(&receipts[..1]).now_or_never().is_none());
        assert!(queue.state().is_empty());
    }

    #[test]
    fn a_handle_does_not_reach_a_queue_made_anew() {
        let (_clock, queue, source) = queue();
        queue.remove();
        assert!(queue.open().is_err());
        queue.make_anew();
        assert!(matches!(
            source.depth().now_or_never().unwrap(),
            Err(SourceError::NoSuchQueue { .. })
        ));
        assert!(queue.open().is_ok());
    }
}
