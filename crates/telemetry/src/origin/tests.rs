//! Headers in, contexts out, as tables.

use super::*;
use bytes::Bytes;
use millstream_types::message::{MessageAttribute, MessageAttributes, SystemAttributes};
use millstream_types::{Mark, Receipt, Seq, Wall};
use proptest::prelude::*;
use std::sync::Arc;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn parent(state: Option<&'static str>) -> String {
    let origin = Origin::W3c {
        parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        state,
    };
    let context = origin.context().unwrap();
    format!("{} {:?}", context.traceparent, context.tracestate.as_deref())
}

#[test]
fn traceparents_are_read_as_the_recommendation_says() {
    let zeros = |n| "0".repeat(n);
    for (text, sampled) in [
        (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
        (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
        (format!("00-{TRACE}-{SPAN}-03"), Some(true)),
        (format!(" 00-{TRACE}-{SPAN}-01 "), Some(true)),
        (format!("cc-{TRACE}-{SPAN}-01-what-will-be"), Some(true)),
        (format!("00-{TRACE}-{SPAN}-01-x"), None),
        (format!("ff-{TRACE}-{SPAN}-01"), None),
        (format!("00-{TRACE}-{SPAN}-1"), None),
        (format!("00-{TRACE}-{SPAN}"), None),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
        (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
        (format!("00-{TRACE}-{SPAN}é-01"), None),
        (format!("00-{}-{SPAN}-01", zeros(32)), None),
        (format!("00-{TRACE}-{}-01", zeros(16)), None),
        (format!("cc-{TRACE}-{SPAN}-01-{}", zeros(300)), None),
        (String::new(), None),
    ] {
        let origin = Origin::W3c {
            parent: &text,
            state: None,
        };
        let read = origin.span_context();
        assert_eq!(read.as_ref().map(SpanContext::is_sampled), sampled, "{text}");
        if let Some(read) = read {
            assert_eq!(read.trace_id().to_string(), TRACE);
            assert_eq!(read.span_id().to_string(), SPAN);
        }
    }
}

#[test]
fn a_tracestate_that_cannot_be_read_costs_only_itself() {
    let bare = format!("00-{TRACE}-{SPAN}-01 None");
    assert_eq!(
        parent(Some("a=1,b=2")),
        format!("00-{TRACE}-{SPAN}-01 Some(\"a=1,b=2\")")
    );
    for state in [None, Some(""), Some("no equals sign"), Some("A B=1")] {
        assert_eq!(parent(state), bare, "{state:?}");
    }
}

#[test]
fn x_ray_headers_become_w3c_contexts() {
    let root = "Root=1-0af76519-16cd43dd8448eb211c80319c";
    for (header, expected) in [
        (format!("{root};Parent={SPAN};Sampled=1"), Some("01")),
        (format!("{root};Parent={SPAN};Sampled=0"), Some("00")),
        (format!("{root};Parent={SPAN};Sampled=?"), Some("00")),
        (format!("{root};Parent={SPAN}"), Some("00")),
        (format!("Sampled=1; Parent={SPAN}; {root}"), Some("01")),
        (
            format!(
                "Self=1-67891234-12456789abcdef012345678;{root};Parent={SPAN};Sampled=1;Lineage=a87bd80c:1|68fd508a:5"
            ),
            Some("01"),
        ),
        (format!("{root};Sampled=1"), None),
        (format!("{root};Parent=b7ad;Sampled=1"), None),
        (format!("Parent={SPAN};Sampled=1"), None),
        (
            format!("Root=2-0af76519-16cd43dd8448eb211c80319c;Parent={SPAN}"),
            None,
        ),
        (format!("Root=1-0af76519;Parent={SPAN}"), None),
        (
            format!("Root=1-0af7651-916cd43dd8448eb211c80319c;Parent={SPAN}"),
            None,
        ),
        (String::new(), None),
    ] {
        let context = Origin::XRay(&header).context();
        let expected = expected.map(|flags| format!("00-{TRACE}-{SPAN}-{flags}"));
        assert_eq!(context.map(|c| c.traceparent.to_string()), expected, "{header}");
    }
}

fn context(span: &str) -> TraceContext {
    TraceContext {
        traceparent: format!("00-{TRACE}-{span}-01").into(),
        tracestate: None,
    }
}

fn message(trace: Option<TraceContext>, header: Option<&str>, attributes: &[(&str, &str)]) -> Message {
    let attribute = |(name, value): &(&str, &str)| {
        let value = AttributeValue::Text((*value).into());
        let data_type = "String".into();
        ((*name).into(), MessageAttribute { data_type, value })
    };
    let attributes: MessageAttributes = attributes.iter().map(attribute).collect();
    Message {
        id: "1".into(),
        receipt: Receipt("r".into()),
        body: Bytes::new(),
        attributes: Arc::new(attributes),
        md5_of_body: "".into(),
        md5_of_attributes: None,
        system: SystemAttributes {
            receive_count: 1,
            sent: Wall(0),
            first_received: Wall(0),
            sender: "s".into(),
            trace_header: header.map(Into::into),
            dead_letter_source: None,
            group: None,
            fifo: None,
        },
        trace,
    }
}

#[test]
fn a_message_has_the_first_context_that_is_there() {
    let header = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=2222222222222222;Sampled=1";
    let attributes: &[(&str, &str)] = &[
        ("tracestate", "a=1"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-3333333333333333-01",
        ),
    ];
    let sent = context("1111111111111111");
    for (message, span) in [
        (
            message(Some(sent), Some(header), attributes),
            Some("1111111111111111"),
        ),
        (message(None, Some(header), attributes), Some("2222222222222222")),
        (message(None, None, attributes), Some("3333333333333333")),
        (message(None, None, &attributes[..1]), None),
        (message(None, None, &[]), None),
        // What is there but cannot be read does not make way for the next.
        (message(None, Some("Root=1"), attributes), None),
    ] {
        let found = Origin::of_message(&message).and_then(Origin::context);
        let found = found.map(|c| c.traceparent[36..52].to_owned());
        assert_eq!(found.as_deref(), span, "{message:?}");
    }
    let with_state = message(None, None, attributes);
    let state = Origin::of_message(&with_state)
        .and_then(Origin::context)
        .unwrap()
        .tracestate;
    assert_eq!(state.as_deref(), Some("a=1"));
}

#[test]
fn only_what_all_records_carry_is_shared() {
    let record = |trace| Record {
        mark: Mark::of(Seq::from_u128(1)),
        arrival: Wall(0),
        partition_key: Bytes::new(),
        data: Bytes::new(),
        trace,
    };
    let (a, b) = (
        Some(context("1111111111111111")),
        Some(context("2222222222222222")),
    );
    for (traces, expected) in [
        (vec![a.clone(), a.clone(), a.clone()], a.clone()),
        (vec![a.clone()], a.clone()),
        (vec![a.clone(), b], None),
        (vec![a.clone(), None], None),
        (vec![None, a], None),
        (vec![], None),
    ] {
        let records: Vec<Record> = traces.iter().cloned().map(record).collect();
        assert_eq!(
            shared(records.iter().map(Origin::of_record)),
            expected,
            "{traces:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_header_is_too_strange_to_be_looked_at(text in ".{0,80}", state in ".{0,40}") {
        let _ = Origin::XRay(&text).context();
        let _ = Origin::W3c { parent: &text, state: Some(&state) }.context();
    }

    #[test]
    fn what_is_handed_on_reads_back_as_the_same(trace in 1u128.., span in 1u64.., sampled: bool) {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let one = SpanContext::new(
            TraceId::from(trace), SpanId::from(span), flags, true, TraceState::from_key_value([("k", "v")]).unwrap(),
        );
        let context = to_context(&one);
        prop_assert_eq!(Origin::of_context(&context).span_context(), Some(one));
    }
}
