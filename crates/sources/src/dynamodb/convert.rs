//! From DynamoDB's answers to ours.

use super::json;
use crate::polled::{Fetched, WireError};
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types;
use bytes::Bytes;
use millstream_types::{Mark, Record, Seq, ShardId, ShardInfo, Wall};
use std::time::Duration;

/// A page of so many bytes was cut there: AWS answers with 1 MB at most.
const FULL_BYTES: usize = 900_000;

/// A shard of a list. It has no range of keys. When it was closed is not told; `date`, when it was listed, is not
/// earlier.
pub(super) fn shard(shard: &types::Shard, date: Wall) -> Result<ShardInfo, WireError> {
    let id = |text: &str| ShardId::new(text).map_err(|e| WireError::Failed(e.to_string()));
    let last = shard
        .sequence_number_range()
        .and_then(|r| r.ending_sequence_number());
    Ok(ShardInfo {
        id: id(shard.shard_id().unwrap_or_default())?,
        parent: shard.parent_shard_id().map(id).transpose()?,
        adjacent_parent: None,
        hash_range: (0, u128::MAX),
        closed: last.map(|_| date),
    })
}

/// What one read brought. DynamoDB does not tell how far behind that is: while pages are full, the newest record's age
/// stands for it.
pub(super) fn page(
    page: &GetRecordsOutput,
    limit: usize,
    date: Wall,
    arn: &str,
    region: &str,
) -> Result<Fetched, WireError> {
    let records: Result<Vec<Record>, _> = page
        .records()
        .iter()
        .map(|r| record(r, date, arn, region))
        .collect();
    let records = records?;
    let bytes = records.iter().map(|r| r.partition_key.len() + r.data.len()).sum();
    let more = records.len() >= limit || bytes >= FULL_BYTES;
    Ok(Fetched {
        behind: records
            .last()
            .filter(|_| more)
            .map(|last| date.since(last.arrival).max(Duration::from_millis(1))),
        bytes,
        records,
        next: page
            .next_shard_iterator()
            .filter(|next| !next.is_empty())
            .map(str::to_owned),
        more,
        date,
    })
}

fn record(record: &types::Record, date: Wall, arn: &str, region: &str) -> Result<Record, WireError> {
    let change = record.dynamodb();
    let number = change.and_then(|c| c.sequence_number()).unwrap_or_default();
    let seq = Seq::parse(number.as_bytes()).map_err(|e| WireError::Failed(e.to_string()))?;
    let made = change.and_then(|c| c.approximate_creation_date_time());
    let arrival = made
        .and_then(|at| u64::try_from(at.secs()).ok())
        .map_or(date, |secs| Wall(secs.saturating_mul(1_000)));
    Ok(Record {
        mark: Mark::of(seq),
        arrival,
        partition_key: Bytes::from(json::key(record)?),
        data: Bytes::from(json::event_record(record, arn, region)?),
        trace: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodbstreams::primitives::DateTime;
    use aws_sdk_dynamodbstreams::types::{AttributeValue, SequenceNumberRange, StreamRecord};

    fn change(seq: &str, at: DateTime) -> types::Record {
        let change = StreamRecord::builder()
            .keys("id", AttributeValue::N("1".to_owned()))
            .sequence_number(seq)
            .approximate_creation_date_time(at)
            .build();
        types::Record::builder().dynamodb(change).build()
    }

    #[test]
    fn a_shard_has_one_parent_and_an_end_means_closed() {
        for (last, closed) in [(None, None), (Some("9"), Some(Wall(5)))] {
            let range = SequenceNumberRange::builder()
                .starting_sequence_number("1")
                .set_ending_sequence_number(last.map(str::to_owned))
                .build();
            let listed = types::Shard::builder()
                .shard_id("shardId-00000001414576573621-f55eea83")
                .parent_shard_id("shardId-00000001414562045508-2bac9cd2")
                .sequence_number_range(range)
                .build();
            let got = shard(&listed, Wall(5)).unwrap();
            assert_eq!(
                got.parent.unwrap().as_str(),
                "shardId-00000001414562045508-2bac9cd2"
            );
            assert_eq!(got.closed, closed);
        }
        assert!(shard(&types::Shard::builder().build(), Wall(5)).is_err());
    }

    #[test]
    fn times_count_by_the_second_and_a_full_page_is_behind() {
        let output = GetRecordsOutput::builder()
            .records(change("0000000001", DateTime::from_millis(10_999)))
            .next_shard_iterator("on")
            .build();
        let got = page(&output, 1, Wall(15_000), "arn", "eu-west-1").unwrap();
        assert_eq!((got.records[0].arrival, got.more), (Wall(10_000), true));
        assert_eq!(got.behind, Some(Duration::from_secs(5)));
        // The zeros of a number are part of it.
        assert_eq!(got.records[0].mark.to_string(), "0000000001");
        assert_eq!(&got.records[0].partition_key[..], br#"{"id":{"N":"1"}}"#);
        let got = page(&output, 2, Wall(15_000), "arn", "eu-west-1").unwrap();
        assert_eq!((got.more, got.behind), (false, None));
    }
}
