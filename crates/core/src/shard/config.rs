//! What a shard machine is told once.

use super::windows::MAX_STATE_BYTES;
use crate::event::{EventShape, MAX_EVENT_BYTES};
use millstream_types::{DestinationArn, MappingId, MappingSpec, Namespace, ShardId, SourceArn};
use std::sync::Arc;
use std::time::Duration;

/// The settings of one shard of one mapping, in the form the machine uses.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The mapping's generation that these settings are.
    pub generation: u64,
    /// Parallel slots, 1 to 10.
    pub lanes: u8,
    /// Most records of a batch.
    pub batch_size: usize,
    /// Longest wait for a batch to fill.
    pub window: Duration,
    /// Length of the tumbling windows (semantics 11), whole seconds; none: there are none. Only with one lane.
    pub tumbling: Option<Duration>,
    /// Whether failed batches are split.
    pub bisect: bool,
    /// Retries after the first attempt; none for no limit.
    pub max_retries: Option<u32>,
    /// Oldest record that is still tried; none for no limit.
    pub max_age: Option<Duration>,
    /// How much is kept in memory and read at once.
    pub limits: Limits,
    /// What the shard's discards and documents say of where they come from.
    pub identity: Identity,
    /// How records become an event.
    pub shape: Arc<EventShape>,
}

/// Bounds of memory and of single reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A lane takes no further page with so many records waiting.
    pub lane_records: usize,
    /// A lane takes no further page with so many bytes waiting.
    pub lane_bytes: usize,
    /// Most records of one read.
    pub page_records: usize,
    /// Most bytes of one read.
    pub page_bytes: usize,
    /// Most bytes of an event (semantics 4.1).
    pub event_bytes: usize,
    /// Most bytes of a tumbling window's state; with a longer one the window ends early (semantics 11).
    pub state_bytes: usize,
}

/// Where discards come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose mapping.
    pub namespace: Namespace,
    /// Which mapping.
    pub mapping: MappingId,
    /// Which shard.
    pub shard: ShardId,
    /// The function's ARN.
    pub function_arn: String,
    /// The source.
    pub source: SourceArn,
    /// Where failure documents go.
    pub on_failure: Option<DestinationArn>,
}

impl Limits {
    /// Two batches per lane: one in flight, one filling.
    #[must_use]
    pub fn for_batches_of(batch_size: usize, lanes: u8) -> Self {
        let lane_records = 2 * batch_size.max(64);
        Self {
            lane_records,
            lane_bytes: 2 * MAX_EVENT_BYTES,
            page_records: (lane_records * usize::from(lanes)).min(10_000),
            page_bytes: 1 << 20,
            event_bytes: MAX_EVENT_BYTES,
            state_bytes: MAX_STATE_BYTES,
        }
    }
}

impl ShardConfig {
    /// The machine's form of a mapping's validated settings.
    #[must_use]
    pub fn new(
        generation: u64,
        namespace: Namespace,
        mapping: MappingId,
        spec: &MappingSpec,
        shard: ShardId,
    ) -> Self {
        let batch_size = spec.batch_size.max(1) as usize;
        let lanes = spec.parallelization_factor.clamp(1, 10);
        let shape = EventShape::of_stream(&spec.source, &shard, spec.function.role());
        Self {
            generation,
            lanes,
            batch_size,
            window: Duration::from_secs(spec.batching_window_seconds.into()),
            tumbling: (spec.tumbling_window_seconds > 0)
                .then(|| Duration::from_secs(spec.tumbling_window_seconds.into())),
            bisect: spec.bisect_on_error,
            max_retries: u32::try_from(spec.max_retry_attempts).ok(),
            max_age: u64::try_from(spec.max_record_age_seconds)
                .ok()
                .map(Duration::from_secs),
            limits: Limits::for_batches_of(batch_size, lanes),
            identity: Identity {
                namespace,
                mapping,
                shard,
                function_arn: spec.function.arn(),
                source: spec.source.clone(),
                on_failure: spec.on_failure.clone(),
            },
            shape: Arc::new(shape),
        }
    }
}
