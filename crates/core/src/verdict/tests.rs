//! Every row of the truth table, and what must hold for any body.

use super::*;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

const BIG: &str = "49590338271490256608559692538361571095921575989136588898";

/// Records 100, 101, 102 and one of Kinesis' size.
fn batch() -> Vec<Seq> {
    ["100", "101", "102", BIG]
        .map(|text| text.parse().unwrap())
        .to_vec()
}

fn judged(body: &str) -> Verdict {
    verdict(
        &Outcome::Response(Bytes::copy_from_slice(body.as_bytes())),
        &batch(),
        true,
    )
}

fn partial(index: usize, reported: usize) -> Verdict {
    Verdict::FailedFrom {
        index,
        reported,
        response: response(None),
    }
}

fn invalid(why: &str) -> Verdict {
    Verdict::Failed {
        response: Some(response(None)),
        error: format!("BatchItemFailures.{why}"),
    }
}

#[test]
fn no_failure_is_reported() {
    for body in [
        "",
        " \r\n",
        "null",
        "{}",
        "[]",
        r#""""#,
        r#"{"batchItemFailures":[]}"#,
        r#"{"batchItemFailures":null}"#,
        r#"{"statusCode":200,"body":"ok"}"#,
        r#"{"BatchItemFailures":[{"itemIdentifier":"100"}]}"#,
        r#"{"a":{"batchItemFailures":[{"itemIdentifier":"100"}]}}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"101"}],"batchItemFailures":[]}"#,
    ] {
        assert_eq!(judged(body), Verdict::Done, "{body}");
    }
}

#[test]
fn the_lowest_reported_record_counts() {
    for (body, index, reported) in [
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"100"}]}"#.to_owned(),
            0,
            1,
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"101"}]}"#.to_owned(),
            1,
            1,
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"102"},{"itemIdentifier":"101"}]}"#.to_owned(),
            1,
            2,
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"102"},{"itemIdentifier":"102"}]}"#.to_owned(),
            2,
            1,
        ),
        (
            format!(r#" {{ "x" : [ 1 ], "batchItemFailures" : [ {{ "itemIdentifier" : "{BIG}" }} ] }} "#),
            3,
            1,
        ),
        (
            r#"{"batchItemFailures":[{"why":{"deep":[null]},"itemIdentifier":"101","n":1}]}"#.to_owned(),
            1,
            1,
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"1\u00302"}]}"#.to_owned(),
            2,
            1,
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"999","itemIdentifier":"102"}]}"#.to_owned(),
            2,
            1,
        ),
        (
            r#"{"batchItemFailures":3,"batchItemFailures":[{"itemIdentifier":"102"}]}"#.to_owned(),
            2,
            1,
        ),
    ] {
        assert_eq!(judged(&body), partial(index, reported), "{body}");
    }
}

