//! Streams and their shards.

use crate::{Applied, ShardId, Wall};
use serde::{Deserialize, Serialize};

/// What a stream's owner sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// How many open shards it starts with, 1 to 256.
    pub shards: u32,
    /// How long records are kept, 1 to 8,760 hours; Kinesis' default is 24.
    pub retention_hours: u32,
    /// What of this was applied from a file.
    #[serde(default, skip_serializing_if = "Applied::is_empty")]
    pub applied: Applied,
}

impl Default for StreamSpec {
    fn default() -> Self {
        Self {
            shards: 1,
            retention_hours: 24,
            applied: Applied::default(),
        }
    }
}

/// One shard as a source describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// Its id.
    pub id: ShardId,
    /// The shard it was split or merged from, though that shard may be gone.
    pub parent: Option<ShardId>,
    /// The second shard of a merge.
    pub adjacent_parent: Option<ShardId>,
    /// The first and last hash key it takes, inclusive.
    pub hash_range: (u128, u128),
    /// When it was closed by a split or merge; an open shard takes new records.
    pub closed: Option<Wall>,
}

impl ShardInfo {
    /// The parents, none for a first shard.
    pub fn parents(&self) -> impl Iterator<Item = &ShardId> {
        self.parent.iter().chain(&self.adjacent_parent)
    }
}
