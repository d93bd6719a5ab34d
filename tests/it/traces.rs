//! Traces through the built binary, as a real collector receives them: from a put, over the attempt, into a function.

use crate::client::{Client, NAMESPACE, entry, mapping, mapping_of_queue, queue_name};
use crate::collector::{Collector, Span};
use crate::foreign::python;
use crate::server::{Server, Settings, binary};
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tonic::Request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn parent(span: &str) -> String {
    format!("00-{TRACE}-{span}-01")
}

fn settings(protocol: &str, endpoint: &str) -> Settings {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Settings {
        env: [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*format!("http://{endpoint}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]
        .map(own)
        .into(),
        ..Settings::default()
    }
}

/// A function of Python that goes on with its trace, and sends its own span to the collector.
async fn create_function(client: &Client, collector: &Collector) {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let target = v1::ProcessTarget {
        command: vec![
            path(&python()),
            "-m".to_owned(),
            "awslambdaric".to_owned(),
            "traced.handler".to_owned(),
        ],
        working_dir: path(&Path::new(env!("CARGO_MANIFEST_DIR")).join("python")),
        env: BTreeMap::from([
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", collector.http),
            ),
            ("OTEL_SERVICE_NAME", "traced".to_owned()),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ])
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        init_timeout: Some(v1_duration(SOON)),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: "traced".to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(target)),
            timeout: Some(v1_duration(SOON)),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.functions.clone().create_function(request).await.unwrap();
}

fn v1_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap()
}

/// One batch of two records: one with a context of its own, the other with that of the call.
async fn put_traced(client: &Client, data: &str) {
    let mut own = entry("key", data);
    own.trace_context = Some(v1::TraceContext {
        traceparent: parent("1111111111111111"),
        ..Default::default()
    });
    let mut request = Request::new(v1::PutRecordsRequest {
        stream: crate::client::stream_name("orders"),
        records: vec![own, entry("key", data)],
    });
    let of_call = parent("2222222222222222").parse().unwrap();
    request.metadata_mut().insert("traceparent", of_call);
    client.streams.clone().put_records(request).await.unwrap();
}

