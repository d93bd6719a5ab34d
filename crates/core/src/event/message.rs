//! How messages of a queue are written (semantics, section 14).
//!
//! Where AWS publishes an event, the order of members is that event's. The members of `attributes` stand as in its two
//! published events, standard and FIFO; those that appear in neither (`AWSTraceHeader`, `DeadLetterQueueSourceArn`)
//! stand where the hash order that explains the others puts them.

use super::shape::{CLOSE, CLOSE_RECORDS, OPEN, base64_len, digits};
use crate::json::{escaped_len, write_escaped, write_string};
use bytes::Bytes;
use millstream_types::Message;
use millstream_types::message::{AttributeValue, MessageAttribute, SystemAttributes};
use std::sync::Arc;

const ID: &[u8] = br#"{"messageId":""#;
const RECEIPT: &[u8] = br#"","receiptHandle":""#;
const BODY: &[u8] = br#"","body":""#;
const SYSTEM: &[u8] = br#"","attributes":{"#;
const DEAD_LETTER: &[u8] = br#""DeadLetterQueueSourceArn":""#;
const RECEIVE_COUNT: &[u8] = br#""ApproximateReceiveCount":""#;
const TRACE: &[u8] = br#"","AWSTraceHeader":""#;
const SENT: &[u8] = br#"","SentTimestamp":""#;
const SEQUENCE: &[u8] = br#"","SequenceNumber":""#;
const GROUP: &[u8] = br#"","MessageGroupId":""#;
const SENDER: &[u8] = br#"","SenderId":""#;
const DEDUPLICATION: &[u8] = br#"","MessageDeduplicationId":""#;
const FIRST_RECEIVE: &[u8] = br#"","ApproximateFirstReceiveTimestamp":""#;
const ATTRIBUTES: &[u8] = br#""},"messageAttributes":{"#;
const ATTRIBUTES_MD5: &[u8] = br#"},"md5OfMessageAttributes":""#;
const NO_ATTRIBUTES_MD5: &[u8] = br#"},"md5OfMessageAttributes":null"#;
const BODY_MD5: &[u8] = br#","md5OfBody":""#;

const TEXT_VALUE: &[u8] = br#"":{"stringValue":""#;
const BINARY_VALUE: &[u8] = br#"":{"binaryValue":""#;
const DATA_TYPE: &[u8] = br#"","stringListValues":[],"binaryListValues":[],"dataType":""#;
const ATTRIBUTE_CLOSE: &[u8] = br#""}"#;

/// Where the bytes of an event go: into a buffer, or only into its length. One description of the event serves both,
/// so that the length cannot differ from what is written.
trait Sink {
    fn raw(&mut self, bytes: &[u8]);
    fn text(&mut self, text: &[u8]);
    fn number(&mut self, n: u64);
    fn base64(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &[u8]) {
        write_escaped(text, self);
    }

    fn number(&mut self, n: u64) {
        self.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    fn base64(&mut self, bytes: &[u8]) {
        // The codec reserves exactly what it needs; without this a growing buffer would move every time.
        self.reserve(base64_len(bytes.len()));
        base64_simd::STANDARD.encode_append(bytes, self);
    }
}

/// Counts.
struct Length(usize);

impl Sink for Length {
    fn raw(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn text(&mut self, text: &[u8]) {
        self.0 += escaped_len(text);
    }

    fn number(&mut self, n: u64) {
        self.0 += digits(n);
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.0 += base64_len(bytes.len());
    }
}

/// The constant parts of the events of one queue for one mapping, escaped once. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEventShape {
    /// From the end of the body's hash to the end of the record.
    tail: Arc<[u8]>,
    /// What stands for the hash of the attributes of a message without any.
    no_attributes: &'static [u8],
}

impl QueueEventShape {
    /// Bytes of an event without messages: `{"Records":[]}`.
    pub const ENVELOPE_LEN: usize = OPEN.len() + CLOSE_RECORDS.len() + CLOSE.len();

