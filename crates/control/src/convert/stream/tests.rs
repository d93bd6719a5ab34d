//! Streams in and out.

use super::*;
use bytes::Bytes;
use millstream_types::{ShardId, Wall};
use prost_types::{FieldMask, Timestamp};

fn stream(shards: Option<i32>, hours: Option<i32>) -> v1::Stream {
    v1::Stream {
        shard_count: shards,
        retention_hours: hours,
        ..v1::Stream::default()
    }
}

#[test]
fn unset_is_the_default_and_refusals_name_their_field() {
    for (s, expected, refused) in [
        (stream(None, None), (1, 24), &[][..]),
        (stream(Some(4), Some(48)), (4, 48), &[]),
        (stream(Some(0), Some(0)), (0, 0), &[]),
        (
            stream(Some(-1), Some(-1)),
            (1, 24),
            &["stream.shard_count", "stream.retention_hours"],
        ),
    ] {
        let mut refusals = Refusals::default();
        let spec = new_spec(&s, &mut refusals);
        assert_eq!((spec.shards, spec.retention_hours), expected, "{s:?}");
        assert_eq!(refusals.fields(), refused, "{s:?}");
    }
}

#[test]
fn an_update_means_what_its_mask_names() {
    for (s, paths, expected, refused) in [
        (stream(None, Some(5)), &[][..], (Some(5), None), &[][..]),
        (
            stream(Some(2), Some(5)),
            &["retention_hours"],
            (Some(5), None),
            &[],
        ),
        (stream(Some(2), None), &["*"], (Some(24), Some(2)), &[]),
        (stream(None, None), &["*"], (Some(24), None), &[]),
        (stream(None, None), &["shards"], (None, None), &["update_mask"]),
    ] {
        let mut refusals = Refusals::default();
        let mask = FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        };
        let (change, count) = update(&s, Some(mask), &mut refusals);
        assert_eq!((change.retention_hours, count), expected, "{s:?} {paths:?}");
        assert_eq!(change.applied, None, "{s:?} {paths:?}");
        assert_eq!(refusals.fields(), refused, "{paths:?}");
    }
}

#[test]
fn hash_keys_are_decimal() {
    let max = u128::MAX.to_string();
    for (text, expected) in [
        ("", Ok(None)),
        ("0", Ok(Some(0))),
        (max.as_str(), Ok(Some(u128::MAX))),
        ("340282366920938463463374607431768211456", Err(())),
        ("-1", Err(())),
        ("+1", Err(())),
        ("0x1", Err(())),
    ] {
        assert_eq!(
            hash_key("k", text).map_err(|r| assert_eq!(r.field, "k")),
            expected,
            "{text}"
        );
    }
}

fn put(change: impl Fn(&mut v1::PutRecordsEntry)) -> v1::PutRecordsEntry {
    let data = Bytes::from_static(b"x");
    let mut e = v1::PutRecordsEntry {
        partition_key: "k".into(),
        data,
        ..v1::PutRecordsEntry::default()
    };
    change(&mut e);
    e
}

#[test]
fn entries_are_read_all_or_none() {
    let trace = |traceparent: &str| {
        Some(v1::TraceContext {
            traceparent: traceparent.into(),
            tracestate: String::new(),
        })
    };
    let good = vec![
        put(|_| ()),
        put(|e| e.explicit_hash_key = "7".into()),
        put(|e| e.trace_context = trace("00-1")),
    ];
    let read = entries(good).unwrap();
    assert_eq!(read[0].hash_key, HashKey::OfPartitionKey);
    assert_eq!(read[1].hash_key, HashKey::Explicit(7));
    assert_eq!(read[2].trace.as_ref().unwrap().traceparent.as_ref(), "00-1");

    let bad = vec![
        put(|_| ()),
        put(|e| e.explicit_hash_key = "x".into()),
        put(|e| e.trace_context = trace("")),
    ];
    let refused = entries(bad).unwrap_err();
    assert_eq!(
        refused.fields(),
        [
            "records[1].explicit_hash_key",
            "records[2].trace_context.traceparent"
        ]
    );
    for n in [0, 501] {
        assert_eq!(entries(vec![put(|_| ()); n]).unwrap_err().fields(), ["records"]);
    }
    assert_eq!(entries(vec![put(|_| ()); 500]).unwrap().len(), 500);
}

#[test]
fn every_entry_has_its_answer() {
    let shard = ShardId::new("shardId-000000000000").unwrap();
    let invalid = PutError::Invalid {
        field: "data",
        value: "…".into(),
        allowed: "less".into(),
    };
    let response = put_response(vec![
        Ok(PutReceipt {
            shard,
            seq: Seq::from_u128(5),
        }),
        Err(invalid),
        Err(PutError::DiskFull { free: 1, floor: 2 }),
        Err(PutError::Unavailable("io".into())),
    ]);
    assert_eq!(response.failed_record_count, 3);
    let codes: Vec<_> = response.results.iter().map(|r| r.error_code.as_str()).collect();
    assert_eq!(codes, ["", "INVALID_RECORD", "DISK_FULL", "UNAVAILABLE"]);
    assert_eq!(response.results[0].sequence_number, "5");
    assert!(
        response.results[1..]
            .iter()
            .all(|r| r.sequence_number.is_empty() && !r.error_message.is_empty())
    );
}

#[test]
fn starts() {
    let five = Mark::of(Seq::from_u128(5));
    for (from, newest, expected) in [
        (None, None, Ok(Position::Trim)),
        (Some(Start::TrimHorizon(())), Some(five.seq), Ok(Position::Trim)),
        (Some(Start::Latest(())), Some(five.seq), Ok(Position::After(five))),
        (Some(Start::Latest(())), None, Ok(Position::Trim)),
        (
            Some(Start::AtSequenceNumber("5".into())),
            None,
            Ok(Position::At(five)),
        ),
        (
            Some(Start::AfterSequenceNumber("5".into())),
            None,
            Ok(Position::After(five)),
        ),
        (
            Some(Start::AfterSequenceNumber("x".into())),
            None,
            Err("after_sequence_number"),
        ),
        (
            Some(Start::AtTime(Timestamp { seconds: 2, nanos: 0 })),
            None,
            Ok(Position::Timestamp(Wall(2_000))),
        ),
        (
            Some(Start::AtTime(Timestamp {
                seconds: -2,
                nanos: 0,
            })),
            None,
            Err("at_time"),
        ),
    ] {
        let got = start(from.as_ref(), newest);
        assert_eq!(
            got.as_ref().map_err(|r| r.field.as_str()),
            expected.as_ref().map_err(|e| *e),
            "{from:?}"
        );
    }
}
