//! Events of messages: as AWS prints them, byte for byte what serde writes, and as long as was told before.

use super::QueueEventShape;
use bytes::Bytes;
use millstream_types::message::{
    AttributeValue, FifoAttributes, MessageAttribute, MessageAttributes, SystemAttributes,
};
use millstream_types::{Message, Receipt, Wall};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const QUEUE: &str = "arn:aws:sqs:us-east-2:123456789012:my-queue";

fn plain() -> Message {
    Message {
        id: "059f36b4-87a3-44ab-83d2-661975830a7d".into(),
        receipt: Receipt("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a".into()),
        body: Bytes::from_static(b"Test message."),
        attributes: Arc::default(),
        md5_of_body: "e4e68fb7bd0e697a0ae8f1bb342846b3".into(),
        md5_of_attributes: None,
        system: SystemAttributes {
            receive_count: 1,
            sent: Wall(1_545_082_649_183),
            first_received: Wall(1_545_082_649_185),
            sender: "AIDAIENQZJOLO23YVJ4VO".into(),
            trace_header: None,
            dead_letter_source: None,
            group: None,
            fifo: None,
        },
        trace: None,
    }
}

fn text(messages: &[Message], has_window: bool) -> String {
    let shape = QueueEventShape::sqs(QUEUE, "us-east-2", has_window);
    String::from_utf8(shape.encode(messages).to_vec()).unwrap()
}

