//! Counts what became of many small things, and judges the whole.

use super::error::{CliError, exit};
use super::output::count;
use super::when;
use std::time::{Duration, Instant};

/// How far it got.
pub(crate) struct Tally {
    /// What one is called, e.g. `record`.
    one: &'static str,
    /// What was to become of it, e.g. `stored`.
    wanted: &'static str,
    done: usize,
    refused: usize,
    /// The first refusal: its code, and its text.
    error: Option<(String, String)>,
    started: Instant,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn of(one: &'static str, wanted: &'static str) -> Self {
        Self {
            one,
            wanted,
            done: 0,
            refused: 0,
            error: None,
            started: Instant::now(),
        }
    }

    /// One more, with the code and the text of its error; an empty code: it worked.
    pub(crate) fn add(&mut self, code: &str, message: &str) {
        if code.is_empty() {
            self.done += 1;
            return;
        }
        self.refused += 1;
        self.error
            .get_or_insert_with(|| (code.to_owned(), message.to_owned()));
    }

    /// How many worked.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// `put 3 records into orders in 2ms`, with the rate if that took a while.
    pub(crate) fn sentence(&self, verb: &str, to: &str) -> String {
        let took = self.started.elapsed();
        let what = count(self.done, self.one);
        let sentence = format!("{verb} {what} {to} in {}", when::short(took));
        if took > Duration::from_secs(1) {
            let rate = self.done as f64 / took.as_secs_f64();
            format!("{sentence} ({rate:.0}/s)")
        } else {
            sentence
        }
    }

    /// The error that stands for all refusals, if there were any.
    pub(crate) fn verdict(&self) -> Result<(), CliError> {
        let Some((code, message)) = &self.error else {
            return Ok(());
        };
        let (one, wanted) = (self.one, self.wanted);
        let (code, reason, next) = match code.as_str() {
            "INVALID_RECORD" => (
                exit::USAGE,
                "INVALID_RECORD",
                format!("correct these {one}s; the others are {wanted}"),
            ),
            "INVALID_MESSAGE" => (
                exit::USAGE,
                "INVALID_MESSAGE",
                format!("correct these {one}s; the others are {wanted}"),
            ),
            "INVALID_RECEIPT" => (
                exit::CONFLICT,
                "INVALID_RECEIPT",
                "receive them again: they were deleted, or their visibility timeout has ended".to_owned(),
            ),
            "DISK_FULL" => (
                exit::UNAVAILABLE,
                "DISK_FULL",
                format!("make room on the server's disk, then repeat this with these {one}s"),
            ),
            _ => (
                exit::UNAVAILABLE,
                "UNAVAILABLE",
                format!("repeat this with these {one}s; some may be {wanted} already"),
            ),
        };
        let all = count(self.refused + self.done, one);
        Err(CliError::Other {
            code,
            reason,
            message: format!("{} of {all} not {wanted}: {message}", self.refused),
            next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_and_the_first_is_told() {
        let mut tally = Tally::of("record", "stored");
        assert!(tally.verdict().is_ok());
        tally.add("", "");
        assert!(tally.verdict().is_ok());
        assert!(
            tally
                .sentence("put", "into s")
                .starts_with("put 1 record into s in ")
        );
        tally.add("DISK_FULL", "full");
        tally.add("UNAVAILABLE", "gone");
        let e = tally.verdict().unwrap_err();
        assert_eq!(e.exit_code(), exit::UNAVAILABLE);
        assert_eq!(e.lines()[0], "DISK_FULL: 2 of 3 records not stored: full");
    }

    #[test]
    fn every_refusal_has_its_exit_code() {
        for (code, want) in [
            ("INVALID_RECORD", exit::USAGE),
            ("INVALID_MESSAGE", exit::USAGE),
            ("INVALID_RECEIPT", exit::CONFLICT),
            ("DISK_FULL", exit::UNAVAILABLE),
            ("UNAVAILABLE", exit::UNAVAILABLE),
            ("NEWER_THAN_THIS_PROGRAM", exit::UNAVAILABLE),
        ] {
            let mut tally = Tally::of("message", "sent");
            tally.add(code, "x");
            assert_eq!(tally.verdict().unwrap_err().exit_code(), want, "{code}");
        }
    }
}
