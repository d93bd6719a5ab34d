//! How the records of one shard are written.

use super::EncodedEvent;
use bytes::Bytes;
use millstream_types::{Record, ShardId, Wall};

/// The tumbling window that an event belongs to (semantics, section 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowEnvelope {
    /// Its start, inclusive; shown in whole seconds.
    pub start: Wall,
    /// Its end, exclusive.
    pub end: Wall,
    /// What the function returned last: valid JSON, `{}` at the start.
    pub state: Bytes,
    /// Whether no more records of the window follow.
    pub is_final: bool,
    /// Whether it ends early because its state is too big.
    pub terminated_early: bool,
}

/// The constant parts of the events of one shard, escaped once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventShape {}

impl EventShape {
    /// Bytes of an event without records and window: `{"Records":[]}`.
    pub const ENVELOPE_LEN: usize = 14;

    /// The shape of Kinesis events. `role_arn` is shown as `invokeIdentityArn`.
    #[must_use]
    pub fn kinesis(source_arn: &str, region: &str, shard: &ShardId, role_arn: &str) -> Self {
        let _ = (source_arn, region, shard, role_arn);
        todo!()
    }

    /// How many bytes the record takes in an event, exactly, without a comma.
    #[must_use]
    pub fn record_len(&self, record: &Record) -> usize {
        let _ = record;
        todo!()
    }

    /// How many bytes an event with records of these lengths takes, exactly.
    #[must_use]
    pub fn event_len(record_lens: impl IntoIterator<Item = usize>) -> usize {
        let _ = record_lens.into_iter();
        todo!()
    }

    /// How many bytes a window adds to an event, exactly.
    #[must_use]
    pub fn window_len(&self, window: &WindowEnvelope) -> usize {
        let _ = window;
        todo!()
    }

    /// Appends the event to `out`.
    pub fn encode(&self, records: &[Record], window: Option<&WindowEnvelope>, out: &mut Vec<u8>) {
        let _ = (records, window, out);
        todo!()
    }

    /// Writes the event into `buffer` (cleared first, so that a used one can be given) and keeps where each
    /// record begins.
    #[must_use]
    pub fn encode_indexed<'a>(&self, records: impl IntoIterator<Item = &'a Record>, buffer: Vec<u8>) -> EncodedEvent {
        let _ = (records.into_iter(), buffer);
        todo!()
    }
}
