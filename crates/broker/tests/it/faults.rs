//! Writes that fail or whose outcome is unknown: nothing acknowledged is lost, no number is given twice, and the
//! stream goes on by itself.

use crate::rig::{ALL, Rig, entry, keyed, ns, number, numbers, shard, stream};
use millstream_ports::{PutError, StreamError, Streams};
use millstream_types::{Position, StartingPosition, StreamSpec};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
enum Fault {
    BeforeWrite,
    AfterWrite,
    BeforeWriteAndOpen,
}

impl Fault {
    const ALL: [Self; 3] = [Self::BeforeWrite, Self::AfterWrite, Self::BeforeWriteAndOpen];

    fn inject(self, rig: &Rig) {
        match self {
            Self::BeforeWrite => rig.faults.fail_before_write(1),
            Self::AfterWrite => rig.faults.fail_after_write(1),
            Self::BeforeWriteAndOpen => {
                rig.faults.fail_opens(2);
                rig.faults.fail_before_write(1);
            }
        }
    }
}

#[tokio::test]
async fn a_put_of_unknown_outcome_is_reported_and_the_shard_goes_on() {
    for fault in Fault::ALL {
        let rig = Rig::new().await;
        rig.create("s", 1).await;
        let mut acknowledged = rig.put("s", vec![entry("k", number(1))]).await;
        fault.inject(&rig);
        let answers = rig
            .broker
            .put(&ns(), &stream("s"), vec![entry("k", number(2))])
            .await
            .unwrap();
        let e = answers[0].as_ref().unwrap_err();
        assert!(
            matches!(e, PutError::Unavailable(_)) && e.to_string().contains("may or may not"),
            "{e}"
        );
        rig.reopened(1).await;
        acknowledged.extend(rig.put("s", vec![entry("k", number(3))]).await);

        let rig = rig.reopen().await;
        let records = rig.read_all("s", 0, Position::Trim).await;
        let want = if matches!(fault, Fault::AfterWrite) {
            vec![1, 2, 3]
        } else {
            vec![1, 3]
        };
        assert_eq!(numbers(&records), want, "{fault:?}");
        let stored: BTreeSet<_> = records.iter().map(|r| r.mark.seq).collect();
        assert!(acknowledged.iter().all(|r| stored.contains(&r.seq)));
        assert_eq!(stored.len(), records.len());
    }
}

/// Several puts of one shard fail in one group while others are queued behind them.
#[tokio::test]
async fn puts_behind_a_failed_group_keep_their_order_and_numbers() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let hold = rig.faults.hold();
    let put = |n| {
        let broker = rig.broker.clone();
        tokio::spawn(async move {
            broker
                .put(&ns(), &stream("s"), vec![entry("k", number(n))])
                .await
                .unwrap()
        })
    };
    let first: Vec<_> = (0..4).map(put).collect();
    tokio::task::yield_now().await;
    rig.faults.fail_after_write(1);
    drop(hold);
    let mut failed = 0;
    for task in first {
        failed += usize::from(task.await.unwrap()[0].is_err());
    }
    assert!(failed > 0, "the fault was seen");
    rig.reopened(1).await;
    for n in 4..8 {
        rig.put("s", vec![entry("k", number(n))]).await;
    }
    let records = rig.read_all("s", 0, Position::Trim).await;
    assert_eq!(numbers(&records), (0..8).collect::<Vec<_>>());
    assert!(records.is_sorted_by(|a, b| a.mark < b.mark));
}

