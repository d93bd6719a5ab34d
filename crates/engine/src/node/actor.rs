//! The root actor: one supervisor per mapping, one pool per function, the lease keeper and the courier.

use super::StartError;
use crate::context::Context;
use crate::courier::{Courier, CourierMsg};
use crate::functions::{FunctionKey, FunctionPool, PoolMsg};
use crate::keeper::{KeeperMsg, LeaseKeeper};
use crate::mapping::{MappingMsg, MappingSupervisor, SupervisorArgs};
use crate::task::Owned;
use crate::view::ShardInspection;
use futures::StreamExt;
use futures::future::join_all;
use millstream_core::restart::{RestartPolicy, Restarts};
use millstream_ports::{CatalogEvent, Change, Resource};
use millstream_types::{Function, Mapping, MappingId};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a pool may take to end its processes at shutdown.
const CLOSE_POOL_WITHIN: Duration = Duration::from_secs(5);

/// What the root is told.
pub(crate) enum NodeMsg {
    /// The catalog changed.
    Catalog(Box<CatalogEvent>),
    /// Changes were missed: this is all there is.
    Reloaded(Loaded),
    /// A child is gone.
    ChildGone(ActorId),
    /// A mapping's supervisor is to be started again.
    Restart(MappingId),
    /// A removed mapping is forgotten.
    Forgotten(MappingId),
    /// Memory is short.
    Starved,
    /// Show the inside of a mapping.
    Inspect(MappingId, RpcReplyPort<Vec<ShardInspection>>),
    /// Let everything end, then answer.
    Close(oneshot::Sender<()>),
}

/// The whole catalog at one revision.
pub(crate) struct Loaded {
    revision: u64,
    mappings: Vec<Mapping>,
    functions: Vec<Function>,
}

impl Loaded {
    pub(crate) async fn read(context: &Context) -> Result<Self, StartError> {
        let catalog = &context.ports.catalog;
        // Taken first: a change after it is seen again as an event, which does no harm.
        let revision = catalog.revision();
        let functions = catalog.functions(None, None, usize::MAX).await?.items;
        let mappings = catalog.mappings(None, None, usize::MAX).await?.items;
        Ok(Self {
            revision,
            mappings,
            functions,
        })
    }
}

/// The root of a node.
pub(super) struct NodeActor;

/// Its state.
pub(super) struct NodeState {
    context: Arc<Context>,
    keeper: ActorRef<KeeperMsg>,
    courier: ActorRef<CourierMsg>,
    mappings: BTreeMap<MappingId, Supervised>,
    pools: BTreeMap<FunctionKey, (Function, ActorRef<PoolMsg>)>,
    closing: bool,
    _watch: Owned,
    _starved: Owned,
}

/// A mapping and, while it runs, its supervisor.
struct Supervised {
    mapping: Mapping,
    actor: Option<ActorRef<MappingMsg>>,
    restarts: Restarts,
}

impl Actor for NodeActor {
    type Msg = NodeMsg;
    type State = NodeState;
    type Arguments = (Arc<Context>, Loaded);

