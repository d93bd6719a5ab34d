//! The node's session: while it is valid, the leases it took may be used.
//!
//! On a single node it is valid until the node stops; a cluster ends it when its lease in the shared store runs
//! out. Either way a lease is checked right before every effect on the outside.

use millstream_types::{Incarnation, Lease, Mono, Now};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The life of this node as others see it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    incarnation: Incarnation,
    valid_until: Arc<AtomicU64>,
}

impl Session {
    pub(crate) fn unlimited(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            valid_until: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Ends it: no effect is started after this.
    pub(crate) fn end(&self) {
        self.valid_until.store(0, Ordering::Release);
    }

    /// Whether an effect may be started now.
    pub(crate) fn is_valid(&self, now: Mono) -> bool {
        now.0 < self.valid_until.load(Ordering::Acquire)
    }
}

/// A lease together with the session it depends on.
#[derive(Clone, Debug)]
pub(crate) struct HeldLease {
    pub(crate) lease: Lease,
    pub(crate) session: Session,
}

impl HeldLease {
    /// Whether an effect may be started now.
    pub(crate) fn check(&self, now: Now) -> bool {
        self.session.is_valid(now.mono)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_allows_nothing() {
        let session = Session::unlimited(Incarnation::from_random(1));
        let shared = session.clone();
        assert!(session.is_valid(Mono(u64::MAX - 1)));
        shared.end();
        assert!(!session.is_valid(Mono(0)));
    }
}
