//! What no server plays: shards of a table that rotate and split, records that were trimmed, throttles and cuts. The
//! script keeps the rules of the service: parents end before their children begin, lists come in pages and tell of
//! children late.

use crate::double::{Double, Fault, Reply, Script};
use crate::drive::read;
use crate::servers;
use millstream_ports::{Credit, Gap, StreamSource};
use millstream_sources::{DynamoDbStreams, SharedShards};
use millstream_types::{Mark, Position, ShardId, SourceArn, StartingPosition, Wall};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const ALL: Credit = Credit {
    records: 10_000,
    bytes: 1 << 20,
};

fn arn() -> SourceArn {
    "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
        .parse()
        .unwrap()
}

/// A partition whose shards rotate: each has `per_shard` records, the next is the child of the one before; the last is
/// open. Records are numbered through.
struct Table {
    shards: usize,
    per_shard: usize,
    /// The first shards that are not listed any more, and the records that are gone in the others.
    expired: usize,
    trimmed: usize,
    hours_ago: u64,
    /// A child is listed after so many lists.
    late: usize,
    faults: fn(usize) -> Option<Fault>,
    lists: usize,
    reads: usize,
}

impl Table {
    fn answer(&mut self, operation: &str, input: &Value) -> Reply {
        match operation {
            "DescribeStream" => self.describe(input),
            "GetShardIterator" => self.iterator(input),
            "GetRecords" => {
                self.reads += 1;
                match (self.faults)(self.reads) {
                    Some(fault) => fault(),
                    None => self.records(input),
                }
            }
            _ => Reply::Error(400, "UnknownOperationException"),
        }
    }

    fn describe(&mut self, input: &Value) -> Reply {
        self.lists += 1;
        let known = self.shards.min(self.lists / self.late.max(1) + 1);
        let after = input["ExclusiveStartShardId"]
            .as_str()
            .map_or(self.expired, |id| number(id) + 1);
        let end = known.min(after + usize::try_from(input["Limit"].as_u64().unwrap()).unwrap());
        let shard = |n: usize| {
            json!({
                "ShardId": name(n),
                "ParentShardId": n.checked_sub(1).map(name),
                "SequenceNumberRange": {
                    "StartingSequenceNumber": sequence(n * self.per_shard),
                    "EndingSequenceNumber": (n + 1 < self.shards).then(|| sequence((n + 1) * self.per_shard - 1)),
                },
            })
        };
        let shards: Vec<Value> = (after..end).map(shard).collect();
        let last = (end < known).then(|| name(end - 1));
        Reply::Ok(json!({"StreamDescription": {
            "StreamArn": arn().as_str(), "StreamStatus": "ENABLED", "Shards": shards, "LastEvaluatedShardId": last,
        }}))
    }

    fn iterator(&self, input: &Value) -> Reply {
        let shard = number(input["ShardId"].as_str().unwrap());
        if shard < self.expired {
            return Reply::Error(400, "ResourceNotFoundException");
        }
        let oldest = self.trimmed.max(shard * self.per_shard);
        let at = match input["ShardIteratorType"].as_str().unwrap() {
            "TRIM_HORIZON" => oldest,
            "AT_SEQUENCE_NUMBER" => {
                input["SequenceNumber"]
                    .as_str()
                    .unwrap()
                    .parse::<usize>()
                    .unwrap()
                    - FIRST
            }
            _ => return Reply::Error(400, "ValidationException"),
        };
        if at < oldest {
            return Reply::Error(400, "TrimmedDataAccessException");
        }
        Reply::Ok(json!({"ShardIterator": format!("{shard}/{at}")}))
    }

    fn records(&self, input: &Value) -> Reply {
        let (shard, at) = input["ShardIterator"].as_str().unwrap().split_once('/').unwrap();
        let (shard, at): (usize, usize) = (shard.parse().unwrap(), at.parse().unwrap());
        let last = (shard + 1) * self.per_shard;
        let limit = usize::try_from(input["Limit"].as_u64().unwrap()).unwrap();
        let end = (at + limit.min(9)).min(last);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let change = |n: usize| {
            json!({
                "eventID": format!("{n:032x}"), "eventName": "INSERT", "eventVersion": "1.1",
                "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": now - self.hours_ago * 3_600,
                    "Keys": {"id": {"N": (n % 5).to_string()}},
                    "SequenceNumber": sequence(n), "SizeBytes": 3, "StreamViewType": "KEYS_ONLY",
                },
            })
        };
        let ended = end == last && shard + 1 < self.shards;
        let records: Vec<Value> = (at..end).map(change).collect();
        Reply::Ok(json!({
            "Records": records,
            "NextShardIterator": (!ended).then(|| format!("{shard}/{end}")),
        }))
    }
}

