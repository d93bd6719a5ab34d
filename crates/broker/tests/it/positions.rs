//! Where a reader starts, how much it takes, and what a page says.

use crate::rig::{ALL, Rig, START, arn, drain, entry, ns, number, numbers, shard, stream};
use millstream_ports::{Credit, SourceError, Sources, StreamError, Streams};
use millstream_types::{Mark, Namespace, Position, Seq, Wall};

/// Batches of 3 records each: numbers 0 to 29, a second apart.
async fn thirty() -> (Rig, Vec<Seq>) {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut seqs = Vec::new();
    for batch in 0..10 {
        rig.clock.set(START + batch * 1_000);
        let entries = (0..3).map(|i| entry("k", number(batch * 3 + i))).collect();
        seqs.extend(rig.put("s", entries).await.into_iter().map(|r| r.seq));
    }
    (rig, seqs)
}

#[tokio::test]
async fn a_reader_starts_where_it_was_asked_to() {
    let (rig, seqs) = thirty().await;
    let mark = |i: usize| Mark::of(seqs[i]);
    let of_shard = |index: u64| Mark::of(format!("49{index:012}{:042}", 5).parse().unwrap());
    for (from, want) in [
        (Position::Trim, 0..30),
        (Position::At(mark(0)), 0..30),
        (Position::At(mark(4)), 4..30),
        (Position::After(mark(4)), 5..30),
        (Position::After(mark(5)), 6..30),
        (Position::After(mark(29)), 30..30),
        (Position::Timestamp(Wall(0)), 0..30),
        (Position::Timestamp(Wall(START)), 0..30),
        (Position::Timestamp(Wall(START + 1)), 3..30),
        (Position::Timestamp(Wall(START + 5_000)), 15..30),
        (Position::Timestamp(Wall(START + 5_001)), 18..30),
        (Position::Timestamp(Wall(START + 9_000)), 27..30),
        (Position::Timestamp(Wall(START + 9_001)), 30..30),
        (Position::End, 30..30),
        (Position::At(Mark::of(Seq::from_u128(1))), 0..30),
        (Position::After(of_shard(7)), 30..30),
    ] {
        let got = numbers(&rig.read_all("s", 0, from).await);
        assert_eq!(got, want.collect::<Vec<_>>(), "{from:?}");
    }
}

#[tokio::test]
async fn a_time_in_the_future_waits_for_its_records() {
    let (rig, _) = thirty().await;
    let mut reader = rig
        .reader("s", 0, Position::Timestamp(Wall(START + 60_000)))
        .await;
    assert!(drain(reader.as_mut()).await.records.is_empty());
    for (at, n) in [(50_000, 100), (59_999, 101), (60_000, 102), (60_000, 103)] {
        rig.clock.set(START + at);
        rig.put("s", vec![entry("k", number(n))]).await;
    }
    assert_eq!(numbers(&drain(reader.as_mut()).await.records), [102, 103]);
}

#[tokio::test]
async fn credit_is_kept_and_cuts_inside_a_batch() {
    let (rig, _) = thirty().await;
    // A stored record of this test has 1 (parts) + 1 (length) + 1 (key) + 1 or 2 (payload) bytes.
    for (credit, pages) in [
        (
            Credit {
                records: 7,
                bytes: usize::MAX,
            },
            vec![7, 7, 7, 7, 2],
        ),
        (
            Credit {
                records: 2,
                bytes: usize::MAX,
            },
            vec![2; 15],
        ),
        (
            Credit {
                records: usize::MAX,
                bytes: 8,
            },
            [vec![2; 5], vec![1; 20]].concat(),
        ),
        (Credit { records: 0, bytes: 0 }, vec![1; 30]),
        (ALL, vec![30]),
    ] {
        let mut reader = rig.reader("s", 0, Position::Trim).await;
        let (mut sizes, mut all) = (Vec::new(), Vec::new());
        loop {
            let page = reader.next(credit).await.unwrap();
            if page.records.is_empty() {
                break;
            }
            assert_eq!(page.through, page.records.last().map(|r| r.mark));
            sizes.push(page.records.len());
            all.extend(numbers(&page.records));
            assert_eq!(page.lag.records, Some(30 - all.len() as u64));
        }
        assert_eq!((sizes, all), (pages, (0..30).collect::<Vec<_>>()));
    }
}

