//! Documents and what they become, or what is said about them.

use super::*;
use serde_json::{Value, json};

fn read_text(text: &str) -> (Vec<Object>, Vec<String>) {
    let mut problems = Vec::new();
    let source = Source {
        file: "x.yaml",
        base: Path::new("/srv/app"),
        text,
        namespace: "default",
    };
    let objects = read(source, &mut problems);
    (objects, problems.iter().map(ToString::to_string).collect())
}

const ORDERS: &str = "\
apiVersion: millstream/v1
kind: Stream
metadata:
  name: orders
spec:
  shard_count: 4
";

const TOTALS: &str = "\
apiVersion: millstream/v1
kind: Mapping
metadata: {name: totals, namespace: team}
spec:
  stream: orders
  function: namespaces/team/functions/totals
  starting_position: TRIM_HORIZON
  function_response_types: [ReportBatchItemFailures]
  destination_config:
    on_failure:
      destination: arn:aws:kinesis:us-east-1:000000000000:stream/failed
status:
  anything: goes
";

#[test]
fn documents_become_objects() {
    let text = format!("---\n{ORDERS}---\n{TOTALS}");
    let (objects, problems) = read_text(&text);
    assert_eq!(problems, Vec::<String>::new());
    let ids: Vec<String> = objects.iter().map(|o| o.id.resource()).collect();
    assert_eq!(
        ids,
        [
            "namespaces/default/streams/orders",
            "namespaces/team/mappings/totals"
        ]
    );
    assert_eq!(objects[0].settings, Settings::from([("shard_count", json!(4))]));
    let totals: Vec<(&str, &Value)> = objects[1].settings.iter().map(|(k, v)| (*k, v)).collect();
    assert_eq!(
        totals,
        [
            (
                "destination_config.on_failure.destination",
                &json!("arn:aws:kinesis:us-east-1:000000000000:stream/failed")
            ),
            ("function", &json!("totals")),
            ("function_response_types", &json!(["REPORT_BATCH_ITEM_FAILURES"])),
            (
                "source_arn",
                &json!("arn:aws:kinesis:us-east-1:000000000000:stream/orders")
            ),
            ("starting_position", &json!("TRIM_HORIZON")),
        ]
    );
    assert_eq!(objects[1].place.to_string(), "x.yaml:9");
    assert_eq!(objects[1].problem("function", "").place.to_string(), "x.yaml:14");
    assert_eq!(
        objects[1]
            .problem("destination_config.on_failure.x", "")
            .place
            .to_string(),
        "x.yaml:18"
    );
}

#[test]
fn a_list_holds_several() {
    let text = r#"{"apiVersion": "millstream/v1", "kind": "List", "items": [
        {"apiVersion": "millstream/v1", "kind": "Queue", "metadata": {"name": "a"}},
        {"apiVersion": "millstream/v1", "kind": "Queue", "metadata": {"name": "b"}, "spec": {"delay_seconds": 901}}
    ]}"#;
    let (objects, problems) = read_text(text);
    assert_eq!(objects.len(), 1);
    assert_eq!(
        problems,
        ["x.yaml: queue/b: spec.delay_seconds '901' is not valid: a whole number, 0 to 900"]
    );
    assert!(read_text("").0.is_empty());
}

