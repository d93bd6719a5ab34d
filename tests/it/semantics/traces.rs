//! Which invocations follow a failure, to the last: semantics section 7.

use super::scene::{Call, Scene, reporting};
use millstream_api::v1;

/// Settings, what record 2 of 4 does, the invocations that follow, and what is given up: records and invocations of it.
struct Row {
    name: &'static str,
    bisect: bool,
    partial: bool,
    retries: i32,
    calls: &'static [&'static str],
    given_up: &'static [(i32, i32)],
}

const TABLE: &[Row] = &[
    Row {
        name: "raise",
        bisect: false,
        partial: false,
        retries: 2,
        calls: &["1234", "1234", "1234"],
        given_up: &[(4, 3)],
    },
    Row {
        name: "raise-bisect",
        bisect: true,
        partial: false,
        retries: 1,
        calls: &["1234", "12", "1", "2", "2", "34"],
        given_up: &[(1, 2)],
    },
    Row {
        name: "partial",
        bisect: false,
        partial: true,
        retries: 1,
        calls: &["1234", "234", "234"],
        given_up: &[(3, 2)],
    },
    Row {
        name: "partial-bisect",
        bisect: true,
        partial: true,
        retries: 1,
        calls: &["1234", "234", "2", "2", "34"],
        given_up: &[(1, 2)],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_2_of_4_fails() {
    let scene = Scene::set().await;
    for row in TABLE {
        let poison = if row.partial { "2 report" } else { "2 raise" };
        let settings = v1::Mapping {
            bisect_batch_on_function_error: Some(row.bisect),
            maximum_retry_attempts: Some(row.retries),
            function_response_types: if row.partial { reporting() } else { Vec::new() },
            ..Default::default()
        };
        scene.stream(row.name, &["1", poison, "3", "4"], settings).await;
    }
    for row in TABLE {
        scene.settled(row.name, 4).await;
        let calls = scene.calls(row.name);
        assert_eq!(texts(&calls), row.calls, "{}", row.name);
        for pair in calls.windows(2) {
            let same_batch = pair[0].1 == pair[1].1;
            assert_eq!(
                pair[0].0 == pair[1].0,
                same_batch,
                "{}: the same batch has the same request id, another one another: {calls:?}",
                row.name
            );
        }
        let given_up = scene.client.given_up(row.name).await;
        let given_up: Vec<_> = given_up
            .iter()
            .map(|d| (d.record_count, d.invoke_count))
            .collect();
        assert_eq!(given_up, row.given_up, "{}", row.name);
    }
    scene.end().await;
}

/// Batches of 3, 3 retries, record 6 reports itself: seen 5 times, 4 times in the batch that is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_resets_the_retries() {
    let scene = Scene::set().await;
    let settings = v1::Mapping {
        batch_size: Some(3),
        maximum_retry_attempts: Some(3),
        function_response_types: reporting(),
        ..Default::default()
    };
    let records = ["1", "2", "3", "4", "5", "6 report"];
    scene.stream("s", &records, settings).await;
    scene.settled("s", 6).await;
    let calls = texts(&scene.calls("s"));
    assert_eq!(calls, ["123", "456", "6", "6", "6", "6"]);
    let given_up = scene.client.given_up("s").await;
    assert_eq!((given_up[0].record_count, given_up[0].invoke_count), (1, 4));
    scene.end().await;
}

fn texts(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|(_, records)| records.concat()).collect()
}