fn fifo() -> v1::Queue {
    v1::Queue {
        content_based_deduplication: Some(true),
        visibility_timeout_seconds: Some(300),
        ..Default::default()
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn links() -> Vec<(String, String)> {
    ["1111111111111111", "2222222222222222"]
        .map(|span| (TRACE.to_owned(), span.to_owned()))
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_goes_on_with_the_trace_of_its_attempt_which_is_linked_to_the_puts() {
    let collector = Collector::start().await;
    let mut server = Server::start_with(settings("grpc", &collector.grpc)).await;
    let client = server.client();
    client.create_stream("orders", 1).await;
    create_function(&client, &collector).await;
    put_traced(&client, "x").await;
    let created = client
        .create_mapping("billing", mapping("orders", "traced"))
        .await;

    let spans = collector
        .wait("the attempt's span and the function's", |spans| {
            !named(spans, "process orders").is_empty() && !named(spans, "handle").is_empty()
        })
        .await;
    let (attempts, handled) = (named(&spans, "process orders"), named(&spans, "handle"));
    assert_eq!((attempts.len(), handled.len()), (1, 1), "{spans:#?}");
    let (attempt, handled) = (attempts[0], handled[0]);
    assert_eq!(attempt.kind, "SPAN_KIND_CONSUMER");
    assert_eq!(
        (attempt.service.as_str(), handled.service.as_str()),
        ("millstream", "traced")
    );
    assert_eq!((attempt.parent.as_str(), attempt.trace == TRACE), ("", false));
    assert_eq!(attempt.links, links());
    assert_eq!((&handled.trace, &handled.parent), (&attempt.trace, &attempt.id));
    assert_eq!(
        handled.attribute("faas.invocation_id"),
        attempt.attribute("faas.invocation_id")
    );
    for (key, expected) in [
        ("messaging.system", "aws_kinesis"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "shardId-000000000000"),
        ("messaging.batch.message_count", "2"),
        ("aws.lambda.resource_mapping.id", created.uid.as_str()),
        ("millstream.attempt", "1"),
        ("millstream.verdict", "done"),
    ] {
        assert_eq!(attempt.attribute(key), Some(expected), "{key}: {attempt:#?}");
    }
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_linked_by_whatever_trace_they_were_sent_with() {
    let collector = Collector::start().await;
    let mut server = Server::start_with(settings("grpc", &collector.grpc)).await;
    let client = server.client();
    client.create_queue("pay.fifo", fifo()).await;
    create_function(&client, &collector).await;
    let message = |body: &str| v1::SendMessagesEntry {
        body: body.to_owned(),
        message_group_id: format!("group-{body}"),
        ..Default::default()
    };
    let mut messages: Vec<_> = ["context", "header", "attribute", "call"].map(message).into();
    messages[0].trace_context = Some(v1::TraceContext {
        traceparent: parent("1111111111111111"),
        ..Default::default()
    });
    messages[1].aws_trace_header = format!(
        "Root=1-{}-{};Parent=2222222222222222;Sampled=1",
        &TRACE[..8],
        &TRACE[8..]
    );
    let value = v1::message_attribute::Value::StringValue(parent("3333333333333333"));
    messages[2].attributes.insert(
        "traceparent".to_owned(),
        v1::MessageAttribute {
            data_type: "String".to_owned(),
            value: Some(value),
        },
    );
    let mut request = Request::new(v1::SendMessagesRequest {
        queue: queue_name("pay.fifo"),
        messages,
    });
    let of_call = parent("4444444444444444").parse().unwrap();
    request.metadata_mut().insert("traceparent", of_call);
    client.queues.clone().send_messages(request).await.unwrap();
    client
        .create_mapping("paying", mapping_of_queue("pay.fifo", "traced"))
        .await;

    // The messages may come in one batch or in several.
    let linked = |spans: &[Span]| {
        let links = named(spans, "process pay.fifo")
            .into_iter()
            .flat_map(|s| s.links.clone());
        links
            .map(|(trace, span)| format!("{trace}/{}", &span[..1]))
            .collect::<BTreeSet<_>>()
    };
    let spans = collector
        .wait("all four links and every child", |spans| {
            let attempts = named(spans, "process pay.fifo").len();
            linked(spans).len() == 4 && named(spans, "handle").len() == attempts
        })
        .await;
    let expected = ["1", "2", "3", "4"].map(|span| format!("{TRACE}/{span}"));
    assert_eq!(linked(&spans), expected.into());
    for attempt in named(&spans, "process pay.fifo") {
        assert_eq!(attempt.attribute("messaging.system"), Some("aws_sqs"));
        assert_eq!(attempt.attribute("millstream.attempt"), Some("1"));
        let groups = attempt.attribute("millstream.message_group.count").unwrap();
        assert_eq!(groups, attempt.links.len().to_string());
        let called = named(&spans, "handle")
            .into_iter()
            .find(|s| s.parent == attempt.id);
        assert_eq!(called.map(|s| &s.trace), Some(&attempt.trace));
    }
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_has_its_span_and_the_last_ones_are_exported_by_the_stop() {
    let collector = Collector::start().await;
    let mut settings = settings("http/protobuf", &collector.http);
    // So late that only the stop exports.
    settings
        .env
        .push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "3600000".to_owned()));
    let mut server = Server::start_with(settings).await;
    let client = server.client();
    client.create_stream("orders", 1).await;
    create_function(&client, &collector).await;
    put_traced(&client, "fail").await;
    let failing = v1::Mapping {
        maximum_retry_attempts: Some(1),
        ..mapping("orders", "traced")
    };
    client.create_mapping("billing", failing).await;
    until("the records to be given up", SOON, async || {
        (client.given_up("billing").await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(named(&collector.spans(), "process orders"), Vec::<&Span>::new());
    server.terminate().await;

    let spans = collector
        .wait("both attempts' spans", |spans| {
            named(spans, "process orders").len() == 2
        })
        .await;
    let attempts = named(&spans, "process orders");
    for (attempt, number) in attempts.iter().zip(["1", "2"]) {
        assert_eq!(attempt.attribute("millstream.attempt"), Some(number));
        assert_eq!(attempt.attribute("millstream.verdict"), Some("failed"));
        assert_eq!(attempt.attribute("error.type"), Some("function_error"));
        assert_eq!(
            (attempt.status.as_str(), attempt.message.as_str()),
            ("STATUS_CODE_ERROR", "ValueError")
        );
        assert_eq!(attempt.links, links());
        let called = named(&spans, "handle")
            .into_iter()
            .find(|s| s.parent == attempt.id);
        assert_eq!(called.map(|s| &s.trace), Some(&attempt.trace));
    }
    assert_ne!(attempts[0].trace, attempts[1].trace);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_costs_spans_and_no_record() {
    let mut server = Server::start_with(settings("grpc", "127.0.0.1:1")).await;
    let (client, journal) = (server.client(), server.dir().join("calls"));
    client.create_stream("orders", 1).await;
    let command = crate::client::test_function(&journal, "id");
    client.create_function("work", &command, SOON, 1).await;
    let one_by_one = v1::Mapping {
        batch_size: Some(1),
        ..mapping("orders", "work")
    };
    client.create_mapping("work", one_by_one).await;
    let records = (0..50).map(|id| entry("key", id.to_string()));
    client.put("orders", records.collect()).await;
    until("every record to be done", SOON, async || {
        let done: usize = crate::function::calls(&journal)
            .iter()
            .map(|c| c.done().len())
            .sum();
        (done == 50).then_some(())
    })
    .await;
    until("the loss to be told", SOON, async || {
        server.logged().contains("spans cannot be exported").then_some(())
    })
    .await;
    let (_, metrics) = crate::operations::get(&server.ops_address(), "/metrics").await;
    assert!(
        !metrics.contains(r#"millstream_trace_spans_total{result="failed"} 0"#),
        "{metrics}"
    );
    server.terminate().await;
    let told = server.logged().matches("spans cannot be exported").count();
    assert_eq!(told, 1, "{}", server.logged());
}

#[tokio::test]
async fn variables_that_cannot_be_used_are_refused_at_the_start() {
    for (name, value, part) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "grpc or http/protobuf",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317", "TLS"),
    ] {
        let output = tokio::process::Command::new(binary())
            .args(["config", "check"])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
            .env(name, value)
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(name) && told.contains(part), "{told}");
    }
}
