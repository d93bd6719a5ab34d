//! Time and randomness, so that a simulation can own both.

use futures::future::BoxFuture;
use millstream_types::{Mono, Now};

/// The time.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks at once.
    fn now(&self) -> Now;

    /// Resolves at `at` or soon after; at once if it is past.
    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()>;
}

/// Randomness for ids and jitter; not for secrets.
pub trait Entropy: Send + Sync + 'static {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// 128 random bits.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}
