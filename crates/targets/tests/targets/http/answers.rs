//! Whole answers, and what is sent.

use super::server::{Seen, Server, request, say};
use super::{event, event_of, failure, hurried, invoker, returned, try_invoker};
use crate::rig::{invocation, response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use millstream_ports::Body;
use millstream_targets::{HttpOptions, HttpReach};
use millstream_types::invocation::FunctionErrorKind::{Garbage, Raised, ResponseTooLarge};
use millstream_types::invocation::RecordRange;
use millstream_types::{Outcome, Payload, TraceContext};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A server whose answer has the status that is in the path, e.g. `/503`.
async fn by_path(headers: &'static [(&'static str, &'static str)], body: &'static str) -> Server {
    Server::hyper(move |request| {
        let mut answer = Response::builder().status(&request.uri().path()[1..]);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap()
    })
    .await
}

#[tokio::test]
async fn success_is_the_response() {
    let failures = r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#;
    let server = by_path(&[], failures).await;
    for status in [200, 201, 202, 299] {
        let outcome = invoker(&server.url(&format!("/{status}")))
            .invoke(event("{}"))
            .await;
        assert_eq!(outcome, returned(failures), "{status}");
    }
    let empty = invoker(&server.url("/204")).invoke(event("{}")).await;
    assert_eq!(empty, returned(""), "204 has no body, whatever its function says");
}

#[tokio::test]
async fn a_throttle_is_no_failure_and_says_for_how_long() {
    for (headers, seconds) in [
        (&[("retry-after", "7")][..], Some(7)),
        (&[("retry-after", "3600")], Some(60)),
        (&[], None),
        (&[("retry-after", "soon")], None),
    ] {
        let server = by_path(headers, "busy").await;
        for status in [429, 503] {
            let outcome = invoker(&server.url(&format!("/{status}")))
                .invoke(event("{}"))
                .await;
            let retry_after = seconds.map(Duration::from_secs);
            assert_eq!(
                outcome,
                Outcome::Throttled { retry_after },
                "{status} {headers:?}"
            );
        }
    }
    // A date is seen from the time of the answer, which hyper's server tells.
    let at = httpdate_in(Duration::from_secs(3_600));
    let server = Server::hyper(move |_| {
        let answer = Response::builder().status(503).header("retry-after", &at);
        answer.body(Full::default()).unwrap()
    })
    .await;
    let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
    let retry_after = Some(Duration::from_mins(1));
    assert_eq!(outcome, Outcome::Throttled { retry_after });
}

fn httpdate_in(time: Duration) -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + time)
}

