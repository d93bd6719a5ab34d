//! One event of a stream.

use crate::{Mark, Wall};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One record as read from a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the shard.
    pub mark: Mark,
    /// When the source took it (semantics 7: record age counts from here).
    pub arrival: Wall,
    /// What decides its lane; records of one key are handled in order. UTF-8, a slice of the page it came with. Of
    /// DynamoDB the item's key: the JSON of its `Keys` with the attributes in order of their names.
    pub partition_key: Bytes,
    /// The payload, a slice of the page it came with. Of DynamoDB the whole record as it stands in an event, one JSON
    /// object: what a record holds is its source's to know.
    pub data: Bytes,
    /// The trace that put it, if the producer said so.
    pub trace: Option<TraceContext>,
}

/// A W3C trace context, carried from a put to the invocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    /// The `traceparent` header, at most 256 bytes.
    pub traceparent: Arc<str>,
    /// The `tracestate` header, if any, at most 512 bytes.
    pub tracestate: Option<Arc<str>>,
}
