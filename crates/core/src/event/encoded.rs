//! A written event that can be cut into parts.

use super::EventShape;
use super::shape::{CLOSE, CLOSE_RECORDS, OPEN};
use bytes::Bytes;
use millstream_types::WindowEnvelope;
use std::ops::Range;

/// An event without window, with the place of each record, so that a retry, a part of a split or a suffix
/// is copied out of it rather than encoded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEvent {
    body: Bytes,
    /// Where each record ends in `body`; a comma lies between it and the next.
    ends: Vec<usize>,
}

impl EncodedEvent {
    pub(super) fn new(body: Vec<u8>, ends: Vec<usize>) -> Self {
        debug_assert_eq!(
            body.len(),
            ends.last().copied().unwrap_or(OPEN.len()) + 2,
            "record ends lead to the close"
        );
        Self {
            body: body.into(),
            ends,
        }
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> usize {
        self.ends.len()
    }

    /// The whole event, shared.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        self.body.clone()
    }

    /// An event with only the records `range` (cut to what there is): shared if that is all of them, else a
    /// copy.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Bytes {
        let inner = self.bytes_of(&range);
        if inner == self.bytes_of(&(0..self.records())) {
            return self.whole();
        }
        let records = self.body.get(inner).unwrap_or_default();
        [OPEN, records, CLOSE_RECORDS, CLOSE].concat().into()
    }

    /// As [`EncodedEvent::part`], with a window of the shard that `shape` is for; always a copy.
    #[must_use]
    pub fn part_in_window(&self, range: Range<usize>, shape: &EventShape, window: &WindowEnvelope) -> Bytes {
        let inner = self.bytes_of(&range);
        let mut out = Vec::with_capacity(EventShape::ENVELOPE_LEN + inner.len() + shape.window_len(window));
        out.extend_from_slice(OPEN);
        out.extend_from_slice(self.body.get(inner).unwrap_or_default());
        shape.close(Some(window), &mut out);
        out.into()
    }

    /// How many bytes [`EncodedEvent::part`] gives.
    #[must_use]
    pub fn part_len(&self, range: Range<usize>) -> usize {
        EventShape::ENVELOPE_LEN + self.bytes_of(&range).len()
    }

    /// The buffer, to be used again; none while somebody still holds a clone of the event.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        self.body.is_unique().then(|| self.body.into())
    }

    /// The bytes of the records `range`, with the commas between them.
    fn bytes_of(&self, range: &Range<usize>) -> Range<usize> {
        let end = range.end.min(self.records());
        if range.start >= end {
            return OPEN.len()..OPEN.len();
        }
        let first = if range.start == 0 {
            OPEN.len()
        } else {
            self.ends[range.start - 1] + 1
        };
        first..self.ends[end - 1]
    }
}