#[tokio::test]
async fn a_page_tells_how_far_behind_it_is() {
    let (rig, seqs) = thirty().await;
    let mut reader = rig.reader("s", 0, Position::Trim).await;
    let page = reader
        .next(Credit {
            records: 4,
            bytes: usize::MAX,
        })
        .await
        .unwrap();
    assert_eq!((page.lag.millis, page.lag.records), (8_000, Some(26)));
    assert_eq!(page.through, Some(Mark::of(seqs[3])));
    let page = reader.next(ALL).await.unwrap();
    assert_eq!((page.lag.millis, page.lag.records), (0, Some(0)));
    let page = reader.next(ALL).await.unwrap();
    assert_eq!((page.records.len(), page.through), (0, Some(Mark::of(seqs[29]))));
    assert!(!page.end && page.gap.is_none());
}

#[tokio::test]
async fn an_empty_shard_has_nothing_through_which_it_was_read() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let page = rig.reader("s", 0, Position::Trim).await.next(ALL).await.unwrap();
    assert!(page.records.is_empty() && page.through.is_none() && !page.end);
}

#[tokio::test]
async fn large_pages_are_read_whole_once_a_reader_is_behind() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    for n in 0..40u8 {
        rig.put("s", vec![entry("k", vec![n; 10_000])]).await;
    }
    let mut reader = rig.reader("s", 0, Position::Trim).await;
    let mut got = Vec::new();
    let mut pages = 0;
    while got.len() < 40 {
        let page = reader
            .next(Credit {
                records: usize::MAX,
                bytes: 1 << 20,
            })
            .await
            .unwrap();
        got.extend(page.records.iter().map(|r| r.data[9_999]));
        pages += 1;
    }
    assert_eq!(got, (0..40).collect::<Vec<u8>>());
    assert_eq!(pages, 2, "64 KiB on the spot, then the rest");
}

#[tokio::test]
async fn a_page_read_by_hand_goes_on_where_it_ended() {
    let (rig, seqs) = thirty().await;
    let read = async |from, limit| {
        rig.broker
            .read_page(&ns(), &stream("s"), &shard(0), from, limit)
            .await
    };
    let (records, next) = read(Position::Trim, 10).await.unwrap();
    assert_eq!(
        (numbers(&records), next),
        ((0..10).collect(), Position::After(Mark::of(seqs[9])))
    );
    let (records, next) = read(next, 100).await.unwrap();
    assert_eq!(numbers(&records), (10..30).collect::<Vec<_>>());
    let (records, again) = read(next, 100).await.unwrap();
    assert!(records.is_empty() && again == next);
    let late = Position::Timestamp(Wall(START + 60_000));
    assert_eq!(read(late, 1).await.unwrap(), (vec![], late));
    for (from, limit, part) in [
        (Position::Trim, 0, "limit '0'"),
        (Position::Trim, 10_001, "1 to 10000"),
        (Position::At(Mark::of(Seq::from_u128(5))), 1, "position '5'"),
    ] {
        let text = read(from, limit).await.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
    let e = rig
        .broker
        .read_page(&ns(), &stream("s"), &shard(1), Position::Trim, 1)
        .await
        .unwrap_err();
    assert!(matches!(e, StreamError::NoSuchShard { .. }), "{e}");
}

#[tokio::test]
async fn only_streams_of_the_broker_and_the_namespace_are_served() {
    let (rig, _) = thirty().await;
    let elsewhere = "arn:aws:kinesis:us-east-1:111122223333:stream/s".parse().unwrap();
    let e = Sources::stream(&rig.broker, &ns(), &elsewhere)
        .await
        .err()
        .unwrap();
    assert!(matches!(e, SourceError::NotServed(_)), "{e}");
    for (namespace, name) in [(ns(), "t"), (Namespace::new("other").unwrap(), "s")] {
        let e = Sources::stream(&rig.broker, &namespace, &arn(name))
            .await
            .err()
            .unwrap();
        assert_eq!(e.to_string(), format!("Stream not found: {}", arn(name)));
    }
    let e = rig
        .source("s")
        .await
        .open(&shard(1), Position::Trim)
        .await
        .err()
        .unwrap();
    assert!(matches!(e, SourceError::NoSuchShard { .. }), "{e}");
}
