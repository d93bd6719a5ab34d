//! The processes of one function: which are free, how many there may be, who waits for one.

use super::backoff::Backoff;
use super::command::Plan;
use super::death::not_started;
use super::output::Output;
use super::protocol::{Assigned, Ending, Protocol, Work};
use super::run::{Process, supervise};
use super::spawner::Spawner;
use crate::event::Event;
use crate::places::closed;
use millstream_ports::PoolStatus;
use millstream_types::Outcome;
use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How patient the pools of a factory are. The defaults suit everybody but tests.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// How long an invocation waits for a process before it is refused as throttled.
    pub capacity_wait: Duration,
    /// How long a process stays idle before it is ended; the last idle one of a function stays.
    pub idle_after: Duration,
    /// How long a process may take to end after SIGTERM before SIGKILL.
    pub stop_grace: Duration,
    /// How long starting waits after the first failed start; doubles with every further one.
    pub restart_base: Duration,
    /// Longest wait between starts.
    pub restart_cap: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            capacity_wait: Duration::from_secs(1),
            idle_after: Duration::from_mins(1),
            stop_grace: Duration::from_secs(2),
            restart_base: Duration::from_millis(200),
            restart_cap: Duration::from_secs(30),
        }
    }
}

/// Most invocations that wait for a process; more are refused at once.
const MAX_WAITERS: usize = 4_096;
/// How many processes one invocation is offered to when they end without taking it.
const OFFERS: u32 = 4;

/// The processes of one function.
pub(super) struct Pool {
    plan: Plan,
    options: PoolOptions,
    spawner: Spawner,
    state: Mutex<State>,
    in_flight: AtomicI64,
    started: AtomicU64,
    crashed: AtomicU64,
    closing: CancellationToken,
    tasks: TaskTracker,
}

struct State {
    /// Free processes and since when; the last is taken first, so that surplus ones stay idle.
    ready: Vec<(Instant, Arc<Process>)>,
    /// Processes that exist or are being started.
    live: u32,
    waiters: VecDeque<oneshot::Sender<Hold>>,
    backoff: Backoff,
    sweeping: bool,
}

/// What an invocation may use.
enum Grant {
    /// This free process.
    Process(Arc<Process>),
    /// The place of a process that may be started.
    Start,
}

/// A grant that goes back to the pool when it is not used.
struct Hold {
    pool: Arc<Pool>,
    grant: Option<Grant>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            self.pool.give(grant);
        }
    }
}

/// How a process left.
pub(super) struct Departure {
    /// It never asked for work, and was not stopped for other reasons.
    pub(super) failed_start: bool,
    /// It ended without being asked.
    pub(super) unasked: bool,
}

