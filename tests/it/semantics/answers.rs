//! What an answer means when failures are reported: semantics section 8, cell by cell, for both kinds of source.

use super::scene::{Scene, reporting};
use millstream_api::v1;

/// The answer to a batch of `a`, `b`, `c`, given for `b`, and what fails because of it.
const TABLE: &[(&str, &str, Fails)] = &[
    ("empty-object", "{}", Fails::Nothing),
    ("null", "null", Fails::Nothing),
    ("no-body", "", Fails::Nothing),
    ("empty-string", "\"\"", Fails::Nothing),
    ("array", "[]", Fails::Nothing),
    ("no-failures", r#"{"batchItemFailures":[]}"#, Fails::Nothing),
    ("null-failures", r#"{"batchItemFailures":null}"#, Fails::Nothing),
    (
        "other-members",
        r#"{"done":1,"batchItemFailures":[]}"#,
        Fails::Nothing,
    ),
    (
        "valid",
        r#"{"batchItemFailures":[{"itemIdentifier":"$ID"}]}"#,
        Fails::Reported,
    ),
    (
        "twice",
        r#"{"batchItemFailures":[{"itemIdentifier":"$ID"},{"itemIdentifier":"$ID"}]}"#,
        Fails::Reported,
    ),
    (
        "empty-id",
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        Fails::All,
    ),
    (
        "null-id",
        r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        Fails::All,
    ),
    ("bad-key", r#"{"batchItemFailures":[{"foo":"$ID"}]}"#, Fails::All),
    (
        "unknown-id",
        r#"{"batchItemFailures":[{"itemIdentifier":"12345"}]}"#,
        Fails::All,
    ),
    (
        "valid-and-unknown",
        r#"{"batchItemFailures":[{"itemIdentifier":"$ID"},{"itemIdentifier":"12345"}]}"#,
        Fails::All,
    ),
    ("not-json", "{", Fails::All),
    (
        "numeric-id",
        r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#,
        Fails::All,
    ),
    (
        "not-a-list",
        r#"{"batchItemFailures":{"itemIdentifier":"$ID"}}"#,
        Fails::All,
    ),
    ("no-key", r#"{"batchItemFailures":[{}]}"#, Fails::All),
];

#[derive(Clone, Copy)]
enum Fails {
    Nothing,
    /// Of a stream `b` and what comes after it; of a queue `b`.
    Reported,
    All,
}

fn batch(answer: &str) -> [String; 3] {
    ["a".to_owned(), format!("b answer {answer}"), "c".to_owned()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_about_a_batch_of_a_stream() {
    let scene = Scene::set().await;
    for (name, answer, _) in TABLE {
        let settings = v1::Mapping {
            maximum_retry_attempts: Some(0),
            function_response_types: reporting(),
            ..Default::default()
        };
        let records = batch(answer);
        let records = records.each_ref().map(String::as_str);
        scene.stream(name, &records, settings).await;
    }
    for (name, answer, fails) in TABLE {
        scene.settled(name, 3).await;
        let given_up: Vec<_> = scene.client.given_up(name).await;
        let calls: Vec<String> = scene.calls(name).into_iter().map(|c| c.1.concat()).collect();
        let (want_calls, want_given_up): (&[&str], &[i32]) = match fails {
            Fails::Nothing => (&["abc"], &[]),
            // Progress: what follows is a batch of its own, with its own retries, and reports its first record.
            Fails::Reported => (&["abc", "bc"], &[2]),
            Fails::All => (&["abc"], &[3]),
        };
        assert_eq!(calls, want_calls, "{name}: {answer}");
        let sizes: Vec<i32> = given_up.iter().map(|d| d.record_count).collect();
        assert_eq!(sizes, want_given_up, "{name}: {answer}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_about_a_batch_of_a_queue() {
    let scene = Scene::set().await;
    for (name, answer, _) in TABLE {
        let messages = batch(answer);
        let messages = messages.each_ref().map(String::as_str);
        scene.queue(name, &messages).await;
    }
    for (name, answer, fails) in TABLE {
        let dead = scene.emptied(name).await;
        let want: &[&str] = match fails {
            Fails::Nothing => &[],
            Fails::Reported => &["b"],
            Fails::All => &["a", "b", "c"],
        };
        assert_eq!(dead, want, "{name}: {answer}");
        assert_eq!(scene.calls(name).len(), 1, "{name}: {:?}", scene.calls(name));
    }
    scene.end().await;
}

/// Without the setting the member means nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_setting_a_report_means_nothing() {
    let scene = Scene::set().await;
    scene
        .stream("s", &["a", "b report", "c"], v1::Mapping::default())
        .await;
    let mapping = scene.settled("s", 3).await;
    assert_eq!(mapping.counters.unwrap().records_done, 3);
    assert_eq!(scene.calls("s").len(), 1);
    scene.end().await;
}
