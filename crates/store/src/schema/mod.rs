//! Every key that is ever written to the database, as one enum.
//!
//! A key is one byte for its table, then its fields in order: texts end with a zero byte (no name contains
//! one), numbers are big-endian, ids are their 16 bytes. So the order of encoded keys is the order of their
//! fields, and what shares leading fields lies together. **A table's byte is never used again for anything
//! else**, also after the table is gone. Values are described here and encoded by whoever owns the table.

mod layout;
mod range;

pub use layout::InvalidKey;
pub use range::Range;

use layout::{Reader, Writer};
use millstream_types::ids::DiscardId;
use millstream_types::{
    FunctionName, MappingId, MappingName, Namespace, QueueName, ShardId, StreamName, Wall,
};

/// The version of this schema and of the values behind it. A database of a newer version is refused.
pub const FORMAT_VERSION: u32 = 1;

/// The tables and their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// [`Key::Format`]
    Format = 0x01,
    /// [`Key::CatalogRevision`]
    CatalogRevision = 0x10,
    /// [`Key::CatalogMapping`]
    CatalogMapping = 0x11,
    /// [`Key::CatalogFunction`]
    CatalogFunction = 0x12,
    /// [`Key::ShardEpoch`]
    ShardEpoch = 0x20,
    /// [`Key::ShardRecord`]
    ShardRecord = 0x21,
    /// [`Key::Discard`]
    Discard = 0x22,
    /// [`Key::DiscardById`]
    DiscardById = 0x23,
    /// [`Key::Outbox`]
    Outbox = 0x24,
    /// [`Key::Ledger`]
    Ledger = 0x25,
    /// [`Key::QueueLedger`]
    QueueLedger = 0x26,
    /// [`Key::Delivery`]
    Delivery = 0x27,
    /// [`Key::StreamNextId`]
    StreamNextId = 0x30,
    /// [`Key::Stream`]
    Stream = 0x31,
    /// [`Key::StreamShard`]
    StreamShard = 0x32,
    /// [`Key::StreamBatch`]
    StreamBatch = 0x33,
    /// [`Key::QueueNextId`]
    QueueNextId = 0x40,
    /// [`Key::Queue`]
    Queue = 0x41,
    /// [`Key::QueueMessage`]
    QueueMessage = 0x42,
    /// [`Key::QueueGroupMessage`]
    QueueGroupMessage = 0x43,
    /// [`Key::QueueHeld`]
    QueueHeld = 0x44,
    /// [`Key::QueueCursor`]
    QueueCursor = 0x45,
    /// [`Key::QueueDedup`]
    QueueDedup = 0x46,
}

