//! RocksDB behind the ports: the one place that knows how things lie on the disk.
//!
//! [`Db`] is the database of one node: group-committed writes by one thread, reads, free space, and recovery
//! from I/O errors inside the process. [`schema`] says which keys there are. [`Journal`] and [`CatalogStore`] are
//! the ports on top. Everything is in one RocksDB column family, so that one write batch is all or nothing.

mod attempts;
mod catalog;
mod codec;
mod db;
mod history;
mod journal;
mod keep;
mod mailroom;
mod rows;
pub mod schema;

pub use catalog::CatalogStore;
pub use codec::{Damaged, StoreError, Stored, decode, decode_row, encode, encode_row};
pub use db::{
    Applied, Batch, Db, DbBacklog, DbOptions, DbStats, DiskFull, Faults, FreeSpace, Guard, GuardedError,
    Health, Hold, NotApplied, OpenError, ReadError, WriteError,
};
pub use history::LedgerStore;
pub use journal::{Journal, JournalOptions};
pub use keep::{KeepDiscards, Swept};
pub use mailroom::{DiscardStore, OutboxStore};
pub use millstream_ports::Durability;
