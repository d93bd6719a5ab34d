//! What is stored of a queue besides its messages.

use millstream_types::{QueueSpec, Wall};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A queue's settings, as JSON: for people with a RocksDB tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRow {
    pub(crate) id: u64,
    pub(crate) spec: QueueSpec,
    pub(crate) created: Wall,
    pub(crate) modified: Wall,
    pub(crate) revision: u64,
}

impl QueueRow {
    pub(crate) fn visibility(&self) -> Duration {
        Duration::from_secs(self.spec.visibility_timeout_seconds.into())
    }

    /// Messages sent before are not kept any more.
    pub(crate) fn cutoff(&self, now: Wall) -> Wall {
        Wall(
            now.0
                .saturating_sub(u64::from(self.spec.retention_seconds) * 1000),
        )
    }
}

/// What is stored of a message that was received or is delayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldRow {
    /// When it can be received.
    pub(crate) until: Wall,
    /// Whether it was received; else it is delayed.
    pub(crate) received: bool,
    pub(crate) receives: u32,
    pub(crate) first_received: Wall,
    /// Of the newest receipt.
    pub(crate) receipt: u64,
    pub(crate) sent: Wall,
    /// Of a FIFO queue: where its row is.
    pub(crate) group: Option<String>,
}

/// How far a queue was handed out or numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorRow {
    /// Standard: messages below are held, or gone. FIFO: the next number.
    pub(crate) next: u64,
}

/// What is stored of a deduplication id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DedupRow {
    pub(crate) message: u128,
    pub(crate) number: u64,
    pub(crate) at: Wall,
}
