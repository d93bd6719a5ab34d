//! I/O errors: answers are honest, the database comes back by itself, and nothing acknowledged is lost.

use crate::support::{TestDb, key, numbers, put, value};
use futures::future::join_all;
use millstream_store::{
    Applied, Batch, Durability, Guard, GuardedError, Health, NotApplied, ReadError, WriteError,
};
use std::sync::mpsc;

async fn healthy(test: &TestDb) {
    test.db
        .health()
        .wait_for(|health| *health == Health::Healthy)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_write_is_unknown_and_the_database_comes_back() {
    let test = TestDb::new();
    test.db
        .write(put(1, "before"), Durability::Written)
        .await
        .unwrap();
    for (n, written) in [(2, false), (3, true)] {
        if written {
            test.faults.fail_after_write(1)
        } else {
            test.faults.fail_before_write(1)
        }
        let (tell, told) = mpsc::channel();
        let mut batch = put(n, "doubtful");
        batch.then(move |applied| tell.send(applied).unwrap());
        let e = test.db.write(batch, Durability::Synced).await.unwrap_err();
        assert!(
            matches!(&e, WriteError::Unknown(why) if why.contains("injected")),
            "{e}"
        );
        assert_eq!(told.recv().unwrap(), Applied::Maybe);
        test.db
            .write(put(n + 10, "after"), Durability::Synced)
            .await
            .unwrap();
        assert_eq!(value(&test.db, n).is_some(), written);
    }
    assert_eq!(test.db.stats().reopens, 2);
    assert_eq!(*test.db.health().borrow(), Health::Healthy);
    let test = test.restart().await;
    assert_eq!(numbers(&test.db), [1, 3, 12, 13]);
}

#[tokio::test]
async fn a_failed_background_sync_loses_nothing() {
    let test = TestDb::new();
    test.faults.fail_syncs(1);
    let mut health = test.db.health();
    test.db.write(put(1, "v"), Durability::Written).await.unwrap();
    health.wait_for(|_| test.db.stats().reopens == 1).await.unwrap();
    assert_eq!(value(&test.db, 1).unwrap(), "v");
    test.db.write(put(2, "v"), Durability::Synced).await.unwrap();
}

#[tokio::test]
async fn while_it_cannot_be_opened_all_is_refused_and_reported() {
    let test = TestDb::new();
    test.db.write(put(1, "v"), Durability::Synced).await.unwrap();
    test.faults.fail_opens(u32::MAX);
    test.faults.fail_before_write(1);
    let mut health = test.db.health();
    test.db.write(put(2, "v"), Durability::Synced).await.unwrap_err();
    let injected =
        |health: &Health| matches!(health, Health::Reopening { error, .. } if error.contains("open"));
    health.wait_for(injected).await.unwrap();
    assert_eq!(test.db.get(&key(1).encode()), Err(ReadError::NotOpen));
    let e = test.db.write(put(3, "v"), Durability::Synced).await.unwrap_err();
    assert!(
        matches!(e, WriteError::NotWritten(NotApplied::Reopening(_))),
        "{e}"
    );

    test.faults.fail_opens(0);
    healthy(&test).await;
    test.db.write(put(4, "v"), Durability::Synced).await.unwrap();
    assert_eq!(numbers(&test.db), [1, 4]);
}

#[tokio::test]
async fn it_can_be_closed_while_it_cannot_be_opened() {
    let test = TestDb::new();
    test.faults.fail_opens(u32::MAX);
    test.faults.fail_before_write(1);
    test.db.write(put(1, "v"), Durability::Synced).await.unwrap_err();
    test.db.close().await;
    let test = test.restart().await;
    assert_eq!(numbers(&test.db), Vec::<u64>::new());
}

/// A gap in the batches of one token must not be jumped: a checkpoint builds on the one before.
#[tokio::test]
async fn behind_a_failed_batch_the_same_token_writes_nothing() {
    let test = TestDb::new();
    test.db
        .write(put(0, "epoch 1"), Durability::Synced)
        .await
        .unwrap();
    let token = |value: &'static str| Guard::token(&key(0), value);
    test.faults.fail_before_write(1);
    let lost = test
        .db
        .write_guarded(token("epoch 1"), put(1, "lost"), Durability::Written);
    assert!(matches!(lost.await, Err(GuardedError::Unknown(_))));
    let fenced = || Err(GuardedError::NotWritten(NotApplied::Fenced));
    let behind = test
        .db
        .write_guarded(token("epoch 1"), put(2, "behind"), Durability::Written);
    assert_eq!(behind.await, fenced());

    // A new token under the same key goes on, whether taken in the same group or later.
    let held = test.faults.hold();
    let take = test.db.write(put(0, "epoch 2"), Durability::Synced);
    let new = test
        .db
        .write_guarded(token("epoch 2"), put(3, "new"), Durability::Written);
    let old = test
        .db
        .write_guarded(token("epoch 1"), put(4, "old"), Durability::Written);
    drop(held);
    take.await.unwrap();
    assert_eq!(new.await, Ok(()));
    // Fenced in the group of the new token, rejected by its value in a later one.
    let old = old.await;
    assert!(old == fenced() || old == Err(GuardedError::Rejected), "{old:?}");
    let late = test
        .db
        .write_guarded(token("epoch 1"), put(4, "old"), Durability::Written);
    assert_eq!(late.await, Err(GuardedError::Rejected));
    assert_eq!(numbers(&test.db), [0, 3]);
}

#[tokio::test]
async fn an_overloaded_queue_fences_the_token_it_refused() {
    let test = TestDb::with(millstream_store::DbOptions {
        queue_requests: 2,
        ..Default::default()
    });
    test.db.write(put(0, "t"), Durability::Synced).await.unwrap();
    let held = test.faults.hold();
    let writes: Vec<_> = (1..10)
        .map(|n| {
            test.db
                .write_guarded(Guard::token(&key(0), "t"), put(n, "v"), Durability::Written)
        })
        .collect();
    drop(held);
    let answers = join_all(writes).await;
    let refused = |answer: &Result<(), GuardedError>| {
        matches!(
            answer,
            Err(GuardedError::NotWritten(
                NotApplied::Overloaded { .. } | NotApplied::Fenced
            ))
        )
    };
    let written = answers.iter().take_while(|answer| answer.is_ok()).count();
    assert!(
        written < 9 && answers[written..].iter().all(refused),
        "{answers:?}"
    );
    let late = test
        .db
        .write_guarded(Guard::token(&key(0), "t"), put(99, "v"), Durability::Written);
    assert_eq!(late.await, Err(GuardedError::NotWritten(NotApplied::Fenced)));
    assert_eq!(numbers(&test.db).len(), written + 1);
}

/// Many errors under load: every acknowledged batch is there at the end, and none that was certainly not written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_under_repeated_errors() {
    let test = TestDb::new();
    let writers = (0..8u64).map(|writer| {
        let (db, faults) = (test.db.clone(), test.faults.clone());
        tokio::spawn(async move {
            let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
            for n in 0..200 {
                let id = writer * 1000 + n;
                match n % 40 {
                    7 => faults.fail_before_write(1),
                    23 => faults.fail_after_write(1),
                    31 => faults.fail_opens(1),
                    _ => {}
                }
                let durability = if n % 2 == 0 {
                    Durability::Synced
                } else {
                    Durability::Written
                };
                match db.write(put(id, "v"), durability).await {
                    Ok(()) => acknowledged.push(id),
                    Err(WriteError::NotWritten(_)) => refused.push(id),
                    Err(WriteError::Unknown(_)) => {}
                }
            }
            (acknowledged, refused)
        })
    });
    let results = join_all(writers).await;
    test.faults.fail_before_write(0);
    test.faults.fail_after_write(0);
    test.faults.fail_opens(0);
    assert!(test.db.stats().reopens > 0);
    let test = test.restart().await;
    let found = numbers(&test.db);
    for (acknowledged, refused) in results.into_iter().map(Result::unwrap) {
        assert!(acknowledged.iter().all(|id| found.binary_search(id).is_ok()));
        assert!(refused.iter().all(|id| found.binary_search(id).is_err()));
    }
    let mut batch = Batch::new();
    batch.delete(&key(0));
    test.db.write(batch, Durability::Synced).await.unwrap();
}

