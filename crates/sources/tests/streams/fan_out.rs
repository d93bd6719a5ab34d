//! A consumer with enhanced fan-out: as ministack plays it, and scripted where subscriptions end, are refused, or come
//! to the end of their shard.

use crate::double::{Double, Reply, Script};
use crate::drive::read;
use crate::servers;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use base64_simd::STANDARD;
use millstream_ports::SourceError;
use millstream_sources::{Kinesis, SharedShards};
use millstream_types::{SourceArn, StartingPosition};
use serde_json::{Value, json};

/// One shard that ends after `count` records `k:N`, numbered from 100 on. A subscription pushes twenty of them, in two
/// events, and one without any.
struct Shard {
    count: usize,
    subscriptions: usize,
}

impl Shard {
    fn answer(&mut self, operation: &str, input: &Value) -> Reply {
        if operation == "ListShards" {
            return Reply::Ok(json!({"Shards": [{
                "ShardId": "shardId-000000000000",
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
                "SequenceNumberRange": {"StartingSequenceNumber": "100"},
            }]}));
        }
        self.subscriptions += 1;
        match self.subscriptions {
            2 => return Reply::Error(400, "ResourceInUseException"),
            4 => return Reply::Error(400, "LimitExceededException"),
            _ => {}
        }
        let position = &input["StartingPosition"];
        let number = || {
            position["SequenceNumber"]
                .as_str()
                .unwrap()
                .parse::<usize>()
                .unwrap()
                - 100
        };
        let start = match position["Type"].as_str().unwrap() {
            "TRIM_HORIZON" => 0,
            "AT_SEQUENCE_NUMBER" => number(),
            _ => number() + 1,
        };
        let event = |from: usize, to: usize| {
            let (from, to) = (from.min(self.count), to.min(self.count));
            let ends = to == self.count;
            let record = |n: usize| {
                json!({
                    "SequenceNumber": (100 + n).to_string(),
                    "PartitionKey": "k",
                    "Data": STANDARD.encode_to_string(format!("k:{n}")),
                    "ApproximateArrivalTimestamp": 1_607_497_475,
                })
            };
            let child = |id: &str| {
                json!({
                    "ShardId": id,
                    "ParentShards": ["shardId-000000000000"],
                    "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
                })
            };
            let mut event = json!({
                "Records": (from..to).map(record).collect::<Vec<_>>(),
                "MillisBehindLatest": 0,
            });
            match ends {
                true => event["ChildShards"] = json!([child("shardId-000000000001")]),
                false => {
                    event["ContinuationSequenceNumber"] = json!((100 + to).saturating_sub(1).to_string())
                }
            }
            event
        };
        let (middle, end) = (start + 10, start + 20);
        Reply::Pushed(vec![
            event(start, middle),
            event(middle, middle),
            event(middle, end),
        ])
    }
}

#[tokio::test]
async fn subscriptions_follow_one_another_to_the_end_of_the_shard() {
    let mut shard = Shard {
        count: 75,
        subscriptions: 0,
    };
    let script: Script = Box::new(move |operation, input| shard.answer(operation, input));
    let double = Double::start(script).await;
    let config = servers::config(&double.endpoint).await;
    let arn: SourceArn = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1607497475"
        .parse()
        .unwrap();
    let source = Kinesis::new(&config, SharedShards::default(), servers::clock()).stream(&arn);
    let pin = source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let read = read(&source, &pin, |r| !r.finished.is_empty()).await;
    let expected: Vec<String> = (0..75).map(|n| format!("k:{n}")).collect();
    assert_eq!((read.texts(), read.gaps), (expected, vec![]));
    let [in_use, throttled] = &read.errors[..] else {
        panic!("{:?}", read.errors)
    };
    assert!(
        in_use.retryable() && in_use.to_string().contains("ResourceInUseException"),
        "{in_use}"
    );
    assert_eq!(*throttled, SourceError::Throttled(arn.to_string()));
    assert_eq!(double.calls("SubscribeToShard"), 4 + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_pushed_in_order() {
    const COUNT: usize = 2_000;
    let server = servers::ministack().await;
    let config = servers::config(&server.endpoint).await;
    let client = aws_sdk_kinesis::Client::new(&config);
    client
        .create_stream()
        .stream_name("pushed")
        .shard_count(2)
        .send()
        .await
        .unwrap();
    let stream = client
        .describe_stream_summary()
        .stream_name("pushed")
        .send()
        .await
        .unwrap();
    let stream = stream
        .stream_description_summary()
        .unwrap()
        .stream_arn()
        .to_owned();
    let consumer = client
        .register_stream_consumer()
        .stream_arn(&stream)
        .consumer_name("c")
        .send()
        .await
        .unwrap();
    let arn: SourceArn = consumer.consumer().unwrap().consumer_arn().parse().unwrap();
    assert!(arn.is_consumer());
    let source = Kinesis::new(&config, SharedShards::default(), servers::clock()).stream(&arn);
    let pin = source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let produce = async {
        for part in 0..COUNT / 200 {
            let entry = |n: usize| {
                let key = format!("k{}", n % 10);
                let data = Blob::new(format!("{key}:{n}"));
                PutRecordsRequestEntry::builder()
                    .partition_key(key)
                    .data(data)
                    .build()
                    .unwrap()
            };
            let entries = (part * 200..(part + 1) * 200).map(entry).collect();
            client
                .put_records()
                .stream_name("pushed")
                .set_records(Some(entries))
                .send()
                .await
                .unwrap();
        }
    };
    let (read, ()) = tokio::join!(read(&source, &pin, |r| r.records.len() >= COUNT), produce);
    assert_eq!(read.records.len(), COUNT);
    for (key, numbers) in read.by_key() {
        let k: usize = key[1..].parse().unwrap();
        assert_eq!(numbers, (0..COUNT).filter(|n| n % 10 == k).collect::<Vec<_>>());
    }
}
