//! The truth table of semantics section 8, for queues.

use super::report::{self, Report};
use super::{cut, error_type};
use millstream_types::{Message, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

/// What an outcome means for a batch of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueVerdict {
    /// Every message is done, to be deleted.
    Done,
    /// A valid partial failure: these messages, as ascending indices into the batch (at least one), come back; all
    /// others are done. The order of messages plays no part, on FIFO queues neither.
    Partial {
        /// The messages that failed.
        failed: Vec<usize>,
    },
    /// No message is done; all come back.
    Failed {
        /// The error's type, at most 256 bytes: the function's own, or one of this table's (`Sandbox.Timedout`,
        /// `BatchItemFailures.…`).
        error: String,
    },
    /// The code did not run.
    Throttled {
        /// What the target asked for.
        retry_after: Option<Duration>,
        /// Why the function could not be reached, if that was it; at most 256 bytes.
        unreachable: Option<String>,
    },
}

/// Judges one attempt of a batch of messages.
///
/// With `report_item_failures` (semantics 8, `FunctionResponseTypes`), the body is read as that of a
/// [stream's batch](super::verdict) is, and these differ:
///
/// | body | verdict |
/// |---|---|
/// | only ids of messages of this batch, any number of times | the listed come back, others are done |
/// | `[{}]` and whatever else cannot be understood, an unknown id among known ones too | failed |
///
/// Of `[{}]` there are two accounts of AWS (semantics 17.3); this is the one that loses nothing. A message that the
/// queue handed out twice into one batch fails in both places.
#[must_use]
pub fn queue_verdict(outcome: &Outcome, batch: &[Message], report_item_failures: bool) -> QueueVerdict {
    match outcome {
        Outcome::Response(_) if !report_item_failures => QueueVerdict::Done,
        Outcome::Response(body) => of_report(body, batch),
        Outcome::FunctionError(error) => failed(error_type(error)),
        Outcome::Timeout { .. } => failed("Sandbox.Timedout"),
        Outcome::Throttled { retry_after } => QueueVerdict::Throttled {
            retry_after: *retry_after,
            unreachable: None,
        },
        // The code did not run, so no message failed.
        Outcome::Unreachable { reason } => QueueVerdict::Throttled {
            retry_after: None,
            unreachable: Some(cut(reason)),
        },
    }
}

fn of_report(body: &[u8], batch: &[Message]) -> QueueVerdict {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, message) in batch.iter().enumerate() {
        places.entry(&message.id).or_default().push(at);
    }
    let first = |id: &str| places.get(id).and_then(|at| at.first().copied());
    match report::read(body, &first) {
        Report::NoFailure => QueueVerdict::Done,
        Report::Invalid(why) => failed(&why),
        Report::Listed(listed) => {
            let all = |at: usize| batch.get(at).and_then(|m| places.get(&*m.id));
            let mut failed: Vec<usize> = listed.into_iter().filter_map(all).flatten().copied().collect();
            failed.sort_unstable();
            failed.dedup();
            QueueVerdict::Partial { failed }
        }
    }
}

fn failed(error: &str) -> QueueVerdict {
    QueueVerdict::Failed { error: cut(error) }
}
