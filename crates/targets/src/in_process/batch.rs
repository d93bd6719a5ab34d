//! What a closure gets and what it may answer.

use crate::text::function_error;
use bytes::Bytes;
use millstream_types::invocation::{FunctionErrorKind, RecordRange};
use millstream_types::{Epoch, Invocation, Lease, Outcome, Record, RequestId, Seq, TraceContext};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Any error of a closure.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Longest response of a function, as Lambda has it: 6 MiB and 100 bytes.
pub(crate) const MAX_RESPONSE: usize = 6_291_556;

/// Success in a form that costs nothing: what a Lambda function without a return value answers.
const DONE: Bytes = Bytes::from_static(b"null");

/// What is known of one attempt besides its records.
#[derive(Clone, Debug)]
pub struct CallContext {
    function_arn: Arc<str>,
    request_id: RequestId,
    attempt: u32,
    deadline: Instant,
    timeout: Duration,
    trace: Option<TraceContext>,
    idempotency_key: Arc<str>,
    lease: Option<Lease>,
}

impl CallContext {
    pub(crate) fn new(invocation: &Invocation, now: Instant) -> Self {
        Self {
            function_arn: Arc::clone(&invocation.function_arn),
            request_id: invocation.request_id,
            attempt: invocation.attempt,
            deadline: now + invocation.timeout,
            timeout: invocation.timeout,
            trace: invocation.trace.clone(),
            idempotency_key: Arc::clone(&invocation.idempotency_key),
            lease: invocation.lease.clone(),
        }
    }

    /// The function's ARN.
    #[must_use]
    pub fn function_arn(&self) -> &str {
        &self.function_arn
    }

    /// The id of the request; an unchanged retry has the same.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Which attempt of this batch this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the attempt is stopped: the closure's future is then dropped at its next `await`.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long the attempt may take from its start.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The trace the invocation belongs to.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// The same for every attempt of the same records.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// The epoch of the lease under which the batch was read; a function can refuse one older than it has
    /// seen. None for a call by hand.
    #[must_use]
    pub fn lease_epoch(&self) -> Option<Epoch> {
        self.lease.as_ref().map(|lease| lease.epoch)
    }

    /// The lease under which the batch was read. None for a call by hand.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }
}

/// The records of one attempt. Cheap to clone; nothing is copied.
#[derive(Clone, Debug)]
pub struct Batch {
    records: RecordRange,
    context: CallContext,
}

impl Batch {
    pub(super) fn new(records: RecordRange, context: CallContext) -> Self {
        Self { records, context }
    }

    /// The records in their order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.records.as_slice()
    }

    /// What else is known of the attempt.
    #[must_use]
    pub fn context(&self) -> &CallContext {
        &self.context
    }
}

impl std::ops::Deref for Batch {
    type Target = CallContext;

    fn deref(&self) -> &CallContext {
        &self.context
    }
}

/// The Lambda event of one attempt.
#[derive(Clone, Debug)]
pub struct JsonEvent {
    body: Bytes,
    context: CallContext,
}

impl JsonEvent {
    pub(super) fn new(body: Bytes, context: CallContext) -> Self {
        Self { body, context }
    }

    /// The event as JSON.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What else is known of the attempt.
    #[must_use]
    pub fn context(&self) -> &CallContext {
        &self.context
    }
}

impl std::ops::Deref for JsonEvent {
    type Target = CallContext;

    fn deref(&self) -> &CallContext {
        &self.context
    }
}

/// What a closure answers when it did not fail as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response(Failed);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Failed {
    #[default]
    None,
    Seqs(Vec<Seq>),
    Indices(Vec<usize>),
}

impl Response {
    /// Every record is done.
    #[must_use]
    pub fn done() -> Self {
        Self(Failed::None)
    }

    /// The records with these sequence numbers failed (`batchItemFailures`, semantics section 8: the lowest
    /// becomes the checkpoint, and it and all after it are delivered again). None means that all are done.
    /// Counts only where the mapping reports batch item failures.
    #[must_use]
    pub fn failed(seqs: impl IntoIterator<Item = Seq>) -> Self {
        Self(Failed::Seqs(seqs.into_iter().collect()))
    }

    /// The records at these places of [`Batch::records`] failed; otherwise as [`Response::failed`].
    #[must_use]
    pub fn failed_at(indices: impl IntoIterator<Item = usize>) -> Self {
        Self(Failed::Indices(indices.into_iter().collect()))
    }
}

impl From<()> for Response {
    fn from((): ()) -> Self {
        Self::done()
    }
}

/// The response as the bytes that Lambda would have got.
pub(super) fn outcome(response: Response, records: &RecordRange) -> Outcome {
    let records = records.as_slice();
    let seqs: Vec<Seq> = match response.0 {
        Failed::None => return Outcome::Response(DONE),
        Failed::Seqs(seqs) => seqs,
        Failed::Indices(indices) => {
            if let Some(wrong) = indices.iter().find(|i| **i >= records.len()) {
                let text = format!("the batch has {} records, none at place {wrong}", records.len());
                return Outcome::FunctionError(function_error(
                    FunctionErrorKind::Garbage,
                    "Function.InvalidResponse",
                    &text,
                ));
            }
            indices
                .iter()
                .filter_map(|i| records.get(*i))
                .map(|record| record.mark.seq)
                .collect()
        }
    };
    if seqs.is_empty() {
        Outcome::Response(DONE)
    } else {
        bounded(failures_json(&seqs))
    }
}

fn failures_json(seqs: &[Seq]) -> Bytes {
    let mut json = String::with_capacity(24 + seqs.len() * 80);
    json.push_str("{\"batchItemFailures\":[");
    for (i, seq) in seqs.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(json, "{comma}{{\"itemIdentifier\":\"{seq}\"}}");
    }
    json.push_str("]}");
    Bytes::from(json)
}

/// A response, unless it is longer than Lambda allows.
pub(super) fn bounded(response: Bytes) -> Outcome {
    if response.len() <= MAX_RESPONSE {
        return Outcome::Response(response);
    }
    Outcome::FunctionError(too_large(response.len() as u64))
}

/// The error of a response beyond the limit.
pub(crate) fn too_large(length: u64) -> millstream_types::invocation::FunctionError {
    function_error(
        FunctionErrorKind::ResponseTooLarge,
        "Function.ResponseSizeTooLarge",
        &format!(
            "Response payload size ({length} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
        ),
    )
}

/// An error that the closure returned, with its causes.
pub(super) fn raised(error: &(dyn std::error::Error + 'static)) -> Outcome {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    Outcome::FunctionError(function_error(FunctionErrorKind::Raised, "Error", &text))
}
