//! A mapping of the stream of a DynamoDB table, fed by a script: the engine knows no source by its kind.

use crate::world::{World, eventually};
use millstream_testkit::{Behaviour, Fault, Script, ScriptedFunction};
use std::collections::BTreeMap;

const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000";

const ITEMS: u32 = 23;

fn change(item: u32, n: u32) -> String {
    format!(
        concat!(
            r#"{{"eventID":"{:032x}","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","#,
            r#""awsRegion":"us-east-1","dynamodb":{{"Keys":{{"id":{{"N":"{}"}}}},"NewImage":{{"n":{{"N":"{}"}}}}}},"#,
            r#""eventSourceARN":"{}"}}"#
        ),
        n, item, n, STREAM
    )
}

/// Which change this is; the item is what is left when it is divided by their number.
fn number(text: &str) -> u32 {
    let (_, n) = text.split_once(r#""NewImage":{"n":{"N":""#).unwrap();
    n.split_once('"').unwrap().0.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_an_item_keep_their_order_and_failures_are_told_in_dynamodbs_words() {
    let script = Script::new().with(r#""n":{"N":"137"}"#, Behaviour::Always(Fault::Error));
    let world = World::new(1, ScriptedFunction::new(script));
    world.register("f");
    let mapping = world.map("m", "f", |s| {
        s.source = STREAM.parse().unwrap();
        s.parallelization_factor = 10;
        s.batch_size = 5;
        s.max_retry_attempts = 1;
        s.bisect_on_error = true;
        s.on_failure = Some("arn:aws:sqs:us-east-1:000000000000:dead".parse().unwrap());
    });
    for n in 0..500 {
        let key = format!(r#"{{"id":{{"N":"{}"}}}}"#, n % ITEMS);
        world.stream.put(key.as_bytes(), change(n % ITEMS, n).as_bytes());
    }
    let node = world.node().await;
    eventually("the poison is given up and told", || {
        let told = world.mailbox.delivered().len();
        (told == 1)
            .then_some(())
            .ok_or_else(|| format!("{told} documents"))
    })
    .await;
    node.until(mapping.id, "all is done", |s| s.counters.records_done == 499)
        .await;

    let mut first_seen: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for n in world.seen(mapping.id).iter().map(|text| number(text)) {
        let of_item = first_seen.entry(n % ITEMS).or_default();
        if !of_item.contains(&n) {
            of_item.push(n);
        }
    }
    assert_eq!(first_seen.values().map(Vec::len).sum::<usize>(), 500);
    assert!(
        first_seen.values().all(|of_item| of_item.is_sorted()),
        "{first_seen:?}"
    );
    let document = String::from_utf8(world.mailbox.delivered()[0].document.to_vec()).unwrap();
    for part in [
        r#""condition":"RetryAttemptsExhausted","approximateInvokeCount":2"#,
        r#""DDBStreamBatchInfo":{"shardId":"#,
        r#""batchSize":1,"#,
        STREAM,
    ] {
        assert!(document.contains(part), "{part} is missing in {document}");
    }
    node.stop().await;
}
