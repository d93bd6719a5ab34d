//! From a page of a shard to the lanes: runs in the poll task, so that the shard's owner handles pages, never
//! single records (design, section 4).

use crate::event::EventShape;
use crate::lane_hash::{LANE_HASH_VERSION, lane_of};
use bytes::Bytes;
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

/// A record that waits may keep so many times its lane's bytes of a page in memory; a smaller factor would copy
/// nearly every page of a shard with several lanes.
const MOST_HELD: usize = 8;

/// Splits a page into `lanes` lanes (0 is taken for 1) by [`crate::lane_hash`] of the partition key, with the
/// newest version of the hash.
///
/// A lane that holds less than an eighth of the page's bytes gets its keys and payloads in a buffer of its own,
/// so that a few records that wait for long do not keep the whole page in memory.
#[must_use]
pub fn route_page(records: Vec<Record>, lanes: u8, shape: &EventShape) -> RoutedPage {
    let factor = lanes.max(1);
    let mut page = RoutedPage {
        lanes: vec![Vec::new(); usize::from(factor)],
        records: records.len(),
        ..Default::default()
    };
    let mut lane_bytes = vec![0; usize::from(factor)];
    if factor == 1 {
        page.lanes[0].reserve_exact(records.len());
    }
    for record in records {
        let lane = usize::from(lane_of(LANE_HASH_VERSION, factor, &record.partition_key));
        lane_bytes[lane] += size(&record);
        let encoded_len = u32::try_from(shape.record_len(&record)).unwrap_or(u32::MAX);
        page.lanes[lane].push(Entry { record, encoded_len });
    }
    page.bytes = lane_bytes.iter().sum();
    for (entries, bytes) in page.lanes.iter_mut().zip(lane_bytes) {
        if bytes * MOST_HELD < page.bytes {
            detach(entries, bytes);
        }
    }
    page
}

/// Moves keys and payloads of `bytes` bytes into one buffer of that size.
fn detach(entries: &mut [Entry], bytes: usize) {
    let mut own = Vec::with_capacity(bytes);
    for entry in entries.iter() {
        own.extend_from_slice(&entry.record.partition_key);
        own.extend_from_slice(&entry.record.data);
    }
    let mut own = Bytes::from(own);
    for Entry { record, .. } in entries {
        record.partition_key = own.split_to(record.partition_key.len());
        record.data = own.split_to(record.data.len());
    }
}

/// Bytes of key and payload.
fn size(record: &Record) -> usize {
    record.partition_key.len() + record.data.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{Mark, Seq, ShardId, Wall};
    use proptest::prelude::*;

    fn shape() -> EventShape {
        EventShape::kinesis(
            "arn",
            "us-east-1",
            &ShardId::new("shardId-000000000000").unwrap(),
            "role",
        )
    }

    /// Records whose keys and payloads are slices of one page, as a reader returns them.
    fn page(specs: &[(Vec<u8>, Vec<u8>)]) -> (Bytes, Vec<Record>) {
        let bytes: Bytes = specs
            .iter()
            .flat_map(|(key, data)| key.iter().chain(data))
            .copied()
            .collect();
        let mut rest = bytes.clone();
        let record = |(i, (key, data)): (usize, &(Vec<u8>, Vec<u8>))| Record {
            mark: Mark::of(Seq::from_u128(i as u128)),
            arrival: Wall(i as u64),
            partition_key: rest.split_to(key.len()),
            data: rest.split_to(data.len()),
            trace: None,
        };
        let records = specs.iter().enumerate().map(record).collect();
        (bytes, records)
    }

    fn lies_within(page: &Bytes, part: &Bytes) -> bool {
        part.is_empty() || page.as_ptr_range().contains(&part.as_ptr())
    }

    #[test]
    fn an_empty_page_has_its_lanes() {
        let routed = route_page(Vec::new(), 3, &shape());
        assert_eq!(
            routed,
            RoutedPage {
                lanes: vec![Vec::new(); 3],
                records: 0,
                bytes: 0
            }
        );
        assert_eq!(route_page(Vec::new(), 0, &shape()).lanes.len(), 1);
    }

    #[test]
    fn one_lane_shares_the_page() {
        let (bytes, records) = page(&[(b"a".to_vec(), b"12".to_vec()), (b"b".to_vec(), b"345".to_vec())]);
        let routed = route_page(records.clone(), 1, &shape());
        assert_eq!((routed.records, routed.bytes), (2, 7));
        let got: Vec<Record> = routed.lanes[0].iter().map(|e| e.record.clone()).collect();
        assert_eq!(got, records);
        assert!(
            got.iter()
                .all(|r| lies_within(&bytes, &r.data) && lies_within(&bytes, &r.partition_key))
        );
    }

    #[test]
    fn a_small_lane_lets_go_of_the_page_and_a_big_one_keeps_it() {
        let keys: Vec<Vec<u8>> = (0..100u32).map(|i| i.to_string().into_bytes()).collect();
        let lane = |key: &[u8]| lane_of(LANE_HASH_VERSION, 2, key);
        let big = keys.iter().find(|k| lane(k) == 0).unwrap().clone();
        let small = keys.iter().find(|k| lane(k) == 1).unwrap().clone();
        let (bytes, records) = page(&[(big, vec![7; 1_000]), (small, vec![8; 10])]);
        let routed = route_page(records, 2, &shape());
        assert!(lies_within(&bytes, &routed.lanes[0][0].record.data));
        let moved = &routed.lanes[1][0].record;
        assert!(!lies_within(&bytes, &moved.data) && !lies_within(&bytes, &moved.partition_key));
        assert_eq!(moved.data, vec![8; 10]);
    }

    proptest! {
        #[test]
        fn every_record_once_in_order_unchanged_in_the_lane_of_its_key(
            specs in proptest::collection::vec(("[a-e]{0,2}", any::<Vec<u8>>()), 0..40),
            factor in 1u8..=10,
        ) {
            let specs: Vec<_> = specs.into_iter().map(|(k, d)| (k.into_bytes(), d)).collect();
            let (bytes, records) = page(&specs);
            let routed = route_page(records.clone(), factor, &shape());
            prop_assert_eq!(routed.lanes.len(), usize::from(factor));
            prop_assert_eq!((routed.records, routed.bytes), (records.len(), bytes.len()));
            let mut all: Vec<Record> = Vec::new();
            for (lane, entries) in routed.lanes.iter().enumerate() {
                prop_assert!(entries.is_sorted_by_key(|e| e.record.mark));
                for entry in entries {
                    prop_assert_eq!(usize::from(lane_of(1, factor, &entry.record.partition_key)), lane);
                    prop_assert_eq!(entry.encoded_len as usize, shape().record_len(&entry.record));
                    all.push(entry.record.clone());
                }
            }
            all.sort_by_key(|r| r.mark);
            prop_assert_eq!(all, records);
        }
    }
}
