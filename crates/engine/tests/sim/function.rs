//! Functions: they succeed, fail, report, run out of time or capacity, hang; and what they saw is judged.

use crate::plan::{Behaviour, MappingPlan, Source};
use crate::windows;
use crate::world::{Port, World};
use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::pending;
use millstream_core::verdict::{QueueVerdict, Verdict, queue_verdict, verdict, window_verdict};
use millstream_ports::{Body, InvokeFactory, Invoker, PoolStatus};
use millstream_testkit::{BatchResult, CallResult, Delivery, Event, QueueEvent, raised, report_of_ids};
use millstream_types::{
    Function, FunctionName, Invocation, Lease, MappingId, Mark, Message, Outcome, Payload, Record,
    WindowEnvelope,
};
use std::sync::Arc;
use std::time::Duration;

/// A call that runs.
pub(crate) struct Call {
    pub(crate) of: CallOf,
}

/// What a call is of, and what it does if it comes to its end.
pub(crate) enum CallOf {
    Stream(MappingId, CallResult),
    Queue(usize, BatchResult, Vec<Arc<str>>),
}

/// How a call is to go.
struct Going {
    outcome: Outcome,
    /// None: it never ends.
    after: Option<Duration>,
}

impl World {
    fn begin_call(
        &mut self,
        process: u64,
        function: &FunctionName,
        invocation: &Invocation,
    ) -> Option<(u64, oneshot::Receiver<Outcome>)> {
        self.end_abandoned();
        let plan = self.plan.of_function(function.as_str())?.clone();
        let call = self.number();
        let going = match (&invocation.payload, &invocation.lease, plan.source) {
            (Payload::Records(range), Some(lease), _) => {
                self.begin_of_stream(call, &plan, lease, invocation, range.as_slice())
            }
            (Payload::Messages(messages), None, Source::Queue(queue)) => {
                self.begin_of_queue(call, &plan, queue, invocation, messages)
            }
            _ => {
                self.wrong(format!("{function} was called with what it does not take"));
                return None;
            }
        };
        let (tx, rx) = oneshot::channel();
        match going.after {
            Some(after) => {
                let outcome = going.outcome;
                self.after_in(process, after, move |w| {
                    w.end_call(call);
                    let _gone = tx.send(outcome);
                });
            }
            // Kept until the process is gone, so that it is never answered.
            None => {
                self.seen("hung call");
                self.after_in(process, Duration::from_secs(1_000_000), move |_| drop(tx));
            }
        }
        Some((call, rx))
    }

    fn begin_of_stream(
        &mut self,
        call: u64,
        plan: &MappingPlan,
        lease: &Lease,
        invocation: &Invocation,
        records: &[Record],
    ) -> Going {
        let (mapping, shard) = (lease.mapping, lease.shard.clone());
        let marks: Vec<Mark> = records.iter().map(|r| r.mark).collect();
        self.may_start(mapping, lease, invocation, &marks);
        if let Some(record) = records.iter().find(|r| !plan.wants(&r.partition_key)) {
            let (mark, wants) = (record.mark, plan.wants);
            self.wrong(format!(
                "{mark} of {shard} was sent, and its key does not begin with {wants:?}"
            ));
        }
        let window = invocation.window.as_ref();
        let place = (mapping, shard.clone());
        self.window_begins(call, place, plan.spec.tumbling_window_seconds, window, records);
        let bad: Vec<String> = records
            .iter()
            .filter(|r| self.is_poison(&plan.behaviour, &r.data, plan.may_fail_for_ever()))
            .map(|r| r.mark.seq.to_string())
            .collect();
        let ids: Vec<String> = records.iter().map(|r| r.mark.seq.to_string()).collect();
        let mut going = self.goes(plan, invocation.timeout, &ids, &bad);
        if let Some(window) = window {
            going.outcome = in_window(going.outcome, window, records);
        }
        let reports = plan.spec.report_batch_item_failures;
        let verdict = match window {
            Some(_) => window_verdict(&going.outcome, records, reports, usize::MAX).0,
            None => verdict(&going.outcome, records, reports),
        };
        let result = match verdict {
            Verdict::Done => CallResult::Done,
            Verdict::FailedFrom { index, .. } => CallResult::DoneBefore(index),
            Verdict::Failed { .. } => CallResult::Failed,
            Verdict::Throttled { .. } => CallResult::NotRun,
        };
        let of = CallOf::Stream(mapping, result);
        self.calls.insert(call, Call { of });
        self.note(
            mapping,
            Event::Started {
                call,
                shard,
                request: invocation.request_id,
                attempt: invocation.attempt,
                marks,
            },
        );
        self.most_at_once(mapping, lease);
        going
    }

