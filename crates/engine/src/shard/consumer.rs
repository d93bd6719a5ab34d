//! The owner of one leased shard: turns messages into inputs of the shard machine, and carries out its actions.

use super::feed::{Feed, FeedArgs};
use super::health::Health;
use super::lease::request_lease;
use super::worker::{BatchWorker, Job};
use crate::attempt::Observer;
use crate::board::{Gauge, Reading, Totals};
use crate::budget::Reservation;
use crate::context::Context;
use crate::failpoint;
use crate::functions::Callee;
use crate::keeper::{Acquired, KeeperMsg};
use crate::mapping::MappingMsg;
use crate::meter::Meter;
use crate::session::HeldLease;
use crate::task::Timer;
use crate::view::{ShardActivity, ShardInspection};
use millstream_core::filter::Screen;
use millstream_core::mutant::{self, Mutant};
use millstream_core::shard::{
    Action, AttemptOrder, AttemptReport, AttemptToken, CommitOrder, CommitToken, Cursor, PageIn, ReadOrder,
    ShardConfig, ShardMachine, StopReason,
};
use millstream_ports::{Gap, Lag, StreamSource};
use millstream_types::commit::CommitOutcome;
use millstream_types::{Mapping, Position, ShardId};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a consumer is told.
pub(crate) enum ShardMsg {
    /// The keeper took the lease, or could not.
    Acquired(Acquired),
    /// A page was read; the reservation covers it until the machine has taken it in.
    Page(PageIn, Reservation),
    /// The main cursor has read all there is.
    CaughtUp(Lag),
    /// Records were lost to retention.
    Gap(Gap),
    /// The source cannot be read, or can again.
    Source(Option<String>),
    /// An attempt ended; with the reason if the function could not be called.
    Attempt(AttemptReport, Option<String>),
    /// An attempt was not started: the mapping's gate is closed.
    Held(AttemptToken),
    /// A worker is gone. If it had reported, the report came before this.
    WorkerGone(ActorId),
    /// A commit ended.
    Committed(CommitToken, CommitOutcome),
    /// The machine's deadline.
    Tick,
    /// Let what runs end, then stop.
    Drain,
    /// Give back memory that waits behind trouble.
    Shed,
    /// Show the inside.
    Inspect(RpcReplyPort<ShardInspection>),
}

/// What a consumer tells its supervisor.
#[derive(Clone, Debug)]
pub(crate) enum ShardEvent {
    /// The machine stopped; the actor ends after this.
    Stopped(StopReason),
    /// Whether the newest attempt failed.
    Health { failed: bool },
    /// The source cannot be read, or can again.
    Source(Option<String>),
    /// Records were lost to retention.
    Gap(Gap),
    /// The function cannot be called, or can again.
    Function(Option<String>),
}

/// What a consumer is made of.
pub(crate) struct ConsumerArgs {
    pub(crate) context: Arc<Context>,
    pub(crate) mapping: Mapping,
    pub(crate) shard: ShardId,
    pub(crate) start: Position,
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) keeper: ActorRef<KeeperMsg>,
    pub(crate) supervisor: ActorRef<MappingMsg>,
    /// Tells this consumer from earlier ones of the same shard.
    pub(crate) run: u64,
}

/// Owns one shard.
pub(crate) struct ShardConsumer;

/// Its state.
pub(crate) struct ConsumerState {
    args: ConsumerArgs,
    config: ShardConfig,
    /// The mapping's filters, if it has any.
    screen: Option<Arc<Screen>>,
    owned: Option<Owned>,
    draining: bool,
    stopping: Option<StopReason>,
    feeds: BTreeMap<Cursor, Feed>,
    workers: BTreeMap<ActorId, AttemptToken>,
    timer: Timer,
    held: Reservation,
    gauge: Gauge,
    meter: Arc<Meter>,
    health: Health,
    unreachable: bool,
    last_error: Option<String>,
}

/// What there is once the lease is taken.
struct Owned {
    machine: ShardMachine,
    lease: HeldLease,
    job: Arc<Job>,
}

