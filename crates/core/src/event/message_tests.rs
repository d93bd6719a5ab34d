//! Events of messages.

use super::QueueEventShape;
use bytes::Bytes;
use millstream_types::message::{AttributeValue, FifoAttributes, MessageAttribute, SystemAttributes};
use millstream_types::{Message, Receipt, Wall};
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
