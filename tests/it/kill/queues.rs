//! A standard and a FIFO queue with a mapping each, under the same kills: what is sent, and what must have become of it.

use super::operator::{self, Pause};
use super::{Lives, Nanos, QUIET_WITHIN, alive, now};
use crate::client::{Client, mapping_of_queue, message, test_function};
use crate::function::{self, Call, calls};
use crate::server::Server;
use crate::wait::until;
use millstream_api::v1;
use millstream_testkit::check::queue::QueueCheckers;
use millstream_testkit::{BatchResult, Delivery, QueueEvent, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Long enough for any batch on a busy machine, short enough for what a kill leaves in flight to come back soon.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(5);
const VISIBILITY: i32 = 5;
/// A kill costs a receive: the good ones are to survive several.
const MAX_RECEIVES: i32 = 8;
/// Of the standard queue's mapping (I12).
const MAXIMUM_CONCURRENCY: i32 = 2;
const BATCH: i32 = 10;
/// Before and after the function's work, in ms.
const LINGER: &str = "4";
const GROUPS: u64 = 40;
const PAUSE: Duration = Duration::from_millis(25);
/// Of a thousand messages so many always fail.
const FAILING: u64 = 15;
const FAILURES: [&str; 4] = ["report", "report", "report", "throw"];

/// Which kind of queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    queue: &'static str,
    dead: &'static str,
    mapping: &'static str,
    fifo: bool,
}

/// Both of them.
pub(super) const KINDS: [Kind; 2] = [
    Kind {
        queue: "tasks",
        dead: "tasks-dead",
        mapping: "tasks",
        fifo: false,
    },
    Kind {
        queue: "moves.fifo",
        dead: "moves-dead.fifo",
        mapping: "moves",
        fifo: true,
    },
];

/// A run under way.
pub(super) struct Running {
    kind: Kind,
    producer: JoinHandle<Vec<Sent>>,
    operator: JoinHandle<Vec<Pause>>,
}

/// What was done to a queue and its mapping.
pub(super) struct Run {
    kind: Kind,
    sent: Vec<Sent>,
    pauses: Vec<Pause>,
}

/// An acknowledged message.
#[derive(Clone, Debug)]
struct Sent {
    at: Nanos,
    id: Arc<str>,
    body: String,
    group: Option<Arc<str>>,
}

impl Kind {
    pub(super) async fn set_up(self, server: &Server, client: &Client) {
        client.create_queue(self.dead, v1::Queue::default()).await;
        let settings = v1::Queue {
            visibility_timeout_seconds: Some(VISIBILITY),
            redrive_policy: Some(v1::RedrivePolicy {
                dead_letter_queue: self.dead.to_owned(),
                max_receive_count: MAX_RECEIVES,
            }),
            ..Default::default()
        };
        client.create_queue(self.queue, settings).await;
        let mut command = test_function(&self.journal(server), "seq");
        command.push(LINGER.to_owned());
        client
            .create_function(self.mapping, &command, FUNCTION_TIMEOUT, 8)
            .await;
        let settings = v1::Mapping {
            batch_size: Some(BATCH),
            function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
            scaling_config: (!self.fifo).then_some(v1::ScalingConfig {
                maximum_concurrency: Some(MAXIMUM_CONCURRENCY),
            }),
            ..mapping_of_queue(self.queue, self.mapping)
        };
        client.create_mapping(self.mapping, settings).await;
    }

    fn journal(self, server: &Server) -> std::path::PathBuf {
        server.dir().join(format!("calls-{}", self.mapping))
    }

    pub(super) fn run(self, rng: &mut Rng, lives: &Lives, stopping: &watch::Receiver<bool>) -> Running {
        let mut rng = || Rng::new(rng.next_u64());
        Running {
            kind: self,
            producer: tokio::spawn(self.produce(rng(), lives.clone(), stopping.clone())),
            operator: tokio::spawn(operator::run_pauses(
                self.mapping,
                rng(),
                lives.clone(),
                stopping.clone(),
            )),
        }
    }

