//! Leases fence, commits are all or nothing, ledgers are bounded.

use crate::support::{TestDb, attempt, discard, document, incarnation, ledger, mapping, record, shard};
use millstream_ports::{
    CommitOutcome, Discards, Ledger, LedgerQuery, LedgerRead, Outbox, ShardCommit, ShardJournal,
};
use millstream_store::schema::{Range, Table};
use millstream_store::{DiscardStore, Durability, Journal, JournalOptions, LedgerStore, OutboxStore};
use millstream_types::{Epoch, Lease, MappingId};

fn journal(test: &TestDb) -> Journal {
    Journal::new(
        test.db.clone(),
        &OutboxStore::new(test.db.clone()),
        JournalOptions::default(),
    )
}

fn through(n: u128) -> ShardCommit {
    ShardCommit {
        record: Some(record(n)),
        ..ShardCommit::default()
    }
}

async fn commit(journal: &Journal, lease: &Lease, n: u128) -> CommitOutcome {
    journal.commit(lease, through(n), Durability::Written).await
}

#[tokio::test]
async fn a_new_owner_finds_what_the_last_one_stored() {
    let test = TestDb::new();
    let journal_1 = journal(&test);
    let (lease, found) = journal_1
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    assert_eq!((lease.epoch, found), (Epoch(1), None));
    assert_eq!(commit(&journal_1, &lease, 5).await, CommitOutcome::Committed);
    drop(journal_1);
    let test = test.restart().await;
    let journal_2 = journal(&test);
    let (lease, found) = journal_2
        .acquire(mapping(1), &shard(0), incarnation(2))
        .await
        .unwrap();
    assert_eq!((lease.epoch, found), (Epoch(2), Some(record(5))));
    assert_eq!(
        journal_2.shards(mapping(1)).await.unwrap(),
        [(shard(0), record(5))]
    );
    assert_eq!(journal_2.shards(mapping(2)).await.unwrap(), []);
}

#[tokio::test]
async fn only_the_newest_lease_commits() {
    let test = TestDb::new();
    let journal = journal(&test);
    let me = incarnation(1);
    let (old, _) = journal.acquire(mapping(1), &shard(0), me).await.unwrap();
    let (new, _) = journal.acquire(mapping(1), &shard(0), me).await.unwrap();
    let (other, _) = journal.acquire(mapping(1), &shard(1), me).await.unwrap();
    let table = [
        ("the newest", new.clone(), CommitOutcome::Committed),
        ("an older epoch", old.clone(), CommitOutcome::Rejected),
        (
            "an epoch to come",
            Lease {
                epoch: Epoch(3),
                ..new.clone()
            },
            CommitOutcome::Rejected,
        ),
        (
            "another incarnation",
            Lease {
                incarnation: incarnation(2),
                ..new.clone()
            },
            CommitOutcome::Rejected,
        ),
        (
            "another mapping",
            Lease {
                mapping: mapping(2),
                ..new.clone()
            },
            CommitOutcome::Rejected,
        ),
        ("another shard", other, CommitOutcome::Committed),
        ("the newest again", new, CommitOutcome::Committed),
    ];
    for (name, lease, want) in table {
        assert_eq!(commit(&journal, &lease, 1).await, want, "{name}");
    }
}

/// The database itself fences too: a journal that does not know of the new owner is rejected.
#[tokio::test]
async fn a_journal_that_missed_the_new_owner_is_rejected() {
    let test = TestDb::new();
    let (stale, fresh) = (journal(&test), journal(&test));
    let (old, _) = stale
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    let held = test.faults.hold();
    // Queued in this order: the old owner still may, then no more.
    let before = stale.commit(&old, through(1), Durability::Written);
    let shard = shard(0);
    let mut acquired = Box::pin(fresh.acquire(mapping(1), &shard, incarnation(2)));
    assert!(futures::poll!(&mut acquired).is_pending());
    let after = stale.commit(&old, through(2), Durability::Written);
    drop(held);
    assert_eq!(before.await, CommitOutcome::Committed);
    assert_eq!(after.await, CommitOutcome::Rejected);
    let (new, found) = acquired.await.unwrap();
    assert_eq!((new.epoch, found), (Epoch(2), Some(record(1))));
}

#[tokio::test]
async fn many_acquisitions_at_once_get_different_epochs() {
    let test = TestDb::new();
    let journal = journal(&test);
    let (s, me) = (shard(0), incarnation(1));
    let leases = futures::future::join_all((0..6).map(|_| journal.acquire(mapping(1), &s, me))).await;
    let leases: Vec<Lease> = leases.into_iter().map(|lease| lease.unwrap().0).collect();
    let mut epochs: Vec<u64> = leases.iter().map(|lease| lease.epoch.0).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3, 4, 5, 6]);
    for lease in leases {
        let want = if lease.epoch == Epoch(6) {
            CommitOutcome::Committed
        } else {
            CommitOutcome::Rejected
        };
        assert_eq!(commit(&journal, &lease, 1).await, want, "{lease:?}");
    }
}

