//! From a page of a shard to the lanes: runs in the poll task, so that the shard's owner handles pages, never
//! single records (design, section 4).

use crate::event::EventShape;
use millstream_types::Record;

/// A record on its way to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// How many bytes it takes in the event, without a comma.
    pub encoded_len: u32,
}

/// A page split by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutedPage {
    /// Per lane, in the order of the page.
    pub lanes: Vec<Vec<Entry>>,
    /// How many records in all lanes.
    pub records: usize,
    /// How many bytes of keys and payloads in all lanes.
    pub bytes: usize,
}

/// Splits a page into `lanes` lanes (0 is taken for 1) by [`crate::lane_hash`].
///
/// A lane that holds less than half of the page's bytes gets its keys and payloads in a buffer of its own, so
/// that a few records that wait for long do not keep the whole page in memory.
#[must_use]
pub fn route_page(records: Vec<Record>, lanes: u8, shape: &EventShape) -> RoutedPage {
    let _ = (records, lanes, shape);
    todo!()
}
