//! The starting position LATEST: an exact line between what was put before and what is put after.

use crate::rig::{Rig, START, entry, ns, number, numbers, shard, stream};
use millstream_ports::Streams;
use millstream_types::{Position, StartingPosition, Wall};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn line(position: Position) -> Wall {
    match position {
        Position::Timestamp(at) => at,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn other_positions_hold_for_all_shards() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    rig.broker
        .split(&ns(), &stream("s"), &shard(0), None)
        .await
        .unwrap();
    let source = rig.source("s").await;
    for (start, position) in [
        (StartingPosition::TrimHorizon, Position::Trim),
        (
            StartingPosition::AtTimestamp(Wall(5)),
            Position::Timestamp(Wall(5)),
        ),
    ] {
        let pin = source.pin(start).await.unwrap();
        assert_eq!((pin.position, pin.shards.len()), (position, 3));
    }
    let pin = source.pin(StartingPosition::Latest).await.unwrap();
    assert_eq!(pin.shards, [shard(1), shard(2)], "only open shards");
}

/// Within one millisecond, with a clock that goes back, and over a restart.
#[tokio::test]
async fn the_line_is_exact_whatever_the_clock_does() {
    let mut rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut pins = Vec::new();
    for n in 0..6 {
        rig.put("s", vec![entry("k", number(n))]).await;
        let pin = rig.source("s").await.pin(StartingPosition::Latest).await.unwrap();
        pins.push((n + 1, pin.position));
        match n {
            1 => rig.clock.set(START - 10_000),
            2 => rig = rig.reopen().await,
            3 => rig.clock.set(START + 10_000),
            _ => {}
        }
    }
    rig.put("s", vec![entry("k", number(6))]).await;
    for (first, position) in pins {
        let got = numbers(&rig.read_all("s", 0, position).await);
        assert_eq!(got, (first..=6).collect::<Vec<_>>(), "{position:?}");
    }
}

/// Under load: what was acknowledged before the pin is before the line, what is put after it is behind the line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_is_exact_under_concurrent_puts() {
    const ROUNDS: usize = 30;
    let rig = Rig::new().await;
    rig.create("s", 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut noise = Vec::new();
    for i in 0..4 {
        let (broker, stop) = (rig.broker.clone(), stop.clone());
        noise.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let entries = vec![entry(&format!("noise{i}"), number(1_000))];
                broker.put(&ns(), &stream("s"), entries).await.unwrap();
            }
        }));
    }
    let source = rig.source("s").await;
    let mut rounds = Vec::new();
    for n in 0..ROUNDS as u64 {
        let before = rig
            .put("s", vec![entry("a", number(2 * n)), entry("abc", number(2 * n))])
            .await;
        let pin = source.pin(StartingPosition::Latest).await.unwrap();
        let after = rig
            .put(
                "s",
                vec![entry("a", number(2 * n + 1)), entry("abc", number(2 * n + 1))],
            )
            .await;
        rounds.push((before, line(pin.position), after));
        rig.clock.advance(n % 2);
    }
    stop.store(true, Ordering::Relaxed);
    for task in noise {
        task.await.unwrap();
    }
    for index in 0..2 {
        let records = rig.read_all("s", index, Position::Trim).await;
        let arrival = |seq| records.iter().find(|r| r.mark.seq == seq).unwrap().arrival;
        assert!(records.is_sorted_by_key(|r| (r.mark, r.arrival)));
        for (before, line, after) in &rounds {
            for receipt in before.iter().filter(|r| r.shard == shard(index)) {
                assert!(arrival(receipt.seq) < *line);
            }
            for receipt in after.iter().filter(|r| r.shard == shard(index)) {
                assert!(arrival(receipt.seq) >= *line);
            }
        }
    }
}
