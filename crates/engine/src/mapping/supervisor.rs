//! The supervisor of one mapping: reconciles what is wanted with what runs, and restarts what fails.

use super::children::{Children, Consumer};
use super::conditions::{
    Conditions, FUNCTION_UNAVAILABLE, RECORDS_LOST, SHARD_RESTARTING, SOURCE_UNAVAILABLE, STORE_UNAVAILABLE,
};
use super::discovery::{self, Discovered, Source, Stored};
use super::inspect;
use crate::board::Observed;
use crate::context::Context;
use crate::keeper::KeeperMsg;
use crate::node::NodeMsg;
use crate::queue::{QueueArgs, QueueConsumer};
use crate::shard::{ConsumerArgs, ShardConsumer, ShardEvent};
use crate::task::{Owned, Timer};
use crate::view::ShardInspection;
use millstream_core::lineage::to_start;
use millstream_core::mapping_state::{Applied, Facts, LastProcessing, Processed};
use millstream_core::reconcile::{Slot, Step, Wanted, deadline, plan, quiet};
use millstream_core::shard::StopReason;
use millstream_ports::CatalogError;
use millstream_types::{Desired, Mapping, Position, ShardId, ShardInfo};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Between two tries to forget a removed mapping.
const FORGET_AGAIN: Duration = Duration::from_secs(1);

/// What a supervisor is told.
pub(crate) enum MappingMsg {
    /// The mapping is now so.
    Configure(Box<Mapping>),
    /// What earlier processes left; or the store cannot be read.
    Stored(Result<Stored, String>),
    /// The source and its shards; or why they cannot be told.
    Discovered(Result<Discovered, String>),
    /// Something happened to a shard.
    Shard {
        shard: ShardId,
        run: u64,
        event: ShardEvent,
    },
    /// A child is gone; if it had told of its end, that came before this.
    ChildGone(ActorId),
    /// A restart is due.
    Wake,
    /// The node shuts down: let what runs end, then answer and stop.
    Close(oneshot::Sender<()>),
    /// Give back memory.
    Shed,
    /// Show the inside.
    Inspect(RpcReplyPort<Vec<ShardInspection>>),
    /// The removed mapping is forgotten, or not yet.
    Forgotten(bool),
}

/// What a supervisor is made of.
pub(crate) struct SupervisorArgs {
    pub(crate) context: Arc<Context>,
    pub(crate) mapping: Mapping,
    pub(crate) keeper: ActorRef<KeeperMsg>,
    pub(crate) node: ActorRef<NodeMsg>,
}

/// Supervises one mapping.
pub(crate) struct MappingSupervisor;

/// Its state.
pub(crate) struct SupervisorState {
    args: SupervisorArgs,
    source: Option<Source>,
    listed: Vec<ShardInfo>,
    stored: Option<Stored>,
    children: Children,
    conditions: Conditions,
    last: LastProcessing,
    applied: Option<Applied>,
    closing: Option<oneshot::Sender<()>>,
    forgetting: bool,
    timer: Timer,
    _discovery: Owned,
}

