//! Streams: settings, entries and positions in; descriptions and records out.

use super::mask::Mask;
use super::{applied, count, small, timestamp, trace, wall};
use crate::names;
use crate::refusal::{Refusal, Refusals};
use millstream_api::v1;
use millstream_ports::{
    HashKey, PutEntry, PutError, PutReceipt, ShardDescription, StreamChange, StreamDescription,
};
use millstream_types::{Applied, Mark, Position, Record, Seq, SourceArn, StreamSpec};
use v1::read_records_request::Start;

/// Most entries of one put.
const MAX_ENTRIES: usize = 500;

/// The settings of a new stream; unset ones have their defaults.
pub(crate) fn new_spec(s: &v1::Stream, refusals: &mut Refusals) -> StreamSpec {
    let default = StreamSpec::default();
    StreamSpec {
        shards: positive(
            "stream.shard_count",
            s.shard_count,
            default.shards,
            "1 to 256",
            refusals,
        ),
        retention_hours: retention(s, refusals),
        applied: refusals.take(applied_to(s)).unwrap_or_default(),
    }
}

/// The change that an update means, and the number of first shards the caller believes in.
pub(crate) fn update(
    s: &v1::Stream,
    mask: Option<prost_types::FieldMask>,
    refusals: &mut Refusals,
) -> (StreamChange, Option<u32>) {
    let mask = Mask::read(mask, &["retention_hours", "shard_count", applied::PATH], refusals);
    let hours = mask
        .means("retention_hours", s.retention_hours.is_some())
        .then(|| retention(s, refusals));
    let count = mask.means_fixed("shard_count", s.shard_count.is_some());
    let default = StreamSpec::default().shards;
    let count = count.then(|| positive("stream.shard_count", s.shard_count, default, "1 to 256", refusals));
    let applied = mask.means_fixed(applied::PATH, s.applied.is_some());
    let change = StreamChange {
        retention_hours: hours,
        applied: applied.then(|| refusals.take(applied_to(s))).flatten(),
    };
    (change, count)
}

/// What of it is applied from a file.
fn applied_to(s: &v1::Stream) -> Result<Applied, Refusal> {
    applied::read("stream.applied", s.applied.as_ref())
}

fn retention(s: &v1::Stream, refusals: &mut Refusals) -> u32 {
    let default = StreamSpec::default().retention_hours;
    positive(
        "stream.retention_hours",
        s.retention_hours,
        default,
        "1 to 8760 hours",
        refusals,
    )
}

fn positive(field: &str, value: Option<i32>, default: u32, allowed: &str, refusals: &mut Refusals) -> u32 {
    let Some(value) = value else { return default };
    refusals
        .take(u32::try_from(value).map_err(|_| Refusal::new(field, value, allowed)))
        .unwrap_or(default)
}

/// A hash key: a decimal number below 2^128; none if empty.
pub(crate) fn hash_key(field: &str, text: &str) -> Result<Option<u128>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number
        .map(Some)
        .ok_or_else(|| Refusal::new(field, text, "a decimal number below 2^128"))
}

/// The entries of a put. One that cannot be read refuses the whole request, as with Kinesis; rules about keys and
/// sizes are the broker's, per entry.
pub(crate) fn entries(records: Vec<v1::PutRecordsEntry>) -> Result<Vec<PutEntry>, Refusals> {
    let mut refusals = Refusals::default();
    if records.is_empty() || records.len() > MAX_ENTRIES {
        refusals.add(Refusal::new(
            "records",
            format!("{} entries", records.len()),
            "1 to 500 entries",
        ));
        return Err(refusals);
    }
    let entries: Vec<_> = records
        .into_iter()
        .enumerate()
        .filter_map(|(i, e)| entry(i, e, &mut refusals))
        .collect();
    if refusals.is_empty() {
        Ok(entries)
    } else {
        Err(refusals)
    }
}

