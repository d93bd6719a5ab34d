//! What a span is made of, as an exporter of the SDK sees it.

use super::*;
use millstream_types::arn::SourceKind;
use millstream_types::{QueueName, StreamName};
use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn subject(source: &SourceArn) -> Subject {
    let shard = ShardId::new("shardId-000000000000").unwrap();
    Subject::new(&About {
        namespace: &Namespace::default(),
        mapping: &MappingName::new("billing").unwrap(),
        id: MappingId::from_random(1),
        source,
        shard: (source.kind() == SourceKind::Kinesis).then_some(&shard),
        function: "bill",
        function_arn: &"arn:f".into(),
    })
}

fn stream() -> Subject {
    subject(&SourceArn::local_stream(&StreamName::new("orders").unwrap()))
}

fn call(lane: Option<u8>) -> Call {
    Call {
        request_id: RequestId::from_bits(7),
        attempt: 2,
        records: 3,
        lane,
    }
}

/// Runs `f` with an exporter behind `tracing`, and returns what it exported.
fn exported(f: impl FnOnce()) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("test"))
        .with_filter(Targets::new().with_target(span::TARGET, tracing::Level::INFO));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), f);
    exporter.get_finished_spans().unwrap()
}

fn parents(n: usize) -> Vec<String> {
    (1..=n).map(|n| format!("00-{TRACE}-{n:016x}-01")).collect()
}

fn origins(parents: &[String]) -> Vec<Option<Origin<'_>>> {
    let origin = |parent| Some(Origin::W3c { parent, state: None });
    parents.iter().map(|p| origin(p.as_str())).collect()
}

fn value(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|a| a.key.as_str() == key);
    found.map(|a| a.value.as_str().into_owned())
}

const DONE: Ending<'static> = Ending {
    verdict: verdict::DONE,
    error: None,
    description: "",
};

#[test]
fn a_span_says_what_ran_and_what_came_of_it() {
    let mut handed_on = None;
    let spans = exported(|| {
        let parents = parents(2);
        let (span, context) = AttemptSpan::begin(&stream(), &call(Some(4)), origins(&parents));
        handed_on = context;
        span.end(&DONE);
    });
    let [span] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(
        (&*span.name, &span.span_kind),
        ("process orders", &SpanKind::Consumer)
    );
    assert_eq!(span.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    for (key, expected) in [
        ("messaging.system", "aws_kinesis"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "shardId-000000000000"),
        ("messaging.consumer.group.name", "billing"),
        ("messaging.batch.message_count", "3"),
        ("faas.trigger", "pubsub"),
        ("faas.invocation_id", "00000000-0000-0000-0000-000000000007"),
        ("faas.invoked_name", "bill"),
        ("aws.lambda.invoked_arn", "arn:f"),
        (
            "aws.lambda.resource_mapping.id",
            &MappingId::from_random(1).to_string(),
        ),
        ("millstream.namespace", "default"),
        ("millstream.attempt", "2"),
        ("millstream.lane", "4"),
        ("millstream.verdict", "done"),
    ] {
        assert_eq!(value(span, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(value(span, "error.type"), None);
    assert_eq!(span.status, Status::Unset);
    let own = format!(
        "00-{}-{}-01",
        span.span_context.trace_id(),
        span.span_context.span_id()
    );
    assert_eq!(handed_on.map(|c| c.traceparent.to_string()), Some(own));
    let links: Vec<String> = span
        .links
        .iter()
        .map(|l| l.span_context.span_id().to_string())
        .collect();
    assert_eq!(links, ["0000000000000001", "0000000000000002"]);
}

#[test]
fn failures_are_told_by_their_kind() {
    let spans = exported(|| {
        let (span, _) = AttemptSpan::begin(&stream(), &call(None), []);
        span.end(&Ending {
            verdict: verdict::FAILED,
            error: Some(error::FUNCTION),
            description: "ValueError",
        });
        // The owner is killed: the span goes with it.
        drop(AttemptSpan::begin(&stream(), &call(None), []));
    });
    let told = |span| {
        (
            value(span, "millstream.verdict").unwrap(),
            value(span, "error.type").unwrap(),
        )
    };
    let word = |text: &str| text.to_owned();
    assert_eq!(told(&spans[0]), (word("failed"), word("function_error")));
    assert_eq!(spans[0].status, Status::error("ValueError"));
    assert_eq!(told(&spans[1]), (word("abandoned"), word("abandoned")));
    assert_eq!(spans.len(), 2);
}

#[test]
fn links_are_distinct_readable_and_bounded() {
    let mut parents = parents(130);
    parents.insert(0, "what is this".to_owned());
    let again = parents[1].clone();
    parents.extend([again.clone(), again, "00-ff".to_owned()]);
    let spans = exported(|| {
        AttemptSpan::begin(&stream(), &call(None), origins(&parents))
            .0
            .end(&DONE);
        let mut few = origins(&parents[..3]);
        few.push(None);
        AttemptSpan::begin(&stream(), &call(None), few).0.end(&DONE);
    });
    assert_eq!(spans[0].links.len(), 128);
    assert_eq!(
        value(&spans[0], "millstream.links.left_out").as_deref(),
        Some("2")
    );
    assert_eq!(spans[0].links.dropped_count, 0);
    assert_eq!(
        (
            spans[1].links.len(),
            value(&spans[1], "millstream.links.left_out")
        ),
        (2, None)
    );
}

#[test]
fn queues_have_groups_and_no_shard() {
    let queue = SourceArn::local_queue(&QueueName::new("pay.fifo").unwrap());
    let spans = exported(|| {
        let (span, _) = AttemptSpan::begin(&subject(&queue), &call(None), []);
        let groups: Vec<String> = (0..12).map(|n| format!("g{:02}", n % 11)).collect();
        span.message_groups(groups.iter().map(String::as_str));
        span.end(&DONE);
        let (span, _) = AttemptSpan::begin(&subject(&queue), &call(None), []);
        span.message_groups(std::iter::empty());
        span.end(&DONE);
    });
    assert_eq!(&*spans[0].name, "process pay.fifo");
    assert_eq!(value(&spans[0], "messaging.system").as_deref(), Some("aws_sqs"));
    assert_eq!(value(&spans[0], "messaging.destination.partition.id"), None);
    assert_eq!(
        value(&spans[0], "millstream.message_group.count").as_deref(),
        Some("11")
    );
    let named = value(&spans[0], "millstream.message_groups").unwrap();
    assert!(
        named.contains("g00") && named.contains("g09") && !named.contains("g10"),
        "{named}"
    );
    assert_eq!(value(&spans[1], "millstream.message_groups"), None);
}

#[test]
fn without_an_exporter_a_context_that_all_share_goes_on() {
    let parents = parents(2);
    let all = [parents[0].clone(), parents[0].clone()];
    for (parents, expected) in [(&all[..], Some(parents[0].as_str())), (&parents[..], None)] {
        let (span, context) = AttemptSpan::begin(&stream(), &call(None), origins(parents));
        assert_eq!(context.as_ref().map(|c| &*c.traceparent), expected);
        span.end(&DONE);
    }
}

#[test]
fn a_subscriber_that_only_logs_changes_nothing() {
    let parents = parents(1);
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let (span, context) = AttemptSpan::begin(&stream(), &call(None), origins(&parents));
        assert_eq!(
            context.map(|c| c.traceparent.to_string()),
            Some(parents[0].clone())
        );
        span.end(&DONE);
    });
}