    /// The rules that a call must keep beside those that the shared judges know.
    fn may_start(&mut self, mapping: MappingId, lease: &Lease, invocation: &Invocation, marks: &[Mark]) {
        let shard = &lease.shard;
        if self.judges.is_stopped(mapping) {
            self.wrong(format!(
                "I15: a call of {shard} started behind the answer to a pause or removal"
            ));
        }
        let key = (mapping, shard.clone());
        if let Some((epoch, at)) = self.store.retired.get(&key)
            && lease.epoch <= *epoch
            && *at < self.now.mono
        {
            self.wrong(format!(
                "I6: a call of {shard} at epoch {}, whose owner was told that it has no lease, or that nobody knows",
                lease.epoch.0
            ));
        }
        let failed = invocation.attempt.saturating_sub(1);
        let (request, first) = (invocation.request_id, marks.first().copied());
        if failed > 0 && !self.is_counted((mapping, shard), request, first, failed) {
            self.wrong(format!(
                "I9, I14: attempt {} of {request} of {shard}, and that {failed} have failed is not synced",
                invocation.attempt
            ));
        }
        let Some(judge) = self.judges.streams.get_mut(&mapping) else {
            return;
        };
        if marks.len() > judge.allowed.batch {
            let most = judge.allowed.batch;
            let n = marks.len();
            return self.wrong(format!(
                "a batch of {n} records of {shard}, of which there may be {most}"
            ));
        }
        let attempt = invocation.attempt;
        let before = judge.attempts.insert(request, (attempt, lease.epoch));
        if before.is_some_and(|(n, epoch)| n < attempt && epoch != lease.epoch) {
            self.seen("attempt counted on over a restart");
        }
        if before.is_some_and(|(n, epoch)| n == attempt && epoch == lease.epoch) {
            self.seen("throttled batch sent again");
        }
        let infos = self
            .judges
            .streams
            .get(&mapping)
            .map(|j| self.streams[j.stream].state.infos());
        let child = infos.into_iter().flatten().find(|i| i.id == *shard);
        if child.is_some_and(|i| i.parents().count() == 2) {
            self.seen("child of a merge started");
        }
    }

    /// I12 of streams: a lane has one batch in flight.
    fn most_at_once(&mut self, mapping: MappingId, lease: &Lease) {
        let running = self.judges.running_of(mapping, &lease.shard);
        let Some(judge) = self.judges.streams.get(&mapping) else {
            return;
        };
        let lanes = usize::from(judge.allowed.lanes);
        if running > lanes {
            self.wrong(format!(
                "I12: {running} calls of {} at once, with {lanes} lanes",
                lease.shard
            ));
        }
    }

    fn begin_of_queue(
        &mut self,
        call: u64,
        plan: &MappingPlan,
        queue: usize,
        invocation: &Invocation,
        messages: &[Message],
    ) -> Going {
        self.queue_may_start(queue, messages);
        let group = |m: &Message| m.system.group.clone().unwrap_or_default();
        if let Some(message) = messages.iter().find(|m| !plan.wants(group(m).as_bytes())) {
            let (id, wants) = (&message.id, plan.wants);
            self.wrong(format!(
                "message {id} was sent, and is not of the group {wants:?}"
            ));
        }
        let ends = self.plan.queues[queue].max_receives.is_some();
        let bad: Vec<String> = messages
            .iter()
            .filter(|m| self.is_poison(&plan.behaviour, &m.body, !ends))
            .map(|m| m.id.to_string())
            .collect();
        let ids: Vec<String> = messages.iter().map(|m| m.id.to_string()).collect();
        let going = self.goes(plan, invocation.timeout, &ids, &bad);
        let result = match queue_verdict(&going.outcome, messages, plan.spec.report_batch_item_failures) {
            QueueVerdict::Done => BatchResult::Done,
            QueueVerdict::Partial { failed } => BatchResult::DoneBut(failed),
            QueueVerdict::Failed { .. } => BatchResult::Failed,
            QueueVerdict::Throttled { .. } => BatchResult::NotRun,
        };
        let of = CallOf::Queue(queue, result, messages.iter().map(|m| m.id.clone()).collect());
        self.calls.insert(call, Call { of });
        let messages = messages.iter().map(Delivery::of).collect();
        self.note_queue(queue, QueueEvent::Started { call, messages });
        let running = self.calls_of_queue(queue);
        if self.judges.queues[queue].allowed.most == Some(running) {
            self.seen("most batches in flight");
        }
        going
    }

