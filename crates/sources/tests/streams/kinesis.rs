//! Kinesis as kinesis-local plays it: splits, merges, pages, positions.

use crate::drive::{Read, read, read_by_several};
use crate::servers;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use millstream_ports::{Credit, SourceError, Sources, StreamSource};
use millstream_sources::{AwsSources, ConnectionSettings, Connections, Kinesis, SharedShards};
use millstream_types::{Mark, Namespace, Position, SourceArn, StartingPosition, Wall};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ALL: Credit = Credit {
    records: 10_000,
    bytes: 1 << 20,
};

/// A stream of its own for one test.
struct Stream {
    client: Client,
    kinesis: Kinesis,
    name: String,
    arn: SourceArn,
}

impl Stream {
    async fn create(name: &str, shards: i32) -> Self {
        let config = servers::config(&servers::kinesis().await.endpoint).await;
        let client = Client::new(&config);
        client
            .create_stream()
            .stream_name(name)
            .shard_count(shards)
            .send()
            .await
            .unwrap();
        let stream = Self {
            client,
            kinesis: Kinesis::new(&config, SharedShards::default(), servers::clock()),
            name: name.to_owned(),
            arn: format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}")
                .parse()
                .unwrap(),
        };
        stream.active().await;
        stream
    }

    fn mapping(&self) -> Arc<dyn StreamSource> {
        self.kinesis.stream(&self.arn)
    }

    /// Changes of a stream take a moment.
    async fn active(&self) {
        loop {
            let told = self
                .client
                .describe_stream_summary()
                .stream_name(&self.name)
                .send()
                .await
                .unwrap();
            let summary = told.stream_description_summary().unwrap();
            if summary.stream_status().as_str() == "ACTIVE" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Puts records `KEY:N` in the order of `numbers`.
    async fn put(&self, keys: usize, numbers: std::ops::Range<usize>) {
        let all: Vec<_> = numbers
            .map(|n| {
                let key = format!("k{}", n % keys);
                let data = Blob::new(format!("{key}:{n}"));
                PutRecordsRequestEntry::builder()
                    .partition_key(key)
                    .data(data)
                    .build()
                    .unwrap()
            })
            .collect();
        for some in all.chunks(400) {
            let call = self.client.put_records().stream_name(&self.name);
            let put = call.set_records(Some(some.to_vec())).send().await.unwrap();
            assert_eq!(put.failed_record_count().unwrap_or(0), 0);
        }
    }

    /// The shards that are open, by the keys they take.
    async fn open_shards(&self) -> Vec<millstream_types::ShardInfo> {
        let mut open = self.mapping().shards().await.unwrap();
        open.retain(|s| s.closed.is_none());
        open.sort_by_key(|s| s.hash_range);
        open
    }

    /// Splits the first open shard in the middle.
    async fn split(&self) {
        let shard = self.open_shards().await.remove(0);
        let (low, high) = shard.hash_range;
        self.client
            .split_shard()
            .stream_name(&self.name)
            .shard_to_split(shard.id.as_str())
            .new_starting_hash_key((low + (high - low) / 2).to_string())
            .send()
            .await
            .unwrap();
        self.active().await;
    }

    /// Merges the last two open shards.
    async fn merge(&self) {
        let mut open = self.open_shards().await;
        let (upper, lower) = (open.pop().unwrap(), open.pop().unwrap());
        self.client
            .merge_shards()
            .stream_name(&self.name)
            .shard_to_merge(lower.id.as_str())
            .adjacent_shard_to_merge(upper.id.as_str())
            .send()
            .await
            .unwrap();
        self.active().await;
    }
}

/// Every number of each key, in the order in which they were put.
fn expected(keys: usize, count: usize) -> BTreeMap<String, Vec<usize>> {
    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for n in 0..count {
        all.entry(format!("k{}", n % keys)).or_default().push(n);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn splits_and_merges_are_read_once_in_the_order_of_every_key() {
    const COUNT: usize = 6_000;
    let stream = Stream::create("resharded", 3).await;
    let mappings = [stream.mapping(), stream.mapping()];
    let pin = mappings[0].pin(StartingPosition::TrimHorizon).await.unwrap();
    let produce = async {
        for part in 0..6 {
            stream.put(60, part * 1_000..(part + 1) * 1_000).await;
            if part % 2 == 0 {
                stream.split().await;
            } else {
                stream.merge().await;
            }
        }
    };
    let all_came = |read: &Read| read.records.len() >= COUNT && read.finished.len() >= 9;
    let (read, ()) = tokio::join!(read_by_several(&mappings, &pin, all_came), produce);
    for read in read {
        assert_eq!(read.records.len(), COUNT);
        assert_eq!(read.by_key(), expected(60, COUNT));
        assert_eq!((read.gaps, read.errors), (vec![], vec![]));
        // Three splits close one shard each, three merges two each.
        assert_eq!(read.finished.len(), 9);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_longer_than_a_page_are_complete() {
    let stream = Stream::create("many-shards", 13).await;
    stream.split().await;
    stream.merge().await;
    let by_two = stream.kinesis.clone().with_shards_per_call(2).stream(&stream.arn);
    let (some, all) = (
        by_two.shards().await.unwrap(),
        stream.mapping().shards().await.unwrap(),
    );
    let ids = |shards: &[millstream_types::ShardInfo]| {
        let mut ids: Vec<_> = shards.iter().map(|s| s.id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!((some.len(), ids(&some)), (16, ids(&all)));
    let merged: Vec<_> = all.iter().filter(|s| s.parents().count() == 2).collect();
    let split: Vec<_> = all.iter().filter(|s| s.parents().count() == 1).collect();
    assert_eq!((merged.len(), split.len()), (1, 2));
    assert_eq!(all.iter().filter(|s| s.closed.is_some()).count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_begins_where_it_is_asked_to() {
    let stream = Stream::create("positions", 1).await;
    stream.put(1, 0..5).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stream.put(1, 5..10).await;
    let mapping = stream.mapping();
    let shard = mapping.shards().await.unwrap().remove(0).id;
    let page = |from: Position| {
        let (mapping, shard) = (mapping.clone(), shard.clone());
        async move {
            let page = mapping.open(&shard, from).await.unwrap().next(ALL).await.unwrap();
            assert_eq!(page.gap, None);
            let marks: Vec<(Mark, Wall)> = page.records.iter().map(|r| (r.mark, r.arrival)).collect();
            (marks, page.lag.millis)
        }
    };
    let (all, lag) = page(Position::Trim).await;
    assert_eq!((all.len(), lag), (10, 0));
    assert!(all[0].0.seq.len() == 56 && all.is_sorted());
    for (from, first) in [
        (Position::At(all[3].0), 3),
        (Position::After(all[3].0), 4),
        (Position::After(all[9].0), 10),
        (Position::Timestamp(all[5].1), 5),
        (Position::Timestamp(Wall(all[4].1.0 + 1)), 5),
        (Position::Timestamp(Wall(1)), 0),
        (Position::Timestamp(Wall(all[9].1.0 + 1)), 10),
    ] {
        assert_eq!(page(from).await.0, all[first..], "{from:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_after_a_pin_is_read_whenever_reading_begins() {
    let stream = Stream::create("pinned", 2).await;
    stream.put(8, 0..100).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let pin = stream.mapping().pin(StartingPosition::Latest).await.unwrap();
    stream.put(8, 100..300).await;
    stream.split().await;
    stream.put(8, 300..400).await;
    stream.merge().await;
    stream.put(8, 400..500).await;
    // Another process: nothing but the pin is known. Reading may also begin again before anything came.
    for _ in 0..2 {
        let config = servers::config(&servers::kinesis().await.endpoint).await;
        let kinesis = Kinesis::new(&config, SharedShards::default(), servers::clock());
        let read = read(&kinesis.stream(&stream.arn), &pin, |r| r.records.len() >= 400).await;
        let mut expected = expected(8, 500);
        expected
            .values_mut()
            .for_each(|numbers| numbers.retain(|n| *n >= 100));
        assert_eq!(read.by_key(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_leads_to_the_stream_that_an_arn_names() {
    let stream = Stream::create("connected", 2).await;
    stream.put(4, 0..40).await;
    let keys = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys-of-streams");
    std::fs::write(
        &keys,
        "[tests]\naws_access_key_id = test\naws_secret_access_key = test\n",
    )
    .unwrap();
    let settings = ConnectionSettings {
        pattern: "arn:aws:kinesis:*:stream/connected".to_owned(),
        endpoint_url: Some(servers::kinesis().await.endpoint.clone()),
        credentials: Some(format!("file:{}#tests", keys.display())),
        ..ConnectionSettings::default()
    };
    let sources = AwsSources::new(Connections::read(&[settings]).unwrap());
    let source = sources.stream(&Namespace::default(), &stream.arn).await.unwrap();
    let pin = source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let read = read(&source, &pin, |r| r.records.len() >= 40).await;
    assert_eq!(read.by_key(), expected(4, 40));
    let other: SourceArn = "arn:aws:kinesis:us-east-1:000000000000:stream/other"
        .parse()
        .unwrap();
    let error = sources.stream(&Namespace::default(), &other).await.err().unwrap();
    assert_eq!(error, SourceError::NotServed(other.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_records_are_read_within_the_credit() {
    let stream = Stream::create("large", 1).await;
    for n in 0..8u8 {
        let call = stream.client.put_record().stream_name("large").partition_key("k");
        call.data(Blob::new(vec![n; 900_000])).send().await.unwrap();
    }
    let mapping = stream.mapping();
    let shard = mapping.shards().await.unwrap().remove(0).id;
    let mut reader = mapping.open(&shard, Position::Trim).await.unwrap();
    let mut sizes = Vec::new();
    while sizes.len() < 8 {
        let page = reader
            .next(Credit {
                records: 100,
                bytes: 1 << 20,
            })
            .await
            .unwrap();
        sizes.extend(page.records.iter().map(|r| (r.data.len(), r.data[0])));
        assert!(page.records.len() <= 1);
    }
    assert_eq!(sizes, (0..8).map(|n| (900_000, n)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_or_shard_that_is_not_there_is_told() {
    let stream = Stream::create("here", 1).await;
    let arn: SourceArn = "arn:aws:kinesis:us-east-1:000000000000:stream/nowhere"
        .parse()
        .unwrap();
    let nowhere = stream.kinesis.stream(&arn);
    let not_found = SourceError::NotFound(arn.to_string());
    assert_eq!(nowhere.shards().await, Err(not_found.clone()));
    assert_eq!(
        nowhere.pin(StartingPosition::Latest).await,
        Err(not_found.clone())
    );
    let shard = millstream_types::ShardId::new("shardId-000000000000").unwrap();
    let mut reader = nowhere.open(&shard, Position::Trim).await.unwrap();
    assert_eq!(reader.next(ALL).await.unwrap_err(), not_found);
    let shard = millstream_types::ShardId::new("shardId-000000000099").unwrap();
    let mut reader = stream.mapping().open(&shard, Position::Trim).await.unwrap();
    let error = reader.next(ALL).await.unwrap_err();
    assert!(matches!(error, SourceError::NoSuchShard { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iterator_of_the_servers_own_ends_with_the_shard() {
    // What the reader relies on: at the end of a closed shard there is no next iterator.
    let stream = Stream::create("closing", 1).await;
    stream.split().await;
    let closed = stream.mapping().shards().await.unwrap();
    let closed = closed.iter().find(|s| s.closed.is_some()).unwrap();
    let call = stream
        .client
        .get_shard_iterator()
        .stream_name("closing")
        .shard_id(closed.id.as_str());
    let iterator = call
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .unwrap();
    let got = stream
        .client
        .get_records()
        .set_shard_iterator(iterator.shard_iterator)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            got.next_shard_iterator.as_deref(),
            got.child_shards.map(|c| c.len())
        ),
        (None, Some(2))
    );
}
