//! When a process may be started again after starting failed. Starts that work cost nothing here; what a
//! process does after it asked for work is the batch's retry policy's concern.

use std::time::{Duration, Instant};

/// Waits that double with every failed start.
#[derive(Debug)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            failures: 0,
            until: None,
        }
    }

    /// How long starting has to wait at `now`; none if it may go on.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// A start failed at `now`. Starts that failed together count once.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.wait(now).is_some() {
            return;
        }
        let factor = 1_u32 << self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        self.until = now.checked_add(self.base.saturating_mul(factor).min(self.cap));
    }

    /// A process asked for work.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let mut now = Instant::now();
        assert_eq!(backoff.wait(now), None);
        for expected in [100, 200, 350, 350] {
            backoff.failed(now);
            backoff.failed(now); // failed together with the first
            assert_eq!(backoff.wait(now), Some(Duration::from_millis(expected)));
            now += Duration::from_millis(expected);
            assert_eq!(backoff.wait(now), None);
        }
        backoff.succeeded();
        backoff.failed(now);
        assert_eq!(backoff.wait(now), Some(Duration::from_millis(100)));
    }
}
