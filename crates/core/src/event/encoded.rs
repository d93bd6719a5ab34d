//! A written event that can be cut into parts.

use super::{EventShape, WindowEnvelope};
use bytes::Bytes;
use std::ops::Range;

/// An event without window, with the place of each record, so that a retry, a part of a split or a suffix
/// is copied out of it rather than encoded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEvent {
    body: Bytes,
    ends: Vec<u32>,
}

impl EncodedEvent {
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
        let _ = range;
        todo!()
    }

    /// As [`EncodedEvent::part`], with a window; always a copy.
    #[must_use]
    pub fn part_in_window(&self, range: Range<usize>, shape: &EventShape, window: &WindowEnvelope) -> Bytes {
        let _ = (range, shape, window);
        todo!()
    }

    /// How many bytes [`EncodedEvent::part`] gives.
    #[must_use]
    pub fn part_len(&self, range: Range<usize>) -> usize {
        let _ = range;
        todo!()
    }

    /// The buffer, to be used again; none while somebody still holds a clone of the event.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        self.body.is_unique().then(|| self.body.into())
    }
}
