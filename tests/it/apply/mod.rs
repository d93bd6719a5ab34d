//! Objects declared in files: `apply`, `diff`, `delete` and `get` against a real server.

mod files;
mod ownership;

use crate::cli::{fails, ok, text};
use crate::client::test_function;
use crate::server::Server;
use std::process::Output;

/// Everything of every kind, in an order in which it cannot be made.
fn everything(server: &Server) -> String {
    let command = test_function(&server.dir().join("calls"), "id");
    let command = command
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "\
apiVersion: millstream/v1
kind: Mapping
metadata: {{name: totals}}
spec:
  stream: orders
  function: totals
  starting_position: TRIM_HORIZON
  batch_size: 50
  maximum_retry_attempts: 3
  function_response_types: [REPORT_BATCH_ITEM_FAILURES]
  destination_config:
    on_failure:
      destination: arn:aws:kinesis:us-east-1:000000000000:stream/failed
---
apiVersion: millstream/v1
kind: Mapping
metadata: {{name: work}}
spec:
  queue: jobs.fifo
  function: totals
  scaling_config: {{maximum_concurrency: 2}}
  paused: true
---
apiVersion: millstream/v1
kind: Queue
metadata: {{name: jobs.fifo}}
spec:
  visibility_timeout_seconds: 120
  redrive_policy: {{dead_letter_queue: dead.fifo, max_receive_count: 3}}
  content_based_deduplication: true
  deduplication_scope: MESSAGE_GROUP
---
apiVersion: millstream/v1
kind: Queue
metadata: {{name: dead.fifo}}
---
apiVersion: millstream/v1
kind: Function
metadata: {{name: totals}}
spec:
  process:
    command: [{command}]
    env: {{MODE: test, EMPTY: ''}}
  timeout: 1m
  concurrency: 4
---
apiVersion: millstream/v1
kind: Stream
metadata: {{name: orders}}
spec: {{shard_count: 2, retention_hours: 48}}
---
apiVersion: millstream/v1
kind: Stream
metadata: {{name: failed}}
"
    )
}

fn write(server: &Server, name: &str, text: &str) {
    std::fs::write(server.dir().join(name), text).unwrap();
}

/// The lines of a command that must work, and what it warned of.
async fn lines(server: &Server, args: &[&str]) -> (Vec<String>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = server.cli(args).await;
    assert!(status.success(), "{args:?}: {status}\n{}", text(&stderr));
    (text(&stdout).lines().map(str::to_owned).collect(), text(&stderr))
}

/// The exit code of `diff`, what it shows and what it says.
async fn diff(server: &Server, file: &str) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = server.cli(&["diff", "-f", file]).await;
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

