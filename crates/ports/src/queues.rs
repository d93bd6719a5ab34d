//! The built-in broker's queues, as their senders and owners use them.

use crate::{Credit, EntryError, QueueDepth};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_types::message::MessageAttributes;
use millstream_types::{Message, Namespace, QueueName, QueueSpec, Receipt, TraceContext, Wall};
use std::sync::Arc;
use std::time::Duration;

/// A queue, and about how much is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDescription {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called.
    pub name: QueueName,
    /// Its settings.
    pub spec: QueueSpec,
    /// When it was made.
    pub created: Wall,
    /// When its settings were changed last.
    pub modified: Wall,
    /// The revision of its settings; printed as its etag.
    pub revision: u64,
    /// About how much is in it.
    pub depth: QueueDepth,
    /// The queues whose redrive policy names this one, at most 100.
    pub dead_letter_sources: Vec<QueueName>,
}

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendEntry {
    /// The text: 1 byte up to the queue's limit, UTF-8 and of the characters that SQS allows.
    pub body: Bytes,
    /// What goes beside it; at most 10.
    pub attributes: MessageAttributes,
    /// How long it stays hidden, 0 to 900 s; none: the queue's delay. Refused on FIFO queues, whose delay is the
    /// queue's alone.
    pub delay: Option<Duration>,
    /// `MessageGroupId`, 1 to 128 characters; required on FIFO queues.
    pub group: Option<String>,
    /// `MessageDeduplicationId`, 1 to 128 characters; FIFO queues only, required there without content-based
    /// deduplication.
    pub deduplication: Option<String>,
    /// The system attribute `AWSTraceHeader`.
    pub trace_header: Option<String>,
    /// The sender's trace.
    pub trace: Option<TraceContext>,
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendReceipt {
    /// Its id; the first message's for one that was recognised as its repetition.
    pub id: Arc<str>,
    /// The MD5 of the body as stored.
    pub md5_of_body: Arc<str>,
    /// The MD5 of the attributes; none without attributes.
    pub md5_of_attributes: Option<Arc<str>>,
    /// The number within a FIFO queue.
    pub sequence: Option<Arc<str>>,
}

/// Why one message was not taken, though others of its request may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The entry breaks a rule; the same entry will always be refused.
    #[error("{field} '{value}' is not valid: {allowed}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Its value, shortened to 64 characters.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The disk is nearly full; receive and delete, or make room.
    #[error("the disk is nearly full ({free} bytes free, {floor} are kept in reserve): send refused")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The reserve.
        floor: u64,
    },
    /// The store has an error; whether the message was stored is not known.
    #[error("the store cannot be used now, the message may or may not have been stored: {0}")]
    Unavailable(String),
}

/// Why a call about queues failed. A wrong field is named as in [`QueueSpec`] (of its redrive:
/// `redrive.dead_letter_queue`, `redrive.max_receive_count`), in [`ReceiveOptions`], or as the parameter of the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No such queue.
    #[error("queue {0} does not exist")]
    NotFound(QueueName),
    /// There is one already.
    #[error("queue {0} already exists")]
    AlreadyExists(QueueName),
    /// A field breaks a rule.
    #[error("{field} '{value}' is not valid: {allowed}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// It cannot be done in the present state.
    #[error("{0}")]
    Precondition(String),
    /// As many messages are in flight as a queue may have.
    #[error("queue {0} has 120000 messages in flight: delete some, or wait for their visibility timeout")]
    OverLimit(QueueName),
    /// The caller's revision is not the newest.
    #[error("queue {queue} has revision {actual}, not {expected}")]
    Conflict {
        /// The queue.
        queue: QueueName,
        /// What the caller has seen.
        expected: u64,
        /// What is.
        actual: u64,
    },
    /// The disk is nearly full.
    #[error("the disk is nearly full ({free} bytes free, {floor} are kept in reserve): refused")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The reserve.
        floor: u64,
    },
    /// The store has an error.
    #[error("the store cannot be used now: {0}")]
    Unavailable(String),
}