    /// Sends all the time, and repeats what may not have been stored: of a FIFO queue under the same id.
    async fn produce(self, mut rng: Rng, mut lives: Lives, stopping: watch::Receiver<bool>) -> Vec<Sent> {
        let (mut sent, mut next) = (Vec::new(), 0u64);
        while !*stopping.borrow() {
            let mut pending: Vec<v1::SendMessagesEntry> = Vec::new();
            for _ in 0..rng.between(1, 10) {
                pending.push(self.entry(next, &mut rng));
                next += 1;
            }
            while !pending.is_empty() {
                let client = alive(&mut lives).await;
                let results = client.send(self.queue, pending.clone()).await.unwrap_or_default();
                if results.is_empty() {
                    sleep(PAUSE).await;
                }
                let mut again = Vec::new();
                for (n, entry) in pending.into_iter().enumerate() {
                    match results.get(n).filter(|r| r.error_code.is_empty()) {
                        Some(stored) => sent.push(Sent {
                            at: now(),
                            id: stored.message_id.as_str().into(),
                            body: entry.body,
                            group: self.fifo.then(|| entry.message_group_id.into()),
                        }),
                        None => again.push(entry),
                    }
                }
                // A later message of a group must not be stored before an earlier one is.
                pending = again;
            }
            sleep(PAUSE).await;
        }
        sent
    }

    fn entry(self, id: u64, rng: &mut Rng) -> v1::SendMessagesEntry {
        let failure = rng.per_mille(FAILING).then(|| rng.pick(&FAILURES)).flatten();
        let mut entry = message(failure.map_or_else(|| id.to_string(), |f| format!("{id} {f}")));
        if self.fifo {
            entry.message_group_id = format!("group-{}", rng.between(1, GROUPS));
            entry.message_deduplication_id = id.to_string();
        }
        entry
    }
}

impl Running {
    pub(super) async fn finish(self) -> Run {
        Run {
            kind: self.kind,
            sent: self.producer.await.unwrap(),
            pauses: self.operator.await.unwrap(),
        }
    }
}

fn is_empty(queue: &v1::Queue) -> bool {
    let depth = queue.depth.unwrap_or_default();
    depth.visible_messages + depth.hidden_messages + depth.delayed_messages == 0
}

impl Run {
    /// # Panics
    /// If anything is not as it must be.
    pub(super) async fn judge(&self, client: &Client, server: &Server, lost: &[Nanos]) {
        let kind = self.kind;
        until("the queue to be empty", QUIET_WITHIN, async || {
            let queue = client.queue(kind.queue).await.ok()?;
            is_empty(&queue).then_some(())
        })
        .await;
        let dead = client.peek_all(kind.dead).await;
        let calls = calls(&kind.journal(server));
        self.failing_messages_are_dead_letters(&dead);
        self.every_send_is_one_message(&calls, &dead);
        let events = self.events(&calls, &dead, lost);
        let mut checkers = QueueCheckers::default();
        for (_, event) in &events {
            if let Err(violation) = checkers.observe(event) {
                panic!("{}: {violation}: {event:?}", kind.queue);
            }
        }
        if let Err(violations) = checkers.finish() {
            panic!("{}: {violations:#?}", kind.queue);
        }
        let history = checkers.history();
        println!(
            "{}: {} messages, {} dead letters, {} repetitions in {} losses, {} pauses, {} calls at once",
            kind.queue,
            history.sent(),
            history.dead_lettered(),
            history.duplicates(),
            lost.len(),
            self.pauses.len(),
            history.peak(),
        );
        if !kind.fifo {
            assert_eq!(
                history.peak(),
                MAXIMUM_CONCURRENCY as usize,
                "MaximumConcurrency is reached, and kept"
            );
        }
    }

    fn failing_messages_are_dead_letters(&self, dead: &[v1::QueueMessage]) {
        let dead: BTreeSet<&str> = dead.iter().map(|m| m.message_id.as_str()).collect();
        let failing = self.sent.iter().filter(|m| m.body.contains(' '));
        let missing: Vec<_> = failing.filter(|m| !dead.contains(&*m.id)).take(3).collect();
        assert!(
            missing.is_empty(),
            "failed for ever, and are no dead letters: {missing:?}"
        );
    }

    /// A send that was repeated made one message of a FIFO queue, and every acknowledged message was delivered.
    fn every_send_is_one_message(&self, calls: &[Call], dead: &[v1::QueueMessage]) {
        let delivered = calls
            .iter()
            .flat_map(|call| &call.records)
            .map(|record| delivery(record).message);
        let mut seen: BTreeSet<Arc<str>> = delivered.collect();
        seen.extend(dead.iter().map(|m| Arc::from(m.message_id.as_str())));
        let sent: BTreeSet<Arc<str>> = self.sent.iter().map(|m| m.id.clone()).collect();
        let never: Vec<_> = sent.difference(&seen).take(3).collect();
        assert!(never.is_empty(), "never delivered: {never:?}");
        if self.kind.fifo {
            let extra: Vec<_> = seen.difference(&sent).take(3).collect();
            assert!(extra.is_empty(), "deduplication let through: {extra:?}");
            assert_eq!(sent.len(), self.sent.len(), "two sends have one id");
        }
    }

