//! What an attempt's outcome means for its batch: the truth tables of semantics section 8.
//!
//! Where the table is silent or torn, the choice is the one that loses nothing: what cannot be understood is
//! a complete failure, to be tried again. With reports switched off the body means nothing, and is not read.

mod queue;
mod report;
mod state;

pub use queue::{QueueVerdict, queue_verdict};

use crate::route::Entry;
use bytes::Bytes;
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{Mark, Outcome, Record, ResponseContext, Seq};
use report::Report;
use std::time::Duration;

/// Most bytes of an error's type.
const MAX_ERROR_BYTES: usize = 256;

/// What an outcome means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record is done.
    Done,
    /// A valid partial failure: the records before `index` are done, the rest is not, whatever the function
    /// said of single records behind it (semantics 8).
    FailedFrom {
        /// The first reported record, as an index into the batch; 0 means no progress.
        index: usize,
        /// How many records were reported.
        reported: usize,
        /// For a failure document.
        response: ResponseContext,
    },
    /// No record is done; an attempt is spent.
    Failed {
        /// For a failure document.
        response: Option<ResponseContext>,
        /// The error's type, for the ledger, at most 256 bytes: the function's own, or one of this table's
        /// (`Sandbox.Timedout`, `BatchItemFailures.…`).
        error: String,
    },
    /// The code did not run; no attempt is spent.
    Throttled {
        /// What the target asked for.
        retry_after: Option<Duration>,
    },
}

/// What has a sequence number.
pub trait Sequenced {
    /// The number.
    fn seq(&self) -> &Seq;
}

impl Sequenced for Seq {
    fn seq(&self) -> &Seq {
        self
    }
}

impl Sequenced for Mark {
    fn seq(&self) -> &Seq {
        &self.seq
    }
}

impl Sequenced for Record {
    fn seq(&self) -> &Seq {
        &self.mark.seq
    }
}

impl Sequenced for Entry {
    fn seq(&self) -> &Seq {
        &self.record.mark.seq
    }
}

/// Judges one attempt of a batch whose records are `batch`, in the order they were sent (ascending).
///
/// With `report_item_failures` (semantics 8, `FunctionResponseTypes`), the body is read:
///
/// | body | verdict |
/// |---|---|
/// | empty, `null`, `{}`, `""`, `[]`, an object without `batchItemFailures` | done |
/// | `batchItemFailures` null or empty | done |
/// | only ids of this batch | failed from the lowest; a record of an aggregate stands for the first with its number |
/// | an id that is unknown, empty, null, no string or missing; an entry that is no object (`[{}]` too) | failed |
/// | `batchItemFailures` neither array nor null; another JSON value; no JSON | failed |
///
/// The last row is ours where AWS's is unknown: its parser takes `""` and `[]` for null, which a text like
/// `"done"` is not. Of a member given twice the last counts, as in the JSON parsers AWS uses. An id is
/// compared as text: leading zeros count.
#[must_use]
pub fn verdict<T: Sequenced>(outcome: &Outcome, batch: &[T], report_item_failures: bool) -> Verdict {
    match outcome {
        Outcome::Response(_) if !report_item_failures => Verdict::Done,
        Outcome::Response(body) => of_report(report::read(body, &|id| index_of(id, batch))),
        Outcome::FunctionError(error) => failed(error_type(error), Some("Unhandled")),
        Outcome::Timeout { .. } => failed("Sandbox.Timedout", Some("Unhandled")),
        Outcome::Throttled { retry_after } => Verdict::Throttled {
            retry_after: *retry_after,
        },
        // The code did not run, so it cannot cost an attempt (semantics 7, "service errors").
        Outcome::Unreachable { .. } => Verdict::Throttled { retry_after: None },
    }
}

/// Judges one attempt in a tumbling window (semantics 11), as [`verdict`] does, and tells the state that the function
/// returned, as it wrote it.
///
/// A response without the member `state`, or with null for it, is a failure; any other JSON value is one, the empty
/// object too. A state of more than `most` bytes is a failure as well: it would not even fit into the event that ends
/// the window. Together with reported items the state counts if there is progress: it is then that of the records
/// before the first one reported, which are done. What comes again is added to it by the function.
#[must_use]
pub fn window_verdict<T: Sequenced>(
    outcome: &Outcome,
    batch: &[T],
    report_item_failures: bool,
    most: usize,
) -> (Verdict, Option<Bytes>) {
    let verdict = verdict(outcome, batch, report_item_failures);
    let progress = match verdict {
        Verdict::Done => true,
        Verdict::FailedFrom { index, .. } => index > 0,
        Verdict::Failed { .. } | Verdict::Throttled { .. } => false,
    };
    match outcome {
        Outcome::Response(body) if progress => match state::read(body) {
            Ok(state) if state.len() <= most => (verdict, Some(state)),
            Ok(_) => (failed("WindowState.TooLarge", None), None),
            Err(why) => (failed(why.error(), None), None),
        },
        _ => (verdict, None),
    }
}

/// An attempt in a window that succeeded without a state.
pub(crate) fn without_state() -> Verdict {
    failed(state::NoState::Missing.error(), None)
}

fn index_of<T: Sequenced>(id: &str, batch: &[T]) -> Option<usize> {
    let seq = Seq::parse(id.as_bytes()).ok()?;
    let at = batch.partition_point(|item| *item.seq() < seq);
    batch.get(at).filter(|item| *item.seq() == seq).map(|_| at)
}

fn of_report(report: Report) -> Verdict {
    match report {
        Report::NoFailure => Verdict::Done,
        Report::Listed(mut listed) => {
            listed.sort_unstable();
            listed.dedup();
            Verdict::FailedFrom {
                index: listed.first().copied().unwrap_or(0),
                reported: listed.len(),
                response: response(None),
            }
        }
        Report::Invalid(why) => failed(&why, None),
    }
}

fn failed(error: &str, function_error: Option<&str>) -> Verdict {
    Verdict::Failed {
        response: Some(response(function_error)),
        error: cut(error),
    }
}

fn cut(error: &str) -> String {
    error[..error.floor_char_boundary(MAX_ERROR_BYTES)].to_owned()
}

/// Whenever the code ran, or was to run, AWS says 200.
fn response(function_error: Option<&str>) -> ResponseContext {
    ResponseContext {
        status_code: 200,
        executed_version: "$LATEST".to_owned(),
        function_error: function_error.map(str::to_owned),
    }
}

/// The error's own type, or one that tells its kind.
fn error_type(error: &FunctionError) -> &str {
    if !error.error_type.is_empty() {
        return &error.error_type;
    }
    match error.kind {
        FunctionErrorKind::Raised => "Unhandled",
        FunctionErrorKind::Exited => "Runtime.ExitError",
        FunctionErrorKind::Crashed => "Runtime.Crashed",
        FunctionErrorKind::Garbage => "Runtime.InvalidResponse",
        FunctionErrorKind::ResponseTooLarge => "Function.ResponseSizeTooLarge",
        FunctionErrorKind::Init => "Runtime.InitError",
        FunctionErrorKind::InitTimeout => "Runtime.InitTimeout",
        FunctionErrorKind::Disconnected => "Http.Disconnected",
    }
}

#[cfg(test)]
mod tests;
