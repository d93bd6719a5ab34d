//! Splits and merges under load: order per key, lineage, and nothing behind a parent's end.

use crate::rig::{ALL, Rig, drain, entry, keyed, ns, number, numbers, shard, stream};
use bytes::Bytes;
use millstream_ports::{StreamError, StreamSource, Streams};
use millstream_types::{Position, Record, ShardId, ShardInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn a_split_shard_is_read_to_its_end_and_its_children_go_on() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let (low, high) = (0, u128::MAX);
    rig.put("s", vec![keyed("k", low, number(1)), keyed("k", high, number(2))])
        .await;
    let described = rig
        .broker
        .split(&ns(), &stream("s"), &shard(0), None)
        .await
        .unwrap();
    assert_eq!(described.revision, 2);
    assert!(described.shards[0].info.closed.is_some());
    let half = 1u128 << 127;
    let ranges: Vec<_> = described.shards[1..].iter().map(|s| s.info.hash_range).collect();
    assert_eq!(ranges, [(0, half - 1), (half, u128::MAX)]);
    rig.put("s", vec![keyed("k", low, number(3)), keyed("k", high, number(4))])
        .await;

    let rig = rig.reopen().await;
    let parent = drain(rig.reader("s", 0, Position::Trim).await.as_mut()).await;
    assert_eq!((numbers(&parent.records), parent.end), (vec![1, 2], true));
    for (index, want) in [(1, 3), (2, 4)] {
        let page = drain(rig.reader("s", index, Position::Trim).await.as_mut()).await;
        assert_eq!((numbers(&page.records), page.end), (vec![want], false));
        assert!(
            page.records[0].mark > parent.records[1].mark,
            "children sort after their parents"
        );
    }
    let mut end = rig.reader("s", 0, Position::End).await;
    assert!(end.next(ALL).await.unwrap().end);
}

#[tokio::test]
async fn a_merge_takes_both_ranges() {
    let rig = Rig::new().await;
    rig.create("s", 3).await;
    let before = rig.describe("s").await;
    let after = rig
        .broker
        .merge(&ns(), &stream("s"), &shard(1), &shard(0))
        .await
        .unwrap();
    let child = &after.shards[3].info;
    assert_eq!(
        (&child.parent, &child.adjacent_parent),
        (&Some(shard(1)), &Some(shard(0)))
    );
    assert_eq!(child.hash_range, (0, before.shards[1].info.hash_range.1));
    assert_eq!(rig.put("s", vec![keyed("k", 0, "")]).await[0].shard, shard(3));
}

#[tokio::test]
async fn what_cannot_be_resharded_is_refused_and_stays_as_it_is() {
    let rig = Rig::new().await;
    rig.create("s", 3).await;
    let (broker, name) = (&rig.broker, stream("s"));
    broker.split(&ns(), &name, &shard(2), None).await.unwrap();
    for (e, part) in [
        (broker.split(&ns(), &name, &shard(2), None).await, "is closed"),
        (
            broker.split(&ns(), &name, &shard(0), Some(0)).await,
            "does not divide",
        ),
        (
            broker.merge(&ns(), &name, &shard(0), &shard(3)).await,
            "not neighbours",
        ),
        (
            broker.merge(&ns(), &name, &shard(0), &shard(2)).await,
            "is closed",
        ),
    ] {
        let e = e.unwrap_err();
        assert!(
            matches!(e, StreamError::Precondition(_)) && e.to_string().contains(part),
            "{e}"
        );
    }
    let e = broker.split(&ns(), &name, &shard(9), None).await.unwrap_err();
    assert!(matches!(e, StreamError::NoSuchShard { .. }), "{e}");
    assert_eq!(rig.describe("s").await.revision, 2);
    assert_eq!(rig.put("s", vec![keyed("k", 0, "")]).await[0].shard, shard(0));
}

