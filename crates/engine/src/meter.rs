//! Counts of one mapping that no machine keeps, because only those who call a function or a source see them.

use millstream_telemetry::metrics::Histogram;
use millstream_telemetry::names::metric;
use millstream_types::filter::MAX_FILTERS;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Ways in which an attempt ends, as the label `outcome` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Partial,
    Failed,
    Timeout,
    Throttled,
    Unreachable,
    Abandoned,
}

impl End {
    pub(crate) const ALL: [(Self, &str); 7] = [
        (Self::Done, "done"),
        (Self::Partial, "partial"),
        (Self::Failed, "failed"),
        (Self::Timeout, "timeout"),
        (Self::Throttled, "throttled"),
        (Self::Unreachable, "unreachable"),
        (Self::Abandoned, "abandoned"),
    ];
}

/// Requests to a source, as the label `operation` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Receive,
    Delete,
    ChangeVisibility,
}

impl Operation {
    pub(crate) const STREAM: [(Self, &str); 1] = [(Self::Read, "read")];
    pub(crate) const QUEUE: [(Self, &str); 3] = [
        (Self::Receive, "receive"),
        (Self::Delete, "delete"),
        (Self::ChangeVisibility, "change_visibility"),
    ];
}

/// A count that anybody may add to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of one mapping, over all its consumers.
#[derive(Debug)]
pub(crate) struct Meter {
    ends: [Count; End::ALL.len()],
    requests: [Count; 4],
    pub(crate) in_flight: Count,
    pub(crate) retries: Count,
    /// Records and messages of attempts, each time they were sent.
    pub(crate) invoked: Count,
    /// Those of them that failed.
    pub(crate) failed: Count,
    /// Records whose failure document was delivered.
    pub(crate) delivered: Count,
    /// Records whose failure document could not be delivered and was given up.
    pub(crate) undeliverable: Count,
    /// Records that went through the filters, by the first that they matched; the last are those that matched none.
    screened: [Count; MAX_FILTERS + 1],
    pub(crate) seconds: Histogram,
    pub(crate) records: Histogram,
    pub(crate) age: Histogram,
    pub(crate) wait: Histogram,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            ends: Default::default(),
            requests: Default::default(),
            in_flight: Count::default(),
            retries: Count::default(),
            invoked: Count::default(),
            failed: Count::default(),
            delivered: Count::default(),
            undeliverable: Count::default(),
            screened: Default::default(),
            seconds: Histogram::new(&metric::ATTEMPT_SECONDS),
            records: Histogram::new(&metric::BATCH_RECORDS),
            age: Histogram::new(&metric::AWS_ITERATOR_AGE),
            wait: Histogram::new(&metric::BATCH_WAIT),
        }
    }
}

impl Meter {
    pub(crate) fn requested(&self, operation: Operation) {
        self.requests(operation).add(1);
    }

    pub(crate) fn requests(&self, operation: Operation) -> &Count {
        let [read, receive, delete, change] = &self.requests;
        match operation {
            Operation::Read => read,
            Operation::Receive => receive,
            Operation::Delete => delete,
            Operation::ChangeVisibility => change,
        }
    }

    /// So many records matched each filter first, and so many none.
    pub(crate) fn screened(&self, by_pattern: &[u64; MAX_FILTERS], filtered: u64) {
        for (count, n) in self.screened.iter().zip(by_pattern.iter().chain([&filtered])) {
            count.add(*n);
        }
    }

    /// What went through the filters, by the label `pattern`; what never happened is left out.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = (&'static str, u64)> {
        const WORDS: [&str; MAX_FILTERS + 1] = ["1", "2", "3", "4", "5", "none"];
        let counts = WORDS.into_iter().zip(&self.screened);
        counts
            .map(|(word, count)| (word, count.get()))
            .filter(|(_, n)| *n > 0)
    }

    /// An attempt with so many records is sent.
    pub(crate) fn begun(&self, records: usize, again: bool) {
        self.in_flight.add(1);
        self.invoked.add(records as u64);
        self.records.observe(records as f64);
        self.retries.add(u64::from(again));
    }

    /// A batch had waited so long, if that is known, before it was sent for the first time.
    pub(crate) fn waited(&self, waited: Option<Duration>) {
        if let Some(waited) = waited {
            self.wait.observe(waited.as_secs_f64());
        }
    }

    /// It ended.
    pub(crate) fn ended(&self, end: End, failed_records: usize) {
        self.in_flight.sub(1);
        self.ends(end).add(1);
        self.failed.add(failed_records as u64);
    }

    pub(crate) fn ends(&self, end: End) -> &Count {
        let [done, partial, failed, timeout, throttled, unreachable, abandoned] = &self.ends;
        match end {
            End::Done => done,
            End::Partial => partial,
            End::Failed => failed,
            End::Timeout => timeout,
            End::Throttled => throttled,
            End::Unreachable => unreachable,
            End::Abandoned => abandoned,
        }
    }
}