/// How to receive by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveOptions {
    /// Most messages, 1 to 10.
    pub max: usize,
    /// Longest wait for the first, 0 to 20 s; none: the queue's own.
    pub wait: Option<Duration>,
    /// How long they stay hidden, 0 to 43,200 s; none: the queue's own.
    pub visibility: Option<Duration>,
    /// Most bytes of bodies and attributes together, though the first message may exceed it; none: no limit. What
    /// does not fit is not received.
    pub max_bytes: Option<usize>,
}

/// One message as it lies in its queue, seen without receiving it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeekedMessage {
    /// The message; its receipt is empty and its receive count what it is now.
    pub message: Message,
    /// Whether a receive could return it now.
    pub state: MessageState,
}

/// What keeps a message from being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// Nothing.
    Visible,
    /// It was received and is hidden until then.
    InFlight(Wall),
    /// It was sent with a delay that ends then.
    Delayed(Wall),
    /// FIFO: an earlier message of its group is hidden.
    Blocked,
}

/// Administers, fills and empties queues.
#[async_trait]
pub trait Queues: Send + Sync + 'static {
    /// Makes a queue. With `validate_only` everything is checked and nothing is made; what would be is returned, with
    /// revision 0.
    ///
    /// # Errors
    /// [`QueueError::Invalid`], [`QueueError::AlreadyExists`], or the store's.
    async fn create(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
        validate_only: bool,
    ) -> Result<QueueDescription, QueueError>;

    /// Tells about a queue.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], or the store's.
    async fn describe(&self, namespace: &Namespace, name: &QueueName)
    -> Result<QueueDescription, QueueError>;

    /// The queues of a namespace by name, at most `limit`, after `after`.
    ///
    /// # Errors
    /// The store's.
    async fn list(
        &self,
        namespace: &Namespace,
        after: Option<&QueueName>,
        limit: usize,
    ) -> Result<Vec<QueueDescription>, QueueError>;

    /// Replaces the settings. A new visibility timeout or delay counts for messages received or sent from now on; a
    /// new retention for all. With `validate_only` everything is checked and nothing is changed; what would be is
    /// returned, with the present revision.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Invalid`], [`QueueError::Conflict`], or the store's.
    async fn set(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<QueueDescription, QueueError>;

    /// Removes a queue with all its messages.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Conflict`], or the store's.
    async fn delete(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        expected: Option<u64>,
    ) -> Result<(), QueueError>;

    /// Removes all messages that are in the queue now, hidden ones too.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], or the store's.
    async fn purge(&self, namespace: &Namespace, name: &QueueName) -> Result<(), QueueError>;

    /// Sends 1 to 10 messages, in order, together at most 1 MiB, synced before it answers; one answer per entry.
    ///
    /// # Errors
    /// If the request as a whole breaks a rule; then nothing is stored.
    async fn send(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        entries: Vec<SendEntry>,
    ) -> Result<Vec<Result<SendReceipt, SendError>>, QueueError>;

    /// Receives by hand, as [`QueueSource::receive`](crate::QueueSource::receive) does for mappings.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Invalid`], [`QueueError::OverLimit`], or the store's.
    async fn receive(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        options: ReceiveOptions,
    ) -> Result<Vec<Message>, QueueError>;

    /// Deletes received messages, 1 to 10; one answer per receipt.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Invalid`], or the store's.
    async fn delete_messages(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), EntryError>>, QueueError>;

    /// Changes for how long from now received messages stay hidden, 1 to 10; one answer per entry.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Invalid`], or the store's.
    async fn change_visibility(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        entries: &[(Receipt, Duration)],
    ) -> Result<Vec<Result<(), EntryError>>, QueueError>;

    /// Messages in the order in which they were sent, without any effect, as many as the credit allows (1 to 100,
    /// bytes as in [`ReceiveOptions::max_bytes`]), and where to go on; none after the last. `after` is what an
    /// earlier page returned.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Invalid`] if `after` is none of this queue's, or the store's.
    async fn peek(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        after: Option<&[u8]>,
        credit: Credit,
    ) -> Result<(Vec<PeekedMessage>, Option<Vec<u8>>), QueueError>;
}
