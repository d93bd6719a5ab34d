//! Discards and the outbox.

use crate::support::{TestDb, discard, document, incarnation, mapping, put, shard, value};
use millstream_ports::{CommitOutcome, Discards, Outbox, ShardCommit, ShardJournal};
use millstream_store::{
    DiscardStore, Durability, Guard, GuardedError, Journal, JournalOptions, KeepDiscards, OutboxStore, Swept,
};
use millstream_types::durable::{DeliveryEnd, DeliveryState, Discard};
use millstream_types::ids::DiscardId;
use millstream_types::{MappingId, Namespace, Wall};
use std::time::Duration;

async fn give_up(test: &TestDb, outbox: &OutboxStore, mapping: MappingId, discards: Vec<Discard>) {
    let journal = Journal::new(test.db.clone(), outbox, JournalOptions::default());
    let (lease, _) = journal.acquire(mapping, &shard(0), incarnation(1)).await.unwrap();
    let commit = ShardCommit {
        outbox: discards.iter().map(document).collect(),
        discards,
        ..ShardCommit::default()
    };
    assert_eq!(
        journal.commit(&lease, commit, Durability::Synced).await,
        CommitOutcome::Committed
    );
}

#[tokio::test]
async fn discards_are_listed_oldest_first_whatever_their_ids() {
    let test = TestDb::new();
    let (outbox, store) = (
        OutboxStore::new(test.db.clone()),
        DiscardStore::new(test.db.clone()),
    );
    let of = |id, at| discard(mapping(1), id, at);
    give_up(
        &test,
        &outbox,
        mapping(1),
        vec![of(1, 300), of(2, 100), of(3, 200)],
    )
    .await;
    give_up(&test, &outbox, mapping(2), vec![discard(mapping(2), 4, 50)]).await;

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(mapping(1), after, 1).await.unwrap();
        let Some(one) = page.first() else { break };
        found.push(one.at.0);
        after = Some(one.id);
    }
    assert_eq!(found, [100, 200, 300]);
    assert_eq!(store.list(mapping(1), None, 0).await.unwrap(), []);

    let one = of(3, 200);
    assert_eq!(
        store.get(&Namespace::default(), one.id).await.unwrap(),
        Some(one.clone())
    );
    assert_eq!(
        store
            .get(&Namespace::new("other").unwrap(), one.id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .get(&Namespace::default(), DiscardId::from_random(99))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn the_outbox_is_paged_and_settled() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    give_up(
        &test,
        &outbox,
        mapping(1),
        (1..=3).map(|id| discard(mapping(1), id << 80, 1)).collect(),
    )
    .await;
    let all = outbox.pending(None, 10).await.unwrap();
    assert!(all.len() == 3 && all.is_sorted_by_key(|entry| entry.discard));
    assert_eq!(
        outbox.pending(Some(all[0].discard), 1).await.unwrap(),
        [all[1].clone()]
    );
    outbox.settle(all[1].discard).await.unwrap();
    outbox.settle(all[1].discard).await.unwrap();
    assert_eq!(
        outbox.pending(None, 10).await.unwrap(),
        [all[0].clone(), all[2].clone()]
    );
}

#[tokio::test]
async fn new_documents_are_announced_once_and_those_of_an_earlier_run_too() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    outbox.added().await;
    let mut added = Box::pin(outbox.added());
    assert!(futures::poll!(&mut added).is_pending());
    give_up(&test, &outbox, mapping(1), vec![discard(mapping(1), 1, 1)]).await;
    added.await;
}

