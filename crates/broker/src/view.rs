//! A stream as it is at one moment: its description and the shards behind it.

use crate::meta::StreamMeta;
use crate::shard::Shard;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Replaced as a whole by every change of the stream.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) meta: StreamMeta,
    shards: BTreeMap<u32, Arc<Shard>>,
    /// First hash key and index of every open shard, in order.
    routes: Vec<(u128, u32)>,
    /// The stream was deleted.
    pub(crate) gone: bool,
    /// Grows when the set of shards changes.
    pub(crate) shard_set: u64,
}

impl View {
    pub(crate) fn new(meta: StreamMeta, shards: BTreeMap<u32, Arc<Shard>>, shard_set: u64) -> Self {
        let mut routes: Vec<_> = meta.open_shards().map(|s| (s.range.0, s.index)).collect();
        routes.sort_unstable();
        Self {
            meta,
            shards,
            routes,
            gone: false,
            shard_set,
        }
    }

    /// This view of a stream that was deleted.
    pub(crate) fn ended(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            shards: BTreeMap::new(),
            routes: Vec::new(),
            gone: true,
            shard_set: self.shard_set + 1,
        }
    }

    /// The shard with this index, if it still exists.
    pub(crate) fn shard(&self, index: u32) -> Option<&Arc<Shard>> {
        self.shards.get(&index)
    }

    /// All shards, oldest first.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.values()
    }

    /// The open shards.
    pub(crate) fn open_shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.meta.open_shards().filter_map(|s| self.shards.get(&s.index))
    }

    /// The open shard that takes this hash key. None only if the stream was deleted: open shards cover all.
    pub(crate) fn route(&self, hash_key: u128) -> Option<&Arc<Shard>> {
        let at = self
            .routes
            .partition_point(|(first, _)| *first <= hash_key)
            .checked_sub(1)?;
        self.routes.get(at).and_then(|(_, index)| self.shards.get(index))
    }
}
