//! Counts of what the writer thread did, for metrics and tests.

use std::sync::atomic::{AtomicU64, Ordering};

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
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    batches: AtomicU64,
    groups: AtomicU64,
    syncs: AtomicU64,
    reopens: AtomicU64,
}

impl Counters {
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
        }
    }
}
