//! The document that tells a destination which records were given up (semantics, section 9).

use crate::civil::{iso_millis, iso_seconds};
use crate::json::write_string;
use bytes::Bytes;
use millstream_types::arn::SourceKind;
use millstream_types::durable::{Discard, DiscardWindow};
use millstream_types::{ResponseContext, SourceArn};

/// The document for `discard`: metadata only, members in AWS's order, without white space.
///
/// What a batch of DynamoDB is told of stands under another name, and its records arrive by the second (semantics 9).
/// `responseContext` is left out if the function never answered; of a batch without records only shard and stream
/// are told; `timeWindowInfo` comes last, of what was given up in a tumbling window.
#[must_use]
pub fn failure_document(discard: &Discard) -> Bytes {
    let response = discard
        .response
        .as_ref()
        .map(response_context)
        .unwrap_or_default();
    let document = format!(
        concat!(
            r#"{{"requestContext":{{"requestId":{},"functionArn":{},"condition":{},"approximateInvokeCount":{}}},"#,
            r#"{}"version":"1.0","timestamp":{},{}:{{"shardId":{},{}"streamArn":{}}}{}}}"#
        ),
        quoted(&discard.request_id.to_string()),
        quoted(&discard.function_arn),
        quoted(discard.condition.as_str()),
        discard.invoke_count,
        response,
        quoted(&iso_millis(discard.at)),
        if is_dynamodb(discard) {
            r#""DDBStreamBatchInfo""#
        } else {
            r#""KinesisBatchInfo""#
        },
        quoted(discard.shard.as_str()),
        batch_range(discard).unwrap_or_default(),
        quoted(&discard.source_arn),
        discard.window.as_ref().map(window_info).unwrap_or_default(),
    );
    document.into()
}

