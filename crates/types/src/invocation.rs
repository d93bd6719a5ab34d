//! What goes to a function and what comes back.

use crate::{Lease, MappingId, Message, Record, RequestId, TraceContext, Wall};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Longest response of a function, in bytes, as Lambda has it: 6 MiB and 100 bytes.
pub const MAX_RESPONSE: usize = 6_291_556;
/// Longest [`FunctionError::error_type`], in bytes.
const MAX_ERROR_TYPE: usize = 256;
/// Longest [`FunctionError::message`], in bytes.
const MAX_ERROR_MESSAGE: usize = 4_096;

/// One attempt of one batch, ready to be sent.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The function's `AWS::Lambda` ARN.
    pub function_arn: Arc<str>,
    /// The batch.
    pub payload: Payload,
    /// The tumbling window the batch belongs to; none without windows. A finished event tells it too.
    pub window: Option<WindowEnvelope>,
    /// The id of the request; an unchanged retry has the same.
    pub request_id: RequestId,
    /// Which attempt of this batch this is, from 1.
    pub attempt: u32,
    /// How long the function may run.
    pub timeout: Duration,
    /// The trace the invocation belongs to.
    pub trace: Option<TraceContext>,
    /// The same for every attempt of the same records: `mapping/shard/first-last`.
    pub idempotency_key: Arc<str>,
    /// The mapping it is for. None for a call by hand.
    pub mapping: Option<MappingId>,
    /// Under which lease; functions can refuse an epoch older than one they have seen. None for a call by hand, and for
    /// queues, which are not leased.
    pub lease: Option<Lease>,
}

/// The body of an invocation, in the form the target asked for.
#[derive(Clone, Debug)]
pub enum Payload {
    /// The finished event.
    Json(Bytes),
    /// The records themselves; `range` of the shared slice.
    Records(RecordRange),
    /// The messages themselves, of a queue.
    Messages(Arc<[Message]>),
}

/// The tumbling window that an invocation belongs to (semantics, section 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowEnvelope {
    /// Its start, inclusive; shown in whole seconds.
    pub start: Wall,
    /// Its end, exclusive; shown in whole seconds.
    pub end: Wall,
    /// What the function returned last: one valid JSON value, copied as it is; `{}` at the start.
    pub state: Bytes,
    /// Whether no more records of the window follow.
    pub is_final: bool,
    /// Whether it ends early because its state is too big.
    pub terminated_early: bool,
}

/// Part of a shared, ordered run of records.
#[derive(Clone, Debug)]
pub struct RecordRange {
    /// The run.
    pub all: Arc<[Record]>,
    /// Which of it.
    pub range: std::ops::Range<usize>,
}

impl RecordRange {
    /// The records meant.
    #[must_use]
    pub fn as_slice(&self) -> &[Record] {
        self.all.get(self.range.clone()).unwrap_or_default()
    }
}

/// What became of one attempt. A target tells what happened, never what it means: that is the verdict's job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function returned.
    Response(Bytes),
    /// The function, or the process it runs in, failed.
    FunctionError(FunctionError),
    /// The function did not return in time and was stopped.
    Timeout {
        /// How long it was given.
        after: Duration,
    },
    /// There was no capacity; the function's code did not run. Never costs an attempt.
    Throttled {
        /// When to try again, if the target said so.
        retry_after: Option<Duration>,
    },
    /// The function could not be reached and its code did not run. Never costs an attempt.
    Unreachable {
        /// Why, for people.
        reason: String,
    },
}

/// How a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// In which way.
    pub kind: FunctionErrorKind,
    /// The error's type as the runtime names it, e.g. `ValueError` or `Runtime.ExitError`; at most 256 bytes.
    pub error_type: String,
    /// The error's text, at most 4,096 bytes.
    pub message: String,
}

impl FunctionError {
    /// An error whose texts are cut to their limits, each at a character.
    #[must_use]
    pub fn new(kind: FunctionErrorKind, error_type: &str, message: &str) -> Self {
        Self {
            kind,
            error_type: cut(error_type, MAX_ERROR_TYPE).to_owned(),
            message: cut(message, MAX_ERROR_MESSAGE).to_owned(),
        }
    }

    /// The error of a response of `length` bytes, beyond [`MAX_RESPONSE`].
    #[must_use]
    pub fn response_too_large(length: u64) -> Self {
        let message = format!(
            "Response payload size ({length} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
        );
        Self::new(
            FunctionErrorKind::ResponseTooLarge,
            "Function.ResponseSizeTooLarge",
            &message,
        )
    }
}

/// `text` cut at a character to at most `max` bytes.
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// The ways in which a function can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionErrorKind {
    /// The code returned or threw an error through the runtime, or its server answered with a status that tells of
    /// a failure.
    Raised,
    /// The process ended by itself during the invocation.
    Exited,
    /// A signal ended the process during the invocation.
    Crashed,
    /// The runtime, or the function's server, broke the protocol.
    Garbage,
    /// The response is longer than the limit of 6,291,556 bytes.
    ResponseTooLarge,
    /// The process could not start, ended or failed before it asked for work.
    Init,
    /// The process did not ask for work in time.
    InitTimeout,
    /// The function's server ended the connection after it had been given the event and before its answer was
    /// complete.
    Disconnected,
}

/// What a failure document says about the last answer (semantics, section 9).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResponseContext {
    /// HTTP status of the invoke: 200 whenever the code ran.
    pub status_code: u16,
    /// `$LATEST`: functions here have no versions.
    pub executed_version: String,
    /// `Unhandled` if the invocation failed, none if it returned a partial failure.
    pub function_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        for (text, max, expected) in [("abc", 5, "abc"), ("abc", 2, "ab"), ("aäb", 2, "a"), ("", 0, "")] {
            assert_eq!(cut(text, max), expected, "{text} at {max}");
        }
    }

    #[test]
    fn errors_are_bounded() {
        let e = FunctionError::new(FunctionErrorKind::Raised, &"t".repeat(300), &"ä".repeat(4_000));
        assert_eq!((e.error_type.len(), e.message.len()), (256, 4_096));
    }
}