#[tokio::test]
async fn after_an_unknown_commit_the_lease_is_dead_and_a_new_one_finds_the_truth() {
    for written in [false, true] {
        let test = TestDb::new();
        let journal = journal(&test);
        let (lease, _) = journal
            .acquire(mapping(1), &shard(0), incarnation(1))
            .await
            .unwrap();
        assert_eq!(commit(&journal, &lease, 1).await, CommitOutcome::Committed);
        if written {
            test.faults.fail_after_write(1)
        } else {
            test.faults.fail_before_write(1)
        }
        assert_eq!(commit(&journal, &lease, 2).await, CommitOutcome::Unknown);
        assert_eq!(commit(&journal, &lease, 3).await, CommitOutcome::Unknown);
        let (lease, found) = journal
            .acquire(mapping(1), &shard(0), incarnation(1))
            .await
            .unwrap();
        assert_eq!(found, Some(record(if written { 2 } else { 1 })));
        assert_eq!(commit(&journal, &lease, 4).await, CommitOutcome::Committed);
    }
}

#[tokio::test]
async fn one_commit_stores_everything_and_a_rejected_one_nothing() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    let journal = Journal::new(test.db.clone(), &outbox, JournalOptions::default());
    let discards = DiscardStore::new(test.db.clone());
    let (old, _) = journal
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    let (new, _) = journal
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    let given_up = discard(mapping(1), 7, 100);
    let all = ShardCommit {
        record: Some(record(9)),
        discards: vec![given_up.clone()],
        outbox: vec![document(&given_up)],
        ledger: vec![ledger(mapping(1), 2)],
    };
    assert_eq!(
        journal.commit(&old, all.clone(), Durability::Synced).await,
        CommitOutcome::Rejected
    );
    assert_eq!(outbox.pending(None, 10).await.unwrap(), []);
    assert_eq!(discards.list(mapping(1), None, 10).await.unwrap(), []);

    assert_eq!(
        journal.commit(&new, all, Durability::Synced).await,
        CommitOutcome::Committed
    );
    assert_eq!(outbox.pending(None, 10).await.unwrap(), [document(&given_up)]);
    assert_eq!(discards.list(mapping(1), None, 10).await.unwrap(), [given_up]);
    assert_eq!(read_ledger(&test, mapping(1), 10).await, [2]);
    assert_eq!(journal.shards(mapping(1)).await.unwrap(), [(shard(0), record(9))]);
}

#[tokio::test]
async fn commits_are_applied_in_the_order_of_the_calls() {
    let test = TestDb::new();
    let journal = journal(&test);
    let (lease, _) = journal
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    let commits: Vec<_> = (0..50)
        .map(|n| journal.commit(&lease, through(n), Durability::Written))
        .collect();
    for commit in commits.into_iter().rev() {
        assert_eq!(commit.await, CommitOutcome::Committed);
    }
    assert_eq!(
        journal.shards(mapping(1)).await.unwrap(),
        [(shard(0), record(49))]
    );
}