/// What there is, without what changes by itself.
async fn state(server: &Server) -> Vec<String> {
    let all = ok(server, &["get", "all", "-o", "yaml"]).await;
    let kept = |line: &&str| {
        ["etag:", "generation:", "update_time:"]
            .iter()
            .any(|k| line.trim().starts_with(k))
    };
    all.lines().filter(kept).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applying_twice_changes_nothing() {
    let mut server = Server::start().await;
    write(&server, "all.yaml", &everything(&server));
    let names = [
        "stream/orders",
        "stream/failed",
        "function/totals",
        "queue/dead.fifo",
        "queue/jobs.fifo",
        "mapping/totals",
        "mapping/work",
    ];
    let all = |word: &str| names.map(|name| format!("{name} {word}")).to_vec();

    // Nothing but looked at.
    let dry = all("created (server dry run)");
    assert_eq!(
        lines(&server, &["apply", "-f", "all.yaml", "--dry-run"]).await.0,
        dry
    );
    let dry = all("created (dry run)");
    assert_eq!(
        lines(&server, &["apply", "-f", "all.yaml", "--dry-run=client"])
            .await
            .0,
        dry
    );
    assert_eq!(state(&server).await, Vec::<String>::new());
    let (code, shown, _) = diff(&server, "all.yaml").await;
    assert_eq!(code, 1);
    for part in ["+++ file/mapping/work", "+kind: Mapping", "+  batch_size: 50"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    assert_eq!(
        lines(&server, &["apply", "-f", "all.yaml"]).await,
        (all("created"), String::new())
    );
    let made = state(&server).await;
    for _ in 0..2 {
        let again = lines(&server, &["apply", "-f", "all.yaml"]).await;
        assert_eq!(again, (all("unchanged"), String::new()));
        assert_eq!(diff(&server, "all.yaml").await, (0, String::new(), String::new()));
        // What is applied is kept by the server, also when it is killed.
        server.kill9().await;
        server.restart().await;
    }
    let dry = all("unchanged (server dry run)");
    assert_eq!(
        lines(&server, &["apply", "-f", "all.yaml", "--dry-run=server"])
            .await
            .0,
        dry
    );
    assert_eq!(state(&server).await, made);
    let short = lines(&server, &["apply", "-f", "all.yaml", "-o", "name"]).await.0;
    assert_eq!(short, names);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_get_shows_can_be_applied() {
    let server = Server::start().await;
    write(&server, "all.yaml", &everything(&server));
    ok(&server, &["apply", "-f", "all.yaml"]).await;
    for line in [
        "stream create plain",
        "queue create plain",
        "function create hook --url http://127.0.0.1:9/",
        "mapping create late --stream plain --function totals --from 2020-11-22T10:00:00.250Z",
        "mapping create tasks --queue plain --function hook",
    ] {
        ok(&server, &line.split(' ').collect::<Vec<_>>()).await;
    }
    let before = state(&server).await.len();
    for (format, file) in [("yaml", "shown.yaml"), ("json", "shown.json")] {
        let shown = ok(&server, &["get", "all", "-o", format]).await;
        write(&server, file, &shown);
        let (told, warnings) = lines(&server, &["apply", "-f", file]).await;
        assert_eq!(told.len(), 12, "{told:?}");
        assert!(told.iter().all(|line| line.ends_with(" unchanged")), "{told:?}");
        assert_eq!(warnings, "");
        // In both forms it is the same, and so it is when it is shown again.
        let again = ok(&server, &["apply", "-f", file, "-o", "yaml"]).await;
        let spec = |text: &str| text.split("\nstatus:").next().unwrap().to_owned();
        assert_eq!(
            spec(&again),
            spec(&ok(&server, &["get", "all", "-o", "yaml"]).await)
        );
    }
    assert_eq!(state(&server).await.len(), before);

    // Made anew from it, everything is as it was.
    let specs = |text: &str| -> Vec<String> {
        let documents = text.split("---\n").filter(|d| !d.is_empty());
        documents
            .map(|d| d.split("\nstatus:").next().unwrap().to_owned())
            .collect()
    };
    let shown = ok(&server, &["get", "all", "-o", "yaml"]).await;
    ok(&server, &["delete", "-f", "shown.yaml", "--yes"]).await;
    let (left, said) = lines(&server, &["get", "all"]).await;
    assert!(
        left.is_empty() && said.contains("nothing found"),
        "{left:?} {said}"
    );
    let (told, _) = lines(&server, &["apply", "-f", "shown.yaml"]).await;
    assert!(told.iter().all(|line| line.ends_with(" created")), "{told:?}");
    assert_eq!(
        specs(&ok(&server, &["get", "all", "-o", "yaml"]).await),
        specs(&shown)
    );
}

/// One setting at a time, with the value that `get` shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_that_get_shows_is_taken_back() {
    let server = Server::start().await;
    write(&server, "all.yaml", &everything(&server));
    ok(&server, &["apply", "-f", "all.yaml"]).await;
    let shown = ok(&server, &["get", "all", "-o", "json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let mut documents = Vec::new();
    for object in shown["items"].as_array().unwrap() {
        let spec = object["spec"].as_object().unwrap();
        let always = ["source_arn", "function", "process", "redrive_policy"];
        for key in spec.keys() {
            let mut one = object.clone();
            let kept = one["spec"].as_object_mut().unwrap();
            kept.retain(|k, _| k == key || always.contains(&k.as_str()));
            documents.push(one);
        }
    }
    assert!(documents.len() > 40, "{}", documents.len());
    for document in documents {
        write(&server, "one.json", &document.to_string());
        let (code, shown, said) = diff(&server, "one.json").await;
        // What is no longer in the file may go back to its default; what is in it stays as it is.
        assert!(code < 2, "{document}: {said}");
        for key in document["spec"].as_object().unwrap().keys() {
            let changed = |line: &str| {
                line.starts_with(['+', '-']) && line[1..].trim_start().starts_with(&format!("{key}:"))
            };
            assert!(!shown.lines().any(changed), "{document}: {shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_goes_backwards_and_tells_what_was_not_there() {
    let server = Server::start().await;
    write(&server, "all.yaml", &everything(&server));
    ok(&server, &["apply", "-f", "all.yaml"]).await;
    let (code, said) = fails(&server, &["delete", "-f", "all.yaml"]).await;
    assert!(code == 2 && said.contains("--yes"), "{said}");
    let delete = ["delete", "-f", "all.yaml", "--yes"];
    let dry = lines(&server, &[&delete[..], &["--dry-run"]].concat()).await.0;
    assert_eq!(dry.len(), 7);
    ok(&server, &["stream", "delete", "failed", "--yes"]).await;
    let Output {
        status,
        stdout,
        stderr,
    } = server.cli(&delete).await;
    assert_eq!(
        text(&stdout).lines().collect::<Vec<_>>(),
        [
            "mapping/work deleted",
            "mapping/totals deleted",
            "queue/jobs.fifo deleted",
            "queue/dead.fifo deleted",
            "function/totals deleted",
            "stream/orders deleted",
        ]
    );
    assert_eq!(status.code(), Some(3));
    assert!(
        text(&stderr).contains("stream/failed did not exist"),
        "{}",
        text(&stderr)
    );
    ok(&server, &[&delete[..], &["--ignore-not-found"]].concat()).await;
}
