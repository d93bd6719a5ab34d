//! A panic inside one shard's consumer: its mapping starts again and loses nothing; another mapping of the same
//! stream does not notice.

use crate::client::{Client, entry, mapping, test_function};
use crate::function::calls;
use crate::server::{Server, Settings};
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const RECORDS: usize = 2_000;
const KEYS: usize = 20;
const LANES: i32 = 2;
const BATCH: i32 = 10;
const STRUCK: &str = "struck";
const OTHER: &str = "other";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_shard_consumer_stays_in_its_mapping() {
    for place in [
        "shard_consumer.page",
        "shard_consumer.attempt",
        "batch_worker.start",
    ] {
        let point = format!("{place}({STRUCK})=panic@3");
        let env = vec![("MILLSTREAM_FAILPOINTS".to_owned(), point.clone())];
        let mut server = Server::start_with(Settings {
            env,
            ..Settings::default()
        })
        .await;
        let client = server.client();
        client.create_stream("orders", 1).await;
        for name in [STRUCK, OTHER] {
            let command = test_function(&server.dir().join(name), "id");
            client
                .create_function(name, &command, Duration::from_secs(60), LANES)
                .await;
            let settings = v1::Mapping {
                batch_size: Some(BATCH),
                parallelization_factor: Some(LANES),
                ..mapping("orders", name)
            };
            client.create_mapping(name, settings).await;
        }
        let epoch = epoch_of(&client, OTHER).await;
        // Several puts, so that there are several pages.
        for first in (0..RECORDS).step_by(100) {
            let records = (first..first + 100).map(|id| entry(&format!("key-{}", id % KEYS), id.to_string()));
            client.put("orders", records.collect()).await;
        }
        for name in [STRUCK, OTHER] {
            until(
                &format!("{name} to do everything, with {point}"),
                SOON,
                async || {
                    (first_successes(&server.dir().join(name))
                        .0
                        .values()
                        .map(Vec::len)
                        .sum::<usize>()
                        == RECORDS)
                        .then_some(())
                },
            )
            .await;
        }
        assert!(
            server.logged().contains(&format!("fail point {place}({STRUCK})")),
            "{point} was never hit"
        );
        in_order(
            &server.dir().join(STRUCK),
            // Per lane what is finished but not stored, and what runs: at most a batch each.
            2 * LANES as usize * BATCH as usize,
            &point,
        );
        in_order(&server.dir().join(OTHER), 0, &point);
        assert_eq!(
            epoch_of(&client, OTHER).await,
            epoch,
            "{point}: the other mapping's lease changed hands"
        );
        server.terminate().await;
    }
}

async fn epoch_of(client: &Client, mapping: &str) -> i64 {
    until("the shard to be held", SOON, async || {
        client
            .inspect(mapping)
            .await
            .ok()?
            .shards
            .first()?
            .lease
            .as_ref()
            .map(|l| l.epoch)
    })
    .await
}

/// Per key the ids in the order of their first success, and how many came again.
fn first_successes(journal: &Path) -> (BTreeMap<usize, Vec<usize>>, usize) {
    let mut done: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut again = 0;
    for call in calls(journal) {
        for id in call.done().iter().map(|id| id.parse::<usize>().unwrap()) {
            let of_key = done.entry(id % KEYS).or_default();
            if of_key.contains(&id) {
                again += 1;
            } else {
                of_key.push(id);
            }
        }
    }
    (done, again)
}

fn in_order(journal: &Path, most_again: usize, point: &str) {
    let (done, again) = first_successes(journal);
    for (key, ids) in done {
        assert!(ids.is_sorted(), "{point}: key {key}: {ids:?}");
    }
    assert!(again <= most_again, "{point}: {again} repetitions");
}
