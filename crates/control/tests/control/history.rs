//! Attempts and discards over the wire.

use crate::fakes::World;
use bytes::Bytes;
use millstream_api::v1;
use millstream_types::durable::{
    AttemptResult, AttemptedMessage, Discard, DiscardCondition, LedgerEntry, QueueAttempt,
};
use millstream_types::{MappingId, Mark, Namespace, RequestId, Seq, ShardId, Wall};
use tonic::Code;

const M: &str = "namespaces/default/mappings/m";

fn id_of(mapping: &v1::Mapping) -> MappingId {
    mapping.uid.parse().unwrap()
}

#[tokio::test]
async fn attempts_of_a_queue_are_listed_with_their_messages() {
    let w = World::start().await;
    let mapping = id_of(&w.make_mapping("m").await);
    let message = |id: &str, failed: bool| AttemptedMessage {
        id: id.to_owned(),
        receives: 2,
        group: failed.then(|| "g".to_owned()),
        failed,
    };
    *w.outside.attempts.lock().unwrap() = vec![QueueAttempt {
        mapping,
        slot: 700,
        request_id: RequestId::from_random(1),
        attempt: 2,
        messages: 2,
        finished: 1,
        result: AttemptResult::Partial,
        started: Wall(1_000),
        ended: Wall(2_500),
        age_ms: 1_500,
        error: None,
        named: vec![message("a", false), message("b", true)],
    }];
    let request = v1::ListLedgerEntriesRequest {
        parent: M.into(),
        ..Default::default()
    };
    let listed = w
        .ledger()
        .list_ledger_entries(request)
        .await
        .unwrap()
        .into_inner();
    let [told] = &listed.entries[..] else {
        panic!("{listed:?}")
    };
    assert_eq!((told.shard_id.as_str(), told.lane, told.attempt), ("", 700, 2));
    assert_eq!((told.record_count, told.finished_count), (2, 1));
    assert_eq!(told.result(), v1::AttemptResult::Partial);
    let messages: Vec<_> = told
        .messages
        .iter()
        .map(|m| {
            (
                m.message_id.as_str(),
                m.receive_count,
                m.message_group_id.as_str(),
                m.failed,
            )
        })
        .collect();
    assert_eq!(messages, [("a", 2, "", false), ("b", 2, "g", true)]);
}

#[tokio::test]
async fn attempts_are_listed() {
    let w = World::start().await;
    let mapping = id_of(&w.make_mapping("m").await);
    let entry = |attempt| LedgerEntry {
        mapping,
        shard: ShardId::new("s").unwrap(),
        lane: 3,
        request_id: RequestId::from_random(1),
        attempt,
        first: Some(Mark::of(Seq::from_u128(1))),
        last: Some(Mark::of(Seq::from_u128(2))),
        records: 2,
        finished: 0,
        result: AttemptResult::Split,
        started: Wall(1_000),
        ended: Wall(2_000),
        age_ms: 1_500,
        error: Some("ValueError".into()),
    };
    *w.outside.ledger.lock().unwrap() = (1..=3).map(entry).collect();
    let list = |page_token| v1::ListLedgerEntriesRequest {
        parent: M.into(),
        page_size: 2,
        page_token,
    };
    let first = w
        .ledger()
        .list_ledger_entries(list(String::new()))
        .await
        .unwrap()
        .into_inner();
    let second = w
        .ledger()
        .list_ledger_entries(list(first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            first.entries.len(),
            second.entries.len(),
            second.next_page_token.as_str()
        ),
        (2, 1, "")
    );
    let e = &second.entries[0];
    assert_eq!(
        (e.attempt, e.lane, e.result(), e.error.as_str()),
        (3, 3, v1::AttemptResult::Split, "ValueError")
    );
    assert_eq!(e.age.unwrap().nanos, 500_000_000);
}

#[tokio::test]
async fn discards_are_listed_without_payload_and_got_with_it() {
    let w = World::start().await;
    let mapping = id_of(&w.make_mapping("m").await);
    let mark = Mark::of(Seq::from_u128(1));
    let discard = |n: u32| Discard {
        id: format!("{n:032x}").parse().unwrap(),
        namespace: Namespace::default(),
        mapping,
        shard: ShardId::new("s").unwrap(),
        condition: DiscardCondition::RecordAgeExceeded,
        request_id: RequestId::from_random(1),
        invoke_count: 1,
        response: None,
        first: Some(mark),
        last: Some(mark),
        first_arrival: Some(Wall(0)),
        last_arrival: Some(Wall(0)),
        records: 1,
        at: Wall(0),
        function_arn: String::new(),
        source_arn: String::new(),
        payload: Bytes::from(format!("payload {n}")),
        window: None,
    };
    *w.outside.discards.lock().unwrap() = (1..=5).map(discard).collect();
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDiscardsRequest {
            parent: M.into(),
            page_size: 2,
            page_token: token,
        };
        let page = w.discards().list_discards(request).await.unwrap().into_inner();
        assert!(page.discards.iter().all(|d| d.payload.is_empty()));
        names.extend(page.discards.into_iter().map(|d| d.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 5);
    let got = w
        .discards()
        .get_discard(v1::GetDiscardRequest {
            name: names[4].clone(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (got.payload, got.mapping_uid),
        (Bytes::from_static(b"payload 5"), mapping.to_string())
    );
    let name = "namespaces/default/discards/00000000-0000-0000-0000-0000000000ff".into();
    assert_eq!(
        w.discards()
            .get_discard(v1::GetDiscardRequest { name })
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
}
