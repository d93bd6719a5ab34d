//! What a mapping did, from the server's ledger, as one row of the closing table.

use millstream_api::v1::{AttemptResult, LedgerEntry};

/// One mapping's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// Records finished: successful, or given up.
    pub(crate) records: u64,
    /// Batches sent for the first time, parts of split ones included.
    pub(crate) batches: u64,
    /// Invocations.
    pub(crate) attempts: u64,
    /// Batches split in two.
    pub(crate) splits: u64,
    /// Records given up.
    pub(crate) discards: u64,
    /// Records per second from the first invocation's start to the last one's end.
    pub(crate) per_second: f64,
    /// From a batch's newest record's arrival to its first invocation, in milliseconds: half of the batches waited
    /// no longer than the first, 99 % no longer than the second.
    pub(crate) waited_ms: [u64; 2],
}

impl Summary {
    /// Of the attempts of one mapping, in any order.
    pub(crate) fn of(entries: &[LedgerEntry]) -> Self {
        let mut summary = Self::default();
        let mut waits = Vec::new();
        for entry in entries {
            summary.add(entry);
            if entry.attempt == 1 && entry.result() != AttemptResult::Throttled {
                waits.extend(entry.age.as_ref().map(millis));
            }
        }
        waits.sort_unstable();
        summary.waited_ms = [50, 99].map(|percent| percentile(&waits, percent));
        summary.per_second = rate(summary.records, entries);
        summary
    }

    fn add(&mut self, entry: &LedgerEntry) {
        let finished = u64::try_from(entry.finished_count).unwrap_or(0);
        self.records += finished;
        match entry.result() {
            AttemptResult::Throttled | AttemptResult::Unspecified => return,
            AttemptResult::Expired => {
                self.discards += finished;
                return;
            }
            AttemptResult::Discarded => self.discards += finished,
            AttemptResult::Split => self.splits += 1,
            AttemptResult::Done | AttemptResult::Partial | AttemptResult::Retry => {}
        }
        self.attempts += 1;
        self.batches += u64::from(entry.attempt == 1);
    }
}

fn rate(records: u64, entries: &[LedgerEntry]) -> f64 {
    let seconds = |time: &prost_types::Timestamp| time.seconds as f64 + f64::from(time.nanos) / 1e9;
    let starts = entries
        .iter()
        .filter_map(|entry| entry.start_time.as_ref())
        .map(seconds);
    let ends = entries
        .iter()
        .filter_map(|entry| entry.end_time.as_ref())
        .map(seconds);
    let took = ends.fold(f64::MIN, f64::max) - starts.fold(f64::MAX, f64::min);
    if took > 0.0 { records as f64 / took } else { 0.0 }
}

fn millis(duration: &prost_types::Duration) -> u64 {
    let millis = duration.seconds * 1000 + i64::from(duration.nanos) / 1_000_000;
    u64::try_from(millis).unwrap_or(0)
}

/// The smallest value that `percent` of the sorted values do not exceed; 0 of none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The rows as a table, one mapping each.
pub(crate) fn table(rows: &[(&str, Summary)]) -> String {
    const HEAD: [&str; 9] = [
        "mapping",
        "records",
        "batches",
        "attempts",
        "splits",
        "discards",
        "records/s",
        "p50 ms",
        "p99 ms",
    ];
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|(name, s)| {
        let [p50, p99] = s.waited_ms.map(|wait| wait.to_string());
        let counts = [s.records, s.batches, s.attempts, s.splits, s.discards].map(|count| count.to_string());
        let [records, batches, attempts, splits, discards] = counts;
        let rate = format!("{:.0}", s.per_second);
        [
            (*name).to_owned(),
            records,
            batches,
            attempts,
            splits,
            discards,
            rate,
            p50,
            p99,
        ]
    }));
    lines_up(&cells)
}

/// Rows of cells, the first to the left and the others to the right of their columns.
pub(crate) fn lines_up<const COLUMNS: usize>(cells: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        padded.collect::<String>() + "\n"
    };
    cells.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::{Duration, Timestamp};

    fn entry(result: AttemptResult, attempt: i32, finished: i32, second: i64) -> LedgerEntry {
        LedgerEntry {
            result: result.into(),
            attempt,
            finished_count: finished,
            start_time: Some(Timestamp {
                seconds: second,
                nanos: 0,
            }),
            end_time: Some(Timestamp {
                seconds: second + 1,
                nanos: 0,
            }),
            age: Some(Duration {
                seconds: 0,
                nanos: 1_000_000 * attempt,
            }),
            ..Default::default()
        }
    }

    #[test]
    fn every_kind_of_attempt_counts_as_what_it_is() {
        let summary = Summary::of(&[
            entry(AttemptResult::Done, 1, 100, 0),
            entry(AttemptResult::Partial, 1, 10, 1),
            entry(AttemptResult::Split, 1, 0, 2),
            entry(AttemptResult::Retry, 1, 0, 3),
            entry(AttemptResult::Discarded, 2, 1, 4),
            entry(AttemptResult::Throttled, 1, 0, 5),
            entry(AttemptResult::Expired, 1, 9, 9),
        ]);
        let want = Summary {
            records: 120,
            batches: 4,
            attempts: 5,
            splits: 1,
            discards: 10,
            per_second: 12.0,
            waited_ms: [1, 1],
        };
        assert_eq!(summary, want);
        assert_eq!(Summary::of(&[]), Summary::default());
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        for (values, percent, want) in [
            (&hundred[..], 50, 50),
            (&hundred, 99, 99),
            (&[7], 50, 7),
            (&[7], 99, 7),
            (&[1, 2], 50, 1),
            (&[], 50, 0),
        ] {
            assert_eq!(percentile(values, percent), want);
        }
    }

    #[test]
    fn a_table_lines_up() {
        let rows = [
            (
                "a",
                Summary {
                    records: 5,
                    ..Default::default()
                },
            ),
            ("longer", Summary::default()),
        ];
        let table = table(&rows);
        let lengths: Vec<usize> = table.lines().map(str::len).collect();
        assert_eq!(lengths, [lengths[0]; 3]);
        assert!(table.contains("longer  "));
    }
}
