//! Requests signed elsewhere, and what becomes of them when anything is changed.

use super::*;
use hyper::Request;

/// The moment of AWS's published examples, 2015-08-30 12:36:00.
const NOW: Wall = Wall(1_440_938_160_000);

/// What is different from the published request.
#[derive(Default)]
struct Change {
    method: Option<&'static str>,
    uri: Option<&'static str>,
    date: Option<&'static str>,
    authorization: Option<&'static str>,
    body: &'static [u8],
    extra: Option<(&'static str, &'static str)>,
    later_seconds: i64,
    service: Option<&'static str>,
}

/// The example `get-vanilla-query-order-key-case` of AWS's test suite for Signature Version 4.
const PUBLISHED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                         SignedHeaders=host;x-amz-date, \
                         Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";

fn verdict(change: &Change) -> Option<(Exception, String)> {
    let keys = AccessKeys::parse("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap();
    let mut request = Request::builder()
        .method(change.method.unwrap_or("GET"))
        .uri(change.uri.unwrap_or("/?Param2=value2&Param1=value1"))
        .header("host", "example.amazonaws.com")
        .header("x-amz-date", change.date.unwrap_or("20150830T123600Z"));
    match change.authorization.unwrap_or(PUBLISHED) {
        "" => {}
        text => request = request.header("authorization", text),
    }
    if let Some((name, value)) = change.extra {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let now = Wall(NOW.0.saturating_add_signed(change.later_seconds * 1_000));
    let service = change.service.unwrap_or("service");
    check(&parts, change.body, service, &keys, now)
        .err()
        .map(|e| (e.exception, e.message))
}

fn exception(change: &Change) -> Option<Exception> {
    verdict(change).map(|(exception, _)| exception)
}

#[test]
fn the_published_example_is_let_in() {
    assert_eq!(verdict(&Change::default()), None);
}

#[test]
fn whatever_is_changed_is_noticed() {
    let wrong = Some(Exception::InvalidSignature);
    for change in [
        Change {
            method: Some("POST"),
            ..Change::default()
        },
        Change {
            uri: Some("/x?Param2=value2&Param1=value1"),
            ..Change::default()
        },
        Change {
            uri: Some("/?Param2=value2&Param1=value3"),
            ..Change::default()
        },
        Change {
            body: b"x",
            ..Change::default()
        },
        Change {
            date: Some("20150830T123601Z"),
            ..Change::default()
        },
        Change {
            extra: Some(("x-amz-date", "20150830T123600Z")),
            ..Change::default()
        },
        Change {
            extra: Some(("x-amz-content-sha256", "UNSIGNED-PAYLOAD")),
            ..Change::default()
        },
        Change {
            extra: Some(("host", "evil.example")),
            ..Change::default()
        },
    ] {
        let found = exception(&change);
        assert!(
            found == wrong || found == Some(Exception::IncompleteSignature),
            "{found:?}"
        );
        assert!(found.is_some());
    }
    let (_, message) = verdict(&Change {
        body: b"x",
        ..Change::default()
    })
    .unwrap();
    assert_eq!(message, MISMATCH);
}

#[test]
fn clocks_may_be_five_minutes_apart() {
    for (later_seconds, ok) in [(0, true), (300, true), (301, false), (-300, true), (-301, false)] {
        let found = verdict(&Change {
            later_seconds,
            ..Change::default()
        });
        assert_eq!(found.is_none(), ok, "{later_seconds}: {found:?}");
    }
    let (_, message) = verdict(&Change {
        later_seconds: 600,
        ..Change::default()
    })
    .unwrap();
    assert_eq!(
        message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T124100Z (20150830T124600Z - 5 min.)"
    );
}

#[test]
fn what_is_missing_or_malformed_is_said() {
    use Exception as E;
    let with = |authorization: &'static str| Change {
        authorization: Some(authorization),
        ..Change::default()
    };
    for (authorization, expected) in [
        ("", E::MissingAuthenticationToken),
        ("Bearer x", E::IncompleteSignature),
        (
            "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00",
            E::IncompleteSignature,
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service, SignedHeaders=host, Signature=00",
            E::IncompleteSignature,
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d",
            E::IncompleteSignature,
        ),
        (
            "AWS4-HMAC-SHA256 Credential=OTHER/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            E::UnrecognizedClient,
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150829/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            E::InvalidSignature,
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            E::InvalidSignature,
        ),
    ] {
        assert_eq!(exception(&with(authorization)), Some(expected), "{authorization}");
    }
    let (found, message) = verdict(&Change {
        service: Some("lambda"),
        ..Change::default()
    })
    .unwrap();
    assert_eq!(found, E::InvalidSignature);
    assert_eq!(
        message,
        "Credential should be scoped to correct service: 'lambda'."
    );
}

#[test]
fn without_keys_nothing_is_looked_at() {
    let (parts, ()) = Request::builder().body(()).unwrap().into_parts();
    assert_eq!(check(&parts, b"", "lambda", &AccessKeys::default(), NOW), Ok(()));
}

#[test]
fn queries_and_paths_are_encoded_as_signers_do() {
    for (query, expected) in [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1", "a=1&a=2"),
        ("tagKeys=b%20c&flag", "flag=&tagKeys=b%20c"),
        ("a=%2f%7e", "a=%2F~"),
        ("a=x+y", "a=x%2By"),
    ] {
        assert_eq!(canonical_query(query), expected, "{query}");
    }
    assert_eq!(
        encode(b"/2017-03-31/tags/arn%3Aaws", b"/"),
        "/2017-03-31/tags/arn%253Aaws"
    );
}

#[test]
fn times_are_read_and_written() {
    for at in [0, 951_782_400, 951_868_799, 1_440_938_160, 4_102_444_799] {
        assert_eq!(seconds(&basic(at)), Some(at), "{}", basic(at));
    }
    assert_eq!(basic(1_440_938_160), "20150830T123600Z");
    assert_eq!(basic(951_782_400), "20000229T000000Z");
    for text in [
        "",
        "20150830T123600",
        "2015-08-30T12:36Z",
        "20151330T123600Z",
        "20150830T253600Z",
    ] {
        assert_eq!(seconds(text), None, "{text}");
    }
}