    async fn pre_start(
        &self,
        myself: ActorRef<NodeMsg>,
        (context, loaded): (Arc<Context>, Loaded),
    ) -> Result<NodeState, ActorProcessingErr> {
        let (keeper, _) = myself.spawn_linked(None, LeaseKeeper, context.clone()).await?;
        let (courier, _) = myself.spawn_linked(None, Courier, context.clone()).await?;
        let mut state = NodeState {
            _watch: watch(context.clone(), loaded.revision, myself.clone()),
            _starved: watch_memory(context.clone(), myself.clone()),
            context,
            keeper,
            courier,
            mappings: BTreeMap::new(),
            pools: BTreeMap::new(),
            closing: false,
        };
        state.reload(loaded, &myself).await?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<NodeMsg>,
        message: NodeMsg,
        state: &mut NodeState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            _ if state.closing && !matches!(message, NodeMsg::Inspect(..)) => {}
            NodeMsg::Catalog(event) => state.apply(event.change, &myself).await?,
            NodeMsg::Reloaded(loaded) => state.reload(loaded, &myself).await?,
            NodeMsg::ChildGone(actor) => state.child_gone(actor, &myself).await?,
            NodeMsg::Restart(mapping) => state.start_supervisor(mapping, &myself).await,
            NodeMsg::Forgotten(mapping) => {
                state.mappings.remove(&mapping);
                state.context.gates.forget(mapping);
            }
            NodeMsg::Starved => {
                for actor in state.mappings.values().filter_map(|m| m.actor.as_ref()) {
                    let _ = actor.cast(MappingMsg::Shed);
                }
            }
            NodeMsg::Inspect(mapping, reply) => state.inspect(mapping, reply),
            NodeMsg::Close(done) => state.close(done),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<NodeMsg>,
        event: SupervisionEvent,
        _: &mut NodeState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                tracing::error!(%error, "a part of the engine failed and is started again");
                let _ = myself.cast(NodeMsg::ChildGone(who.get_id()));
            }
            SupervisionEvent::ActorTerminated(who, ..) => {
                let _ = myself.cast(NodeMsg::ChildGone(who.get_id()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Follows the catalog; after missing changes, reads all of it again.
fn watch(context: Arc<Context>, from: u64, node: ActorRef<NodeMsg>) -> Owned {
    Owned::spawn(async move {
        let mut from = from;
        loop {
            let mut events = context.ports.catalog.watch(from);
            while let Some(Ok(event)) = events.next().await {
                from = event.revision;
                if node.cast(NodeMsg::Catalog(Box::new(event))).is_err() {
                    return;
                }
            }
            match Loaded::read(&context).await {
                Ok(loaded) => {
                    from = loaded.revision;
                    let _ = node.cast(NodeMsg::Reloaded(loaded));
                }
                Err(error) => tracing::warn!(%error, "the catalog cannot be followed now"),
            }
            context
                .ports
                .clock
                .sleep_until(context.now().mono.plus(Duration::from_millis(100)))
                .await;
        }
    })
}

fn watch_memory(context: Arc<Context>, node: ActorRef<NodeMsg>) -> Owned {
    Owned::spawn(async move {
        loop {
            context.budget.starved().await;
            if node.cast(NodeMsg::Starved).is_err() {
                return;
            }
            // Often enough to help, seldom enough not to make lanes read again and again.
            context
                .ports
                .clock
                .sleep_until(context.now().mono.plus(Duration::from_secs(1)))
                .await;
        }
    })
}

impl NodeState {
    async fn reload(&mut self, loaded: Loaded, myself: &ActorRef<NodeMsg>) -> Result<(), ActorProcessingErr> {
        let gone: Vec<FunctionKey> = {
            let kept = |k: &FunctionKey| {
                loaded
                    .functions
                    .iter()
                    .any(|f| (&f.namespace, &f.name) == (&k.0, &k.1))
            };
            self.pools.keys().filter(|k| !kept(k)).cloned().collect()
        };
        for key in gone {
            self.close_pool(&key);
        }
        for function in loaded.functions {
            self.configure_function(function, myself).await?;
        }
        for mapping in loaded.mappings {
            self.configure_mapping(mapping, myself).await;
        }
        Ok(())
    }

    async fn apply(&mut self, change: Change, myself: &ActorRef<NodeMsg>) -> Result<(), ActorProcessingErr> {
        match change {
            Change::Put(Resource::Mapping(mapping)) => self.configure_mapping(mapping, myself).await,
            Change::Put(Resource::Function(function)) => self.configure_function(function, myself).await?,
            Change::Removed(Resource::Function(f)) => self.close_pool(&(f.namespace, f.name)),
            // Its supervisor removed it, and says so itself.
            Change::Removed(Resource::Mapping(_)) => {}
        }
        Ok(())
    }

    async fn configure_mapping(&mut self, mapping: Mapping, myself: &ActorRef<NodeMsg>) {
        let now = self.context.now().mono;
        let id = mapping.id;
        self.context.gates.follow(&mapping);
        match self.mappings.get_mut(&id) {
            Some(known) if known.mapping.revision >= mapping.revision => return,
            Some(known) => {
                known.mapping = mapping.clone();
                if let Some(actor) = &known.actor {
                    let _ = actor.cast(MappingMsg::Configure(Box::new(mapping)));
                }
                return;
            }
            None => {
                let restarts = Restarts::new(RestartPolicy::default(), now);
                self.mappings.insert(
                    id,
                    Supervised {
                        mapping,
                        actor: None,
                        restarts,
                    },
                );
            }
        }
        self.start_supervisor(id, myself).await;
    }

    async fn start_supervisor(&mut self, id: MappingId, myself: &ActorRef<NodeMsg>) {
        let Some(known) = self.mappings.get_mut(&id).filter(|k| k.actor.is_none()) else {
            return;
        };
        let args = SupervisorArgs {
            context: self.context.clone(),
            mapping: known.mapping.clone(),
            keeper: self.keeper.clone(),
            node: myself.clone(),
        };
        match myself.spawn_linked(None, MappingSupervisor, args).await {
            Ok((actor, _)) => known.actor = Some(actor),
            Err(error) => {
                tracing::error!(mapping = %known.mapping.name, %error, "a supervisor could not be started");
                self.restart_later(id, myself);
            }
        }
    }

    fn restart_later(&mut self, id: MappingId, myself: &ActorRef<NodeMsg>) {
        let Some(known) = self.mappings.get_mut(&id) else {
            return;
        };
        known.actor = None;
        let at = known
            .restarts
            .on_failure(self.context.now().mono, self.context.jitter());
        let (sleep, myself) = (self.context.ports.clock.sleep_until(at), myself.clone());
        tokio::spawn(async move {
            sleep.await;
            let _ = myself.cast(NodeMsg::Restart(id));
        });
    }

    async fn child_gone(
        &mut self,
        actor: ActorId,
        myself: &ActorRef<NodeMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let runs = |m: &Supervised| m.actor.as_ref().is_some_and(|a| a.get_id() == actor);
        let pool = self
            .pools
            .iter()
            .find(|(_, (_, pool))| pool.get_id() == actor)
            .map(|(key, _)| key.clone());
        if let Some(id) = self.mappings.iter().find(|(_, m)| runs(m)).map(|(id, _)| *id) {
            self.restart_later(id, myself);
        } else if let Some((function, _)) = pool.and_then(|key| self.pools.remove(&key)) {
            // A pool that was told to close is not in the table any more.
            self.configure_function(function, myself).await?;
        } else if self.courier.get_id() == actor {
            self.courier = myself.spawn_linked(None, Courier, self.context.clone()).await?.0;
        } else if self.keeper.get_id() == actor {
            self.keeper = myself
                .spawn_linked(None, LeaseKeeper, self.context.clone())
                .await?
                .0;
            // Supervisors hold the old one: they come back with the new one, and their shards with new leases.
            for actor in self.mappings.values().filter_map(|m| m.actor.as_ref()) {
                actor.kill();
            }
        }
        Ok(())
    }

    async fn configure_function(
        &mut self,
        function: Function,
        myself: &ActorRef<NodeMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let key = (function.namespace.clone(), function.name.clone());
        if let Some((known, pool)) = self.pools.get_mut(&key) {
            known.clone_from(&function);
            let _ = pool.cast(PoolMsg::Configure(Box::new(function)));
            return Ok(());
        }
        let args = (self.context.clone(), function.clone());
        let (pool, _) = myself.spawn_linked(None, FunctionPool, args).await?;
        self.pools.insert(key, (function, pool));
        Ok(())
    }

    fn close_pool(&mut self, key: &FunctionKey) {
        if let Some((_, pool)) = self.pools.remove(key) {
            let _ = pool.cast(PoolMsg::Close(None));
        }
    }

    fn inspect(&self, mapping: MappingId, reply: RpcReplyPort<Vec<ShardInspection>>) {
        match self.mappings.get(&mapping).and_then(|m| m.actor.as_ref()) {
            Some(actor) => {
                let _ = actor.cast(MappingMsg::Inspect(reply));
            }
            None => {
                let _ = reply.send(Vec::new());
            }
        }
    }

    /// Bottom up: mappings first, while everything they need still runs; then the processes.
    fn close(&mut self, done: oneshot::Sender<()>) {
        self.closing = true;
        let actors: Vec<_> = self.mappings.values().filter_map(|m| m.actor.clone()).collect();
        let pools: Vec<_> = self.pools.values().map(|(_, pool)| pool.clone()).collect();
        tokio::spawn(async move {
            let drained = actors.iter().map(|actor| async move {
                let (done, drained) = oneshot::channel();
                if actor.cast(MappingMsg::Close(done)).is_ok() {
                    let _ = drained.await;
                }
            });
            join_all(drained).await;
            let closed = pools
                .iter()
                .map(|pool| pool.call(|r| PoolMsg::Close(Some(r)), Some(CLOSE_POOL_WITHIN)));
            join_all(closed).await;
            let _ = done.send(());
        });
    }
}
