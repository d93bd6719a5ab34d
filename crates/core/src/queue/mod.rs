//! The queue machine: everything that is decided about one mapping of one queue.
//!
//! Sync and pure, as [`crate::shard`]: what happened goes in ([`QueueMachine::on_receive`],
//! [`QueueMachine::on_attempt`], [`QueueMachine::on_delete`], [`QueueMachine::on_visibility`],
//! [`QueueMachine::on_tick`]), what is to be done comes out as [`Action`]s, and [`QueueMachine::deadline`] tells when to
//! call again if nothing happens. The caller owns time and I/O.
//!
//! Rules it keeps (invariants I7, I12, I15; design, section 6; semantics, sections 4, 8 and 10):
//! - a receive is ordered only where there is a free slot for what it may bring;
//! - a message is deleted only after the function succeeded with it, or because it matches no filter;
//! - after a failure a message is left alone: it comes back when its visibility timeout ends. Only what a heartbeat
//!   had added is taken off again;
//! - a throttle spends nothing: the batch is held, kept hidden, and sent again;
//! - a message that comes twice into one batch is sent once, and deleted by its newest receipt;
//! - only messages that were never sent to the function are given back at once, on drain;
//! - of a FIFO queue, a message group is in one batch at most, until the last of its deletes has been answered; no
//!   message overtakes a failed one of its group; no group waits for the failure of another.
//!
//! Nothing here is durable: what a crash leaves is hidden messages, which the queue hands out again.

mod config;
mod gate;
mod history;
mod inspect;
mod item;
mod judge;
mod machine;
mod orders;
mod poll;
mod quarantine;
mod rate;
mod renew;
mod requests;
mod scaler;
mod send;
mod settle;
mod slot;

pub use config::{QueueConfig, QueueLimits};
pub use inspect::{QueueCounters, QueueSnapshot, SlotActivity, SlotInspection};
pub use machine::QueueMachine;
pub use orders::{
    Action, AttemptOrder, AttemptReport, DeleteOrder, EntryAnswer, Obstacle, OrderId, ReceiveFault,
    ReceiveOrder, ReceiveReport, Received, StopReason, Unmatched, VisibilityOrder,
};
pub use quarantine::quarantine;
pub use scaler::ScaleReason;