impl Pool {
    pub(super) fn new(plan: Plan, spawner: Spawner, options: PoolOptions) -> Arc<Self> {
        let state = State {
            ready: Vec::new(),
            live: 0,
            waiters: VecDeque::new(),
            backoff: Backoff::new(options.restart_base, options.restart_cap),
            sweeping: false,
        };
        Arc::new(Self {
            plan,
            options,
            spawner,
            state: Mutex::new(state),
            in_flight: AtomicI64::new(0),
            started: AtomicU64::new(0),
            crashed: AtomicU64::new(0),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Cancelled when the pool is closed.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    pub(super) fn status(&self) -> PoolStatus {
        PoolStatus {
            processes: self.state().live,
            in_flight: u32::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or(0),
            started: self.started.load(Ordering::Relaxed),
            crashed: self.crashed.load(Ordering::Relaxed),
        }
    }

    /// Ends all processes and waits until they are gone.
    pub(super) async fn close(&self) {
        self.cancel();
        self.tasks.wait().await;
    }

    /// Has all processes ended, without waiting for it.
    pub(super) fn cancel(&self) {
        self.closing.cancel();
        self.tasks.close();
        let waiters = std::mem::take(&mut self.state().waiters);
        drop(waiters); // outside the lock: they find the pool closed
    }

    /// Runs one invocation on a process.
    pub(super) async fn run(self: &Arc<Self>, event: Arc<Event>) -> Outcome {
        // Closing waits for this invocation too, so that a process it is just starting is not missed.
        let _running = self.tasks.token();
        for _ in 0..OFFERS {
            let hold = match self.acquire().await {
                Ok(hold) => hold,
                Err(outcome) => return outcome,
            };
            match self.offer(hold, &event).await {
                Ok(Ending::Outcome(outcome)) => return outcome,
                Ok(Ending::Untaken) => {}
                Err(outcome) => return outcome,
            }
        }
        Outcome::Throttled { retry_after: None }
    }

    /// Gives an invocation to what was granted; an error is an outcome without a process.
    async fn offer(self: &Arc<Self>, mut hold: Hold, event: &Arc<Event>) -> Result<Ending, Outcome> {
        let (tell, mut told) = oneshot::channel();
        let work = Work {
            event: Arc::clone(event),
            tell,
        };
        let ending = match hold.grant.take() {
            None => return Ok(Ending::Untaken),
            Some(Grant::Process(process)) => match process.assign(work) {
                Assigned::Handed => told.await,
                Assigned::Refused => return Ok(Ending::Untaken),
                Assigned::Queued => match timeout(self.options.capacity_wait, &mut told).await {
                    Ok(ending) => ending,
                    Err(_elapsed) if process.revoke() => return Ok(Ending::Untaken),
                    Err(_elapsed) => told.await,
                },
            },
            Some(Grant::Start) => {
                hold.grant = Some(Grant::Start); // given back if the caller goes meanwhile
                if let Err(error) = self.start(work).await {
                    let failed = not_started(self.plan.program(), &error);
                    tracing::warn!(function = %self.plan.name, %error, "cannot start a process");
                    hold.grant = None;
                    self.departed(&Departure {
                        failed_start: true,
                        unasked: false,
                    });
                    return Err(Outcome::FunctionError(failed));
                }
                hold.grant = None;
                told.await
            }
        };
        ending.map_err(|_| Outcome::Unreachable {
            reason: "the function's processes are gone".to_owned(),
        })
    }

    /// A free process or the right to start one, within the time an invocation may wait.
    async fn acquire(self: &Arc<Self>) -> Result<Hold, Outcome> {
        let granted = {
            let mut state = self.state();
            if self.closing.is_cancelled() {
                return Err(closed());
            }
            self.grant_now(&mut state, Instant::now())?
        };
        let mut granted = match granted {
            Ok(grant) => {
                return Ok(Hold {
                    pool: Arc::clone(self),
                    grant: Some(grant),
                });
            }
            Err(granted) => granted,
        };
        if let Ok(given) = timeout(self.options.capacity_wait, &mut granted).await {
            return given.map_err(|_| closed());
        }
        // A grant may have come just now; taken or dropped, it is not lost.
        granted.close();
        granted
            .try_recv()
            .map_err(|_| self.throttled(&self.state(), Instant::now()))
    }

    /// What is free now, or a place in the queue.
    #[allow(clippy::type_complexity)] // two results in one would need a type for this one call
    fn grant_now(
        &self,
        state: &mut State,
        now: Instant,
    ) -> Result<Result<Grant, oneshot::Receiver<Hold>>, Outcome> {
        if let Some((_, process)) = state.ready.pop() {
            return Ok(Ok(Grant::Process(process)));
        }
        let may_start = state.backoff.wait(now).is_none();
        if may_start && state.live < self.plan.concurrency {
            state.live += 1;
            return Ok(Ok(Grant::Start));
        }
        if state.waiters.len() >= MAX_WAITERS {
            state.waiters.retain(|waiter| !waiter.is_closed());
        }
        if state.live == 0 || state.waiters.len() >= MAX_WAITERS {
            return Err(self.throttled(state, now));
        }
        let (waiter, granted) = oneshot::channel();
        state.waiters.push_back(waiter);
        Ok(Err(granted))
    }

    fn throttled(&self, state: &State, now: Instant) -> Outcome {
        Outcome::Throttled {
            retry_after: state.backoff.wait(now),
        }
    }

    /// Gives a grant to who waits longest, or keeps it.
    fn give(self: &Arc<Self>, mut grant: Grant) {
        loop {
            let waiter = {
                let mut state = self.state();
                match state.waiters.pop_front() {
                    Some(waiter) => waiter,
                    None => {
                        match grant {
                            Grant::Process(process) => state.ready.push((Instant::now(), process)),
                            Grant::Start => state.live = state.live.saturating_sub(1),
                        }
                        return;
                    }
                }
            };
            // Sent without the lock: a hold that comes back must not be dropped under it.
            let hold = Hold {
                pool: Arc::clone(self),
                grant: Some(grant),
            };
            let Err(mut refused) = waiter.send(hold) else {
                return;
            };
            match refused.grant.take() {
                Some(again) => grant = again,
                None => return,
            }
        }
    }

    /// A process is free.
    pub(super) fn put_back(self: &Arc<Self>, process: Arc<Process>) {
        self.give(Grant::Process(process));
    }

    /// A process is no longer to be given out.
    pub(super) fn unlist(&self, process: &Arc<Process>) {
        self.state()
            .ready
            .retain(|(_, other)| !Arc::ptr_eq(other, process));
    }

    /// A new process asked for work.
    pub(super) fn start_succeeded(&self) {
        self.state().backoff.succeeded();
    }

    /// A process is gone; its place is free.
    pub(super) fn departed(self: &Arc<Self>, departure: &Departure) {
        if departure.unasked {
            self.crashed.fetch_add(1, Ordering::Relaxed);
        }
        let now = Instant::now();
        {
            let mut state = self.state();
            if departure.failed_start {
                state.backoff.failed(now);
            }
            if state.backoff.wait(now).is_some() || self.closing.is_cancelled() {
                state.live = state.live.saturating_sub(1);
                return;
            }
        }
        self.give(Grant::Start);
    }

    /// An invocation began (+1) or ended (-1) in a process.
    pub(super) fn count_in_flight(&self, change: i32) {
        self.in_flight.fetch_add(i64::from(change), Ordering::Relaxed);
    }

    async fn start(self: &Arc<Self>, work: Work) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let serial = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let command = self.plan.command(listener.local_addr()?, serial);
        let mut group = self.spawner.spawn(command).await?;
        let output = Output::new(Arc::clone(&self.plan.name), group.pid(), group.take_output())?;
        let protocol = Protocol::new(work, Instant::now(), self.plan.init_timeout);
        let process = Process::new(self, protocol, output);
        tracing::debug!(function = %self.plan.name, pid = group.pid(), serial, "process started");
        self.tasks
            .spawn(supervise(Arc::clone(self), process, group, listener));
        self.sweep_from_now_on();
        Ok(())
    }

    fn sweep_from_now_on(self: &Arc<Self>) {
        if std::mem::replace(&mut self.state().sweeping, true) {
            return;
        }
        let pool = Arc::clone(self);
        self.tasks.spawn(async move {
            let period = pool.options.idle_after / 2;
            while timeout(period, pool.closing.cancelled()).await.is_err() {
                pool.sweep(Instant::now());
            }
        });
    }

    /// Ends processes that have been idle for long, but never the last that is free.
    fn sweep(&self, now: Instant) {
        let surplus: Vec<_> = {
            let mut state = self.state();
            let idle = |since: Instant| now.saturating_duration_since(since) >= self.options.idle_after;
            let count = state.ready.iter().take_while(|(since, _)| idle(*since)).count();
            let most = state.ready.len().saturating_sub(1);
            state.ready.drain(..count.min(most)).collect()
        };
        for (_, process) in surplus {
            process.retire();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
