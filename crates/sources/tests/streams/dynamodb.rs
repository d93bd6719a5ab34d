//! DynamoDB Streams as ministack plays them: changes, positions, the shape of records. It has one shard per stream;
//! what more there is in AWS is played by a script (`dynamodb_faults`).

use crate::drive::read;
use crate::{http, servers};
use millstream_ports::{Credit, SourceError, StreamSource};
use millstream_sources::{DynamoDbStreams, SharedShards};
use millstream_types::{Position, SourceArn, StartingPosition, Wall};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const ALL: Credit = Credit {
    records: 10_000,
    bytes: 1 << 20,
};

/// A table of its own for one test.
struct Table {
    port: u16,
    name: &'static str,
    arn: SourceArn,
    source: Arc<dyn StreamSource>,
}

impl Table {
    async fn create(name: &'static str) -> Self {
        let server = servers::ministack().await;
        let table = json!({
            "TableName": name,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "sort", "KeyType": "RANGE"}],
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "sort", "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        });
        let made = dynamodb(server.port, "CreateTable", &table).await;
        let arn: SourceArn = made["TableDescription"]["LatestStreamArn"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let config = servers::config(&server.endpoint).await;
        let streams = DynamoDbStreams::new(&config, SharedShards::default(), servers::clock());
        Self {
            port: server.port,
            name,
            source: streams.stream(&arn),
            arn,
        }
    }

    async fn put(&self, item: Value) {
        let put = json!({"TableName": self.name, "Item": item});
        dynamodb(self.port, "PutItem", &put).await;
    }

    /// Puts items `N mod keys`, each with its number.
    async fn put_numbers(&self, keys: usize, numbers: std::ops::Range<usize>) {
        let all: Vec<usize> = numbers.collect();
        for some in all.chunks(keys.min(25)) {
            let put = |n: &usize| {
                let item = json!({"id": {"S": format!("k{}", n % keys)}, "sort": {"N": "1"}, "n": {"N": n.to_string()}});
                json!({"PutRequest": {"Item": item}})
            };
            let puts: Vec<Value> = some.iter().map(put).collect();
            dynamodb(
                self.port,
                "BatchWriteItem",
                &json!({"RequestItems": {self.name: puts}}),
            )
            .await;
        }
    }

    async fn records(&self, from: Position) -> Vec<millstream_types::Record> {
        let shard = self.source.shards().await.unwrap().remove(0).id;
        let mut reader = self.source.open(&shard, from).await.unwrap();
        let mut records = Vec::new();
        loop {
            let page = reader.next(ALL).await.unwrap();
            if page.records.is_empty() {
                return records;
            }
            records.extend(page.records);
        }
    }
}

async fn dynamodb(port: u16, operation: &str, body: &Value) -> Value {
    http::call(port, "dynamodb", &format!("DynamoDB_20120810.{operation}"), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_changes_are_read_once_in_the_order_of_every_item() {
    const COUNT: usize = 4_000;
    let table = Table::create("changes").await;
    let pin = table.source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let (read, ()) = tokio::join!(
        read(&table.source, &pin, |r| r.records.len() >= COUNT),
        table.put_numbers(50, 0..COUNT)
    );
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (_, record) in &read.records {
        let change: Value = serde_json::from_slice(&record.data).unwrap();
        let n = change["dynamodb"]["NewImage"]["n"]["N"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let key = String::from_utf8(record.partition_key.to_vec()).unwrap();
        by_key.entry(key).or_default().push(n);
    }
    let expected = (0..50).map(|k| {
        let numbers: Vec<usize> = (0..COUNT).filter(|n| n % 50 == k).collect();
        (format!(r#"{{"id":{{"S":"k{k}"}},"sort":{{"N":"1"}}}}"#), numbers)
    });
    assert_eq!(by_key, expected.collect());
    assert_eq!((read.gaps, read.errors), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_has_the_members_that_lambda_gives() {
    let table = Table::create("shapes").await;
    let item = json!({
        "id": {"S": "a \"b\" é"},
        "sort": {"N": "12345678901234567890123456789012345678"},
        "binary": {"B": "AP8="},
        "yes": {"BOOL": true},
        "none": {"NULL": true},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": ["-1.5", "2"]},
        "binaries": {"BS": ["YQ=="]},
        "nested": {"M": {"list": {"L": [{"S": "x"}, {"M": {"deep": {"N": "0.1"}}}]}}},
    });
    table.put(item.clone()).await;
    let mut changed = item.clone();
    changed["yes"] = json!({"BOOL": false});
    table.put(changed.clone()).await;
    let keys = json!({"id": item["id"], "sort": item["sort"]});
    dynamodb(
        table.port,
        "DeleteItem",
        &json!({"TableName": table.name, "Key": keys}),
    )
    .await;

    let records = table.records(Position::Trim).await;
    let events: Vec<Value> = records
        .iter()
        .map(|r| serde_json::from_slice(&r.data).unwrap())
        .collect();
    let images = |event: &Value| {
        let change = &event["dynamodb"];
        (
            change.get("OldImage").map(sorted),
            change.get("NewImage").map(sorted),
        )
    };
    let (item, changed) = (Some(sorted(&item)), Some(sorted(&changed)));
    let expected = [
        ("INSERT", (None, item.clone())),
        ("MODIFY", (item, changed.clone())),
        ("REMOVE", (changed, None)),
    ];
    assert_eq!(events.len(), expected.len());
    for ((record, event), (name, expected)) in records.iter().zip(&events).zip(expected) {
        assert_eq!(
            (event["eventName"].as_str(), images(event)),
            (Some(name), expected)
        );
        let members: Vec<&String> = event.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            [
                "awsRegion",
                "dynamodb",
                "eventID",
                "eventName",
                "eventSource",
                "eventSourceARN",
                "eventVersion"
            ]
        );
        assert_eq!(
            (&event["eventSource"], &event["eventVersion"]),
            (&json!("aws:dynamodb"), &json!("1.1"))
        );
        assert_eq!(
            (&event["awsRegion"], &event["eventSourceARN"]),
            (&json!("us-east-1"), &json!(table.arn.as_str()))
        );
        let change = &event["dynamodb"];
        assert_eq!(
            (&change["Keys"], &change["StreamViewType"]),
            (&keys, &json!("NEW_AND_OLD_IMAGES"))
        );
        assert_eq!(change["SequenceNumber"], record.mark.to_string());
        let at = change["ApproximateCreationDateTime"].as_u64().unwrap();
        assert_eq!(record.arrival, Wall(at * 1_000));
        assert_eq!(
            serde_json::from_slice::<Value>(&record.partition_key).unwrap(),
            keys
        );
    }
}

/// A set has no order; everything else has to be as it was put.
fn sorted(item: &Value) -> Value {
    let mut item = item.clone();
    for set in ["texts", "numbers", "binaries"] {
        for values in item[set].as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
            values.as_array_mut().unwrap().sort_by_key(|v| v.to_string());
        }
    }
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_begins_where_it_is_asked_to() {
    let table = Table::create("places").await;
    table.put_numbers(1, 0..3).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let pin = table.source.pin(StartingPosition::Latest).await.unwrap();
    table.put_numbers(1, 3..6).await;
    let all = table.records(Position::Trim).await;
    assert_eq!(all.len(), 6);
    for (from, first) in [
        (Position::At(all[2].mark), 2),
        (Position::After(all[2].mark), 3),
        (Position::After(all[5].mark), 6),
        // What was put after the pin, though this server knows no starts by time.
        (pin.position, 3),
    ] {
        assert_eq!(table.records(from).await, all[first..], "{from:?}");
    }
    let refused = table
        .source
        .pin(StartingPosition::AtTimestamp(Wall(1)))
        .await
        .unwrap_err();
    assert!(!refused.retryable());
    assert!(
        refused
            .to_string()
            .contains("Unsupported starting position for arn type: arn:aws:dynamodb")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_switched_off_is_read_to_its_end() {
    let table = Table::create("switched-off").await;
    table.put_numbers(5, 0..20).await;
    let off = json!({"TableName": table.name, "StreamSpecification": {"StreamEnabled": false}});
    dynamodb(table.port, "UpdateTable", &off).await;
    let pin = table.source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let read = read(&table.source, &pin, |r| !r.finished.is_empty()).await;
    assert_eq!((read.records.len(), read.gaps, read.errors), (20, vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_there_is_told() {
    let table = Table::create("somewhere").await;
    let arn: SourceArn = table
        .arn
        .as_str()
        .replace("somewhere", "nowhere")
        .parse()
        .unwrap();
    let config = servers::config(&servers::ministack().await.endpoint).await;
    let nowhere = DynamoDbStreams::new(&config, SharedShards::default(), servers::clock()).stream(&arn);
    assert_eq!(
        nowhere.shards().await,
        Err(SourceError::NotFound(arn.to_string()))
    );
}
