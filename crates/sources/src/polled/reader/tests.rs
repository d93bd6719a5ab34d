//! Readers against a stream in memory, on a clock that moves only while it is waited for.

use crate::polled::fake::{FakeWire, mapping_on, mark, run, stream_of};
use crate::polled::{PolledStream, SharedShards, WireError};
use futures::FutureExt;
use millstream_ports::{Clock, Credit, Gap, Page, ShardReader, SourceError, StreamSource};
use millstream_testkit::ManualClock;
use millstream_types::{Position, ShardId, Wall};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const ALL: Credit = Credit {
    records: 1_000,
    bytes: 1 << 20,
};
const DAY_MS: u64 = 24 * 3_600_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Wall(0)))
}

fn open(stream: &PolledStream, from: Position) -> Box<dyn ShardReader> {
    let shard = ShardId::new("s-0").unwrap();
    stream.open(&shard, from).now_or_never().unwrap().unwrap()
}

async fn next(clock: &ManualClock, reader: &mut Box<dyn ShardReader>) -> Result<Page, SourceError> {
    run(clock, reader.next(ALL)).await
}

fn numbers(page: &Page) -> Vec<u128> {
    page.records
        .iter()
        .map(|r| r.mark.to_string().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_keep_to_the_credit_and_wait_for_nothing() {
    let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
    let stream = stream_of(wire.clone(), &clock);
    wire.put("s-0", 1..=5);
    let mut reader = open(&stream, Position::Trim);
    for (records, bytes, expect) in [
        (2, 1 << 20, vec![1, 2]),
        (9, 25, vec![3, 4]),
        (9, 1, vec![5]),
        (9, 1_000, vec![]),
    ] {
        let page = run(&clock, reader.next(Credit { records, bytes })).await.unwrap();
        assert_eq!((numbers(&page), page.end, page.gap), (expect, false, None));
    }
    assert_eq!(reader.next(ALL).await.unwrap().through, Some(mark(5)));
    // Nothing is there: the reader waits by the clock, longer each time.
    let mut wait = Box::pin(reader.wait());
    assert!(wait.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_millis(100));
    assert!(wait.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    wait.await;
}

#[tokio::test]
async fn an_iterator_that_expired_is_made_anew_where_the_reader_stands() {
    let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
    let stream = stream_of(wire.clone(), &clock);
    let mut reader = open(&stream, Position::Trim);
    assert_eq!(next(&clock, &mut reader).await.unwrap().through, None);
    for round in 0..4 {
        wire.with(|s| s.generation += 1);
        wire.put("s-0", [round]);
        assert_eq!(numbers(&next(&clock, &mut reader).await.unwrap()), [round]);
        assert!(next(&clock, &mut reader).await.unwrap().records.is_empty());
    }
}

#[tokio::test]
async fn a_throttle_is_told_and_nothing_is_lost_by_it() {
    let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
    let stream = stream_of(wire.clone(), &clock);
    wire.put("s-0", 1..=2);
    let mut reader = open(&stream, Position::Trim);
    wire.with(|s| {
        s.errors
            .extend([WireError::Throttled, WireError::Failed("odd".to_owned())])
    });
    let throttled = next(&clock, &mut reader).await.unwrap_err();
    assert_eq!(throttled, SourceError::Throttled("arn:fake".to_owned()));
    assert!(throttled.retryable());
    // The turn after it is not before the back-off.
    let mut waits = Box::pin(reader.next(ALL));
    assert!(waits.as_mut().now_or_never().is_none());
    let odd = run(&clock, waits).await.unwrap_err();
    assert_eq!(odd, SourceError::Unavailable("odd".to_owned()));
    assert_eq!(numbers(&next(&clock, &mut reader).await.unwrap()), [1, 2]);
}

#[tokio::test]
async fn what_fell_out_of_retention_is_told_whichever_way_the_service_shows_it() {
    for refuses in [false, true] {
        let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
        let stream = stream_of(wire.clone(), &clock);
        wire.put("s-0", 1..=5);
        wire.shard("s-0", |s| s.trimmed = 3);
        wire.with(|s| {
            s.refuses_trimmed = refuses;
            s.date = Wall(s.date.0 + DAY_MS);
        });
        let mut reader = open(&stream, Position::After(mark(2)));
        let page = next(&clock, &mut reader).await.unwrap();
        let gap = Gap {
            wanted: Position::After(mark(2)),
            found: mark(4),
        };
        assert_eq!((numbers(&page), page.gap), (vec![4, 5], Some(gap)), "{refuses}");
        assert_eq!(next(&clock, &mut reader).await.unwrap().gap, None);
    }
}

#[tokio::test]
async fn an_idle_shard_whose_last_record_was_trimmed_lost_nothing() {
    for refuses in [false, true] {
        let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
        let stream = stream_of(wire.clone(), &clock);
        wire.put("s-0", [1]);
        wire.shard("s-0", |s| s.trimmed = 1);
        wire.with(|s| s.refuses_trimmed = refuses);
        let mut reader = open(&stream, Position::After(mark(1)));
        assert_eq!(next(&clock, &mut reader).await.unwrap().gap, None);
        wire.with(|s| s.date = Wall(s.date.0 + 2 * DAY_MS));
        wire.put("s-0", [2]);
        let page = next(&clock, &mut reader).await.unwrap();
        assert_eq!((numbers(&page), page.gap), (vec![2], None));
        // Nor is it a loss for a reader that comes later, before long.
        wire.shard("s-0", |s| s.trimmed = 1);
        let page = next(
            &clock,
            &mut open(&stream_of(wire.clone(), &clock), Position::After(mark(1))),
        )
        .await
        .unwrap();
        assert_eq!((numbers(&page), page.gap), (vec![2], None));
    }
}

#[tokio::test]
async fn the_end_of_a_shard_comes_after_its_last_record() {
    let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
    let stream = stream_of(wire.clone(), &clock);
    wire.put("s-0", 1..=3);
    wire.shard("s-0", |s| s.closed = true);
    let few = Credit { records: 2, ..ALL };
    let mut reader = open(&stream, Position::Trim);
    let page = run(&clock, reader.next(few)).await.unwrap();
    assert_eq!((numbers(&page), page.end), (vec![1, 2], false));
    assert!(stream.shards_changed().now_or_never().is_none());
    let page = run(&clock, reader.next(few)).await.unwrap();
    assert_eq!((numbers(&page), page.end), (vec![3], true));
    // That is when children may be looked for.
    assert!(stream.shards_changed().now_or_never().is_some());
    assert!(next(&clock, &mut reader).await.unwrap().end);
    for from in [Position::After(mark(3)), Position::End] {
        let page = next(&clock, &mut open(&stream, from)).await.unwrap();
        assert!(page.end && page.records.is_empty(), "{from:?}");
    }
}

#[tokio::test]
async fn a_shard_that_expired_is_told_from_a_stream_that_is_gone() {
    let (wire, clock) = (FakeWire::new(&["s-0", "s-1"]), clock());
    let stream = stream_of(wire.clone(), &clock);
    wire.expire_shard("s-0");
    let error = next(&clock, &mut open(&stream, Position::Trim))
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::NoSuchShard { .. }), "{error}");
    wire.delete_stream();
    let error = next(&clock, &mut open(&stream, Position::Trim))
        .await
        .unwrap_err();
    assert_eq!(error, SourceError::NotFound("arn:fake".to_owned()));
}

#[tokio::test]
async fn mappings_at_the_tip_cost_the_calls_of_one() {
    let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
    let shared = SharedShards::default();
    let mappings: Vec<_> = (0..4)
        .map(|_| mapping_on(wire.clone(), &clock, &shared))
        .collect();
    wire.put("s-0", [0]);
    let mut readers: Vec<_> = mappings.iter().map(|m| open(m, Position::Trim)).collect();
    for reader in &mut readers {
        assert_eq!(numbers(&next(&clock, reader).await.unwrap()), [0]);
        next(&clock, reader).await.unwrap();
    }
    let before = wire.with(|s| (s.reads, s.iterators));
    for n in 1..=50 {
        wire.put("s-0", [n]);
        for reader in &mut readers {
            let mut got = Vec::new();
            while got.is_empty() {
                got = numbers(&next(&clock, reader).await.unwrap());
            }
            assert_eq!(got, [n]);
        }
    }
    let after = wire.with(|s| (s.reads, s.iterators));
    assert!(after.0 - before.0 <= 50, "{} reads", after.0 - before.0);
    assert_eq!(after.1, before.1);
}

#[tokio::test]
async fn an_idle_minute_costs_about_sixty_reads_however_many_mappings_there_are() {
    for mappings in [1, 3, 20] {
        let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
        let shared = SharedShards::default();
        wire.put("s-0", [0]);
        let streams: Vec<_> = (0..mappings)
            .map(|_| mapping_on(wire.clone(), &clock, &shared))
            .collect();
        let mut readers: Vec<_> = streams.iter().map(|m| open(m, Position::Trim)).collect();
        for reader in &mut readers {
            next(&clock, reader).await.unwrap();
        }
        let (before, start) = (wire.with(|s| s.reads), clock.now().mono);
        let minute = |mut reader: Box<dyn ShardReader>| {
            let clock = clock.clone();
            async move {
                while clock.now().mono.since(start) < Duration::from_secs(60) {
                    reader.next(ALL).await.unwrap();
                    reader.wait().await;
                }
            }
        };
        run(&clock, futures::future::join_all(readers.into_iter().map(minute))).await;
        let reads = wire.with(|s| s.reads) - before;
        assert!((40..=70).contains(&reads), "{reads} reads of {mappings} mappings");
    }
}

#[tokio::test]
async fn earlier_arrivals_are_skipped_without_moving_the_start() {
    let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
    let stream = stream_of(wire.clone(), &clock);
    let pin = Wall(wire.with(|s| s.date).0 + 1_000);
    wire.put("s-0", 1..=3);
    // Where a service knows no such start, the reader looks for it from the oldest record on.
    wire.with(|s| s.refuses_times = true);
    let mut reader = open(&stream, Position::Timestamp(pin));
    assert_eq!(next(&clock, &mut reader).await.unwrap().through, None);
    wire.with(|s| s.date = pin);
    wire.put("s-0", 4..=5);
    assert_eq!(numbers(&next(&clock, &mut reader).await.unwrap()), [4, 5]);
}

/// What happens to a stream and its readers.
#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Read { reader: usize, records: usize },
    Reopen(usize),
    Expire,
    Throttle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u8..40).prop_map(Step::Put),
        6 => (0usize..3, 1usize..20).prop_map(|(reader, records)| Step::Read { reader, records }),
        1 => (0usize..3).prop_map(Step::Reopen),
        1 => Just(Step::Expire),
        1 => Just(Step::Throttle),
    ]
}

