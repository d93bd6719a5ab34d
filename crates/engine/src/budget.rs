//! The node's byte budget: everything read ahead of its invocation counts against one limit, so that ten
//! thousand shards cannot each hold a full page.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A limit on bytes held in memory, shared by all shards of a node.
///
/// Readers wait until a page fits; what shards hold already is only counted, never refused, so the limit can be
/// exceeded by one page per reader that was let in.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    limit: usize,
    used: AtomicUsize,
    freed: Notify,
    starved: Notify,
}

impl ByteBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            freed: Notify::new(),
            starved: Notify::new(),
        }
    }

    /// Resolves with `bytes` taken. Anything goes while nothing is held, so one page always fits.
    pub(crate) async fn reserve(self: &std::sync::Arc<Self>, bytes: usize) -> Reservation {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Registered before looking: what is freed after the look wakes this waiter.
            freed.as_mut().enable();
            if self.try_take(bytes) {
                return Reservation {
                    budget: self.clone(),
                    bytes,
                };
            }
            self.starved.notify_one();
            freed.await;
        }
    }

    fn try_take(&self, bytes: usize) -> bool {
        let fits = |used: usize| (used == 0 || used + bytes <= self.limit).then_some(used + bytes);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .is_ok()
    }

    /// Resolves when a reader had to wait since the last call.
    pub(crate) async fn starved(&self) {
        self.starved.notified().await;
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
            self.freed.notify_waiters();
        }
    }

    /// Bytes that are taken, and how many may be.
    pub(crate) fn use_and_limit(&self) -> (usize, usize) {
        (self.used.load(Ordering::Acquire), self.limit)
    }

    #[cfg(test)]
    fn used(&self) -> usize {
        self.use_and_limit().0
    }
}

/// Bytes taken from the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: std::sync::Arc<ByteBudget>,
    bytes: usize,
}

impl Reservation {
    /// Nothing yet.
    pub(crate) fn none(budget: &std::sync::Arc<ByteBudget>) -> Self {
        Self {
            budget: budget.clone(),
            bytes: 0,
        }
    }

    /// How many bytes its holder may have, with what others have taken now.
    pub(crate) fn room(&self) -> usize {
        let (used, limit) = self.budget.use_and_limit();
        limit.saturating_sub(used.saturating_sub(self.bytes))
    }

    /// Holds exactly `bytes` from now on, whatever the limit says.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::AcqRel);
        } else {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_page_waits_until_it_fits_and_the_first_always_fits() {
        let budget = Arc::new(ByteBudget::new(100));
        let first = budget.reserve(500).await;
        assert_eq!(budget.used(), 500);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(60).await }
        });
        budget.starved().await;
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!(budget.used(), 60);
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_held_is_counted_and_given_back() {
        let budget = Arc::new(ByteBudget::new(10));
        let mut held = Reservation::none(&budget);
        held.set(25);
        held.set(5);
        assert_eq!(budget.used(), 5);
        let mut other = Reservation::none(&budget);
        assert_eq!((held.room(), other.room()), (10, 5));
        other.set(7);
        assert_eq!((held.room(), other.room()), (3, 5));
        drop(other);
        drop(held);
        assert_eq!(budget.used(), 0);
    }
}
