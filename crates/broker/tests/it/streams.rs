//! Creating, describing, listing and deleting streams.

use crate::rig::{ALL, Rig, START, entry, ns, number, numbers, stream};
use millstream_ports::{SourceError, StreamChange, StreamError, Streams};
use millstream_types::{Applied, Namespace, Position, StreamSpec, Wall};

#[tokio::test]
async fn a_stream_is_described_as_it_was_made_also_after_a_restart() {
    let rig = Rig::new().await;
    let made = rig.create("s", 2).await;
    assert_eq!(
        (made.revision, made.created, made.shards.len()),
        (1, Wall(START), 2)
    );
    assert_eq!((made.shards[0].records, made.shards[0].oldest), (0, None));
    let receipts = rig
        .put("s", vec![entry("a", "1"), entry("a", "2"), entry("abc", "3")])
        .await;
    let described = rig.describe("s").await;
    assert_eq!(
        described.shards.iter().map(|s| s.records).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(described.shards[0].oldest, Some(receipts[0].seq));
    assert_eq!(described.shards[0].newest, Some(receipts[1].seq));
    let rig = rig.reopen().await;
    assert_eq!(rig.describe("s").await, described);
}

#[tokio::test]
async fn streams_are_listed_by_name_within_their_namespace() {
    let rig = Rig::new().await;
    let other = Namespace::new("other").unwrap();
    for name in ["c", "a", "b"] {
        rig.create(name, 1).await;
    }
    rig.broker
        .create(&other, &stream("x"), StreamSpec::default(), false)
        .await
        .unwrap();
    for (after, limit, want) in [
        (None, 10, vec!["a", "b", "c"]),
        (None, 2, vec!["a", "b"]),
        (Some("a"), 10, vec!["b", "c"]),
        (Some("c"), 10, vec![]),
    ] {
        let after = after.map(stream);
        let found = rig.broker.list(&ns(), after.as_ref(), limit).await.unwrap();
        assert_eq!(found.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), want);
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let again = rig
        .broker
        .create(&ns(), &stream("s"), StreamSpec::default(), false)
        .await
        .unwrap_err();
    assert_eq!(again, StreamError::AlreadyExists(stream("s")));
    for (shards, hours, part) in [(0, 24, "1 to 256"), (257, 24, "'257'"), (1, 0, "1 to 8760")] {
        let spec = StreamSpec {
            shards,
            retention_hours: hours,
            ..StreamSpec::default()
        };
        let e = rig
            .broker
            .create(&ns(), &stream("t"), spec, false)
            .await
            .unwrap_err();
        assert!(
            matches!(e, StreamError::Invalid { .. }) && e.to_string().contains(part),
            "{e}"
        );
    }
}

/// A stream made anew has none of the old one's records, whatever was in flight, and readers of the old one end.
#[tokio::test]
async fn a_deleted_stream_is_gone_with_everything_in_it() {
    let mut rig = Rig::new().await;
    rig.create("s", 1).await;
    rig.put("s", vec![entry("k", number(1))]).await;
    let mut reader = rig.reader("s", 0, Position::Trim).await;
    let source = rig.source("s").await;
    let stale = rig.broker.delete(&ns(), &stream("s"), Some(9)).await.unwrap_err();
    assert!(
        matches!(
            stale,
            StreamError::Conflict {
                expected: 9,
                actual: 1,
                ..
            }
        ),
        "{stale}"
    );
    rig.broker.delete(&ns(), &stream("s"), Some(1)).await.unwrap();

    reader.wait().await;
    assert!(matches!(reader.next(ALL).await, Err(SourceError::NotFound(_))));
    assert!(matches!(source.shards().await, Err(SourceError::NotFound(_))));
    source.shards_changed().await;
    let e = rig
        .broker
        .put(&ns(), &stream("s"), vec![entry("k", "")])
        .await
        .unwrap_err();
    assert_eq!(e, StreamError::NotFound(stream("s")));
    assert!(rig.broker.list(&ns(), None, 10).await.unwrap().is_empty());

    drop((reader, source));
    for _ in 0..2 {
        rig = rig.reopen().await;
        rig.create("s", 1).await;
        assert!(rig.read_all("s", 0, Position::Trim).await.is_empty());
        rig.put("s", vec![entry("k", number(2))]).await;
        assert_eq!(numbers(&rig.read_all("s", 0, Position::Trim).await), [2]);
        rig.broker.delete(&ns(), &stream("s"), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_and_changes_nothing() {
    let rig = Rig::new().await;
    let spec = |shards| StreamSpec {
        shards,
        ..StreamSpec::default()
    };
    let would = rig
        .broker
        .create(&ns(), &stream("s"), spec(3), true)
        .await
        .unwrap();
    assert_eq!((would.revision, would.shards.len()), (0, 3));
    assert_eq!(
        rig.broker.describe(&ns(), &stream("s")).await.unwrap_err(),
        StreamError::NotFound(stream("s"))
    );
    let refused = rig
        .broker
        .create(&ns(), &stream("s"), spec(0), true)
        .await
        .unwrap_err();
    assert!(matches!(refused, StreamError::Invalid { .. }), "{refused}");
    rig.create("s", 1).await;
    let taken = rig
        .broker
        .create(&ns(), &stream("s"), spec(1), true)
        .await
        .unwrap_err();
    assert_eq!(taken, StreamError::AlreadyExists(stream("s")));

    let applied = Applied::new([("retention_hours".to_owned(), "48".to_owned())].into()).unwrap();
    let change = StreamChange {
        retention_hours: Some(48),
        applied: Some(applied.clone()),
    };
    let would = rig
        .broker
        .set(&ns(), &stream("s"), change.clone(), Some(1), true)
        .await
        .unwrap();
    assert_eq!((would.revision, would.spec.retention_hours), (1, 48));
    let stale = rig
        .broker
        .set(&ns(), &stream("s"), change.clone(), Some(2), true)
        .await
        .unwrap_err();
    assert!(matches!(stale, StreamError::Conflict { .. }), "{stale}");
    assert_eq!(rig.describe("s").await.spec, spec(1));

    // In earnest, settings and note are one change, and last.
    let set = rig
        .broker
        .set(&ns(), &stream("s"), change, None, false)
        .await
        .unwrap();
    assert_eq!(set.revision, 2);
    let found = rig.reopen().await.describe("s").await;
    assert_eq!((found.spec.retention_hours, found.spec.applied), (48, applied));
}
