//! Event filters of the built binary: with a real function, over changes and crashes, refused where they make no sense,
//! and tried on the command line without a server.

use crate::cli::{fails, json, ok};
use crate::client::{Client, entry, mapping, mapping_of_queue, message, test_function};
use crate::function::calls;
use crate::operations::Samples;
use crate::server::{Server, binary};
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::path::Path;
use std::process::{Command, Output};

fn wanting(pattern: &str) -> v1::FilterCriteria {
    v1::FilterCriteria {
        filters: vec![v1::Filter {
            pattern: pattern.to_owned(),
        }],
        ..Default::default()
    }
}

/// How many records calls carried; which, the journal names by numbers that mean nothing here.
fn called(journal: &Path) -> usize {
    calls(journal).iter().map(|c| c.records.len()).sum()
}

async fn with_function(server: &Server) -> Client {
    let client = server.client();
    let command = test_function(&server.dir().join("calls"), "seq");
    client.create_function("work", &command, SOON, 2).await;
    client
}

/// The example of the specification: one match, one that does not, one that is malformed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_match_one_mismatch_and_one_that_is_malformed() {
    let server = Server::start().await;
    let client = with_function(&server).await;
    let queue = v1::Queue {
        visibility_timeout_seconds: Some(300),
        ..Default::default()
    };
    client.create_queue("jobs", queue).await;
    let bodies = [r#"{"kind":"good"}"#, r#"{"kind":"bad"}"#, r#"{"kind":"good""#];
    client.send("jobs", bodies.map(message).into()).await.unwrap();
    let settings = v1::Mapping {
        filter_criteria: Some(wanting(r#"{"body":{"kind":["good"]}}"#)),
        ..mapping_of_queue("jobs", "work")
    };
    client.create_mapping("work", settings).await;
    let of = [("mapping", "work")];
    let samples = until("all three to be deleted", SOON, async || {
        let samples = Samples::of(&server).await;
        let deleted = samples.get("aws_lambda_deleted_event_count_total", &of);
        (deleted == Some(3.0)).then_some(samples)
    })
    .await;
    for (name, value) in [
        ("aws_lambda_polled_event_count_total", 3.0),
        ("aws_lambda_filtered_out_event_count_total", 2.0),
        ("aws_lambda_invoked_event_count_total", 1.0),
        ("millstream_records_done_total", 1.0),
        ("millstream_queue_hidden_messages", 0.0),
    ] {
        assert_eq!(samples.get(name, &of), Some(value), "{name}");
    }
    for (pattern, value) in [("1", Some(1.0)), ("none", Some(2.0)), ("2", None)] {
        let labels = [of[0], ("pattern", pattern)];
        assert_eq!(
            samples.get("millstream_filtered_total", &labels),
            value,
            "{pattern}"
        );
    }
    assert_eq!(called(&server.dir().join("calls")), 1);
    let counters = client.mapping("work").await.unwrap().counters.unwrap();
    assert_eq!((counters.records_read, counters.records_filtered), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_of_a_stream_over_changes_and_a_crash() {
    let mut server = Server::start().await;
    let client = with_function(&server).await;
    let journal = server.dir().join("calls");
    client.create_stream("orders", 2).await;
    let put = async |client: &Client, n: usize| {
        let record = |n: usize| {
            entry(
                &format!("key-{n}"),
                format!(r#"{{"kind":"{}"}}"#, ["a", "b"][n % 2]),
            )
        };
        client.put("orders", (0..n).map(record).collect()).await;
    };
    let settings = v1::Mapping {
        filter_criteria: Some(v1::FilterCriteria {
            on_unmatched: v1::OnUnmatched::Quarantine.into(),
            ..wanting(r#"{"data":{"kind":["a"]}}"#)
        }),
        ..mapping("orders", "work")
    };
    client.create_mapping("work", settings).await;
    let seen = async |n: usize| {
        let what = format!("{n} records to be handled");
        until(&what, SOON, async || (called(&journal) >= n).then_some(())).await;
    };
    put(&client, 100).await;
    seen(50).await;
    until("the rest to be kept", SOON, async || {
        let kept = client.given_up("work").await;
        (kept.iter().map(|d| d.record_count).sum::<i32>() == 50).then_some(())
    })
    .await;
    let discards = json(&server, &["discard", "list", "work"]).await;
    let first = &discards["discards"][0];
    assert_eq!(first["condition"], "DISCARD_CONDITION_FILTERED_OUT", "{discards}");
    let name = first["name"].as_str().unwrap();
    let payload = ok(&server, &["discard", "get", name, "--payload"]).await;
    assert!(payload.contains("eyJraW5kIjoiYiJ9"), "{payload}");

    ok(&server, &["mapping", "wait", "work", "--for", "idle"]).await;
    server.kill9().await;
    server.restart().await;
    let client = server.client();
    put(&client, 100).await;
    seen(100).await;
    ok(&server, &["mapping", "update", "work", "--unset", "filters"]).await;
    ok(&server, &["mapping", "wait", "work", "--for", "idle"]).await;
    assert_eq!(client.mapping("work").await.unwrap().filter_criteria, None);
    put(&client, 100).await;
    seen(200).await;
    ok(&server, &["mapping", "wait", "work", "--for", "idle"]).await;
    assert_eq!(
        called(&journal),
        200,
        "what was filtered is not sent later, and nothing again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_on_the_command_line() {
    let server = Server::start().await;
    with_function(&server).await;
    ok(
        &server,
        &["queue", "create", "jobs", "--visibility-timeout", "60s"],
    )
    .await;
    ok(
        &server,
        &["queue", "create", "jobs.fifo", "--visibility-timeout", "60s"],
    )
    .await;
    let pattern = r#"{"body":{"kind":["good"]}}"#;
    let file = server.dir().join("pattern.json");
    std::fs::write(&file, r#"{"body":["text"]}"#).unwrap();
    let from_file = format!("@{}", file.display());
    let create = ["mapping", "create", "m", "--queue", "jobs", "--function", "work"];
    let with = [
        &create[..],
        &[
            "--filter",
            pattern,
            "--filter",
            &from_file,
            "--on-unmatched",
            "keep",
        ],
    ]
    .concat();
    ok(&server, &with).await;
    let got = json(&server, &["mapping", "get", "m"]).await;
    let criteria = &got["filter_criteria"];
    assert_eq!(criteria["filters"][1]["pattern"], r#"{"body":["text"]}"#, "{got}");
    assert_eq!(criteria["on_unmatched"], "ON_UNMATCHED_KEEP", "{got}");
    let described = ok(&server, &["mapping", "describe", "m"]).await;
    assert!(
        described.contains(pattern) && described.contains("left in the queue"),
        "{described}"
    );

    let update = [
        "mapping",
        "update",
        "m",
        "--filter",
        pattern,
        "--on-unmatched",
        "drop",
    ];
    let updated = json(&server, &update).await;
    assert_eq!(
        updated["filter_criteria"]["filters"].as_array().map(Vec::len),
        Some(1),
        "{updated}"
    );
    for (args, told) in [
        (
            &["mapping", "update", "m", "--filter", r#"{"body":"text"}"#][..],
            "Invalid filter pattern definition.",
        ),
        (
            &[
                "mapping",
                "update",
                "m",
                "--filter",
                r#"{"body":[{"cidr":"::/0"}]}"#,
            ],
            "extended",
        ),
        (
            &[
                "mapping",
                "create",
                "n",
                "--queue",
                "jobs.fifo",
                "--function",
                "work",
                "--filter",
                pattern,
                "--on-unmatched",
                "keep",
            ],
            "filter_criteria.on_unmatched",
        ),
        (
            &[
                "mapping",
                "create",
                "n",
                "--queue",
                "jobs.fifo",
                "--function",
                "work",
                "--extended-filters",
            ],
            "filter_criteria.extended",
        ),
    ] {
        let (code, text) = fails(&server, args).await;
        assert_eq!(code, 2, "{args:?}: {text}");
        assert!(text.contains(told), "{args:?}: {text}");
    }
    let cleared = json(&server, &["mapping", "update", "m", "--unset", "filters"]).await;
    assert_eq!(cleared["filter_criteria"], serde_json::Value::Null, "{cleared}");
}

fn filter_test(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(binary())
        .args(["filter", "test"])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_filter_is_tried_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("pattern.json", r#"{"data":{"kind":["good"]}}"#);
    let event = |data: &str| {
        let record = serde_json::json!({
            "kinesis": {"partitionKey": "k", "data": data}, "eventSource": "aws:kinesis",
        });
        serde_json::json!({"Records": [record]}).to_string()
    };
    write("good.json", &event("eyJraW5kIjoiZ29vZCJ9"));
    write("bad.json", &event("eyJraW5kIjoiYmFkIn0="));
    let test = |e: &str| filter_test(dir.path(), &["-f", "pattern.json", "-e", e]);
    let (code, out, _) = test("good.json");
    assert_eq!((code, out.as_str()), (0, "record 0: matches pattern 1\n"));
    let (code, out, _) = test("bad.json");
    assert_eq!(code, 1);
    assert!(
        out.contains(r#"data.kind: wanted ["good"], found "bad""#),
        "{out}"
    );
    let (code, out, err) = test("none.json");
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    let json = ["-f", "pattern.json", "-e", "bad.json", "-o", "json"];
    let (code, out, _) = filter_test(dir.path(), &json);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &told["records"][0]["patterns"][0]["matched"]),
        (1, &false.into())
    );
}
