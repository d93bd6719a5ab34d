//! The shard machine: everything that is decided about one shard of one mapping.
//!
//! Sync and pure. What happened goes in ([`ShardMachine::on_page`], [`ShardMachine::on_attempt`],
//! [`ShardMachine::on_commit`], [`ShardMachine::on_tick`]), what is to be done comes out as [`Action`]s, and
//! [`ShardMachine::deadline`] tells when to call again if nothing happens. The caller owns time and I/O.
//!
//! Rules it keeps (invariants I1–I4, I9, I15):
//! - a lane has at most one attempt in flight, and finishes its records in order;
//! - the checkpoint never passes a record that is not finished;
//! - what must survive a crash before the next step (the count of a failure, a split, a discard) is committed
//!   before the lane goes on; what may be repeated (progress after success) is not waited for;
//! - at most one commit is in flight, so an older one can never land on a newer one.

mod batch;
mod carried;
mod commits;
mod config;
mod cursors;
mod head;
mod inspect;
mod judge;
mod lane;
mod machine;
mod persist;
mod step;
mod windows;

#[cfg(test)]
mod tests;

pub(crate) use batch::window_end;
pub use commits::{CommitOrder, CommitToken};
pub use config::{Identity, Limits, ShardConfig};
pub use cursors::{Cursor, PageIn, Quarantined, ReadOrder};
pub use inspect::{BatchInspection, Counters, LaneInspection, ShardLag, ShardSnapshot, WindowInspection};
pub use machine::{Action, AttemptOrder, AttemptReport, AttemptToken, ShardMachine, StopReason};
pub use persist::stored_checkpoint;
pub use windows::MAX_STATE_BYTES;
