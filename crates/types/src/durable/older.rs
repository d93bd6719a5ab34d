//! Forms that earlier releases wrote. They are read for ever, and never written again.

use super::{Discard, DiscardCondition, LaneRecord, PriorLanes, ShardRecord};
use crate::ids::DiscardId;
use crate::{MappingId, Mark, Namespace, Position, RequestId, ResponseContext, ShardId, Wall};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Version 1 of [`ShardRecord`]: before there were tumbling windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields of its successor")]
pub struct ShardRecordV1 {
    pub generation: u64,
    pub start: Position,
    pub lane_hash: u8,
    pub lanes: Vec<LaneRecord>,
    pub prior: Vec<PriorLanes>,
    pub read_through: Option<Mark>,
    pub at_end: bool,
    pub finished: bool,
}

impl From<ShardRecordV1> for ShardRecord {
    fn from(old: ShardRecordV1) -> Self {
        Self {
            generation: old.generation,
            start: old.start,
            lane_hash: old.lane_hash,
            lanes: old.lanes,
            prior: old.prior,
            read_through: old.read_through,
            at_end: old.at_end,
            finished: old.finished,
            windows: None,
        }
    }
}

/// Version 1 of [`Discard`]: before there were tumbling windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields of its successor")]
pub struct DiscardV1 {
    pub id: DiscardId,
    pub namespace: Namespace,
    pub mapping: MappingId,
    pub shard: ShardId,
    pub condition: DiscardCondition,
    pub request_id: RequestId,
    pub invoke_count: u32,
    pub response: Option<ResponseContext>,
    pub first: Option<Mark>,
    pub last: Option<Mark>,
    pub first_arrival: Option<Wall>,
    pub last_arrival: Option<Wall>,
    pub records: u32,
    pub at: Wall,
    pub function_arn: String,
    pub source_arn: String,
    pub payload: Bytes,
}

impl From<DiscardV1> for Discard {
    fn from(old: DiscardV1) -> Self {
        Self {
            id: old.id,
            namespace: old.namespace,
            mapping: old.mapping,
            shard: old.shard,
            condition: old.condition,
            request_id: old.request_id,
            invoke_count: old.invoke_count,
            response: old.response,
            first: old.first,
            last: old.last,
            first_arrival: old.first_arrival,
            last_arrival: old.last_arrival,
            records: old.records,
            at: old.at,
            function_arn: old.function_arn,
            source_arn: old.source_arn,
            payload: old.payload,
            window: None,
        }
    }
}
