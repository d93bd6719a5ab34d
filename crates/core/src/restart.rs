//! When a child that ended is started again.

use crate::backoff::{doubled, spread};
use millstream_types::Mono;
use std::time::Duration;

/// How a kind of child is restarted: exponentially later after every failure, up to a cap, and from the
/// beginning again once it stayed healthy for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Wait after the first failure, in ms.
    pub first_ms: u64,
    /// Longest wait, in ms.
    pub cap_ms: u64,
    /// A child that ran this long is taken for healthy.
    pub healthy_after: Duration,
}

impl Default for RestartPolicy {
    /// 100 ms, doubling to 30 s; healthy after 60 s.
    fn default() -> Self {
        Self { first_ms: 100, cap_ms: 30_000, healthy_after: Duration::from_secs(60) }
    }
}

/// The restarts of one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restarts {
    policy: RestartPolicy,
    failures: u32,
    started: Mono,
}

impl Restarts {
    /// For a child that is started at `now`.
    #[must_use]
    pub fn new(policy: RestartPolicy, now: Mono) -> Self {
        Self { policy, failures: 0, started: now }
    }

    /// The child ended, or could not be started, at `now`. Returns when to start it again: the policy's wait
    /// by 0.75 to 1.25, as `jitter` (0 to 1) says.
    pub fn on_failure(&mut self, now: Mono, jitter: f64) -> Mono {
        if now.since(self.started) >= self.policy.healthy_after {
            self.failures = 0;
        }
        let wait = doubled(self.policy.first_ms, self.failures, self.policy.cap_ms);
        self.failures = self.failures.saturating_add(1);
        self.started = now.plus(spread(wait, jitter));
        self.started
    }

    /// Failures in a row, since the child was last healthy.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}
