//! Semantics 8: what each response means for a batch of a stream.

use crate::rig::{Rig, Sent, spec};
use bytes::Bytes;
use millstream_types::Outcome;

/// What the response to [1, 2, 3] leads to.
#[derive(Debug, PartialEq)]
enum Means {
    Done,
    From(u64),
    AllFailed,
}

#[test]
fn every_row_of_the_truth_table() {
    use Means::{AllFailed, Done, From};
    let table: Vec<(&str, Means)> = vec![
        ("{}", Done),
        ("null", Done),
        ("", Done),
        (r#""""#, Done),
        ("[]", Done),
        (r#"{"batchItemFailures":[]}"#, Done),
        (r#"{"batchItemFailures":null}"#, Done),
        (r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#, From(2)),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}"#,
            From(2),
        ),
        (r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#, AllFailed),
        (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, AllFailed),
        (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, AllFailed),
        (r#"{"batchItemFailures":[{"foo":"2"}]}"#, AllFailed),
        (r#"{"batchItemFailures":[{}]}"#, AllFailed),
        (r#"{"batchItemFailures":[{"itemIdentifier":"9"}]}"#, AllFailed),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"2"},{"itemIdentifier":"9"}]}"#,
            AllFailed,
        ),
        (r#"{"batchItemFailures":[{"itemIdentifier":2}]}"#, AllFailed),
        (r#"{"batchItemFailures":{"itemIdentifier":"2"}}"#, AllFailed),
        ("{not json", AllFailed),
    ];
    for (body, means) in table {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        // The second attempt always succeeds, so that what it holds tells what the first meant.
        let function = move |sent: &Sent| {
            let first = sent.attempt == 1 && sent.numbers().len() == 3;
            Some(Outcome::Response(if first {
                bytes.clone()
            } else {
                Bytes::new()
            }))
        };
        let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 5), function);
        rig.feed(3);
        let got = match &rig.batches()[1..] {
            [] => Done,
            [again] if again.len() == 3 => AllFailed,
            [rest] => From(rest[0]),
            more => panic!("{body}: {more:?}"),
        };
        assert_eq!(got, means, "{body}");
        assert_eq!(rig.checkpoint(), Some(3), "{body}");
        // Progress waits for nothing and starts a new budget; a failure costs an attempt and waits.
        if let Some(second) = rig.sent.get(1) {
            let expect = if means == AllFailed { (2, true) } else { (1, false) };
            assert_eq!((second.attempt, second.at > 0), expect, "{body}");
        }
    }
}

#[test]
fn a_discard_shows_the_last_answer() {
    let report = br#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#;
    let cases = [
        (Outcome::Response(Bytes::from_static(report)), Some((200, None))),
        (crate::rig::raised(), Some((200, Some("Unhandled".to_owned())))),
    ];
    for (outcome, expect) in cases {
        let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 1), crate::rig::always(outcome));
        rig.feed(1);
        let response = rig.discards()[0].response.clone();
        assert_eq!(response.map(|r| (r.status_code, r.function_error)), expect);
    }
}
