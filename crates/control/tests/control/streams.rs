//! Streams over the wire.

use crate::fakes::{SHARD, World, fields, reason};
use bytes::Bytes;
use millstream_api::v1;
use tonic::Code;

const ORDERS: &str = "namespaces/default/streams/orders";

fn put(sizes: &[usize]) -> v1::PutRecordsRequest {
    let entry = |size: &usize| v1::PutRecordsEntry {
        partition_key: "k".into(),
        data: Bytes::from(vec![b'x'; *size]),
        ..Default::default()
    };
    v1::PutRecordsRequest {
        stream: ORDERS.into(),
        records: sizes.iter().map(entry).collect(),
    }
}

fn read(page_size: i32, page_token: &str) -> v1::ReadRecordsRequest {
    let (stream, shard_id, page_token) = (ORDERS.into(), SHARD.into(), page_token.into());
    v1::ReadRecordsRequest {
        stream,
        shard_id,
        page_size,
        page_token,
        start: None,
    }
}

#[tokio::test]
async fn records_have_their_own_trace_or_that_of_the_call() {
    let trace = |span: char| {
        let span = span.to_string().repeat(16);
        format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01")
    };
    let w = World::start().await;
    let mut client = w.streams();
    let mut request = put(&[1, 1]);
    request.records[0].trace_context = Some(v1::TraceContext {
        traceparent: trace('1'),
        ..Default::default()
    });
    let mut traced = tonic::Request::new(request);
    traced
        .metadata_mut()
        .insert("traceparent", trace('2').parse().unwrap());
    client.put_records(traced).await.unwrap();
    client.put_records(put(&[1])).await.unwrap();
    let page = client.read_records(read(9, "")).await.unwrap().into_inner();
    let traces = page
        .records
        .into_iter()
        .map(|r| r.trace_context.map(|t| t.traceparent));
    assert_eq!(
        traces.collect::<Vec<_>>(),
        [Some(trace('1')), Some(trace('2')), None]
    );
}

