//! What the engine shows of what it does: states of mappings, and the inside of their shards.

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_core::mapping_state::MappingState;
pub use millstream_core::queue::{QueueCounters, QueueSnapshot, ScaleReason, SlotActivity, SlotInspection};
pub use millstream_core::shard::{BatchInspection, Counters, LaneInspection, WindowInspection};
use millstream_ports::{Invoker, PoolStatus, QueueDepth};
use millstream_types::{
    Epoch, FunctionName, Incarnation, Mapping, MappingId, Mark, Namespace, Outcome, Position, RequestId,
    ShardId, Wall,
};
use std::sync::Arc;

/// A mapping as configured and as observed.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingView {
    /// What is configured.
    pub mapping: Mapping,
    /// What is observed.
    pub status: MappingStatus,
}

/// What is observed of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingStatus {
    /// Where it stands between what is and what is wanted.
    pub state: MappingState,
    /// The generation of the configuration that runs; behind the mapping's own while a change is taken up.
    pub observed_generation: u64,
    /// What is wrong or worth knowing, by kind; empty when all is well.
    pub conditions: Vec<Condition>,
    /// AWS's `LastProcessingResult` (semantics, section 3).
    pub last_processing_result: String,
    /// Counters since the mapping was taken up by this process; the ledger has the durable history.
    pub counters: Counters,
}

/// Something observed that keeps a mapping from its work, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// In CamelCase, e.g. `SourceUnavailable`, `ShardRestarting`, `StoreUnavailable`, `FunctionUnavailable`,
    /// `RecordsLostToRetention`, `DestinationUnavailable`, `DocumentsUndeliverable`.
    pub kind: &'static str,
    /// For people.
    pub message: String,
    /// Since when.
    pub since: Wall,
}

/// The inside of a mapping, now.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingInspection {
    /// The mapping.
    pub mapping: Mapping,
    /// What is observed.
    pub status: MappingStatus,
    /// Its shards: running, waiting for their parents, and finished. None of a mapping of a queue.
    pub shards: Vec<ShardInspection>,
    /// What the consumer of its queue does; none of a mapping of a stream, and while it does not run.
    pub queue: Option<QueueInspection>,
}

/// What a shard does for a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShardActivity {
    /// Waits for its parents to finish.
    WaitingForParents,
    /// Takes its lease and reads its record.
    Starting,
    /// Reads and invokes.
    Running,
    /// Lets running attempts end.
    Draining,
    /// Does not run: the mapping is paused.
    Paused,
    /// Ended by a fault, to be started again.
    Restarting,
    /// Closed, and every record finished.
    Finished,
}

/// One shard of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardInspection {
    /// Which.
    pub shard: ShardId,
    /// What it does.
    pub activity: ShardActivity,
    /// The lease, while it runs.
    pub lease: Option<(Epoch, Incarnation)>,
    /// The checkpoint: every record up to here is finished.
    pub checkpoint: Position,
    /// How far it has been read.
    pub read_through: Option<Mark>,
    /// How far reading is behind the newest record, in ms; none if not known.
    pub lag_ms: Option<u64>,
    /// Records not yet finished, as far as known; none if not known.
    pub lag_records: Option<u64>,
    /// Bytes held in memory.
    pub buffered_bytes: u64,
    /// Its lanes.
    pub lanes: Vec<LaneInspection>,
    /// The last error of the source, the store or the shard itself.
    pub last_error: Option<String>,
    /// The tumbling window that has begun and not ended.
    pub window: Option<WindowInspection>,
    /// What the consumer of a queue does, where this stands for one.
    pub queue: Option<Box<QueueInspection>>,
}

/// What the consumer of a queue does for a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueInspection {
    /// Its slots, concurrency and counts.
    pub snapshot: QueueSnapshot,
    /// About how much is in the queue; none if it does not tell in time.
    pub depth: Option<QueueDepth>,
}

impl ShardInspection {
    /// A shard of which nothing runs.
    pub(crate) fn idle(shard: ShardId, activity: ShardActivity) -> Self {
        Self {
            shard,
            activity,
            lease: None,
            checkpoint: Position::Trim,
            read_through: None,
            lag_ms: None,
            lag_records: None,
            buffered_bytes: 0,
            lanes: Vec::new(),
            last_error: None,
            window: None,
            queue: None,
        }
    }
}

/// A change that a watcher sees.
#[derive(Clone, Debug, PartialEq)]
pub enum MappingEvent {
    /// New, or changed in configuration or in observed state.
    Updated(MappingView),
    /// Gone.
    Removed(Mapping),
}

/// The watcher was too slow: list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes were missed: list again")]
pub struct Lagged;

/// The running part of the engine, as [`crate::manage`] sees it.
#[async_trait]
pub trait Live: Send + Sync + 'static {
    /// What is observed of a mapping; of one not yet taken up: creating.
    fn status(&self, mapping: MappingId) -> MappingStatus;

    /// Takes note of a stored version of a mapping that is about to be told, before the engine follows. If it is
    /// paused or being removed, no attempt of the mapping starts once this has returned, until a newer version is to
    /// run; attempts that run by then go on. Older versions and removed mappings change nothing.
    fn announce(&self, mapping: &Mapping);

    /// The inside of a mapping; none if it is not taken up.
    async fn shards(&self, mapping: MappingId) -> Vec<ShardInspection>;

    /// Every change of an observed state, as it happens.
    fn status_changes(&self) -> BoxStream<'static, Result<(MappingId, MappingStatus), Lagged>>;

    /// The invoker that mappings of this function use now; an error text if there is none.
    async fn invoker(
        &self,
        namespace: &Namespace,
        function: &FunctionName,
    ) -> Result<Arc<dyn Invoker>, String>;

    /// What runs behind a function.
    fn pool(&self, namespace: &Namespace, function: &FunctionName) -> PoolStatus;
}

/// What came of an invocation by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvokeResult {
    /// Its id.
    pub request_id: RequestId,
    /// What happened.
    pub outcome: Outcome,
    /// How long it took, in ms.
    pub duration_ms: u64,
}
