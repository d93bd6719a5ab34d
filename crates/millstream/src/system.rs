//! The real clocks and real randomness: the only place where the program reads either for the engine.

use futures::future::BoxFuture;
use millstream_ports::{Clock, Entropy};
use millstream_types::{Mono, Now, Wall};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mono = self.start.elapsed();
        Now {
            wall: Wall(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
            mono: Mono(u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        // What is too far away for an Instant is as good as never: some 500 years.
        let deadline = self.start.checked_add(Duration::from_nanos(at.0));
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}

/// The system gave no random bits to start from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoEntropy(String);

/// Random bits for ids and jitter: xoshiro256++ from 256 bits of the system, so that a draw costs nanoseconds and
/// cannot fail. Not for secrets.
#[derive(Debug)]
pub struct SystemEntropy {
    state: Mutex<[u64; 4]>,
}

impl SystemEntropy {
    /// A generator of its own.
    ///
    /// # Errors
    /// If the system gives no random bits.
    pub fn new() -> Result<Self, NoEntropy> {
        let mut state = [0; 4];
        for word in &mut state {
            *word = getrandom::u64().map_err(|e| NoEntropy(e.to_string()))?;
        }
        // The generator stays at zero for ever if it starts there.
        state[0] |= 1;
        Ok(Self {
            state: Mutex::new(state),
        })
    }
}

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        next(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One step of xoshiro256++ (Blackman and Vigna, public domain).
fn next(s: &mut [u64; 4]) -> u64 {
    let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
    let t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3].rotate_left(45);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut s = [1, 2, 3, 4];
        let got: Vec<u64> = (0..4).map(|_| next(&mut s)).collect();
        assert_eq!(
            got,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    #[test]
    fn two_generators_differ() {
        let (a, b) = (SystemEntropy::new().unwrap(), SystemEntropy::new().unwrap());
        assert_ne!(a.next_u128(), b.next_u128());
    }

    #[tokio::test]
    async fn the_clock_goes_on_and_past_sleeps_end_at_once() {
        let clock = SystemClock::default();
        let before = clock.now();
        assert!(before.wall.0 > 1_700_000_000_000);
        clock.sleep_until(Mono(0)).await;
        clock
            .sleep_until(before.mono.plus(Duration::from_millis(2)))
            .await;
        assert!(clock.now().mono.since(before.mono) >= Duration::from_millis(2));
    }
}
