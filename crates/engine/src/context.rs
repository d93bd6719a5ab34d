//! What every actor of a node shares.

use crate::board::StatusBoard;
use crate::budget::ByteBudget;
use crate::functions::Pools;
use crate::gate::Gates;
use crate::session::Session;
use millstream_core::delivery::DeliveryPolicy;
use millstream_ports::{
    Catalog, Clock, Destinations, Entropy, InvokeFactory, Ledger, Outbox, ShardJournal, Sources,
};
use millstream_types::Now;
use std::sync::Arc;

/// The outside of an engine.
#[derive(Clone)]
pub struct NodePorts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and jitter.
    pub entropy: Arc<dyn Entropy>,
    /// What users registered.
    pub catalog: Arc<dyn Catalog>,
    /// Progress of shards.
    pub journal: Arc<dyn ShardJournal>,
    /// The history of queues.
    pub ledger: Arc<dyn Ledger>,
    /// Where records come from.
    pub sources: Arc<dyn Sources>,
    /// Where failure documents go.
    pub destinations: Arc<dyn Destinations>,
    /// Failure documents on their way.
    pub outbox: Arc<dyn Outbox>,
    /// How functions are called.
    pub functions: Arc<dyn InvokeFactory>,
}

/// Shared by all actors of one node.
pub(crate) struct Context {
    pub(crate) ports: NodePorts,
    pub(crate) budget: Arc<ByteBudget>,
    pub(crate) delivery: DeliveryPolicy,
    pub(crate) board: StatusBoard,
    pub(crate) session: Session,
    pub(crate) pools: Pools,
    pub(crate) gates: Gates,
}

impl Context {
    pub(crate) fn now(&self) -> Now {
        self.ports.clock.now()
    }

    /// In `0.0..1.0`.
    pub(crate) fn jitter(&self) -> f64 {
        (self.ports.entropy.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
