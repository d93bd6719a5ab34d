//! Two more mappings of the stream under the kills: one that filters, and gives records up to a queue; one that adds up
//! per tumbling window.

use super::{BATCH, FACTOR, FUNCTION_TIMEOUT, LINGER, Nanos, QUIET_WITHIN, RETRIES, SHARDS, STREAM};
use crate::client::{Client, mapping, queue_arn, test_function};
use crate::function::{self, Call};
use crate::server::Server;
use crate::wait::until;
use crate::windows;
use millstream_api::v1;
use std::collections::{BTreeMap, BTreeSet};

const FILTERED: &str = "filtered";
const WINDOWED: &str = "windowed";
/// Gets the failure documents of the mapping that filters.
const GIVEN_UP: &str = "given-up";
/// What the filter lets through: about a quarter of all keys.
const WANTED: &str = "key-1";

type Records = BTreeMap<String, Vec<v1::StreamRecord>>;

pub(super) async fn set_up(server: &Server, client: &Client) {
    client.create_queue(GIVEN_UP, v1::Queue::default()).await;
    let mut command = test_function(&server.dir().join(FILTERED), "seq");
    command.push(LINGER.to_owned());
    client
        .create_function(FILTERED, &command, FUNCTION_TIMEOUT, SHARDS * FACTOR)
        .await;
    let pattern = format!(r#"{{"partitionKey":[{{"prefix":"{WANTED}"}}]}}"#);
    let settings = v1::Mapping {
        batch_size: Some(BATCH),
        parallelization_factor: Some(FACTOR),
        bisect_batch_on_function_error: Some(true),
        maximum_retry_attempts: Some(RETRIES),
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        filter_criteria: Some(v1::FilterCriteria {
            filters: vec![v1::Filter { pattern }],
            ..Default::default()
        }),
        destination_config: Some(v1::DestinationConfig {
            on_failure: Some(v1::OnFailure {
                destination: queue_arn(GIVEN_UP),
            }),
        }),
        ..mapping(STREAM, FILTERED)
    };
    client.create_mapping(FILTERED, settings).await;

    windows::create_function(client, &server.dir().join(WINDOWED)).await;
    let settings = v1::Mapping {
        tumbling_window_in_seconds: Some(windows::LENGTH as i32),
        ..mapping(STREAM, "totals")
    };
    client.create_mapping(WINDOWED, settings).await;
}

/// Waits until both have finished, then looks at what they did.
pub(super) async fn judge(client: &Client, server: &Server, records: &Records, lost: &[Nanos]) {
    let dir = server.dir().join(FILTERED);
    type Chosen<'a> = Vec<&'a v1::StreamRecord>;
    let all = records.values().flatten();
    let (wanted, unwanted): (Chosen, Chosen) = all.partition(|r| r.partition_key.starts_with(WANTED));
    let (failing, good): (Chosen, Chosen) = wanted.into_iter().partition(|r| r.data.contains(&b' '));
    let (good, failing, unwanted) = (numbers(&good), numbers(&failing), numbers(&unwanted));
    assert!(good.len() < unwanted.len() && !failing.is_empty());
    let calls = until("the mapping that filters to be done", QUIET_WITHIN, async || {
        let calls = function::calls(&dir);
        let done: BTreeSet<&str> = calls.iter().flat_map(Call::done).map(String::as_str).collect();
        let given_up = client.given_up(FILTERED).await.len();
        (good.is_subset(&done) && given_up >= failing.len()).then_some(calls)
    })
    .await;
    for sent in calls.iter().flat_map(|c| &c.records) {
        assert!(
            !unwanted.contains(sent.as_str()),
            "{sent} matches no filter and was sent"
        );
    }
    keys_are_in_order(records, &calls, &good);
    documents_are_there(client, &failing).await;
    windows_are_exact(client, server, lost).await;
    println!(
        "filtered: {} of {} records sent, {} given up to a queue; {} calls",
        good.len() + failing.len(),
        good.len() + failing.len() + unwanted.len(),
        failing.len(),
        calls.len()
    );
}

fn numbers<'a>(records: &[&'a v1::StreamRecord]) -> BTreeSet<&'a str> {
    records.iter().map(|r| r.sequence_number.as_str()).collect()
}

/// Records of one key in one shard succeed for the first time in their order.
fn keys_are_in_order(records: &Records, calls: &[Call], good: &BTreeSet<&str>) {
    let mut ended: Vec<&Call> = calls.iter().filter(|c| c.ended.is_some()).collect();
    ended.sort_by_key(|c| c.ended.as_ref().map(|(at, _)| *at));
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, record) in ended.iter().flat_map(|c| c.done()).enumerate() {
        first.entry(record).or_insert(at);
    }
    for (shard, records) in records {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for record in records
            .iter()
            .filter(|r| good.contains(r.sequence_number.as_str()))
        {
            let at = first[record.sequence_number.as_str()];
            let before = last.insert(&record.partition_key, at);
            assert!(
                before.is_none_or(|before| before < at),
                "{shard}: {} of {} succeeded before an older one",
                record.sequence_number,
                record.partition_key
            );
        }
    }
}

/// Exactly the failing records are given up, each alone, and the queue has one document of each discard.
async fn documents_are_there(client: &Client, failing: &BTreeSet<&str>) {
    let discards = client.given_up(FILTERED).await;
    let given_up: BTreeSet<&str> = discards
        .iter()
        .map(|d| d.first_sequence_number.as_str())
        .collect();
    assert_eq!(&given_up, failing);
    assert!(discards.iter().all(|d| d.record_count == 1));
    let documents = until("every document to be in the queue", QUIET_WITHIN, async || {
        let documents = client.peek_all(GIVEN_UP).await;
        (documents.len() >= discards.len()).then_some(documents)
    })
    .await;
    let told: BTreeSet<String> = documents
        .iter()
        .map(|message| {
            let text: serde_json::Value = serde_json::from_str(&message.body).unwrap();
            let first = text.pointer("/KinesisBatchInfo/startSequenceNumber");
            first.and_then(|v| v.as_str()).unwrap().to_owned()
        })
        .collect();
    assert_eq!(documents.len(), discards.len(), "a document is there twice");
    assert!(told.iter().map(String::as_str).eq(failing.iter().copied()));
}

/// Every window of every shard, those that were split or merged included, comes to the exact sum of its records.
async fn windows_are_exact(client: &Client, server: &Server, lost: &[Nanos]) {
    let journal = server.dir().join(WINDOWED);
    let expected = windows::expected(client).await;
    let noted = until("every window to end", QUIET_WITHIN, async || {
        let noted = windows::noted(&journal);
        let ended: BTreeSet<_> = noted.iter().map(|(window, _)| window).collect();
        (ended.len() >= expected.len()).then_some(noted)
    })
    .await;
    for (window, total) in &noted {
        assert_eq!(Some(total), expected.get(window), "{window:?}");
    }
    println!(
        "windows: {} over {} records, told {} times in {} losses",
        expected.len(),
        expected.values().map(|total| total.1).sum::<i64>(),
        noted.len(),
        lost.len()
    );
}
