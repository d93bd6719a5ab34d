//! Messages of queues.

use crate::{TraceContext, Wall};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One message as received from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `messageId`: given by the queue when the message was sent, kept until it is gone.
    pub id: Arc<str>,
    /// Names this receipt of the message in a delete or a change of visibility; a later receipt has another.
    pub receipt: Receipt,
    /// The text; UTF-8, a slice of the page it came with.
    pub body: Bytes,
    /// What the sender set beside the body, by name.
    pub attributes: Arc<MessageAttributes>,
    /// The MD5 of the body, 32 lower-case hexadecimal digits.
    pub md5_of_body: Arc<str>,
    /// The MD5 of the attributes as SQS defines it; none without attributes.
    pub md5_of_attributes: Option<Arc<str>>,
    /// What the queue knows of it.
    pub system: SystemAttributes,
    /// The trace that sent it, if the sender said so.
    pub trace: Option<TraceContext>,
}

/// What a queue knows of a message (semantics, section 14: `attributes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemAttributes {
    /// `ApproximateReceiveCount`: how often it was received, this receipt included.
    pub receive_count: u32,
    /// `SentTimestamp`.
    pub sent: Wall,
    /// `ApproximateFirstReceiveTimestamp`.
    pub first_received: Wall,
    /// `SenderId`.
    pub sender: Arc<str>,
    /// `AWSTraceHeader`, if it was sent with one.
    pub trace_header: Option<Arc<str>>,
    /// `DeadLetterQueueSourceArn`: the queue that moved it here, if one did.
    pub dead_letter_source: Option<Arc<str>>,
    /// `MessageGroupId`: always there on a FIFO queue, and on a standard queue if it was sent with one.
    pub group: Option<Arc<str>>,
    /// What only FIFO queues have.
    pub fifo: Option<FifoAttributes>,
}

/// What only messages of FIFO queues have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FifoAttributes {
    /// `SequenceNumber`: grows within the group; up to 20 decimal digits.
    pub sequence: Arc<str>,
    /// `MessageDeduplicationId`.
    pub deduplication: Arc<str>,
}

/// The handle of one receipt of one message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub Arc<str>);

/// What a sender sets beside the body, by name.
pub type MessageAttributes = BTreeMap<Arc<str>, MessageAttribute>;

/// One value with its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, optionally followed by a dot and a label of the sender's own.
    pub data_type: Arc<str>,
    /// The value.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Of type `String` or `Number`.
    Text(Arc<str>),
    /// Of type `Binary`.
    Binary(Bytes),
}

impl Message {
    /// The body as text.
    ///
    /// # Errors
    /// If it is not UTF-8, which no queue of the built-in broker takes.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// The text of an attribute of type `String` or `Number`, if there is one of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match &self.attributes.get(name)?.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }

    /// How often it was received, this time included.
    #[must_use]
    pub fn receive_count(&self) -> u32 {
        self.system.receive_count
    }

    /// Its message group: always there on a FIFO queue.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.system.group.as_deref()
    }

    /// Bytes of body and attributes: names, types and values (SQS counts the same towards its limit).
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.body.len() + attribute_bytes(&self.attributes)
    }
}

/// Bytes of names, types and values.
#[must_use]
pub fn attribute_bytes(attributes: &MessageAttributes) -> usize {
    let one = |(name, a): (&Arc<str>, &MessageAttribute)| {
        let value = match &a.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        name.len() + a.data_type.len() + value
    };
    attributes.iter().map(one).sum()
}