/// One key. The fields are in the order in which they are encoded and sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The format version: decimal text. One per database; written when it is made and by migrations.
    Format,

    /// The revision of the catalog's newest change: decimal text. One per database; changes with every change
    /// of a mapping or function, in the same batch.
    CatalogRevision,
    /// A mapping: JSON of `Mapping`. Changed and removed by its owner.
    CatalogMapping {
        /// Whose it is.
        namespace: Namespace,
        /// Its name.
        name: MappingName,
    },
    /// A function: JSON of `Function`. Changed and removed by its owner.
    CatalogFunction {
        /// Whose it is.
        namespace: Namespace,
        /// Its name.
        name: FunctionName,
    },

    /// Who owns a shard: versioned postcard of epoch and incarnation. Grows with every acquisition; stays, as
    /// a tombstone, when the mapping is forgotten.
    ShardEpoch {
        /// For which mapping.
        mapping: MappingId,
        /// Which shard.
        shard: ShardId,
    },
    /// A shard's progress: versioned postcard of `ShardRecord`. Replaced by every checkpoint of its owner.
    ShardRecord {
        /// For which mapping.
        mapping: MappingId,
        /// Which shard.
        shard: ShardId,
    },
    /// Records that were given up: versioned postcard of `Discard`. Written once; outlives its mapping.
    Discard {
        /// Of which mapping.
        mapping: MappingId,
        /// When they were given up.
        at: Wall,
        /// The discard.
        id: DiscardId,
    },
    /// Where a discard is: versioned postcard of mapping and time. Written and removed with the discard.
    DiscardById {
        /// The discard.
        id: DiscardId,
    },
    /// A failure document on its way: versioned postcard of `OutboxEntry`. Written once with its discard,
    /// removed when it is delivered.
    Outbox {
        /// The discard it tells of.
        discard: DiscardId,
    },
    /// How the delivery of a failure document stands: versioned postcard of `DeliveryState`. Written whenever it was
    /// tried, removed with its discard.
    Delivery {
        /// The discard it tells of.
        discard: DiscardId,
    },
    /// One attempt: versioned postcard of `LedgerEntry`. Written once; the oldest of a shard are removed.
    Ledger {
        /// Of which mapping.
        mapping: MappingId,
        /// Which shard.
        shard: ShardId,
        /// Grows by one with every entry of the shard.
        number: u64,
    },
    /// One attempt of a batch of messages: versioned postcard of `QueueAttempt`. Written once; the oldest of a mapping
    /// are removed.
    QueueLedger {
        /// Of which mapping.
        mapping: MappingId,
        /// Grows by one with every entry of the mapping.
        number: u64,
    },

    /// The id that the next stream gets: decimal text. One per database.
    StreamNextId,
    /// A stream's settings: owned by the broker. Changed and removed by its owner.
    Stream {
        /// Whose it is.
        namespace: Namespace,
        /// Its name.
        name: StreamName,
    },
    /// What the broker keeps per shard: owned by the broker. Changes with splits, merges and trims.
    StreamShard {
        /// The stream's id; a stream made anew under an old name gets a new one.
        stream: u64,
        /// The shard's index in the stream.
        shard: u32,
    },
    /// The records of one put for one shard: the broker's record-batch format. Written once, trimmed by range.
    StreamBatch {
        /// The stream's id.
        stream: u64,
        /// The shard's index in the stream.
        shard: u32,
        /// The number of its first record in the shard.
        base: u64,
    },

    /// The id that the next queue gets: decimal text. One per database.
    QueueNextId,
    /// A queue's settings: owned by the broker. Changed and removed by its owner.
    Queue {
        /// Whose it is.
        namespace: Namespace,
        /// Its name.
        name: QueueName,
    },
    /// A message of a standard queue: the broker's message format. Written once, removed when it is done.
    QueueMessage {
        /// The queue's id; a queue made anew under an old name gets a new one.
        queue: u64,
        /// Grows with every message of the queue.
        number: u64,
    },
    /// A message of a FIFO queue: the broker's message format. Written once, removed when it is done.
    QueueGroupMessage {
        /// The queue's id.
        queue: u64,
        /// Its message group; without zero bytes.
        group: String,
        /// Grows with every message of the queue.
        number: u64,
    },
    /// What is known of a message that was received or is delayed: versioned postcard of the broker's. Replaced
    /// with every receipt and change of visibility, removed with the message.
    QueueHeld {
        /// The queue's id.
        queue: u64,
        /// The message's number.
        number: u64,
    },
    /// How far a queue was handed out (standard) or numbered (FIFO): versioned postcard of the broker's.
    QueueCursor {
        /// The queue's id.
        queue: u64,
    },
    /// A deduplication id that a FIFO queue has seen: versioned postcard of the broker's. Written with its message,
    /// removed by the minute.
    QueueDedup {
        /// The queue's id.
        queue: u64,
        /// When it was seen, in minutes since the epoch.
        minute: u64,
        /// A digest of the id, with the group where that is the scope.
        digest: u128,
    },
}

impl Key {
    /// Which table it belongs to.
    #[must_use]
    pub fn table(&self) -> Table {
        match self {
            Self::Format => Table::Format,
            Self::CatalogRevision => Table::CatalogRevision,
            Self::CatalogMapping { .. } => Table::CatalogMapping,
            Self::CatalogFunction { .. } => Table::CatalogFunction,
            Self::ShardEpoch { .. } => Table::ShardEpoch,
            Self::ShardRecord { .. } => Table::ShardRecord,
            Self::Discard { .. } => Table::Discard,
            Self::DiscardById { .. } => Table::DiscardById,
            Self::Outbox { .. } => Table::Outbox,
            Self::Ledger { .. } => Table::Ledger,
            Self::QueueLedger { .. } => Table::QueueLedger,
            Self::Delivery { .. } => Table::Delivery,
            Self::StreamNextId => Table::StreamNextId,
            Self::Stream { .. } => Table::Stream,
            Self::StreamShard { .. } => Table::StreamShard,
            Self::StreamBatch { .. } => Table::StreamBatch,
            Self::QueueNextId => Table::QueueNextId,
            Self::Queue { .. } => Table::Queue,
            Self::QueueMessage { .. } => Table::QueueMessage,
            Self::QueueGroupMessage { .. } => Table::QueueGroupMessage,
            Self::QueueHeld { .. } => Table::QueueHeld,
            Self::QueueCursor { .. } => Table::QueueCursor,
            Self::QueueDedup { .. } => Table::QueueDedup,
        }
    }

