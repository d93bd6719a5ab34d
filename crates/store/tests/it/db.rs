//! The database handle: order, groups, guards, bounds, scans, opening.

use crate::support::{TestDb, key, number, numbers, put, value};
use bytes::Bytes;
use futures::future::join_all;
use millstream_store::schema::{FORMAT_VERSION, Key, Range, Table};
use millstream_store::{
    Applied, Batch, Db, DbBacklog, DbOptions, DiskFull, Durability, Guard, GuardedError, Health, NotApplied,
    OpenError, ReadError, WriteError,
};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn what_was_written_is_read_back_after_a_restart() {
    let test = TestDb::new();
    test.db.write(put(1, "synced"), Durability::Synced).await.unwrap();
    test.db
        .write(put(2, "written"), Durability::Written)
        .await
        .unwrap();
    // Queued, and never waited for.
    drop(test.db.write(put(3, "dropped"), Durability::Written));
    let test = test.restart().await;
    assert_eq!(
        [1, 2, 3].map(|n| value(&test.db, n).unwrap()),
        ["synced", "written", "dropped"]
    );
}

#[tokio::test]
async fn many_waiting_writers_share_few_syncs() {
    let test = TestDb::new();
    let before = test.db.stats();
    let held = test.faults.hold();
    let writes: Vec<_> = (0..64)
        .map(|n| test.db.write(put(n, "v"), Durability::Synced))
        .collect();
    drop(held);
    for answer in join_all(writes).await {
        answer.unwrap();
    }
    let after = test.db.stats();
    assert_eq!(after.batches - before.batches, 64);
    // The thread may have taken the first before the others came.
    assert!(after.syncs - before.syncs <= 2, "{after:?}");
}

#[tokio::test]
async fn what_waits_for_the_writer_is_told() {
    let test = TestDb::new();
    let held = test.faults.hold();
    let first = test.db.write(put(0, "v"), Durability::Synced);
    while test.db.backlog().requests > 0 {
        tokio::task::yield_now().await;
    }
    let second = test.db.write(put(1, "v"), Durability::Synced);
    let backlog = test.db.backlog();
    assert!(
        backlog.busy.is_some() && backlog.requests == 1 && backlog.bytes > 0,
        "{backlog:?}"
    );
    drop(held);
    first.await.unwrap();
    second.await.unwrap();
    while test.db.backlog() != DbBacklog::default() {
        tokio::task::yield_now().await;
    }
    assert!(test.db.stats().group_time > Duration::ZERO);
}

