//! `kill -9` in the middle of the work on queues that are not ours: every message is processed, and groups keep their
//! order.
//!
//! `MILLSTREAM_SQS_MESSAGES` sets how many messages go through each of the two queues, `MILLSTREAM_SEED` repeats the
//! chances of a run (not its timing). The queues never hold more than a thousand: the server slows down beyond.

use crate::client::{Client, test_function};
use crate::function::{self, Call, calls};
use crate::ministack::{Ministack, arn};
use crate::server::Server;
use crate::wait::until;
use millstream_api::v1;
use millstream_testkit::check::queue::QueueCheckers;
use millstream_testkit::{BatchResult, Delivery, QueueEvent, Rng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const KILLS: u64 = 5;
const DEFAULT_MESSAGES: u64 = 2_000;
const GROUPS: u64 = 500;
/// Most messages in a queue.
const BACKLOG: u64 = 1_000;
/// Long enough for any batch on a busy machine, short enough for what a kill leaves hidden to come back soon.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);
const VISIBILITY: &str = "10";
/// Of the standard queue's mapping (I12).
const MAXIMUM_CONCURRENCY: i32 = 4;
/// Before and after the function's work, in ms.
const LINGER: &str = "4";
const QUIET_WITHIN: Duration = Duration::from_secs(300);

/// Nanoseconds since the Unix epoch: the clock that sender, function and server share.
type Nanos = u128;

/// An acknowledged message.
struct Sent {
    at: Nanos,
    id: Arc<str>,
    group: Option<Arc<str>>,
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_nanos()
}

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

fn name_of(fifo: bool) -> (&'static str, &'static str) {
    if fifo {
        ("jobs.fifo", "fifo")
    } else {
        ("jobs", "standard")
    }
}

fn journal(server: &Server, fifo: bool) -> PathBuf {
    server.dir().join(format!("calls-{}", name_of(fifo).1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_real_queue_is_lost_or_disordered_by_kills() {
    let messages = from_env("MILLSTREAM_SQS_MESSAGES").unwrap_or(DEFAULT_MESSAGES);
    let seed = from_env("MILLSTREAM_SEED").unwrap_or_else(|| now() as u64 & 0xffff_ffff);
    println!("{messages} messages a queue, {KILLS} kills, MILLSTREAM_SEED={seed}");
    let (mut rng, began) = (Rng::new(seed), SystemTime::now());
    let sqs = Ministack::start().await;
    let mut server = Server::start_with(sqs.settings()).await;
    let (count, done) = watch::channel(0);
    let mut floods = Vec::new();
    for fifo in [false, true] {
        set_up(&sqs, &server, fifo).await;
        let count = count.clone();
        floods.push(flood(&sqs, fifo, messages, count));
    }
    let lost = kill_in_the_middle(&mut server, 2 * messages, &mut rng, done).await;
    for (flood, fifo) in floods.into_iter().zip([false, true]) {
        let sent = flood.await.unwrap();
        assert_eq!(sent.len() as u64, messages);
        let (queue, mapping) = name_of(fifo);
        idle(&server.client(), mapping).await;
        sqs.empty(queue).await;
        judge(&sent, &journal(&server, fifo), fifo, &lost);
    }
    let took = began.elapsed().unwrap();
    println!("{} messages in {took:?}", 2 * messages);
    server.terminate().await;
}

async fn set_up(sqs: &Ministack, server: &Server, fifo: bool) {
    let (queue, mapping) = name_of(fifo);
    sqs.sqs(&["create", queue, VISIBILITY]).await;
    let mut command = test_function(&journal(server, fifo), "seq");
    command.push(LINGER.to_owned());
    let client = server.client();
    client
        .create_function(mapping, &command, FUNCTION_TIMEOUT, 8)
        .await;
    let settings = v1::Mapping {
        source_arn: arn(queue),
        function: mapping.to_owned(),
        batch_size: Some(10),
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        scaling_config: (!fifo).then_some(v1::ScalingConfig {
            maximum_concurrency: Some(MAXIMUM_CONCURRENCY),
        }),
        ..Default::default()
    };
    client.create_mapping(mapping, settings).await;
}

/// Sends all messages with AWS's own client, in a process of its own; `count` goes up with each.
fn flood(sqs: &Ministack, fifo: bool, messages: u64, count: watch::Sender<u64>) -> JoinHandle<Vec<Sent>> {
    let numbers = [messages, GROUPS, BACKLOG].map(|n| n.to_string());
    let arguments = [name_of(fifo).0, &numbers[0], &numbers[1], &numbers[2]];
    let mut command = sqs.command(&[&["flood"][..], &arguments].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    tokio::spawn(async move {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut sent = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let line: Value = serde_json::from_str(&line).unwrap();
            sent.push(Sent {
                at: line["at"].as_u64().unwrap().into(),
                id: line["id"].as_str().unwrap().into(),
                group: line["group"].as_str().map(Arc::from),
            });
            count.send_modify(|n| *n += 1);
        }
        assert!(child.wait().await.unwrap().success(), "the sender failed");
        sent
    })
}

/// Kills the server whenever another part of all messages has been sent; when its memory was surely gone.
async fn kill_in_the_middle(
    server: &mut Server,
    messages: u64,
    rng: &mut Rng,
    mut sent: watch::Receiver<u64>,
) -> Vec<Nanos> {
    let mut lost = Vec::new();
    for kill in 1..=KILLS {
        let enough = messages * kill / (KILLS + 1);
        sent.wait_for(|n| *n >= enough).await.unwrap();
        sleep(Duration::from_secs_f64(rng.log_uniform(0.010, 1.0))).await;
        server.kill9().await;
        lost.push(now());
        println!("kill {kill}: {} messages had been sent", *sent.borrow());
        server.restart().await;
    }
    lost
}

/// Waits until a mapping has nothing any more, and its queue neither.
async fn idle(client: &Client, mapping: &str) {
    until("the queue to be empty", QUIET_WITHIN, async || {
        sleep(Duration::from_secs(1)).await;
        let queue = client.inspect(mapping).await.ok()?.queue?;
        let left = [
            queue.visible_messages,
            queue.hidden_messages,
            queue.delayed_messages,
        ];
        (left == [Some(0); 3] && queue.messages_in_flight == 0).then_some(())
    })
    .await;
}

fn judge(sent: &[Sent], journal: &Path, fifo: bool, lost: &[Nanos]) {
    let calls = calls(journal);
    let groups: BTreeSet<_> = sent.iter().filter_map(|m| m.group.clone()).collect();
    assert!(
        !fifo || groups.len() as u64 >= GROUPS.min(sent.len() as u64),
        "{} groups",
        groups.len()
    );
    let mut checkers = QueueCheckers::default();
    for (_, event) in events(sent, &calls, fifo, lost) {
        if let Err(violation) = checkers.observe(&event) {
            panic!("{}: {violation}: {event:?}", name_of(fifo).0);
        }
    }
    if let Err(violations) = checkers.finish() {
        panic!("{}: {violations:#?}", name_of(fifo).0);
    }
    let history = checkers.history();
    let cut_short = calls.iter().filter(|call| call.ended.is_none()).count();
    println!(
        "{}: {} messages, {} groups, {} calls, {cut_short} of them cut short, {} repetitions in {} losses, {} calls at once",
        name_of(fifo).0,
        history.sent(),
        groups.len(),
        calls.len(),
        history.duplicates(),
        lost.len(),
        history.peak(),
    );
}

/// All that happened, in order, as the checkers want it.
fn events(sent: &[Sent], calls: &[Call], fifo: bool, lost: &[Nanos]) -> Vec<(Nanos, QueueEvent)> {
    let configured = QueueEvent::Configured {
        most_in_flight: (!fifo).then_some(MAXIMUM_CONCURRENCY as usize),
        max_receives: None,
    };
    let mut events = vec![(0, configured)];
    add_sends(&mut events, sent, calls);
    let (mut gone, end) = (BTreeSet::new(), now());
    for (n, call) in calls.iter().enumerate() {
        let messages: Vec<Delivery> = call.records.iter().map(|record| delivery(record)).collect();
        gone.extend(messages.iter().map(|m| m.message.clone()));
        let n = n as u64;
        events.push((call.began, QueueEvent::Started { call: n, messages }));
        if let Some((at, result)) = &call.ended {
            let result = match result {
                function::Result::Done => BatchResult::Done,
                function::Result::But(failed) => BatchResult::DoneBut(failed.clone()),
                function::Result::Before(_) | function::Result::Failed => BatchResult::Failed,
            };
            events.push((*at, QueueEvent::Ended { call: n, result }));
        }
    }
    events.extend(lost.iter().map(|at| (*at, QueueEvent::Lost)));
    // The queue is empty, so whatever the function ever saw is gone from it. What it never saw is lost.
    events.extend(
        gone.into_iter()
            .map(|message| (end, QueueEvent::Gone { message })),
    );
    events.sort_by_key(|(at, _)| *at);
    events
}

/// Sends in their order; one whose message the function saw before its acknowledgement was read came before that.
fn add_sends(events: &mut Vec<(Nanos, QueueEvent)>, sent: &[Sent], calls: &[Call]) {
    let mut first: BTreeMap<Arc<str>, Nanos> = BTreeMap::new();
    for call in calls {
        for record in &call.records {
            first.entry(delivery(record).message).or_insert(call.began);
        }
    }
    let mut latest = Nanos::MAX;
    let mut sends = Vec::new();
    // From the last one back: none is later than one behind it.
    for one in sent.iter().rev() {
        let seen = first.get(&one.id).map_or(Nanos::MAX, |at| at - 1);
        latest = latest.min(one.at).min(seen);
        let (message, group) = (one.id.clone(), one.group.clone());
        sends.push((latest, QueueEvent::Sent { message, group }));
    }
    events.extend(sends.into_iter().rev());
}

/// `MESSAGE*RECEIVES`.
fn delivery(record: &str) -> Delivery {
    let (message, receives) = record.split_once('*').unwrap();
    Delivery {
        message: message.into(),
        receives: receives.parse().unwrap(),
    }
}
