//! The record of one shard for one mapping: how far it is finished, and what is in progress.

use crate::{Mark, Position, RequestId, ResponseContext, Wall};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The whole durable state of one shard (design, section 5). Written only by the shard's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The configuration it was written under.
    pub generation: u64,
    /// Where reading starts while nothing was read.
    pub start: Position,
    /// The version of the hash that put keys into `lanes`.
    pub lane_hash: u8,
    /// One per parallel slot, in order.
    pub lanes: Vec<LaneRecord>,
    /// What was finished under other numbers of lanes; at most one per number.
    pub prior: Vec<PriorLanes>,
    /// The last record that was read and either finished or noted in a lane.
    pub read_through: Option<Mark>,
    /// Whether the source said that nothing follows `read_through`.
    pub at_end: bool,
    /// Whether every record of the closed shard is finished: its children may start.
    pub finished: bool,
    /// Its tumbling windows; none if they are switched off and none is open. What is in a state is of records that
    /// `lanes` says are finished, and of all of them since the window was opened.
    pub windows: Option<WindowsRecord>,
}

/// The tumbling windows of a shard (semantics, section 11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsRecord {
    /// A record that arrived before this belongs where one of this moment does: no window before it is opened.
    pub floor: Wall,
    /// The window that has begun and not ended.
    pub open: Option<WindowRecord>,
}

/// A tumbling window that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRecord {
    /// Its start, inclusive.
    pub start: Wall,
    /// Its end, exclusive.
    pub end: Wall,
    /// What the function returned last, as JSON.
    pub state: Bytes,
    /// Whether it is to end early, before another record is sent.
    pub early: bool,
}

/// The durable state of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRecord {
    /// Every record of this lane up to here is finished.
    pub done_through: Option<Mark>,
    /// The batch that has failed at least once or was split, and waits.
    pub head: Option<HeadRecord>,
}

/// A batch in trouble: the parts it was split into, the current one last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRecord {
    /// Never empty. A later element comes earlier in the stream.
    pub segments: Vec<SegmentRecord>,
}

/// A part of a batch with its own retry budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its first record; none for a batch without records.
    pub first: Option<Mark>,
    /// Its last record; none for a batch without records.
    pub last: Option<Mark>,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// The id of its invocations.
    pub request_id: RequestId,
    /// Not to be tried before this time.
    pub not_before: Option<Wall>,
    /// The last answer.
    pub last_response: Option<ResponseContext>,
}

/// What was finished while the shard had another number of lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorLanes {
    /// The version of the hash used then.
    pub lane_hash: u8,
    /// Per lane of that time: every record up to here is finished.
    pub done_through: Vec<Option<Mark>>,
    /// Per lane of that time: the parts that had failed, whose attempts their records keep.
    pub heads: Vec<Option<HeadRecord>>,
}
