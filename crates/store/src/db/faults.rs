//! Failures on demand, so that tests see what users see once in years.
//!
//! Part of the normal build: a test of the whole node uses the code that ships. It costs a few relaxed loads
//! per group of writes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What is to fail; clones share it. By default nothing does.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    before_write: AtomicU32,
    after_write: AtomicU32,
    syncs: AtomicU32,
    opens: AtomicU32,
    /// `u64::MAX` = as the file system says.
    free_bytes: AtomicU64,
    held: Mutex<u32>,
    released: Condvar,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            before_write: AtomicU32::default(),
            after_write: AtomicU32::default(),
            syncs: AtomicU32::default(),
            opens: AtomicU32::default(),
            free_bytes: AtomicU64::new(u64::MAX),
            held: Mutex::default(),
            released: Condvar::new(),
        }
    }
}

/// Keeps the writer thread from starting a group; dropping it lets it go on.
#[derive(Debug)]
pub struct Hold(Faults);

impl Faults {
    /// The next `n` groups fail and are not written.
    pub fn fail_before_write(&self, n: u32) {
        self.0.before_write.store(n, Ordering::Relaxed);
    }

    /// The next `n` groups are written, and then reported as failed.
    pub fn fail_after_write(&self, n: u32) {
        self.0.after_write.store(n, Ordering::Relaxed);
    }

    /// The next `n` syncs of un-synced writes fail.
    pub fn fail_syncs(&self, n: u32) {
        self.0.syncs.store(n, Ordering::Relaxed);
    }

    /// The next `n` attempts to open the database again fail.
    pub fn fail_opens(&self, n: u32) {
        self.0.opens.store(n, Ordering::Relaxed);
    }

    /// How many bytes seem to be free; `None` = as many as are.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.0
            .free_bytes
            .store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Keeps the writer thread from starting a group, so that what is queued meanwhile comes into few groups.
    #[must_use]
    pub fn hold(&self) -> Hold {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Hold(self.clone())
    }

    pub(super) fn before_write(&self) -> Option<String> {
        count_down(&self.0.before_write, "injected before a write")
    }

    pub(super) fn after_write(&self) -> Option<String> {
        count_down(&self.0.after_write, "injected after a write")
    }

    pub(super) fn sync(&self) -> Option<String> {
        count_down(&self.0.syncs, "injected into a sync")
    }

    pub(super) fn open(&self) -> Option<String> {
        count_down(&self.0.opens, "injected into an open")
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        Some(self.0.free_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != u64::MAX)
    }

    pub(super) fn wait_while_held(&self) {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.0
                .released
                .wait_while(held, |held| *held > 0)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *self.0.0.held.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.0.released.notify_all();
    }
}

fn count_down(left: &AtomicU32, why: &str) -> Option<String> {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    taken.is_ok().then(|| format!("IO error: {why}"))
}
