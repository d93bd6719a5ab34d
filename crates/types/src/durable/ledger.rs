//! The history of attempts.

use crate::{MappingId, Mark, RequestId, ShardId, Wall};
use serde::{Deserialize, Serialize};

/// What an attempt led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttemptResult {
    /// All records done.
    Done,
    /// The records before the first reported one are done, the rest is tried again.
    Partial,
    /// Tried again unchanged.
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