/// What a destination inside the database does: the document and the end of its way in one batch.
#[tokio::test]
async fn a_document_is_delivered_and_settled_once() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    let given_up = discard(mapping(1), 1, 1);
    give_up(&test, &outbox, mapping(1), vec![given_up.clone()]).await;
    let deliver = |n: u64| {
        let key = OutboxStore::key(given_up.id);
        let mut batch = put(n, "document");
        batch.delete(&key);
        test.db
            .write_guarded(Guard::none().exists(&key), batch, Durability::Synced)
    };
    let (first, again) = (deliver(1), deliver(2));
    assert_eq!(first.await, Ok(()));
    assert_eq!(again.await, Err(GuardedError::Rejected));
    assert!(value(&test.db, 1).is_some() && value(&test.db, 2).is_none());
    assert_eq!(outbox.pending(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn how_a_delivery_stands_is_kept_and_its_end_settles_it() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    let store = DiscardStore::new(test.db.clone());
    let all: Vec<Discard> = (1..=3).map(|id| discard(mapping(1), id << 80, 1)).collect();
    let ids: Vec<DiscardId> = all.iter().map(|d| d.id).collect();
    give_up(&test, &outbox, mapping(1), all).await;
    assert_eq!(
        store.delivery(ids[0]).await.unwrap(),
        Some(DeliveryState::default())
    );
    assert_eq!(store.delivery(DiscardId::from_random(99)).await.unwrap(), None);
    let tried = DeliveryState {
        attempts: 2,
        first_attempt: Wall(5),
        last_attempt: Wall(9),
        error: "down".to_owned(),
        end: None,
    };
    outbox.note(ids[0], &tried).await.unwrap();
    assert_eq!(outbox.state(ids[0]).await.unwrap(), tried);
    assert_eq!(store.delivery(ids[0]).await.unwrap(), Some(tried.clone()));
    assert_eq!(outbox.pending(None, 10).await.unwrap().len(), 3);
    for (id, end) in [(ids[1], DeliveryEnd::Failed), (ids[2], DeliveryEnd::Delivered)] {
        let ended = DeliveryState {
            end: Some(end),
            ..tried.clone()
        };
        outbox.note(id, &ended).await.unwrap();
        assert_eq!(store.delivery(id).await.unwrap(), Some(ended));
        assert!(store.get(&Namespace::default(), id).await.unwrap().is_some());
    }
    let left = outbox.pending(None, 10).await.unwrap();
    assert_eq!(left.iter().map(|o| o.discard).collect::<Vec<_>>(), [ids[0]]);
    // Settled by its destination, and a crash before that was noted.
    outbox.settle(ids[0]).await.unwrap();
    let end = store.delivery(ids[0]).await.unwrap().and_then(|d| d.end);
    assert_eq!(end, Some(DeliveryEnd::Delivered));
}

#[tokio::test]
async fn discards_are_bounded_by_age_and_bytes_but_for_those_on_their_way() {
    let test = TestDb::new();
    let outbox = OutboxStore::new(test.db.clone());
    let store = DiscardStore::new(test.db.clone());
    let of = |m: u128, id: u128, at| discard(mapping(m), id << 80, at);
    let (first, second) = (
        vec![of(1, 1, 1_000), of(1, 2, 2_000), of(1, 3, 9_000), of(1, 4, 9_500)],
        vec![of(2, 5, 9_000)],
    );
    give_up(&test, &outbox, mapping(1), first.clone()).await;
    give_up(&test, &outbox, mapping(2), second.clone()).await;
    for done in [&first[1..], &second[..]].concat() {
        outbox.settle(done.id).await.unwrap();
    }
    let keep = KeepDiscards {
        max_age: Duration::from_secs(5),
        max_bytes_per_mapping: u64::MAX,
    };
    let left = async |m| -> Vec<u64> {
        let all = store.list(mapping(m), None, 10).await.unwrap();
        all.iter().map(|d| d.at.0).collect()
    };
    let swept = store.sweep(keep, Wall(10_000)).await.unwrap();
    let expected = Swept {
        too_old: 1,
        too_many: 0,
        waiting: 1,
    };
    assert_eq!(swept, expected);
    assert_eq!(
        (left(1).await, left(2).await),
        (vec![1_000, 9_000, 9_500], vec![9_000])
    );
    assert_eq!(store.get(&Namespace::default(), first[1].id).await.unwrap(), None);
    assert_eq!(store.delivery(first[1].id).await.unwrap(), None);

    let tight = KeepDiscards {
        max_age: Duration::from_secs(1_000),
        max_bytes_per_mapping: 1,
    };
    outbox.settle(first[0].id).await.unwrap();
    let swept = store.sweep(tight, Wall(10_000)).await.unwrap();
    assert_eq!((swept.too_old, swept.too_many, swept.waiting), (0, 4, 0));
    assert_eq!((left(1).await, left(2).await), (vec![], vec![]));
}
