//! Durable streams and queues on RocksDB, built into the node. Queues: see `queue`.
//!
//! A stream is divided into shards by ranges of hash keys (`hash`); a put stores its records for one shard as
//! one value (`codec`), in the order of their offsets (`shard`), and is acknowledged when it is synced (`put`).
//! Any number of readers read a shard independently and are woken by the writer itself (`reader`): nothing here
//! polls. Shards are split and merged with lineage (`reshard`), and what falls out of retention is removed by
//! range (`retention`). Failure documents can be delivered to a stream exactly once (`destination`).
//!
//! **Invariants.** An offset is never given to two records that were ever readable. A reader sees only what is
//! durable. Along a shard offsets grow and arrivals never fall. What a closed shard holds ends where its stored
//! description says. A write whose outcome is unknown stops its shard until the disk
//! was read again (`recovery`).

mod admin;
mod broker;
mod codec;
mod destination;
mod hash;
mod limits;
mod log;
mod meta;
mod put;
mod queue;
mod reader;
mod recovery;
mod reshard;
mod retention;
mod rows;
pub mod sample;
mod sequence;
mod shard;
mod source;
mod stream;
mod view;

pub use broker::{Broker, OpenError};
pub use limits::{
    MAX_KEY_CHARS, MAX_NEW_SHARDS, MAX_PAGE_BYTES, MAX_PAGE_RECORDS, MAX_PUT_BYTES, MAX_PUT_ENTRIES,
    MAX_RECORD_BYTES, MAX_RETENTION_HOURS, MAX_SHARDS_KEPT,
};
pub use retention::Trimmed;
pub use rows::RowError;
