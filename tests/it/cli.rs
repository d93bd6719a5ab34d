//! The command line against a real server, as the tour of the README uses it, and its exit codes.

use crate::client::test_function;
use crate::function::calls;
use crate::server::{Server, binary};
use crate::wait::{SOON, until};
use serde_json::Value;
use std::process::Output;

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output of a command that must work.
pub(crate) async fn ok(server: &Server, args: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = server.cli(args).await;
    assert!(status.success(), "{args:?}: {status}\n{}", text(&stderr));
    text(&stdout)
}

/// Its output as JSON.
pub(crate) async fn json(server: &Server, args: &[&str]) -> Value {
    let args = [args, &["-o", "json"]].concat();
    let out = ok(server, &args).await;
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"))
}

/// Exit code and standard error of a command that must not work.
pub(crate) async fn fails(server: &Server, args: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = server.cli(args).await;
    (status.code().unwrap(), text(&stderr))
}

async fn create_all(server: &Server) {
    ok(server, &["stream", "create", "orders", "--shards", "2"]).await;
    let command = test_function(&server.dir().join("calls"), "id");
    let mut args = vec!["function", "create", "totals", "--timeout", "30s", "--"];
    args.extend(command.iter().map(String::as_str));
    ok(server, &args).await;
    let args =
        "mapping create totals --stream orders --function totals --from trim --factor 4 --batch-size 10";
    ok(server, &args.split(' ').collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_from_its_creation_to_its_end() {
    let mut server = Server::start().await;
    create_all(&server).await;
    let journal = server.dir().join("calls");
    let handled = || calls(&journal).iter().map(|c| c.done().len()).sum::<usize>();
    ok(
        &server,
        &["stream", "put", "orders", "--key", "alice", "1", "2", "3"],
    )
    .await;
    ok(&server, &["mapping", "wait", "totals", "--for", "idle"]).await;
    assert_eq!(handled(), 3);

    let got = json(&server, &["mapping", "get", "totals"]).await;
    assert_eq!(got["state"], "MAPPING_STATE_ACTIVE", "{got}");
    assert_eq!(
        (&got["batch_size"], &got["parallelization_factor"]),
        (&Value::from(10), &Value::from(4)),
        "{got}"
    );
    let inside = json(&server, &["mapping", "inspect", "totals"]).await;
    let shards = inside["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2, "{inside}");
    assert!(
        shards
            .iter()
            .all(|s| s["lanes"].as_array().is_some_and(|l| l.len() == 4)),
        "{inside}"
    );

    ok(&server, &["mapping", "pause", "totals"]).await;
    ok(&server, &["mapping", "wait", "totals", "--for", "paused"]).await;
    ok(&server, &["stream", "put", "orders", "--key", "alice", "4"]).await;
    // It stays paused over a restart, and nothing was handled meanwhile.
    server.terminate().await;
    server.restart().await;
    let got = json(&server, &["mapping", "get", "totals"]).await;
    assert_eq!(
        (&got["state"], handled()),
        (&Value::from("MAPPING_STATE_PAUSED"), 3),
        "{got}"
    );

    ok(
        &server,
        &[
            "mapping",
            "update",
            "totals",
            "--factor",
            "2",
            "--batch-size",
            "1",
        ],
    )
    .await;
    ok(&server, &["mapping", "resume", "totals"]).await;
    until("the record put meanwhile", SOON, async || {
        (handled() == 4).then_some(())
    })
    .await;
    let inside = json(&server, &["mapping", "inspect", "totals"]).await;
    assert!(
        inside["shards"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["lanes"].as_array().is_some_and(|l| l.len() == 2)),
        "{inside}"
    );

    ok(&server, &["mapping", "delete", "totals", "--yes"]).await;
    until("the mapping to be gone", SOON, async || {
        (fails(&server, &["mapping", "get", "totals"]).await.0 == 3).then_some(())
    })
    .await;
    ok(&server, &["function", "delete", "totals", "--yes"]).await;
    ok(&server, &["stream", "delete", "orders", "--yes"]).await;
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_fail_has_its_exit_code() {
    let server = Server::start().await;
    create_all(&server).await;
    for (line, code, says) in [
        ("mapping get nosuch", 3, "nosuch"),
        ("stream put nosuch --key a x", 3, "nosuch"),
        ("function get nosuch", 3, "nosuch"),
        (
            "mapping create m --stream nosuch --function totals --from trim",
            2,
            "nosuch",
        ),
        ("mapping update totals --batch-size 10001", 2, "batch_size"),
        ("mapping update totals", 2, "nothing to change"),
        ("mapping get", 2, "Usage"),
        ("mapping frobnicate", 2, "frobnicate"),
        ("stream create orders", 4, "orders"),
        ("mapping update totals --etag wrong --batch-size 9", 2, "etag"),
        (
            "mapping update totals --etag 1 --batch-size 9",
            4,
            "ETAG_MISMATCH",
        ),
    ] {
        let (got, stderr) = fails(&server, &line.split(' ').collect::<Vec<_>>()).await;
        assert!(
            got == code && stderr.contains(says),
            "{line}: code {got}, not {code}: {stderr}"
        );
    }
}

#[tokio::test]
async fn no_server_and_no_directory() {
    for (args, code) in [
        (vec!["mapping", "list", "--server", "127.0.0.1:1"], 5),
        (vec!["server", "--grpc-addr", "0.0.0.0:7400"], 2),
        (
            vec![
                "server",
                "--data-dir",
                "/proc/nosuch",
                "--grpc-addr",
                "127.0.0.1:0",
                "--ops-addr",
                "off",
                "--aws-addr",
                "off",
            ],
            1,
        ),
    ] {
        let output = tokio::process::Command::new(binary())
            .args(&args)
            .output()
            .await
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}