/// Every problem, of every document.
#[test]
fn all_problems_are_told_at_once() {
    let text = "\
apiVersion: millstream/v2
kind: Streem
metadata: {nam: x}
---
apiVersion: millstream/v1
kind: Mapping
metadata:
  name: m
  labels: {a: b}
spec:
  source_arn: orders
  queue: jobs
  batchSize: 10
  batch_size: 20000
  paused:
  scaling_config: 5
  destination_config: {on_success: {}}
extra: 1
---
just text
";
    let (objects, problems) = read_text(text);
    assert!(objects.is_empty());
    assert_eq!(
        problems,
        [
            "x.yaml:2: kind 'Streem' is not valid: Stream, Function, Queue, Mapping; did you mean 'Stream'?",
            "x.yaml:1: apiVersion 'millstream/v2' is not valid: millstream/v1",
            "x.yaml:3: there is no metadata.nam (it has the value 'x'): allowed are name, namespace; did you mean 'name'?",
            "x.yaml:3: metadata.name is required: what the object is called",
            "x.yaml:18: there is no extra (it has the value '1'): allowed are apiVersion, kind, metadata, spec, status",
            "x.yaml:9: there is no metadata.labels (it has the value '{\"a\":\"b\"}'): allowed are name, namespace",
            "x.yaml:12: mapping/m: spec.queue is one source too many: one of source_arn, stream and queue is allowed",
            "x.yaml:11: mapping/m: spec.source_arn 'orders' is not valid: the ARN of a stream or queue",
            "x.yaml:12: mapping/m: spec.source_arn 'jobs' is not valid: the ARN of a stream or queue",
            "x.yaml:13: mapping/m: there is no spec.batchSize (it has the value '10'): allowed are source_arn, function, \
             starting_position, starting_position_timestamp, batch_size, maximum_batching_window_seconds, \
             parallelization_factor, bisect_batch_on_function_error, maximum_retry_attempts, \
             maximum_record_age_seconds, function_response_types, destination_config, scaling_config, \
             tumbling_window_in_seconds, filter_criteria, provisioned_poller_config, metrics_config, tags, paused, \
             stream, queue; did you mean 'batch_size'?",
            "x.yaml:14: mapping/m: spec.batch_size '20000' is not valid: a whole number, 1 to 10000",
            "x.yaml:15: mapping/m: spec.paused has no value: true or false; or leave the line out",
            "x.yaml:16: mapping/m: spec.scaling_config '5' is not valid: a map of maximum_concurrency",
            "x.yaml:17: mapping/m: there is no spec.destination_config.on_success (it has the value '{}'): allowed is \
             on_failure",
            "x.yaml:20: 'just text' is no object: apiVersion, kind, metadata and spec are wanted",
        ]
    );
}

#[test]
fn what_is_missing_is_told() {
    for (kind, spec, says) in [
        ("Function", "{}", vec!["spec.process.command is required"]),
        (
            "Function",
            "{process: {memory_mb: 128}}",
            vec!["spec.process.command is required"],
        ),
        (
            "Function",
            "{process: {command: [a]}, in_process: {}}",
            vec!["exclude each other"],
        ),
        ("Function", "{in_process: {}}", vec![]),
        (
            "Mapping",
            "{}",
            vec!["spec.source_arn is required", "spec.function is required"],
        ),
        ("Mapping", "{queue: jobs, function: f}", vec![]),
        (
            "Mapping",
            "{queue: 'a/b', function: f}",
            vec!["the name of a queue"],
        ),
        (
            "Queue",
            "{redrive_policy: {max_receive_count: 3}}",
            vec!["dead_letter_queue is required"],
        ),
        ("Queue", "", vec![]),
    ] {
        let text = format!("apiVersion: millstream/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n");
        let (objects, problems) = read_text(&text);
        assert_eq!(
            objects.len(),
            usize::from(says.is_empty()),
            "{text}: {problems:?}"
        );
        assert_eq!(problems.len(), says.len(), "{text}: {problems:?}");
        for (problem, part) in problems.iter().zip(says) {
            assert!(problem.contains(part), "{problem}");
        }
    }
}

#[test]
fn values_that_may_be_secret_are_not_repeated() {
    let text = "apiVersion: millstream/v1\nkind: Function\nmetadata: {name: f}\nspec:\n  process:\n    command: [a]\n    \
                env: {TOKEN: 12345}\n";
    let (_, problems) = read_text(text);
    assert!(problems[0].contains("spec.process.env"), "{problems:?}");
    assert!(!problems[0].contains("12345"), "{problems:?}");
}
