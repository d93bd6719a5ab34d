//! Failure documents reach an embedded stream exactly once, whatever goes wrong in between.

use crate::rig::{ALL, Rig, arn, ns, number, numbers, shard, stream};
use bytes::Bytes;
use millstream_ports::{DeliverError, Delivery, Destination, Destinations, Streams};
use millstream_store::schema::Key;
use millstream_store::{Batch, Durability};
use millstream_types::durable::OutboxEntry;
use millstream_types::ids::DiscardId;
use millstream_types::{MappingId, Position};
use std::sync::Arc;

fn document(n: u64) -> OutboxEntry {
    OutboxEntry {
        discard: DiscardId::from_random(u128::from(n)),
        namespace: ns(),
        mapping: MappingId::from_random(7),
        destination: arn("failures").into(),
        partition_key: "shardId-000000000000".into(),
        document: number(n),
    }
}

/// As the journal leaves it.
async fn post(rig: &Rig, entry: &OutboxEntry) {
    let mut batch = Batch::new();
    batch.put(
        &Key::Outbox {
            discard: entry.discard,
        },
        Bytes::from_static(b"entry"),
    );
    rig.db.write(batch, Durability::Synced).await.unwrap();
}

fn is_pending(rig: &Rig, entry: &OutboxEntry) -> bool {
    rig.db
        .get(
            &Key::Outbox {
                discard: entry.discard,
            }
            .encode(),
        )
        .unwrap()
        .is_some()
}

async fn destination(rig: &Rig) -> Arc<dyn Destination> {
    rig.broker
        .destination(&ns(), &arn("failures").into())
        .await
        .unwrap()
}

async fn delivered(rig: &Rig) -> Vec<u64> {
    numbers(&rig.read_all("failures", 0, Position::Trim).await)
}

#[tokio::test]
async fn a_document_is_appended_and_settled_in_one_step() {
    let rig = Rig::new().await;
    rig.create("failures", 1).await;
    let (entry, to) = (document(1), destination(&rig).await);
    post(&rig, &entry).await;
    let mut reader = rig.reader("failures", 0, Position::Trim).await;
    assert_eq!(to.deliver(&entry).await, Ok(Delivery::Settled));
    reader.wait().await;
    let records = rig.read_all("failures", 0, Position::Trim).await;
    assert_eq!(numbers(&records), [1]);
    assert_eq!(&records[0].partition_key[..], entry.partition_key.as_bytes());
    assert!(!is_pending(&rig, &entry));
    assert_eq!(to.deliver(&entry).await, Ok(Delivery::Settled));
    assert_eq!(delivered(&rig).await, [1], "again is nothing");
}

#[tokio::test]
async fn a_failed_write_is_repeated_without_a_duplicate() {
    let rig = Rig::new().await;
    rig.create("failures", 1).await;
    let to = destination(&rig).await;
    let mut reader = rig.reader("failures", 0, Position::Trim).await;
    let mut got = Vec::new();
    for (n, written) in [(1, true), (2, false), (3, true)] {
        let entry = document(n);
        post(&rig, &entry).await;
        if written {
            rig.faults.fail_after_write(1);
        } else {
            rig.faults.fail_before_write(1);
        }
        assert!(matches!(
            to.deliver(&entry).await,
            Err(DeliverError::Unavailable { .. })
        ));
        rig.reopened(n).await;
        assert_eq!(is_pending(&rig, &entry), !written);
        assert_eq!(to.deliver(&entry).await, Ok(Delivery::Settled));
        assert!(!is_pending(&rig, &entry));
        // Readable once the stream has recovered by itself; until then that would meet the next fault.
        while (got.len() as u64) < n {
            reader.wait().await;
            got.extend(numbers(&reader.next(ALL).await.unwrap().records));
        }
    }
    assert_eq!(got, [1, 2, 3]);
}

/// The process ends while a document is on its way: before its write, or after it and before the answer.
#[tokio::test]
async fn a_crash_between_the_steps_loses_and_doubles_nothing() {
    let mut rig = Rig::new().await;
    rig.create("failures", 1).await;
    for n in 1..=4 {
        let entry = document(n);
        post(&rig, &entry).await;
        let to = destination(&rig).await;
        let hold = rig.faults.hold();
        // Queued, and never heard of again.
        assert!(futures::FutureExt::now_or_never(to.deliver(&entry)).is_none());
        if n % 2 == 0 {
            rig.faults.fail_before_write(1);
        }
        drop(hold);
        drop(to);
        rig = rig.reopen().await;
        assert_eq!(is_pending(&rig, &entry), n % 2 == 0);
        assert_eq!(
            destination(&rig).await.deliver(&entry).await,
            Ok(Delivery::Settled)
        );
        assert_eq!(delivered(&rig).await, (1..=n).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_deliver_one_document_deliver_it_once() {
    let rig = Rig::new().await;
    rig.create("failures", 1).await;
    let to = destination(&rig).await;
    for n in 0..20 {
        let entry = document(n);
        post(&rig, &entry).await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (to, entry) = (to.clone(), entry.clone());
                tokio::spawn(async move { to.deliver(&entry).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(Delivery::Settled));
        }
    }
    assert_eq!(delivered(&rig).await, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_missing_stream_refuses_until_it_is_made() {
    let rig = Rig::new().await;
    let e = rig
        .broker
        .destination(&ns(), &arn("failures").into())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(e, DeliverError::Refused { .. }) && e.to_string().contains("does not exist"),
        "{e}"
    );
    rig.create("failures", 1).await;
    let (entry, to) = (document(1), destination(&rig).await);
    post(&rig, &entry).await;
    rig.broker.delete(&ns(), &stream("failures"), None).await.unwrap();
    assert!(matches!(
        to.deliver(&entry).await,
        Err(DeliverError::Refused { .. })
    ));
    assert!(is_pending(&rig, &entry));
    rig.create("failures", 1).await;
    rig.broker
        .split(&ns(), &stream("failures"), &shard(0), None)
        .await
        .unwrap();
    assert_eq!(to.deliver(&entry).await, Ok(Delivery::Settled));
    rig.faults.set_free_bytes(Some(0));
    let second = document(2);
    post(&rig, &second).await;
    assert!(matches!(
        to.deliver(&second).await,
        Err(DeliverError::Unavailable { .. })
    ));
}