    /// The shape of the events of a queue. A mapping with a batching window shows the hash of the attributes of a
    /// message without any as null, one without a window not at all (observed of AWS; semantics, section 14).
    #[must_use]
    pub fn sqs(queue_arn: &str, region: &str, has_window: bool) -> Self {
        let mut tail = br#"","eventSource":"aws:sqs","eventSourceARN":"#.to_vec();
        write_string(queue_arn, &mut tail);
        tail.extend_from_slice(br#","awsRegion":"#);
        write_string(region, &mut tail);
        tail.push(b'}');
        Self {
            tail: tail.into(),
            no_attributes: if has_window { NO_ATTRIBUTES_MD5 } else { b"}" },
        }
    }

    /// How many bytes the message takes in an event, exactly, without a comma.
    #[must_use]
    pub fn message_len(&self, message: &Message) -> usize {
        let mut length = Length(0);
        self.write_message(message, &mut length);
        length.0
    }

    /// How many bytes an event takes, exactly, whose messages have these [lengths](Self::message_len).
    #[must_use]
    pub fn event_len(message_lens: impl IntoIterator<Item = usize>) -> usize {
        let (messages, bytes) = message_lens
            .into_iter()
            .fold((0usize, 0usize), |(n, sum), len| (n + 1, sum + len));
        Self::ENVELOPE_LEN + bytes + messages.saturating_sub(1)
    }

    /// The event that carries these messages: all of a batch, or any part of it.
    #[must_use]
    pub fn encode(&self, messages: &[Message]) -> Bytes {
        let len = Self::event_len(messages.iter().map(|m| self.message_len(m)));
        let mut out = Vec::with_capacity(len);
        self.encode_into(messages, &mut out);
        debug_assert_eq!(out.len(), len, "an event is as long as was told");
        out.into()
    }

    /// Appends the event to `out`, which grows as it must.
    pub fn encode_into(&self, messages: &[Message], out: &mut Vec<u8>) {
        out.extend_from_slice(OPEN);
        for (i, message) in messages.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.write_message(message, out);
        }
        out.extend_from_slice(CLOSE_RECORDS);
        out.extend_from_slice(CLOSE);
    }

    fn write_message(&self, message: &Message, out: &mut impl Sink) {
        out.raw(ID);
        out.text(message.id.as_bytes());
        out.raw(RECEIPT);
        out.text(message.receipt.0.as_bytes());
        out.raw(BODY);
        out.text(&message.body);
        out.raw(SYSTEM);
        write_system(&message.system, out);
        out.raw(ATTRIBUTES);
        for (i, (name, attribute)) in message.attributes.iter().enumerate() {
            out.raw(if i > 0 { b",\"" } else { b"\"" });
            out.text(name.as_bytes());
            write_attribute(attribute, out);
        }
        match &message.md5_of_attributes {
            Some(md5) => {
                out.raw(ATTRIBUTES_MD5);
                out.text(md5.as_bytes());
                out.raw(b"\"");
            }
            None => out.raw(self.no_attributes),
        }
        out.raw(BODY_MD5);
        out.text(message.md5_of_body.as_bytes());
        out.raw(&self.tail);
    }
}

/// All of them are strings, the numbers too.
fn write_system(system: &SystemAttributes, out: &mut impl Sink) {
    if let Some(source) = &system.dead_letter_source {
        out.raw(DEAD_LETTER);
        out.text(source.as_bytes());
        out.raw(b"\",");
    }
    out.raw(RECEIVE_COUNT);
    out.number(system.receive_count.into());
    optional(TRACE, system.trace_header.as_ref(), out);
    out.raw(SENT);
    out.number(system.sent.0);
    optional(SEQUENCE, system.fifo.as_ref().map(|f| &f.sequence), out);
    optional(GROUP, system.group.as_ref(), out);
    out.raw(SENDER);
    out.text(system.sender.as_bytes());
    optional(DEDUPLICATION, system.fifo.as_ref().map(|f| &f.deduplication), out);
    out.raw(FIRST_RECEIVE);
    out.number(system.first_received.0);
}

fn optional(member: &[u8], value: Option<&Arc<str>>, out: &mut impl Sink) {
    if let Some(value) = value {
        out.raw(member);
        out.text(value.as_bytes());
    }
}

fn write_attribute(attribute: &MessageAttribute, out: &mut impl Sink) {
    match &attribute.value {
        AttributeValue::Text(text) => {
            out.raw(TEXT_VALUE);
            out.text(text.as_bytes());
        }
        AttributeValue::Binary(bytes) => {
            out.raw(BINARY_VALUE);
            out.base64(bytes);
        }
    }
    out.raw(DATA_TYPE);
    out.text(attribute.data_type.as_bytes());
    out.raw(ATTRIBUTE_CLOSE);
}