/// The writer is held, so that the split is under way when the second put comes: the first is in the parent,
/// before its end, the second waits and is in a child.
#[tokio::test]
async fn a_put_during_a_split_is_never_behind_the_parents_end() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let hold = rig.faults.hold();
    let put = |n| {
        let broker = rig.broker.clone();
        tokio::spawn(async move {
            broker
                .put(&ns(), &stream("s"), vec![keyed("k", 0, number(n))])
                .await
                .unwrap()
        })
    };
    let settle = async || {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    let before = put(1);
    settle().await;
    let broker = rig.broker.clone();
    let split = tokio::spawn(async move { broker.split(&ns(), &stream("s"), &shard(0), None).await });
    settle().await;
    let after = put(2);
    settle().await;
    assert!(!before.is_finished() && !split.is_finished() && !after.is_finished());
    drop(hold);
    split.await.unwrap().unwrap();
    for (task, index, n) in [(before, 0, 1), (after, 1, 2)] {
        assert_eq!(task.await.unwrap()[0].as_ref().unwrap().shard, shard(index));
        assert_eq!(numbers(&rig.read_all("s", index, Position::Trim).await), [n]);
    }
}

/// Reads all shards, parents before children, as a consumer must.
async fn read_in_lineage(source: &dyn StreamSource) -> Vec<(ShardId, Record)> {
    let shards: Vec<ShardInfo> = source.shards().await.unwrap();
    let (mut done, mut records) = (BTreeSet::new(), Vec::new());
    while done.len() < shards.len() {
        let ready = |s: &&ShardInfo| !done.contains(&s.id) && s.parents().all(|p| done.contains(p));
        let next = shards.iter().find(ready).unwrap();
        let mut reader = source.open(&next.id, Position::Trim).await.unwrap();
        let page = drain(reader.as_mut()).await;
        assert_eq!(page.end, next.closed.is_some());
        records.extend(page.records.into_iter().map(|r| (next.id.clone(), r)));
        done.insert(next.id.clone());
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_per_key_survives_splits_and_merges_under_load() {
    const WRITERS: u64 = 8;
    const KEYS: u64 = 5;
    let rig = Rig::new().await;
    rig.create("s", 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (broker, stop) = (rig.broker.clone(), stop.clone());
        writers.push(tokio::spawn(async move {
            let (mut n, mut receipts) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let entries = (0..KEYS)
                    .map(|k| entry(&format!("{writer}-{k}"), number(n)))
                    .collect();
                let answers = broker.put(&ns(), &stream("s"), entries).await.unwrap();
                receipts.extend(answers.into_iter().map(|answer| answer.unwrap()));
                n += 1;
            }
            (n, receipts)
        }));
    }
    for round in 0..12 {
        let open: Vec<_> = rig
            .describe("s")
            .await
            .shards
            .into_iter()
            .map(|s| s.info)
            .collect();
        let mut open: Vec<_> = open.into_iter().filter(|s| s.closed.is_none()).collect();
        open.sort_by_key(|s| s.hash_range);
        if round % 3 == 2 {
            rig.broker
                .merge(&ns(), &stream("s"), &open[1].id, &open[0].id)
                .await
                .unwrap();
        } else {
            rig.broker
                .split(&ns(), &stream("s"), &open[round % open.len()].id, None)
                .await
                .unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }

    let rig = rig.reopen().await;
    let records = read_in_lineage(rig.source("s").await.as_ref()).await;
    let mut by_key = BTreeMap::<Bytes, Vec<u64>>::new();
    for (_, record) in &records {
        let n = numbers(std::slice::from_ref(record))[0];
        by_key.entry(record.partition_key.clone()).or_default().push(n);
    }
    for (writer, (puts, _)) in written.iter().enumerate() {
        for k in 0..KEYS {
            let key = Bytes::from(format!("{writer}-{k}"));
            assert_eq!(by_key[&key], (0..*puts).collect::<Vec<_>>(), "{key:?}");
        }
    }
    let stored: BTreeSet<_> = records
        .iter()
        .map(|(shard, r)| (shard.clone(), r.mark.seq))
        .collect();
    let receipts: Vec<_> = written.into_iter().flat_map(|(_, receipts)| receipts).collect();
    assert_eq!(stored.len(), receipts.len());
    assert!(receipts.into_iter().all(|r| stored.contains(&(r.shard, r.seq))));
}
