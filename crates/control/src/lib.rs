//! The front doors: gRPC, `millstream.v1` over the engine's [`Manager`] and the broker's [`Streams`] and [`Queues`]; the
//! AWS-compatible HTTP API ([`aws`]) over the manager; and the operations port ([`ops`]).
//!
//! The types generated from `proto/` never leave this crate: `convert` turns them into domain types on the way in
//! and back on the way out, and reports every field it cannot turn, not only the first. What may be done is
//! decided behind it; what is decided here is what belongs to the wire: names, masks, page tokens, error details,
//! limits and deadlines (`guard`).

pub mod aws;
mod convert;
mod guard;
mod incoming;
mod names;
pub mod ops;
mod page;
mod refusal;
mod server;
mod services;
mod status;

pub use guard::Limits;
pub use server::{BoundServer, ControlOptions, ServeError, serve};

use millstream_engine::manage::Manager;
use millstream_ports::{Queues, Streams};
use std::sync::Arc;

/// What the services work with.
#[derive(Clone)]
pub struct ControlServices {
    /// Mappings, functions, history.
    pub manager: Manager,
    /// Streams of the built-in broker.
    pub streams: Arc<dyn Streams>,
    /// Queues of the built-in broker.
    pub queues: Arc<dyn Queues>,
}