#[tokio::test]
async fn a_split_of_unknown_outcome_is_found_out() {
    for fault in Fault::ALL {
        let rig = Rig::new().await;
        rig.create("s", 1).await;
        rig.put("s", vec![keyed("k", 0, number(1))]).await;
        fault.inject(&rig);
        let split = rig.broker.split(&ns(), &stream("s"), &shard(0), None).await;
        rig.reopened(1).await;
        let receipt = &rig.put("s", vec![keyed("k", 0, number(2))]).await[0];
        let shards = rig.describe("s").await.shards.len();
        match fault {
            Fault::AfterWrite => assert_eq!((shards, &receipt.shard), (3, &shard(1)), "{split:?}"),
            _ => {
                assert!(matches!(split, Err(StreamError::Unavailable(_))), "{split:?}");
                assert_eq!((shards, &receipt.shard), (1, &shard(0)));
            }
        }
        let rig = rig.reopen().await;
        assert_eq!(rig.describe("s").await.shards.len(), shards, "{fault:?}");
        rig.put("s", vec![keyed("k", 0, number(3))]).await;
    }
}

#[tokio::test]
async fn a_delete_of_unknown_outcome_is_found_out() {
    for fault in Fault::ALL {
        let rig = Rig::new().await;
        rig.create("s", 1).await;
        rig.put("s", vec![entry("k", number(1))]).await;
        fault.inject(&rig);
        let _ = rig.broker.delete(&ns(), &stream("s"), None).await;
        rig.reopened(1).await;
        let put = rig
            .broker
            .put(&ns(), &stream("s"), vec![entry("k", number(2))])
            .await;
        match fault {
            Fault::AfterWrite => assert_eq!(put.unwrap_err(), StreamError::NotFound(stream("s"))),
            _ => assert!(put.unwrap()[0].is_ok(), "{fault:?}"),
        }
        let rig = rig.reopen().await;
        let left = rig.broker.list(&ns(), None, 10).await.unwrap();
        assert_eq!(left.is_empty(), matches!(fault, Fault::AfterWrite), "{fault:?}");
    }
}

#[tokio::test]
async fn a_create_of_unknown_outcome_can_be_repeated() {
    for fault in Fault::ALL {
        let rig = Rig::new().await;
        fault.inject(&rig);
        let first = rig
            .broker
            .create(&ns(), &stream("s"), StreamSpec::default(), false)
            .await
            .unwrap_err();
        assert!(matches!(first, StreamError::Unavailable(_)), "{first}");
        rig.reopened(1).await;
        let again = rig
            .broker
            .create(&ns(), &stream("s"), StreamSpec::default(), false)
            .await;
        assert_eq!(again.is_err(), matches!(fault, Fault::AfterWrite), "{again:?}");
        rig.put("s", vec![entry("k", number(1))]).await;
        assert_eq!(numbers(&rig.read_all("s", 0, Position::Trim).await), [1]);
    }
}

#[tokio::test]
async fn a_pin_of_unknown_outcome_is_repeated_and_exact() {
    for fault in Fault::ALL {
        let rig = Rig::new().await;
        rig.create("s", 1).await;
        rig.put("s", vec![entry("k", number(1))]).await;
        let source = rig.source("s").await;
        fault.inject(&rig);
        let _ = source.pin(StartingPosition::Latest).await;
        rig.reopened(1).await;
        let pin = source.pin(StartingPosition::Latest).await.unwrap();
        drop(source);
        let rig = rig.reopen().await;
        rig.put("s", vec![entry("k", number(2))]).await;
        assert_eq!(
            numbers(&rig.read_all("s", 0, pin.position).await),
            [2],
            "{fault:?}"
        );
    }
}

/// Records that reached the disk though their write was reported as failed become readable by themselves.
#[tokio::test]
async fn what_is_on_disk_becomes_readable_without_another_put() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut reader = rig.reader("s", 0, Position::Trim).await;
    rig.faults.fail_opens(3);
    rig.faults.fail_after_write(1);
    let answers = rig
        .broker
        .put(&ns(), &stream("s"), vec![entry("k", number(1))])
        .await
        .unwrap();
    assert!(answers[0].is_err());
    reader.wait().await;
    assert_eq!(numbers(&reader.next(ALL).await.unwrap().records), [1]);
}
