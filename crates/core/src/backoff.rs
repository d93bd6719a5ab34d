//! How long to wait before the next attempt.
//!
//! AWS documents neither curve (semantics 17, items 1 and 14). Ours fit what was observed of a stream
//! (semantics 7: gaps of 267 and 392 ms after the first and second failure; eight attempts in 60 s).

use std::time::Duration;

const RETRY_FIRST_MS: u64 = 200;
const RETRY_CAP_MS: u64 = 60_000;
const THROTTLE_FIRST_MS: u64 = 50;
const THROTTLE_CAP_MS: u64 = 10_000;
const ASKED_CAP: Duration = Duration::from_secs(60);

/// How long a batch waits after its `attempts_failed`-th failed attempt (from 1): 200 ms, doubling, at most
/// 60 s, then ±25 % by `jitter` (0 to 1, 0.5 for none).
#[must_use]
pub fn retry_delay(attempts_failed: u32, jitter: f64) -> Duration {
    spread(doubled(RETRY_FIRST_MS, attempts_failed.saturating_sub(1), RETRY_CAP_MS), jitter)
}

/// How long a batch waits after its `consecutive`-th throttle in a row (from 1): what the target asked for, up
/// to 60 s; else 50 ms, doubling, at most 10 s. ±25 % by `jitter` (0 to 1); never sooner than asked.
///
/// Starts lower than [`retry_delay`] and rises less: capacity usually comes back soon, and a throttle costs
/// no attempt (semantics 7).
#[must_use]
pub fn throttle_delay(consecutive: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    match asked {
        Some(asked) => asked.min(ASKED_CAP).mul_f64(1.0 + 0.25 * unit(jitter)).min(ASKED_CAP),
        None => spread(doubled(THROTTLE_FIRST_MS, consecutive.saturating_sub(1), THROTTLE_CAP_MS), jitter),
    }
}

/// `first` doubled `times` times, at most `cap`, in milliseconds.
pub(crate) fn doubled(first: u64, times: u32, cap: u64) -> Duration {
    let factor = 1u64.checked_shl(times).filter(|_| times < 63).unwrap_or(u64::MAX);
    Duration::from_millis(first.saturating_mul(factor).min(cap))
}

/// `d` by 0.75 to 1.25.
pub(crate) fn spread(d: Duration, jitter: f64) -> Duration {
    d.mul_f64(0.75 + 0.5 * unit(jitter))
}

/// Keeps what callers supply within 0 and 1; not a number counts as no jitter.
fn unit(jitter: f64) -> f64 {
    if jitter.is_nan() { 0.5 } else { jitter.clamp(0.0, 1.0) }
}
