//! Ledger and discards through the manager.

use super::fakes::*;
use crate::manage::{DISCARD_CHUNK, ManageError};
use bytes::Bytes;
use millstream_ports::Catalog as _;
use millstream_types::durable::{AttemptResult, Discard, DiscardCondition, LedgerEntry};
use millstream_types::ids::DiscardId;
use millstream_types::*;
use std::sync::atomic::Ordering::SeqCst;

fn discard(n: u128, mapping: MappingId, namespace: Namespace) -> Discard {
    let mark = Mark::of(Seq::from_u128(n));
    Discard {
        id: ordered_id(n),
        namespace,
        mapping,
        shard: ShardId::new("shardId-000000000000").unwrap(),
        condition: DiscardCondition::RetryAttemptsExhausted,
        request_id: RequestId::from_random(n),
        invoke_count: 1,
        response: None,
        first: Some(mark),
        last: Some(mark),
        first_arrival: Some(Wall(1)),
        last_arrival: Some(Wall(1)),
        records: 1,
        at: Wall(2),
        function_arn: String::new(),
        source_arn: String::new(),
        payload: Bytes::from_static(b"payload"),
        window: None,
    }
}

/// Ids that sort by `n`.
fn ordered_id(n: u128) -> DiscardId {
    format!("{n:032x}").parse().unwrap()
}

#[tokio::test]
async fn discards_are_listed_without_payload_in_bounded_memory_and_outlive_their_mapping() {
    let w = World::new().await;
    let (ns, m) = (namespace(), name("m"));
    let id = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping
        .id;
    let other = Namespace::new("other").unwrap();
    let mut all: Vec<_> = (1..=11).map(|n| discard(n, id, ns.clone())).collect();
    all.push(discard(12, id, other.clone()));
    *w.outside.discards.lock().unwrap() = all;

    let (page, more) = w.manager.discards(&ns, &m, None, 10).await.unwrap();
    assert_eq!((page.len(), more), (10, true));
    assert!(page.iter().all(|(d, _)| d.payload.is_empty()));
    assert!(w.outside.largest_chunk.load(SeqCst) <= DISCARD_CHUNK as u64);
    let (rest, more) = w.manager.discards(&ns, &m, Some(page[9].0.id), 10).await.unwrap();
    assert_eq!((rest.len(), more), (1, false), "and none of another namespace");

    assert_eq!(
        w.manager.discard(&ns, rest[0].0.id).await.unwrap().0.payload,
        "payload"
    );
    assert!(matches!(
        w.manager.discard(&other, rest[0].0.id).await,
        Err(ManageError::NotFound { .. })
    ));

    w.catalog.remove_mapping(&ns, &m, id).await.unwrap();
    assert!(w.manager.discards(&ns, &m, None, 10).await.is_err());
    assert_eq!(
        w.manager
            .discards(&ns, &name(&id.to_string()), None, 3)
            .await
            .unwrap()
            .0
            .len(),
        3
    );
}

#[tokio::test]
async fn the_ledger_is_read_page_by_page() {
    let w = World::new().await;
    let (ns, m) = (namespace(), name("m"));
    let mapping = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping
        .id;
    let entry = |attempt| LedgerEntry {
        mapping,
        shard: ShardId::new("s").unwrap(),
        lane: 0,
        request_id: RequestId::from_random(1),
        attempt,
        first: None,
        last: None,
        records: 0,
        finished: 0,
        result: AttemptResult::Retry,
        started: Wall(1),
        ended: Wall(2),
        age_ms: 0,
        error: None,
    };
    *w.outside.ledger.lock().unwrap() = (1..=3).map(entry).collect();
    let first = w.manager.ledger(&ns, &m, None, 2).await.unwrap();
    let second = w.manager.ledger(&ns, &m, first.next, 2).await.unwrap();
    assert_eq!(second.entries, [entry(3)]);
    assert_eq!(second.next, None);
}
