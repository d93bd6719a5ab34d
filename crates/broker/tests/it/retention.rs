//! What falls out of retention: not read, reported as a gap, removed, and never mixed up with what comes after.

use crate::rig::{ALL, HOUR, Rig, START, drain, entry, ns, number, numbers, shard, stream};
use millstream_broker::Trimmed;
use millstream_ports::{Credit, Gap, SourceError, StreamChange, StreamError, Streams};
use millstream_types::{Mark, Position, Seq, Wall};

fn keep(hours: u32) -> StreamChange {
    StreamChange {
        retention_hours: Some(hours),
        ..StreamChange::default()
    }
}

/// Numbers 0 to 9, an hour apart, two a batch.
async fn ten() -> (Rig, Vec<Seq>) {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut seqs = Vec::new();
    for hour in 0..5 {
        rig.clock.set(START + hour * HOUR);
        let entries = vec![entry("k", number(2 * hour)), entry("k", number(2 * hour + 1))];
        seqs.extend(rig.put("s", entries).await.into_iter().map(|r| r.seq));
    }
    (rig, seqs)
}

#[tokio::test]
async fn expired_records_are_skipped_before_and_after_they_are_removed() {
    let (rig, seqs) = ten().await;
    let mark = |i: usize| Mark::of(seqs[i]);
    rig.clock.set(START + 26 * HOUR + 1);
    for trimmed in [false, true] {
        if trimmed {
            assert_eq!(
                rig.broker.trim().await,
                Trimmed {
                    shards: 1,
                    ..Trimmed::default()
                }
            );
            assert_eq!(rig.broker.trim().await, Trimmed::default(), "once");
        }
        let described = &rig.describe("s").await.shards[0];
        assert_eq!(
            (described.oldest, described.newest),
            (Some(seqs[6]), Some(seqs[9]))
        );
        assert_eq!(described.records, 4);
        for (from, gap) in [
            (Position::Trim, None),
            (Position::Timestamp(Wall(START)), None),
            (
                Position::At(mark(3)),
                Some(Gap {
                    wanted: Position::At(mark(3)),
                    found: mark(6),
                }),
            ),
            (
                Position::After(mark(4)),
                Some(Gap {
                    wanted: Position::After(mark(4)),
                    found: mark(6),
                }),
            ),
            (Position::After(mark(5)), None),
            (Position::At(mark(6)), None),
        ] {
            let page = drain(rig.reader("s", 0, from).await.as_mut()).await;
            assert_eq!(numbers(&page.records), [6, 7, 8, 9], "{from:?} {trimmed}");
            assert_eq!(page.gap, gap, "{from:?} {trimmed}");
        }
    }
}

#[tokio::test]
async fn a_reader_that_is_overtaken_is_told_what_it_missed() {
    let (rig, seqs) = ten().await;
    let mark = |i: usize| Mark::of(seqs[i]);
    let mut slow = rig.reader("s", 0, Position::Trim).await;
    slow.next(Credit {
        records: 1,
        bytes: usize::MAX,
    })
    .await
    .unwrap();
    rig.clock.set(START + 25 * HOUR + 1);
    let page = slow
        .next(Credit {
            records: 1,
            bytes: usize::MAX,
        })
        .await
        .unwrap();
    assert_eq!(
        page.gap,
        Some(Gap {
            wanted: Position::At(mark(1)),
            found: mark(4)
        })
    );
    assert_eq!(numbers(&page.records), [4]);
    assert_eq!(
        slow.next(Credit {
            records: 1,
            bytes: usize::MAX
        })
        .await
        .unwrap()
        .gap,
        None
    );
    rig.clock.set(START + 40 * HOUR);
    rig.broker.trim().await;
    let page = slow.next(ALL).await.unwrap();
    assert!(page.records.is_empty());
    assert_eq!(page.gap.map(|gap| gap.wanted), Some(Position::At(mark(6))));
    assert_eq!(page.through, Some(mark(9)));
    assert_eq!(slow.next(ALL).await.unwrap().gap, None);
}