    /// The bytes in the database.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let key = Writer::new(self.table());
        match self {
            Self::Format | Self::CatalogRevision | Self::StreamNextId | Self::QueueNextId => key,
            Self::CatalogMapping { namespace, name } => key.text(namespace.as_str()).text(name.as_str()),
            Self::CatalogFunction { namespace, name } => key.text(namespace.as_str()).text(name.as_str()),
            Self::ShardEpoch { mapping, shard } | Self::ShardRecord { mapping, shard } => {
                key.id(mapping.0).text(shard.as_str())
            }
            Self::Discard { mapping, at, id } => key.id(mapping.0).u64(at.0).id(id.0),
            Self::DiscardById { id } | Self::Outbox { discard: id } | Self::Delivery { discard: id } => {
                key.id(id.0)
            }
            Self::Ledger {
                mapping,
                shard,
                number,
            } => key.id(mapping.0).text(shard.as_str()).u64(*number),
            Self::QueueLedger { mapping, number } => key.id(mapping.0).u64(*number),
            Self::Stream { namespace, name } => key.text(namespace.as_str()).text(name.as_str()),
            Self::StreamShard { stream, shard } => key.u64(*stream).u32(*shard),
            Self::StreamBatch { stream, shard, base } => key.u64(*stream).u32(*shard).u64(*base),
            Self::Queue { namespace, name } => key.text(namespace.as_str()).text(name.as_str()),
            Self::QueueMessage { queue, number } | Self::QueueHeld { queue, number } => {
                key.u64(*queue).u64(*number)
            }
            Self::QueueGroupMessage { queue, group, number } => key.u64(*queue).text(group).u64(*number),
            Self::QueueCursor { queue } => key.u64(*queue),
            Self::QueueDedup {
                queue,
                minute,
                digest,
            } => key.u64(*queue).u64(*minute).u128(*digest),
        }
        .done()
    }

    /// The key that `bytes` are.
    ///
    /// # Errors
    /// [`InvalidKey`] if they are none of this schema.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let mut key = Reader::new(bytes)?;
        let decoded = match key.table() {
            Table::Format => Self::Format,
            Table::CatalogRevision => Self::CatalogRevision,
            Table::CatalogMapping => Self::CatalogMapping {
                namespace: key.name()?,
                name: key.name()?,
            },
            Table::CatalogFunction => Self::CatalogFunction {
                namespace: key.name()?,
                name: key.name()?,
            },
            Table::ShardEpoch => Self::ShardEpoch {
                mapping: MappingId(key.id()?),
                shard: key.name()?,
            },
            Table::ShardRecord => Self::ShardRecord {
                mapping: MappingId(key.id()?),
                shard: key.name()?,
            },
            Table::Discard => Self::Discard {
                mapping: MappingId(key.id()?),
                at: Wall(key.u64()?),
                id: DiscardId(key.id()?),
            },
            Table::DiscardById => Self::DiscardById {
                id: DiscardId(key.id()?),
            },
            Table::Outbox => Self::Outbox {
                discard: DiscardId(key.id()?),
            },
            Table::Ledger => Self::Ledger {
                mapping: MappingId(key.id()?),
                shard: key.name()?,
                number: key.u64()?,
            },
            Table::Delivery => Self::Delivery {
                discard: DiscardId(key.id()?),
            },
            Table::QueueLedger => Self::QueueLedger {
                mapping: MappingId(key.id()?),
                number: key.u64()?,
            },
            Table::StreamNextId => Self::StreamNextId,
            Table::Stream => Self::Stream {
                namespace: key.name()?,
                name: key.name()?,
            },
            Table::StreamShard => Self::StreamShard {
                stream: key.u64()?,
                shard: key.u32()?,
            },
            Table::StreamBatch => Self::StreamBatch {
                stream: key.u64()?,
                shard: key.u32()?,
                base: key.u64()?,
            },
            table => Self::decode_of_queue(table, &mut key)?,
        };
        key.end()?;
        Ok(decoded)
    }

    fn decode_of_queue(table: Table, key: &mut Reader<'_>) -> Result<Self, InvalidKey> {
        Ok(match table {
            Table::QueueNextId => Self::QueueNextId,
            Table::Queue => Self::Queue {
                namespace: key.name()?,
                name: key.name()?,
            },
            Table::QueueMessage => Self::QueueMessage {
                queue: key.u64()?,
                number: key.u64()?,
            },
            Table::QueueGroupMessage => Self::QueueGroupMessage {
                queue: key.u64()?,
                group: key.name()?,
                number: key.u64()?,
            },
            Table::QueueHeld => Self::QueueHeld {
                queue: key.u64()?,
                number: key.u64()?,
            },
            Table::QueueCursor => Self::QueueCursor { queue: key.u64()? },
            Table::QueueDedup => Self::QueueDedup {
                queue: key.u64()?,
                minute: key.u64()?,
                digest: key.u128()?,
            },
            _ => return Err(key.wrong("no table of queues")),
        })
    }
}

impl Table {
    const ALL: [Self; 23] = [
        Self::Format,
        Self::CatalogRevision,
        Self::CatalogMapping,
        Self::CatalogFunction,
        Self::ShardEpoch,
        Self::ShardRecord,
        Self::Discard,
        Self::DiscardById,
        Self::Outbox,
        Self::Ledger,
        Self::QueueLedger,
        Self::Delivery,
        Self::StreamNextId,
        Self::Stream,
        Self::StreamShard,
        Self::StreamBatch,
        Self::QueueNextId,
        Self::Queue,
        Self::QueueMessage,
        Self::QueueGroupMessage,
        Self::QueueHeld,
        Self::QueueCursor,
        Self::QueueDedup,
    ];

    /// The table that a key's first byte names.
    #[must_use]
    pub fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| *table as u8 == byte)
    }
}

#[cfg(test)]
mod tests;
