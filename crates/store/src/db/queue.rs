//! What waits for the writer thread: in order, bounded, queued without waiting.

use super::batch::{Batch, Guard, Op};
use super::errors::{GuardedError, NotApplied};
use bytes::Bytes;
use millstream_ports::Durability;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// Most batches of one group: beyond that a group's latency grows and nothing is won.
const GROUP_REQUESTS: usize = 1024;
/// Most bytes of one group, unless its first batch has more.
const GROUP_BYTES: usize = 4 << 20;

/// One batch on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) guard: Guard,
    pub(super) batch: Batch,
    pub(super) durability: Durability,
    answer: oneshot::Sender<Result<(), GuardedError>>,
}

impl Request {
    pub(super) fn new(
        guard: Guard,
        batch: Batch,
        durability: Durability,
        answer: oneshot::Sender<Result<(), GuardedError>>,
    ) -> Self {
        Self {
            guard,
            batch,
            durability,
            answer,
        }
    }

    pub(super) fn answer(self, answer: Result<(), GuardedError>) {
        // Nobody has to wait for it.
        let _ = self.answer.send(answer);
    }
}

/// What the writer thread finds.
pub(super) enum Taken {
    /// The next batches, at least one.
    Group(Vec<Request>),
    /// None until the time asked for.
    Nothing,
    /// None, and there will be no more.
    Closed,
}

/// The queue in front of the writer thread.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    room: Notify,
    max_bytes: usize,
    max_requests: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    bytes: usize,
    closed: bool,
    /// The token of each key under which a batch is missing.
    broken: BTreeMap<Vec<u8>, Bytes>,
}

impl Queue {
    pub(super) fn new(max_bytes: usize, max_requests: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            room: Notify::new(),
            max_bytes,
            max_requests: max_requests.max(1),
        }
    }

    /// Queues a request, or refuses it for good.
    pub(super) fn push(&self, request: Request) -> Result<(), NotApplied> {
        let mut state = self.lock();
        if state.closed {
            return Err(NotApplied::Closed);
        }
        let (bytes, requests) = (state.bytes, state.waiting.len());
        let full = requests >= self.max_requests || bytes + request.batch.bytes > self.max_bytes;
        if full && requests > 0 {
            state.break_token(&request.guard);
            return Err(NotApplied::Overloaded { bytes, requests });
        }
        state.bytes += request.batch.bytes;
        state.waiting.push_back(request);
        if requests == 0 {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for a group, at most until `until`.
    pub(super) fn take(&self, until: Option<Instant>) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                let group = state.next_group();
                let room = self.has_room(&state);
                drop(state);
                if room {
                    self.room.notify_waiters();
                }
                return Taken::Group(group);
            }
            if state.closed {
                return Taken::Closed;
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Taken::Nothing,
                Some(left) => {
                    self.arrived
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Takes all that waits, however much, and breaks its tokens: it is going to be refused.
    pub(super) fn take_all_to_refuse(&self) -> Vec<Request> {
        let mut state = self.lock();
        let all: Vec<Request> = state.waiting.drain(..).collect();
        state.bytes = 0;
        for request in &all {
            state.break_token(&request.guard);
        }
        drop(state);
        self.room.notify_waiters();
        all
    }

    /// From now on requests are refused; those that wait are still served.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
        self.room.notify_waiters();
    }

    /// Waits at most `pause`, less if the queue is closed; tells whether it is.
    pub(super) fn closed_within(&self, pause: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .arrived
            .wait_timeout_while(state, pause, |state| !state.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Resolves when the queue is at most half full, or closed.
    pub(super) async fn ready(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let state = self.lock();
                if state.closed || self.has_room(&state) {
                    return;
                }
            }
            room.await;
        }
    }

    /// From now on batches with the token of `guard` are refused.
    pub(super) fn break_token(&self, guard: &Guard) {
        self.lock().break_token(guard);
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes as u64
    }

    /// Batches that wait, and their bytes.
    pub(super) fn waiting(&self) -> (usize, u64) {
        let state = self.lock();
        (state.waiting.len(), state.bytes as u64)
    }

    /// Whether an earlier batch of the token of `guard` is missing.
    pub(super) fn is_broken(&self, guard: &Guard) -> bool {
        guard
            .token
            .as_ref()
            .is_some_and(|(key, value)| self.lock().broken.get(key) == Some(value))
    }

    /// Forgets broken tokens that these written operations have replaced.
    pub(super) fn mend<'a>(&self, written: impl Iterator<Item = &'a Op>) {
        let mut state = self.lock();
        if state.broken.is_empty() {
            return;
        }
        for op in written {
            if let Op::Put(key, value) = op
                && state.broken.get(key).is_some_and(|broken| broken != value)
            {
                state.broken.remove(key);
            }
        }
    }

    fn has_room(&self, state: &State) -> bool {
        state.bytes <= self.max_bytes / 2 && state.waiting.len() <= self.max_requests / 2
    }

    // Nothing here can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_group(&mut self) -> Vec<Request> {
        let (mut requests, mut bytes) = (0, 0);
        for request in &self.waiting {
            bytes += request.batch.bytes;
            if requests == GROUP_REQUESTS || (requests > 0 && bytes > GROUP_BYTES) {
                break;
            }
            requests += 1;
        }
        let group: Vec<Request> = self.waiting.drain(..requests).collect();
        self.bytes -= group.iter().map(|request| request.batch.bytes).sum::<usize>();
        group
    }

    fn break_token(&mut self, guard: &Guard) {
        if let Some((key, value)) = &guard.token {
            self.broken.insert(key.clone(), value.clone());
        }
    }
}
