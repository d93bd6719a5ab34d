//! Where mappings start, and when they look at the list of shards.

use super::*;
use crate::polled::fake::{FakeWire, open_shard, stream_of};
use futures::FutureExt;
use millstream_testkit::ManualClock;
use std::time::Duration;

fn listing() -> Listing {
    let closed = ShardInfo {
        closed: Some(Wall(1)),
        ..open_shard("s-0", None)
    };
    Listing {
        shards: vec![
            closed,
            open_shard("s-1", Some("s-0")),
            open_shard("s-2", Some("s-0")),
        ],
        date: Wall(1_607_497_475_999),
    }
}

#[test]
fn starts_are_pinned_to_shards_and_the_sources_own_time() {
    let cases = [
        (
            StartingPosition::TrimHorizon,
            Position::Trim,
            vec!["s-0", "s-1", "s-2"],
        ),
        (
            StartingPosition::Latest,
            Position::Timestamp(Wall(1_607_497_475_000)),
            vec!["s-1", "s-2"],
        ),
        (
            StartingPosition::AtTimestamp(Wall(77)),
            Position::Timestamp(Wall(77)),
            vec!["s-0", "s-1", "s-2"],
        ),
    ];
    for (start, position, shards) in cases {
        let pin = pin_of(&listing(), start);
        let ids: Vec<&str> = pin.shards.iter().map(ShardId::as_str).collect();
        assert_eq!((pin.position, ids), (position, shards), "{start:?}");
    }
}

#[tokio::test]
async fn the_list_is_due_after_a_while_and_at_once_when_a_shard_ended() {
    let clock = Arc::new(ManualClock::at(Wall(0)));
    let stream = stream_of(FakeWire::new(&["s-0"]), &clock);
    let mut waits = Box::pin(stream.shards_changed());
    assert!(waits.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(60));
    waits.await;

    let mut waits = Box::pin(stream.shards_changed());
    assert!(waits.as_mut().now_or_never().is_none());
    stream.shared.shard_ended();
    waits.await;
    // Children may be listed late: soon again.
    let mut waits = Box::pin(stream.shards_changed());
    assert!(waits.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    waits.await;
    // An end between two looks is not missed.
    stream.shared.shard_ended();
    assert!(stream.shards_changed().now_or_never().is_some());
}

#[tokio::test]
async fn a_stream_that_is_gone_is_told_by_its_name() {
    let clock = Arc::new(ManualClock::at(Wall(0)));
    let wire = FakeWire::new(&["s-0"]);
    wire.delete_stream();
    let stream = stream_of(wire, &clock);
    assert_eq!(
        stream.shards().await,
        Err(SourceError::NotFound("arn:fake".to_owned()))
    );
    assert_eq!(
        stream.pin(StartingPosition::Latest).await,
        Err(SourceError::NotFound("arn:fake".to_owned()))
    );
}

#[test]
fn what_is_shared_is_shared_by_stream_and_forgotten_when_nobody_needs_it() {
    let (shared, wire) = (SharedShards::default(), FakeWire::new(&["s-0", "s-1"]));
    let one = shared.of("http://a", "arn:1");
    assert!(Arc::ptr_eq(&one, &shared.clone().of("http://a", "arn:1")));
    for (endpoint, arn) in [("http://b", "arn:1"), ("http://a", "arn:2")] {
        assert!(!Arc::ptr_eq(&one, &shared.of(endpoint, arn)));
    }
    for n in 0..100 {
        drop(shared.of("http://a", &format!("arn:{n}:x")));
    }
    assert!(lock(&shared.streams).len() <= 2);

    let quotas = wire.manners().quotas;
    let id = |text| ShardId::new(text).unwrap();
    let held = one.shard(&id("s-0"), quotas);
    assert!(Arc::ptr_eq(&held, &one.shard(&id("s-0"), quotas)));
    for shard in ["s-1", "s-2", "s-3"] {
        one.shard(&id(shard), quotas);
    }
    let closed = |id| ShardInfo {
        closed: Some(Wall(1)),
        ..open_shard(id, None)
    };
    one.forget(&[closed("s-0"), closed("s-1"), open_shard("s-2", None)]);
    let kept: Vec<_> = lock(&one.shards).keys().cloned().collect();
    assert_eq!(kept, [id("s-0"), id("s-2")]);
}
