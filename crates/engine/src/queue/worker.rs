//! Runs one attempt of one batch of messages, reports it, and ends.

use super::consumer::QueueMsg;
use crate::attempt::{Judged, Observer, Running};
use crate::context::Context;
use crate::functions::Callee;
use millstream_core::event::QueueEventShape;
use millstream_core::mutant::{self, Mutant};
use millstream_core::queue::{AttemptOrder, AttemptReport};
use millstream_core::verdict::{QueueVerdict, queue_verdict};
use millstream_ports::Body;
use millstream_telemetry::attempt::Call;
use millstream_telemetry::origin::Origin;
use millstream_types::{Invocation, MappingId, MappingName, Message, Now, Outcome, Payload, TraceContext};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::time::Duration;

/// Beyond a function's timeout, how long a target may take to answer before it is taken for hung.
const TARGET_GRACE: Duration = Duration::from_secs(15);

/// What all attempts of one queue have in common.
pub(super) struct Job {
    pub(super) context: Arc<Context>,
    pub(super) mapping: MappingName,
    pub(super) id: MappingId,
    pub(super) callee: Callee,
    pub(super) function_arn: Arc<str>,
    pub(super) report_item_failures: bool,
    pub(super) shape: Arc<QueueEventShape>,
    pub(super) observer: Observer,
}

/// One attempt.
pub(super) struct QueueWorker;

impl Actor for QueueWorker {
    type Msg = ();
    type State = Option<(Arc<Job>, AttemptOrder, ActorRef<QueueMsg>)>;
    type Arguments = (Arc<Job>, AttemptOrder, ActorRef<QueueMsg>);

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(args))
    }

    async fn post_start(
        &self,
        myself: ActorRef<()>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((job, order, consumer)) = state.take() {
            crate::failpoint::hit("queue_worker.start", job.mapping.as_str());
            // A consumer that is gone needs no report: the messages come again when their visibility timeout ends.
            let _ = consumer.cast(attempt(&job, order).await);
        }
        myself.stop(None);
        Ok(())
    }
}

/// Runs the attempt, and tells what its consumer is told.
async fn attempt(job: &Job, order: AttemptOrder) -> QueueMsg {
    let now = job.context.now();
    let report = |verdict| AttemptReport {
        id: order.id,
        verdict,
        started: now.wall,
    };
    if !job.context.session.is_valid(now.mono) {
        return QueueMsg::Held(order.id);
    }
    let pool = match job.callee.pool(&job.context) {
        Ok(pool) => pool,
        Err(why) => {
            let missing = QueueVerdict::Throttled {
                retry_after: None,
                unreachable: Some(why.clone()),
            };
            return QueueMsg::Attempt(report(missing), Some(why));
        }
    };
    let payload = match pool.invoker.body() {
        Body::Records => Payload::Messages(order.messages.clone()),
        Body::Json => Payload::Json(job.shape.encode(&order.messages)),
    };
    let mut invocation = Invocation {
        function_arn: job.function_arn.clone(),
        payload,
        window: None,
        request_id: order.request_id,
        attempt: receives(&order.messages),
        timeout: pool.timeout,
        trace: None,
        idempotency_key: idempotency_key(job, &order.messages),
        mapping: Some(job.id),
        lease: None,
    };
    let clock = &job.context.ports.clock;
    let hung = clock.sleep_until(now.mono.plus(pool.timeout).plus(TARGET_GRACE));
    if !job.context.gates.pass(job.id) && !mutant::on(Mutant::PauseIgnored) {
        // Held until the drain that follows the closing of the gate gives the messages back.
        return QueueMsg::Held(order.id);
    }
    let (running, trace) = observe(job, &order, now);
    invocation.trace = trace;
    let outcome = tokio::select! {
        biased;
        outcome = pool.invoker.invoke(invocation) => outcome,
        () = hung => Outcome::Timeout { after: pool.timeout },
    };
    let unreachable = match &outcome {
        Outcome::Unreachable { reason } => Some(reason.clone()),
        _ => None,
    };
    let verdict = queue_verdict(&outcome, &order.messages, job.report_item_failures);
    let judged = Judged::of_queue(&outcome, &verdict, order.messages.len());
    running.end(&outcome, &judged, job.context.now().mono);
    QueueMsg::Attempt(report(verdict), unreachable)
}

/// Begins what is observed of the attempt: it is sent now.
fn observe<'a>(job: &'a Job, order: &AttemptOrder, now: Now) -> (Running<'a>, Option<TraceContext>) {
    let messages = &order.messages;
    job.observer.meter.waited(order.waited);
    let call = Call {
        request_id: order.request_id,
        attempt: receives(messages),
        records: messages.len(),
        lane: None,
    };
    let origins = messages.iter().map(Origin::of_message);
    let (running, trace) = job.observer.begin(&call, origins, now.mono);
    if let Some(span) = running.span() {
        let of_fifo = messages.iter().filter(|m| m.system.fifo.is_some());
        span.message_groups(of_fifo.filter_map(|m| m.system.group.as_deref()));
    }
    (running, trace)
}

/// A queue counts attempts per message; a batch is at the attempt of its message that was received most often.
fn receives(messages: &[Message]) -> u32 {
    let counts = messages.iter().map(|m| m.system.receive_count);
    counts.max().unwrap_or(1).max(1)
}

/// Batches are put together anew on every receive, so only a batch of one has a key that comes again.
fn idempotency_key(job: &Job, messages: &[Message]) -> Arc<str> {
    match messages {
        [] => format!("{}/empty", job.id).into(),
        [one] => format!("{}/{}", job.id, one.id).into(),
        [first, .., last] => format!("{}/{}..{}/{}", job.id, first.id, last.id, messages.len()).into(),
    }
}