fn entry(i: usize, e: v1::PutRecordsEntry, refusals: &mut Refusals) -> Option<PutEntry> {
    let field = format!("records[{i}].explicit_hash_key");
    let explicit = refusals.take(hash_key(&field, &e.explicit_hash_key))?;
    let trace = trace::read(&format!("records[{i}].trace_context"), e.trace_context.as_ref());
    Some(PutEntry {
        partition_key: e.partition_key,
        hash_key: explicit.map_or(HashKey::OfPartitionKey, HashKey::Explicit),
        data: e.data,
        trace: refusals.take(trace)?,
    })
}

/// What became of the entries of a put.
pub(crate) fn put_response(results: Vec<Result<PutReceipt, PutError>>) -> v1::PutRecordsResponse {
    let failed = results.iter().filter(|r| r.is_err()).count();
    let results = results.into_iter().map(|result| match result {
        Ok(receipt) => v1::PutRecordsResult {
            shard_id: receipt.shard.to_string(),
            sequence_number: receipt.seq.to_string(),
            ..v1::PutRecordsResult::default()
        },
        Err(e) => {
            let code = match &e {
                PutError::Invalid { .. } => "INVALID_RECORD",
                PutError::DiskFull { .. } => "DISK_FULL",
                PutError::Unavailable(_) => "UNAVAILABLE",
            };
            v1::PutRecordsResult {
                error_code: code.to_owned(),
                error_message: e.to_string(),
                ..v1::PutRecordsResult::default()
            }
        }
    });
    v1::PutRecordsResponse {
        failed_record_count: i32::try_from(failed).unwrap_or(i32::MAX),
        results: results.collect(),
    }
}

/// Where a read starts; `newest` is the newest record of the shard.
pub(crate) fn start(start: Option<&Start>, newest: Option<Seq>) -> Result<Position, Refusal> {
    let seq = |field: &str, text: &str| {
        text.parse()
            .map(Mark::of)
            .map_err(|_| Refusal::new(field, text, "1 to 128 decimal digits"))
    };
    Ok(match start {
        None | Some(Start::TrimHorizon(())) => Position::Trim,
        Some(Start::Latest(())) => newest.map_or(Position::Trim, |seq| Position::After(Mark::of(seq))),
        Some(Start::AtSequenceNumber(text)) => Position::At(seq("at_sequence_number", text)?),
        Some(Start::AfterSequenceNumber(text)) => Position::After(seq("after_sequence_number", text)?),
        Some(Start::AtTime(at)) => Position::Timestamp(wall("at_time", at)?),
    })
}

/// A record, with its key as text.
pub(crate) fn record(r: &Record) -> v1::StreamRecord {
    v1::StreamRecord {
        sequence_number: r.mark.to_string(),
        partition_key: String::from_utf8_lossy(&r.partition_key).into_owned(),
        data: r.data.clone(),
        approximate_arrival_time: Some(timestamp(r.arrival)),
        trace_context: trace::to_api(r.trace.as_ref()),
    }
}

/// A stream and its shards.
pub(crate) fn to_api(s: &StreamDescription) -> v1::Stream {
    v1::Stream {
        name: names::full(&s.namespace, names::STREAMS, &s.name),
        arn: SourceArn::local_stream(&s.name).to_string(),
        etag: names::etag(s.revision),
        create_time: Some(timestamp(s.created)),
        shard_count: Some(small(s.spec.shards)),
        retention_hours: Some(small(s.spec.retention_hours)),
        shards: s.shards.iter().map(shard).collect(),
        applied: applied::to_api(&s.spec.applied),
    }
}

fn shard(s: &ShardDescription) -> v1::Shard {
    let id = |shard: Option<&millstream_types::ShardId>| shard.map_or_else(String::new, ToString::to_string);
    let seq = |seq: Option<Seq>| seq.map_or_else(String::new, |s| s.to_string());
    v1::Shard {
        shard_id: s.info.id.to_string(),
        parent_shard_id: id(s.info.parent.as_ref()),
        adjacent_parent_shard_id: id(s.info.adjacent_parent.as_ref()),
        starting_hash_key: s.info.hash_range.0.to_string(),
        ending_hash_key: s.info.hash_range.1.to_string(),
        close_time: s.info.closed.map(timestamp),
        oldest_sequence_number: seq(s.oldest),
        newest_sequence_number: seq(s.newest),
        record_count: count(s.records),
    }
}

#[cfg(test)]
mod tests;
