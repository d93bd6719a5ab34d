//! A lane that is blocked without a limit of retries, and a million records behind it: the other lanes go on all
//! the time, memory stays bounded, and afterwards the blocked lane catches up in order.

use crate::client::{Client, MOST_RECORDS, entry, mapping, stream_name, test_function};
use crate::function::{Call, calls};
use crate::server::{Server, Settings};
use crate::wait::until;
use millstream_api::v1;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const RECORDS: usize = 1_000_000;
const KEYS: usize = 400;
const LANES: i32 = 4;
const BATCH: i32 = 10_000;
const PRODUCERS: usize = 4;
/// A payload of 200 characters: an id of 7 digits, and what is never looked at.
const PADDING: usize = 192;
/// Longest run: the blocked batch is tried again and again meanwhile. Ten times what a batch takes.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(3);
/// The blocked batch is seen at this attempt at least.
const ATTEMPTS: i32 = 3;
const WITHIN: Duration = Duration::from_secs(240);
/// No lane that has work may stand still for longer, on the busiest machine.
const STANDSTILL: Duration = Duration::from_secs(30);

/// What the server may read ahead, 16 MiB, and a quarter more: it may be exceeded by a page. The quarter of a
/// million records of the blocked lane would take at least 50 MiB.
const MOST_BUFFERED: i64 = 20 << 20;
/// Measured: 75 to 120 MiB. What these settings explain: read ahead 20 MiB, block cache 8, write buffers 3 × 8, two
/// events of 6 MiB for each of four lanes (one runs, one is being built) 48, puts under way 4, the program and its
/// threads 30; and what the allocator keeps.
const MOST_RESIDENT: u64 = 192 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_records_behind_a_blocked_lane() {
    let flags = [
        "--byte-budget",
        "16MiB",
        "--block-cache",
        "8MiB",
        "--write-buffer",
        "8MiB",
    ];
    let server = Server::start_with(Settings::flags(&flags)).await;
    let client = server.client();
    client.create_stream("many", 1).await;
    let journal = server.dir().join("calls");
    let command = test_function(&journal, "id");
    client
        .create_function("count", &command, FUNCTION_TIMEOUT, LANES)
        .await;
    let flag = server.dir().join("flag");
    client
        .put(
            "many",
            vec![entry(&key_of(0), format!("0 hang {}", flag.display()))],
        )
        .await;
    let settings = v1::Mapping {
        batch_size: Some(BATCH),
        parallelization_factor: Some(LANES),
        ..mapping("many", "count")
    };
    client.create_mapping("many", settings).await;
    let blocked = until("the bad record to run", WITHIN, async || {
        let shard = client.inspect("many").await.ok()?.shards.into_iter().next()?;
        shard.lanes.iter().find(|l| l.batch.is_some()).map(|l| l.lane)
    })
    .await;

    let producing = tokio::spawn(produce(client.clone()));
    let watched = watch(&server, &client, blocked, &producing).await;
    println!("blocked: {watched:?}");
    producing.await.unwrap();
    let waiting = keys_without_success(&calls(&journal));
    assert!(
        waiting.contains(&key_of(0)) && waiting.len() < KEYS / 2,
        "{} keys wait",
        waiting.len()
    );

    std::fs::write(&flag, "").unwrap();
    let mut most = 0;
    until("the blocked lane to catch up", WITHIN, async || {
        let shard = client.inspect("many").await.ok()?.shards.into_iter().next()?;
        most = server.resident_bytes().max(most);
        assert!(most < MOST_RESIDENT, "{most} bytes resident while catching up");
        let done = shard
            .lanes
            .iter()
            .all(|l| l.batch.is_none() && l.buffered_records == 0 && !l.lagging);
        done.then_some(())
    })
    .await;
    println!("caught up; at most {} MiB resident", most >> 20);
    every_key_in_order(&calls(&journal));
}

fn key_of(id: usize) -> String {
    format!("key-{}", id % KEYS)
}

/// Several producers, each with keys of its own, so that ids grow along a key.
async fn produce(client: Client) {
    let began = Instant::now();
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let client = client.clone();
        producers.spawn(async move {
            let ids = (1..=RECORDS).filter(|id| id % KEYS % PRODUCERS == producer);
            let mut records = Vec::with_capacity(MOST_RECORDS);
            for id in ids {
                records.push(entry(&key_of(id), format!("{id} {:PADDING$}", "")));
                if records.len() == MOST_RECORDS {
                    put(&client, std::mem::take(&mut records)).await;
                }
            }
            put(&client, records).await;
        });
    }
    producers.join_all().await;
    println!("{RECORDS} records put in {:?}", began.elapsed());
}

