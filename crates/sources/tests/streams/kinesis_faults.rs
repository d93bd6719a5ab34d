//! Kinesis when things go wrong, as a scripted server plays it.

use crate::double::{Double, Fault, Reply, Script};
use crate::drive::read;
use crate::servers;
use base64_simd::STANDARD;
use millstream_ports::{Credit, Gap, SourceError, StreamSource};
use millstream_sources::{Kinesis, SharedShards};
use millstream_types::{Mark, Position, ShardId, SourceArn, StartingPosition};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const ALL: Credit = Credit {
    records: 10_000,
    bytes: 1 << 20,
};

fn arn() -> SourceArn {
    "arn:aws:kinesis:us-east-1:123456789012:stream/scripted"
        .parse()
        .unwrap()
}

/// One shard with records `k:N` that are numbered from 100 on, of which the first `trimmed` are gone.
struct Shard {
    count: usize,
    trimmed: usize,
    hours_ago: u64,
    closed: bool,
    /// Every call with a number in here fails so.
    faults: fn(usize) -> Option<Fault>,
    reads: usize,
}

impl Shard {
    fn answer(&mut self, operation: &str, input: &Value) -> Reply {
        match operation {
            "ListShards" => self.list(),
            "GetShardIterator" => {
                let index = match input["ShardIteratorType"].as_str().unwrap() {
                    "AT_SEQUENCE_NUMBER" => {
                        let number = input["StartingSequenceNumber"].as_str().unwrap();
                        number.parse::<usize>().unwrap() - 100
                    }
                    _ => 0,
                };
                Reply::Ok(json!({"ShardIterator": index.max(self.trimmed).to_string()}))
            }
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

    fn list(&self) -> Reply {
        let last = self.closed.then_some("999");
        Reply::Ok(json!({"Shards": [{
            "ShardId": "shardId-000000000000",
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
            "SequenceNumberRange": {"StartingSequenceNumber": "100", "EndingSequenceNumber": last},
        }]}))
    }

    fn records(&self, input: &Value) -> Reply {
        let start: usize = input["ShardIterator"].as_str().unwrap().parse().unwrap();
        let limit = usize::try_from(input["Limit"].as_u64().unwrap()).unwrap();
        let end = (start + limit.min(7)).min(self.count);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let record = |n: usize| {
            json!({
                "SequenceNumber": (100 + n).to_string(),
                "PartitionKey": "k",
                "Data": STANDARD.encode_to_string(format!("k:{n}")),
                "ApproximateArrivalTimestamp": now - self.hours_ago * 3_600,
            })
        };
        let next = (end < self.count || !self.closed).then(|| end.to_string());
        Reply::Ok(json!({
            "Records": (start..end).map(record).collect::<Vec<_>>(),
            "NextShardIterator": next,
            "MillisBehindLatest": if end < self.count { 1_000 } else { 0 },
        }))
    }
}

fn shard(count: usize) -> Shard {
    Shard {
        count,
        trimmed: 0,
        hours_ago: 0,
        closed: true,
        faults: |_| None,
        reads: 0,
    }
}

async fn start(mut shard: Shard) -> (Double, Arc<dyn StreamSource>) {
    let script: Script = Box::new(move |operation, input| shard.answer(operation, input));
    let double = Double::start(script).await;
    let config = servers::config(&double.endpoint).await;
    let kinesis = Kinesis::new(&config, SharedShards::default(), servers::clock());
    (double, kinesis.stream(&arn()))
}

#[tokio::test]
async fn every_kind_of_failure_is_got_over_without_a_loss() {
    let faults = |read: usize| -> Option<Fault> {
        match read {
            2 => Some(|| Reply::Error(400, "ProvisionedThroughputExceededException")),
            4 | 5 => Some(|| Reply::Error(400, "ExpiredIteratorException")),
            7 => Some(|| Reply::Error(500, "InternalFailure")),
            9 => Some(|| Reply::Cut),
            11 => Some(|| Reply::Error(400, "KMSThrottlingException")),
            _ => None,
        }
    };
    let (double, source) = start(Shard { faults, ..shard(40) }).await;
    let pin = source.pin(StartingPosition::TrimHorizon).await.unwrap();
    let read = read(&source, &pin, |r| !r.finished.is_empty()).await;
    let expected: Vec<String> = (0..40).map(|n| format!("k:{n}")).collect();
    assert_eq!(read.texts(), expected);
    // The iterators that expired are nobody's business; the rest is told, and each was tried once.
    let throttled = SourceError::Throttled(arn().to_string());
    assert_eq!((read.errors.len(), read.gaps), (4, vec![]));
    assert_eq!((&read.errors[0], &read.errors[3]), (&throttled, &throttled));
    assert!(
        read.errors.iter().all(SourceError::retryable),
        "{:?}",
        read.errors
    );
    assert_eq!(double.calls("GetRecords"), 6 + 6);
}

#[tokio::test]
async fn what_was_trimmed_meanwhile_is_a_gap() {
    let old = Shard {
        trimmed: 5,
        hours_ago: 20,
        ..shard(10)
    };
    let (_double, source) = start(old).await;
    let id = ShardId::new("shardId-000000000000").unwrap();
    let mark = |n: u32| Mark::of(n.to_string().parse().unwrap());
    for (from, gap) in [
        (Position::Trim, false),
        (Position::After(mark(101)), true),
        (Position::At(mark(104)), true),
        (Position::After(mark(105)), false),
    ] {
        let page = source.open(&id, from).await.unwrap().next(ALL).await.unwrap();
        let expect = gap.then(|| Gap {
            wanted: from,
            found: mark(105),
        });
        assert_eq!(page.gap, expect, "{from:?}");
    }
}

#[tokio::test]
async fn a_source_that_refuses_is_told_in_awss_words() {
    let denied = |_: usize| -> Option<Fault> { Some(|| Reply::Error(400, "AccessDeniedException")) };
    let (_double, source) = start(Shard {
        faults: denied,
        ..shard(1)
    })
    .await;
    let id = ShardId::new("shardId-000000000000").unwrap();
    let error = source
        .open(&id, Position::Trim)
        .await
        .unwrap()
        .next(ALL)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("Cannot access stream arn:aws:kinesis:us-east-1:123456789012:stream/scripted."),
        "{text}"
    );
    assert!(text.contains("AccessDeniedException: scripted"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_that_passes() {
    let (double, source) = start(shard(1)).await;
    let config = servers::config(&format!("http://127.0.0.1:{}", servers::free_port())).await;
    let gone = Kinesis::new(&config, SharedShards::default(), servers::clock()).stream(&arn());
    assert!(gone.shards().await.is_err_and(|e| e.retryable()));
    assert_eq!(source.shards().await.unwrap().len(), 1);
    assert_eq!(double.calls("ListShards"), 1);
}
