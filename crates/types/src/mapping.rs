//! Mappings: one source connected to one function, with its settings.

use crate::arn::SourceKind;
use crate::{
    Applied, DestinationArn, FilterCriteria, FunctionRef, MappingId, MappingName, Namespace, Position,
    ShardId, SourceArn, Tags, Wall,
};
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
    /// Where its shards start, pinned when it was created; none for a queue, which has no positions.
    pub start: Option<StartPin>,
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
    /// What of `spec` and `desired` was applied from a file.
    #[serde(default, skip_serializing_if = "Applied::is_empty")]
    pub applied: Applied,
    /// What its owner noted on it; a change of it is none of `spec`.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
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

/// The settings of a mapping (semantics, section 2). Ranges and defaults are AWS's, which differ by kind of source;
/// a setting that does not apply to the source's kind must have its default, or the mapping is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingSpec {
    /// Where records come from. Fixed at creation.
    pub source: SourceArn,
    /// What is called. Of a function of AWS Lambda, what is known of it is what it was when the mapping named it.
    pub function: FunctionRef,
    /// Where reading starts; required for streams, none for queues. Fixed at creation.
    pub starting_position: Option<StartingPosition>,
    /// Most records of a batch, 1 to 10,000; default 100, for queues 10. FIFO queues: at most 10.
    pub batch_size: u32,
    /// Longest wait for a batch to fill, 0 to 300 s; default 0. At least 1 for a standard queue with batches of more
    /// than 10; refused for FIFO queues.
    pub batching_window_seconds: u32,
    /// Streams only. Lanes per shard, 1 to 10; default 1.
    pub parallelization_factor: u8,
    /// Streams only. Whether a failed batch of several records is split; default no.
    pub bisect_on_error: bool,
    /// Streams only. Retries after the first attempt, −1 (no limit) to 10,000; default −1.
    pub max_retry_attempts: i32,
    /// Streams only. Oldest record that is still tried, −1 (no limit) or 60 to 604,800 s; default −1.
    pub max_record_age_seconds: i64,
    /// Whether the function reports the first record that failed (`ReportBatchItemFailures`); default no.
    pub report_batch_item_failures: bool,
    /// Streams only. Where failure documents go, if set: a stream or standard queue of the built-in broker, or a standard
    /// queue, standard topic or bucket that a connection serves.
    pub on_failure: Option<DestinationArn>,
    /// Queues only (`ScalingConfig.MaximumConcurrency`). Most batches in flight at once, 2 to 1,000; none: the scaler
    /// alone decides (semantics, section 10).
    #[serde(default)]
    pub maximum_concurrency: Option<u32>,
    /// Streams only (`TumblingWindowInSeconds`, semantics, section 11). Length of the windows over which a function
    /// aggregates, 1 to 900 s; 0, the default: none. Only with one lane per shard.
    #[serde(default)]
    pub tumbling_window_seconds: u32,
    /// Which records are wanted; default all.
    #[serde(default, skip_serializing_if = "FilterCriteria::is_default")]
    pub filter_criteria: FilterCriteria,
    /// Queues only, and not with `maximum_concurrency` (`ProvisionedPollerConfig`). How many pollers are kept for this
    /// mapping alone; none: the scaler starts at 5 batches (semantics, section 12).
    #[serde(default)]
    pub provisioned_pollers: Option<ProvisionedPollers>,
    /// Whether `MetricsConfig` asks for `EventCount`. Kept and shown: every mapping is counted in any case.
    #[serde(default)]
    pub event_count_metrics: bool,
}

/// How many pollers a mapping of a queue has: each polls up to 10 times a second, takes in up to 1 MB a second and has
/// up to 10 batches in flight (semantics, section 12). As set; what is not set has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedPollers {
    /// The fewest, 2 to 200; default 2.
    pub minimum: Option<u32>,
    /// The most, 2 to 2,000 and not less than the fewest; default 200.
    pub maximum: Option<u32>,
}

impl ProvisionedPollers {
    /// Batches that one poller may have in flight.
    pub const BATCHES_EACH: u32 = 10;

    /// The fewest, the default included.
    #[must_use]
    pub fn fewest(self) -> u32 {
        self.minimum.unwrap_or(2)
    }

    /// The most, the default included.
    #[must_use]
    pub fn most(self) -> u32 {
        self.maximum.unwrap_or(200)
    }
}

impl MappingSpec {
    /// A mapping of a stream with AWS's defaults.
    #[must_use]
    pub fn stream(
        source: SourceArn,
        function: impl Into<FunctionRef>,
        starting_position: StartingPosition,
    ) -> Self {
        Self::new(source, function, Some(starting_position))
    }

    /// A mapping of a queue with AWS's defaults.
    #[must_use]
    pub fn queue(source: SourceArn, function: impl Into<FunctionRef>) -> Self {
        Self::new(source, function, None)
    }

    /// A mapping with AWS's defaults for the kind of its source. Whether the starting position goes with the source
    /// is for validation to say.
    #[must_use]
    pub fn new(
        source: SourceArn,
        function: impl Into<FunctionRef>,
        starting_position: Option<StartingPosition>,
    ) -> Self {
        let batch_size = Self::default_batch_size(source.kind());
        Self {
            source,
            function: function.into(),
            starting_position,
            batch_size,
            batching_window_seconds: 0,
            parallelization_factor: 1,
            bisect_on_error: false,
            max_retry_attempts: -1,
            max_record_age_seconds: -1,
            report_batch_item_failures: false,
            on_failure: None,
            maximum_concurrency: None,
            tumbling_window_seconds: 0,
            filter_criteria: FilterCriteria::default(),
            provisioned_pollers: None,
            event_count_metrics: false,
        }
    }

    /// What [`MappingSpec::batch_size`] is unless set.
    #[must_use]
    pub fn default_batch_size(kind: SourceKind) -> u32 {
        match kind {
            SourceKind::Kinesis | SourceKind::DynamoDb => 100,
            SourceKind::Sqs { .. } => 10,
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
