//! Functions that hang, end, crash, answer garbage or too much: only the lane of the record that makes them do so
//! waits, and it goes on in order as soon as they behave.

use crate::client::{Client, entry, mapping, test_function};
use crate::function::calls;
use crate::server::Server;
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const KEYS: usize = 40;
const ROUNDS: usize = 20;
const LANES: i32 = 4;
/// Attempts the blocked lane is to make: more than a limit of any default could explain.
const ATTEMPTS: i32 = 3;

/// What the function does, and the error that the ledger shows for it.
const KINDS: [(&str, &str); 6] = [
    ("hang", "Sandbox.Timedout"),
    ("exit", "Runtime.ExitError"),
    ("crash", "Runtime.ExitError"),
    ("garbage", "Runtime.ProtocolError"),
    ("large", "Function.ResponseSizeTooLarge"),
    ("nonsense", "BatchItemFailures."),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_lane_of_the_bad_record_waits() {
    let server = Server::start().await;
    let client = server.client();
    for (kind, _) in KINDS {
        block(&client, server.dir(), kind).await;
    }
    for (kind, error) in KINDS {
        only_one_lane_waits(&client, server.dir(), kind, error).await;
    }
    for (kind, _) in KINDS {
        // The hung function sees this as well: whatever it runs then ends.
        std::fs::write(server.dir().join(format!("{kind}.flag")), "").unwrap();
        everything_comes_in_order(&client, server.dir(), kind).await;
    }
}

/// A stream with a bad record in front, and a mapping that may try it for ever.
async fn block(client: &Client, dir: &Path, kind: &str) {
    client.create_stream(kind, 1).await;
    let command = test_function(&dir.join(kind), "id");
    client
        .create_function(kind, &command, Duration::from_secs(1), LANES)
        .await;
    let flag = dir.join(format!("{kind}.flag"));
    let bad = entry("key-0", format!("0 {kind} {}", flag.display()));
    let good = (1..KEYS * ROUNDS).map(|id| entry(&format!("key-{}", id % KEYS), id.to_string()));
    client.put(kind, std::iter::once(bad).chain(good).collect()).await;
    let settings = v1::Mapping {
        batch_size: Some(10),
        parallelization_factor: Some(LANES),
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        ..mapping(kind, kind)
    };
    client.create_mapping(kind, settings).await;
}

async fn only_one_lane_waits(client: &Client, dir: &Path, kind: &str, error: &str) {
    let lanes = until(
        &format!("{kind}: all lanes but one to be done"),
        SOON,
        async || {
            let shard = client.inspect(kind).await.ok()?.shards.into_iter().next()?;
            let blocked = |l: &v1::LaneInspection| l.batch.as_ref().is_some_and(|b| b.attempt >= ATTEMPTS);
            let idle = shard
                .lanes
                .iter()
                .filter(|l| l.batch.is_none() && l.buffered_records == 0)
                .count();
            (shard.lanes.iter().filter(|l| blocked(l)).count() == 1 && idle as i32 == LANES - 1)
                .then_some(shard.lanes)
        },
    )
    .await;
    let blocked = lanes.iter().find(|l| l.batch.is_some()).unwrap();
    assert_eq!(
        blocked.done_through, "",
        "{kind}: nothing of the blocked lane is done"
    );

    // Every key is done, or it is of the blocked lane and nothing of it is.
    let done = done_by_key(dir, kind);
    let waiting = (0..KEYS).filter(|key| !done.contains_key(key)).count();
    assert!(
        !done.contains_key(&0) && waiting < KEYS / 2,
        "{kind}: {waiting} of {KEYS} keys wait"
    );
    assert!(done.values().all(|ids| ids.len() == ROUNDS), "{kind}: {done:?}");

    // The inside shows what is about to be stored; the ledger what is.
    let failures = until(
        &format!("{kind}: the failures to be in the ledger"),
        SOON,
        async || {
            let mut attempts = client.attempts(kind).await;
            attempts.retain(|a| a.result() == v1::AttemptResult::Retry);
            (attempts.len() as i32 >= ATTEMPTS - 1).then_some(attempts)
        },
    )
    .await;
    for attempt in failures {
        assert!(attempt.error.starts_with(error), "{kind}: {attempt:?}");
        assert_eq!(attempt.lane, blocked.lane, "{kind}: {attempt:?}");
    }
}

async fn everything_comes_in_order(client: &Client, dir: &Path, kind: &str) {
    until(
        &format!("{kind}: the blocked lane to be done"),
        SOON,
        async || {
            let shard = client.inspect(kind).await.ok()?.shards.into_iter().next()?;
            shard
                .lanes
                .iter()
                .all(|l| l.batch.is_none() && l.buffered_records == 0)
                .then_some(())
        },
    )
    .await;
    let done = done_by_key(dir, kind);
    for key in 0..KEYS {
        let wanted: Vec<usize> = (0..ROUNDS).map(|round| round * KEYS + key).collect();
        assert_eq!(done.get(&key), Some(&wanted), "{kind}: key {key}");
    }
    assert!(
        client.given_up(kind).await.is_empty(),
        "{kind}: nothing is ever given up"
    );
}

/// The ids of each key in the order in which they were first done. A hung batch that timed out while its function
/// saw the flag may come again: that is at least once, not disorder.
fn done_by_key(dir: &Path, kind: &str) -> BTreeMap<usize, Vec<usize>> {
    let mut seen = BTreeSet::new();
    let mut done: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for call in calls(&dir.join(kind)) {
        for id in call.done().iter().map(|id| id.parse::<usize>().unwrap()) {
            if seen.insert(id) {
                done.entry(id % KEYS).or_default().push(id);
            }
        }
    }
    done
}
