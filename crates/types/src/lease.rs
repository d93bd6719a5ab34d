//! The right to read one shard.

use crate::{Incarnation, MappingId, ShardId};
use serde::{Deserialize, Serialize};

/// Grows with every new owner of a shard, also when the same node takes it again; fences older owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// The right of one incarnation of a node to read one shard for one mapping.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// For which mapping.
    pub mapping: MappingId,
    /// Which shard.
    pub shard: ShardId,
    /// The fencing number: a commit under an older epoch is rejected.
    pub epoch: Epoch,
    /// Who holds it; with the epoch it fences even where a store could roll back.
    pub incarnation: Incarnation,
}
