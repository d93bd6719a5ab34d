//! Mappings: one source connected to one function, with its settings.

use crate::{FunctionName, MappingId, MappingName, Namespace, Position, ShardId, SourceArn, Wall};
use serde::{Deserialize, Serialize};

/// A mapping as the catalog keeps it. Its observed state is the engine's to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Whose it is.
    pub namespace: Namespace,
    /// What its owner calls it.
    pub name: MappingName,
    /// Its lasting identity.
    pub id: MappingId,
    /// What its owner set.
    pub spec: MappingSpec,
    /// Whether it is to run.
    pub desired: Desired,
    /// Where its shards start, pinned when it was created.
    pub start: StartPin,
    /// Grows with every change of `spec` or `desired`, from 1.
    pub generation: u64,
    /// The catalog's revision of this version; printed as its etag.
    pub revision: u64,
    /// When it was created.
    pub created: Wall,
    /// When it was changed last.
    pub modified: Wall,
    /// The id the caller gave the request that made it, so that a repeated request finds its own work.
    pub request_id: Option<String>,
}

/// What a mapping is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// Read, batch and invoke.
    Running,
    /// Start nothing; keep the position.
    Paused,
    /// Finish what runs, then forget everything.
    Deleted,
}

/// The settings of a mapping of a stream (semantics, section 2). Ranges and defaults are AWS's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingSpec {
    /// Where records come from. Fixed at creation.
    pub source: SourceArn,
    /// What is called.
    pub function: FunctionName,
    /// Where reading starts. Fixed at creation.
    pub starting_position: StartingPosition,
    /// Most records of a batch, 1 to 10,000; default 100.
    pub batch_size: u32,
    /// Longest wait for a batch to fill, 0 to 300 s; default 0.
    pub batching_window_seconds: u32,
    /// Lanes per shard, 1 to 10; default 1.
    pub parallelization_factor: u8,
    /// Whether a failed batch of several records is split; default no.
    pub bisect_on_error: bool,
    /// Retries after the first attempt, −1 (no limit) to 10,000; default −1.
    pub max_retry_attempts: i32,
    /// Oldest record that is still tried, −1 (no limit) or 60 to 604,800 s; default −1.
    pub max_record_age_seconds: i64,
    /// Whether the function reports the first record that failed (`ReportBatchItemFailures`); default no.
    pub report_batch_item_failures: bool,
    /// Where failure documents go: the ARN of a stream of the built-in broker, if set.
    pub on_failure: Option<SourceArn>,
}

impl MappingSpec {
    /// A mapping with AWS's defaults.
    #[must_use]
    pub fn new(source: SourceArn, function: FunctionName, starting_position: StartingPosition) -> Self {
        Self {
            source,
            function,
            starting_position,
            batch_size: 100,
            batching_window_seconds: 0,
            parallelization_factor: 1,
            bisect_on_error: false,
            max_retry_attempts: -1,
            max_record_age_seconds: -1,
            report_batch_item_failures: false,
            on_failure: None,
        }
    }
}

/// Where a mapping starts to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartingPosition {
    /// The oldest record kept.
    TrimHorizon,
    /// Records put after the creation of the mapping.
    Latest,
    /// Records that arrived at this time or later.
    AtTimestamp(Wall),
}

/// A starting position made concrete by the source when the mapping was created (design, section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPin {
    /// Where the shards named below start.
    pub position: Position,
    /// The shards that start there. A child of one of them starts at [`Position::Trim`]; a shard that is
    /// neither listed nor descends from a listed one is not read.
    pub shards: Vec<ShardId>,
}
