//! What a queue machine is told once.

use crate::event::{MAX_EVENT_BYTES, QueueEventShape};
use millstream_types::arn::SourceKind;
use millstream_types::{MappingId, MappingSpec, ProvisionedPollers};
use std::sync::Arc;
use std::time::Duration;

/// The settings of one mapping of one queue, in the form the machine uses. A change of settings is a drain and a new
/// machine; a change of the queue's visibility timeout is told to the running one
/// ([`super::QueueMachine::set_visibility_timeout`]).
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// Which mapping.
    pub mapping: MappingId,
    /// The mapping's generation that these settings are.
    pub generation: u64,
    /// Whether the queue is a FIFO queue.
    pub fifo: bool,
    /// Most messages of a batch.
    pub batch_size: usize,
    /// Longest wait for a batch to fill.
    pub window: Duration,
    /// Whether the function reports single messages that failed.
    pub report_item_failures: bool,
    /// Most batches in flight at once, if its owner said so.
    pub maximum_concurrency: Option<usize>,
    /// The pollers that are kept for it, if its owner said so; then there is no maximum concurrency.
    pub pollers: Option<ProvisionedPollers>,
    /// How long the queue hides a message that it hands out.
    pub visibility_timeout: Duration,
    /// How much is kept in memory.
    pub limits: QueueLimits,
    /// How messages become an event.
    pub shape: Arc<QueueEventShape>,
}

/// Bounds of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// No receive is ordered that could bring more messages than this into memory. A queue itself hides at most
    /// 120,000.
    pub held_messages: usize,
    /// No receive is ordered that would, by the largest one so far, bring more bytes than this into memory; one is
    /// always allowed while nothing is held.
    pub held_bytes: usize,
    /// Most bytes of an event (semantics 4.1).
    pub event_bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            held_messages: 100_000,
            held_bytes: 256 << 20,
            event_bytes: MAX_EVENT_BYTES,
        }
    }
}

impl QueueConfig {
    /// The machine's form of a mapping's validated settings, for a queue with this visibility timeout.
    #[must_use]
    pub fn new(
        mapping: MappingId,
        generation: u64,
        spec: &MappingSpec,
        visibility_timeout: Duration,
    ) -> Self {
        let window = Duration::from_secs(spec.batching_window_seconds.into());
        let shape = QueueEventShape::sqs(spec.source.as_str(), spec.source.region(), !window.is_zero());
        Self {
            mapping,
            generation,
            fifo: spec.source.kind() == SourceKind::Sqs { fifo: true },
            batch_size: spec.batch_size.clamp(1, 10_000) as usize,
            window,
            report_item_failures: spec.report_batch_item_failures,
            maximum_concurrency: spec.maximum_concurrency.map(|n| n.max(1) as usize),
            pollers: spec.provisioned_pollers,
            visibility_timeout,
            limits: QueueLimits::default(),
            shape: Arc::new(shape),
        }
    }
}
