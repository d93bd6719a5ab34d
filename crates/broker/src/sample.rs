//! Records and messages as readers of a stream or queue of this broker get them, without a stream or queue: for events
//! to try functions with.

use crate::queue::{Handed, ReceiptParts, check_entry, new_message};
use crate::sequence::{mark_of, shard_id};
use bytes::Bytes;
use millstream_ports::{SendEntry, SendError};
use millstream_types::{Message, QueueSpec, Record, ShardId, Wall};

/// The shard of [`record`]s.
#[must_use]
pub fn shard() -> ShardId {
    shard_id(0)
}

/// The record at `offset` of the first shard of a stream, put at `arrival`.
#[must_use]
pub fn record(offset: u64, partition_key: Bytes, data: Bytes, arrival: Wall) -> Record {
    Record {
        mark: mark_of(0, offset),
        arrival,
        partition_key,
        data,
        trace: None,
    }
}

/// The message with this number, sent and received for the first time at `now`; `random` decides its id and receipt. The
/// queue has default settings, but takes the content of a message without a deduplication id for it.
///
/// # Errors
/// [`SendError::Invalid`], if such a queue would not take the entry.
pub fn message(
    entry: SendEntry,
    fifo: bool,
    number: u64,
    random: u128,
    now: Wall,
) -> Result<Message, SendError> {
    let spec = QueueSpec {
        content_based_deduplication: fifo,
        ..QueueSpec::default()
    };
    check_entry(&entry, &spec, fifo)?;
    let new = new_message(entry, &spec, fifo, random, now);
    let receipt = ReceiptParts {
        queue: 1,
        number,
        #[allow(clippy::cast_possible_truncation)] // any 64 of its bits
        receipt: random as u64,
    };
    let handed = Handed {
        receipt: &receipt.text(),
        receives: 1,
        first_received: now,
    };
    Ok(new.message.to_message(number, fifo, handed))
}
