//! Runs one attempt of one batch, reports it, and ends.

use super::consumer::ShardMsg;
use crate::attempt::{Judged, Observer, Running};
use crate::context::Context;
use crate::functions::Callee;
use crate::session::HeldLease;
use bytes::Bytes;
use millstream_core::event::EventShape;
use millstream_core::mutant::{self, Mutant};
use millstream_core::shard::{AttemptOrder, AttemptReport, AttemptToken};
use millstream_core::verdict::{Verdict, verdict, window_verdict};
use millstream_ports::Body;
use millstream_telemetry::attempt::Call;
use millstream_telemetry::origin::Origin;
use millstream_types::{Invocation, MappingName, Now, Outcome, Payload, TraceContext};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::time::Duration;

/// Beyond a function's timeout, how long a target may take to answer before it is taken for hung.
const TARGET_GRACE: Duration = Duration::from_secs(15);

/// What all attempts of one shard have in common.
pub(super) struct Job {
    pub(super) context: Arc<Context>,
    pub(super) mapping: MappingName,
    pub(super) callee: Callee,
    pub(super) function_arn: Arc<str>,
    pub(super) report_item_failures: bool,
    pub(super) shape: Arc<EventShape>,
    /// Most bytes of an event.
    pub(super) event_bytes: usize,
    pub(super) lease: HeldLease,
    pub(super) observer: Observer,
}

/// One attempt.
pub(super) struct BatchWorker;

impl Actor for BatchWorker {
    type Msg = ();
    type State = Option<(Arc<Job>, AttemptOrder, ActorRef<ShardMsg>)>;
    type Arguments = (Arc<Job>, AttemptOrder, ActorRef<ShardMsg>);

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(args))
    }

    /// The one thing this actor does; only a kill interrupts it, which is what its supervisor uses.
    async fn post_start(
        &self,
        myself: ActorRef<()>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((job, order, consumer)) = state.take() {
            crate::failpoint::hit("batch_worker.start", job.mapping.as_str());
            // A consumer that is gone needs no report: its successor reads the shard's record.
            let _ = consumer.cast(match attempt(&job, order).await {
                Attempted::Ended(report, missing) => ShardMsg::Attempt(report, missing),
                Attempted::Held(token) => ShardMsg::Held(token),
            });
        }
        myself.stop(None);
        Ok(())
    }
}

/// What became of an order.
enum Attempted {
    /// It was carried out, and so it ended; with the reason if the function could not be called at all.
    Ended(AttemptReport, Option<String>),
    /// The mapping's gate was closed: nothing happened.
    Held(AttemptToken),
}

/// Runs the attempt.
async fn attempt(job: &Job, order: AttemptOrder) -> Attempted {
    let now = job.context.now();
    let report = |verdict| AttemptReport {
        token: order.token,
        verdict,
        started: now.wall,
        state: None,
    };
    if !job.lease.check(now) {
        return Attempted::Ended(report(Verdict::Throttled { retry_after: None }), None);
    }
    let pool = match job.callee.pool(&job.context) {
        Ok(pool) => pool,
        Err(why) => return Attempted::Ended(report(Verdict::Throttled { retry_after: None }), Some(why)),
    };
    let payload = match pool.invoker.body() {
        Body::Records => Payload::Records(order.batch.clone()),
        Body::Json => Payload::Json(encode(&job.shape, &order)),
    };
    let mut invocation = Invocation {
        function_arn: job.function_arn.clone(),
        payload,
        window: order.window.clone(),
        request_id: order.request_id,
        attempt: order.attempt,
        timeout: pool.timeout,
        trace: None,
        idempotency_key: idempotency_key(job, &order),
        mapping: Some(job.lease.lease.mapping),
        lease: Some(job.lease.lease.clone()),
    };
    let clock = &job.context.ports.clock;
    let hung = clock.sleep_until(now.mono.plus(pool.timeout).plus(TARGET_GRACE));
    let ignored = mutant::on(Mutant::PauseIgnored);
    if !job.context.gates.pass(job.lease.lease.mapping) && !ignored {
        return Attempted::Held(order.token);
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
    let records = order.batch.as_slice();
    let (verdict, state) = judge(job, &order, &outcome);
    let judged = Judged::of_shard(&outcome, &verdict, records.len());
    running.end(&outcome, &judged, job.context.now().mono);
    let report = AttemptReport {
        state,
        ..report(verdict)
    };
    Attempted::Ended(report, unreachable)
}

/// What the outcome means, and in a window the state that it left.
fn judge(job: &Job, order: &AttemptOrder, outcome: &Outcome) -> (Verdict, Option<Bytes>) {
    let records = order.batch.as_slice();
    match &order.window {
        None => (verdict(outcome, records, job.report_item_failures), None),
        Some(window) => {
            // A state for which there is no room in an event without records could never be given back.
            let around = EventShape::ENVELOPE_LEN + job.shape.window_len(window) - window.state.len();
            let most = job.event_bytes.saturating_sub(around);
            window_verdict(outcome, records, job.report_item_failures, most)
        }
    }
}

/// Begins what is observed of the attempt: it is sent now.
fn observe<'a>(job: &'a Job, order: &AttemptOrder, now: Now) -> (Running<'a>, Option<TraceContext>) {
    let records = order.batch.as_slice();
    if let Some(last) = records.last() {
        let age = Duration::from_millis(now.wall.0.saturating_sub(last.arrival.0));
        job.observer.meter.age.observe(age.as_secs_f64());
    }
    job.observer.meter.waited(order.waited);
    let call = Call {
        request_id: order.request_id,
        attempt: order.attempt,
        records: records.len(),
        lane: Some(order.token.lane),
    };
    let origins = records.iter().map(Origin::of_record);
    job.observer.begin(&call, origins, now.mono)
}

fn encode(shape: &EventShape, order: &AttemptOrder) -> Bytes {
    let (records, window) = (order.batch.as_slice(), order.window.as_ref());
    let records_len = EventShape::event_len(records.iter().map(|r| shape.record_len(r)));
    let mut out = Vec::with_capacity(records_len + window.map_or(0, |w| shape.window_len(w)));
    shape.encode(records, window, &mut out);
    out.into()
}

/// The same for every attempt of the same records. What ends a window has none: it is told by the window, and by the
/// record behind which it comes, as a window can end early more than once.
fn idempotency_key(job: &Job, order: &AttemptOrder) -> Arc<str> {
    let lease = &job.lease.lease;
    let (mapping, shard) = (&lease.mapping, &lease.shard);
    let records = order.batch.as_slice();
    match (records.first(), records.last(), &order.window) {
        (Some(first), Some(last), _) => format!("{mapping}/{shard}/{}-{}", first.mark, last.mark).into(),
        (_, _, Some(window)) => {
            let after = order.after.map_or_else(String::new, |mark| mark.to_string());
            format!("{mapping}/{shard}/window-{}-{after}", window.start.0).into()
        }
        _ => format!("{mapping}/{shard}/empty").into(),
    }
}