proptest! {
    /// However pages, expiries, throttles and new readers alternate, each of three mappings reads every record once,
    /// in order.
    #[test]
    fn every_reader_reads_everything_once_in_order(steps in proptest::collection::vec(step(), 1..120)) {
        let (wire, clock) = (FakeWire::new(&["s-0"]), clock());
        let shared = SharedShards::default();
        let mappings: Vec<_> = (0..3).map(|_| mapping_on(wire.clone(), &clock, &shared)).collect();
        let mut readers: Vec<_> = mappings.iter().map(|m| open(m, Position::Trim)).collect();
        let mut got: Vec<Vec<u128>> = vec![Vec::new(); 3];
        let mut put = 0u128;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = |reader: &mut Box<dyn ShardReader>, records, got: &mut Vec<u128>| {
            let credit = Credit { records, bytes: 200 };
            let page = runtime.block_on(run(&clock, reader.next(credit)));
            if let Ok(page) = &page {
                got.extend(numbers(page));
            }
            page
        };
        for step in steps {
            match step {
                Step::Put(n) => {
                    wire.put("s-0", put..put + u128::from(n));
                    put += u128::from(n);
                }
                Step::Read { reader, records } => {
                    // Only a throttle is an error here, and the reader stands where it stood.
                    let page = read(&mut readers[reader], records, &mut got[reader]);
                    let error = page.err();
                    prop_assert!(error.is_none_or(|e| matches!(e, SourceError::Throttled(_))));
                }
                Step::Reopen(n) => {
                    let from = got[n].last().map_or(Position::Trim, |last| Position::After(mark(*last)));
                    readers[n] = open(&mappings[n], from);
                }
                Step::Expire => wire.with(|s| s.generation += 1),
                Step::Throttle => wire.with(|s| s.errors.push_back(WireError::Throttled)),
            }
        }
        wire.with(|s| s.errors.clear());
        wire.shard("s-0", |s| s.closed = true);
        for (n, reader) in readers.iter_mut().enumerate() {
            while !read(reader, 50, &mut got[n]).unwrap().end {}
            prop_assert_eq!(&got[n], &(0..put).collect::<Vec<_>>());
        }
    }
}