    fn queue_may_start(&mut self, queue: usize, messages: &[Message]) {
        let judge = &self.judges.queues[queue];
        let (most, panics) = (judge.allowed.batch, judge.panics);
        if judge.mapping.is_some_and(|m| self.judges.is_stopped(m)) {
            self.wrong(
                "I15: a batch of messages was sent behind the answer to a pause or removal".to_owned(),
            );
        }
        if messages.len() > most {
            let n = messages.len();
            self.wrong(format!("a batch of {n} messages, of which there may be {most}"));
        }
        let plan = &self.plan.queues[queue];
        // An extension that takes its time comes in time only where there is much of it.
        let in_time = self.plan.faults.slow == 0 || plan.visibility >= 30;
        let clean = plan.clean && in_time && !panics;
        for message in messages {
            if message.system.receive_count > 1 {
                self.seen("message received again");
            }
            let done = self.judges.queues[queue].done.contains(&message.id);
            let runs = self.calls.values().any(
                |c| matches!(&c.of, CallOf::Queue(q, _, ids) if *q == queue && ids.contains(&message.id)),
            );
            let doubtful = self.judges.queues[queue].doubtful.contains(&message.id);
            if clean && !doubtful && (done || runs) {
                let what = if done {
                    "after its success"
                } else {
                    "while it is being handled"
                };
                self.wrong(format!(
                    "I11: message {} was sent again {what}, and nothing had gone wrong",
                    message.id
                ));
            }
        }
    }

    /// Whether the function cannot take it: for ever, or where nothing ends that as long as things go wrong.
    fn is_poison(&self, behaviour: &Behaviour, data: &[u8], only_in_chaos: bool) -> bool {
        let number: u64 = std::str::from_utf8(data)
            .ok()
            .and_then(|t| t.parse().ok())
            .unwrap_or(0);
        let bad = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000 < behaviour.poison;
        bad && (!only_in_chaos || self.chaotic())
    }

