//! What a pattern can ask of a record, by kind of source (semantics, section 13): the data under its own name, and beside
//! it the metadata as it stands in the event. A name that a record does not have is simply not there.
//!
//! The names that the patterns ask for are looked up when they are compiled; of a record only those are touched.

use super::program::{NodeId, Program};
use super::walk::{Walk, Witness};
use crate::event::arrival_seconds;
use millstream_types::message::{AttributeValue, MessageAttribute, SystemAttributes};
use millstream_types::{Message, Record, ShardId};
use std::sync::Arc;

/// What records of one shard have in common.
#[derive(Clone, Debug)]
pub struct StreamIdentity {
    /// `eventSourceARN`.
    pub source_arn: Arc<str>,
    /// `awsRegion`.
    pub region: Arc<str>,
    /// The shard, part of `eventID`.
    pub shard: ShardId,
    /// `invokeIdentityArn`.
    pub role_arn: Arc<str>,
}

/// What messages of one queue have in common.
#[derive(Clone, Debug)]
pub struct QueueIdentity {
    /// `eventSourceARN`.
    pub queue_arn: Arc<str>,
    /// `awsRegion`.
    pub region: Arc<str>,
    /// Whether the mapping has a batching window: then `md5OfMessageAttributes` is null where there are none.
    pub has_window: bool,
}

/// A name at the top of a record of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfRecord {
    Data,
    PartitionKey,
    SequenceNumber,
    Arrival,
    EventId,
    Region,
    SourceArn,
    RoleArn,
    /// The same in every record.
    Constant(&'static str),
}

/// A name at the top of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfMessage {
    Body,
    MessageId,
    Receipt,
    System,
    Attributes,
    AttributesMd5,
    BodyMd5,
    Region,
    QueueArn,
    Source,
}

/// What the patterns ask of records of a shard.
#[derive(Clone, Debug)]
pub(super) struct OfShard {
    identity: StreamIdentity,
    asked: Vec<(NodeId, OfRecord)>,
}

impl OfShard {
    pub(super) fn new(program: &Program, identity: StreamIdentity) -> Self {
        let asked = asked(program, |name| {
            Some(match name {
                b"data" => OfRecord::Data,
                b"partitionKey" => OfRecord::PartitionKey,
                b"sequenceNumber" => OfRecord::SequenceNumber,
                b"approximateArrivalTimestamp" => OfRecord::Arrival,
                b"eventID" => OfRecord::EventId,
                b"awsRegion" => OfRecord::Region,
                b"eventSourceARN" => OfRecord::SourceArn,
                b"invokeIdentityArn" => OfRecord::RoleArn,
                b"kinesisSchemaVersion" | b"eventVersion" => OfRecord::Constant("1.0"),
                b"eventSource" => OfRecord::Constant("aws:kinesis"),
                b"eventName" => OfRecord::Constant("aws:kinesis:record"),
                _ => return None,
            })
        });
        Self { identity, asked }
    }

    #[inline]
    pub(super) fn tell<W: Witness>(&self, record: &Record, walk: &mut Walk<'_, W>) {
        for (node, asked) in &self.asked {
            let node = *node;
            match asked {
                OfRecord::Data => walk.payload(node, &record.data),
                OfRecord::PartitionKey => walk.text(node, &record.partition_key),
                OfRecord::SequenceNumber => walk.text(node, record.mark.seq.to_string().as_bytes()),
                OfRecord::Arrival => walk.number(node, arrival_seconds(record.arrival).as_bytes()),
                OfRecord::EventId => {
                    let id = format!("{}:{}", self.identity.shard, record.mark.seq);
                    walk.text(node, id.as_bytes());
                }
                OfRecord::Region => walk.text(node, self.identity.region.as_bytes()),
                OfRecord::SourceArn => walk.text(node, self.identity.source_arn.as_bytes()),
                OfRecord::RoleArn => walk.text(node, self.identity.role_arn.as_bytes()),
                OfRecord::Constant(text) => walk.text(node, text.as_bytes()),
            }
        }
    }
}

/// What the patterns ask of messages of a queue.
#[derive(Clone, Debug)]
pub(super) struct OfQueue {
    identity: QueueIdentity,
    asked: Vec<(NodeId, OfMessage)>,
}

