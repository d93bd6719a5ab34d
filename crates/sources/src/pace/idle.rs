//! How long to wait with a shard in which there was nothing.

use std::time::Duration;

/// The waits of one reader: short after records, longer with every read that found none. Pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    shortest: Duration,
    longest: Duration,
    empty_reads: u32,
}

impl Idle {
    /// Waits from `shortest` to `longest`, half as long again each time.
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            empty_reads: 0,
        }
    }

    /// A read at the tip found records or none.
    pub(crate) fn read(&mut self, found: bool) {
        self.empty_reads = if found {
            0
        } else {
            self.empty_reads.saturating_add(1)
        };
    }

    /// How long to leave the shard alone now.
    pub(crate) fn wait(&self) -> Duration {
        let mut wait = self.shortest;
        // Eight steps make more than the twenty-five times that any service's bounds are apart.
        for _ in 1..self.empty_reads.min(9) {
            wait = wait.saturating_mul(3) / 2;
        }
        wait.min(self.longest)
    }
}
