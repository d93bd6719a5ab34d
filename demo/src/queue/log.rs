//! What the functions of the queues write down: one line for each message they processed, at least once.

use std::collections::BTreeSet;

/// One line: `n key minutes id receives sent handled`, where unknown minutes are `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) n: usize,
    /// The aircraft, or the message group.
    pub(crate) key: &'a str,
    pub(crate) minutes: Option<i32>,
    /// The message's id, or its sequence number.
    pub(crate) id: &'a str,
    /// How often the message had been received, this time included.
    pub(crate) receives: i32,
    /// When the message was sent, and when the function got it, in milliseconds since 1970.
    pub(crate) sent: u64,
    pub(crate) handled: u64,
}

/// Reads a function's log.
///
/// # Errors
/// The first line that is not of this form.
pub(crate) fn parse(text: &str) -> Result<Vec<Line<'_>>, String> {
    let line = |line| parse_line(line).ok_or_else(|| format!("not a log line: {line:?}"));
    text.lines().map(line).collect()
}

fn parse_line(line: &str) -> Option<Line<'_>> {
    let words: Vec<&str> = line.split(' ').collect();
    let [n, key, minutes, id, receives, sent, handled] = words[..] else {
        return None;
    };
    let minutes = match minutes {
        "-" => None,
        some => Some(some.parse().ok()?),
    };
    Some(Line {
        n: n.parse().ok()?,
        key,
        minutes,
        id,
        receives: receives.parse().ok()?,
        sent: sent.parse().ok()?,
        handled: handled.parse().ok()?,
    })
}

/// The first line of each flight, in the order of the log.
pub(crate) fn firsts<'a, 'b>(lines: &'b [Line<'a>]) -> Vec<&'b Line<'a>> {
    let mut seen = BTreeSet::new();
    lines.iter().filter(|line| seen.insert(line.n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_line_by_line() {
        let text = "4 NA-4 - 104 2 1000 1007\n4 NA-4 -3 104 3 1000 6007\n2 X 0 7 1 1 1\n";
        let lines = parse(text).unwrap();
        let first = Line {
            n: 4,
            key: "NA-4",
            minutes: None,
            id: "104",
            receives: 2,
            sent: 1000,
            handled: 1007,
        };
        assert_eq!((&lines[0], lines[1].minutes), (&first, Some(-3)));
        let numbers: Vec<_> = firsts(&lines)
            .iter()
            .map(|line| (line.n, line.receives))
            .collect();
        assert_eq!(numbers, [(4, 2), (2, 1)]);
        for bad in [
            "1 A 5 1 1 1",
            "x A 5 1 1 1 1",
            "1 A y 1 1 1 1",
            "1 A 5 1 1 1 1 more",
            "",
        ] {
            assert!(parse(&format!("{bad}\n")).is_err(), "{bad:?}");
        }
    }
}
