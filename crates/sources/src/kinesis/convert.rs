//! From Kinesis' answers to ours.

use crate::polled::{Fetched, WireError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::types;
use bytes::Bytes;
use millstream_types::{Mark, Record, Seq, ShardId, ShardInfo, Wall};
use std::time::Duration;

/// A shard of a list. When a shard was closed is not told; `date`, when it was listed, is not earlier.
pub(super) fn shard(shard: &types::Shard, date: Wall) -> Result<ShardInfo, WireError> {
    let range = shard.hash_key_range();
    let key = |text: Option<&str>, otherwise: u128| text.and_then(|t| t.parse().ok()).unwrap_or(otherwise);
    let last = shard
        .sequence_number_range()
        .and_then(|r| r.ending_sequence_number());
    Ok(ShardInfo {
        id: shard_id(shard.shard_id())?,
        parent: shard.parent_shard_id().map(shard_id).transpose()?,
        adjacent_parent: shard.adjacent_parent_shard_id().map(shard_id).transpose()?,
        hash_range: (
            key(range.map(|r| r.starting_hash_key()), 0),
            key(range.map(|r| r.ending_hash_key()), u128::MAX),
        ),
        closed: last.map(|_| date),
    })
}

fn shard_id(text: &str) -> Result<ShardId, WireError> {
    ShardId::new(text).map_err(|e| WireError::Failed(e.to_string()))
}

/// What one read brought.
pub(super) fn page(page: GetRecordsOutput, date: Wall) -> Result<Fetched, WireError> {
    let records: Result<Vec<Record>, _> = page.records.into_iter().map(|r| record(r, date)).collect();
    let records = records?;
    let behind = page
        .millis_behind_latest
        .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    Ok(Fetched {
        bytes: records.iter().map(|r| r.partition_key.len() + r.data.len()).sum(),
        records,
        // Servers say the end with an empty iterator too.
        next: page.next_shard_iterator.filter(|next| !next.is_empty()),
        behind,
        more: behind.is_some_and(|by| by > Duration::ZERO),
        date,
    })
}

/// One record. A producer may leave the key out where the service spreads records by itself.
pub(super) fn record(record: types::Record, date: Wall) -> Result<Record, WireError> {
    let seq = Seq::parse(record.sequence_number.as_bytes()).map_err(|e| WireError::Failed(e.to_string()))?;
    let arrival = record
        .approximate_arrival_timestamp
        .and_then(|at| at.to_millis().ok())
        .and_then(|ms| u64::try_from(ms).ok());
    Ok(Record {
        mark: Mark::of(seq),
        arrival: arrival.map_or(date, Wall),
        partition_key: Bytes::from(record.partition_key.unwrap_or_default()),
        data: Bytes::from(record.data.into_inner()),
        trace: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use aws_sdk_kinesis::types::{ChildShard, HashKeyRange, SequenceNumberRange};

    fn listed(last: Option<&str>) -> types::Shard {
        types::Shard::builder()
            .shard_id("shardId-000000000002")
            .parent_shard_id("shardId-000000000000")
            .adjacent_parent_shard_id("shardId-000000000001")
            .hash_key_range(
                HashKeyRange::builder()
                    .starting_hash_key("7")
                    .ending_hash_key("340282366920938463463374607431768211455")
                    .build()
                    .unwrap(),
            )
            .sequence_number_range(
                SequenceNumberRange::builder()
                    .starting_sequence_number("1")
                    .set_ending_sequence_number(last.map(str::to_owned))
                    .build()
                    .unwrap(),
            )
            .build()
            .unwrap()
    }

    #[test]
    fn shards_keep_their_parents_and_an_end_means_closed() {
        let id = |text| ShardId::new(text).unwrap();
        let open = shard(&listed(None), Wall(9)).unwrap();
        assert_eq!(open.id, id("shardId-000000000002"));
        let parents: Vec<_> = open.parents().cloned().collect();
        assert_eq!(parents, [id("shardId-000000000000"), id("shardId-000000000001")]);
        assert_eq!((open.hash_range, open.closed), ((7, u128::MAX), None));
        assert_eq!(shard(&listed(Some("5")), Wall(9)).unwrap().closed, Some(Wall(9)));
    }

    #[test]
    fn a_page_is_taken_apart() {
        let record = |seq: &str, key: Option<&str>| {
            types::Record::builder()
                .sequence_number(seq)
                .set_partition_key(key.map(str::to_owned))
                .data(Blob::new(b"data"))
                .approximate_arrival_timestamp(DateTime::from_millis(1_607_497_475_123))
                .build()
                .unwrap()
        };
        let seq = "49590338271490256608559692538361571095921575989136588898";
        let output = GetRecordsOutput::builder()
            .records(record(seq, Some("k")))
            .records(record("7", None))
            .next_shard_iterator("on")
            .millis_behind_latest(5)
            .build()
            .unwrap();
        let got = page(output, Wall(1)).unwrap();
        assert_eq!((got.bytes, got.next.as_deref(), got.more), (9, Some("on"), true));
        assert_eq!(got.behind, Some(Duration::from_millis(5)));
        let first = &got.records[0];
        assert_eq!(
            (first.mark.to_string().as_str(), first.arrival),
            (seq, Wall(1_607_497_475_123))
        );
        assert_eq!(
            (&first.partition_key[..], &first.data[..]),
            (&b"k"[..], &b"data"[..])
        );
        assert!(got.records[1].partition_key.is_empty());
    }

    #[test]
    fn the_end_of_a_shard_has_no_next_iterator() {
        for next in [None, Some(String::new())] {
            let child = ChildShard::builder()
                .shard_id("shardId-000000000001")
                .parent_shards("shardId-000000000000")
                .hash_key_range(
                    HashKeyRange::builder()
                        .starting_hash_key("0")
                        .ending_hash_key("1")
                        .build()
                        .unwrap(),
                )
                .build()
                .unwrap();
            let output = GetRecordsOutput::builder()
                .set_records(Some(Vec::new()))
                .set_next_shard_iterator(next)
                .child_shards(child)
                .build()
                .unwrap();
            assert_eq!(page(output, Wall(1)).unwrap().next, None);
        }
    }

    #[test]
    fn a_sequence_number_that_is_none_is_an_error() {
        let bad = types::Record::builder()
            .sequence_number("x")
            .data(Blob::new(b""))
            .build()
            .unwrap();
        assert!(matches!(super::record(bad, Wall(1)), Err(WireError::Failed(_))));
    }
}
