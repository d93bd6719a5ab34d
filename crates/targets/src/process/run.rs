//! One process: its state behind a lock, and the task that watches and ends it.

use super::api::Connections;
use super::death::{Death, Doom, Held, TAIL};
use super::output::Output;
use super::pool::{Departure, Pool};
use super::protocol::{Assigned, Ending, Next, Protocol, Work};
use super::spawner::Group;
use millstream_types::invocation::FunctionError;
use millstream_types::{Outcome, RequestId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long after the end of a process its last answer and its last output are waited for.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// One process of a pool.
pub(super) struct Process {
    pool: Weak<Pool>,
    protocol: Mutex<Protocol>,
    wake: Notify,
    output: Output,
}

impl Process {
    pub(super) fn new(pool: &Arc<Pool>, protocol: Protocol, output: Output) -> Arc<Self> {
        let (pool, protocol) = (Arc::downgrade(pool), Mutex::new(protocol));
        Arc::new(Self {
            pool,
            protocol,
            wake: Notify::new(),
            output,
        })
    }

    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    /// Gives the process an invocation; see [`Protocol::assign`].
    pub(super) fn assign(&self, work: Work) -> Assigned {
        let mut protocol = self.protocol();
        let assigned = protocol.assign(work, Instant::now());
        self.wake_if_needed(&protocol);
        if matches!(assigned, Assigned::Handed) {
            self.count(1);
        }
        assigned
    }

    /// Takes an invocation back; see [`Protocol::revoke`].
    pub(super) fn revoke(&self) -> bool {
        self.protocol().revoke()
    }

    /// The process asks for work.
    pub(super) fn next(self: &Arc<Self>) -> Next {
        let (next, arrival) = {
            let mut protocol = self.protocol();
            let answer = protocol.next(Instant::now());
            self.wake_if_needed(&protocol);
            answer
        };
        if matches!(next, Next::Now(_)) {
            self.count(1);
        }
        if let Some(pool) = self.pool.upgrade() {
            if arrival.first {
                pool.start_succeeded();
            }
            if arrival.list {
                pool.put_back(Arc::clone(self));
            }
        }
        next
    }

    /// Whether the process may answer request `id` now.
    pub(super) fn expects(&self, id: &str) -> bool {
        self.protocol().expects(id)
    }

    /// The request that the process may answer now.
    pub(super) fn running(&self) -> Option<RequestId> {
        self.protocol().running()
    }

    /// The process has answered; false if it had no such request to answer.
    pub(super) fn answer(self: &Arc<Self>, id: &str, outcome: Outcome) -> bool {
        let Some(work) = self.protocol().answer(id) else {
            return false;
        };
        self.count(-1);
        // First free, then told: the caller's next invocation finds this process rather than start another.
        if let Some(pool) = self.pool.upgrade() {
            pool.put_back(Arc::clone(self));
        }
        // A caller that no longer waits does not need the outcome.
        let _ = work.tell.send(Ending::Outcome(outcome));
        true
    }

    /// The process broke the protocol, in words after "the runtime". Without effect once it has ended.
    pub(super) fn broken(&self, how: &str) {
        self.doom(Doom::Broken(how.to_owned()));
    }

    /// The process reports that it cannot start; false if it had started.
    pub(super) fn init_error(&self, error: FunctionError) -> bool {
        let starting = self.protocol().starting();
        if starting {
            self.doom(Doom::InitError(error));
        }
        starting
    }

    /// Ends the process if it is free.
    pub(super) fn retire(&self) {
        if self.protocol().retire() {
            self.wake.notify_one();
        }
    }

    fn doom(&self, why: Doom) {
        self.protocol().doom(why);
        self.wake.notify_one();
    }

    fn wake_if_needed(&self, protocol: &Protocol) {
        if protocol.must_wake() {
            self.wake.notify_one();
        }
    }

    fn count(&self, change: i32) {
        if let Some(pool) = self.pool.upgrade() {
            pool.count_in_flight(change);
        }
    }

    fn protocol(&self) -> MutexGuard<'_, Protocol> {
        self.protocol.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches a process to its end, makes sure of the end, and tells who waits for it. The outcome is told only
/// when the whole group is dead, so that a retry never overlaps with what it repeats.
pub(super) async fn supervise(
    pool: Arc<Pool>,
    process: Arc<Process>,
    mut group: Group,
    listener: TcpListener,
) {
    let connections = Connections::serve(listener, Arc::clone(&process));
    let mut reader = {
        let process = Arc::clone(&process);
        tokio::spawn(async move { process.output.pump().await })
    };
    let condemned = watch(&pool, &process, &mut group).await;
    pool.unlist(&process);
    let gentle = matches!(condemned, Some(Doom::Retired | Doom::Closed));
    let status = group.stop(gentle.then_some(pool.options().stop_grace)).await;
    connections.end(LAST_BYTES).await;
    if timeout(LAST_BYTES, &mut reader).await.is_err() {
        reader.abort();
    }
    // Asked only now: what the process sent last may have condemned it, or answered.
    let (doom, starting, held) = {
        let mut protocol = process.protocol();
        (protocol.doomed(), protocol.starting(), protocol.end())
    };
    let tail = process.output.tail(TAIL);
    let death = Death {
        program: pool.plan().program(),
        init_timeout: pool.plan().init_timeout,
        status: status.as_ref().ok().copied(),
        doom: doom.as_ref(),
        tail: &tail,
    };
    report(&pool, &death, group.pid(), starting);
    drop(group);
    pool.departed(&Departure {
        failed_start: starting && !gentle,
        unasked: unasked(doom.as_ref()),
    });
    if let Some((work, held)) = held {
        if held == Held::Running {
            process.count(-1);
        }
        let ending = death
            .outcome(held, &work.event)
            .map_or(Ending::Untaken, Ending::Outcome);
        let _ = work.tell.send(ending);
    }
}

/// Resolves when the process has ended (none) or must be ended.
async fn watch(pool: &Pool, process: &Process, group: &mut Group) -> Option<Doom> {
    let closing = pool.closing();
    loop {
        let until = match process.protocol().check(Instant::now()) {
            Ok(until) => until,
            Err(doom) => return Some(doom),
        };
        let due = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = group.ended() => {
                if let Err(error) = ended {
                    tracing::error!(function = %pool.plan().name, %error, "cannot watch a process: it is ended");
                }
                return None;
            }
            () = closing.cancelled() => process.protocol().doom(Doom::Closed),
            () = process.wake.notified() => {}
            () = due => {}
        }
    }
}

fn unasked(doom: Option<&Doom>) -> bool {
    matches!(doom, None | Some(Doom::InitError(_)))
}

fn report(pool: &Pool, death: &Death<'_>, pid: u32, starting: bool) {
    let function = &*pool.plan().name;
    let how = death.how();
    match death.doom {
        Some(Doom::Retired | Doom::Closed) => tracing::debug!(function, pid, how, "process stopped"),
        None if !starting => tracing::warn!(function, pid, how, "process ended by itself"),
        doom => tracing::warn!(function, pid, how, starting, ?doom, "process ended"),
    }
}
