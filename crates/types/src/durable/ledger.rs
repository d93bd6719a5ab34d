//! The history of attempts.

use crate::{MappingId, Mark, RequestId, ShardId, Wall};
use serde::{Deserialize, Serialize};

/// What an attempt led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttemptResult {
    /// All records done.
    Done,
    /// The records before the first reported one are done, the rest is tried again. Of a queue: the reported messages
    /// are left to come back, all others are done.
    Partial,
    /// Tried again unchanged. Of a queue: all messages are left to come back.
    Retry,
    /// Split in two.
    Split,
    /// Given up after the last attempt.
    Discarded,
    /// Given up for age, without an attempt.
    Expired,
    /// No capacity; not counted as an attempt.
    Throttled,
}

/// One attempt of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Which mapping.
    pub mapping: MappingId,
    /// Which shard.
    pub shard: ShardId,
    /// Which lane.
    pub lane: u8,
    /// The id of the invocation.
    pub request_id: RequestId,
    /// Which attempt of this batch, from 1.
    pub attempt: u32,
    /// First record; none for a batch without records.
    pub first: Option<Mark>,
    /// Last record.
    pub last: Option<Mark>,
    /// How many records were sent.
    pub records: u32,
    /// How many of them were finished by this attempt: successful, or given up.
    pub finished: u32,
    /// What it led to.
    pub result: AttemptResult,
    /// When it was sent.
    pub started: Wall,
    /// When it was judged.
    pub ended: Wall,
    /// From the arrival of its last record at the source to the sending, in ms (semantics 15, `IteratorAge`).
    pub age_ms: u64,
    /// The error's type, if it failed; at most 256 bytes.
    pub error: Option<String>,
}

/// One attempt of one batch of messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueAttempt {
    /// Which mapping.
    pub mapping: MappingId,
    /// Which of its slots.
    pub slot: u32,
    /// The id of the invocation; the same when the batch was throttled before.
    pub request_id: RequestId,
    /// How often the message was received that was received most often; a queue counts attempts per message.
    pub attempt: u32,
    /// How many messages were sent.
    pub messages: u32,
    /// How many of them the function succeeded with.
    pub finished: u32,
    /// What it led to: done, partial, retry or throttled.
    pub result: AttemptResult,
    /// When it was sent.
    pub started: Wall,
    /// When it was judged.
    pub ended: Wall,
    /// From the sending of its newest message to that of the batch, in ms.
    pub age_ms: u64,
    /// The error's type, if it failed; at most 256 bytes.
    pub error: Option<String>,
    /// The messages in the order of the batch, 100 at most: if there are more, those that failed come first.
    pub named: Vec<AttemptedMessage>,
}

/// A message of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptedMessage {
    /// Its id.
    pub id: String,
    /// How often it had been received, this time included.
    pub receives: u32,
    /// Its message group.
    pub group: Option<String>,
    /// Whether it comes back: it failed, or was not sent for want of capacity.
    pub failed: bool,
}