#[test]
fn what_is_no_valid_report_fails_the_whole_batch() {
    for (body, why) in [
        (
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":101}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":-1.5}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":true}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":["101"]}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":[]}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":{"id":"101"}}]}"#,
            "InvalidIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"999"}]}"#,
            "UnknownIdentifier: '999'",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"0101"}]}"#,
            "UnknownIdentifier: '0101'",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":" 101"}]}"#,
            "UnknownIdentifier: ' 101'",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"shard:101"}]}"#,
            "UnknownIdentifier: 'shard:101'",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"101"},{"itemIdentifier":"7"}]}"#,
            "UnknownIdentifier: '7'",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"7"},{"itemIdentifier":"101"}]}"#,
            "UnknownIdentifier: '7'",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"101","itemIdentifier":"7"}]}"#,
            "UnknownIdentifier: '7'",
        ),
        (r#"{"batchItemFailures":[{"foo":"101"}]}"#, "InvalidEntry"),
        (r#"{"batchItemFailures":[{}]}"#, "InvalidEntry"),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"101"},{}]}"#,
            "InvalidEntry",
        ),
        (r#"{"batchItemFailures":[null]}"#, "InvalidEntry"),
        (r#"{"batchItemFailures":["101"]}"#, "InvalidEntry"),
        (r#"{"batchItemFailures":[101]}"#, "InvalidEntry"),
        (r#"{"batchItemFailures":[[]]}"#, "InvalidEntry"),
        (r#"{"batchItemFailures":{}}"#, "NotAnArray"),
        (r#"{"batchItemFailures":{"itemIdentifier":"101"}}"#, "NotAnArray"),
        (r#"{"batchItemFailures":"101"}"#, "NotAnArray"),
        (r#"{"batchItemFailures":""}"#, "NotAnArray"),
        (r#"{"batchItemFailures":1}"#, "NotAnArray"),
        (
            r#"{"batchItemFailures":[],"batchItemFailures":false}"#,
            "NotAnArray",
        ),
        (r#""processed 5 records""#, "NotAnObject"),
        ("true", "NotAnObject"),
        ("200", "NotAnObject"),
        ("[1]", "NotAnObject"),
        (r#"[{"batchItemFailures":[]}]"#, "NotAnObject"),
        ("ok", "InvalidJson"),
        ("{", "InvalidJson"),
        ("{} {}", "InvalidJson"),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"101"}]"#,
            "InvalidJson",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"\ud800"}]}"#,
            "InvalidJson",
        ),
    ] {
        assert_eq!(judged(body), invalid(why), "{body}");
    }
}

#[test]
fn without_reports_any_response_is_success() {
    for body in [
        "",
        "ok",
        r#"{"batchItemFailures":[{"itemIdentifier":"100"}]}"#,
        r#"{"batchItemFailures":1}"#,
    ] {
        assert_eq!(
            verdict(&Outcome::Response(body.into()), &batch(), false),
            Verdict::Done,
            "{body}"
        );
    }
}

#[test]
fn what_is_no_response_does_not_depend_on_reports() {
    let raised = |kind, error_type: &str| {
        Outcome::FunctionError(FunctionError {
            kind,
            error_type: error_type.to_owned(),
            message: "why".to_owned(),
        })
    };
    let failed = |error: &str| Verdict::Failed {
        response: Some(response(Some("Unhandled"))),
        error: error.to_owned(),
    };
    let throttled = |retry_after| Verdict::Throttled { retry_after };
    let second = Some(Duration::from_secs(1));
    for (outcome, expected) in [
        (
            raised(FunctionErrorKind::Raised, "ValueError"),
            failed("ValueError"),
        ),
        (raised(FunctionErrorKind::Raised, ""), failed("Unhandled")),
        (raised(FunctionErrorKind::Exited, ""), failed("Runtime.ExitError")),
        (raised(FunctionErrorKind::Crashed, ""), failed("Runtime.Crashed")),
        (
            raised(FunctionErrorKind::Garbage, ""),
            failed("Runtime.InvalidResponse"),
        ),
        (
            raised(FunctionErrorKind::ResponseTooLarge, ""),
            failed("Function.ResponseSizeTooLarge"),
        ),
        (raised(FunctionErrorKind::Init, ""), failed("Runtime.InitError")),
        (
            raised(FunctionErrorKind::InitTimeout, ""),
            failed("Runtime.InitTimeout"),
        ),
        (
            raised(FunctionErrorKind::Disconnected, ""),
            failed("Http.Disconnected"),
        ),
        (
            raised(FunctionErrorKind::Raised, &"ä".repeat(200)),
            failed(&"ä".repeat(128)),
        ),
        (
            Outcome::Timeout {
                after: Duration::from_secs(3),
            },
            failed("Sandbox.Timedout"),
        ),
        (Outcome::Throttled { retry_after: second }, throttled(second)),
        (Outcome::Throttled { retry_after: None }, throttled(None)),
        (
            Outcome::Unreachable {
                reason: "no route".to_owned(),
            },
            throttled(None),
        ),
    ] {
        for report in [false, true] {
            assert_eq!(verdict(&outcome, &batch(), report), expected, "{outcome:?}");
        }
    }
}

#[test]
fn a_batch_without_records_knows_no_id() {
    let body = Outcome::Response(r#"{"batchItemFailures":[{"itemIdentifier":"100"}]}"#.into());
    assert_eq!(
        verdict::<Seq>(&body, &[], true),
        invalid("UnknownIdentifier: '100'")
    );
    assert_eq!(
        verdict::<Seq>(&Outcome::Response("{}".into()), &[], true),
        Verdict::Done
    );
}

#[test]
fn an_id_stands_for_the_first_record_of_an_aggregate() {
    let mark = |n: u128, sub| Mark {
        seq: Seq::from_u128(n),
        sub,
    };
    let batch = [mark(1, 0), mark(2, 0), mark(2, 1), mark(2, 2)];
    let body = Outcome::Response(r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#.into());
    assert_eq!(verdict(&body, &batch, true), partial(1, 1));
}

/// A hostile or careless body must not exhaust the stack.
#[test]
fn deep_nesting_is_read_without_recursion() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    for (body, expected) in [
        (format!(r#"{{"other":{deep}}}"#), Verdict::Done),
        (deep.clone(), invalid("NotAnObject")),
        (
            format!(r#"{{"batchItemFailures":[{deep}]}}"#),
            invalid("InvalidEntry"),
        ),
    ] {
        assert_eq!(judged(&body), expected);
    }
}

proptest! {
    #[test]
    fn any_subset_fails_from_its_lowest(picked in vec(any::<bool>(), 1..40), extra: Option<String>) {
        let batch: Vec<Seq> = (0..picked.len()).map(|n| Seq::from_u128(1_000 + n as u128)).collect();
        let mut ids: Vec<String> =
            batch.iter().zip(&picked).filter(|(_, p)| **p).map(|(seq, _)| seq.to_string()).rev().collect();
        let unknown = extra.filter(|id| !batch.iter().any(|seq| seq.to_string() == *id));
        let spoilt = unknown.is_some();
        ids.extend(unknown);
        let items: Vec<_> = ids.iter().map(|id| serde_json::json!({ "itemIdentifier": id })).collect();
        let body = serde_json::json!({ "batchItemFailures": items }).to_string();
        let got = verdict(&Outcome::Response(body.into()), &batch, true);
        match picked.iter().position(|p| *p) {
            _ if spoilt => prop_assert!(matches!(got, Verdict::Failed { .. }), "{got:?}"),
            Some(index) => prop_assert_eq!(got, partial(index, picked.iter().filter(|p| **p).count())),
            None => prop_assert_eq!(got, Verdict::Done),
        }
    }

    #[test]
    fn any_bytes_get_a_verdict(body: Vec<u8>) {
        let got = verdict(&Outcome::Response(body.into()), &batch(), true);
        let spends_nothing = matches!(got, Verdict::Throttled { .. });
        prop_assert!(!spends_nothing);
    }
}
