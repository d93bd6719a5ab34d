//! What is written is byte for byte what serde writes, and its length is what was told before.

use super::*;
use bytes::Bytes;
use millstream_types::{Mark, Record, Seq, ShardId, Wall, WindowEnvelope};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
const ROLE: &str = "arn:aws:iam::000000000000:role/millstream";
const SHARD: &str = "shardId-000000000000";

/// The members in AWS's order (semantics 14).
#[derive(Serialize)]
struct OracleEvent {
    #[serde(rename = "Records")]
    records: Vec<OracleRecord>,
    #[serde(flatten)]
    window: Option<OracleWindow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleRecord {
    kinesis: OracleKinesis,
    event_source: &'static str,
    event_version: &'static str,
    #[serde(rename = "eventID")]
    event_id: String,
    event_name: &'static str,
    invoke_identity_arn: &'static str,
    aws_region: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleKinesis {
    kinesis_schema_version: &'static str,
    partition_key: String,
    sequence_number: Seq,
    data: String,
    /// Raw, as no number type keeps three decimals.
    approximate_arrival_timestamp: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleWindow {
    window: OracleSpan,
    state: Box<RawValue>,
    shard_id: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'static str,
    is_final_invoke_for_window: bool,
    is_window_terminated_early: bool,
}

#[derive(Serialize)]
struct OracleSpan {
    start: String,
    end: String,
}

fn shape() -> EventShape {
    EventShape::kinesis(STREAM, "us-east-1", &ShardId::new(SHARD).unwrap(), ROLE)
}

#[test]
fn records_of_dynamodb_are_written_as_they_came() {
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000";
    let arn = arn.parse().unwrap();
    let shape = EventShape::of_stream(&arn, &ShardId::new(SHARD).unwrap(), None);
    let record = |data: &'static str| Record {
        mark: Mark::of(Seq::from_u128(1)),
        arrival: Wall(1),
        partition_key: Bytes::from_static(br#"{"id":{"S":"1"}}"#),
        data: Bytes::from_static(data.as_bytes()),
        trace: None,
    };
    let records = [
        record(r#"{"eventID":"a"}"#),
        record(r#"{"eventID":"b","dynamodb":{}}"#),
    ];
    let mut event = Vec::new();
    shape.encode(&records, None, &mut event);
    assert_eq!(
        String::from_utf8(event.clone()).unwrap(),
        r#"{"Records":[{"eventID":"a"},{"eventID":"b","dynamodb":{}}]}"#
    );
    assert_eq!(
        EventShape::event_len(records.iter().map(|r| shape.record_len(r))),
        event.len()
    );
}

/// Base64 by the book, bit by bit.
pub(super) fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        let letter = |i: usize| {
            if i <= chunk.len() {
                ALPHABET[(bits >> (18 - 6 * i)) as usize & 63]
            } else {
                b'='
            }
        };
        (0..4).map(|i| char::from(letter(i))).collect::<String>()
    };
    data.chunks(3).map(group).collect()
}

fn oracle_record(record: &Record) -> OracleRecord {
    let arrival = format!("{}.{:03}", record.arrival.0 / 1_000, record.arrival.0 % 1_000);
    OracleRecord {
        kinesis: OracleKinesis {
            kinesis_schema_version: "1.0",
            partition_key: String::from_utf8_lossy(&record.partition_key).into_owned(),
            sequence_number: record.mark.seq,
            data: base64(&record.data),
            approximate_arrival_timestamp: RawValue::from_string(arrival).unwrap(),
        },
        event_source: "aws:kinesis",
        event_version: "1.0",
        event_id: format!("{SHARD}:{}", record.mark.seq),
        event_name: "aws:kinesis:record",
        invoke_identity_arn: ROLE,
        aws_region: "us-east-1",
        event_source_arn: STREAM,
    }
}

fn oracle(records: &[Record], window: Option<&WindowEnvelope>) -> String {
    let window = window.map(|w| OracleWindow {
        window: OracleSpan {
            start: crate::civil::iso_seconds(w.start),
            end: crate::civil::iso_seconds(w.end),
        },
        state: RawValue::from_string(String::from_utf8(w.state.to_vec()).unwrap()).unwrap(),
        shard_id: SHARD,
        event_source_arn: STREAM,
        is_final_invoke_for_window: w.is_final,
        is_window_terminated_early: w.terminated_early,
    });
    serde_json::to_string(&OracleEvent {
        records: records.iter().map(oracle_record).collect(),
        window,
    })
    .unwrap()
}

fn encoded(records: &[Record], window: Option<&WindowEnvelope>) -> String {
    let mut out = Vec::new();
    shape().encode(records, window, &mut out);
    String::from_utf8(out).unwrap()
}

fn record() -> impl Strategy<Value = Record> {
    let key = prop_oneof![
        any::<String>().prop_map(Bytes::from),
        any::<Vec<u8>>().prop_map(Bytes::from)
    ];
    let arrival = prop_oneof![
        Just(0),
        0u64..2_000,
        any::<u64>(),
        1_600_000_000_000u64..1_900_000_000_000
    ];
    ("[0-9]{1,128}", arrival, key, vec(any::<u8>(), 0..200)).prop_map(
        |(seq, arrival, partition_key, data)| Record {
            mark: Mark::of(seq.parse().unwrap()),
            arrival: Wall(arrival),
            partition_key,
            data: data.into(),
            trace: None,
        },
    )
}

fn window() -> impl Strategy<Value = WindowEnvelope> {
    (
        0u64..9_000_000_000_000,
        0u64..9_000_000_000_000,
        any::<Vec<String>>(),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(start, end, state, (is_final, terminated_early))| WindowEnvelope {
                start: Wall(start),
                end: Wall(end),
                state: to_raw_value(&state).unwrap().get().to_owned().into(),
                is_final,
                terminated_early,
            },
        )
}

fn lens(records: &[Record]) -> usize {
    let shape = shape();
    EventShape::event_len(records.iter().map(|r| shape.record_len(r)))
}

#[test]
fn one_record_is_as_in_the_specification() {
    let seq: Seq = "49590338271490256608559692538361571095921575989136588898"
        .parse()
        .unwrap();
    let record = Record {
        mark: Mark::of(seq),
        arrival: Wall(1_607_497_475_000),
        partition_key: Bytes::from_static(b"pk"),
        data: Bytes::from_static(b"Hello, this is a test."),
        trace: None,
    };
    let expected = concat!(
        r#"{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"pk","#,
        r#""sequenceNumber":"49590338271490256608559692538361571095921575989136588898","#,
        r#""data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1607497475.000},"#,
        r#""eventSource":"aws:kinesis","eventVersion":"1.0","#,
        r#""eventID":"shardId-000000000000:49590338271490256608559692538361571095921575989136588898","#,
        r#""eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::000000000000:role/millstream","#,
        r#""awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/orders"}]}"#,
    );
    assert_eq!(encoded(&[record], None), expected);
}

#[test]
fn no_records_make_an_empty_list() {
    assert_eq!(encoded(&[], None), r#"{"Records":[]}"#);
    assert_eq!(EventShape::ENVELOPE_LEN, encoded(&[], None).len());
    assert_eq!(EventShape::event_len([]), EventShape::ENVELOPE_LEN);
    let event = shape().encode_indexed([], Vec::new());
    assert_eq!(
        (event.records(), event.whole(), event.part(0..5)),
        (0, event.whole(), event.whole())
    );
}

#[test]
fn a_final_window_without_records() {
    let window = WindowEnvelope {
        start: Wall(1_607_497_440_000),
        end: Wall(1_607_497_560_000),
        state: Bytes::from_static(br#"{"sum": 3}"#),
        is_final: true,
        terminated_early: false,
    };
    let expected = concat!(
        r#"{"Records":[],"window":{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"},"state":{"sum": 3},"#,
        r#""shardId":"shardId-000000000000","#,
        r#""eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/orders","#,
        r#""isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}"#,
    );
    assert_eq!(encoded(&[], Some(&window)), expected);
}

#[test]
fn constant_parts_are_escaped_too() {
    let shape = EventShape::kinesis("arn\"1", "re\\gion", &ShardId::new(SHARD).unwrap(), "ro\tle");
    let record = Record {
        mark: Mark::of(Seq::from_u128(7)),
        arrival: Wall(1),
        partition_key: Bytes::new(),
        data: Bytes::new(),
        trace: None,
    };
    let mut out = Vec::new();
    shape.encode(std::slice::from_ref(&record), None, &mut out);
    assert_eq!(out.len(), EventShape::event_len([shape.record_len(&record)]));
    let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let got = &event["Records"][0];
    assert_eq!(got["eventID"], "shardId-000000000000:7");
    assert_eq!(
        (&got["eventSourceARN"], &got["awsRegion"]),
        (&"arn\"1".into(), &"re\\gion".into())
    );
    assert_eq!(
        (&got["invokeIdentityArn"], &got["kinesis"]["data"]),
        (&"ro\tle".into(), &"".into())
    );
}

#[test]
fn a_used_buffer_comes_back() {
    let event = shape().encode_indexed([], Vec::with_capacity(4_096));
    let held = event.whole();
    assert_eq!(event.clone().into_buffer(), None);
    drop(held);
    assert!(event.into_buffer().unwrap().capacity() >= 4_096);
}

proptest! {
    #[test]
    fn bytes_are_serdes_and_lengths_exact(
        records in vec(record(), 0..6),
        window in proptest::option::of(window()),
    ) {
        let text = encoded(&records, window.as_ref());
        prop_assert_eq!(&text, &oracle(&records, window.as_ref()));
        prop_assert_eq!(text.len(), lens(&records) + window.map_or(0, |w| shape().window_len(&w)));
    }

    #[test]
    fn every_part_is_as_if_encoded_alone(records in vec(record(), 0..7), window in window(), from in 0usize..8, to in 0usize..9) {
        let event = shape().encode_indexed(&records, b"left from last time".to_vec());
        prop_assert_eq!(event.records(), records.len());
        prop_assert_eq!(event.whole(), encoded(&records, None));
        let part = records.get(from..to.min(records.len())).unwrap_or_default();
        prop_assert_eq!(event.part(from..to), encoded(part, None));
        prop_assert_eq!(event.part_len(from..to), encoded(part, None).len());
        prop_assert_eq!(event.part_in_window(from..to, &shape(), &window), encoded(part, Some(&window)));
    }
}
