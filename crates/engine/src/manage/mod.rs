//! The application service: everything a front door can ask of the engine, in domain types.
//!
//! gRPC and the embedding facade call the same [`Manager`], so that every door has the same rules and defaults.
//! What is decided is decided by pure functions (`admission`, `patch`, `observed`); the methods here fetch what
//! those need and store what they say. A change is durable in the catalog before it is answered; the engine
//! follows the catalog by its own watch. Only that nothing starts any more cannot wait for it: whoever is told that a
//! mapping is paused or being removed, by whatever method, can rely on it ([`Live::announce`]).

mod admission;
mod error;
mod functions;
mod history;
mod invoke;
mod mappings;
mod observed;
mod patch;
mod resolve;
#[cfg(test)]
mod tests;
mod watch;

pub use admission::check_request_id;
pub use error::{ManageError, Violation, Violations};
pub use functions::{FunctionView, NewFunction};
pub use history::DISCARD_CHUNK;
pub use mappings::NewMapping;
pub use millstream_core::mapping_state::MappingState;
pub use millstream_core::validate::starting_position;
pub use patch::{FunctionPatch, HttpPatch, LambdaPatch, MappingPatch, ProcessPatch, TargetPatch};
pub use watch::WatchItem;

use crate::view::Live;
use millstream_ports::{Catalog, Clock, Destinations, Discards, Entropy, FindFunction, LedgerRead, Sources};
use millstream_types::{FunctionSpec, MappingSpec, RequestId, Wall};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a [`Manager`] works with.
#[derive(Clone)]
pub struct ManagerPorts {
    /// Where mappings and functions are kept.
    pub catalog: Arc<dyn Catalog>,
    /// Finds the source of a new mapping.
    pub sources: Arc<dyn Sources>,
    /// Finds the failure destination of a mapping.
    pub destinations: Arc<dyn Destinations>,
    /// Finds a function that is not registered.
    pub lambda: Arc<dyn FindFunction>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of mappings and invocations.
    pub entropy: Arc<dyn Entropy>,
    /// What runs.
    pub live: Arc<dyn Live>,
    /// The history of attempts.
    pub ledger: Arc<dyn LedgerRead>,
    /// Records that were given up.
    pub discards: Arc<dyn Discards>,
}

/// Creates, changes, observes and removes mappings and functions. Clones share everything.
#[derive(Clone)]
pub struct Manager {
    ports: ManagerPorts,
    /// Held from the look at what exists to the put, so that two calls never create the same mapping under two
    /// names. Enough while one process owns the catalog.
    admission: Arc<Mutex<()>>,
}

/// One page of a listing: what comes after `after` by name, at most `limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// In the order of their names.
    pub items: Vec<T>,
    /// Whether there are more after the last.
    pub more: bool,
}

impl Manager {
    /// A manager over these ports. Starts nothing.
    #[must_use]
    pub fn new(ports: ManagerPorts) -> Self {
        Self {
            ports,
            admission: Arc::new(Mutex::new(())),
        }
    }

    /// The time that rules are checked against.
    #[must_use]
    pub fn now(&self) -> Wall {
        self.ports.clock.now().wall
    }

    /// An id for one call of a front door.
    #[must_use]
    pub fn new_request_id(&self) -> RequestId {
        RequestId::from_random(self.ports.entropy.next_u128())
    }

    /// The rules that the settings of a new mapping break by themselves, for callers that want to report them
    /// together with their own; [`Manager::create_mapping`] checks them too.
    #[must_use]
    pub fn check_mapping(&self, spec: &MappingSpec) -> Vec<Violation> {
        let now = self.ports.clock.now().wall;
        millstream_core::validate::mapping(spec, now)
            .err()
            .map_or_else(Vec::new, |v| v.0)
    }

    /// The rules that the settings of a function break by themselves; see [`Manager::check_mapping`].
    #[must_use]
    pub fn check_function(&self, spec: &FunctionSpec) -> Vec<Violation> {
        millstream_core::validate::function(spec)
            .err()
            .map_or_else(Vec::new, |v| v.0)
    }
}
