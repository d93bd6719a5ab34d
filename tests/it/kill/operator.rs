//! Pauses and resumes the mapping, and splits and merges shards, while the server is killed under it.

use super::{Lives, MAPPING, Nanos, STREAM, alive, now};
use crate::client::{Client, stream_name};
use millstream_api::v1;
use millstream_testkit::Rng;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Between a failed call and the next.
const AGAIN: Duration = Duration::from_millis(20);
/// How often it splits or merges, at most; and in how many of a thousand cases it does so rather than pausing.
const RESHARDINGS: usize = 8;
const RESHARD: u64 = 300;

/// A pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// When the first answer came that called it durable: from here on nothing starts.
    pub(super) answered: Nanos,
    /// When the first answer came that called it complete: from here on nothing runs.
    pub(super) from: Nanos,
    /// When its end was asked for.
    pub(super) to: Nanos,
}

/// Until told to stop; the mapping then runs.
pub(super) async fn run(mut rng: Rng, mut lives: Lives, stopping: watch::Receiver<bool>) -> Vec<Pause> {
    let mut pauses = Vec::new();
    let mut reshardings = 0;
    while !*stopping.borrow() {
        sleep(Duration::from_millis(rng.between(100, 1_200))).await;
        if reshardings < RESHARDINGS && rng.per_mille(RESHARD) {
            reshard(&mut lives, reshardings % 2 == 0, &mut rng).await;
            reshardings += 1;
        } else {
            pauses.push(pause(MAPPING, &mut lives, long(&mut rng)).await);
        }
    }
    if reshardings == 0 {
        reshard(&mut lives, true, &mut rng).await;
    }
    pauses
}

/// Pauses and resumes one mapping only, until told to stop; it then runs.
pub(super) async fn run_pauses(
    mapping: &'static str,
    mut rng: Rng,
    mut lives: Lives,
    stopping: watch::Receiver<bool>,
) -> Vec<Pause> {
    let mut pauses = Vec::new();
    while !*stopping.borrow() {
        sleep(Duration::from_millis(rng.between(200, 2_000))).await;
        pauses.push(pause(mapping, &mut lives, long(&mut rng)).await);
    }
    pauses
}

fn long(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.between(5, 100))
}

async fn pause(mapping: &str, lives: &mut Lives, long: Duration) -> Pause {
    let mut answered = None;
    let from = loop {
        let client = alive(lives).await;
        // Either call may fail at any time, and may have worked all the same; both can be repeated. Either tells that
        // the pause is durable.
        let seen = match client.mapping(mapping).await {
            Ok(seen) if !is_pause(seen.state()) => client.pause(mapping).await,
            seen => seen,
        };
        let state = seen.map_or(v1::MappingState::Unspecified, |m| m.state());
        let now = now();
        if is_pause(state) {
            answered.get_or_insert(now);
        } else {
            sleep(AGAIN).await;
        }
        if state == v1::MappingState::Paused {
            break now;
        }
    };
    sleep(long).await;
    let to = now();
    while alive(lives).await.resume(mapping).await.is_err() {
        sleep(AGAIN).await;
    }
    Pause {
        answered: answered.unwrap_or(from),
        from,
        to,
    }
}

fn is_pause(state: v1::MappingState) -> bool {
    [v1::MappingState::Pausing, v1::MappingState::Paused].contains(&state)
}

/// Splits a shard or merges two; not an idempotent call, so the number of open shards tells whether it worked.
async fn reshard(lives: &mut Lives, split: bool, rng: &mut Rng) {
    let mut before = None;
    loop {
        let client = alive(lives).await;
        if let Ok(open) = open_shards(&client).await {
            if *before.get_or_insert(open.len()) != open.len() {
                return;
            }
            let _ = if split {
                split_one(&client, &open, rng).await
            } else {
                merge_two(&client, &open, rng).await
            };
        }
        sleep(AGAIN).await;
    }
}

async fn open_shards(client: &Client) -> Result<Vec<v1::Shard>, tonic::Status> {
    let mut shards = client.stream(STREAM).await?.shards;
    shards.retain(|s| s.close_time.is_none());
    shards.sort_by_key(|s| s.starting_hash_key.parse::<u128>().unwrap());
    Ok(shards)
}

async fn split_one(client: &Client, open: &[v1::Shard], rng: &mut Rng) -> Result<(), tonic::Status> {
    let shard_id = rng.pick(open).unwrap().shard_id.clone();
    let request = v1::SplitShardRequest {
        name: stream_name(STREAM),
        shard_id,
        ..Default::default()
    };
    client.streams.clone().split_shard(request).await.map(|_| ())
}

async fn merge_two(client: &Client, open: &[v1::Shard], rng: &mut Rng) -> Result<(), tonic::Status> {
    let lower = rng.index(open.len() - 1);
    let request = v1::MergeShardsRequest {
        name: stream_name(STREAM),
        shard_id: open[lower].shard_id.clone(),
        adjacent_shard_id: open[lower + 1].shard_id.clone(),
    };
    client.streams.clone().merge_shards(request).await.map(|_| ())
}
