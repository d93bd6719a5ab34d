//! The root of the tree: one actor that follows the catalog, and the handle by which a program starts and stops it.

mod actor;
mod live;

pub(crate) use actor::NodeMsg;

use crate::board::StatusBoard;
use crate::budget::ByteBudget;
use crate::context::{Context, NodePorts};
use crate::functions::Pools;
use crate::gate::Gates;
use crate::metrics::NodeMetrics;
use crate::session::Session;
use crate::view::Live;
use actor::NodeActor;
use millstream_core::delivery::DeliveryPolicy;
use millstream_types::Incarnation;
use ractor::{Actor, ActorRef};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// Most bytes of records held in memory for all mappings together.
    pub byte_budget: usize,
    /// For how long the delivery of a failure document is tried.
    pub delivery: DeliveryPolicy,
}

impl Default for NodeOptions {
    /// 256 MiB, and a day.
    fn default() -> Self {
        Self {
            byte_budget: 256 << 20,
            delivery: DeliveryPolicy::default(),
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalog cannot be read.
    #[error("the catalog cannot be read: {0}")]
    Catalog(#[from] millstream_ports::CatalogError),
    /// An actor did not start.
    #[error("the engine could not be started: {0}")]
    Spawn(String),
}

/// How a node stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything that ran has ended and is stored.
    Drained,
    /// The deadline passed first; what still ran will be tried again by the next start.
    Forced,
}

/// A running engine.
pub struct Node {
    context: Arc<Context>,
    root: ActorRef<NodeMsg>,
}

impl Node {
    /// Takes up every mapping of the catalog. Returns once each has its supervisor.
    ///
    /// # Errors
    /// Any [`StartError`].
    pub async fn start(options: NodeOptions, ports: NodePorts) -> Result<Self, StartError> {
        let incarnation = Incarnation::from_random(ports.entropy.next_u128());
        let context = Arc::new(Context {
            ports,
            budget: Arc::new(ByteBudget::new(options.byte_budget)),
            delivery: options.delivery,
            board: StatusBoard::default(),
            session: Session::unlimited(incarnation),
            pools: Pools::default(),
            gates: Gates::default(),
        });
        let catalog = actor::Loaded::read(&context).await?;
        let args = (context.clone(), catalog);
        let (root, _) = Actor::spawn(None, NodeActor, args)
            .await
            .map_err(|e| StartError::Spawn(e.to_string()))?;
        Ok(Self { context, root })
    }

    /// The running engine, to be looked at.
    #[must_use]
    pub fn live(&self) -> Arc<dyn Live> {
        Arc::new(live::LiveNode {
            context: self.context.clone(),
            root: self.root.clone(),
        })
    }

    /// What it tells of itself; of every shard besides every mapping, if `per_shard`.
    #[must_use]
    pub fn metrics(&self, per_shard: bool) -> NodeMetrics {
        NodeMetrics::new(self.context.clone(), per_shard)
    }

    /// Starts nothing more, lets what runs end within `deadline`, stores everything, and ends all processes.
    pub async fn shutdown(self, deadline: Duration) -> Shutdown {
        let clock = self.context.ports.clock.clone();
        let (done, drained) = oneshot::channel();
        let asked = self.root.cast(NodeMsg::Close(done)).is_ok();
        let late = clock.sleep_until(clock.now().mono.plus(deadline));
        let ended = tokio::select! {
            biased;
            answer = drained => if asked && answer.is_ok() { Shutdown::Drained } else { Shutdown::Forced },
            () = late => Shutdown::Forced,
        };
        // Dropping `self` ends whatever is left.
        ended
    }
}

impl Drop for Node {
    /// As if the process had died: nothing is started any more, nothing is waited for.
    fn drop(&mut self) {
        self.context.session.end();
        self.root.kill();
    }
}
