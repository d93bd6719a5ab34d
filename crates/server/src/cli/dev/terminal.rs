//! What happens, as whoever works on the function sees it: each line that it prints, and each attempt's end.

use crate::cli::output::{Paint, count};
use millstream_telemetry::names::{log, verdict};
use std::fmt::{Debug, Write as _};
use std::io::{IsTerminal, Write};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};

/// Where the server tells of its own stop.
const SERVER: &str = concat!(env!("CARGO_CRATE_NAME"), "::server");
/// How much of a request's id stands before a line; a line that tells of the whole attempt has all of it.
const TAG: usize = 8;
/// AWS's runtime for Python prints the lines of a traceback as one, with carriage returns between, which are shown in
/// this form.
const TRACEBACK: &str = "\\rTraceback (most recent call last):\\r";

/// The layer that prints to standard output.
pub(super) fn layer() -> Box<dyn Layer<Registry> + Send + Sync> {
    let targets = Targets::new()
        .with_target(log::FUNCTION, LevelFilter::INFO)
        .with_target(log::ATTEMPT, LevelFilter::DEBUG)
        .with_target(SERVER, LevelFilter::INFO);
    let paint = Paint::of(std::io::stdout().is_terminal());
    Box::new(Terminal { paint }.with_filter(targets))
}

struct Terminal {
    paint: Paint,
}

impl<S: Subscriber> Layer<S> for Terminal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let line = match event.metadata().target() {
            log::FUNCTION => told.printed(),
            log::ATTEMPT => told.attempt(self.paint),
            // How it starts is told otherwise.
            _ if told.message.starts_with("stop") => told.message,
            _ => return,
        };
        // Whether or not anybody reads, the function goes on.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// The fields of an event that are shown.
#[derive(Debug, Default)]
struct Told {
    message: String,
    request_id: String,
    mapping: String,
    verdict: String,
    error: String,
    took_ms: f64,
    attempt: u64,
    records: u64,
    failed: u64,
    lost: u64,
    cut: bool,
}

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "took_ms" {
            self.took_ms = value;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "attempt" => self.attempt = value,
            "records" => self.records = value,
            "failed" => self.failed = value,
            "lost" => self.lost = value,
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "cut" {
            self.cut = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "message" => &mut self.message,
            "request_id" => &mut self.request_id,
            "mapping" => &mut self.mapping,
            "verdict" => &mut self.verdict,
            "error" => &mut self.error,
            _ => return,
        };
        // Writing to a String does not fail.
        let _ = write!(text, "{value:?}");
    }
}

impl Told {
    /// The beginning of the request's id; of what is printed outside of requests, blanks.
    fn tag(&self) -> String {
        let tag = self.request_id.get(..TAG).unwrap_or_default();
        format!("{tag:TAG$}")
    }

    /// What was printed, on one line, or on as many as a traceback has.
    fn printed(&self) -> String {
        let tag = self.tag();
        let mut line = format!("{tag} | {}", self.message);
        if line.contains(TRACEBACK) {
            line = line.replace("\\r", &format!("\n{tag} | "));
        }
        if self.cut {
            line.push('…');
        }
        if self.lost > 0 {
            let _ = write!(line, " ({})", self.lost);
        }
        line
    }

    fn attempt(&self, paint: Paint) -> String {
        let records = usize::try_from(self.records).unwrap_or(usize::MAX);
        let word = self.verdict.to_ascii_uppercase();
        let word = if self.verdict == verdict::FAILED {
            paint.alarm(&word)
        } else {
            paint.word(&word)
        };
        let mut line = format!(
            "{} {word} {} of {}, attempt {}, {:.0} ms, request {}",
            self.tag(),
            count(records, "record"),
            self.mapping,
            self.attempt,
            self.took_ms,
            self.request_id
        );
        if self.verdict == verdict::PARTIAL {
            let _ = write!(line, ": {} failed", self.failed);
        }
        let reason = match self.message.is_empty() {
            true => &self.error,
            false => &self.message,
        };
        if !reason.is_empty() {
            let _ = write!(line, ": {reason}");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            request_id: "3f2a9c1e-8b86-4d11-b42d-00c04fc964ff".to_owned(),
            ..Told::default()
        }
    }

    #[test]
    fn lines_have_the_tag_of_their_request() {
        let line = |told: Told, text: &str| {
            Told {
                message: text.to_owned(),
                ..told
            }
            .printed()
        };
        assert_eq!(line(told(), "hello"), "3f2a9c1e | hello");
        assert_eq!(line(Told::default(), "loading"), "         | loading");
        let lost = Told { lost: 7, ..told() };
        assert_eq!(
            line(lost, "lines beyond the rate were dropped"),
            "3f2a9c1e | lines beyond the rate were dropped (7)"
        );
        assert_eq!(
            line(
                told(),
                r"[ERROR] E: no\rTraceback (most recent call last):\r  File a, line 1"
            ),
            "3f2a9c1e | [ERROR] E: no\n3f2a9c1e | Traceback (most recent call last):\n3f2a9c1e |   File a, line 1"
        );
        assert_eq!(line(told(), r"C:\readme"), r"3f2a9c1e | C:\readme");
        assert_eq!(line(Told { cut: true, ..told() }, "abc"), "3f2a9c1e | abc…");
    }

    #[test]
    fn attempts_tell_how_they_ended() {
        let attempt = |verdict: &str, message: &str, failed| {
            let told = Told {
                mapping: "queue-dev".to_owned(),
                verdict: verdict.to_owned(),
                message: message.to_owned(),
                records: 3,
                attempt: 1,
                took_ms: 12.4,
                failed,
                ..told()
            };
            told.attempt(Paint::PLAIN)
        };
        let rest = "3 records of queue-dev, attempt 1, 12 ms, request 3f2a9c1e-8b86-4d11-b42d-00c04fc964ff";
        assert_eq!(attempt("done", "", 0), format!("3f2a9c1e DONE {rest}"));
        assert_eq!(
            attempt("failed", "ValueError: no", 3),
            format!("3f2a9c1e FAILED {rest}: ValueError: no")
        );
        assert_eq!(
            attempt("partial", "", 2),
            format!("3f2a9c1e PARTIAL {rest}: 2 failed")
        );
    }

    #[test]
    fn the_server_is_found_by_its_target() {
        assert!(
            module_path!().starts_with(SERVER.trim_end_matches("::server")),
            "{SERVER}"
        );
    }
}
