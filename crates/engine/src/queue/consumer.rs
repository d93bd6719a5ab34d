//! The owner of one mapping's queue: turns messages into inputs of the queue machine, and carries out its actions.

use super::calls::Calls;
use super::notes::Notes;
use super::screen::QueueScreen;
use super::worker::{Job, QueueWorker};
use crate::attempt::Observer;
use crate::board::{Gauge, Reading, Totals};
use crate::budget::Reservation;
use crate::context::Context;
use crate::failpoint;
use crate::functions::Callee;
use crate::mapping::MappingMsg;
use crate::shard::{Health, ShardEvent};
use crate::task::{Owned, Timer};
use crate::view::{QueueInspection, ShardActivity, ShardInspection};
use millstream_core::filter::MessageFilter;
use millstream_core::queue::{
    Action, AttemptOrder, AttemptReport, EntryAnswer, Obstacle, OrderId, QueueConfig, QueueMachine,
    ReceiveOrder, ReceiveReport,
};
use millstream_core::shard::StopReason;
use millstream_ports::QueueSource;
use millstream_types::{Mapping, ShardId};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an inspection waits for the queue to tell how much is in it.
const DEPTH_WITHIN: Duration = Duration::from_secs(1);

/// What a consumer is told.
pub(crate) enum QueueMsg {
    /// A receive ended.
    Received(ReceiveReport),
    /// An attempt ended; with the reason if the function could not be called.
    Attempt(AttemptReport, Option<String>),
    /// The mapping's gate was closed, or this node may not work: nothing happened.
    Held(OrderId),
    /// A worker is gone. If it had reported, the report came before this.
    WorkerGone(ActorId),
    /// A delete ended.
    Deleted(OrderId, Vec<EntryAnswer>),
    /// A change of visibility ended.
    Shown(OrderId, Vec<EntryAnswer>),
    /// Attempts were added to the history, or could not be.
    Noted(Result<(), String>),
    /// The queue was looked at again: it is to be used by this handle, and its visibility timeout is now this.
    Source(Arc<dyn QueueSource>, Duration),
    /// The machine's deadline.
    Tick,
    /// Let what runs end, then stop.
    Drain,
    /// Show the inside.
    Inspect(RpcReplyPort<ShardInspection>),
}

/// What a consumer is made of.
pub(crate) struct QueueArgs {
    pub(crate) context: Arc<Context>,
    pub(crate) mapping: Mapping,
    /// What stands for the queue where the supervisor keeps shards.
    pub(crate) place: ShardId,
    pub(crate) source: Arc<dyn QueueSource>,
    pub(crate) visibility_timeout: Duration,
    pub(crate) supervisor: ActorRef<MappingMsg>,
    /// Tells this consumer from earlier ones.
    pub(crate) run: u64,
}

/// Consumes one queue for one mapping.
pub(crate) struct QueueConsumer;

/// Its state.
pub(crate) struct QueueState {
    args: QueueArgs,
    machine: QueueMachine,
    job: Arc<Job>,
    calls: Calls,
    receiving: BTreeMap<OrderId, (oneshot::Sender<()>, Owned)>,
    workers: BTreeMap<ActorId, OrderId>,
    timer: Timer,
    held: Reservation,
    gauge: Gauge,
    notes: Notes,
    health: Health,
    /// Whether the supervisor was told that the function cannot be reached; none if it was told nothing yet.
    unreachable: Option<bool>,
    /// What the supervisor was told of the queue; none if it was told nothing yet.
    trouble: Option<Option<String>>,
    draining: bool,
}

impl Actor for QueueConsumer {
    type Msg = QueueMsg;
    type State = QueueState;
    type Arguments = QueueArgs;

