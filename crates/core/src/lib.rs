//! Pure decisions: what to batch, send, retry, split and give up, and what to say about it.
//!
//! Nothing here waits, reads a clock, draws a random number or does I/O. Time and jitter are arguments,
//! deadlines are outputs, collections are ordered: the same inputs give the same decisions on every run,
//! which is what lets a simulation replay them.

pub mod backoff;
mod civil;
pub mod delivery;
pub mod event;
pub mod failure_document;
pub mod filter;
mod ids;
mod json;
pub mod lane_hash;
pub mod lineage;
pub mod mapping_state;
pub mod mutant;
pub mod queue;
pub mod reconcile;
pub mod restart;
pub mod route;
pub mod shard;
pub mod validate;
pub mod verdict;
