//! Queues as the engine reads them.

use crate::SourceError;
use async_trait::async_trait;
use millstream_types::{Message, Receipt};
use std::time::Duration;

/// Most messages of one receive, and most entries of one delete or change of visibility.
pub const MAX_ENTRIES: usize = 10;
/// Longest wait of one receive.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// One queue.
#[async_trait]
pub trait QueueSource: Send + Sync + 'static {
    /// What the engine needs to know of the queue's settings. Asked at creation of a mapping and again now and then,
    /// as they can change.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn attributes(&self) -> Result<QueueAttributes, SourceError>;

    /// Up to `max` messages (1 to [`MAX_ENTRIES`]), which stay hidden from other receives for the queue's visibility
    /// timeout, counted from when the queue handed them out. Waits up to `wait` (at most [`MAX_WAIT`]) for the first;
    /// empty if none came. Of a FIFO queue: in order within each group, and none of a group of which a message is
    /// still hidden by an earlier receive.
    ///
    /// Whoever does not want to wait any more drops the future. A source must then see to it that nothing stays hidden
    /// for that: what it has handed out, or may yet hand out, to this call it shows again (visibility zero) by itself,
    /// as soon as it can. Where it cannot, messages come again when their visibility timeout ends.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Message>, SourceError>;

    /// Deletes messages, 1 to [`MAX_ENTRIES`]; one answer per receipt. Deleting what is gone is no error.
    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>>;

    /// Lets each message stay hidden for so long from now (zero: visible at once), 1 to [`MAX_ENTRIES`]; one answer
    /// per entry.
    async fn change_visibility(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>>;

    /// About how much is in it.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn depth(&self) -> Result<QueueDepth, SourceError>;
}

/// Settings of a queue that its consumer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// How long a received message stays hidden.
    pub visibility_timeout: Duration,
    /// How often a message is received before it goes to the dead-letter queue; none if there is no such queue.
    pub max_receive_count: Option<u32>,
}

/// About how much is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Messages whose delay has not ended.
    pub delayed: u64,
    /// Age of the oldest message, where the queue can tell.
    pub oldest: Option<Duration>,
}

/// Why one entry of a delete or change of visibility did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The receipt is not, or no more, that of a hidden message.
    #[error("the receipt is not valid, or no more: {0}")]
    Receipt(String),
    /// The queue cannot do it now; the same entry may work later.
    #[error("the queue cannot be used now: {0}")]
    Unavailable(String),
}
