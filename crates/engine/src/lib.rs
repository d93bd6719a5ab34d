//! The engine: actors that own shards and connect the pure machines of `core` with the ports.
//!
//! [`Node`] runs it, [`manage`] is what front doors call, [`view`] is what they show; the actors are private.
//!
//! The tree: the node's root holds a lease keeper, a courier for failure documents, one pool per function, and
//! one supervisor per mapping, which holds one consumer per leased shard, which spawns one worker per attempt.

mod attempt;
mod board;
mod budget;
mod context;
mod courier;
pub mod failpoint;
mod functions;
mod gate;
mod keeper;
pub mod manage;
mod mapping;
mod meter;
mod metrics;
mod node;
mod posts;
mod queue;
mod session;
mod shard;
mod task;
pub mod view;

pub use context::NodePorts;
pub use metrics::NodeMetrics;
pub use millstream_core::delivery::DeliveryPolicy;
pub use millstream_core::event::{EventShape, MAX_EVENT_BYTES, QueueEventShape};
pub use millstream_core::filter;
/// Whether this build can have known bugs ([`millstream_core::mutant`]): no program may be made of it.
pub use millstream_core::mutant::COMPILED_IN as KNOWN_BUGS;
pub use node::{Node, NodeOptions, Shutdown, StartError};