impl Actor for ShardConsumer {
    type Msg = ShardMsg;
    type State = ConsumerState;
    type Arguments = ConsumerArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ShardMsg>,
        args: ConsumerArgs,
    ) -> Result<ConsumerState, ActorProcessingErr> {
        request_lease(&args, myself);
        let mapping = &args.mapping;
        let config = ShardConfig::new(
            mapping.generation,
            mapping.namespace.clone(),
            mapping.id,
            &mapping.spec,
            args.shard.clone(),
        );
        // Refused when it was set; if not, nothing is let through rather than everything.
        let screen = Screen::of(&mapping.spec, &args.shard, config.shape.clone())?;
        let (gauge, meter) = args.context.board.consumer(mapping, &args.shard);
        let held = Reservation::none(&args.context.budget);
        Ok(ConsumerState {
            args,
            config,
            screen: screen.map(Arc::new),
            owned: None,
            draining: false,
            stopping: None,
            feeds: BTreeMap::new(),
            workers: BTreeMap::new(),
            timer: Timer::default(),
            held,
            gauge,
            meter,
            health: Health::default(),
            unreachable: false,
            last_error: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        message: ShardMsg,
        state: &mut ConsumerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMsg::Acquired(acquired) => state.take_over(acquired, &myself).await,
            ShardMsg::Inspect(reply) => {
                let _ = reply.send(state.inspect());
                Ok(())
            }
            ShardMsg::Source(trouble) => {
                if let Some(owned) = state.owned.as_mut().filter(|_| trouble.is_some()) {
                    owned.machine.on_unreadable();
                }
                state.last_error.clone_from(&trouble);
                state.tell(ShardEvent::Source(trouble));
                Ok(())
            }
            ShardMsg::Gap(gap) => {
                state.tell(ShardEvent::Gap(gap));
                Ok(())
            }
            input => {
                state.draining |= matches!(input, ShardMsg::Drain);
                state.feed_machine(input, &myself).await
            }
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<ShardMsg>,
        event: SupervisionEvent,
        _: &mut ConsumerState,
    ) -> Result<(), ActorProcessingErr> {
        // Supervision overtakes messages: the worker's report may still be in the mailbox, so look after it.
        if let SupervisionEvent::ActorTerminated(who, ..) | SupervisionEvent::ActorFailed(who, _) = event {
            let _ = myself.cast(ShardMsg::WorkerGone(who.get_id()));
        }
        Ok(())
    }
}

impl ConsumerState {
    async fn take_over(
        &mut self,
        acquired: Acquired,
        myself: &ActorRef<ShardMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let (lease, record) = acquired.map_err(|why| format!("no lease: {why}"))?;
        let context = self.args.context.clone();
        let mapping = &self.args.mapping;
        let job = Job {
            context: context.clone(),
            mapping: mapping.name.clone(),
            callee: Callee::of(mapping, &context),
            function_arn: mapping.spec.function.arn().into(),
            report_item_failures: mapping.spec.report_batch_item_failures,
            shape: self.config.shape.clone(),
            event_bytes: self.config.limits.event_bytes,
            lease: lease.clone(),
            observer: Observer::new(mapping, Some(&self.args.shard), self.meter.clone()),
        };
        tracing::debug!(
            mapping = %mapping.id, shard = %self.args.shard, epoch = lease.lease.epoch.0, resumed = record.is_some(),
            "shard taken"
        );
        let now = context.now();
        let seed = context.ports.entropy.next_u128();
        let machine = ShardMachine::new(self.config.clone(), self.args.start, record, seed, now);
        self.owned = Some(Owned {
            machine,
            lease,
            job: Arc::new(job),
        });
        let mut actions = Vec::new();
        if let Some(owned) = self.owned.as_mut() {
            if self.draining {
                owned.machine.drain(now, &mut actions);
            } else {
                owned.machine.start(now, &mut actions);
            }
        }
        self.carry_out(actions, myself).await
    }

    async fn feed_machine(
        &mut self,
        input: ShardMsg,
        myself: &ActorRef<ShardMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.args.context.now();
        let Some(owned) = self.owned.as_mut() else {
            return Ok(());
        };
        let (machine, mut actions) = (&mut owned.machine, Vec::new());
        match input {
            ShardMsg::Page(page, reservation) => {
                failpoint::hit("shard_consumer.page", self.args.mapping.name.as_str());
                machine.on_page(page, now, &mut actions);
                self.held.set(machine.buffered_bytes());
                drop(reservation);
            }
            ShardMsg::Attempt(report, unreachable) => {
                failpoint::hit("shard_consumer.attempt", self.args.mapping.name.as_str());
                machine.on_attempt(report, now, &mut actions);
                self.note_function(unreachable);
            }
            ShardMsg::Held(token) => machine.on_held(token, now, &mut actions),
            ShardMsg::WorkerGone(worker) => {
                if let Some(token) = self.workers.remove(&worker) {
                    // If the report came, the machine does not know the token any more. If none came, the fault
                    // was ours and costs no attempt.
                    machine.on_attempt(AttemptReport::not_run(token, now.wall), now, &mut actions);
                }
            }
            ShardMsg::CaughtUp(lag) => machine.on_lag(lag.millis, lag.records, now, &mut actions),
            ShardMsg::Committed(token, CommitOutcome::Rejected) if mutant::on(Mutant::NoEpochGuard) => {
                machine.on_commit(token, CommitOutcome::Committed, now, &mut actions);
            }
            ShardMsg::Committed(token, outcome) => machine.on_commit(token, outcome, now, &mut actions),
            ShardMsg::Tick => {
                self.timer.fired();
                machine.on_tick(now, &mut actions);
            }
            ShardMsg::Drain => machine.drain(now, &mut actions),
            ShardMsg::Shed => {
                machine.shed();
            }
            ShardMsg::Acquired(_) | ShardMsg::Inspect(_) | ShardMsg::Source(_) | ShardMsg::Gap(_) => {}
        }
        self.carry_out(actions, myself).await
    }

    async fn carry_out(
        &mut self,
        actions: Vec<Action>,
        myself: &ActorRef<ShardMsg>,
    ) -> Result<(), ActorProcessingErr> {
        for action in actions {
            match action {
                Action::Read(order) => self.read(order, myself),
                Action::Commit(order) => self.commit(order, myself),
                Action::Invoke(order) => self.invoke(order, myself).await?,
                Action::Stopped(reason) => self.stop(reason),
            }
        }
        self.publish(myself);
        self.stop_when_quiet(myself);
        Ok(())
    }

    fn read(&mut self, order: ReadOrder, myself: &ActorRef<ShardMsg>) {
        let args = FeedArgs {
            context: self.args.context.clone(),
            source: self.args.source.clone(),
            shard: self.args.shard.clone(),
            lanes: self.config.lanes,
            shape: self.config.shape.clone(),
            screen: self.screen.clone(),
            generation: self.config.generation,
            meter: self.meter.clone(),
            consumer: myself.clone(),
        };
        let feed = self
            .feeds
            .entry(order.cursor)
            .or_insert_with(|| Feed::start(args.clone()));
        if !feed.order(order) {
            // It died of a panic in a source: another one goes on from the same place.
            *feed = Feed::start(args);
            feed.order(order);
        }
    }

    fn commit(&mut self, order: CommitOrder, myself: &ActorRef<ShardMsg>) {
        let Some(owned) = self.owned.as_ref() else { return };
        let CommitOrder {
            token,
            commit,
            durability,
        } = order;
        if !owned.lease.check(self.args.context.now()) {
            let _ = myself.cast(ShardMsg::Committed(token, CommitOutcome::Rejected));
            return;
        }
        // Queued here, in order; only the answer is waited for elsewhere.
        let committed = self
            .args
            .context
            .ports
            .journal
            .commit(&owned.lease.lease, commit, durability);
        let myself = myself.clone();
        tokio::spawn(async move {
            let _ = myself.cast(ShardMsg::Committed(token, committed.await));
        });
    }

    async fn invoke(
        &mut self,
        order: AttemptOrder,
        myself: &ActorRef<ShardMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(owned) = self.owned.as_ref() else {
            return Ok(());
        };
        let token = order.token;
        let args = (owned.job.clone(), order, myself.clone());
        let (worker, _) = myself.spawn_linked(None, BatchWorker, args).await?;
        self.workers.insert(worker.get_id(), token);
        Ok(())
    }

    fn stop(&mut self, reason: StopReason) {
        self.feeds.clear();
        self.stopping = Some(reason);
    }

    /// Ends once no call runs any more, whatever the reason was: the shard's next owner must not call a function
    /// with records that are still on their way to it.
    fn stop_when_quiet(&mut self, myself: &ActorRef<ShardMsg>) {
        if !self.workers.is_empty() {
            return;
        }
        let Some(reason) = self.stopping.take() else {
            return;
        };
        if let Some(owned) = &self.owned {
            let mapping = self.args.mapping.id;
            let (shard, epoch) = (self.args.shard.clone(), owned.lease.lease.epoch);
            let _ = self.args.keeper.cast(KeeperMsg::Release {
                mapping,
                shard,
                epoch,
            });
        }
        self.tell(ShardEvent::Stopped(reason));
        myself.stop(None);
    }

    fn note_function(&mut self, unreachable: Option<String>) {
        if unreachable.is_some() || self.unreachable {
            self.unreachable = unreachable.is_some();
            self.tell(ShardEvent::Function(unreachable));
        }
    }

    /// After every input: memory, counts, health, and the next deadline.
    fn publish(&mut self, myself: &ActorRef<ShardMsg>) {
        let Some(owned) = &self.owned else { return };
        let (counters, buffered) = (owned.machine.counters(), owned.machine.buffered_bytes());
        self.held.set(buffered);
        let heard = self.args.mapping.spec.on_failure.is_some();
        self.gauge.publish(Reading {
            totals: Totals {
                counters,
                dropped: if heard { 0 } else { counters.records_discarded },
                deleted: 0,
            },
            lag: Some(owned.machine.lag()),
            buffered_bytes: buffered as u64,
        });
        let now = self.args.context.now().mono;
        let failed = owned.machine.last_attempt_failed();
        let deadline = owned.machine.deadline();
        if let Some(failed) = self.health.news(failed, now) {
            self.tell(ShardEvent::Health { failed });
        }
        let deadline = deadline.into_iter().chain(self.health.due()).min();
        let myself = myself.clone();
        self.timer.set(&self.args.context.ports.clock, deadline, move || {
            let _ = myself.cast(ShardMsg::Tick);
        });
    }

    fn tell(&self, event: ShardEvent) {
        let message = MappingMsg::Shard {
            shard: self.args.shard.clone(),
            run: self.args.run,
            event,
        };
        // A supervisor that is gone takes its children with it.
        let _ = self.args.supervisor.cast(message);
    }

    fn inspect(&self) -> ShardInspection {
        let Some(owned) = &self.owned else {
            return ShardInspection {
                last_error: self.last_error.clone(),
                ..ShardInspection::idle(self.args.shard.clone(), ShardActivity::Starting)
            };
        };
        let now = self.args.context.now();
        let snapshot = owned.machine.snapshot();
        let lease = &owned.lease.lease;
        ShardInspection {
            shard: self.args.shard.clone(),
            activity: if self.draining {
                ShardActivity::Draining
            } else {
                ShardActivity::Running
            },
            lease: Some((lease.epoch, lease.incarnation)),
            checkpoint: snapshot.checkpoint,
            read_through: snapshot.read_through,
            lag_ms: snapshot.lag.age_ms(now.wall),
            lag_records: snapshot.lag.records,
            buffered_bytes: snapshot.buffered_bytes,
            lanes: snapshot.lanes,
            last_error: self.last_error.clone(),
            window: snapshot.window,
            queue: None,
        }
    }
}