/// A document of [`failure_document`] that carries the records too: `payload` as a JSON string, behind the version.
#[must_use]
pub fn with_payload(document: &[u8], payload: &[u8]) -> Bytes {
    // Within a JSON text this can only be the member: in a value its quotes would be escaped.
    const BEFORE: &[u8] = br#""version":"1.0","#;
    let found = document.windows(BEFORE.len()).position(|w| w == BEFORE);
    let Some((head, tail)) = found.and_then(|at| document.split_at_checked(at + BEFORE.len())) else {
        return Bytes::copy_from_slice(document);
    };
    // A quote or two for each value of the payload is escaped.
    let mut out = Vec::with_capacity(document.len() + payload.len() + payload.len() / 8);
    out.extend_from_slice(head);
    out.extend_from_slice(br#""payload":"#);
    write_string(&String::from_utf8_lossy(payload), &mut out);
    out.push(b',');
    out.extend_from_slice(tail);
    out.into()
}

/// `,"timeWindowInfo":{…}`.
fn window_info(window: &DiscardWindow) -> String {
    format!(
        concat!(
            r#","timeWindowInfo":{{"window":{{"start":{},"end":{}}},"isFinalInvokeForWindow":{},"#,
            r#""isWindowTerminatedEarly":{}}}"#
        ),
        quoted(&iso_seconds(window.start)),
        quoted(&iso_seconds(window.end)),
        window.is_final,
        window.terminated_early,
    )
}

/// How many records a document of [`failure_document`] is about.
#[must_use]
pub fn records_of(document: &[u8]) -> u64 {
    // Within a JSON text this can only be the member: in a value its quotes would be escaped.
    const MEMBER: &[u8] = br#""batchSize":"#;
    let Some(at) = document.windows(MEMBER.len()).position(|w| w == MEMBER) else {
        return 0;
    };
    let digits = document
        .iter()
        .skip(at + MEMBER.len())
        .take_while(|c| c.is_ascii_digit());
    digits.fold(0, |n: u64, c| {
        n.saturating_mul(10).saturating_add(u64::from(c - b'0'))
    })
}

/// `"startSequenceNumber":…,"batchSize":…,`; none for a batch without records.
fn batch_range(discard: &Discard) -> Option<String> {
    let arrival = if is_dynamodb(discard) {
        iso_seconds
    } else {
        iso_millis
    };
    Some(format!(
        concat!(
            r#""startSequenceNumber":{},"endSequenceNumber":{},"approximateArrivalOfFirstRecord":{},"#,
            r#""approximateArrivalOfLastRecord":{},"batchSize":{},"#
        ),
        quoted(&discard.first?.seq.to_string()),
        quoted(&discard.last?.seq.to_string()),
        quoted(&arrival(discard.first_arrival?)),
        quoted(&arrival(discard.last_arrival?)),
        discard.records,
    ))
}

fn is_dynamodb(discard: &Discard) -> bool {
    let source = discard.source_arn.parse::<SourceArn>();
    source.is_ok_and(|arn| arn.kind() == SourceKind::DynamoDb)
}

/// `"responseContext":{…},`; `functionError` is null after a partial failure (semantics 8).
fn response_context(response: &ResponseContext) -> String {
    format!(
        r#""responseContext":{{"statusCode":{},"executedVersion":{},"functionError":{}}},"#,
        response.status_code,
        quoted(&response.executed_version),
        response
            .function_error
            .as_deref()
            .map_or_else(|| "null".to_owned(), quoted),
    )
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::durable::DiscardCondition;
    use millstream_types::ids::DiscardId;
    use millstream_types::{MappingId, Mark, Namespace, RequestId, Seq, ShardId, Wall};

    fn discard(condition: DiscardCondition, response: Option<ResponseContext>) -> Discard {
        Discard {
            id: DiscardId::from_random(1),
            namespace: Namespace::default(),
            mapping: MappingId::from_random(2),
            shard: ShardId::new("shardId-000000000000").unwrap(),
            condition,
            request_id: RequestId::from_random(3),
            invoke_count: 2,
            response,
            first: Some(Mark::of(Seq::from_u128(41))),
            last: Some(Mark::of(Seq::from_u128(43))),
            first_arrival: Some(Wall(1_767_225_600_123)),
            last_arrival: Some(Wall(1_767_225_601_000)),
            records: 3,
            at: Wall(1_767_225_660_007),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            source_arn: "arn:aws:kinesis:us-east-1:000000000000:stream/\"s\"".to_owned(),
            payload: Bytes::from_static(b"never shown"),
            window: None,
        }
    }

    const BATCH_INFO: &str = concat!(
        r#""version":"1.0","timestamp":"2026-01-01T00:01:00.007Z","KinesisBatchInfo":{"#,
        r#""shardId":"shardId-000000000000","startSequenceNumber":"41","endSequenceNumber":"43","#,
        r#""approximateArrivalOfFirstRecord":"2026-01-01T00:00:00.123Z","#,
        r#""approximateArrivalOfLastRecord":"2026-01-01T00:00:01.000Z","batchSize":3,"#,
        r#""streamArn":"arn:aws:kinesis:us-east-1:000000000000:stream/\"s\""}}"#,
    );

    fn request_context(condition: &str) -> String {
        let id = RequestId::from_random(3);
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        format!(
            r#"{{"requestContext":{{"requestId":"{id}","functionArn":"{arn}","condition":"{condition}","approximateInvokeCount":2}},"#
        )
    }

    #[test]
    fn members_are_in_awss_order() {
        let response = |function_error: Option<&str>| {
            let function_error = function_error.map(str::to_owned);
            Some(ResponseContext {
                status_code: 200,
                executed_version: "$LATEST".to_owned(),
                function_error,
            })
        };
        let context = |error| {
            format!(
                r#""responseContext":{{"statusCode":200,"executedVersion":"$LATEST","functionError":{error}}},"#
            )
        };
        let exhausted = DiscardCondition::RetryAttemptsExhausted;
        for (condition, response, expected) in [
            (exhausted, response(Some("Unhandled")), context("\"Unhandled\"")),
            (exhausted, response(None), context("null")),
            (exhausted, None, String::new()),
            (DiscardCondition::RecordAgeExceeded, None, String::new()),
        ] {
            let document = failure_document(&discard(condition, response));
            let expected = format!("{}{expected}{BATCH_INFO}", request_context(condition.as_str()));
            assert_eq!(document, expected);
            assert!(serde_json::from_slice::<serde_json::Value>(&document).is_ok());
            assert_eq!(records_of(&document), 3);
        }
    }

    #[test]
    fn a_batch_of_dynamodb_has_its_own_member_and_whole_seconds() {
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000";
        let discard = Discard {
            source_arn: arn.to_owned(),
            ..discard(DiscardCondition::RecordAgeExceeded, None)
        };
        let info = format!(
            concat!(
                r#""version":"1.0","timestamp":"2026-01-01T00:01:00.007Z","DDBStreamBatchInfo":{{"#,
                r#""shardId":"shardId-000000000000","startSequenceNumber":"41","endSequenceNumber":"43","#,
                r#""approximateArrivalOfFirstRecord":"2026-01-01T00:00:00Z","#,
                r#""approximateArrivalOfLastRecord":"2026-01-01T00:00:01Z","batchSize":3,"streamArn":"{}"}}}}"#,
            ),
            arn
        );
        assert_eq!(
            failure_document(&discard),
            request_context("RecordAgeExceeded") + &info
        );
    }

    #[test]
    fn a_batch_without_records_has_shard_and_stream_only() {
        let empty = Discard {
            first: None,
            last: None,
            first_arrival: None,
            last_arrival: None,
            records: 0,
            ..discard(DiscardCondition::RetryAttemptsExhausted, None)
        };
        let document = String::from_utf8(failure_document(&empty).to_vec()).unwrap();
        let info = concat!(
            r#""KinesisBatchInfo":{"shardId":"shardId-000000000000","#,
            r#""streamArn":"arn:aws:kinesis:us-east-1:000000000000:stream/\"s\""}}"#
        );
        assert!(document.ends_with(info), "{document}");
        assert_eq!(records_of(document.as_bytes()), 0);
    }

    #[test]
    fn a_payload_is_one_string_between_version_and_time() {
        let payload = br#"{"Records":[{"data":"a\"b"}]}"#;
        let plain = failure_document(&discard(DiscardCondition::RecordAgeExceeded, None));
        let with = with_payload(&plain, payload);
        let expected = String::from_utf8(plain.to_vec()).unwrap().replacen(
            r#""version":"1.0","#,
            r#""version":"1.0","payload":"{\"Records\":[{\"data\":\"a\\\"b\"}]}","#,
            1,
        );
        assert_eq!(with, expected);
        let read: serde_json::Value = serde_json::from_slice(&with).unwrap();
        assert_eq!(read["payload"].as_str().unwrap().as_bytes(), payload);
        assert_eq!(records_of(&with), 3);
        assert_eq!(with_payload(b"none of ours", payload), "none of ours");
    }

    #[test]
    fn a_window_is_told_last() {
        let window = |is_final, terminated_early| DiscardWindow {
            start: Wall(1_607_497_440_000),
            end: Wall(1_607_497_560_000),
            is_final,
            terminated_early,
        };
        for (window, flags) in [
            (window(false, false), ("false", "false")),
            (window(true, false), ("true", "false")),
            (window(true, true), ("true", "true")),
        ] {
            let with = Discard {
                window: Some(window),
                ..discard(DiscardCondition::RetryAttemptsExhausted, None)
            };
            let plain = discard(DiscardCondition::RetryAttemptsExhausted, None);
            let plain = String::from_utf8(failure_document(&plain).to_vec()).unwrap();
            let info = format!(
                concat!(
                    r#","timeWindowInfo":{{"window":{{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"}},"#,
                    r#""isFinalInvokeForWindow":{},"isWindowTerminatedEarly":{}}}}}"#
                ),
                flags.0, flags.1
            );
            let document = String::from_utf8(failure_document(&with).to_vec()).unwrap();
            assert_eq!(document, format!("{}{info}", plain.strip_suffix('}').unwrap()));
            assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
        }
    }
}
