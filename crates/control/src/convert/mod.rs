//! Between the API's types and the domain's, one file per service. Pure.

mod applied;
mod filter;
pub(crate) mod function;
pub(crate) mod inspect;
pub(crate) mod ledger;
pub(crate) mod mapping;
pub(crate) mod mask;
pub(crate) mod message;
mod operation;
pub(crate) mod queue;
pub(crate) mod stream;
pub(crate) mod tags;
pub(crate) mod trace;

use crate::refusal::Refusal;
use millstream_types::{Mark, Wall};
use prost_types::{Duration, Timestamp};

/// An unsigned count as the API's signed one.
pub(crate) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The same for 32 bits.
pub(crate) fn small(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

pub(crate) fn timestamp(at: Wall) -> Timestamp {
    // Below 1000 ms there are always fewer than 2^31 ns.
    let nanos = i32::try_from(at.0 % 1000 * 1_000_000).unwrap_or_default();
    Timestamp {
        seconds: count(at.0 / 1000),
        nanos,
    }
}

/// A time, rounded down to milliseconds.
pub(crate) fn wall(field: &str, at: &Timestamp) -> Result<Wall, Refusal> {
    let refused = || {
        let value = format!("{}s {}ns", at.seconds, at.nanos);
        Refusal::new(field, value, "a time between 1970 and 9999")
    };
    let seconds = u64::try_from(at.seconds).map_err(|_| refused())?;
    let nanos = u64::try_from(at.nanos).map_err(|_| refused())?;
    if seconds > 253_402_300_799 || nanos > 999_999_999 {
        return Err(refused());
    }
    Ok(Wall(seconds * 1000 + nanos / 1_000_000))
}

pub(crate) fn duration(millis: u64) -> Duration {
    let nanos = i32::try_from(millis % 1000 * 1_000_000).unwrap_or_default();
    Duration {
        seconds: count(millis / 1000),
        nanos,
    }
}

/// A length of time in whole milliseconds.
pub(crate) fn millis(field: &str, d: &Duration) -> Result<u32, Refusal> {
    let refused = || {
        let value = format!("{}s {}ns", d.seconds, d.nanos);
        Refusal::new(field, value, "a positive duration in whole milliseconds")
    };
    if d.nanos % 1_000_000 != 0 || !(0..1_000_000_000).contains(&d.nanos) {
        return Err(refused());
    }
    let total = d
        .seconds
        .checked_mul(1000)
        .and_then(|s| s.checked_add(i64::from(d.nanos / 1_000_000)));
    total.and_then(|ms| u32::try_from(ms).ok()).ok_or_else(refused)
}

/// A mark, empty for none.
pub(crate) fn mark(mark: Option<Mark>) -> String {
    mark.map_or_else(String::new, |m| m.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive() {
        for ms in [0, 1, 999, 1_000, 1_700_000_000_123] {
            assert_eq!(wall("t", &timestamp(Wall(ms))).unwrap(), Wall(ms));
        }
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert_eq!(wall("t", &Timestamp { seconds, nanos }).unwrap_err().field, "t");
        }
        assert_eq!(
            wall(
                "t",
                &Timestamp {
                    seconds: 0,
                    nanos: 1_999_999
                }
            )
            .unwrap(),
            Wall(1)
        );
    }

    #[test]
    fn durations_are_whole_milliseconds() {
        for ms in [0, 1, 3_000, 900_000] {
            assert_eq!(millis("d", &duration(ms)).unwrap(), u32::try_from(ms).unwrap());
        }
        for (seconds, nanos) in [(-1, 0), (0, 1), (0, -1_000_000), (i64::MAX, 0), (5_000_000, 0)] {
            assert!(
                millis("d", &Duration { seconds, nanos }).is_err(),
                "{seconds} {nanos}"
            );
        }
    }
}