/// Text that does not compress.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from(state >> 58).unwrap())
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// A really full disk, not an injected error: `TMPDIR` on a tmpfs of 128 MiB.
#[tokio::test]
#[ignore = "needs a small file system: mount a tmpfs of 128 MiB and point TMPDIR to it"]
async fn a_full_disk_refuses_and_comes_back() {
    let test = TestDb::new();
    let space = test.db.free_space().unwrap();
    assert!(space.free < 1 << 30, "this would fill {} bytes", space.free);
    let (mut acknowledged, mut n) = (0, 1000);
    // Fill it as producers would: until the reserve is reached.
    while test.db.check_room().is_ok() {
        match test.db.write(put(n, &noise(n, 50_000)), Durability::Synced).await {
            Ok(()) => acknowledged += 1,
            // On so small a disk a compaction may need more than the reserve for a moment.
            Err(_) => healthy(&test).await,
        }
        n += 1;
    }
    // Checkpoints go on in the reserve.
    for i in 0..1000 {
        test.db
            .write(put(0, &i.to_string()), Durability::Written)
            .await
            .unwrap();
    }
    // Then somebody else takes the rest.
    let ballast = test.dir.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    let mut writes = 0;
    while test
        .db
        .write(put(1, &"y".repeat(1000)), Durability::Synced)
        .await
        .is_ok()
    {
        writes += 1;
        assert!(writes < 10_000, "the disk is not full");
    }
    drop(file);
    std::fs::remove_file(&ballast).unwrap();
    healthy(&test).await;
    test.db.write(put(2, "after"), Durability::Synced).await.unwrap();
    let found = numbers(&test.db);
    assert_eq!(found.iter().filter(|n| **n >= 1000).count(), acknowledged);
    assert_eq!(value(&test.db, 0).unwrap(), "999");
    assert!(acknowledged > 0 && test.db.stats().reopens > 0);
}
