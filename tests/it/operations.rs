//! The operations port of the built binary: probes through the life of a server, and metrics.

use crate::client::{entry, mapping, mapping_of_queue, on_failure, queue_name, test_function};
use crate::foreign::python;
use crate::function::calls;
use crate::server::{Server, Settings};
use crate::wait::{SOON, until};
use millstream_api::v1;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// The status and the body of an answer.
pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(SOON, exchange).await.expect("no answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_ready_until_it_drains_and_alive_until_it_ends() {
    let mut server = Server::start().await;
    let ops = server.ops_address();
    assert_eq!(get(&ops, "/readyz").await, answer(200, "ok\n"));
    assert_eq!(get(&ops, "/livez").await, answer(200, "ok\n"));

    // An attempt that ends when the test says so holds the drain.
    let (client, journal) = (server.client(), server.dir().join("calls"));
    client.create_stream("orders", 1).await;
    let command = test_function(&journal, "id");
    client.create_function("work", &command, SOON, 1).await;
    client.create_mapping("work", mapping("orders", "work")).await;
    let flag = server.dir().join("go-on");
    let record = entry("key", format!("1 hang {}", flag.display()));
    client.put("orders", vec![record]).await;
    until("the call", SOON, async || {
        (!calls(&journal).is_empty()).then_some(())
    })
    .await;

    server.signal(Signal::SIGTERM);
    until("the drain", SOON, async || {
        (get(&ops, "/readyz").await == answer(503, "draining\n")).then_some(())
    })
    .await;
    assert_eq!(get(&ops, "/livez").await, answer(200, "ok\n"));
    assert_eq!(get(&ops, "/metrics").await.0, 200);
    std::fs::write(&flag, "").unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(TcpStream::connect(&ops).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_can_do_without_it() {
    let mut settings = Settings::flags(&["--ops-addr", "off"]);
    settings
        .env
        .push(("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned()));
    let mut server = Server::start_with(settings).await;
    server.terminate().await;
    assert!(!server.logged().contains("ops=127"), "{}", server.logged());
}

/// Samples by name and labels, as Prometheus' client library for Python reads them.
pub(crate) struct Samples(Vec<(String, BTreeMap<String, String>, f64)>);

impl Samples {
    /// # Panics
    /// If that library does not read them.
    pub(crate) async fn of(server: &Server) -> Self {
        let (status, text) = get(&server.ops_address(), "/metrics").await;
        assert_eq!(status, 200, "{text}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/metrics.py");
        let mut parser = Command::new(python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = parser.stdin.take().unwrap();
        // The parser reads all of it before it prints.
        stdin.write_all(text.as_bytes()).await.unwrap();
        drop(stdin);
        let output = timeout(SOON, parser.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{text}");
        let lines = String::from_utf8(output.stdout).unwrap();
        Self(
            lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    }

    /// The value of the sample with these labels, and maybe others; none if there is none.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |found: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(key, value)| found.get(*key).is_some_and(|v| v == value))
        };
        let mut found = self.0.iter().filter(|(n, l, _)| n == name && has(l));
        let value = found.next().map(|(_, _, value)| *value);
        assert!(
            found.next().is_none(),
            "{name} {labels:?} is there more than once"
        );
        value
    }
}

/// Three records that the function takes, and one that it fails with, tried twice and given up.
async fn some_work(server: &Server, mapping_id: &str, settings: v1::Mapping) {
    let client = server.client();
    let settings = v1::Mapping {
        batch_size: Some(1),
        maximum_retry_attempts: Some(1),
        ..settings
    };
    client.create_mapping(mapping_id, settings).await;
    until("the failing record to be given up", SOON, async || {
        (client.given_up(mapping_id).await.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_a_mapping_does_and_leave_out_what_is_not_known() {
    let server = Server::start_with(Settings::flags(&["--metrics-per-shard", "true"])).await;
    let (client, journal) = (server.client(), server.dir().join("calls"));
    client.create_stream("orders", 1).await;
    client.create_stream("failed", 1).await;
    let command = test_function(&journal, "id");
    // A stream is mapped to a function once.
    client.create_function("work", &command, SOON, 2).await;
    client.create_function("other", &command, SOON, 2).await;
    let records = ["1", "2", "3 throw", "4"].map(|data| entry("key", data));
    client.put("orders", records.into()).await;
    let heard = v1::Mapping {
        destination_config: on_failure("failed"),
        ..mapping("orders", "work")
    };
    some_work(&server, "heard", heard).await;
    some_work(&server, "unheard", mapping("orders", "other")).await;

    let samples = until("all to be told", SOON, async || {
        let samples = Samples::of(&server).await;
        let of = |mapping| [("mapping", mapping)];
        let delivered = "aws_lambda_on_failure_destination_delivered_event_count_total";
        let settled = samples.get(delivered, &of("heard")) == Some(1.0)
            && ["heard", "unheard"]
                .iter()
                .all(|m| samples.get("millstream_source_lag_records", &of(m)) == Some(0.0));
        settled.then_some(samples)
    })
    .await;
    for (name, more, value) in [
        ("millstream_mapping_state", Some(("state", "active")), 1.0),
        ("millstream_mapping_shards", None, 1.0),
        ("millstream_source_lag_seconds", None, 0.0),
        (
            "millstream_shard_lag_records",
            Some(("shard", "shardId-000000000000")),
            0.0,
        ),
        ("millstream_attempts_in_flight", None, 0.0),
        ("millstream_attempts_total", Some(("outcome", "done")), 3.0),
        ("millstream_attempts_total", Some(("outcome", "failed")), 2.0),
        ("millstream_attempts_total", Some(("outcome", "timeout")), 0.0),
        ("millstream_retries_total", None, 1.0),
        ("millstream_attempt_duration_seconds_count", None, 5.0),
        ("millstream_batch_records_sum", None, 5.0),
        ("millstream_batch_records_bucket", Some(("le", "1")), 5.0),
        ("millstream_batch_wait_seconds_count", None, 4.0),
        ("millstream_records_read_total", None, 4.0),
        ("millstream_records_done_total", None, 3.0),
        ("millstream_records_discarded_total", None, 1.0),
        ("aws_lambda_polled_event_count_total", None, 4.0),
        ("aws_lambda_invoked_event_count_total", None, 5.0),
        ("aws_lambda_failed_invoke_event_count_total", None, 2.0),
        ("aws_lambda_iterator_age_seconds_count", None, 5.0),
    ] {
        for (mapping, function) in [("heard", "work"), ("unheard", "other")] {
            let common = [
                ("namespace", "default"),
                ("mapping", mapping),
                ("function", function),
            ];
            let labels: Vec<_> = common.into_iter().chain(more).collect();
            assert_eq!(samples.get(name, &labels), Some(value), "{name} {labels:?}");
        }
    }
    let dropped = "aws_lambda_dropped_event_count_total";
    assert_eq!(samples.get(dropped, &[("mapping", "heard")]), Some(0.0));
    assert_eq!(samples.get(dropped, &[("mapping", "unheard")]), Some(1.0));
    for (name, labels) in [
        ("millstream_function_processes", &[("function", "work")][..]),
        ("millstream_store_syncs_total", &[]),
        ("millstream_store_healthy", &[]),
    ] {
        assert!(samples.get(name, labels).is_some_and(|n| n >= 1.0), "{name}");
    }
    assert_eq!(samples.get("millstream_trace_spans_total", &[]), None);

    // Nobody reads for a paused mapping, so nobody knows how far it is behind.
    client.pause("heard").await.unwrap();
    let paused = until("the pause", SOON, async || {
        let samples = Samples::of(&server).await;
        let state = [("mapping", "heard"), ("state", "paused")];
        samples.get("millstream_mapping_state", &state)?;
        Some(samples)
    })
    .await;
    let of = [("mapping", "heard")];
    assert_eq!(paused.get("millstream_source_lag_records", &of), None);
    assert_eq!(paused.get("millstream_source_lag_seconds", &of), None);
    assert_eq!(paused.get("millstream_shard_lag_records", &of), None);
    assert_eq!(paused.get("millstream_records_read_total", &of), Some(4.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_how_much_is_in_a_queue_and_what_was_done_with_it() {
    let server = Server::start().await;
    let (client, journal) = (server.client(), server.dir().join("calls"));
    let queue = v1::Queue {
        visibility_timeout_seconds: Some(300),
        ..Default::default()
    };
    client.create_queue("jobs", queue).await;
    let command = test_function(&journal, "id");
    client.create_function("work", &command, SOON, 2).await;
    let send = async |bodies: &[&str]| {
        let message = |body: &&str| v1::SendMessagesEntry {
            body: (*body).to_owned(),
            ..Default::default()
        };
        let request = v1::SendMessagesRequest {
            queue: queue_name("jobs"),
            messages: bodies.iter().map(message).collect(),
        };
        client.queues.clone().send_messages(request).await.unwrap();
    };
    send(&["1", "2", "3"]).await;
    client
        .create_mapping("work", mapping_of_queue("jobs", "work"))
        .await;
    let of = [("mapping", "work"), ("function", "work")];
    let samples = until("the messages to be deleted", SOON, async || {
        let samples = Samples::of(&server).await;
        let deleted = samples.get("aws_lambda_deleted_event_count_total", &of);
        (deleted == Some(3.0)).then_some(samples)
    })
    .await;
    for (name, value) in [
        ("millstream_queue_visible_messages", Some(0.0)),
        ("millstream_queue_hidden_messages", Some(0.0)),
        ("millstream_queue_delayed_messages", Some(0.0)),
        ("millstream_source_lag_seconds", Some(0.0)),
        ("millstream_records_read_total", Some(3.0)),
        ("millstream_records_done_total", Some(3.0)),
        ("aws_lambda_polled_event_count_total", Some(3.0)),
        ("aws_lambda_failed_invoke_event_count_total", Some(0.0)),
        // What only streams have.
        ("millstream_source_lag_records", None),
        ("aws_lambda_iterator_age_seconds_count", None),
        ("aws_lambda_dropped_event_count_total", None),
    ] {
        assert_eq!(samples.get(name, &of), value, "{name}");
    }
    for operation in ["receive", "delete"] {
        let labels = [of[0], of[1], ("operation", operation)];
        let requests = samples.get("millstream_source_requests_total", &labels);
        assert!(requests.is_some_and(|n| n >= 1.0), "{operation}");
    }
    client.pause("work").await.unwrap();
    until("the pause", SOON, async || {
        let state = [("mapping", "work"), ("state", "paused")];
        Samples::of(&server).await.get("millstream_mapping_state", &state)
    })
    .await;
    send(&["4", "5"]).await;
    let paused = Samples::of(&server).await;
    assert_eq!(paused.get("millstream_queue_visible_messages", &of), Some(2.0));
}
