//! Trouble in the middle of the work on streams that are not ours: `kill -9` of the server, stops of the components, a bad
//! network between them. Every record is processed, and keys and items keep their order.
//!
//! `MILLSTREAM_STREAM_RECORDS` sets how many records go through the Kinesis stream (a fifth as many changes go through the
//! table), `MILLSTREAM_SEED` repeats the chances of a run (not its timing).

use crate::disturb::{Disturbance, Middle, Nanos, Outcome, from_env};
use crate::function::Call;
use crate::proxy::{Proxy, Rates, Weather};
use crate::streams_real::Scene;
use millstream_api::v1;
use millstream_testkit::Rng;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const DEFAULT_RECORDS: u64 = 5_000;
const SHARDS: u32 = 8;
const KEYS: u64 = 1_000;
const ITEMS: u64 = 500;
/// Before and after the function's work, in ms.
const LINGER: &str = "20";
/// What a writer waits in s after each put of 100 records or 10 changes, so that trouble finds it still writing; after
/// kills it does anyway.
const PAUSE: &str = "0.1";

/// The acknowledged records, and when the first was.
struct Written {
    ids: BTreeSet<String>,
    began: Nanos,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_real_stream_is_lost_or_disordered_by_kills() {
    run(Disturbance::Kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_real_stream_is_lost_or_disordered_by_stops_of_its_server() {
    run(Disturbance::Stops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_real_stream_is_lost_or_disordered_by_a_bad_network() {
    run(Disturbance::Network).await;
}

async fn run(how: Disturbance) {
    let records = from_env("MILLSTREAM_STREAM_RECORDS").unwrap_or(DEFAULT_RECORDS);
    let changes = records / 5;
    let seed = from_env("MILLSTREAM_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("{how:?}: {records} records, {changes} changes, MILLSTREAM_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut scene = Scene::set_behind(async |urls| {
        let mut proxies = Vec::new();
        for url in urls.iter().filter(|_| how == Disturbance::Network) {
            proxies.push(Proxy::before(url, rng.next_u64(), Rates::ROUGH).await);
        }
        proxies
    })
    .await;
    let shards = SHARDS.to_string();
    let stream = scene.make(&["stream", "orders", &shards]).await;
    let table = scene.make(&["table", "items"]).await;
    let settings = |factor: i32| v1::Mapping {
        batch_size: Some(100),
        parallelization_factor: Some(factor),
        ..Default::default()
    };
    scene.map_slow("kinesis", &stream, settings(2), LINGER).await;
    scene.map_slow("dynamodb", &table, settings(10), LINGER).await;
    let (count, sent) = watch::channel(0);
    let [records_text, changes_text, keys, items] = [records, changes, KEYS, ITEMS].map(|n| n.to_string());
    let pause = if how == Disturbance::Kills { "0" } else { PAUSE };
    let floods = [
        ["flood", "orders", &records_text, &keys, pause],
        ["changes", "items", &changes_text, &items, pause],
    ]
    .map(|arguments| flood(scene.command(&arguments), count.clone()));
    disturb(&mut scene, how, records + changes, &mut rng, sent).await;
    let runs = [("kinesis", records), ("dynamodb", changes)];
    for (n, (flood, (name, many))) in floods.into_iter().zip(runs).enumerate() {
        let written = flood.await.unwrap();
        assert_eq!(
            written.ids.len() as u64,
            many,
            "{name}: each was acknowledged once"
        );
        let calls = scene.done(name, &written.ids).await;
        let repetitions = judge(name, &written.ids, &calls);
        let ended = calls.iter().filter_map(|call| Some(call.ended.as_ref()?.0)).max();
        let outcome = Outcome {
            source: name,
            records: written.ids.len(),
            repetitions,
            took: Duration::from_nanos(ended.unwrap().saturating_sub(written.began) as u64),
        };
        let proxy = scene.proxies.get(n);
        if let Some(proxy) = proxy {
            proxy.hit_all(&["GetRecords"]).await;
        }
        outcome.print(how, proxy);
    }
    scene.server.terminate().await;
}

async fn disturb(scene: &mut Scene, how: Disturbance, total: u64, rng: &mut Rng, sent: watch::Receiver<u64>) {
    let (kinesis, tables) = (&scene.kinesis, &scene.tables);
    let signal = |signal: Signal| {
        kinesis.signal(signal);
        tables.signal(signal);
    };
    let mut middle = Middle {
        server: &mut scene.server,
        signal: &signal,
        proxies: &scene.proxies,
        mappings: &["kinesis", "dynamodb"],
    };
    middle.weather(Weather::Rough);
    middle.disturb(how, total, rng, sent).await;
}

/// What runs beside and tells a line for each record that was acknowledged; `count` goes up with each.
fn flood(mut command: Command, count: watch::Sender<u64>) -> JoinHandle<Written> {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    tokio::spawn(async move {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut written = Written {
            ids: BTreeSet::new(),
            began: Nanos::MAX,
        };
        while let Some(line) = lines.next_line().await.unwrap() {
            let line: Value = serde_json::from_str(&line).unwrap();
            written.ids.insert(line["id"].as_str().unwrap().to_owned());
            written.began = written.began.min(line["at"].as_u64().unwrap().into());
            count.send_modify(|n| *n += 1);
        }
        assert!(child.wait().await.unwrap().success(), "the writer failed");
        written
    })
}

/// Every record was done, and those of a key for the first time in their order. How many were done again.
pub(crate) fn judge(name: &str, sent: &BTreeSet<String>, calls: &[Call]) -> usize {
    let mut done: Vec<(u128, &String)> = Vec::new();
    for call in calls {
        if let Some((at, _)) = &call.ended {
            done.extend(call.done().into_iter().map(|id| (*at, id)));
        }
    }
    done.sort_by_key(|(at, _)| *at);
    let (mut seen, mut next) = (BTreeSet::new(), BTreeMap::<&str, u64>::new());
    for (_, id) in done.iter().filter(|(_, id)| seen.insert(*id)) {
        let (key, n) = id.split_once(':').unwrap();
        let expected = next.entry(key).or_default();
        assert_eq!(
            n.parse::<u64>().unwrap(),
            *expected,
            "{name}: {id} is out of order"
        );
        *expected += 1;
    }
    assert_eq!(
        seen.into_iter().collect::<BTreeSet<_>>(),
        sent.iter().collect::<BTreeSet<_>>(),
        "{name}: all that was sent, and nothing else"
    );
    let cut_short = calls.iter().filter(|call| call.ended.is_none()).count();
    println!(
        "{name}: {} keys, {} calls, {cut_short} of them cut short",
        next.len(),
        calls.len(),
    );
    done.len() - sent.len()
}