    fn goes(&mut self, plan: &MappingPlan, timeout: Duration, ids: &[String], bad: &[String]) -> Going {
        let b = plan.behaviour;
        let longest = b
            .call_ms
            .min(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let took = Duration::from_millis(self.rng.between(0, longest));
        let ends = |outcome, after| Going {
            outcome,
            after: Some(after),
        };
        if self.trouble(b.hang) {
            let outcome = Outcome::Timeout { after: timeout };
            return Going { outcome, after: None };
        }
        if self.trouble(b.timeout) {
            self.seen("timeout");
            return ends(Outcome::Timeout { after: timeout }, timeout);
        }
        if self.trouble(b.throttle) {
            self.seen("throttled");
            let asked = Duration::from_millis(self.rng.between(1, 2_000));
            let retry_after = self.rng.per_mille(300).then_some(asked);
            return ends(Outcome::Throttled { retry_after }, Duration::ZERO);
        }
        if self.trouble(b.unreachable) {
            let reason = "so it is simulated".to_owned();
            return ends(Outcome::Unreachable { reason }, Duration::ZERO);
        }
        if self.trouble(b.error) {
            return ends(raised("Simulated"), took);
        }
        if self.trouble(b.garbage) {
            return ends(
                Outcome::Response(Bytes::from_static(b"{\"batchItemFailures\":[{}]}")),
                took,
            );
        }
        let mut bad: Vec<&str> = bad.iter().map(String::as_str).collect();
        if bad.is_empty() && plan.spec.report_batch_item_failures && self.trouble(b.partial) {
            bad.extend(self.rng.pick(ids).map(String::as_str));
        }
        let outcome = match bad.is_empty() {
            true => Outcome::Response(Bytes::from_static(b"{}")),
            false if plan.spec.report_batch_item_failures => report_of_ids(&bad),
            false => raised("Poison"),
        };
        ends(outcome, took)
    }

    /// The function is done, as it was to be.
    pub(crate) fn end_call(&mut self, call: u64) {
        let Some(ended) = self.calls.remove(&call) else {
            return;
        };
        let succeeded = matches!(ended.of, CallOf::Stream(_, CallResult::Done));
        self.window_ends(call, succeeded);
        match ended.of {
            CallOf::Stream(mapping, result) => self.note(mapping, Event::Ended { call, result }),
            CallOf::Queue(queue, result, ids) => {
                self.queue_done(queue, &result, &ids);
                self.note_queue(queue, QueueEvent::Ended { call, result });
            }
        }
    }

    fn queue_done(&mut self, queue: usize, result: &BatchResult, ids: &[Arc<str>]) {
        let failed: &[usize] = match result {
            BatchResult::Done => &[],
            BatchResult::DoneBut(failed) => {
                self.seen("partial report of a batch of messages");
                failed
            }
            BatchResult::Failed | BatchResult::NotRun => return,
        };
        for (_, id) in ids.iter().enumerate().filter(|(at, _)| !failed.contains(at)) {
            if !self.judges.queues[queue].done.insert(id.clone()) {
                self.seen("message succeeded again");
            }
        }
    }

    /// Nobody waits for the call any more.
    fn abandon_call(&mut self, call: u64) {
        if self.calls.contains_key(&call) {
            self.abandoned.insert(call);
        }
    }

    /// Calls that nobody waits for have failed. In the order of their beginning: actors kill their children in an order
    /// that a random hasher chose.
    pub(crate) fn end_abandoned(&mut self) {
        for call in std::mem::take(&mut self.abandoned) {
            match self.calls.get_mut(&call).map(|c| &mut c.of) {
                Some(CallOf::Stream(_, result)) => *result = CallResult::Failed,
                Some(CallOf::Queue(_, result, _)) => *result = BatchResult::Failed,
                None => {}
            }
            self.end_call(call);
        }
    }

    /// The process is gone: some of its calls end well all the same, and nobody hears of it.
    pub(crate) fn calls_unheard(&mut self) {
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        for call in calls {
            if self.rng.per_mille(500) {
                self.seen("call that ended well, unheard");
                self.end_call(call);
            }
        }
        self.calls.clear();
    }

    pub(crate) fn calls_of_queue(&self, queue: usize) -> usize {
        let of = |c: &&Call| matches!(c.of, CallOf::Queue(q, ..) if q == queue);
        self.calls.values().filter(of).count()
    }

    pub(crate) fn calls_of(&self, mapping: MappingId) -> usize {
        let queue = self.judges.queues.iter().position(|q| q.mapping == Some(mapping));
        let of = |c: &&Call| match c.of {
            CallOf::Stream(m, _) => m == mapping,
            CallOf::Queue(q, ..) => Some(q) == queue,
        };
        self.calls.values().filter(of).count()
    }
}

/// What a function that keeps a state answers instead.
fn in_window(outcome: Outcome, window: &WindowEnvelope, records: &[Record]) -> Outcome {
    let Outcome::Response(body) = &outcome else {
        return outcome;
    };
    let text = String::from_utf8_lossy(body);
    if text.contains("[{}]") {
        return outcome;
    }
    let failed: Vec<&str> = text
        .split(r#""itemIdentifier":""#)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let fails = |r: &&Record| failed.contains(&r.mark.seq.to_string().as_str());
    let done = records.iter().position(|r| fails(&r)).unwrap_or(records.len());
    Outcome::Response(windows::answer(window, &records[..done], &failed))
}

impl MappingPlan {
    /// Whether nothing ends the retries of a record.
    fn may_fail_for_ever(&self) -> bool {
        self.spec.max_retry_attempts < 0 && self.spec.max_record_age_seconds < 0
    }
}

/// Makes functions for one process.
pub(crate) struct SimFunctions(pub(crate) Port);

impl InvokeFactory for SimFunctions {
    fn invoker(&self, function: &Function) -> Result<Arc<dyn Invoker>, String> {
        Ok(Arc::new(SimFunction {
            port: self.0.clone(),
            name: function.name.clone(),
        }))
    }
}

struct SimFunction {
    port: Port,
    name: FunctionName,
}

/// Dropped when the call has ended, or when nobody waits for it any more.
struct Waits(Port, u64);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.with(|w| w.abandon_call(self.1));
    }
}

#[async_trait]
impl Invoker for SimFunction {
    fn body(&self) -> Body {
        Body::Records
    }

    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let process = self.port.process;
        let begun = self.port.with(|w| w.begin_call(process, &self.name, &invocation));
        let Some((call, ended)) = begun.flatten() else {
            return pending().await;
        };
        let _waits = Waits(self.port.clone(), call);
        match ended.await {
            Ok(outcome) => outcome,
            Err(_) => pending().await,
        }
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    async fn close(&self) {}
}