const FIRST: usize = 1_000_000;

fn name(n: usize) -> String {
    format!("shardId-{n:020}-0000000{n}")
}

fn number(id: &str) -> usize {
    id.split('-').nth(1).unwrap().parse().unwrap()
}

fn sequence(n: usize) -> String {
    format!("{:021}", FIRST + n)
}

fn table() -> Table {
    Table {
        shards: 6,
        per_shard: 40,
        expired: 0,
        trimmed: 0,
        hours_ago: 0,
        late: 1,
        faults: |_| None,
        lists: 0,
        reads: 0,
    }
}

async fn start(mut table: Table) -> (Double, Arc<dyn StreamSource>) {
    let script: Script = Box::new(move |operation, input| table.answer(operation, input));
    let double = Double::start(script).await;
    let config = servers::config(&double.endpoint).await;
    let streams =
        DynamoDbStreams::new(&config, SharedShards::default(), servers::clock()).with_shards_per_call(2);
    (double, streams.stream(&arn()))
}

fn marks(read: &crate::drive::Read) -> Vec<Mark> {
    read.records.iter().map(|(_, r)| r.mark).collect()
}

fn mark(n: usize) -> Mark {
    Mark::of(sequence(n).parse().unwrap())
}

#[tokio::test]
async fn shards_that_rotate_are_read_parents_first_through_all_failures() {
    let faults = |read: usize| -> Option<Fault> {
        match read {
            3 => Some(|| Reply::Error(400, "LimitExceededException")),
            5 => Some(|| Reply::Error(400, "ExpiredIteratorException")),
            8 => Some(|| Reply::Cut),
            11 => Some(|| Reply::Error(500, "InternalServerError")),
            14 => Some(|| Reply::Error(400, "TrimmedDataAccessException")),
            _ => None,
        }
    };
    let (_double, source) = start(Table {
        faults,
        late: 4,
        ..table()
    })
    .await;
    let pin = source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let read = read(&source, &pin, |r| r.records.len() >= 240).await;
    // One after the other, so that the order of all is the order of each key.
    assert_eq!(marks(&read), (0..240).map(mark).collect::<Vec<_>>());
    assert_eq!(
        (read.finished.len(), read.gaps, read.errors.len()),
        (5, vec![], 3)
    );
    let record = &read.records[7].1;
    assert_eq!(&record.partition_key[..], br#"{"id":{"N":"2"}}"#);
    assert_eq!(record.mark.to_string(), "000000000000001000007");
}

#[tokio::test]
async fn what_was_trimmed_is_a_gap_and_an_expired_shard_is_gone() {
    let old = Table {
        expired: 2,
        trimmed: 90,
        hours_ago: 21,
        ..table()
    };
    let (_double, source) = start(old).await;
    let shard = |n| ShardId::new(name(n)).unwrap();
    let mut reader = source.open(&shard(2), Position::After(mark(84))).await.unwrap();
    let page = reader.next(ALL).await.unwrap();
    let gap = Gap {
        wanted: Position::After(mark(84)),
        found: mark(90),
    };
    assert_eq!((page.gap, page.records[0].mark), (Some(gap), mark(90)));
    let mut reader = source.open(&shard(1), Position::After(mark(50))).await.unwrap();
    let error = reader.next(ALL).await.unwrap_err();
    assert!(
        matches!(error, millstream_ports::SourceError::NoSuchShard { .. }),
        "{error}"
    );
    // A mapping that starts now reads what is left of the stream.
    let pin = source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let read = read(&source, &pin, |r| r.records.len() >= 150).await;
    assert_eq!(marks(&read), (90..240).map(mark).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_latest_is_pinned_to_the_open_shard_and_the_sources_second() {
    let (_double, source) = start(table()).await;
    // Lists tell of one more shard each time: look until all are there.
    while source.shards().await.unwrap().len() < 6 {}
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let pin = source.pin(StartingPosition::Latest).await.unwrap();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let Position::Timestamp(Wall(at)) = pin.position else {
        panic!("{:?}", pin.position)
    };
    assert!(at % 1_000 == 0 && (before..=after).contains(&(at / 1_000)));
    assert_eq!(
        pin.shards.into_iter().collect::<Vec<_>>(),
        [ShardId::new(name(5)).unwrap()]
    );
}