    fn events(&self, calls: &[Call], dead: &[v1::QueueMessage], lost: &[Nanos]) -> Vec<(Nanos, QueueEvent)> {
        let limit = (!self.kind.fifo).then_some(MAXIMUM_CONCURRENCY as usize);
        let mut events = vec![(
            0,
            QueueEvent::Configured {
                most_in_flight: limit,
                max_receives: Some(MAX_RECEIVES as u32),
            },
        )];
        self.add_sends(&mut events, calls);
        for (n, call) in calls.iter().enumerate() {
            let messages = call.records.iter().map(|record| delivery(record)).collect();
            let n = n as u64;
            events.push((call.began, QueueEvent::Started { call: n, messages }));
            if let Some((at, result)) = &call.ended {
                let result = result_of(result);
                events.push((*at, QueueEvent::Ended { call: n, result }));
            }
        }
        for pause in &self.pauses {
            events.push((pause.answered, QueueEvent::Pausing));
            events.push((pause.from, QueueEvent::Paused));
            events.push((pause.to, QueueEvent::Resumed));
        }
        events.extend(lost.iter().map(|at| (*at, QueueEvent::Lost)));
        add_ends(&mut events, calls, dead, now());
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// Sends in their order; a message that the function saw before its send was acknowledged, or whose
    /// acknowledgement was lost, was sent before that.
    fn add_sends(&self, events: &mut Vec<(Nanos, QueueEvent)>, calls: &[Call]) {
        let mut first: BTreeMap<Arc<str>, Nanos> = BTreeMap::new();
        for call in calls {
            for record in &call.records {
                first.entry(delivery(record).message).or_insert(call.began);
            }
        }
        let acknowledged: BTreeSet<_> = self.sent.iter().map(|m| m.id.clone()).collect();
        let mut latest = Nanos::MAX;
        let mut sends = Vec::new();
        // From the last one back: none is later than one behind it.
        for one in self.sent.iter().rev() {
            let seen = first.get(&one.id).map_or(Nanos::MAX, |at| at - 1);
            latest = latest.min(one.at).min(seen);
            let (message, group) = (one.id.clone(), one.group.clone());
            sends.push((latest, QueueEvent::Sent { message, group }));
        }
        events.extend(sends.into_iter().rev());
        for (message, at) in first {
            if !acknowledged.contains(&message) {
                events.push((at - 1, QueueEvent::Sent { message, group: None }));
            }
        }
    }
}

/// What is not in the dead-letter queue is gone: the queue is empty. When a message moved there is not known: at the
/// soonest when its last call ended.
fn add_ends(events: &mut Vec<(Nanos, QueueEvent)>, calls: &[Call], dead: &[v1::QueueMessage], end: Nanos) {
    let dead = dead.iter().map(|m| (Arc::from(m.message_id.as_str()), end));
    let mut dead: BTreeMap<Arc<str>, Nanos> = dead.collect();
    let mut gone = BTreeSet::new();
    for call in calls {
        let ended = call.ended.as_ref().map_or(call.began, |(at, _)| *at) + 1;
        for message in call.records.iter().map(|record| delivery(record).message) {
            match dead.get_mut(&message) {
                Some(at) => *at = ended,
                None => drop(gone.insert(message)),
            }
        }
    }
    events.extend(
        gone.into_iter()
            .map(|message| (end, QueueEvent::Gone { message })),
    );
    for (message, at) in dead {
        let receives = None;
        events.push((at, QueueEvent::DeadLettered { message, receives }));
    }
}

/// `MESSAGE*RECEIVES`.
fn delivery(record: &str) -> Delivery {
    let (message, receives) = record.split_once('*').unwrap();
    Delivery {
        message: message.into(),
        receives: receives.parse().unwrap(),
    }
}

fn result_of(result: &function::Result) -> BatchResult {
    match result {
        function::Result::Done => BatchResult::Done,
        function::Result::But(failed) => BatchResult::DoneBut(failed.clone()),
        function::Result::Before(_) | function::Result::Failed => BatchResult::Failed,
    }
}
