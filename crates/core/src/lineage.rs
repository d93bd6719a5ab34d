//! Which shards may start: children after all of their parents (semantics 5), from where the mapping's start
//! was pinned.

use millstream_types::{Position, ShardId, ShardInfo, StartPin};
use std::collections::BTreeSet;

/// The shards to start now and where, in the order of `listed`.
///
/// `finished` are the shards of which every record is done, `started` those that run or ran; both may hold
/// shards that `listed` no longer has.
#[must_use]
pub fn to_start(
    listed: &[ShardInfo],
    pin: &StartPin,
    finished: &BTreeSet<ShardId>,
    started: &BTreeSet<ShardId>,
) -> Vec<(ShardId, Position)> {
    let _ = (listed, pin, finished, started);
    todo!()
}
