//! Trouble in the middle of the work on queues that are not ours: `kill -9` of the server, stops of the component, a bad
//! network between them. Every message is processed, and groups keep their order.
//!
//! `MILLSTREAM_SQS_MESSAGES` sets how many messages go through each of the two queues, `MILLSTREAM_SEED` repeats the
//! chances of a run (not its timing). The queues never hold more than a thousand: the server slows down beyond.

use crate::client::{Client, test_function};
use crate::disturb::{Disturbance, Middle, Nanos, Outcome, from_env, now};
use crate::function::{self, Call, calls};
use crate::ministack::{Ministack, arn};
use crate::proxy::{Proxy, Rates, Weather};
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
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Of the standard queue's mapping (I12).
const MAXIMUM_CONCURRENCY: i32 = 4;
/// Before and after the function's work, in ms: slower than the sender, so that trouble finds work half done.
const LINGER: &str = "100";
const QUIET_WITHIN: Duration = Duration::from_secs(300);

/// What differs between the disturbances.
struct Load {
    /// Through each queue, if nobody says otherwise.
    messages: u64,
    /// Message groups of the FIFO queue.
    groups: u64,
    /// Most messages in a queue: the sender waits for the function, so that it is disturbed all the time.
    backlog: u64,
    /// Long enough for any batch on a busy machine, short enough for what was lost on its way to come back soon.
    visibility: u64,
}

impl Load {
    fn of(how: Disturbance) -> Self {
        let (messages, groups, backlog, visibility) = match how {
            Disturbance::Kills => (2_000, 500, 1_000, 10),
            Disturbance::Stops => (1_500, 100, 300, 6),
            // Every tenth receive is lost on its way back, and every tenth of those that bring the same again.
            Disturbance::Network => (400, 130, 200, 6),
        };
        let messages = from_env("MILLSTREAM_SQS_MESSAGES").unwrap_or(messages);
        Self {
            messages,
            groups,
            backlog,
            visibility,
        }
    }
}

/// An acknowledged message.
struct Sent {
    at: Nanos,
    id: Arc<str>,
    group: Option<Arc<str>>,
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
    let hit = run(Disturbance::Kills).await;
    assert!(hit > 0, "no kill met any work: the run says nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_real_queue_is_lost_or_disordered_by_stops_of_its_server() {
    run(Disturbance::Stops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_real_queue_is_lost_or_disordered_by_a_bad_network() {
    run(Disturbance::Network).await;
}

/// Sends to a standard and a FIFO queue, and lets things go wrong until all is processed. How often that met work: calls
/// that were cut short, and messages that came again.
async fn run(how: Disturbance) -> u64 {
    let load = Load::of(how);
    let seed = from_env("MILLSTREAM_SEED").unwrap_or_else(|| now() as u64 & 0xffff_ffff);
    println!(
        "{how:?}: {} messages a queue, MILLSTREAM_SEED={seed}",
        load.messages
    );
    let mut rng = Rng::new(seed);
    let sqs = Ministack::start().await;
    let mut proxies = Vec::new();
    if how == Disturbance::Network {
        for _ in 0..2 {
            proxies.push(Proxy::before(&sqs.url, rng.next_u64(), Rates::ROUGH).await);
        }
    }
    let urls = [0, 1].map(|n| proxies.get(n).map_or(&*sqs.url, |proxy| &*proxy.url));
    let mut server =
        Server::start_with(sqs.settings_through(&[("jobs", urls[0]), ("jobs.fifo", urls[1])])).await;
    let (count, sent) = watch::channel(0);
    let mut floods = Vec::new();
    for fifo in [false, true] {
        set_up(&sqs, &server, fifo, &load).await;
        floods.push(flood(&sqs, fifo, &load, count.clone()));
    }
    let mut middle = Middle {
        server: &mut server,
        signal: &|signal| sqs.signal(signal),
        proxies: &proxies,
        mappings: &["standard", "fifo"],
    };
    middle.weather(Weather::Rough);
    let lost = middle.disturb(how, 2 * load.messages, &mut rng, sent).await;
    let mut hit = 0;
    for (flood, fifo) in floods.into_iter().zip([false, true]) {
        let (sent, (queue, mapping)) = (flood.await.unwrap(), name_of(fifo));
        assert_eq!(sent.len() as u64, load.messages);
        idle(&server.client(), mapping).await;
        sqs.empty(queue).await;
        let (outcome, met) = judge(&sent, &journal(&server, fifo), fifo, &load, &lost);
        let proxy = proxies.get(usize::from(fifo));
        outcome.print(how, proxy);
        if let Some(proxy) = proxy {
            proxy.hit_all(&["ReceiveMessage", "DeleteMessageBatch"]).await;
        }
        hit += met;
    }
    // So that no long poll has to be waited for: a stop does not need its queues.
    proxies.iter().for_each(|proxy| proxy.set(Weather::CutOff));
    server.terminate().await;
    hit
}

async fn set_up(sqs: &Ministack, server: &Server, fifo: bool, load: &Load) {
    let (queue, mapping) = name_of(fifo);
    sqs.sqs(&["create", queue, &load.visibility.to_string()]).await;
    let mut command = test_function(&journal(server, fifo), "seq");
    command.push(LINGER.to_owned());
    let client = server.client();
    // AWS's rule: a function may take no longer than its queue hides messages.
    let timeout = Duration::from_secs(load.visibility);
    client.create_function(mapping, &command, timeout, 8).await;
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
fn flood(sqs: &Ministack, fifo: bool, load: &Load, count: watch::Sender<u64>) -> JoinHandle<Vec<Sent>> {
    let numbers = [load.messages, load.groups, load.backlog].map(|n| n.to_string());
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

/// What a run came to, and how often trouble met work: calls that were cut short, and messages that came again.
fn judge(sent: &[Sent], journal: &Path, fifo: bool, load: &Load, lost: &[Nanos]) -> (Outcome, u64) {
    let calls = calls(journal);
    let groups: BTreeSet<_> = sent.iter().filter_map(|m| m.group.clone()).collect();
    assert!(
        !fifo || groups.len() as u64 >= load.groups.min(load.messages),
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
        "{}: {} groups, {} calls, {cut_short} of them cut short, {} at once",
        name_of(fifo).0,
        groups.len(),
        calls.len(),
        history.peak(),
    );
    let ended = calls.iter().filter_map(|call| Some(call.ended.as_ref()?.0)).max();
    let took = ended.unwrap_or_default().saturating_sub(sent[0].at);
    let outcome = Outcome {
        source: if fifo { "sqs fifo" } else { "sqs standard" },
        records: history.sent(),
        repetitions: history.duplicates(),
        took: Duration::from_nanos(took as u64),
    };
    (outcome, (cut_short + history.duplicates()) as u64)
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
