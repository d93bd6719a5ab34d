//! Records of DynamoDB as functions get them.

use super::*;
use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
use aws_sdk_dynamodbstreams::types::{Identity, OperationType, StreamViewType};

const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000";

fn text(s: &str) -> AttributeValue {
    AttributeValue::S(s.to_owned())
}

fn written(value: &AttributeValue) -> String {
    let mut out = Vec::new();
    attribute(value, 0, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_type_of_attribute_is_written_as_dynamodb_does() {
    let blob = |bytes: &[u8]| Blob::new(bytes);
    let map = |pairs: Vec<(&str, AttributeValue)>| {
        AttributeValue::M(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    };
    let numbers = vec!["1".to_owned(), "1.0".to_owned(), "-1E-130".to_owned()];
    for (value, json) in [
        (text("a\"b\\c\n\u{1}é"), r#"{"S":"a\"b\\c\n\u0001é"}"#),
        (text(""), r#"{"S":""}"#),
        (
            AttributeValue::N("12345678901234567890123456789012345678".to_owned()),
            r#"{"N":"12345678901234567890123456789012345678"}"#,
        ),
        (AttributeValue::B(blob(b"\x00\xff")), r#"{"B":"AP8="}"#),
        (AttributeValue::Bool(true), r#"{"BOOL":true}"#),
        (AttributeValue::Bool(false), r#"{"BOOL":false}"#),
        (AttributeValue::Null(true), r#"{"NULL":true}"#),
        (
            AttributeValue::Ss(vec!["b".to_owned(), "a".to_owned()]),
            r#"{"SS":["b","a"]}"#,
        ),
        (AttributeValue::Ns(numbers), r#"{"NS":["1","1.0","-1E-130"]}"#),
        (
            AttributeValue::Bs(vec![blob(b"a"), blob(b"")]),
            r#"{"BS":["YQ==",""]}"#,
        ),
        (AttributeValue::L(vec![]), r#"{"L":[]}"#),
        (map(vec![]), r#"{"M":{}}"#),
        (
            map(vec![
                (
                    "z",
                    AttributeValue::L(vec![text("x"), map(vec![("q", text("r"))])]),
                ),
                ("a", text("b")),
            ]),
            r#"{"M":{"a":{"S":"b"},"z":{"L":[{"S":"x"},{"M":{"q":{"S":"r"}}}]}}}"#,
        ),
    ] {
        assert_eq!(written(&value), json);
        let _valid: serde_json::Value = serde_json::from_str(json).unwrap();
    }
}

#[test]
fn what_is_nested_too_deep_is_an_error_and_no_crash() {
    let mut deep = text("x");
    for _ in 0..=MOST_LEVELS {
        deep = AttributeValue::L(vec![deep]);
    }
    assert!(attribute(&deep, 0, &mut Vec::new()).is_err());
}

fn change() -> aws_sdk_dynamodbstreams::types::builders::StreamRecordBuilder {
    StreamRecord::builder()
        .approximate_creation_date_time(DateTime::from_millis(1_479_499_740_750))
        .keys("sort", AttributeValue::N("7".to_owned()))
        .keys("id", text("1"))
        .sequence_number("4421584500000000017450439091")
        .size_bytes(26)
        .stream_view_type(StreamViewType::NewAndOldImages)
}

#[test]
fn a_record_is_written_in_awss_order() {
    let record = Record::builder()
        .event_id("c4ca4238a0b923820dcc509a6f75849b")
        .event_name(OperationType::Modify)
        .event_version("1.1")
        .event_source("aws:dynamodb")
        .aws_region("us-east-1")
        .dynamodb(
            change()
                .new_image("id", text("1"))
                .old_image("id", text("1"))
                .old_image("gone", AttributeValue::Null(true))
                .build(),
        )
        .build();
    let expected = [
        r#"{"eventID":"c4ca4238a0b923820dcc509a6f75849b","eventName":"MODIFY","eventVersion":"1.1","#,
        r#""eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1479499740,"#,
        r#""Keys":{"id":{"S":"1"},"sort":{"N":"7"}},"NewImage":{"id":{"S":"1"}},"#,
        r#""OldImage":{"gone":{"NULL":true},"id":{"S":"1"}},"SequenceNumber":"4421584500000000017450439091","#,
        r#""SizeBytes":26,"StreamViewType":"NEW_AND_OLD_IMAGES"},"#,
        r#""eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000"}"#,
    ];
    let got = event_record(&record, ARN, "eu-west-1").unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), expected.concat());
    assert_eq!(key(&record).unwrap(), br#"{"id":{"S":"1"},"sort":{"N":"7"}}"#);
}

#[test]
fn a_removal_by_time_to_live_tells_who_did_it() {
    let user = Identity::builder()
        .r#type("Service")
        .principal_id("dynamodb.amazonaws.com")
        .build();
    let record = Record::builder()
        .event_name(OperationType::Remove)
        .dynamodb(change().old_image("id", text("1")).build())
        .user_identity(user)
        .build();
    let got: serde_json::Value =
        serde_json::from_slice(&event_record(&record, ARN, "eu-west-1").unwrap()).unwrap();
    let expected = serde_json::json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    assert_eq!(
        (&got["userIdentity"], &got["eventName"]),
        (&expected, &"REMOVE".into())
    );
    // What a server leaves out, the ARN tells.
    assert_eq!(
        (&got["awsRegion"], &got["eventSource"]),
        (&"eu-west-1".into(), &"aws:dynamodb".into())
    );
    assert!(got["dynamodb"].get("NewImage").is_none());
}
