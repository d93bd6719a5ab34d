//! Times and durations as the API has them, for people.

use prost_types::{Duration as ProtoDuration, Timestamp};
use std::time::{Duration, SystemTime};

/// Since `time`, in its largest unit or two: `12s`, `5m30s`, `3h`, `2d4h`; a dash if it is not set.
pub(crate) fn age(time: Option<&Timestamp>) -> String {
    let Some(then) = time.and_then(|t| SystemTime::try_from(*t).ok()) else {
        return "-".to_owned();
    };
    let past = SystemTime::now().duration_since(then).unwrap_or_default();
    short(past)
}

/// How long until `time`; `now` if it is past.
pub(crate) fn until(time: &Timestamp) -> String {
    let Ok(then) = SystemTime::try_from(*time) else {
        return "-".to_owned();
    };
    then.duration_since(SystemTime::now())
        .map_or_else(|_| "now".to_owned(), |d| format!("in {}", short(d)))
}

/// The time in UTC to the millisecond; a dash if it is not set.
pub(crate) fn stamp(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// A duration for a table: two units at most.
pub(crate) fn short(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0 => format!("{}ms", d.as_millis()),
        1..=9 if d.subsec_millis() >= 50 => format!("{:.1}s", d.as_secs_f64()),
        1..=59 => format!("{s}s"),
        60..=3_599 => two((s / 60, "m"), (s % 60, "s")),
        3_600..=86_399 => two((s / 3_600, "h"), (s % 3_600 / 60, "m")),
        _ => two((s / 86_400, "d"), (s % 86_400 / 3_600, "h")),
    }
}

fn two(large: (u64, &str), small: (u64, &str)) -> String {
    if small.0 == 0 {
        format!("{}{}", large.0, large.1)
    } else {
        format!("{}{}{}{}", large.0, large.1, small.0, small.1)
    }
}

/// From `start` to `end`; zero if that is negative.
pub(crate) fn between(start: &Timestamp, end: &Timestamp) -> Duration {
    let (Ok(start), Ok(end)) = (SystemTime::try_from(*start), SystemTime::try_from(*end)) else {
        return Duration::ZERO;
    };
    end.duration_since(start).unwrap_or_default()
}

/// A duration of the API; zero if it is not set or negative.
pub(crate) fn std(d: Option<&ProtoDuration>) -> Duration {
    d.and_then(|d| Duration::try_from(*d).ok()).unwrap_or_default()
}

/// A duration for the API.
pub(crate) fn proto(d: Duration) -> ProtoDuration {
    // Only durations beyond 290 billion years do not fit.
    ProtoDuration::try_from(d).unwrap_or_default()
}

/// A time as people write it.
///
/// # Errors
/// If it is not of the form `2026-11-22T10:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| format!("'{text}' is not a time: write it like 2026-11-22T10:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, want) in [
            (0, "0ms"),
            (5, "5s"),
            (12, "12s"),
            (330, "5m30s"),
            (7_200, "2h"),
            (187_200, "2d4h"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), want);
        }
        assert_eq!(short(Duration::from_millis(1_171)), "1.2s");
        assert_eq!(short(Duration::from_millis(250)), "250ms");
    }

    #[test]
    fn times_are_read_and_written() {
        let time = parse("2026-11-22T10:00:00.250Z").unwrap();
        assert_eq!(stamp(Some(&time)), "2026-11-22T10:00:00.250Z");
        assert!(parse("yesterday").unwrap_err().contains("2026-11-22T10:00:00Z"));
        assert_eq!(
            (age(None), until(&parse("1971-01-01T00:00:00Z").unwrap())),
            ("-".to_owned(), "now".to_owned())
        );
    }
}