#[tokio::test]
async fn what_is_put_is_read_page_by_page() {
    let w = World::start().await;
    let mut client = w.streams();
    let answer = client.put_records(put(&[1; 25])).await.unwrap().into_inner();
    assert_eq!((answer.failed_record_count, answer.results.len()), (0, 25));
    assert_eq!(answer.results[0].shard_id, SHARD);

    let first = client.read_records(read(20, "")).await.unwrap().into_inner();
    assert_eq!(first.records.len(), 20);
    let second = client
        .read_records(read(20, &first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        second
            .records
            .iter()
            .map(|r| r.sequence_number.as_str())
            .collect::<Vec<_>>(),
        ["21", "22", "23", "24", "25"]
    );
    let third = client
        .read_records(read(20, &second.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert!(
        third.records.is_empty() && !third.next_page_token.is_empty(),
        "an open shard goes on"
    );
    client.put_records(put(&[1])).await.unwrap();
    let fourth = client
        .read_records(read(20, &third.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(fourth.records[0].sequence_number, "26");

    let other = v1::ReadRecordsRequest {
        shard_id: "shardId-1".into(),
        ..read(20, &third.next_page_token)
    };
    assert_eq!(
        fields(&client.read_records(other).await.unwrap_err()),
        ["page_token"]
    );
    let start = Some(v1::read_records_request::Start::Latest(()));
    let latest = v1::ReadRecordsRequest {
        start,
        ..read(20, "")
    };
    assert!(
        client
            .read_records(latest)
            .await
            .unwrap()
            .into_inner()
            .records
            .is_empty()
    );
}

#[tokio::test]
async fn a_page_of_large_records_is_short_and_a_single_one_always_fits() {
    const MB: usize = 1024 * 1024;
    let w = World::start().await;
    let mut client = w.streams();
    client
        .put_records(put(&[2 * MB, 2 * MB, 10 * MB - 1, 1]))
        .await
        .unwrap_err();
    client.put_records(put(&[2 * MB, 2 * MB])).await.unwrap();
    client.put_records(put(&[10 * MB - 1])).await.unwrap();
    client.put_records(put(&[1])).await.unwrap();
    let (mut lengths, mut token) = (Vec::new(), String::new());
    while lengths.iter().sum::<usize>() < 4 {
        let page = client.read_records(read(0, &token)).await.unwrap().into_inner();
        lengths.push(page.records.len());
        token = page.next_page_token;
    }
    assert_eq!(lengths, [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_full_disk_is_told_with_a_hint() {
    let w = World::start().await;
    *w.outside.disk_full.lock().unwrap() = true;
    let full = w.streams().put_records(put(&[1])).await.unwrap_err();
    assert_eq!(
        (full.code(), reason(&full).as_str()),
        (Code::ResourceExhausted, "DISK_FULL")
    );
}

#[tokio::test]
async fn streams_are_administered() {
    let w = World::start().await;
    let mut client = w.streams();
    let stream = client
        .get_stream(v1::GetStreamRequest { name: ORDERS.into() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(stream.arn, crate::fakes::ORDERS);
    assert_eq!(
        (stream.shards.len(), stream.retention_hours, stream.etag.as_str()),
        (1, Some(24), "1")
    );
    assert_eq!(stream.shards[0].ending_hash_key, u128::MAX.to_string());

    let update = |s: v1::Stream| v1::UpdateStreamRequest {
        stream: Some(s),
        ..Default::default()
    };
    let longer = v1::Stream {
        retention_hours: Some(48),
        ..stream.clone()
    };
    assert_eq!(
        client
            .update_stream(update(longer))
            .await
            .unwrap()
            .into_inner()
            .retention_hours,
        Some(48)
    );
    let wider = v1::Stream {
        shard_count: Some(2),
        ..stream.clone()
    };
    assert_eq!(
        fields(&client.update_stream(update(wider)).await.unwrap_err()),
        ["stream.shard_count"]
    );
    let stale = v1::Stream {
        etag: "7".into(),
        ..stream
    };
    assert_eq!(
        client.update_stream(update(stale)).await.unwrap_err().code(),
        Code::Aborted
    );

    let create = |id: &str, shards| v1::CreateStreamRequest {
        parent: "namespaces/default".into(),
        stream_id: id.into(),
        stream: Some(v1::Stream {
            shard_count: Some(shards),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(
        client
            .create_stream(create("orders", 1))
            .await
            .unwrap_err()
            .code(),
        Code::AlreadyExists
    );
    assert_eq!(
        fields(&client.create_stream(create("orders", 0)).await.unwrap_err()),
        ["stream.shard_count"]
    );
    let would = v1::CreateStreamRequest {
        validate_only: true,
        ..create("s", 3)
    };
    let would = client.create_stream(would).await.unwrap().into_inner();
    assert_eq!((would.shard_count, would.etag.as_str()), (Some(3), ""));
    let refused = client.create_stream(create("no name", -1)).await.unwrap_err();
    assert_eq!(fields(&refused), ["stream_id", "stream.shard_count"]);

    let merge = v1::MergeShardsRequest {
        name: ORDERS.into(),
        shard_id: "a".into(),
        adjacent_shard_id: "b".into(),
    };
    let apart = client.merge_shards(merge).await.unwrap_err();
    assert_eq!(
        (apart.code(), reason(&apart).as_str()),
        (Code::FailedPrecondition, "STREAM_STATE")
    );
    let split = v1::SplitShardRequest {
        name: ORDERS.into(),
        shard_id: SHARD.into(),
        new_starting_hash_key: "x".into(),
    };
    assert_eq!(
        fields(&client.split_shard(split).await.unwrap_err()),
        ["new_starting_hash_key"]
    );
    let gone = v1::DeleteStreamRequest {
        name: "namespaces/default/streams/x".into(),
        ..Default::default()
    };
    assert_eq!(
        client.delete_stream(gone).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn streams_are_listed_page_by_page() {
    let w = World::start().await;
    let mut client = w.streams();
    let list = |page_token| v1::ListStreamsRequest {
        parent: "namespaces/default".into(),
        page_size: 2,
        page_token,
    };
    let first = client
        .list_streams(list(String::new()))
        .await
        .unwrap()
        .into_inner();
    let second = client
        .list_streams(list(first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((first.streams.len(), second.streams.len()), (2, 1));
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn what_was_applied_is_kept_with_a_stream_and_a_dry_run_changes_nothing() {
    let w = World::start().await;
    let mut client = w.streams();
    let applied = |path: &str| {
        Some(v1::Applied {
            settings: [(path.to_owned(), "48".to_owned())].into(),
        })
    };
    let mut update = v1::UpdateStreamRequest {
        stream: Some(v1::Stream {
            name: ORDERS.into(),
            retention_hours: Some(48),
            applied: applied("retention_hours"),
            ..Default::default()
        }),
        validate_only: true,
        ..Default::default()
    };
    let would = client.update_stream(update.clone()).await.unwrap().into_inner();
    assert_eq!((would.etag.as_str(), would.retention_hours), ("1", Some(48)));
    assert_eq!(would.applied, applied("retention_hours"));
    update.stream.as_mut().unwrap().applied = applied("Retention");
    assert_eq!(
        fields(&client.update_stream(update).await.unwrap_err()),
        ["stream.applied"]
    );
}
