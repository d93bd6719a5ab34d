//! Durations and sizes as people write them, for flags, environment and file alike.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: [(&str, u64); 5] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("B", 1),
];

/// A duration like `500ms`, `30s`, `1h30m`; `0` needs no unit.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let fault = || {
        format!("'{text}' is not a duration: write a number with a unit (ms, s, m, h, d), e.g. 30s or 1h30m")
    };
    if text.parse::<u64>().is_ok() {
        return Err(format!(
            "'{text}' has no unit: write {text}s for seconds, {text}ms for milliseconds"
        ));
    }
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let (n, tail) = number(rest).ok_or_else(fault)?;
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, millis) = DURATION_UNITS
            .iter()
            .find(|(u, _)| *u == unit)
            .ok_or_else(fault)?;
        total = n
            .checked_mul(*millis)
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(fault)?;
        rest = tail;
    }
    if text.is_empty() {
        Err(fault())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// A number of seconds, with or without a unit; for settings that AWS counts in seconds.
///
/// # Errors
/// If it is neither, or not a whole number of seconds.
pub(crate) fn whole_seconds(text: &str) -> Result<i32, String> {
    if let Ok(seconds) = text.parse::<i32>() {
        return Ok(seconds);
    }
    let d = duration(text)?;
    if d.subsec_nanos() != 0 {
        return Err(format!("'{text}' is not a whole number of seconds"));
    }
    i32::try_from(d.as_secs()).map_err(|_| format!("'{text}' is too long"))
}

/// A number of whole hours, with or without a unit; for settings that Kinesis counts in hours.
///
/// # Errors
/// If it is neither, or not a whole number of hours.
pub(crate) fn whole_hours(text: &str) -> Result<i32, String> {
    if let Ok(hours) = text.parse::<i32>() {
        return Ok(hours);
    }
    let seconds = duration(text)?.as_secs();
    if seconds % 3_600 != 0 {
        return Err(format!("'{text}' is not a whole number of hours"));
    }
    i32::try_from(seconds / 3_600).map_err(|_| format!("'{text}' is too long"))
}

/// A size like `64MiB`; a plain number counts bytes.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let fault =
        || format!("'{text}' is not a size: write bytes, or a number with KiB, MiB, GiB or TiB, e.g. 256MiB");
    let (n, unit) = number(text).ok_or_else(fault)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, bytes) = SIZE_UNITS.iter().find(|(u, _)| *u == unit).ok_or_else(fault)?;
    n.checked_mul(*bytes).ok_or_else(fault)
}

/// A duration in the largest units that say it exactly; the inverse of [`duration`].
pub(crate) fn show_duration(d: Duration) -> String {
    let mut millis = u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in DURATION_UNITS.iter().rev() {
        if millis >= *size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    text
}

/// A size in the largest unit that says it exactly; the inverse of [`size`].
pub(crate) fn show_size(bytes: u64) -> String {
    let exact = SIZE_UNITS
        .iter()
        .take(4)
        .rev()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    exact.map_or_else(
        || format!("{bytes}B"),
        |(unit, size)| format!("{}{unit}", bytes / size),
    )
}

fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_what_is_wrong_with_them() {
        for (text, want) in [
            ("30s", Ok(30_000)),
            ("500ms", Ok(500)),
            ("1h30m", Ok(5_400_000)),
            ("2d", Ok(172_800_000)),
            ("0", Ok(0)),
            ("30", Err("has no unit: write 30s")),
            ("", Err("is not a duration")),
            ("s", Err("is not a duration")),
            ("3 s", Err("is not a duration")),
            ("-3s", Err("is not a duration")),
            ("3w", Err("(ms, s, m, h, d)")),
            ("99999999999999999999d", Err("is not a duration")),
        ] {
            match (duration(text), want) {
                (Ok(d), Ok(ms)) => assert_eq!(d.as_millis(), ms, "{text}"),
                (Err(e), Err(part)) => assert!(e.contains(part), "{text}: {e}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn sizes_and_what_is_wrong_with_them() {
        for (text, want) in [
            ("256MiB", Some(256 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1024", Some(1024)),
            ("7B", Some(7)),
            ("256MB", None),
            ("MiB", None),
            ("-1", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(size(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn seconds_and_hours_may_have_a_unit() {
        assert_eq!(whole_seconds("5"), Ok(5));
        assert_eq!(whole_seconds("5m"), Ok(300));
        assert_eq!(whole_seconds("-1"), Ok(-1));
        assert!(whole_seconds("1500ms").unwrap_err().contains("whole number"));
        assert_eq!(whole_hours("48"), Ok(48));
        assert_eq!(whole_hours("7d"), Ok(168));
        assert!(whole_hours("90m").unwrap_err().contains("whole number"));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(ms in 0u64..10_000_000_000, bytes: u64) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(duration(&show_duration(d)), Ok(d));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
    }
}
