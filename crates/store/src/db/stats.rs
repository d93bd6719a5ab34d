//! Counts of what the writer thread did, for metrics and tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was done since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DbStats {
    /// Batches that were written.
    pub batches: u64,
    /// Groups they were written in.
    pub groups: u64,
    /// Syncs of the log: those of synced groups, and those that follow un-synced ones.
    pub syncs: u64,
    /// How often the database was opened again after an error.
    pub reopens: u64,
    /// How long all groups took, syncs of synced ones included.
    pub group_time: Duration,
}

/// What the writer thread has before it, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DbBacklog {
    /// Batches that wait.
    pub requests: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How long the thread has been at what it does now; none if it waits for work.
    pub busy: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    batches: AtomicU64,
    groups: AtomicU64,
    syncs: AtomicU64,
    reopens: AtomicU64,
    group_nanos: AtomicU64,
    busy_since: Mutex<Option<Instant>>,
}

impl Counters {
    /// The thread begins with a group, or with a sync.
    pub(super) fn begin(&self) {
        *self.busy_since() = Some(Instant::now());
    }

    /// It is done with it.
    pub(super) fn end(&self, group: bool) {
        let took = self.busy_since().take().map(|since| since.elapsed());
        if let Some(took) = took.filter(|_| group) {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.group_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    pub(super) fn busy(&self) -> Option<Duration> {
        self.busy_since().map(|since| since.elapsed())
    }

    fn busy_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.busy_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn group(&self, batches: usize, synced: bool) {
        self.batches.fetch_add(batches as u64, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.syncs.fetch_add(u64::from(synced), Ordering::Relaxed);
    }

    pub(super) fn sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reopen(&self) {
        self.reopens.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> DbStats {
        DbStats {
            batches: self.batches.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            reopens: self.reopens.load(Ordering::Relaxed),
            group_time: Duration::from_nanos(self.group_nanos.load(Ordering::Relaxed)),
        }
    }
}
