//! What a closure gets and what it may answer.

use super::window::Window;
use bytes::Bytes;
use millstream_types::invocation::{FunctionError, FunctionErrorKind, MAX_RESPONSE, RecordRange};
use millstream_types::{Epoch, Invocation, Lease, Message, Outcome, Record, RequestId, Seq, TraceContext};
use serde::Serialize;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Any error of a closure.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
    window: Option<Arc<Window>>,
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
            window: invocation.window.clone().map(|w| Arc::new(Window::from(w))),
        }
    }

    /// The tumbling window the batch belongs to; none without windows. In a window the closure must return the new
    /// state ([`Response::with_state`]), or the attempt has failed.
    #[must_use]
    pub fn window(&self) -> Option<&Window> {
        self.window.as_deref()
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

/// What one attempt is about: records of a stream, or messages of a queue. Cheap to clone; nothing is copied.
///
/// A closure that may be mapped to both looks at both: one of them is empty. One that looked only for the other kind
/// and returned success has failed, as it cannot have handled what it was given.
#[derive(Clone, Debug)]
pub struct Batch {
    items: Items,
    context: CallContext,
    told: Arc<Told>,
}

/// What a batch holds.
#[derive(Clone, Debug)]
pub(super) enum Items {
    Records(RecordRange),
    Messages(Arc<[Message]>),
}

/// What a closure did with its batch.
#[derive(Debug, Default)]
pub(super) struct Told {
    records_wanted: AtomicBool,
    messages_wanted: AtomicBool,
    failed: Mutex<Vec<String>>,
}

/// What can be said to have failed: a record or a message of the batch.
pub trait Item: sealed::Sealed {
    /// What `batchItemFailures` calls it: a record's sequence number, a message's id.
    fn identifier(&self) -> String;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for millstream_types::Record {}
    impl Sealed for millstream_types::Message {}
}

impl Item for Record {
    fn identifier(&self) -> String {
        self.mark.seq.to_string()
    }
}

impl Item for Message {
    fn identifier(&self) -> String {
        self.id.to_string()
    }
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::Records(records) => records.as_slice().len(),
            Self::Messages(messages) => messages.len(),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Records(_) => "records",
            Self::Messages(_) => "messages",
        }
    }

    fn identifier(&self, at: usize) -> Option<String> {
        match self {
            Self::Records(records) => records.as_slice().get(at).map(Item::identifier),
            Self::Messages(messages) => messages.get(at).map(Item::identifier),
        }
    }
}

impl Batch {
    pub(super) fn new(items: Items, context: CallContext, told: Arc<Told>) -> Self {
        Self { items, context, told }
    }

