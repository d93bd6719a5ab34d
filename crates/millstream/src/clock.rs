//! The real clock and real randomness: the only place of the engine's stack that asks the system for them.

use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_ports::{Clock, Entropy};
use millstream_types::{Mono, Now, Wall};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            wall: Wall(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)),
            mono: Mono(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let wait = at.since(self.now().mono);
        if wait.is_zero() {
            return futures::future::ready(()).boxed();
        }
        tokio::time::sleep(wait).boxed()
    }
}

/// A SplitMix64 sequence with a seed from the operating system.
#[derive(Debug)]
pub struct SystemEntropy {
    state: Mutex<u64>,
}

impl SystemEntropy {
    /// Seeds itself.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn new() -> std::io::Result<Self> {
        let seed = getrandom::u64().map_err(std::io::Error::other)?;
        Ok(Self { state: Mutex::new(seed) })
    }
}

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_ends_when_the_clock_says_so() {
        let clock = SystemClock::default();
        let at = clock.now().mono.plus(Duration::from_millis(5));
        clock.sleep_until(at).await;
        assert!(clock.now().mono >= at);
    }

    #[test]
    fn two_sequences_differ() {
        let (a, b) = (SystemEntropy::new().unwrap(), SystemEntropy::new().unwrap());
        assert_ne!(a.next_u128(), b.next_u128());
    }
}
