//! What a pattern can ask of each kind of source, and the table of what fits what (semantics, section 13).

use super::{criteria, is_match};
use crate::filter::{
    DocumentFilter, MessageFilter, QueueIdentity, RecordFilter, Scratch, Shape, StreamIdentity,
};
use bytes::Bytes;
use millstream_types::message::{AttributeValue, FifoAttributes, MessageAttribute, SystemAttributes};
use millstream_types::{
    FunctionName, MappingSpec, Mark, Message, Receipt, Record, Seq, ShardId, StartingPosition, Wall,
};
use std::sync::Arc;

pub(super) fn identity() -> StreamIdentity {
    StreamIdentity {
        source_arn: "arn:aws:kinesis:us-east-1:000000000000:stream/s".into(),
        region: "us-east-1".into(),
        shard: ShardId::new("shardId-000000000003").unwrap(),
        role_arn: "arn:aws:iam::000000000000:role/millstream".into(),
    }
}

pub(super) fn queue_identity() -> QueueIdentity {
    QueueIdentity {
        queue_arn: "arn:aws:sqs:us-east-1:000000000000:q".into(),
        region: "us-east-1".into(),
        has_window: true,
    }
}

pub(super) fn record(data: &[u8], key: &str, arrival: u64) -> Record {
    Record {
        mark: Mark::of(Seq::from_u128(4_217)),
        arrival: Wall(arrival),
        partition_key: Bytes::copy_from_slice(key.as_bytes()),
        data: Bytes::copy_from_slice(data),
        trace: None,
    }
}

