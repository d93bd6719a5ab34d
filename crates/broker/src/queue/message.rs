//! A message as it is stored: a version byte, what is known of it in postcard, and the body as it came.

use crate::rows::RowError;
use bytes::Bytes;
use md5::{Digest, Md5};
use millstream_types::message::{AttributeValue, FifoAttributes, MessageAttributes, SystemAttributes};
use millstream_types::{Message, Receipt, TraceContext, Wall};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u8 = 1;
/// So that every number of a FIFO queue is printed with 20 digits: they sort as texts, too.
const FIRST_SEQUENCE: u64 = 10_000_000_000_000_000_000;

/// One message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

/// What is known of a message from its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) id: u128,
    pub(crate) sent: Wall,
    pub(crate) sender: Arc<str>,
    pub(crate) attributes: Arc<MessageAttributes>,
    pub(crate) md5_of_body: [u8; 16],
    pub(crate) md5_of_attributes: Option<[u8; 16]>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) deduplication: Option<Arc<str>>,
    pub(crate) trace_header: Option<Arc<str>>,
    pub(crate) dead_letter_source: Option<Arc<str>>,
    pub(crate) trace: Option<TraceContext>,
}

/// What a receive adds to a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed<'a> {
    pub(crate) receipt: &'a str,
    pub(crate) receives: u32,
    pub(crate) first_received: Wall,
}

impl StoredMessage {
    pub(crate) fn encode(&self) -> Result<Bytes, RowError> {
        let mut bytes = Vec::with_capacity(192 + self.body.len());
        bytes.push(VERSION);
        let mut bytes = postcard::to_extend(&self.head, bytes).map_err(|e| damaged(&e.to_string()))?;
        bytes.extend_from_slice(&self.body);
        Ok(bytes.into())
    }

    /// The message that `row` is; its body is a slice of it.
    pub(crate) fn decode(row: &Bytes) -> Result<Self, RowError> {
        let Some((&VERSION, rest)) = row.split_first() else {
            return Err(damaged("not of a version that this build knows"));
        };
        let (head, body) = postcard::take_from_bytes(rest).map_err(|e| damaged(&e.to_string()))?;
        Ok(Self {
            head,
            body: row.slice_ref(body),
        })
    }

    /// Bytes of body and attributes.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.body.len() + millstream_types::message::attribute_bytes(&self.head.attributes)
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        256 + self.payload_bytes()
    }

    /// The message as a receive returns it.
    pub(crate) fn to_message(&self, number: u64, fifo: bool, handed: Handed<'_>) -> Message {
        let head = &self.head;
        Message {
            id: message_id(head.id),
            receipt: Receipt(handed.receipt.into()),
            body: self.body.clone(),
            attributes: head.attributes.clone(),
            md5_of_body: hex(&head.md5_of_body).into(),
            md5_of_attributes: head.md5_of_attributes.map(|digest| hex(&digest).into()),
            system: SystemAttributes {
                receive_count: handed.receives,
                sent: head.sent,
                first_received: handed.first_received,
                sender: head.sender.clone(),
                trace_header: head.trace_header.clone(),
                dead_letter_source: head.dead_letter_source.clone(),
                group: head.group.clone(),
                fifo: fifo.then(|| FifoAttributes {
                    sequence: sequence(number),
                    deduplication: head.deduplication.clone().unwrap_or_else(|| "".into()),
                }),
            },
            trace: head.trace.clone(),
        }
    }
}

/// An id as SQS prints it.
pub(crate) fn message_id(id: u128) -> Arc<str> {
    let mut text = Uuid::encode_buffer();
    let text: &str = Uuid::from_u128(id).hyphenated().encode_lower(&mut text);
    text.into()
}

/// The `SequenceNumber` of a number of a FIFO queue.
pub(crate) fn sequence(number: u64) -> Arc<str> {
    FIRST_SEQUENCE.saturating_add(number).to_string().into()
}

pub(crate) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The digest that SQS and its clients compute of message attributes: every name, type and value in the order of the
/// names, each with its length, and a byte that says how the value is transported.
pub(crate) fn md5_of_attributes(attributes: &MessageAttributes) -> Option<[u8; 16]> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    // The order of a BTreeMap of texts is that of their bytes.
    for (name, attribute) in attributes {
        let (transport, value) = match &attribute.value {
            AttributeValue::Text(text) => (1, text.as_bytes()),
            AttributeValue::Binary(bytes) => (2, &bytes[..]),
        };
        with_length(&mut digest, name.as_bytes());
        with_length(&mut digest, attribute.data_type.as_bytes());
        digest.update([transport]);
        with_length(&mut digest, value);
    }
    Some(digest.finalize().into())
}

fn with_length(digest: &mut Md5, bytes: &[u8]) {
    // An attribute is far shorter than 4 GiB: its message is.
    digest.update((bytes.len() as u32).to_be_bytes());
    digest.update(bytes);
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn damaged(why: &str) -> RowError {
    RowError::Damaged {
        what: "a message".into(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::message::MessageAttribute;

    fn attribute(data_type: &str, value: AttributeValue) -> MessageAttribute {
        MessageAttribute {
            data_type: data_type.into(),
            value,
        }
    }

    fn message() -> StoredMessage {
        let attributes = MessageAttributes::from([
            ("n".into(), attribute("Number", AttributeValue::Text("12".into()))),
            (
                "b".into(),
                attribute("Binary", AttributeValue::Binary(Bytes::from_static(b"\0\x01"))),
            ),
        ]);
        StoredMessage {
            head: Head {
                id: 0x0102,
                sent: Wall(5),
                sender: "000000000000".into(),
                md5_of_body: md5(b"hello"),
                md5_of_attributes: md5_of_attributes(&attributes),
                attributes: Arc::new(attributes),
                group: Some("g".into()),
                deduplication: Some("d".into()),
                trace_header: None,
                dead_letter_source: None,
                trace: None,
            },
            body: Bytes::from_static(b"hello"),
        }
    }

    #[test]
    fn a_message_survives_storing() {
        let stored = message().encode().unwrap();
        assert_eq!(StoredMessage::decode(&stored).unwrap(), message());
    }

    #[test]
    fn damage_is_told() {
        let stored = message().encode().unwrap();
        assert!(StoredMessage::decode(&stored.slice(..8)).is_err());
        assert!(StoredMessage::decode(&Bytes::from_static(b"\x07hello")).is_err());
        assert!(StoredMessage::decode(&Bytes::new()).is_err());
    }

    #[test]
    fn digests_are_those_that_clients_check() {
        // What boto3 computes for the same attributes.
        let attributes = MessageAttributes::from([(
            "timestamp".into(),
            attribute("Number", AttributeValue::Text("1493147359900".into())),
        )]);
        let digest = md5_of_attributes(&attributes).map(|digest| hex(&digest));
        assert_eq!(digest.as_deref(), Some("235c5c510d26fb653d073faed50ae77c"));
        assert_eq!(hex(&md5(b"hello")), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(md5_of_attributes(&MessageAttributes::new()), None);
    }

    #[test]
    fn sequence_numbers_sort_as_texts() {
        assert_eq!(&*sequence(0), "10000000000000000000");
        assert!(sequence(9) < sequence(10) && sequence(10) < sequence(1_000));
    }
}
