//! Messages as SQS hands them out, made ours.

use aws_sdk_sqs::types::{Message as Received, MessageAttributeValue, MessageSystemAttributeName as Name};
use bytes::Bytes;
use millstream_types::message::{
    AttributeValue, FifoAttributes, MessageAttribute, MessageAttributes, SystemAttributes,
};
use millstream_types::{Message, Receipt, Wall};
use std::collections::HashMap;
use std::sync::Arc;

/// A message, unless it has no receipt: then nothing could be done with it.
pub(super) fn message(received: Received) -> Option<Message> {
    let receipt = Receipt(received.receipt_handle?.into());
    let attributes: MessageAttributes = received
        .message_attributes
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name.into(), attribute(value)))
        .collect();
    Some(Message {
        id: received.message_id.unwrap_or_default().into(),
        receipt,
        body: Bytes::from(received.body.unwrap_or_default()),
        md5_of_body: received.md5_of_body.unwrap_or_default().into(),
        md5_of_attributes: received
            .md5_of_message_attributes
            .filter(|_| !attributes.is_empty())
            .map(Arc::from),
        attributes: Arc::new(attributes),
        system: system(received.attributes.unwrap_or_default()),
        trace: None,
    })
}

fn attribute(value: MessageAttributeValue) -> MessageAttribute {
    let data_type: Arc<str> = value.data_type.into();
    let value = match (value.binary_value, value.string_value) {
        (Some(blob), None) => AttributeValue::Binary(Bytes::from(blob.into_inner())),
        (Some(blob), Some(_)) if data_type.starts_with("Binary") => {
            AttributeValue::Binary(Bytes::from(blob.into_inner()))
        }
        (_, text) => AttributeValue::Text(text.unwrap_or_default().into()),
    };
    MessageAttribute { data_type, value }
}

fn system(mut attributes: HashMap<Name, String>) -> SystemAttributes {
    let time = |text: Option<&String>| text.and_then(|t| t.parse().ok()).map(Wall);
    let sent = time(attributes.get(&Name::SentTimestamp)).unwrap_or(Wall(0));
    let first = time(attributes.get(&Name::ApproximateFirstReceiveTimestamp));
    let count = attributes.get(&Name::ApproximateReceiveCount);
    let receive_count = count.and_then(|t| t.parse().ok()).unwrap_or(1);
    let mut take = |name: &Name| attributes.remove(name).map(Arc::<str>::from);
    let (sequence, deduplication) = (take(&Name::SequenceNumber), take(&Name::MessageDeduplicationId));
    SystemAttributes {
        receive_count,
        sent,
        first_received: first.unwrap_or(sent),
        sender: take(&Name::SenderId).unwrap_or_default(),
        trace_header: take(&Name::AwsTraceHeader),
        dead_letter_source: take(&Name::DeadLetterQueueSourceArn),
        group: take(&Name::MessageGroupId),
        fifo: sequence.map(|sequence| FifoAttributes {
            sequence,
            deduplication: deduplication.unwrap_or_default(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::primitives::Blob;

    fn value(data_type: &str) -> aws_sdk_sqs::types::builders::MessageAttributeValueBuilder {
        MessageAttributeValue::builder().data_type(data_type)
    }

    #[test]
    fn everything_of_a_fifo_message_is_taken() {
        let received = Received::builder()
            .message_id("id")
            .receipt_handle("handle")
            .body("text ä")
            .md5_of_body("md5")
            .md5_of_message_attributes("md5a")
            .attributes(Name::ApproximateReceiveCount, "3")
            .attributes(Name::SentTimestamp, "1700000000001")
            .attributes(Name::ApproximateFirstReceiveTimestamp, "1700000000002")
            .attributes(Name::SenderId, "AIDA")
            .attributes(Name::AwsTraceHeader, "Root=1-a")
            .attributes(Name::DeadLetterQueueSourceArn, "arn:dead")
            .attributes(Name::MessageGroupId, "group")
            .attributes(Name::MessageDeduplicationId, "dedup")
            .attributes(Name::SequenceNumber, "18849496460467696128")
            .message_attributes("n", value("Number").string_value("12.5").build().unwrap())
            .message_attributes(
                "b",
                value("Binary.gz")
                    .binary_value(Blob::new([0, 255]))
                    .build()
                    .unwrap(),
            )
            .build();
        let m = message(received).unwrap();
        assert_eq!(
            (&*m.id, &*m.receipt.0, m.text().unwrap()),
            ("id", "handle", "text ä")
        );
        assert_eq!(
            (&*m.md5_of_body, m.md5_of_attributes.as_deref()),
            ("md5", Some("md5a"))
        );
        assert_eq!(m.attribute("n"), Some("12.5"));
        let binary = &m.attributes["b"];
        assert_eq!(&*binary.data_type, "Binary.gz");
        assert_eq!(
            binary.value,
            AttributeValue::Binary(Bytes::from_static(&[0, 255]))
        );
        let s = &m.system;
        assert_eq!(
            (s.receive_count, s.sent, s.first_received, &*s.sender),
            (3, Wall(1_700_000_000_001), Wall(1_700_000_000_002), "AIDA")
        );
        assert_eq!(s.trace_header.as_deref(), Some("Root=1-a"));
        assert_eq!(s.dead_letter_source.as_deref(), Some("arn:dead"));
        assert_eq!(s.group.as_deref(), Some("group"));
        let fifo = s.fifo.as_ref().unwrap();
        assert_eq!(
            (&*fifo.sequence, &*fifo.deduplication),
            ("18849496460467696128", "dedup")
        );
    }

    #[test]
    fn what_a_server_leaves_out_is_no_reason_to_fail() {
        let bare = Received::builder()
            .receipt_handle("handle")
            .md5_of_message_attributes("x")
            .build();
        let m = message(bare).unwrap();
        assert_eq!((m.receive_count(), m.system.sent, m.group()), (1, Wall(0), None));
        assert_eq!((m.system.fifo, m.md5_of_attributes), (None, None));
        assert!(message(Received::builder().body("x").build()).is_none());
    }
}