pub(super) fn message(body: &str, receive_count: u32) -> Message {
    let attribute = |data_type: &str, value| MessageAttribute {
        data_type: data_type.into(),
        value,
    };
    let attributes = [
        ("n", attribute("Number", AttributeValue::Text("12".into()))),
        (
            "bin",
            attribute("Binary", AttributeValue::Binary(Bytes::from_static(b"\x00\xff"))),
        ),
    ];
    Message {
        id: "id-1".into(),
        receipt: Receipt("receipt-1".into()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        attributes: Arc::new(attributes.map(|(k, v)| (k.into(), v)).into()),
        md5_of_body: "body-md5".into(),
        md5_of_attributes: None,
        system: SystemAttributes {
            receive_count,
            sent: Wall(1_545_082_649_183),
            first_received: Wall(1_545_082_649_185),
            sender: "AIDA".into(),
            trace_header: None,
            dead_letter_source: None,
            group: Some("g".into()),
            fifo: Some(FifoAttributes {
                sequence: "18849496460467696128".into(),
                deduplication: "dedup".into(),
            }),
        },
        trace: None,
    }
}

fn takes_record(pattern: &str, record: &Record) -> bool {
    let filter = RecordFilter::new(&criteria(&[pattern]), identity())
        .unwrap()
        .unwrap();
    filter.matches(record, &mut Scratch::default()).is_some()
}

fn takes_body(pattern: &str, body: &str) -> bool {
    takes_message(pattern, &message(body, 1))
}

fn takes_message(pattern: &str, message: &Message) -> bool {
    let filter = MessageFilter::new(&criteria(&[pattern]), queue_identity())
        .unwrap()
        .unwrap();
    filter.matches(message, &mut Scratch::default()).is_some()
}

const JSON: &str = r#"{"a":1}"#;
const OF_JSON: &str = r#"{"body":{"a":[1]}}"#;
const OF_TEXT: &str = r#"{"body":["text",{"prefix":"12"}]}"#;
const BESIDE: &str = r#"{"messageId":["id-1"]}"#;

#[test]
fn what_fits_what_in_a_queue() {
    let table = [
        ("plain data, JSON pattern: dropped", OF_JSON, "text", false),
        (
            "plain data, JSON pattern that wants nothing: dropped",
            r#"{"body":{"a":[{"exists":false}]}}"#,
            "text",
            false,
        ),
        ("plain data, plain pattern: filtered", OF_TEXT, "text", true),
        ("plain data, plain pattern: filtered", OF_TEXT, "other", false),
        ("JSON data, plain pattern: dropped", OF_TEXT, JSON, false),
        (
            "JSON data, plain pattern that wants anything: dropped",
            r#"{"body":[{"exists":true}]}"#,
            JSON,
            false,
        ),
        ("JSON data, JSON pattern: filtered", OF_JSON, JSON, true),
        ("JSON data, JSON pattern: filtered", OF_JSON, r#"{"a":2}"#, false),
        ("no data pattern: metadata only", BESIDE, "text", true),
        ("no data pattern: metadata only", BESIDE, JSON, true),
        ("malformed JSON is plain", OF_JSON, r#"{"a":1"#, false),
        ("malformed JSON is plain", OF_JSON, r#"{"a":1} x"#, false),
        (
            "malformed JSON is plain",
            r#"{"body":[{"prefix":"{"}]}"#,
            r#"{"a":1"#,
            true,
        ),
        (
            "what stands in malformed JSON does not count",
            r#"{"body":[{"numeric":["<",2]}]}"#,
            "[1] 2",
            false,
        ),
        ("a scalar is plain", OF_TEXT, "123", true),
        ("a scalar is plain", r#"{"body":["\"text\""]}"#, r#""text""#, true),
        ("an array is JSON", OF_JSON, r#" [{"a":0},{"a":1}] "#, true),
        ("an array is JSON", OF_TEXT, r#"["text"]"#, false),
        ("nothing is plain", r#"{"body":[""]}"#, "", true),
    ];
    for (row, pattern, body, expect) in table {
        assert_eq!(takes_body(pattern, body), expect, "{row}: {pattern} {body}");
    }
    let mut binary = message("", 1);
    binary.body = Bytes::from_static(b"{\"a\":1,\"b\":\"\xff\"}");
    assert!(!takes_message(OF_JSON, &binary));
    assert!(takes_message(BESIDE, &binary));
    let deep = format!("{{\"a\":1,\"b\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    assert!(
        !takes_body(OF_JSON, &deep),
        "nested too deep is taken for malformed"
    );
}

#[test]
fn what_fits_what_in_a_stream() {
    let (of_json, beside) = (r#"{"data":{"a":[1]}}"#, r#"{"partitionKey":["k"]}"#);
    let table: &[(&str, &str, &[u8], bool)] = &[
        ("plain data, JSON pattern: dropped", of_json, b"text", false),
        (
            "JSON data, JSON pattern: filtered",
            of_json,
            JSON.as_bytes(),
            true,
        ),
        ("JSON data, JSON pattern: filtered", of_json, b"{\"a\":2}", false),
        ("not UTF-8: dropped", of_json, b"{\"a\":1,\"b\":\"\xff\"}", false),
        (
            "not UTF-8: dropped",
            r#"{"data":{"z":[{"exists":false}]}}"#,
            b"\xff",
            false,
        ),
        ("malformed: dropped", of_json, b"{\"a\":1", false),
        ("no data pattern: metadata only", beside, b"text", true),
        ("no data pattern: metadata only", beside, b"\xff", true),
        ("no data pattern: metadata only", beside, b"{\"a\":1", true),
    ];
    for (row, pattern, data, expect) in table {
        let record = record(data, "k", 0);
        assert_eq!(
            takes_record(pattern, &record),
            *expect,
            "{row}: {pattern} {data:?}"
        );
    }
}

#[test]
fn everything_beside_the_data_of_a_record() {
    let record = record(b"x", "k1", 1_607_497_475_004);
    let rows = [
        (r#"{"partitionKey":["k1"]}"#, true),
        (r#"{"partitionKey":["k2"]}"#, false),
        (r#"{"sequenceNumber":["4217"]}"#, true),
        (
            r#"{"approximateArrivalTimestamp":[{"numeric":["=",1607497475.004]}]}"#,
            true,
        ),
        (r#"{"approximateArrivalTimestamp":[1607497475.004]}"#, true),
        (r#"{"eventID":["shardId-000000000003:4217"]}"#, true),
        (
            r#"{"eventSource":["aws:kinesis"],"eventVersion":["1.0"],"kinesisSchemaVersion":["1.0"]}"#,
            true,
        ),
        (
            r#"{"eventName":["aws:kinesis:record"],"awsRegion":["us-east-1"]}"#,
            true,
        ),
        (
            r#"{"eventSourceARN":[{"suffix":"stream/s"}],"invokeIdentityArn":[{"suffix":"role/millstream"}]}"#,
            true,
        ),
        (r#"{"kinesis":{"partitionKey":["k1"]}}"#, false),
        (r#"{"nothing":[{"exists":false}]}"#, true),
        (r#"{"nothing":["x"]}"#, false),
    ];
    for (pattern, expect) in rows {
        assert_eq!(takes_record(pattern, &record), expect, "{pattern}");
    }
}

#[test]
fn everything_beside_the_body_of_a_message() {
    let rows = [
        (
            r#"{"messageId":["id-1"],"receiptHandle":["receipt-1"],"md5OfBody":["body-md5"]}"#,
            true,
        ),
        (r#"{"md5OfMessageAttributes":[null]}"#, true),
        (
            r#"{"eventSource":["aws:sqs"],"awsRegion":["us-east-1"],"eventSourceARN":[{"suffix":":q"}]}"#,
            true,
        ),
        (
            r#"{"attributes":{"ApproximateReceiveCount":["3"],"SentTimestamp":["1545082649183"]}}"#,
            true,
        ),
        (
            r#"{"attributes":{"ApproximateReceiveCount":[{"numeric":["=",3]}]}}"#,
            false,
        ),
        (
            r#"{"attributes":{"SenderId":["AIDA"],"ApproximateFirstReceiveTimestamp":[{"exists":true}]}}"#,
            true,
        ),
        (
            r#"{"attributes":{"MessageGroupId":["g"],"MessageDeduplicationId":["dedup"]}}"#,
            true,
        ),
        (
            r#"{"attributes":{"SequenceNumber":["18849496460467696128"]}}"#,
            true,
        ),
        (r#"{"attributes":{"AWSTraceHeader":[{"exists":false}]}}"#, true),
        (
            r#"{"messageAttributes":{"n":{"stringValue":["12"],"dataType":["Number"]}}}"#,
            true,
        ),
        (
            r#"{"messageAttributes":{"bin":{"binaryValue":["AP8="],"stringValue":[{"exists":false}]}}}"#,
            true,
        ),
        (
            r#"{"messageAttributes":{"n":{"stringListValues":[{"exists":false}]}}}"#,
            true,
        ),
        (r#"{"messageAttributes":{"n":[{"exists":false}]}}"#, true),
        (r#"{"messageAttributes":{"other":{"stringValue":["12"]}}}"#, false),
    ];
    for (pattern, expect) in rows {
        assert_eq!(takes_message(pattern, &message("x", 3)), expect, "{pattern}");
    }
}

#[test]
fn items_of_dynamodb_are_matched_with_their_types() {
    let record = r#"{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":1479499740,
        "Keys":{"id":{"S":"1"}},"NewImage":{"n":{"N":"5"},"k":{"S":"x"}},"SizeBytes":26}}"#;
    let rows = [
        (
            r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"id":{"S":["1"]}}}}"#,
            true,
        ),
        (r#"{"dynamodb":{"NewImage":{"n":{"N":["5"]}}}}"#, true),
        (
            r#"{"dynamodb":{"NewImage":{"n":{"N":[{"numeric":["=",5]}]}}}}"#,
            false,
        ),
        (
            r#"{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">",1479499739]}]}}"#,
            true,
        ),
        (r#"{"dynamodb":{"NewImage":{"k":[{"exists":false}]}}}"#, true),
        (
            r#"{"dynamodb":{"NewImage":{"k":{"S":[{"exists":false}]}}}}"#,
            false,
        ),
        (r#"{"eventName":["REMOVE"]}"#, false),
    ];
    let stream = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";
    let spec = |pattern| MappingSpec {
        filter_criteria: criteria(&[pattern]),
        ..MappingSpec::stream(
            stream.parse().unwrap(),
            FunctionName::new("f").unwrap(),
            StartingPosition::TrimHorizon,
        )
    };
    for (pattern, expect) in rows {
        assert_eq!(is_match(&criteria(&[pattern]), record), expect, "{pattern}");
        let filter = RecordFilter::of(&spec(pattern), &identity().shard)
            .unwrap()
            .unwrap();
        let takes =
            |data: &str| filter.matches(&self::record(data.as_bytes(), "k", 0), &mut Scratch::default());
        assert_eq!(takes(record).is_some(), expect, "{pattern}");
        assert_eq!(takes(&record[..record.len() - 1]), None, "malformed: {pattern}");
    }
}

#[test]
fn data_may_be_written_out_by_hand() {
    let takes = |pattern: &str, shape, record: &str| {
        let filter = DocumentFilter::new(&criteria(&[pattern]), shape)
            .unwrap()
            .unwrap();
        filter.matches(record, &mut Scratch::default())
    };
    let of_data = r#"{"data":{"a":[1]},"partitionKey":["k"]}"#;
    let by_hand = r#"{"partitionKey":"k","data":{"a":1}}"#;
    assert_eq!(takes(of_data, Shape::Kinesis, by_hand), Ok(Some(0)));
    assert_eq!(
        takes(
            of_data,
            Shape::Kinesis,
            r#"{"kinesis":{"partitionKey":"k","data":"eyJhIjoxfQ=="}}"#
        ),
        Ok(Some(0))
    );
    assert!(takes(of_data, Shape::Kinesis, r#"{"data":"no base64"}"#).is_err());
    assert_eq!(takes(OF_JSON, Shape::Sqs, r#"{"body":{"a":1}}"#), Ok(Some(0)));
    assert_eq!(takes(OF_JSON, Shape::Sqs, r#"{"body":"{\"a\":1}"}"#), Ok(Some(0)));
    assert_eq!(takes(OF_JSON, Shape::Sqs, "{}"), Ok(None));
    assert!(takes(OF_JSON, Shape::Sqs, "[]").is_err());
    assert!(takes(OF_JSON, Shape::Sqs, "{").is_err());
}
