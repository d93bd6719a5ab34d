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

impl TraceContext {
    /// It in AWS's form: `00-<32 hex>-<16 hex>-<flags>` as `Root=1-<8>-<24>;Parent=<16>;Sampled=<0|1>`. None if the
    /// `traceparent` is none.
    #[must_use]
    pub fn amazon_trace_id(&self) -> Option<String> {
        let mut parts = self.traceparent.split('-');
        let (_version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, len| text.len() == len && text.bytes().all(|c| c.is_ascii_hexdigit());
        if !(hex(trace, 32) && hex(parent, 16) && hex(flags, 2)) {
            return None;
        }
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
        let (time, rest) = trace.split_at_checked(8)?;
        Some(format!("Root=1-{time}-{rest};Parent={parent};Sampled={sampled}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_contexts_are_translated() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        for (text, expected) in [
            (
                format!("00-{id}-b7ad6b7169203331-01"),
                Some("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"),
            ),
            (
                format!("00-{id}-b7ad6b7169203331-02"),
                Some("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=0"),
            ),
            (format!("00-{id}-b7-01"), None),
            ("".to_owned(), None),
        ] {
            let context = TraceContext {
                traceparent: text.as_str().into(),
                tracestate: None,
            };
            assert_eq!(context.amazon_trace_id().as_deref(), expected, "{text}");
        }
    }
}