#[test]
fn a_standard_message_is_as_in_the_specification() {
    let start = concat!(
        r#"{"Records":[{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","#,
        r#""receiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a","body":"Test message.","#,
        r#""attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183","#,
        r#""SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185"},"#,
        r#""messageAttributes":{},"#,
    );
    let end = concat!(
        r#""md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","#,
        r#""eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:my-queue","awsRegion":"us-east-2"}]}"#,
    );
    assert_eq!(text(&[plain()], false), format!("{start}{end}"));
    assert_eq!(
        text(&[plain()], true),
        format!(r#"{start}"md5OfMessageAttributes":null,{end}"#)
    );
}

#[test]
fn a_fifo_message_with_all_there_is() {
    let text_of = |data_type: &str, value: &str| MessageAttribute {
        data_type: data_type.into(),
        value: AttributeValue::Text(value.into()),
    };
    let binary = MessageAttribute {
        data_type: "Binary.png".into(),
        value: AttributeValue::Binary(Bytes::from_static(b"\x00\xff\xfe")),
    };
    let mut message = plain();
    message.attributes = Arc::new(
        [
            ("n".into(), text_of("Number", "12")),
            ("b".into(), binary),
            ("s\"".into(), text_of("String", "a\nb")),
        ]
        .into(),
    );
    message.md5_of_attributes = Some("0c80".into());
    message.system.trace_header = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".into());
    message.system.dead_letter_source = Some("arn:aws:sqs:us-east-2:123456789012:first.fifo".into());
    message.system.group = Some("g 1".into());
    message.system.fifo = Some(FifoAttributes {
        sequence: "18849496460467696128".into(),
        deduplication: "d-1".into(),
    });
    let expected = concat!(
        r#""attributes":{"DeadLetterQueueSourceArn":"arn:aws:sqs:us-east-2:123456789012:first.fifo","#,
        r#""ApproximateReceiveCount":"1","AWSTraceHeader":"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1","#,
        r#""SentTimestamp":"1545082649183","SequenceNumber":"18849496460467696128","MessageGroupId":"g 1","#,
        r#""SenderId":"AIDAIENQZJOLO23YVJ4VO","MessageDeduplicationId":"d-1","#,
        r#""ApproximateFirstReceiveTimestamp":"1545082649185"},"messageAttributes":{"#,
        r#""b":{"binaryValue":"AP/+","stringListValues":[],"binaryListValues":[],"dataType":"Binary.png"},"#,
        r#""n":{"stringValue":"12","stringListValues":[],"binaryListValues":[],"dataType":"Number"},"#,
        r#""s\"":{"stringValue":"a\nb","stringListValues":[],"binaryListValues":[],"dataType":"String"}},"#,
        r#""md5OfMessageAttributes":"0c80","md5OfBody":"#,
    );
    let text = text(&[message], false);
    assert!(text.contains(expected), "{text}");
}

#[test]
fn no_messages_make_an_empty_list() {
    assert_eq!(text(&[], true), r#"{"Records":[]}"#);
    assert_eq!(QueueEventShape::ENVELOPE_LEN, text(&[], true).len());
}

/// The members in AWS's order, written by serde.
#[derive(Serialize)]
struct OracleEvent {
    #[serde(rename = "Records")]
    records: Vec<OracleRecord>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleRecord {
    message_id: String,
    receipt_handle: String,
    body: String,
    attributes: OracleSystem,
    message_attributes: BTreeMap<String, OracleAttribute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<Option<String>>,
    md5_of_body: String,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'static str,
    aws_region: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OracleSystem {
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_queue_source_arn: Option<String>,
    approximate_receive_count: String,
    #[serde(skip_serializing_if = "Option::is_none", rename = "AWSTraceHeader")]
    trace_header: Option<String>,
    sent_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<String>,
    sender_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<String>,
    approximate_first_receive_timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleAttribute {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
    string_list_values: [String; 0],
    binary_list_values: [String; 0],
    data_type: String,
}

fn oracle(messages: &[Message], has_window: bool) -> String {
    let records = messages.iter().map(|m| oracle_record(m, has_window)).collect();
    serde_json::to_string(&OracleEvent { records }).unwrap()
}

fn oracle_record(m: &Message, has_window: bool) -> OracleRecord {
    let of = |text: &Arc<str>| text.to_string();
    let system = &m.system;
    let attribute = |a: &MessageAttribute| OracleAttribute {
        string_value: match &a.value {
            AttributeValue::Text(text) => Some(of(text)),
            AttributeValue::Binary(_) => None,
        },
        binary_value: match &a.value {
            AttributeValue::Text(_) => None,
            AttributeValue::Binary(bytes) => Some(super::tests::base64(bytes)),
        },
        string_list_values: [],
        binary_list_values: [],
        data_type: of(&a.data_type),
    };
    OracleRecord {
        message_id: of(&m.id),
        receipt_handle: of(&m.receipt.0),
        body: String::from_utf8_lossy(&m.body).into_owned(),
        attributes: OracleSystem {
            dead_letter_queue_source_arn: system.dead_letter_source.as_ref().map(of),
            approximate_receive_count: system.receive_count.to_string(),
            trace_header: system.trace_header.as_ref().map(of),
            sent_timestamp: system.sent.0.to_string(),
            sequence_number: system.fifo.as_ref().map(|f| of(&f.sequence)),
            message_group_id: system.group.as_ref().map(of),
            sender_id: of(&system.sender),
            message_deduplication_id: system.fifo.as_ref().map(|f| of(&f.deduplication)),
            approximate_first_receive_timestamp: system.first_received.0.to_string(),
        },
        message_attributes: m.attributes.iter().map(|(n, a)| (of(n), attribute(a))).collect(),
        md5_of_message_attributes: match &m.md5_of_attributes {
            Some(md5) => Some(Some(of(md5))),
            None => has_window.then_some(None),
        },
        md5_of_body: of(&m.md5_of_body),
        event_source: "aws:sqs",
        event_source_arn: QUEUE,
        aws_region: "us-east-2",
    }
}

fn shared() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z0-9-]{0,40}", any::<String>()].prop_map(Arc::from)
}

fn attributes() -> impl Strategy<Value = MessageAttributes> {
    let value = prop_oneof![
        shared().prop_map(AttributeValue::Text),
        vec(any::<u8>(), 0..40).prop_map(|b| AttributeValue::Binary(b.into()))
    ];
    let attribute = (shared(), value).prop_map(|(data_type, value)| MessageAttribute { data_type, value });
    btree_map(shared(), attribute, 0..4)
}

fn system() -> impl Strategy<Value = SystemAttributes> {
    let fifo = (shared(), shared()).prop_map(|(sequence, deduplication)| FifoAttributes {
        sequence,
        deduplication,
    });
    let numbers = (any::<u32>(), any::<u64>(), prop_oneof![Just(0), any::<u64>()]);
    (
        numbers,
        shared(),
        option::of(shared()),
        option::of(shared()),
        option::of(shared()),
        option::of(fifo),
    )
        .prop_map(
            |((receive_count, sent, first), sender, trace_header, dead_letter_source, group, fifo)| {
                SystemAttributes {
                    receive_count,
                    sent: Wall(sent),
                    first_received: Wall(first),
                    sender,
                    trace_header,
                    dead_letter_source,
                    group,
                    fifo,
                }
            },
        )
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        any::<String>().prop_map(Bytes::from),
        vec(any::<u8>(), 0..80).prop_map(Bytes::from),
        r#"(\{"[a-z]{1,6}":"[ -~]{0,9}"\}|\t|\n|€|😀){0,30}"#.prop_map(Bytes::from),
    ];
    (
        shared(),
        shared(),
        body,
        attributes(),
        shared(),
        option::of(shared()),
        system(),
    )
        .prop_map(
            |(id, receipt, body, attributes, md5_of_body, md5_of_attributes, system)| Message {
                id,
                receipt: Receipt(receipt),
                body,
                attributes: Arc::new(attributes),
                md5_of_body,
                md5_of_attributes,
                system,
                trace: None,
            },
        )
}

proptest! {
    #[test]
    fn bytes_are_serdes_and_lengths_exact(messages in vec(message(), 0..5), has_window: bool) {
        let text = text(&messages, has_window);
        prop_assert_eq!(&text, &oracle(&messages, has_window));
        let shape = QueueEventShape::sqs(QUEUE, "us-east-2", has_window);
        let lens = messages.iter().map(|m| shape.message_len(m));
        prop_assert_eq!(text.len(), QueueEventShape::event_len(lens));
    }

    /// What comes out is what went in, and a part is written as if it were alone.
    #[test]
    fn events_are_read_back(messages in vec(message(), 1..5), from in 0usize..5) {
        let part = messages.get(from..).unwrap_or_default();
        let event: serde_json::Value = serde_json::from_str(&text(part, true)).unwrap();
        let records = event["Records"].as_array().unwrap();
        prop_assert_eq!(records.len(), part.len());
        for (record, m) in records.iter().zip(part) {
            prop_assert_eq!(record["messageId"].as_str(), Some(&*m.id));
            let body = String::from_utf8_lossy(&m.body);
            prop_assert_eq!(record["body"].as_str(), Some(&*body));
            let system = &record["attributes"];
            prop_assert!(system.as_object().unwrap().values().all(serde_json::Value::is_string));
            prop_assert_eq!(system["MessageGroupId"].as_str(), m.system.group.as_deref());
            prop_assert_eq!(record["messageAttributes"].as_object().unwrap().len(), m.attributes.len());
        }
    }
}
