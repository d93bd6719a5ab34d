//! What probes are told: whether the process works, and whether it takes work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two beats of a [`Heart`].
const BEAT: Duration = Duration::from_secs(1);
/// A runtime without a beat for so long is stuck. Long enough for a machine that is busy with something else.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A question about a part of the process; what is wrong with it, if anything.
type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Draining,
}

struct State {
    phase: Phase,
    alive: Vec<Check>,
    ready: Vec<Check>,
}

/// What is known of the process. Clones are the same.
#[derive(Clone)]
pub struct Probes(Arc<Mutex<State>>);

impl Default for Probes {
    /// Of a process that starts.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Starting,
            alive: Vec::new(),
            ready: Vec::new(),
        })))
    }
}

impl Probes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process is alive only while this holds. Checks must be quick and wait for nothing.
    pub fn alive_while(&self, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.lock().alive.push(Box::new(check));
    }

    /// The process is ready only while this holds.
    pub fn ready_while(&self, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.lock().ready.push(Box::new(check));
    }

    /// The process takes work from now on.
    pub fn ready(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Starting {
            state.phase = Phase::Ready;
        }
    }

    /// The process takes no more work.
    pub fn draining(&self) {
        self.lock().phase = Phase::Draining;
    }

    /// What is stuck, if anything.
    pub(super) fn is_alive(&self) -> Result<(), String> {
        self.lock().alive.iter().try_for_each(|check| check())
    }

    /// Why it takes no work, if it does not.
    pub(super) fn is_ready(&self) -> Result<(), String> {
        let state = self.lock();
        match state.phase {
            Phase::Starting => Err("starting".to_owned()),
            Phase::Draining => Err("draining".to_owned()),
            Phase::Ready => state.ready.iter().try_for_each(|check| check()),
        }
    }
}

/// Beats on a runtime as long as that runs tasks; the beat ends when this is dropped.
#[derive(Debug)]
pub struct Heart {
    beats: Arc<Beats>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Beats {
    since: Instant,
    /// Of the newest beat, in ms after `since`.
    last: AtomicU64,
}

impl Beats {
    fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn check(&self, now: u64) -> Result<(), String> {
        let silent = Duration::from_millis(now.saturating_sub(self.last.load(Ordering::Relaxed)));
        if silent < STUCK_AFTER {
            return Ok(());
        }
        Err(format!("the runtime has run nothing for {} s", silent.as_secs()))
    }
}

impl Heart {
    /// Starts to beat on the runtime that this is called in.
    #[must_use]
    pub fn start() -> Self {
        let beats = Arc::new(Beats {
            since: Instant::now(),
            last: AtomicU64::new(0),
        });
        let beating = beats.clone();
        let task = tokio::spawn(async move {
            loop {
                beating.beat();
                tokio::time::sleep(BEAT).await;
            }
        });
        Self { beats, task }
    }

    /// Holds while it beats.
    pub fn check(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let beats = self.beats.clone();
        move || beats.check(beats.now())
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn ready_comes_after_starting_and_before_draining() {
        let probes = Probes::default();
        assert_eq!(probes.is_ready(), Err("starting".to_owned()));
        assert_eq!(probes.is_alive(), Ok(()));
        probes.ready();
        assert_eq!(probes.is_ready(), Ok(()));
        probes.draining();
        assert_eq!(probes.is_ready(), Err("draining".to_owned()));
        // A start that completes while a stop has begun changes nothing.
        probes.ready();
        assert_eq!(probes.is_ready(), Err("draining".to_owned()));
    }

    #[test]
    fn checks_are_asked_every_time() {
        let (probes, broken) = (Probes::default(), Arc::new(AtomicBool::new(false)));
        probes.ready();
        let check = |broken: &Arc<AtomicBool>| {
            let broken = broken.clone();
            move || match broken.load(Ordering::Relaxed) {
                true => Err("broken".to_owned()),
                false => Ok(()),
            }
        };
        probes.ready_while(check(&broken));
        probes.alive_while(check(&broken));
        assert_eq!((probes.is_ready(), probes.is_alive()), (Ok(()), Ok(())));
        broken.store(true, Ordering::Relaxed);
        let told = Err("broken".to_owned());
        assert_eq!((probes.is_ready(), probes.is_alive()), (told.clone(), told));
    }

    #[test]
    fn a_runtime_is_stuck_when_it_has_been_silent_for_long() {
        let beats = Beats {
            since: Instant::now(),
            last: AtomicU64::new(5_000),
        };
        assert_eq!(beats.check(4_000), Ok(()));
        assert_eq!(beats.check(34_999), Ok(()));
        let stuck = "the runtime has run nothing for 30 s".to_owned();
        assert_eq!(beats.check(35_000), Err(stuck));
    }
}