#[tokio::test]
async fn any_other_status_is_a_failure_with_the_beginning_of_its_body() {
    let server = by_path(&[], "the database is gone").await;
    for (status, text) in [
        (400, "400 Bad Request"),
        (404, "404 Not Found"),
        (408, "408 Request Timeout"),
        (500, "500 Internal Server Error"),
        (502, "502 Bad Gateway"),
        (504, "504 Gateway Timeout"),
    ] {
        let outcome = invoker(&server.url(&format!("/{status}")))
            .invoke(event("{}"))
            .await;
        let error = failure(outcome, Raised, &format!("Http.{status}"));
        assert_eq!(error.message, format!("{text}: the database is gone"));
    }
    let long = Server::hyper(|_| {
        let body = Full::from("x".repeat(1_000_000));
        Response::builder().status(500).body(body).unwrap()
    })
    .await;
    let error = failure(
        invoker(&long.url("/")).invoke(event("{}")).await,
        Raised,
        "Http.500",
    );
    assert_eq!(error.message.len(), "500 Internal Server Error: ".len() + 1_024);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Server::hyper(|_| Response::new(Full::default())).await;
    let to = elsewhere.url("/there");
    let server = Server::hyper(move |request| {
        let answer = Response::builder().status(&request.uri().path()[1..]);
        answer.header("location", &to).body(Full::default()).unwrap()
    })
    .await;
    for status in [301, 302, 303, 307, 308] {
        let outcome = invoker(&server.url(&format!("/{status}")))
            .invoke(event("{}"))
            .await;
        let error = failure(outcome, Raised, &format!("Http.{status}"));
        let part = format!("to {}: a redirect is never followed", elsewhere.url("/there"));
        assert!(error.message.contains(&part), "{}", error.message);
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn the_event_is_posted_with_what_a_server_needs() {
    let server = Server::hyper(|request| {
        let headers: BTreeMap<&str, &str> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let body = str::from_utf8(request.body()).unwrap();
        let seen = json!({
            "method": request.method().as_str(), "uri": request.uri().to_string(), "body": body, "headers": headers,
        });
        Response::new(Full::from(seen.to_string()))
    })
    .await;
    let mut sent = event(r#"{"Records":[]}"#);
    sent.trace = Some(TraceContext {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        tracestate: None,
    });
    let (id, invoker) = (
        sent.request_id.to_string(),
        invoker(&server.url("/events?of=orders")),
    );
    assert_eq!(invoker.body(), Body::Json);
    let seen = response(invoker.invoke(sent).await);
    assert_eq!(
        (&seen["method"], &seen["uri"], &seen["body"]),
        (
            &json!("POST"),
            &json!("/events?of=orders"),
            &json!(r#"{"Records":[]}"#)
        )
    );
    let headers = &seen["headers"];
    for (name, expected) in [
        ("host", server.addr.to_string().as_str()),
        ("content-type", "application/json"),
        ("content-length", "14"),
        ("lambda-runtime-aws-request-id", &id),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:tested",
        ),
        ("idempotency-key", "mapping/shard/1-2"),
        ("millstream-attempt", "3"),
        ("millstream-lease-epoch", "7"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1",
        ),
    ] {
        assert_eq!(headers[name], json!(expected), "{name}");
    }
    let deadline: u128 = headers["lambda-runtime-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    assert!(deadline > now && deadline <= now + 10_000, "{deadline} {now}");
    assert!(headers["user-agent"].as_str().unwrap().starts_with("millstream/"));
}

#[tokio::test]
async fn a_url_without_a_path_means_the_root() {
    let server = Server::hyper(|request| Response::new(Full::from(request.uri().to_string()))).await;
    for (path, expected) in [("", "/"), ("/", "/"), ("?a=b", "/?a=b")] {
        let outcome = invoker(&server.url(path)).invoke(event("{}")).await;
        assert_eq!(outcome, returned(expected), "'{path}'");
    }
}

#[tokio::test]
async fn a_response_may_be_as_long_as_lambdas_and_not_a_byte_longer() {
    const MOST: usize = 6_291_556;
    let server = Server::hyper(|request| {
        let length = str::from_utf8(request.body()).unwrap().parse().unwrap();
        Response::new(Full::from(vec![b'x'; length]))
    })
    .await;
    let invoker = invoker(&server.url("/"));
    let Outcome::Response(body) = invoker.invoke(event("6291556")).await else {
        panic!()
    };
    assert_eq!(body.len(), MOST);
    let outcome = invoker.invoke(event("6291557")).await;
    let error = failure(outcome, ResponseTooLarge, "Function.ResponseSizeTooLarge");
    assert!(error.message.contains("6291557"), "{}", error.message);
    assert_eq!(invoker.invoke(event("0")).await, returned(""));
}

#[tokio::test]
async fn a_response_without_a_length_is_refused_while_it_streams() {
    // It never ends: only a client that stops by itself comes out of this.
    let server = Server::start(|mut stream, _| async move {
        request(&mut stream).await;
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while tokio::io::AsyncWriteExt::write_all(&mut stream, chunk.as_bytes())
            .await
            .is_ok()
        {}
    })
    .await;
    let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
    failure(outcome, ResponseTooLarge, "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn headers_are_bounded() {
    let server = Server::hyper(|request| {
        let length = str::from_utf8(request.body()).unwrap().parse().unwrap();
        let answer = Response::builder().header("x", "y".repeat(length));
        answer.body(Full::default()).unwrap()
    })
    .await;
    let invoker = invoker(&server.url("/"));
    assert_eq!(invoker.invoke(event("15000")).await, returned(""));
    for length in ["17000", "70000", "1000000"] {
        let error = failure(invoker.invoke(event(length)).await, Garbage, "Http.InvalidAnswer");
        assert!(error.message.contains("16384 bytes"), "{}", error.message);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_timeout_and_its_connection_is_closed() {
    let ends: Seen<&str> = Arc::default();
    for (what, head) in [
        ("no answer", ""),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-"),
        (
            "half a body",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"",
        ),
    ] {
        let (seen, before) = (Arc::clone(&ends), ends.lock().unwrap().len());
        let server = Server::start(move |mut stream, _| {
            let seen = Arc::clone(&seen);
            async move {
                request(&mut stream).await;
                say(&mut stream, head).await;
                if request(&mut stream).await.is_none() {
                    seen.lock().unwrap().push(what);
                }
            }
        })
        .await;
        let outcome = invoker(&server.url("/")).invoke(hurried()).await;
        let after = Duration::from_millis(300);
        assert_eq!(outcome, Outcome::Timeout { after }, "{what}");
        crate::rig::until("the server sees the end", || ends.lock().unwrap().len() > before).await;
    }
}

#[tokio::test]
async fn a_status_that_says_it_all_needs_no_body() {
    for (status, end) in [
        ("429 Too Many Requests", true),
        ("500 Oh No", true),
        ("429 x", false),
        ("500 x", false),
    ] {
        let server = Server::start(move |mut stream, _| async move {
            request(&mut stream).await;
            say(
                &mut stream,
                format!("HTTP/1.1 {status}\r\ncontent-length: 99\r\n\r\nbecause"),
            )
            .await;
            if !end {
                request(&mut stream).await; // stays open until the client ends it
            }
        })
        .await;
        let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
        if status.starts_with("429") {
            assert_eq!(outcome, Outcome::Throttled { retry_after: None });
        } else {
            let error = failure(outcome, Raised, "Http.500");
            assert!(error.message.ends_with(": because"), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let server = Server::start(|mut stream, _| async move {
        request(&mut stream).await;
        say(&mut stream, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await;
        say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    assert_eq!(
        invoker(&server.url("/")).invoke(event("{}")).await,
        returned("ok")
    );
}

#[tokio::test]
async fn an_answer_that_comes_before_the_whole_request_counts() {
    for lingers in [true, false] {
        let server = Server::start(move |mut stream, _| async move {
            let mut some = [0; 1_000];
            tokio::io::AsyncReadExt::read(&mut stream, &mut some)
                .await
                .unwrap();
            let answer =
                "HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig";
            say(&mut stream, answer).await;
            if lingers {
                let mut rest = Vec::new();
                let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
                drop(read);
            }
        })
        .await;
        let outcome = invoker(&server.url("/")).invoke(event_of(6_000_000)).await;
        let error = failure(outcome, Raised, "Http.413");
        assert!(error.message.ends_with(": big"), "{}", error.message);
    }
}

#[tokio::test]
async fn records_are_not_json() {
    let records = RecordRange {
        all: Arc::from([]),
        range: 0..0,
    };
    let outcome = invoker("http://127.0.0.1:9/")
        .invoke(invocation(Payload::Records(records)))
        .await;
    assert!(super::unreachable(outcome).contains("JSON"));
}

#[test]
fn what_can_never_be_called_is_refused_at_once() {
    let public_only = HttpOptions {
        reach: HttpReach::PublicOnly,
        ..HttpOptions::default()
    };
    for (url, options, part) in [
        (
            "http://169.254.169.254/latest",
            HttpOptions::default(),
            "link-local",
        ),
        (
            "http://[::ffff:169.254.169.254]/",
            HttpOptions::default(),
            "link-local",
        ),
        ("http://[fd00:ec2::254]/", HttpOptions::default(), "metadata"),
        ("http://0.0.0.0:80/", HttpOptions::default(), "unspecified"),
        ("http://127.0.0.1:80/", public_only.clone(), "public"),
        ("http://[::1]:80/", public_only, "public"),
        (
            "ftp://example.com/",
            HttpOptions::default(),
            "neither http nor https",
        ),
        ("/path", HttpOptions::default(), "host"),
        ("http://a b/", HttpOptions::default(), "URL"),
    ] {
        let refusal = try_invoker(url, options).err().unwrap();
        assert!(
            refusal.contains(part) && refusal.contains("tested"),
            "{url}: {refusal}"
        );
    }
}