impl OfQueue {
    pub(super) fn new(program: &Program, identity: QueueIdentity) -> Self {
        let asked = asked(program, |name| {
            Some(match name {
                b"body" => OfMessage::Body,
                b"messageId" => OfMessage::MessageId,
                b"receiptHandle" => OfMessage::Receipt,
                b"attributes" => OfMessage::System,
                b"messageAttributes" => OfMessage::Attributes,
                b"md5OfMessageAttributes" => OfMessage::AttributesMd5,
                b"md5OfBody" => OfMessage::BodyMd5,
                b"awsRegion" => OfMessage::Region,
                b"eventSourceARN" => OfMessage::QueueArn,
                b"eventSource" => OfMessage::Source,
                _ => return None,
            })
        });
        Self { identity, asked }
    }

    pub(super) fn tell<W: Witness>(&self, message: &Message, walk: &mut Walk<'_, W>) {
        for (node, asked) in &self.asked {
            let node = *node;
            match asked {
                OfMessage::Body => walk.payload(node, &message.body),
                OfMessage::MessageId => walk.text(node, message.id.as_bytes()),
                OfMessage::Receipt => walk.text(node, message.receipt.0.as_bytes()),
                OfMessage::System => system(&message.system, node, walk),
                OfMessage::Attributes => attributes(message, node, walk),
                OfMessage::AttributesMd5 => match &message.md5_of_attributes {
                    Some(md5) => walk.text(node, md5.as_bytes()),
                    None if self.identity.has_window => walk.null(node),
                    None => {}
                },
                OfMessage::BodyMd5 => walk.text(node, message.md5_of_body.as_bytes()),
                OfMessage::Region => walk.text(node, self.identity.region.as_bytes()),
                OfMessage::QueueArn => walk.text(node, self.identity.queue_arn.as_bytes()),
                OfMessage::Source => walk.text(node, b"aws:sqs"),
            }
        }
    }
}

/// The names below the top that a record has.
fn asked<T>(program: &Program, of_name: impl Fn(&[u8]) -> Option<T>) -> Vec<(NodeId, T)> {
    let known = |(name, node): &(Box<[u8]>, NodeId)| Some((*node, of_name(name)?));
    program.nodes[0].children.iter().filter_map(known).collect()
}

/// All of them are texts, the numbers too.
fn system<W: Witness>(system: &SystemAttributes, node: NodeId, walk: &mut Walk<'_, W>) {
    for (name, child) in &walk.program().nodes[node].children {
        let number = |n: u64| Some(n.to_string());
        let text = |t: &Option<Arc<str>>| t.as_deref().map(str::to_owned);
        let fifo = system.fifo.as_ref();
        let value = match &**name {
            b"ApproximateReceiveCount" => number(system.receive_count.into()),
            b"SentTimestamp" => number(system.sent.0),
            b"ApproximateFirstReceiveTimestamp" => number(system.first_received.0),
            b"SenderId" => Some(system.sender.to_string()),
            b"AWSTraceHeader" => text(&system.trace_header),
            b"DeadLetterQueueSourceArn" => text(&system.dead_letter_source),
            b"MessageGroupId" => text(&system.group),
            b"SequenceNumber" => fifo.map(|f| f.sequence.to_string()),
            b"MessageDeduplicationId" => fifo.map(|f| f.deduplication.to_string()),
            _ => None,
        };
        if let Some(value) = value {
            walk.text(*child, value.as_bytes());
        }
    }
}

fn attributes<W: Witness>(message: &Message, node: NodeId, walk: &mut Walk<'_, W>) {
    let program = walk.program();
    for (name, child) in &program.nodes[node].children {
        let attribute = str::from_utf8(name)
            .ok()
            .and_then(|name| message.attributes.get(name));
        if let Some(attribute) = attribute {
            walk.object_at(*child);
            for (member, leaf) in &program.nodes[*child].children {
                member_of(attribute, member, *leaf, walk);
            }
        }
    }
}

/// The lists that an attribute also has are always empty.
fn member_of<W: Witness>(attribute: &MessageAttribute, name: &[u8], node: NodeId, walk: &mut Walk<'_, W>) {
    match (name, &attribute.value) {
        (b"stringValue", AttributeValue::Text(text)) => walk.text(node, text.as_bytes()),
        (b"binaryValue", AttributeValue::Binary(bytes)) => {
            let text = base64_simd::STANDARD.encode_to_string(bytes);
            walk.text(node, text.as_bytes());
        }
        (b"dataType", _) => walk.text(node, attribute.data_type.as_bytes()),
        _ => {}
    }
}