    async fn pre_start(
        &self,
        _: ActorRef<QueueMsg>,
        args: QueueArgs,
    ) -> Result<QueueState, ActorProcessingErr> {
        let (context, mapping) = (args.context.clone(), &args.mapping);
        let config = QueueConfig::new(
            mapping.id,
            mapping.generation,
            &mapping.spec,
            args.visibility_timeout,
        );
        // Refused when it was set; if not, nothing is let through rather than everything.
        let filter = MessageFilter::of(&mapping.spec)?;
        let (gauge, meter) = context.board.consumer(mapping, &args.place);
        context.board.consumes(mapping.id, args.source.clone());
        let job = Job {
            context: context.clone(),
            mapping: mapping.name.clone(),
            id: mapping.id,
            callee: Callee::of(mapping, &context),
            function_arn: mapping.spec.function.arn().into(),
            report_item_failures: mapping.spec.report_batch_item_failures,
            shape: config.shape.clone(),
            observer: Observer::new(mapping, None, meter.clone()),
        };
        let calls = Calls {
            source: args.source.clone(),
            clock: context.ports.clock.clone(),
            shape: config.shape.clone(),
            meter,
            screen: filter.map(|filter| Arc::new(QueueScreen::new(mapping, &args.place, filter, &context))),
        };
        let machine = QueueMachine::new(config, context.ports.entropy.next_u128(), context.now());
        Ok(QueueState {
            machine,
            job: Arc::new(job),
            calls,
            receiving: BTreeMap::new(),
            workers: BTreeMap::new(),
            timer: Timer::default(),
            held: Reservation::none(&context.budget),
            gauge,
            notes: Notes::default(),
            health: Health::default(),
            unreachable: None,
            trouble: None,
            draining: false,
            args,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<QueueMsg>,
        state: &mut QueueState,
    ) -> Result<(), ActorProcessingErr> {
        let mut actions = Vec::new();
        let now = state.args.context.now();
        state.machine.start(now, &mut actions);
        state.carry_out(actions, &myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<QueueMsg>,
        message: QueueMsg,
        state: &mut QueueState,
    ) -> Result<(), ActorProcessingErr> {
        if let QueueMsg::Inspect(reply) = message {
            state.inspect(reply);
            return Ok(());
        }
        let actions = state.input(message);
        state.carry_out(actions, &myself).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<QueueMsg>,
        event: SupervisionEvent,
        state: &mut QueueState,
    ) -> Result<(), ActorProcessingErr> {
        // Supervision overtakes messages: the worker's report may still be in the mailbox, so look after it.
        let who = match event {
            SupervisionEvent::ActorTerminated(who, ..) => who,
            SupervisionEvent::ActorFailed(who, error) => {
                tracing::error!(mapping = %state.args.mapping.name, %error, "an attempt's worker failed");
                who
            }
            _ => return Ok(()),
        };
        let _ = myself.cast(QueueMsg::WorkerGone(who.get_id()));
        Ok(())
    }
}

impl QueueState {
    fn input(&mut self, message: QueueMsg) -> Vec<Action> {
        let (now, mut out) = (self.args.context.now(), Vec::new());
        let machine = &mut self.machine;
        machine.set_node_room(self.held.room());
        match message {
            QueueMsg::Received(report) => {
                failpoint::hit("queue_consumer.received", self.args.mapping.name.as_str());
                self.receiving.remove(&report.id);
                // What an earlier consumer said of the queue may not hold any more: say so once.
                let said = self.trouble.is_none().then_some(report.result.is_ok());
                machine.on_receive(report, now, &mut out);
                if said == Some(true) {
                    self.note_queue(None);
                }
            }
            QueueMsg::Attempt(report, unreachable) => {
                failpoint::hit("queue_consumer.attempt", self.args.mapping.name.as_str());
                machine.on_attempt(report, now, &mut out);
                self.note_function(unreachable);
            }
            QueueMsg::Held(id) => machine.on_held(id, Obstacle::NotLetGo, now, &mut out),
            QueueMsg::WorkerGone(worker) => {
                // If it had reported, the machine does not know the order any more.
                if let Some(id) = self.workers.remove(&worker) {
                    machine.on_held(id, Obstacle::Fault, now, &mut out);
                }
            }
            QueueMsg::Deleted(id, answers) => machine.on_delete(id, &answers, now, &mut out),
            QueueMsg::Shown(id, answers) => machine.on_visibility(id, &answers, now, &mut out),
            QueueMsg::Source(source, timeout) => {
                machine.set_visibility_timeout(timeout);
                let board = &self.args.context.board;
                board.consumes(self.args.mapping.id, source.clone());
                self.calls.source = source;
            }
            QueueMsg::Noted(result) => self.notes.written(result, self.args.mapping.name.as_str()),
            QueueMsg::Tick => {
                self.timer.fired();
                machine.on_tick(now, &mut out);
            }
            QueueMsg::Drain => {
                self.draining = true;
                machine.drain(now, &mut out);
            }
            QueueMsg::Inspect(_) => {}
        }
        out
    }

    async fn carry_out(
        &mut self,
        actions: Vec<Action>,
        myself: &ActorRef<QueueMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let mut stopped = false;
        for action in actions {
            match action {
                Action::Receive(order) => self.receive(order, myself),
                Action::CutShort(id) => {
                    if let Some((cut, task)) = self.receiving.remove(&id) {
                        // The task goes on until it has answered, which it does at once now.
                        let _ = cut.send(());
                        task.detach();
                    }
                }
                Action::Invoke(order) => self.invoke(order, myself).await?,
                Action::Delete(order) => {
                    let (calls, myself) = (self.calls.clone(), myself.clone());
                    tokio::spawn(async move {
                        let answers = calls.delete(&order).await;
                        let _ = myself.cast(QueueMsg::Deleted(order.id, answers));
                    });
                }
                Action::ChangeVisibility(order) => {
                    let (calls, myself) = (self.calls.clone(), myself.clone());
                    tokio::spawn(async move {
                        let answers = calls.change_visibility(&order).await;
                        let _ = myself.cast(QueueMsg::Shown(order.id, answers));
                    });
                }
                Action::Note(attempt) => self.notes.add(*attempt),
                Action::Stopped(_) => stopped = true,
            }
        }
        self.write_history(stopped, myself);
        self.publish(myself);
        if stopped {
            self.tell(ShardEvent::Stopped(StopReason::Drained));
            myself.stop(None);
        }
        Ok(())
    }

    fn receive(&mut self, order: ReceiveOrder, myself: &ActorRef<QueueMsg>) {
        let (cut, cut_short) = oneshot::channel();
        let (calls, myself, id) = (self.calls.clone(), myself.clone(), order.id);
        let task = Owned::spawn(async move {
            let result = calls.receive(order, cut_short).await;
            let _ = myself.cast(QueueMsg::Received(ReceiveReport { id, result }));
        });
        self.receiving.insert(id, (cut, task));
    }

    async fn invoke(
        &mut self,
        order: AttemptOrder,
        myself: &ActorRef<QueueMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let id = order.id;
        let args = (self.job.clone(), order, myself.clone());
        let (worker, _) = myself.spawn_linked(None, QueueWorker, args).await?;
        self.workers.insert(worker.get_id(), id);
        Ok(())
    }

    /// Adds to the history what came up while the last addition was on its way; all of it, if this is the end.
    fn write_history(&mut self, is_last: bool, myself: &ActorRef<QueueMsg>) {
        let Some(attempts) = self.notes.take(is_last) else {
            return;
        };
        let appended = self
            .args
            .context
            .ports
            .ledger
            .append(self.args.mapping.id, attempts);
        let myself = myself.clone();
        tokio::spawn(async move {
            let result = appended.await.map_err(|e| e.to_string());
            let _ = myself.cast(QueueMsg::Noted(result));
        });
    }

    fn note_function(&mut self, unreachable: Option<String>) {
        if unreachable.is_some() || self.unreachable != Some(false) {
            self.unreachable = Some(unreachable.is_some());
            self.tell(ShardEvent::Function(unreachable));
        }
    }

    fn note_queue(&mut self, trouble: Option<String>) {
        self.trouble = Some(trouble.clone());
        self.tell(ShardEvent::Source(trouble));
    }

    /// After every input: memory, counts, health, and the next deadline.
    fn publish(&mut self, myself: &ActorRef<QueueMsg>) {
        let (counters, buffered) = (self.machine.counters(), self.machine.buffered_bytes());
        self.held.set(buffered);
        self.gauge.publish(Reading {
            totals: Totals {
                counters: counters.common(),
                dropped: 0,
                deleted: counters.deleted,
            },
            lag: None,
            buffered_bytes: buffered as u64,
        });
        let now = self.args.context.now();
        if let Some(failed) = self.health.news(self.machine.last_attempt_failed(), now.mono) {
            self.tell(ShardEvent::Health { failed });
        }
        let trouble = self.machine.queue_trouble();
        if trouble != self.trouble.as_ref().and_then(Option::as_deref) {
            self.note_queue(trouble.map(str::to_owned));
        }
        let deadline = self.machine.deadline().into_iter().chain(self.health.due()).min();
        let myself = myself.clone();
        self.timer.set(&self.args.context.ports.clock, deadline, move || {
            let _ = myself.cast(QueueMsg::Tick);
        });
    }

    fn tell(&self, event: ShardEvent) {
        let message = MappingMsg::Shard {
            shard: self.args.place.clone(),
            run: self.args.run,
            event,
        };
        // A supervisor that is gone takes its children with it.
        let _ = self.args.supervisor.cast(message);
    }

    /// Answers from a task of its own: the queue is asked how much is in it.
    fn inspect(&self, reply: RpcReplyPort<ShardInspection>) {
        let activity = if self.draining {
            ShardActivity::Draining
        } else {
            ShardActivity::Running
        };
        let snapshot = self.machine.snapshot(self.args.context.now());
        let mut inspection = ShardInspection::idle(self.args.place.clone(), activity);
        inspection.buffered_bytes = snapshot.buffered_bytes;
        inspection.last_error = snapshot
            .queue_trouble
            .clone()
            .or_else(|| snapshot.function_trouble.clone());
        let Calls { source, clock, .. } = self.calls.clone();
        tokio::spawn(async move {
            let late = clock.sleep_until(clock.now().mono.plus(DEPTH_WITHIN));
            let depth = tokio::select! {
                biased;
                depth = source.depth() => depth.ok(),
                () = late => None,
            };
            inspection.queue = Some(Box::new(QueueInspection { snapshot, depth }));
            let _ = reply.send(inspection);
        });
    }
}