impl Actor for MappingSupervisor {
    type Msg = MappingMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<MappingMsg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let discovery = discovery::start(args.context.clone(), &args.mapping, myself);
        let state = SupervisorState {
            args,
            source: None,
            listed: Vec::new(),
            stored: None,
            children: Children::default(),
            conditions: Conditions::default(),
            last: LastProcessing::default(),
            applied: None,
            closing: None,
            forgetting: false,
            timer: Timer::default(),
            _discovery: discovery,
        };
        state.publish();
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<MappingMsg>,
        message: MappingMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MappingMsg::Configure(mapping) if mapping.revision > state.args.mapping.revision => {
                state.args.mapping = *mapping;
            }
            MappingMsg::Configure(_) => return Ok(()),
            MappingMsg::Stored(stored) => state.on_stored(stored),
            MappingMsg::Discovered(found) => state.on_discovered(found),
            MappingMsg::Shard { shard, run, event } if state.children.is_current(&shard, run) => {
                let stopped = matches!(event, ShardEvent::Stopped(_));
                state.on_shard(&shard, event);
                if !stopped {
                    state.publish();
                    return Ok(());
                }
            }
            MappingMsg::Shard { .. } => return Ok(()),
            MappingMsg::ChildGone(actor) => {
                if let Some(shard) = state.children.gone(actor) {
                    state.fault(&shard, "ended unexpectedly".to_owned());
                }
            }
            MappingMsg::Wake => state.timer.fired(),
            MappingMsg::Close(done) => state.closing = Some(done),
            MappingMsg::Shed => {
                for (_, actor) in state.children.actors() {
                    actor.shed();
                }
                return Ok(());
            }
            MappingMsg::Inspect(reply) => {
                state.inspect(reply);
                return Ok(());
            }
            MappingMsg::Forgotten(done) => {
                state.forgetting = false;
                if done {
                    state.args.context.board.remove(state.args.mapping.id);
                    myself.stop(None);
                    return Ok(());
                }
            }
        }
        state.reconcile(&myself).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<MappingMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                let mapping = &state.args.mapping;
                tracing::error!(mapping = %mapping.name, id = %mapping.id, %error, "a shard consumer failed");
                let _ = myself.cast(MappingMsg::ChildGone(who.get_id()));
            }
            SupervisionEvent::ActorTerminated(who, ..) => {
                let _ = myself.cast(MappingMsg::ChildGone(who.get_id()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What stands for the one consumer of a queue where consumers of shards are kept.
fn queue_place() -> Option<ShardId> {
    ShardId::new("queue").ok()
}

impl SupervisorState {
    fn set(&mut self, kind: &'static str, shard: Option<&ShardId>, message: Option<String>) {
        let now = self.args.context.now().wall;
        if let (true, Some(message)) = (self.conditions.set(kind, shard, message.clone(), now), message) {
            let (name, shard) = (&self.args.mapping.name, shard.map(ShardId::as_str));
            tracing::warn!(mapping = %name, shard, kind, message, "mapping has a condition");
        }
    }

    fn on_stored(&mut self, stored: Result<Stored, String>) {
        match stored {
            Ok(stored) => {
                for shard in &stored.finished {
                    self.children.slots.insert(shard.clone(), Slot::Finished);
                }
                self.stored = Some(stored);
                self.set(STORE_UNAVAILABLE, None, None);
            }
            Err(why) => self.set(STORE_UNAVAILABLE, None, Some(why)),
        }
    }

    fn on_discovered(&mut self, found: Result<Discovered, String>) {
        match found {
            Ok(found) => {
                if let Source::Queue(queue, attributes) = &found.source {
                    for (_, consumer) in self.children.actors() {
                        consumer.set_source(queue, attributes.visibility_timeout);
                    }
                }
                self.source = Some(found.source);
                self.listed = found.shards;
                self.set(SOURCE_UNAVAILABLE, None, None);
                self.last.note(Processed::SourceRecovered);
            }
            Err(why) => {
                self.last.note(Processed::SourceFailed(why.clone()));
                self.set(SOURCE_UNAVAILABLE, None, Some(why));
            }
        }
    }

    fn on_shard(&mut self, shard: &ShardId, event: ShardEvent) {
        match event {
            ShardEvent::Stopped(StopReason::Finished) => self.children.stopped(shard, true),
            ShardEvent::Stopped(StopReason::Drained) => self.children.stopped(shard, false),
            ShardEvent::Stopped(StopReason::Fenced) => {
                self.fault(shard, "another owner has its lease".to_owned())
            }
            ShardEvent::Stopped(StopReason::Uncertain) => {
                self.fault(
                    shard,
                    "nobody can say whether its last commit is stored".to_owned(),
                );
            }
            ShardEvent::Health { failed } => {
                let what = if failed {
                    Processed::FunctionFailed
                } else {
                    Processed::BatchOk
                };
                self.last.note(what);
                self.set(SHARD_RESTARTING, Some(shard), None);
            }
            ShardEvent::Source(trouble) => {
                let what = trouble
                    .clone()
                    .map_or(Processed::SourceRecovered, Processed::SourceFailed);
                self.last.note(what);
                if trouble.is_none() {
                    self.set(SHARD_RESTARTING, Some(shard), None);
                }
                self.set(SOURCE_UNAVAILABLE, Some(shard), trouble);
            }
            ShardEvent::Gap(gap) => {
                let lost = format!(
                    "records before {} were gone when it was to read {:?}",
                    gap.found, gap.wanted
                );
                self.set(RECORDS_LOST, Some(shard), Some(lost));
            }
            ShardEvent::Function(trouble) => self.set(FUNCTION_UNAVAILABLE, Some(shard), trouble),
        }
    }

    fn fault(&mut self, shard: &ShardId, why: String) {
        let context = self.args.context.clone();
        self.children.failed(shard, context.now().mono, context.jitter());
        self.set(SHARD_RESTARTING, Some(shard), Some(why));
    }

    /// Plans, carries the plan out, and tells what came of it.
    async fn reconcile(&mut self, myself: &ActorRef<MappingMsg>) {
        let mapping = &self.args.mapping;
        let wanted = Wanted {
            desired: mapping.desired,
            generation: mapping.generation,
            closing: self.closing.is_some(),
        };
        let (startable, planned) = (self.startable(), self.args.context.now().mono);
        let steps = plan(wanted, &self.children.slots, &startable, planned);
        for step in steps {
            match step {
                Step::Start { shard, position } => self.start(shard, position, myself).await,
                Step::Drain(shard) => self.children.drain(&shard),
                Step::Forget => self.forget(myself),
            }
        }
        // A pause or removal needs no source: it must work while the source is down, too.
        if wanted.desired != Desired::Running || (self.source.is_some() && self.stored.is_some()) {
            self.applied = Some(Applied {
                generation: wanted.generation,
                desired: wanted.desired,
            });
        }
        self.publish();
        if quiet(&self.children.slots)
            && let Some(done) = self.closing.take()
        {
            let _ = done.send(());
            myself.stop(None);
        }
        let myself = myself.clone();
        self.timer.set(
            &self.args.context.ports.clock,
            deadline(&self.children.slots, planned),
            move || {
                let _ = myself.cast(MappingMsg::Wake);
            },
        );
    }

    /// What could be started now, were it wanted.
    fn startable(&self) -> Vec<(ShardId, Position)> {
        let (Some(source), Some(_)) = (&self.source, &self.stored) else {
            return Vec::new();
        };
        let busy = self.children.busy();
        match (source, &self.args.mapping.start) {
            (Source::Stream(_), Some(start)) => {
                to_start(&self.listed, start, &self.children.finished(), &busy)
            }
            (Source::Queue(..), _) if busy.is_empty() => queue_place()
                .map(|place| (place, Position::Trim))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    async fn start(&mut self, shard: ShardId, start: Position, myself: &ActorRef<MappingMsg>) {
        let Some(source) = self.source.clone() else { return };
        let run = self.children.next_run();
        let (context, mapping) = (self.args.context.clone(), self.args.mapping.clone());
        let (supervisor, generation) = (myself.clone(), mapping.generation);
        let started = match source {
            Source::Stream(source) => {
                let args = ConsumerArgs {
                    context,
                    mapping,
                    shard: shard.clone(),
                    start,
                    source,
                    keeper: self.args.keeper.clone(),
                    supervisor,
                    run,
                };
                let started = myself.spawn_linked(None, ShardConsumer, args).await;
                started.map(|(actor, _)| Consumer::Shard(actor))
            }
            Source::Queue(source, attributes) => {
                let args = QueueArgs {
                    context,
                    mapping,
                    place: shard.clone(),
                    source,
                    visibility_timeout: attributes.visibility_timeout,
                    supervisor,
                    run,
                };
                let started = myself.spawn_linked(None, QueueConsumer, args).await;
                started.map(|(actor, _)| Consumer::Queue(actor))
            }
        };
        match started {
            Ok(actor) => {
                let now = self.args.context.now().mono;
                self.children.started(&shard, actor, run, generation, now);
            }
            Err(error) => self.fault(&shard, format!("could not be started: {error}")),
        }
    }

    /// Removes the progress first, the mapping last: if that fails half-way, it is tried again.
    fn forget(&mut self, myself: &ActorRef<MappingMsg>) {
        if std::mem::replace(&mut self.forgetting, true) {
            return;
        }
        let (context, mapping) = (self.args.context.clone(), self.args.mapping.clone());
        let (myself, node) = (myself.clone(), self.args.node.clone());
        tokio::spawn(async move {
            let forgotten = context
                .ports
                .journal
                .forget(mapping.id)
                .await
                .map_err(|e| e.to_string());
            let removed = match forgotten {
                Ok(()) => {
                    context
                        .ports
                        .catalog
                        .remove_mapping(&mapping.namespace, &mapping.name, mapping.id)
                        .await
                }
                Err(why) => Err(CatalogError::Unavailable(why)),
            };
            let done = matches!(removed, Ok(()) | Err(CatalogError::NotFound { .. }));
            if let (false, Err(error)) = (done, removed) {
                tracing::warn!(mapping = %mapping.name, %error, "a removed mapping could not be forgotten yet");
                context
                    .ports
                    .clock
                    .sleep_until(context.now().mono.plus(FORGET_AGAIN))
                    .await;
            }
            if done {
                let _ = node.cast(NodeMsg::Forgotten(mapping.id));
            }
            let _ = myself.cast(MappingMsg::Forgotten(done));
        });
    }

    fn publish(&self) {
        let mapping = &self.args.mapping;
        let running = self
            .children
            .count(|s| matches!(s, Slot::Running { generation } if *generation == mapping.generation));
        let stale = self
            .children
            .count(|s| matches!(s, Slot::Running { generation } if *generation != mapping.generation));
        let draining = self.children.count(|s| *s == Slot::Draining) + stale;
        let facts = Facts {
            desired: mapping.desired,
            generation: mapping.generation,
            applied: self.applied,
            fresh: self.stored.as_ref().is_none_or(|s| !s.any) && self.applied.is_none(),
            running,
            draining,
            // A consumer that drains may have attempts; none other can have any that matters here.
            in_flight: if mapping.desired == Desired::Running {
                0
            } else {
                draining
            },
        };
        let observed = Observed {
            state: facts.state(),
            generation: self.applied.map_or(0, |a| a.generation),
            conditions: self.conditions.list(),
            last_processing_result: self.last.text().to_owned(),
        };
        self.args.context.board.publish(mapping, observed);
    }

    fn inspect(&self, reply: RpcReplyPort<Vec<ShardInspection>>) {
        let known = inspect::Known {
            context: self.args.context.clone(),
            mapping: self.args.mapping.id,
            listed: self.listed.iter().map(|s| s.id.clone()).collect(),
            slots: self.children.slots.clone(),
            running: self
                .children
                .actors()
                .map(|(s, a)| (s.clone(), a.clone()))
                .collect(),
            paused: self.args.mapping.desired != Desired::Running,
        };
        tokio::spawn(async move {
            let _ = reply.send(inspect::gather(known).await);
        });
    }
}
