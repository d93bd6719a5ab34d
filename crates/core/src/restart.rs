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
        Self {
            first_ms: 100,
            cap_ms: 30_000,
            healthy_after: Duration::from_secs(60),
        }
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
        Self {
            policy,
            failures: 0,
            started: now,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Mono {
        Mono(ms * MS)
    }

    #[test]
    fn every_failure_waits_twice_as_long_up_to_the_cap() {
        let mut restarts = Restarts::new(RestartPolicy::default(), at(0));
        let mut now = 0;
        for wait in [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000,
        ] {
            now += 5;
            assert_eq!(restarts.on_failure(at(now), 0.5), at(now + wait));
            now += wait;
        }
        assert_eq!(restarts.failures(), 11);
    }

    #[test]
    fn a_minute_of_health_forgets_the_past() {
        for (ran, wait, failures) in [(59_999, 800, 4), (60_000, 100, 1)] {
            let mut restarts = Restarts::new(RestartPolicy::default(), at(0));
            for _ in 0..2 {
                let _ = restarts.on_failure(at(0), 0.5);
            }
            let started = restarts.on_failure(at(0), 0.5);
            let failed = started.plus(Duration::from_millis(ran));
            assert_eq!(
                restarts.on_failure(failed, 0.5),
                failed.plus(Duration::from_millis(wait)),
                "ran {ran} ms"
            );
            assert_eq!(restarts.failures(), failures);
        }
    }

    #[test]
    fn the_wait_before_a_restart_is_no_health() {
        let policy = RestartPolicy {
            first_ms: 120_000,
            cap_ms: 240_000,
            ..RestartPolicy::default()
        };
        let mut restarts = Restarts::new(policy, at(0));
        let started = restarts.on_failure(at(0), 0.5);
        assert_eq!(
            restarts.on_failure(started, 0.5),
            started.plus(Duration::from_secs(240))
        );
    }

    #[test]
    fn jitter_moves_a_restart_by_a_quarter() {
        for (jitter, wait) in [(0.0, 75), (1.0, 125), (f64::NAN, 100)] {
            assert_eq!(
                Restarts::new(RestartPolicy::default(), at(0)).on_failure(at(0), jitter),
                at(wait)
            );
        }
    }
}
