//! What a queue's mapping did, from what its function wrote down, as one row of the closing table.

use super::log::{self, Line};
use crate::summary::{lines_up, percentile};
use std::collections::BTreeSet;

/// One queue's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Flights processed, each counted once.
    pub(crate) processed: usize,
    /// Messages in the dead-letter queue.
    pub(crate) dead: usize,
    /// Messages beyond one per flight: sent again, because a send was not answered.
    pub(crate) copies: usize,
    /// Messages that were processed only when they were received again.
    pub(crate) redelivered: usize,
    /// Times that a message was processed which had been before.
    pub(crate) repeats: usize,
    /// Flights per second from the first batch to the last.
    pub(crate) per_second: f64,
    /// From a message's sending to the function's getting it when it was received first, in milliseconds: half of the
    /// messages waited no longer than the first, 99 % no longer than the second.
    pub(crate) waited_ms: [u64; 2],
}

impl Figures {
    /// Of a function's log and what its dead-letter queue holds.
    pub(crate) fn of(lines: &[Line<'_>], dead: usize) -> Self {
        let processed = log::firsts(lines).len();
        let mut seen = BTreeSet::new();
        let messages: Vec<_> = lines
            .iter()
            .filter(|line| seen.insert((line.n, line.id)))
            .collect();
        let mut waits: Vec<u64> = lines
            .iter()
            .filter(|line| line.receives == 1)
            .map(|line| line.handled.saturating_sub(line.sent))
            .collect();
        waits.sort_unstable();
        Self {
            processed,
            dead,
            copies: messages.len() - processed,
            redelivered: messages.iter().filter(|line| line.receives > 1).count(),
            repeats: lines.len() - messages.len(),
            per_second: rate(processed, lines),
            waited_ms: [50, 99].map(|percent| percentile(&waits, percent)),
        }
    }
}

fn rate(processed: usize, lines: &[Line<'_>]) -> f64 {
    let first = lines.iter().map(|line| line.handled).min().unwrap_or(0);
    let last = lines.iter().map(|line| line.handled).max().unwrap_or(0);
    if last > first {
        processed as f64 * 1000.0 / (last - first) as f64
    } else {
        0.0
    }
}

/// The rows as a table, one mapping each.
pub(crate) fn table(rows: &[(&str, Figures)]) -> String {
    const HEAD: [&str; 9] = [
        "mapping",
        "processed",
        "dead letters",
        "sent twice",
        "redelivered",
        "repeated",
        "messages/s",
        "p50 ms",
        "p99 ms",
    ];
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|(name, figures)| {
        let [p50, p99] = figures.waited_ms.map(|wait| wait.to_string());
        [
            (*name).to_owned(),
            figures.processed.to_string(),
            figures.dead.to_string(),
            figures.copies.to_string(),
            figures.redelivered.to_string(),
            figures.repeats.to_string(),
            format!("{:.0}", figures.per_second),
            p50,
            p99,
        ]
    }));
    lines_up(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_redeliveries_and_repeats_are_told_apart() {
        // Flight 1 twice by the sender, flight 2 only at the second receive, flight 3 again after it was processed.
        let text = "1 A 5 a 1 100 110\n1 A 5 b 1 100 130\n2 A 5 c 2 100 5100\n3 B 0 d 1 100 140\n3 B 0 d 2 100 2100\n";
        let figures = Figures::of(&log::parse(text).unwrap(), 7);
        let want = Figures {
            processed: 3,
            dead: 7,
            copies: 1,
            redelivered: 1,
            repeats: 1,
            per_second: 3000.0 / 4990.0,
            waited_ms: [30, 40],
        };
        assert_eq!(figures, want);
        assert_eq!(Figures::of(&[], 0), Figures::default());
        assert_eq!(table(&[("a", figures)]).lines().count(), 2);
    }
}