/// The numbers of a shard that was emptied go on, also over a restart: a checkpoint must stay behind them.
#[tokio::test]
async fn an_emptied_shard_never_numbers_anew() {
    let (rig, seqs) = ten().await;
    rig.clock.set(START + 100 * HOUR);
    assert_eq!(rig.broker.trim().await.shards, 1);
    let rig = rig.reopen().await;
    rig.clock.set(START);
    let receipt = &rig.put("s", vec![entry("k", number(10))]).await[0];
    assert_eq!(receipt.seq, seqs[9].successor().unwrap());
    let records = rig.read_all("s", 0, Position::After(Mark::of(seqs[9]))).await;
    assert_eq!(numbers(&records), [10]);
    assert!(
        records[0].arrival >= Wall(START + 4 * HOUR),
        "arrivals do not fall either"
    );
}

#[tokio::test]
async fn retention_can_be_changed() {
    let (rig, _) = ten().await;
    rig.clock.set(START + 26 * HOUR + 1);
    let up = rig
        .broker
        .set(&ns(), &stream("s"), keep(48), Some(1), false)
        .await
        .unwrap();
    assert_eq!((up.revision, up.spec.retention_hours), (2, 48));
    assert_eq!(rig.read_all("s", 0, Position::Trim).await.len(), 10);
    let stale = rig
        .broker
        .set(&ns(), &stream("s"), keep(1), Some(1), false)
        .await
        .unwrap_err();
    assert!(
        matches!(
            stale,
            StreamError::Conflict {
                expected: 1,
                actual: 2,
                ..
            }
        ),
        "{stale}"
    );
    rig.broker
        .set(&ns(), &stream("s"), keep(23), None, false)
        .await
        .unwrap();
    assert_eq!(numbers(&rig.read_all("s", 0, Position::Trim).await), [8, 9]);
    rig.broker.trim().await;
    rig.broker
        .set(&ns(), &stream("s"), keep(8_760), None, false)
        .await
        .unwrap();
    assert_eq!(
        numbers(&rig.read_all("s", 0, Position::Trim).await),
        [8, 9],
        "what is removed stays away"
    );
    let rig = rig.reopen().await;
    assert_eq!(rig.describe("s").await.spec.retention_hours, 8_760);
}

#[tokio::test]
async fn a_closed_shard_goes_when_its_last_record_does() {
    let (rig, _) = ten().await;
    rig.broker
        .split(&ns(), &stream("s"), &shard(0), None)
        .await
        .unwrap();
    let source = rig.source("s").await;
    let mut reader = source.open(&shard(0), Position::Trim).await.unwrap();
    reader
        .next(Credit {
            records: 1,
            bytes: usize::MAX,
        })
        .await
        .unwrap();
    rig.clock.set(START + 28 * HOUR);
    assert_eq!(
        rig.broker.trim().await,
        Trimmed {
            shards: 1,
            ..Trimmed::default()
        }
    );
    assert_eq!(
        source.shards().await.unwrap().len(),
        3,
        "its last records are still kept"
    );
    rig.clock.advance(1);
    assert_eq!(
        rig.broker.trim().await,
        Trimmed {
            messages: 0,
            shards: 1,
            forgotten: 1,
            failed: 0
        }
    );
    source.shards_changed().await;
    let left = source.shards().await.unwrap();
    assert_eq!(
        left.iter().map(|s| s.id.clone()).collect::<Vec<_>>(),
        [shard(1), shard(2)]
    );
    assert!(
        left.iter().all(|s| s.parent == Some(shard(0))),
        "children remember it"
    );
    let e = source.open(&shard(0), Position::Trim).await.err().unwrap();
    assert!(matches!(e, SourceError::NoSuchShard { .. }), "{e}");
    let page = drain(reader.as_mut()).await;
    assert!(page.records.is_empty() && page.end && page.gap.is_some());
    let revision = rig.describe("s").await.revision;
    let rig = rig.reopen().await;
    let described = rig.describe("s").await;
    assert_eq!((described.shards.len(), described.revision), (2, revision));
}
