//! Runs of neighbouring keys: what a scan reads and a range delete removes.

use super::layout::Writer;
use super::{Key, Table};
use millstream_types::{MappingId, Namespace, ShardId};

/// All keys from `from` to below `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key, if it exists.
    pub from: Vec<u8>,
    /// The end, not included.
    pub to: Vec<u8>,
}

impl Range {
    /// A whole table.
    #[must_use]
    pub fn table(table: Table) -> Self {
        Self::prefix(Writer::new(table).done())
    }

    /// What a table that starts with a namespace has for this one.
    #[must_use]
    pub fn namespace(table: Table, namespace: &Namespace) -> Self {
        debug_assert!(matches!(
            table,
            Table::CatalogMapping | Table::CatalogFunction | Table::Stream | Table::Queue
        ));
        Self::prefix(Writer::new(table).text(namespace.as_str()).done())
    }

    /// What a table that starts with a mapping has for this one.
    #[must_use]
    pub fn mapping(table: Table, mapping: MappingId) -> Self {
        debug_assert!(matches!(
            table,
            Table::ShardEpoch | Table::ShardRecord | Table::Discard | Table::Ledger | Table::QueueLedger
        ));
        Self::prefix(Writer::new(table).id(mapping.0).done())
    }

    /// The ledger of one shard.
    #[must_use]
    pub fn ledger(mapping: MappingId, shard: &ShardId) -> Self {
        Self::prefix(
            Writer::new(Table::Ledger)
                .id(mapping.0)
                .text(shard.as_str())
                .done(),
        )
    }

    /// What a table that starts with a stream has for this one.
    #[must_use]
    pub fn stream(table: Table, stream: u64) -> Self {
        debug_assert!(matches!(table, Table::StreamShard | Table::StreamBatch));
        Self::prefix(Writer::new(table).u64(stream).done())
    }

    /// The record batches of one shard of a stream.
    #[must_use]
    pub fn stream_shard(stream: u64, shard: u32) -> Self {
        Self::prefix(Writer::new(Table::StreamBatch).u64(stream).u32(shard).done())
    }

    /// What a table that starts with a queue has for this one.
    #[must_use]
    pub fn queue(table: Table, queue: u64) -> Self {
        debug_assert!(matches!(
            table,
            Table::QueueMessage | Table::QueueGroupMessage | Table::QueueHeld | Table::QueueDedup
        ));
        Self::prefix(Writer::new(table).u64(queue).done())
    }

    /// The messages of one group of a FIFO queue.
    #[must_use]
    pub fn queue_group(queue: u64, group: &str) -> Self {
        Self::prefix(
            Writer::new(Table::QueueGroupMessage)
                .u64(queue)
                .text(group)
                .done(),
        )
    }

    /// All keys that start with `prefix`, which must hold a byte below `0xff`; every table's byte is one.
    #[must_use]
    pub fn prefix(prefix: Vec<u8>) -> Self {
        let mut to = prefix.clone();
        while to.pop_if(|last| *last == u8::MAX).is_some() {}
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        Self { from: prefix, to }
    }

    /// The part of this range that starts at `key`.
    #[must_use]
    pub fn starting_at(mut self, key: &Key) -> Self {
        self.from = self.from.max(key.encode());
        self
    }

    /// The part of this range that follows `key`.
    #[must_use]
    pub fn after(mut self, key: &Key) -> Self {
        let mut next = key.encode();
        next.push(0);
        self.from = self.from.max(next);
        self
    }

    /// The part of this range below `key`.
    #[must_use]
    pub fn below(mut self, key: &Key) -> Self {
        self.to = self.to.min(key.encode());
        self
    }

    /// Whether `key` lies in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }

    /// Whether no key can lie in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }
}
