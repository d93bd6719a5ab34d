//! The places of a function that has no processes: so many invocations at once, a short wait for the next.

use millstream_types::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long an invocation waits for a free place before it is refused.
const CAPACITY_WAIT: Duration = Duration::from_secs(1);

/// The places of one function.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    taken: Arc<AtomicU32>,
}

/// A place and its share of the count, given back when it is dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    taken: Arc<AtomicU32>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    /// So many, at least one.
    pub(crate) fn new(concurrency: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(concurrency.max(1) as usize)),
            taken: Arc::default(),
        }
    }

    /// A place, or what the invocation ends as without one.
    pub(crate) async fn take(&self) -> Result<Place, Outcome> {
        match timeout(CAPACITY_WAIT, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => {
                self.taken.fetch_add(1, Ordering::Relaxed);
                Ok(Place {
                    _permit: permit,
                    taken: Arc::clone(&self.taken),
                })
            }
            Ok(Err(_closed)) => Err(closed()),
            Err(_elapsed) => Err(Outcome::Throttled { retry_after: None }),
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Gives no more places.
    pub(crate) fn close(&self) {
        self.free.close();
    }
}

/// What an invocation ends as whose function is closed.
pub(crate) fn closed() -> Outcome {
    Outcome::Unreachable {
        reason: "the function is being closed or changed".to_owned(),
    }
}
