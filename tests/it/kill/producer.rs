//! Puts records all the time, and repeats what may not have been stored.

use super::{Lives, STREAM, alive};
use crate::client::{entry, stream_name};
use millstream_api::v1;
use millstream_testkit::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

const KEYS: u64 = 120;
/// Between puts: about 1,000 records a second, of which 20 fail and hold up their lane.
const PAUSE: Duration = Duration::from_millis(12);
const MOST_AT_ONCE: u64 = 24;
/// Of a thousand records so many always fail.
const FAILING: u64 = 20;
const FAILURES: [&str; 5] = ["throw", "report", "throw", "report", "exit"];

/// What was put.
#[derive(Debug, Default)]
pub(super) struct Put {
    /// Per acknowledged record: shard and sequence number, its id.
    pub(super) acknowledged: BTreeMap<(String, String), u64>,
    /// Ids of puts that failed and were repeated: they may be there twice.
    pub(super) repeated: BTreeSet<u64>,
}

/// Until told to stop, then until everything begun is acknowledged.
pub(super) async fn run(mut rng: Rng, mut lives: Lives, stopping: watch::Receiver<bool>) -> Put {
    let mut put = Put::default();
    let mut next_id = 0;
    while !*stopping.borrow() {
        let mut pending: Vec<(u64, v1::PutRecordsEntry)> = Vec::new();
        for _ in 0..rng.between(1, MOST_AT_ONCE) {
            pending.push((next_id, record(next_id, &mut rng)));
            next_id += 1;
        }
        while !pending.is_empty() {
            pending = try_put(pending, &mut lives, &mut put).await;
        }
        sleep(PAUSE).await;
    }
    put
}

fn record(id: u64, rng: &mut Rng) -> v1::PutRecordsEntry {
    let key = format!("key-{}", rng.between(1, KEYS));
    let failure = rng.per_mille(FAILING).then(|| rng.pick(&FAILURES)).flatten();
    entry(
        &key,
        failure.map_or_else(|| id.to_string(), |f| format!("{id} {f}")),
    )
}

/// Returns what is to be put again.
async fn try_put(
    pending: Vec<(u64, v1::PutRecordsEntry)>,
    lives: &mut Lives,
    put: &mut Put,
) -> Vec<(u64, v1::PutRecordsEntry)> {
    let client = alive(lives).await;
    let records = pending.iter().map(|(_, entry)| entry.clone()).collect();
    let request = v1::PutRecordsRequest {
        stream: stream_name(STREAM),
        records,
    };
    let results = match client.streams.clone().put_records(request).await {
        Ok(answer) => answer.into_inner().results,
        Err(_) => {
            sleep(PAUSE).await;
            Vec::new()
        }
    };
    let mut again = Vec::new();
    for (n, (id, entry)) in pending.into_iter().enumerate() {
        match results.get(n).filter(|r| r.error_code.is_empty()) {
            Some(stored) => {
                put.acknowledged
                    .insert((stored.shard_id.clone(), stored.sequence_number.clone()), id);
            }
            None => {
                put.repeated.insert(id);
                again.push((id, entry));
            }
        }
    }
    again
}