    /// The records in their order; none if the batch is of a queue.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.told.records_wanted.store(true, Ordering::Relaxed);
        match &self.items {
            Items::Records(records) => records.as_slice(),
            Items::Messages(_) => &[],
        }
    }

    /// The messages, of a FIFO queue in order within each group; none if the batch is of a stream.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        self.told.messages_wanted.store(true, Ordering::Relaxed);
        match &self.items {
            Items::Records(_) => &[],
            Items::Messages(messages) => messages,
        }
    }

    /// How many records or messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none, as in a call by hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says that this record or message failed, and goes on; what [`Response`] says is added. Of a queue, what failed
    /// comes again and the rest is deleted; of a stream, the lowest and all after it come again. Counts only where
    /// the mapping reports batch item failures.
    pub fn fail(&self, item: &impl Item) {
        let mut failed = self.told.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.push(item.identifier());
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
pub struct Response {
    failed: Failed,
    state: Option<Bytes>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Failed {
    #[default]
    None,
    Ids(Vec<String>),
    Indices(Vec<usize>),
}

impl Response {
    /// Every record or message is done, but for what [`Batch::fail`] was told.
    #[must_use]
    pub fn done() -> Self {
        Failed::None.into()
    }

    /// The records with these sequence numbers failed (`batchItemFailures`, semantics section 8: the lowest
    /// becomes the checkpoint, and it and all after it are delivered again). None means that all are done.
    /// Counts only where the mapping reports batch item failures.
    #[must_use]
    pub fn failed(seqs: impl IntoIterator<Item = Seq>) -> Self {
        Failed::Ids(seqs.into_iter().map(|seq| seq.to_string()).collect()).into()
    }

    /// The messages with these ids failed and come again; the others are deleted. Otherwise as [`Response::failed`].
    #[must_use]
    pub fn failed_messages(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Failed::Ids(ids.into_iter().map(Into::into).collect()).into()
    }

    /// The records or messages at these places of the batch failed; otherwise as [`Response::failed`] or
    /// [`Response::failed_messages`].
    #[must_use]
    pub fn failed_at(indices: impl IntoIterator<Item = usize>) -> Self {
        Failed::Indices(indices.into_iter().collect()).into()
    }

    /// In a tumbling window, the state with the records of this batch in it; with failed ones, with those before the
    /// first that failed: these are done, and all others come again. The last call of a window returns one too, which
    /// is dropped.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn with_state(self, state: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.with_state_json(serde_json::to_vec(state)?))
    }

    /// As [`Response::with_state`], with a state that is JSON already. What is none fails the attempt.
    #[must_use]
    pub fn with_state_json(self, state: impl Into<Bytes>) -> Self {
        Self {
            state: Some(state.into()),
            ..self
        }
    }
}

impl From<Failed> for Response {
    fn from(failed: Failed) -> Self {
        Self { failed, state: None }
    }
}

impl From<()> for Response {
    fn from((): ()) -> Self {
        Self::done()
    }
}

/// The response as the bytes that Lambda would have got.
pub(super) fn outcome(response: Response, items: &Items, told: &Told) -> Outcome {
    if let Some(text) = overlooked(items, told) {
        return invalid(text);
    }
    let mut ids = std::mem::take(&mut *told.failed.lock().unwrap_or_else(PoisonError::into_inner));
    match response.failed {
        Failed::None => {}
        Failed::Ids(more) => ids.extend(more),
        Failed::Indices(indices) => {
            for at in indices {
                match items.identifier(at) {
                    Some(id) => ids.push(id),
                    None => {
                        let (length, what) = (items.len(), items.what());
                        return invalid(&format!("the batch has {length} {what}, none at place {at}"));
                    }
                }
            }
        }
    }
    match (response.state, ids.is_empty()) {
        (None, true) => Outcome::Response(DONE),
        (None, false) => bounded(failures_json(&ids)),
        (Some(state), no_failure) => bounded(with_state(&state, (!no_failure).then(|| failures_json(&ids)))),
    }
}

/// A response with a state, beside the failures if there are any.
fn with_state(state: &[u8], failures: Option<Bytes>) -> Bytes {
    let mut json = Vec::with_capacity(state.len() + 16 + failures.as_ref().map_or(0, Bytes::len));
    json.extend_from_slice(b"{\"state\":");
    json.extend_from_slice(state);
    match failures {
        Some(failures) => {
            json.push(b',');
            json.extend_from_slice(failures.get(1..).unwrap_or_default());
        }
        None => json.push(b'}'),
    }
    json.into()
}

/// What is wrong with the success of a closure that looked only for what its batch has not.
fn overlooked(items: &Items, told: &Told) -> Option<&'static str> {
    let records = told.records_wanted.load(Ordering::Relaxed);
    let messages = told.messages_wanted.load(Ordering::Relaxed);
    match items {
        Items::Messages(all) if !all.is_empty() && records && !messages => Some(
            "the batch holds messages of a queue, and the closure looked for records: use Batch::messages",
        ),
        Items::Records(all) if !all.as_slice().is_empty() && messages && !records => Some(
            "the batch holds records of a stream, and the closure looked for messages: use Batch::records",
        ),
        _ => None,
    }
}

fn invalid(text: &str) -> Outcome {
    Outcome::FunctionError(FunctionError::new(
        FunctionErrorKind::Garbage,
        "Function.InvalidResponse",
        text,
    ))
}

fn failures_json(ids: &[String]) -> Bytes {
    let mut json = String::with_capacity(24 + ids.len() * 80);
    json.push_str("{\"batchItemFailures\":[");
    for (i, id) in ids.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Escaped: what a closure names need not be an id. Writing to a String cannot fail.
        let _ = write!(
            json,
            "{comma}{{\"itemIdentifier\":{}}}",
            serde_json::Value::from(id.as_str())
        );
    }
    json.push_str("]}");
    Bytes::from(json)
}

/// A response, unless it is longer than Lambda allows.
pub(super) fn bounded(response: Bytes) -> Outcome {
    if response.len() <= MAX_RESPONSE {
        return Outcome::Response(response);
    }
    Outcome::FunctionError(FunctionError::response_too_large(response.len() as u64))
}

/// An error that the closure returned, with its causes.
pub(super) fn raised(error: &(dyn std::error::Error + 'static)) -> Outcome {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    Outcome::FunctionError(FunctionError::new(FunctionErrorKind::Raised, "Error", &text))
}
