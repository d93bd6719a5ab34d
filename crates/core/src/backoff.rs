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
    spread(
        doubled(RETRY_FIRST_MS, attempts_failed.saturating_sub(1), RETRY_CAP_MS),
        jitter,
    )
}

/// How long a batch waits after its `consecutive`-th throttle in a row (from 1): what the target asked for, up
/// to 60 s; else 50 ms, doubling, at most 10 s. ±25 % by `jitter` (0 to 1); never sooner than asked.
///
/// Starts lower than [`retry_delay`] and rises less: capacity usually comes back soon, and a throttle costs
/// no attempt (semantics 7).
#[must_use]
pub fn throttle_delay(consecutive: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    match asked {
        Some(asked) => asked
            .min(ASKED_CAP)
            .mul_f64(1.0 + 0.25 * unit(jitter))
            .min(ASKED_CAP),
        None => spread(
            doubled(THROTTLE_FIRST_MS, consecutive.saturating_sub(1), THROTTLE_CAP_MS),
            jitter,
        ),
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
    if jitter.is_nan() {
        0.5
    } else {
        jitter.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: f64 = 0.5;

    fn ms(d: Duration) -> u64 {
        u64::try_from(d.as_millis()).unwrap()
    }

    #[test]
    fn retries_double_up_to_a_minute() {
        for (failed, expected) in [
            (0, 200),
            (1, 200),
            (2, 400),
            (3, 800),
            (9, 51_200),
            (10, 60_000),
            (64, 60_000),
            (u32::MAX, 60_000),
        ] {
            assert_eq!(ms(retry_delay(failed, NONE)), expected, "after {failed}");
        }
    }

    #[test]
    fn throttles_double_up_to_ten_seconds() {
        for (n, expected) in [
            (0, 50),
            (1, 50),
            (2, 100),
            (8, 6_400),
            (9, 10_000),
            (u32::MAX, 10_000),
        ] {
            assert_eq!(ms(throttle_delay(n, None, NONE)), expected, "throttle {n}");
        }
    }

    #[test]
    fn what_the_target_asks_for_wins_up_to_a_minute() {
        for (asked, jitter, expected) in [(2_000, 0.0, 2_000), (2_000, 1.0, 2_500), (59_000, 1.0, 60_000)] {
            assert_eq!(
                ms(throttle_delay(9, Some(Duration::from_millis(asked)), jitter)),
                expected,
                "asked {asked}"
            );
        }
        assert_eq!(throttle_delay(1, Some(Duration::MAX), 0.0), ASKED_CAP);
        assert_eq!(throttle_delay(1, Some(Duration::ZERO), 1.0), Duration::ZERO);
    }

    /// Semantics 7: gaps of 267 and 392 ms lie within the first two waits plus an invocation; a batch that
    /// always fails is tried about eight times in a minute.
    #[test]
    fn the_curve_fits_what_was_observed() {
        assert!(ms(retry_delay(1, 0.0)) <= 267 && 267 <= ms(retry_delay(1, 1.0)) + 50);
        assert!(ms(retry_delay(2, 0.0)) <= 392 && 392 <= ms(retry_delay(2, 1.0)) + 50);
        let starts = (1..).scan(0, |at, n| {
            let this = *at;
            *at += ms(retry_delay(n, NONE));
            Some(this)
        });
        assert!((8..=10).contains(&starts.take_while(|at| *at < 60_000).count()));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_quarter(n: u32, jitter: f64) {
            for (base, got) in [
                (retry_delay(n, NONE), retry_delay(n, jitter)),
                (throttle_delay(n, None, NONE), throttle_delay(n, None, jitter)),
            ] {
                prop_assert!(base.mul_f64(0.75) <= got && got <= base.mul_f64(1.25));
            }
        }
    }
}