#[tokio::test]
async fn forgetting_removes_progress_and_fences_but_keeps_discards() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    let journal = Journal::new(test.db.clone(), &outbox, JournalOptions::default());
    let (lease, _) = journal
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    let (other, _) = journal
        .acquire(mapping(2), &shard(0), incarnation(1))
        .await
        .unwrap();
    let given_up = discard(mapping(1), 7, 100);
    let all = ShardCommit {
        record: Some(record(1)),
        discards: vec![given_up.clone()],
        outbox: vec![document(&given_up)],
        ledger: vec![ledger(mapping(1), 1)],
    };
    journal.commit(&lease, all, Durability::Synced).await;
    commit(&journal, &other, 1).await;

    journal.forget(mapping(1)).await.unwrap();
    assert_eq!(journal.shards(mapping(1)).await.unwrap(), []);
    assert_eq!(read_ledger(&test, mapping(1), 10).await, Vec::<u32>::new());
    assert_eq!(commit(&journal, &lease, 2).await, CommitOutcome::Rejected);
    assert_eq!(outbox.pending(None, 10).await.unwrap().len(), 1);
    assert_eq!(
        DiscardStore::new(test.db.clone())
            .list(mapping(1), None, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(commit(&journal, &other, 2).await, CommitOutcome::Committed);

    // Should the mapping's id come back, its epochs still grow, and the old lease stays dead.
    let (again, found) = journal
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    assert_eq!((again.epoch > lease.epoch, found), (true, None));
    assert_eq!(commit(&journal, &lease, 3).await, CommitOutcome::Rejected);
}

async fn read_ledger(test: &TestDb, mapping: MappingId, limit: usize) -> Vec<u32> {
    let store = LedgerStore::new(test.db.clone());
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .read(LedgerQuery {
                mapping,
                after,
                limit,
            })
            .await
            .unwrap();
        assert!(page.entries.len() <= limit);
        all.extend(page.entries.iter().map(|entry| entry.records));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn a_ledger_is_bounded_goes_on_after_a_restart_and_is_read_in_pages() {
    let test = TestDb::new();
    let options = JournalOptions { ledger_entries: 32 };
    let with = |test: &TestDb| Journal::new(test.db.clone(), &OutboxStore::new(test.db.clone()), options);
    let journal = with(&test);
    let (lease, _) = journal
        .acquire(mapping(1), &shard(0), incarnation(1))
        .await
        .unwrap();
    let history = |n: u32| ShardCommit {
        ledger: vec![ledger(mapping(1), n)],
        ..ShardCommit::default()
    };
    for n in 0..100 {
        assert_eq!(
            journal.commit(&lease, history(n), Durability::Written).await,
            CommitOutcome::Committed
        );
        let kept = read_ledger(&test, mapping(1), 7).await;
        assert!(
            kept.len() <= 32 && kept.len() >= 30.min(n as usize + 1),
            "{} after {n}",
            kept.len()
        );
        assert!(kept.is_sorted() && kept.last() == Some(&n));
    }
    drop(journal);
    let test = test.restart().await;
    let journal = with(&test);
    let (lease, _) = journal
        .acquire(mapping(1), &shard(0), incarnation(2))
        .await
        .unwrap();
    for n in 100..120 {
        assert_eq!(
            journal.commit(&lease, history(n), Durability::Written).await,
            CommitOutcome::Committed
        );
    }
    let kept = read_ledger(&test, mapping(1), 1000).await;
    assert!(
        kept.len() <= 32 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1) && kept.last() == Some(&119)
    );
}

async fn read_attempts(test: &TestDb, mapping: MappingId, limit: usize) -> Vec<u32> {
    let store = LedgerStore::new(test.db.clone());
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query = LedgerQuery {
            mapping,
            after,
            limit,
        };
        let page = store.read(query).await.unwrap();
        assert!(page.attempts.len() <= limit && page.entries.is_empty());
        all.extend(page.attempts.iter().map(|a| a.slot));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn attempts_of_queues_are_bounded_go_on_after_a_restart_and_are_forgotten() {
    let test = TestDb::new();
    let options = JournalOptions { ledger_entries: 32 };
    let with = |test: &TestDb| Journal::new(test.db.clone(), &OutboxStore::new(test.db.clone()), options);
    let journal = with(&test);
    for n in (0..99).step_by(3) {
        let three = (n..n + 3).map(|n| attempt(mapping(1), n)).collect();
        journal.append(mapping(1), three).await.unwrap();
        let kept = read_attempts(&test, mapping(1), 7).await;
        let all = n as usize + 3;
        assert!(
            kept.len() <= 32 && kept.len() >= 30.min(all),
            "{} after {n}",
            kept.len()
        );
        assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1) && kept.last() == Some(&(n + 2)));
    }
    journal
        .append(mapping(2), vec![attempt(mapping(2), 7)])
        .await
        .unwrap();
    drop(journal);
    let test = test.restart().await;
    let journal = with(&test);
    journal
        .append(mapping(1), vec![attempt(mapping(1), 99)])
        .await
        .unwrap();
    let kept = read_attempts(&test, mapping(1), 1_000).await;
    assert!(kept.len() >= 30 && kept.is_sorted() && kept.last() == Some(&99));
    journal.forget(mapping(1)).await.unwrap();
    assert_eq!(read_attempts(&test, mapping(1), 10).await, Vec::<u32>::new());
    assert_eq!(read_attempts(&test, mapping(2), 10).await, [7]);
}

#[tokio::test]
async fn damage_is_told_with_its_place() {
    let test = TestDb::new();
    let journal = journal(&test);
    let (lease, _) = journal
        .acquire(mapping(1), &shard(3), incarnation(1))
        .await
        .unwrap();
    commit(&journal, &lease, 1).await;
    let (key, _) = test.db.first(&Range::table(Table::ShardRecord)).unwrap().unwrap();
    let key = millstream_store::schema::Key::decode(&key).unwrap();
    let mut batch = millstream_store::Batch::new();
    batch.put(&key, &b"\x01\xff"[..]);
    test.db.write(batch, Durability::Synced).await.unwrap();
    for e in [
        journal.shards(mapping(1)).await.unwrap_err(),
        journal
            .acquire(mapping(1), &shard(3), incarnation(1))
            .await
            .unwrap_err(),
    ] {
        let text = e.to_string();
        assert!(
            text.contains("ShardRecord") && text.contains("shardId-000000000003"),
            "{text}"
        );
    }
}
