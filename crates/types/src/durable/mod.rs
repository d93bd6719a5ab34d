//! What is stored on disk. `core` converts to and from these; `store` and `broker` only write them down.
//!
//! Every type here is frozen once released: a change makes a new version of the type and a migration.

mod discard;
mod ledger;
pub mod older;
mod shard;

pub use discard::{DeliveryEnd, DeliveryState, Discard, DiscardCondition, DiscardWindow, OutboxEntry};
pub use ledger::{AttemptResult, AttemptedMessage, LedgerEntry, QueueAttempt};
pub use shard::{
    HeadRecord, LaneRecord, PriorLanes, SegmentRecord, ShardRecord, WindowRecord, WindowsRecord,
};
