//! What goes over the wire, and what becomes of it.

use crate::script::{Do, Script, answer};
use bytes::Bytes;
use millstream_ports::{Body, FindError, FindFunction as _, InvokeFactory};
use millstream_sources::{ConnectionSettings, Connections, Connector, LambdaFunctions};
use millstream_types::invocation::{FunctionErrorKind, MAX_RESPONSE};
use millstream_types::{
    Applied, FoundFunction, Function, FunctionName, FunctionSpec, Invocation, LambdaFunction, LambdaTarget,
    Namespace, Outcome, Payload, RequestId, Tags, Target, TraceContext, Wall,
};
use std::sync::Arc;
use std::time::Duration;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:orders:live";

fn function(named: &str) -> Function {
    Function {
        namespace: Namespace::default(),
        name: FunctionName::new("orders").unwrap(),
        spec: FunctionSpec {
            target: Target::Lambda(LambdaTarget {
                function: named.to_owned(),
            }),
            timeout_ms: 3_000,
            concurrency: 1,
        },
        generation: 1,
        revision: 1,
        created: Wall(0),
        modified: Wall(0),
        request_id: None,
        applied: Applied::default(),
        tags: Tags::default(),
    }
}

fn invocation() -> Invocation {
    Invocation {
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:orders".into(),
        payload: Payload::Json(Bytes::from_static(br#"{"Records":[]}"#)),
        window: None,
        request_id: RequestId::from_random(1),
        attempt: 1,
        timeout: Duration::from_secs(3),
        trace: None,
        idempotency_key: "k".into(),
        mapping: None,
        lease: None,
    }
}

/// Over one connection for everything of Lambda, to a server at this port.
fn functions(port: u16, region: Option<&str>) -> (LambdaFunctions, tempfile::NamedTempFile) {
    let keys = tempfile::NamedTempFile::new().unwrap();
    let profile = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n";
    std::fs::write(keys.path(), profile).unwrap();
    let settings = ConnectionSettings {
        pattern: "arn:aws:lambda:*".to_owned(),
        region: region.map(str::to_owned),
        endpoint_url: Some(format!("http://127.0.0.1:{port}")),
        credentials: Some(format!("file:{}", keys.path().display())),
    };
    let connections = Connections::read(&[settings]).unwrap();
    (LambdaFunctions::new(Arc::new(Connector::new(connections))), keys)
}

/// One invocation of a server that does this; and what it was asked.
async fn invoked(what: Do, invocation: Invocation) -> (Outcome, Script) {
    let script = Script::always(what).await;
    let (functions, _keys) = functions(script.port, None);
    let invoker = functions.invoker(&function(ARN)).unwrap();
    assert_eq!(invoker.body(), Body::Json);
    (invoker.invoke(invocation).await, script)
}

#[tokio::test]
async fn the_event_is_sent_once_to_the_function_as_it_is_named_and_waited_for() {
    let traced = Invocation {
        trace: Some(TraceContext {
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            tracestate: None,
        }),
        ..invocation()
    };
    let (outcome, script) = invoked(answer("200 OK", &[], r#"{"batchItemFailures":[]}"#), traced).await;
    assert_eq!(
        outcome,
        Outcome::Response(Bytes::from_static(br#"{"batchItemFailures":[]}"#))
    );
    let requests = script.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"Records":[]}"#);
    let named = ARN.replace(':', "%3A");
    assert!(
        head.starts_with(&format!(
            "POST /2015-03-31/functions/{named}/invocations HTTP/1.1"
        )),
        "{head}"
    );
    let head = head.to_lowercase();
    for part in [
        "x-amz-invocation-type: requestresponse",
        "x-amzn-trace-id: root=1-0af76519-16cd43dd8448eb211c80319c;parent=b7ad6b7169203331;sampled=1",
        "/eu-west-1/lambda/aws4_request",
    ] {
        assert!(head.contains(part), "no {part} in {head}");
    }
}

#[tokio::test]
async fn answers_become_outcomes_and_nothing_is_tried_again_here() {
    let failed = r#"{"errorType":"ValueError","errorMessage":"boom"}"#;
    let (outcome, script) = invoked(
        answer("200 OK", &[("x-amz-function-error", "Unhandled")], failed),
        invocation(),
    )
    .await;
    let Outcome::FunctionError(error) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (error.kind, error.error_type.as_str()),
        (FunctionErrorKind::Raised, "ValueError")
    );
    assert_eq!(script.requests().len(), 1);

    let body = r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}"#;
    let throttled = answer(
        "429 Too Many Requests",
        &[
            ("x-amzn-errortype", "TooManyRequestsException"),
            ("retry-after", "5"),
        ],
        body,
    );
    let (outcome, script) = invoked(throttled, invocation()).await;
    let retry_after = Some(Duration::from_secs(5));
    assert_eq!(outcome, Outcome::Throttled { retry_after });
    assert_eq!(script.requests().len(), 1);

    for (status, code, part) in [
        (
            "500 Internal Server Error",
            "ServiceException",
            "ServiceException",
        ),
        ("404 Not Found", "ResourceNotFoundException", "does not exist"),
        ("403 Forbidden", "AccessDeniedException", "may not be called"),
    ] {
        let refused = answer(status, &[("x-amzn-errortype", code)], r#"{"Message":"why"}"#);
        let (outcome, script) = invoked(refused, invocation()).await;
        let Outcome::Unreachable { reason } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(reason.contains(part) && reason.contains("why"), "{reason}");
        assert_eq!(script.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let longest = "x".repeat(MAX_RESPONSE);
    let (outcome, _script) = invoked(answer("200 OK", &[], &longest), invocation()).await;
    assert_eq!(outcome, Outcome::Response(Bytes::from(longest.clone())));

    let (outcome, _script) = invoked(answer("200 OK", &[], &format!("{longest}x")), invocation()).await;
    let Outcome::FunctionError(error) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(error.kind, FunctionErrorKind::ResponseTooLarge);

    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (outcome, script) = invoked(Do::Pour(head.to_owned()), invocation()).await;
    let Outcome::FunctionError(error) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(error.kind, FunctionErrorKind::ResponseTooLarge);
    // What is beyond was on its way: a socket's buffers, not more.
    assert!(script.poured() < 3 * MAX_RESPONSE as u64, "{}", script.poured());
}

#[tokio::test]
async fn what_broke_on_the_way_may_have_run_and_what_was_never_sent_has_not() {
    for what in [
        Do::HangUp,
        Do::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()),
    ] {
        let (outcome, script) = invoked(what, invocation()).await;
        let Outcome::FunctionError(error) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(error.kind, FunctionErrorKind::Disconnected, "{error:?}");
        assert_eq!(script.requests().len(), 1);
    }

    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let (functions, _keys) = functions(nobody, None);
    let outcome = functions
        .invoker(&function(ARN))
        .unwrap()
        .invoke(invocation())
        .await;
    let Outcome::Unreachable { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(reason.starts_with("Lambda cannot be reached: "), "{reason}");
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let script = Script::always(Do::Nothing).await;
    let (functions, keys) = functions(script.port, None);
    std::fs::write(keys.path(), "[other]\n").unwrap();
    let outcome = functions
        .invoker(&function(ARN))
        .unwrap()
        .invoke(invocation())
        .await;
    assert!(matches!(outcome, Outcome::Unreachable { .. }), "{outcome:?}");
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_function_that_never_returns_times_out() {
    let script = Script::always(Do::Nothing).await;
    let (functions, _keys) = functions(script.port, None);
    let functions = functions.with_start_wait(Duration::ZERO);
    let hasty = Invocation {
        timeout: Duration::from_millis(1),
        ..invocation()
    };
    let outcome = functions.invoker(&function(ARN)).unwrap().invoke(hasty).await;
    let after = Duration::from_millis(1);
    assert_eq!(outcome, Outcome::Timeout { after });
}

#[test]
fn a_function_needs_a_connection_and_a_region() {
    let (with_region, _keys) = functions(1, Some("eu-west-1"));
    for named in ["orders", "123456789012:function:orders:live", ARN] {
        assert!(with_region.invoker(&function(named)).is_ok(), "{named}");
    }
    let (without, _keys) = functions(1, None);
    assert!(without.invoker(&function(ARN)).is_ok());
    let why = without.invoker(&function("orders")).err().unwrap();
    assert!(
        why.contains("neither arn:aws:lambda:*:*:function:orders nor its connection names a region"),
        "{why}"
    );
    let elsewhere = "arn:aws-cn:lambda:cn-north-1:123456789012:function:orders";
    let why = with_region.invoker(&function(elsewhere)).err().unwrap();
    assert!(
        why.contains("no connection serves") && why.contains("`connections`"),
        "{why}"
    );
    let mut closure = function("orders");
    closure.spec.target = Target::InProcess;
    assert!(with_region.invoker(&closure).is_err());
}

/// What a server that does this tells of the function of this name; and what it was asked.
async fn found(what: Do, given: &str) -> (Result<FoundFunction, FindError>, Script) {
    let script = Script::always(what).await;
    let (functions, _keys) = functions(script.port, Some("eu-west-1"));
    (functions.find(given).await, script)
}

fn configuration(seconds: u32) -> Do {
    let body = format!(
        r#"{{"FunctionName":"orders","FunctionArn":"arn:aws:lambda:eu-west-1:123456789012:function:orders",
        "Role":"arn:aws:iam::123456789012:role/orders","Timeout":{seconds},"Version":"$LATEST"}}"#
    );
    answer("200 OK", &[], &body)
}

#[tokio::test]
async fn a_function_is_looked_for_by_the_name_that_is_given() {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:orders";
    let live = format!("{arn}:live");
    for (given, expected) in [
        ("orders", arn),
        ("orders:live", &live),
        ("123456789012:function:orders:live", &live),
        (&live, &live),
    ] {
        let (told, script) = found(configuration(60), given).await;
        let expected = FoundFunction {
            arn: expected.into(),
            role: Some("arn:aws:iam::123456789012:role/orders".into()),
            timeout_ms: 60_000,
        };
        assert_eq!(told, Ok(expected), "{given}");
        let requests = script.requests();
        let named = given.replace(':', "%3A");
        assert!(
            requests[0].starts_with(&format!(
                "GET /2015-03-31/functions/{named}/configuration HTTP/1.1"
            )),
            "{}",
            requests[0]
        );
    }
}

#[tokio::test]
async fn a_function_that_is_not_found_is_told_apart_from_one_that_cannot_be_looked_for() {
    let refused = |status, code| answer(status, &[("x-amzn-errortype", code)], r#"{"Message":"why"}"#);
    let gone = refused("404 Not Found", "ResourceNotFoundException");
    let (told, _) = found(gone, "orders").await;
    assert!(
        matches!(&told, Err(FindError::NotFound(text)) if text.contains("why")),
        "{told:?}"
    );
    let (told, _) = found(refused("403 Forbidden", "AccessDeniedException"), "orders").await;
    assert!(
        matches!(&told, Err(FindError::Refused(text)) if text.contains("why")),
        "{told:?}"
    );
    let (told, _) = found(
        refused("429 Too Many Requests", "TooManyRequestsException"),
        "orders",
    )
    .await;
    assert!(matches!(&told, Err(FindError::Unavailable(_))), "{told:?}");
    let elsewhere = "arn:aws-cn:lambda:cn-north-1:123456789012:function:orders";
    let (told, script) = found(Do::Nothing, elsewhere).await;
    assert_eq!(told, Err(FindError::NotServed(elsewhere.to_owned())));
    assert!(script.requests().is_empty());
}

/// Its owner may give it more time at any moment; what it is given here is what it had when the mapping named it.
#[tokio::test]
async fn a_late_answer_of_a_function_that_was_given_more_time_is_waited_for() {
    let Do::Say(well) = answer("200 OK", &[], "{}") else {
        unreachable!()
    };
    let late = Do::Later(Duration::from_millis(300), well);
    for (told, seconds, expected) in [
        (late, 60, Outcome::Response(Bytes::from_static(b"{}"))),
        (
            Do::Nothing,
            0,
            Outcome::Timeout {
                after: Duration::from_millis(1),
            },
        ),
    ] {
        let asked = configuration(seconds);
        let (asked, told) = (Box::new(asked), Box::new(told));
        let script = Script::always(Do::Either { asked, told }).await;
        let (functions, _keys) = functions(script.port, None);
        let function = LambdaFunction {
            given: ARN.into(),
            found: Some(Arc::new(FoundFunction {
                arn: ARN.into(),
                role: None,
                timeout_ms: 1,
            })),
        };
        let invoker = functions
            .with_start_wait(Duration::ZERO)
            .lambda(&function)
            .unwrap();
        // Longer than anything: the function's own timeout is the one that counts.
        let patient = Invocation {
            timeout: Duration::from_mins(15),
            ..invocation()
        };
        assert_eq!(invoker.invoke(patient).await, expected);
        let requests = script.requests();
        assert_eq!(
            requests.len(),
            2,
            "it is called once, and asked about once: {requests:?}"
        );
    }
}
