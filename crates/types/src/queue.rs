//! Queues and their settings. Names, ranges and defaults are SQS'.

use crate::{Applied, QueueName};
use serde::{Deserialize, Serialize};

/// Longest visibility timeout, in seconds: 12 hours.
pub const MAX_VISIBILITY_SECONDS: u32 = 43_200;
/// Most messages of a standard or FIFO queue that are received and neither deleted nor visible again.
pub const MAX_IN_FLIGHT: u64 = 120_000;

/// What a queue's owner sets. Whether it is a FIFO queue is in its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSpec {
    /// How long a received message stays hidden, 0 to 43,200 s; default 30.
    pub visibility_timeout_seconds: u32,
    /// How long a message that nobody deletes is kept, 60 to 1,209,600 s; default 345,600 (4 days).
    pub retention_seconds: u32,
    /// How long a new message stays hidden unless it says otherwise, 0 to 900 s; default 0.
    pub delay_seconds: u32,
    /// How long a receive waits for a message unless it says otherwise, 0 to 20 s; default 0.
    pub receive_wait_seconds: u32,
    /// Longest message with its attributes, 1,024 to 1,048,576 bytes; default 1,048,576.
    pub max_message_bytes: u32,
    /// Where a message goes that was received too often; default nowhere.
    pub redrive: Option<Redrive>,
    /// FIFO only. Whether the SHA-256 of the body is the deduplication id of a message sent without one; default no.
    pub content_based_deduplication: bool,
    /// FIFO only. Within what deduplication ids are compared; default the queue.
    pub deduplication_scope: DeduplicationScope,
    /// What of this was applied from a file.
    #[serde(default, skip_serializing_if = "Applied::is_empty")]
    pub applied: Applied,
}

/// Where a message goes that was received too often without being deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// A queue of the same namespace and kind (standard or FIFO).
    pub dead_letter_queue: QueueName,
    /// How often a message is received before it goes there, 1 to 1,000.
    pub max_receive_count: u32,
}

/// Within what deduplication ids are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeduplicationScope {
    /// The whole queue.
    #[default]
    Queue,
    /// Each message group by itself.
    MessageGroup,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            visibility_timeout_seconds: 30,
            retention_seconds: 345_600,
            delay_seconds: 0,
            receive_wait_seconds: 0,
            max_message_bytes: 1_048_576,
            redrive: None,
            content_based_deduplication: false,
            deduplication_scope: DeduplicationScope::Queue,
            applied: Applied::default(),
        }
    }
}
