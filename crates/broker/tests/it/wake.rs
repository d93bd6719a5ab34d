//! Push wake-up: readers are told by the writer, each one, every time.

use crate::rig::{ALL, Rig, drain, entry, ns, number, numbers, shard, stream};
use millstream_ports::{Credit, Streams};
use millstream_types::Position;

const READERS: usize = 100;
const PUTS: u64 = 100;

/// Every reader sees every record, though it sleeps whenever it has nothing: a lost wake-up hangs the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_with_many_readers() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut tasks = Vec::new();
    for i in 0..READERS {
        let mut reader = rig.reader("s", 0, Position::Trim).await;
        tasks.push(tokio::spawn(async move {
            let mut got = Vec::new();
            while got.len() < PUTS as usize {
                let page = reader
                    .next(Credit {
                        records: 1 + i % 7,
                        bytes: usize::MAX,
                    })
                    .await
                    .unwrap();
                if page.records.is_empty() {
                    reader.wait().await;
                }
                got.extend(numbers(&page.records));
            }
            got
        }));
    }
    for n in 0..PUTS {
        rig.put("s", vec![entry("k", number(n))]).await;
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), (0..PUTS).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn waiting_ends_at_once_if_there_is_more_and_may_be_given_up() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut reader = rig.reader("s", 0, Position::Trim).await;
    drain(reader.as_mut()).await;
    let given_up = futures::FutureExt::now_or_never(reader.wait());
    assert!(given_up.is_none());
    rig.put("s", vec![entry("k", number(1)), entry("k", number(2))])
        .await;
    reader.wait().await;
    reader
        .next(Credit {
            records: 1,
            bytes: usize::MAX,
        })
        .await
        .unwrap();
    reader.wait().await;
    assert_eq!(numbers(&reader.next(ALL).await.unwrap().records), [2]);
}

#[tokio::test]
async fn a_split_wakes_readers_and_those_who_look_for_shards() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let source = rig.source("s").await;
    let mut reader = source.open(&shard(0), Position::Trim).await.unwrap();
    drain(reader.as_mut()).await;
    assert!(futures::FutureExt::now_or_never(source.shards_changed()).is_none());
    let broker = rig.broker.clone();
    let split = tokio::spawn(async move { broker.split(&ns(), &stream("s"), &shard(0), None).await });
    source.shards_changed().await;
    assert_eq!(source.shards().await.unwrap().len(), 3);
    reader.wait().await;
    assert!(reader.next(ALL).await.unwrap().end);
    split.await.unwrap().unwrap();
    assert!(futures::FutureExt::now_or_never(source.shards_changed()).is_none());
}
