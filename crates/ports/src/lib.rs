//! The seams: what the engine needs from the outside, as traits without an implementation.
//!
//! Split by what a caller needs. Adapters (`store`, `broker`, `targets`) implement them, `engine` and
//! `control` use them, `millstream` puts them together. Futures are boxed: every call here is per batch or
//! rarer, never per record.

mod catalog;
mod clock;
mod destination;
mod invoke;
mod journal;
mod queue_source;
mod queues;
mod source;
mod streams;

pub use catalog::{Catalog, CatalogError, CatalogEvent, Change, ListPage, Resource, WatchEnd};
pub use clock::{Clock, Entropy};
pub use destination::{DeliverError, Delivery, Destination, Destinations};
pub use invoke::{Body, FindError, FindFunction, InvokeFactory, Invoker, PoolStatus};
pub use journal::{
    CommitOutcome, Discards, Durability, JournalError, Ledger, LedgerPage, LedgerQuery, LedgerRead, Outbox,
    ShardCommit, ShardJournal,
};
pub use queue_source::{EntryError, MAX_ENTRIES, MAX_WAIT, QueueAttributes, QueueDepth, QueueSource};
pub use queues::{
    MessageState, PeekedMessage, QueueDescription, QueueError, Queues, ReceiveOptions, SendEntry, SendError,
    SendReceipt,
};
pub use source::{Credit, Gap, Lag, Page, ShardReader, SourceError, Sources, StreamSource};
pub use streams::{
    HashKey, PutEntry, PutError, PutReceipt, ReadRecord, ShardDescription, StreamChange, StreamDescription,
    StreamError, Streams,
};
