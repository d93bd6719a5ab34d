//! Records that were given up, and the failure documents that are still to be sent.

use crate::ids::DiscardId;
use crate::{DestinationArn, MappingId, Mark, Namespace, RequestId, ResponseContext, ShardId, Wall};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Why records were given up (semantics, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiscardCondition {
    /// The retry budget is spent.
    RetryAttemptsExhausted,
    /// The records are older than the mapping allows.
    RecordAgeExceeded,
    /// The records match no filter of a mapping that keeps such records. Not of AWS.
    FilteredOut,
}

impl DiscardCondition {
    /// The text used in documents and by AWS.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
            Self::FilteredOut => "FilteredOut",
        }
    }
}

/// A run of records of one shard that was given up, with what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discard {
    /// Its lasting identity.
    pub id: DiscardId,
    /// Whose mapping.
    pub namespace: Namespace,
    /// Which mapping.
    pub mapping: MappingId,
    /// Which shard.
    pub shard: ShardId,
    /// Why.
    pub condition: DiscardCondition,
    /// The id of the last invocation, or of the one that would have been.
    pub request_id: RequestId,
    /// `approximateInvokeCount`: at least 1, also for records that were never sent; 0 for those that were filtered out.
    pub invoke_count: u32,
    /// The last answer, none if the function never answered.
    pub response: Option<ResponseContext>,
    /// First record; none for a batch without records.
    pub first: Option<Mark>,
    /// Last record.
    pub last: Option<Mark>,
    /// When the first record arrived at the source.
    pub first_arrival: Option<Wall>,
    /// When the last record arrived at the source.
    pub last_arrival: Option<Wall>,
    /// How many records.
    pub records: u32,
    /// When they were given up.
    pub at: Wall,
    /// The function's ARN.
    pub function_arn: String,
    /// The source's ARN.
    pub source_arn: String,
    /// The event that carries the records, as the function would have got it.
    pub payload: Bytes,
    /// The tumbling window they belong to; none without windows. Its state is in `payload`.
    pub window: Option<DiscardWindow>,
}

/// The tumbling window of what was given up (semantics, sections 9 and 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardWindow {
    /// Its start, inclusive.
    pub start: Wall,
    /// Its end, exclusive.
    pub end: Wall,
    /// Whether it was the last invocation of the window that was given up.
    pub is_final: bool,
    /// Whether the window ended early.
    pub terminated_early: bool,
}

/// A failure document on its way. Committed with its discard, removed when it is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The discard it tells of.
    pub discard: DiscardId,
    /// Whose mapping.
    pub namespace: Namespace,
    /// Which mapping.
    pub mapping: MappingId,
    /// Where it goes.
    pub destination: DestinationArn,
    /// What keeps documents of one shard together at the destination.
    pub partition_key: String,
    /// The document.
    pub document: Bytes,
}

/// How the delivery of a failure document stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryState {
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried first; 0 if it never was.
    pub first_attempt: Wall,
    /// When it was tried last; 0 if it never was.
    pub last_attempt: Wall,
    /// Why the last attempt failed, at most 512 characters; empty if none has.
    pub error: String,
    /// How it ended; none while it waits to be tried, or tried again.
    pub end: Option<DeliveryEnd>,
}

/// How the delivery of a failure document ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeliveryEnd {
    /// The destination has it.
    Delivered,
    /// It was given up; the discard stays, with its payload.
    Failed,
}