async fn put(client: &Client, records: Vec<v1::PutRecordsEntry>) {
    if records.is_empty() {
        return;
    }
    let request = v1::PutRecordsRequest {
        stream: stream_name("many"),
        records,
    };
    let answer = client
        .streams
        .clone()
        .put_records(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.failed_record_count, 0, "{:?}", answer.results.first());
}

/// What was seen while the lane was blocked.
#[derive(Debug)]
struct Watched {
    looks: u64,
    attempts: i32,
    most_resident_mib: u64,
    most_buffered_mib: i64,
}

/// Until the other lanes have done everything. All the time: they move, the blocked one does not, memory is bounded.
async fn watch(
    server: &Server,
    client: &Client,
    blocked: i32,
    producing: &tokio::task::JoinHandle<()>,
) -> Watched {
    let mut watched = Watched {
        looks: 0,
        attempts: 0,
        most_resident_mib: 0,
        most_buffered_mib: 0,
    };
    let mut moved = vec![(String::new(), Instant::now()); LANES as usize];
    until("the other lanes to do everything", WITHIN, async || {
        let all_put = producing.is_finished();
        let newest = client.stream("many").await.ok()?.shards[0]
            .newest_sequence_number
            .clone();
        let shard = client.inspect("many").await.ok()?.shards.into_iter().next()?;
        watched.looks += 1;
        let resident = server.resident_bytes();
        watched.most_resident_mib = watched.most_resident_mib.max(resident >> 20);
        watched.most_buffered_mib = watched.most_buffered_mib.max(shard.buffered_bytes >> 20);
        assert!(resident < MOST_RESIDENT, "{resident} bytes resident: {watched:?}");
        assert!(
            shard.buffered_bytes <= MOST_BUFFERED,
            "{} bytes read ahead",
            shard.buffered_bytes
        );
        let mut idle = 0;
        for lane in &shard.lanes {
            if lane.lane == blocked {
                assert_eq!(lane.done_through, "", "the blocked lane moved");
                watched.attempts = lane.batch.as_ref().map_or(0, |b| b.attempt);
                continue;
            }
            assert!(
                lane.batch.as_ref().is_none_or(|b| b.attempt == 1),
                "lane {} failed: {lane:?}",
                lane.lane
            );
            let (through, since) = &mut moved[lane.lane as usize];
            let waits = lane.batch.is_none() && lane.buffered_records == 0 && !lane.lagging;
            idle += i32::from(waits);
            if *through != lane.done_through || waits {
                (*through, *since) = (lane.done_through.clone(), Instant::now());
            }
            assert!(
                since.elapsed() < STANDSTILL,
                "lane {} stands still: {shard:?}",
                lane.lane
            );
        }
        let done =
            all_put && watched.attempts >= ATTEMPTS && idle == LANES - 1 && shard.read_through == newest;
        if done {
            let lane = &shard.lanes[blocked as usize];
            assert!(
                lane.lagging,
                "a quarter of a million records fit into memory: {lane:?}"
            );
        }
        done.then_some(())
    })
    .await;
    watched
}

fn keys_without_success(calls: &[Call]) -> Vec<String> {
    let done = done_by_key(calls);
    (0..KEYS)
        .filter(|key| done[*key].is_empty())
        .map(key_of)
        .collect()
}

/// Every id of every key exactly once and in order: nothing crashed, so nothing comes twice.
fn every_key_in_order(calls: &[Call]) {
    let done = done_by_key(calls);
    for (key, done) in done.iter().enumerate() {
        let wanted: Vec<usize> = (0..=RECORDS).skip(key).step_by(KEYS).collect();
        let differs = done.iter().zip(&wanted).position(|(a, b)| a != b);
        assert!(
            *done == wanted,
            "key {key}: {} records of {}, differing at {differs:?}",
            done.len(),
            wanted.len()
        );
    }
}

fn done_by_key(calls: &[Call]) -> Vec<Vec<usize>> {
    let mut done = vec![Vec::new(); KEYS];
    for id in calls.iter().flat_map(Call::done) {
        let id: usize = id.parse().unwrap();
        done[id % KEYS].push(id);
    }
    done
}