#[tokio::test]
async fn concurrent_tasks_share_syncs_without_being_told_to() {
    let test = TestDb::new();
    let writers = (0..64u64).map(|writer| {
        let db = test.db.clone();
        tokio::spawn(async move {
            for n in 0..16 {
                db.write(put(writer * 16 + n, "v"), Durability::Synced)
                    .await
                    .unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let stats = test.db.stats();
    assert_eq!(stats.batches, 64 * 16);
    assert!(stats.syncs < stats.batches / 4, "{stats:?}");
}

#[tokio::test]
async fn batches_are_applied_in_the_order_of_the_calls() {
    let test = TestDb::new();
    let held = test.faults.hold();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let writes: Vec<_> = (0..100)
        .map(|n| {
            let (mut batch, seen) = (put(7, &n.to_string()), Arc::clone(&seen));
            batch.then(move |applied| seen.lock().unwrap().push((n, applied)));
            let durability = if n % 3 == 0 {
                Durability::Synced
            } else {
                Durability::Written
            };
            test.db.write(batch, durability)
        })
        .collect();
    drop(held);
    // Waited for in another order than they were called.
    for write in writes.into_iter().rev() {
        write.await.unwrap();
    }
    assert_eq!(value(&test.db, 7).unwrap(), "99");
    assert_eq!(
        *seen.lock().unwrap(),
        (0..100).map(|n| (n, Applied::Yes)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_unsynced_write_is_synced_soon_without_another_write() {
    let test = TestDb::new();
    test.db.write(put(1, "v"), Durability::Written).await.unwrap();
    while test.db.stats().syncs == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(value(&test.db, 1).unwrap(), "v");
}

#[tokio::test]
async fn a_synced_write_without_changes_syncs_what_was_written_before() {
    let options = DbOptions {
        sync_interval: std::time::Duration::from_secs(3600),
        ..DbOptions::default()
    };
    let test = TestDb::with(options);
    test.db.write(put(1, "v"), Durability::Written).await.unwrap();
    assert_eq!(test.db.stats().syncs, 0);
    test.db.write(Batch::new(), Durability::Synced).await.unwrap();
    assert_eq!(test.db.stats().syncs, 1);
}

#[tokio::test]
async fn a_guard_sees_batches_of_its_own_group() {
    let test = TestDb::new();
    let held = test.faults.hold();
    let guarded = |guard, n, v| test.db.write_guarded(guard, put(n, v), Durability::Written);
    let answers = join_all([
        guarded(Guard::none().absent(&key(1)), 1, "a"),
        guarded(Guard::none().absent(&key(1)), 1, "never"),
        guarded(Guard::none().is(&key(1), "a"), 2, "b"),
        guarded(Guard::none().is(&key(1), "x"), 2, "never"),
        guarded(Guard::none().exists(&key(2)).absent(&key(3)), 3, "c"),
    ]);
    drop(held);
    let rejected = || Err(GuardedError::Rejected);
    assert_eq!(answers.await, [Ok(()), rejected(), Ok(()), rejected(), Ok(())]);
    assert_eq!([1, 2, 3].map(|n| value(&test.db, n).unwrap()), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_guard_sees_deletes_and_range_deletes_before_it() {
    let test = TestDb::new();
    for n in 1..=3 {
        test.db.write(put(n, "v"), Durability::Written).await.unwrap();
    }
    let held = test.faults.hold();
    let mut delete = Batch::new();
    delete.delete(&key(1)).delete_range(
        Range::table(Table::StreamBatch)
            .starting_at(&key(2))
            .below(&key(3)),
    );
    let deleted = test.db.write(delete, Durability::Written);
    let answers = join_all((1..=3).map(|n| {
        test.db.write_guarded(
            Guard::none().exists(&key(n)),
            put(n + 10, "seen"),
            Durability::Written,
        )
    }));
    drop(held);
    deleted.await.unwrap();
    assert_eq!(
        answers.await,
        [Err(GuardedError::Rejected), Err(GuardedError::Rejected), Ok(())]
    );
    assert_eq!(numbers(&test.db), [3, 13]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_tells_when_there_is_room() {
    let test = TestDb::with(DbOptions {
        queue_requests: 4,
        ..DbOptions::default()
    });
    let held = test.faults.hold();
    let mut taken = Vec::new();
    let refused = loop {
        let write = test.db.write(put(taken.len() as u64, "v"), Durability::Written);
        // A refusal is ready at once; what waits for the held thread is not.
        match futures::FutureExt::now_or_never(async { tokio::task::unconstrained(write).await }) {
            Some(answer) => break answer.unwrap_err(),
            None => taken.push(()),
        }
        assert!(taken.len() < 10, "the queue has no bound");
    };
    assert!(
        matches!(
            refused,
            WriteError::NotWritten(NotApplied::Overloaded { requests: 4, .. })
        ),
        "{refused}"
    );
    assert!(taken.len() >= 4);
    let ready = tokio::spawn({
        let db = test.db.clone();
        async move { db.ready().await }
    });
    drop(held);
    ready.await.unwrap();
    test.db.write(put(99, "v"), Durability::Synced).await.unwrap();
    assert_eq!(numbers(&test.db).len(), taken.len() + 1);
}

#[tokio::test]
async fn a_batch_larger_than_the_queue_is_taken_when_nothing_waits() {
    let test = TestDb::with(DbOptions {
        queue_bytes: 100,
        ..DbOptions::default()
    });
    test.db
        .write(put(1, &"x".repeat(1000)), Durability::Synced)
        .await
        .unwrap();
    assert_eq!(value(&test.db, 1).unwrap().len(), 1000);
}

#[tokio::test]
async fn scans_start_end_and_turn_where_they_are_told() {
    let test = TestDb::new();
    for n in [10, 20, 30] {
        test.db.write(put(n, "v"), Durability::Written).await.unwrap();
    }
    // Neighbours that no range of this shard may reach.
    let mut others = Batch::new();
    others.put(
        &Key::StreamBatch {
            stream: 0,
            shard: 9,
            base: 1,
        },
        "before",
    );
    others.put(
        &Key::StreamBatch {
            stream: 1,
            shard: 1,
            base: 1,
        },
        "after",
    );
    test.db.write(others, Durability::Written).await.unwrap();

    let all = || Range::stream_shard(1, 0);
    let from_floor = |range: Range, at: u64| {
        let mut found = Vec::new();
        test.db
            .scan_from_floor(&range, &key(at).encode(), |key, _| {
                found.push(number(key));
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    };
    for (at, found) in [
        (0, vec![10, 20, 30]),
        (10, vec![10, 20, 30]),
        (19, vec![10, 20, 30]),
        (20, vec![20, 30]),
    ] {
        assert_eq!(from_floor(all(), at), found, "floor of {at}");
    }
    assert_eq!(from_floor(all(), 99), [30]);
    assert_eq!(from_floor(all().below(&key(20)), 99), [10]);
    assert_eq!(from_floor(all().starting_at(&key(15)), 12), [20, 30]);

    let mut back = Vec::new();
    test.db
        .scan_back(&all(), |key, _| {
            back.push(number(key));
            if back.len() == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(back, [30, 20]);

    let first = |range| test.db.first(&range).unwrap().map(|(key, _)| number(&key));
    let last = |range| test.db.last(&range).unwrap().map(|(key, _)| number(&key));
    assert_eq!((first(all()), last(all())), (Some(10), Some(30)));
    assert_eq!(
        (first(all().after(&key(10))), last(all().below(&key(10)))),
        (Some(20), None)
    );
    assert_eq!(first(all().starting_at(&key(20)).below(&key(20))), None);
}

#[tokio::test]
async fn a_second_open_is_refused_with_what_to_do() {
    let test = TestDb::new();
    let e = Db::open(test.dir.path(), DbOptions::default()).unwrap_err();
    assert_eq!(
        e,
        OpenError::InUse {
            path: test.dir.path().to_owned()
        }
    );
    assert!(e.to_string().contains("another process uses"), "{e}");
    let path = test.dir.path().to_owned();
    drop(test.db);
    Db::open(&path, DbOptions::default()).unwrap();
}

#[tokio::test]
async fn a_newer_format_is_refused_naming_both_versions() {
    let test = TestDb::new();
    let mut batch = Batch::new();
    batch.put(&Key::Format, (FORMAT_VERSION + 41).to_string());
    test.db.write(batch, Durability::Synced).await.unwrap();
    drop(test.db);
    let e = Db::open(test.dir.path(), DbOptions::default()).unwrap_err();
    let OpenError::NewerFormat { found, known, .. } = &e else {
        panic!("{e}")
    };
    assert_eq!((*found, *known), (FORMAT_VERSION + 41, FORMAT_VERSION));
    assert!(
        e.to_string().contains("version 42") && e.to_string().contains("up to 1"),
        "{e}"
    );
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let dir = tempfile::TempDir::new().unwrap();
    let foreign = rocksdb::DB::open_default(dir.path()).unwrap();
    foreign.put(b"other", b"data").unwrap();
    drop(foreign);
    let e = Db::open(dir.path(), DbOptions::default()).unwrap_err();
    assert!(matches!(e, OpenError::Foreign { .. }), "{e}");
}

#[tokio::test]
async fn a_path_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let e = Db::open(file.path(), DbOptions::default()).unwrap_err();
    assert!(matches!(e, OpenError::Io { .. }), "{e}");
}

#[tokio::test]
async fn after_the_close_every_handle_is_refused() {
    let test = TestDb::new();
    let (other, health) = (test.db.clone(), test.db.health());
    let last = test.db.write(put(1, "v"), Durability::Written);
    test.db.close().await;
    last.await.unwrap();
    assert_eq!(*health.borrow(), Health::Closed);
    let e = other.write(put(2, "v"), Durability::Written).await.unwrap_err();
    assert_eq!(e, WriteError::NotWritten(NotApplied::Closed));
    assert_eq!(other.get(&key(1).encode()), Err(ReadError::NotOpen));
    other.ready().await;
    other.close().await;
}

#[tokio::test]
async fn room_is_refused_below_the_reserve() {
    let test = TestDb::with(DbOptions {
        free_floor_bytes: 1000,
        ..DbOptions::default()
    });
    let space = test.db.free_space().unwrap();
    assert!(space.floor <= 1000 && space.free > 0, "{space:?}");
    assert_eq!(test.db.check_room(), Ok(()));
    test.faults.set_free_bytes(Some(999));
    assert_eq!(
        test.db.check_room(),
        Err(DiskFull {
            free: 999,
            floor: 1000
        })
    );
    test.faults.set_free_bytes(None);
    assert_eq!(test.db.check_room(), Ok(()));
}

#[test]
fn a_range_without_keys_deletes_nothing() {
    let mut batch = Batch::new();
    batch.delete_range(Range {
        from: b"b".to_vec(),
        to: b"a".to_vec(),
    });
    assert!(batch.is_empty());
    batch.put(&key(1), Bytes::from_static(b"v"));
    assert!(!batch.is_empty() && batch.bytes() > 0);
}
