//! What is wrong with files is told all at once, and nothing is changed; and how the verbs end.

use super::{diff, everything, lines, state, write};
use crate::cli::{fails, ok};
use crate::client::test_function;
use crate::function::calls;
use crate::server::{Server, binary};
use crate::wait::{SOON, until};

const WRONG: &str = "\
apiVersion: millstream/v1
kind: Stream
metadata: {name: orders}
spec:
  shards: 4
  retention_hours: 9000
---
apiVersion: millstream/v1
kind: Mapping
metadata: {name: totals}
spec:
  stream: orders
  function: nosuch
  starting_position: LATEST
  starting_position_timestamp: 2026-11-22T10:00:00Z
---
apiVersion: millstream/v1
kind: Queue
metadata: {name: good}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_is_refused_by_name_value_and_what_is_allowed() {
    let server = Server::start().await;
    write(&server, "wrong.yaml", WRONG);
    for verb in [&["apply", "-f", "wrong.yaml"][..], &["diff", "-f", "wrong.yaml"]] {
        let (code, said) = fails(&server, verb).await;
        assert_eq!(code, 2, "{said}");
        for part in [
            "INVALID: 2 problems; nothing was changed",
            "wrong.yaml:5: stream/orders: there is no spec.shards (it has the value '4'): allowed are shard_count, \
             retention_hours",
            "wrong.yaml:6: stream/orders: spec.retention_hours '9000' is not valid: a whole number, 1 to 8760",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    // What only the server can tell, of all documents.
    let better = WRONG.replace("shards: 4", "shard_count: 4").replace("9000", "24");
    let more = format!(
        "{better}---\napiVersion: millstream/v1\nkind: Queue\nmetadata: {{name: a b}}\nspec:\n  \
         content_based_deduplication: true\n"
    );
    write(&server, "wrong.yaml", &more);
    let (code, said) = fails(&server, &["apply", "-f", "wrong.yaml"]).await;
    assert_eq!(code, 2, "{said}");
    for part in [
        "wrong.yaml:15: mapping/totals: spec.starting_position_timestamp",
        "queue/a b: metadata.name",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The server looks for what is named once the values are right.
    let best = better.replace("  starting_position_timestamp: 2026-11-22T10:00:00Z\n", "");
    write(&server, "wrong.yaml", &best);
    let (code, said) = fails(&server, &["apply", "-f", "wrong.yaml"]).await;
    assert!(
        code == 2 && said.contains("wrong.yaml:13: mapping/totals: spec.function"),
        "{said}"
    );
    assert_eq!(state(&server).await, Vec::<String>::new(), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_together_is_checked_together() {
    let server = Server::start().await;
    let short = everything(&server).replace(
        "visibility_timeout_seconds: 120",
        "visibility_timeout_seconds: 59",
    );
    write(&server, "all.yaml", &short);
    let (code, said) = fails(&server, &["apply", "-f", "all.yaml"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains(
            "mapping/work: spec.source_arn is not valid: Queue visibility timeout: 59 seconds is less than"
        ),
        "{said}"
    );
    assert_eq!(state(&server).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_fixed_is_refused_saying_so() {
    let server = Server::start().await;
    let text = everything(&server);
    write(&server, "all.yaml", &text);
    ok(&server, &["apply", "-f", "all.yaml"]).await;
    let before = state(&server).await;
    let moved = text
        .replace("stream: orders", "stream: failed")
        .replace("TRIM_HORIZON", "LATEST")
        .replace("shard_count: 2", "shard_count: 3");
    write(&server, "all.yaml", &moved);
    let (code, said) = fails(&server, &["apply", "-f", "all.yaml"]).await;
    assert_eq!(code, 2, "{said}");
    for part in [
        "stream/orders: spec.shard_count '3' is not valid: fixed at creation, to '2'",
        "mapping/totals: spec.source_arn 'arn:aws:kinesis:us-east-1:000000000000:stream/failed' is not valid: fixed",
        "mapping/totals: spec.starting_position 'LATEST' is not valid: fixed at creation, to 'TRIM_HORIZON'",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(diff(&server, "all.yaml").await.0, 2);
    assert_eq!(state(&server).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diff_ends_as_diff_does() {
    let server = Server::start().await;
    let stream =
        "apiVersion: millstream/v1\nkind: Stream\nmetadata: {name: s}\nspec: {retention_hours: 48}\n";
    write(&server, "s.yaml", stream);
    ok(&server, &["apply", "-f", "s.yaml"]).await;
    assert_eq!(diff(&server, "s.yaml").await, (0, String::new(), String::new()));
    write(&server, "s.yaml", &stream.replace("48", "72"));
    let (code, shown, said) = diff(&server, "s.yaml").await;
    assert_eq!((code, said.as_str()), (1, ""));
    assert_eq!(
        shown,
        "--- live/stream/s\n+++ file/stream/s\n@@ -5,4 +5,4 @@\n   namespace: default\n spec:\n   shard_count: 1\n\
         -  retention_hours: 48\n+  retention_hours: 72\n"
    );
    assert_eq!(diff(&server, "nosuch.yaml").await.0, 2);
    let nobody = tokio::process::Command::new(binary())
        .args(["diff", "-f", "s.yaml", "--server", "127.0.0.1:1"])
        .current_dir(server.dir())
        .output()
        .await
        .unwrap();
    assert_eq!(nobody.status.code(), Some(2), "not 1, which means differences");
}

/// A mapping that is declared paused never runs before it is declared otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_is_paused_and_resumed_by_its_file() {
    let server = Server::start().await;
    let text = everything(&server).replace("  batch_size: 50\n", "  batch_size: 50\n  paused: true\n");
    write(&server, "all.yaml", &text);
    ok(&server, &["apply", "-f", "all.yaml"]).await;
    let journal = server.dir().join("calls");
    ok(&server, &["stream", "put", "orders", "--key", "k", "1", "2"]).await;
    ok(&server, &["mapping", "wait", "totals", "--for", "paused"]).await;
    assert!(calls(&journal).is_empty());
    write(&server, "all.yaml", &everything(&server));
    let (told, warnings) = lines(&server, &["apply", "-f", "all.yaml"]).await;
    assert!(
        told.contains(&"mapping/totals configured".to_owned()),
        "{told:?} {warnings}"
    );
    until("both records", SOON, async || {
        (calls(&journal).iter().map(|c| c.done().len()).sum::<usize>() == 2).then_some(())
    })
    .await;
}

/// A note of what is applied is no change of the function: its processes stay. A restart gets new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_changes_and_restarts_get_new_processes() {
    let server = Server::start().await;
    let journal = server.dir().join("calls");
    let command = test_function(&journal, "id");
    let mut create = vec!["function", "create", "f", "--"];
    create.extend(command.iter().map(String::as_str));
    ok(&server, &create).await;
    let invoke = async || {
        let event = r#"{"Records": []}"#;
        // The function writes one journal per process, whatever it makes of the event.
        server.cli(&["function", "invoke", "f", "--payload", event]).await;
        std::fs::read_dir(&journal).unwrap().count()
    };
    assert_eq!(invoke().await, 1);
    let shown = ok(&server, &["get", "function", "f", "-o", "yaml"]).await;
    write(&server, "f.yaml", &shown);
    assert_eq!(
        lines(&server, &["apply", "-f", "f.yaml"]).await.0,
        ["function/f unchanged"]
    );
    let noted = ok(&server, &["get", "function", "f", "-o", "yaml"]).await;
    assert!(
        noted.contains("applied:") && noted.contains("generation: 1"),
        "{noted}"
    );
    assert_eq!(invoke().await, 1, "the same process");
    ok(&server, &["function", "restart", "f"]).await;
    until("a new process", SOON, async || {
        (invoke().await == 2).then_some(())
    })
    .await;
}
