//! What Lambda says, as tables.

use super::*;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

fn failure(outcome: Outcome) -> FunctionError {
    match outcome {
        Outcome::FunctionError(error) => error,
        other => panic!("{other:?}"),
    }
}

const GIVEN: Duration = Duration::from_secs(3);

#[test]
fn a_failure_is_told_apart_by_what_lambda_says_of_it() {
    use FunctionErrorKind::{Crashed, Exited, Garbage, Init, InitTimeout, Raised, ResponseTooLarge};
    for (how, payload, kind, error_type, message) in [
        (
            "Unhandled",
            r#"{"errorType":"ValueError","errorMessage":"no","stackTrace":["a"]}"#,
            Raised,
            "ValueError",
            "no",
        ),
        (
            "Handled",
            r#"{"errorType":"Runtime.ExitError","errorMessage":"own words"}"#,
            Raised,
            "Runtime.ExitError",
            "own words",
        ),
        (
            "Unhandled",
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: x Error: Runtime exited with error: exit status 3"}"#,
            Exited,
            "Runtime.ExitError",
            "RequestId: x Error: Runtime exited with error: exit status 3",
        ),
        (
            "Unhandled",
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: x Error: Runtime exited with error: signal: killed"}"#,
            Crashed,
            "Runtime.ExitError",
            "RequestId: x Error: Runtime exited with error: signal: killed",
        ),
        (
            "Unhandled",
            r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"long"}"#,
            ResponseTooLarge,
            "Function.ResponseSizeTooLarge",
            "long",
        ),
        (
            "Unhandled",
            r#"{"errorType":"Runtime.ImportModuleError","errorMessage":"No module named 'app'"}"#,
            Init,
            "Runtime.ImportModuleError",
            "No module named 'app'",
        ),
        (
            "Unhandled",
            r#"{"errorType":"Sandbox.InitTimeout","errorMessage":"late"}"#,
            InitTimeout,
            "Sandbox.InitTimeout",
            "late",
        ),
        (
            "Unhandled",
            r#"{"errorType":"Runtime.InvalidResponse","errorMessage":"?"}"#,
            Garbage,
            "Runtime.InvalidResponse",
            "?",
        ),
        ("Unhandled", "not JSON", Raised, "Unhandled", "not JSON"),
        ("Unhandled", "", Raised, "Unhandled", ""),
        (
            "Unhandled",
            r#"{"errorMessage":null}"#,
            Raised,
            "Unhandled",
            r#"{"errorMessage":null}"#,
        ),
        // Words of a function's own are none of Lambda's.
        (
            "Unhandled",
            r#"{"errorType":"MyError","errorMessage":"Task timed out after 1.00 seconds"}"#,
            Raised,
            "MyError",
            "Task timed out after 1.00 seconds",
        ),
    ] {
        let error = failure(function_error(how, payload.as_bytes(), "r-1", GIVEN));
        assert_eq!(
            (error.kind, error.error_type.as_str()),
            (kind, error_type),
            "{payload}"
        );
        assert_eq!(error.message, format!("{message} (Lambda's request r-1)"));
    }
    let long = format!(
        r#"{{"errorType":"{}","errorMessage":"{}"}}"#,
        "t".repeat(999),
        "m".repeat(99_999)
    );
    let error = failure(function_error("Unhandled", long.as_bytes(), "r", GIVEN));
    assert_eq!((error.error_type.len(), error.message.len()), (256, 4_096));
}

#[test]
fn a_function_that_did_not_return_in_time_timed_out() {
    for (payload, seconds) in [
        (
            r#"{"errorMessage":"2026-01-01T00:00:00.000Z 9b7e Task timed out after 60.06 seconds"}"#,
            60.06,
        ),
        (
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 9b7e Error: Task timed out after 1.00 seconds"}"#,
            1.0,
        ),
        (r#"{"errorMessage":"Task timed out after a while"}"#, 3.0),
        (r#"{"errorMessage":"Task timed out after -1 seconds"}"#, 3.0),
    ] {
        let outcome = function_error("Unhandled", payload.as_bytes(), "r", GIVEN);
        let after = Duration::from_secs_f64(seconds);
        assert_eq!(outcome, Outcome::Timeout { after }, "{payload}");
    }
}

#[derive(Debug, PartialEq)]
enum Means {
    Throttled,
    Failed,
    Unreachable(&'static str),
}

#[test]
fn what_kept_a_function_from_running_costs_no_attempt_unless_it_is_the_event() {
    use Means::{Failed, Throttled, Unreachable};
    for (status, code, means) in [
        (429, Some("TooManyRequestsException"), Throttled),
        (
            429,
            Some("com.amazonaws.lambda#TooManyRequestsException:http://x"),
            Throttled,
        ),
        (409, Some("ResourceConflictException"), Throttled),
        (409, Some("SnapStartNotReadyException"), Throttled),
        (502, Some("EC2ThrottledException"), Throttled),
        (502, Some("ENILimitReachedException"), Throttled),
        (502, Some("ResourceNotReadyException"), Throttled),
        (502, Some("SubnetIPAddressLimitReachedException"), Throttled),
        (400, Some("ThrottlingException"), Throttled),
        (429, None, Throttled),
        (503, None, Throttled),
        (503, Some("ServiceUnavailableException"), Throttled),
        (413, Some("RequestTooLargeException"), Failed),
        (413, None, Failed),
        (400, Some("InvalidRequestContentException"), Failed),
        (
            404,
            Some("ResourceNotFoundException"),
            Unreachable("the function does not exist"),
        ),
        (
            403,
            Some("AccessDeniedException"),
            Unreachable("may not be called with these credentials"),
        ),
        (
            403,
            Some("InvalidSignatureException"),
            Unreachable("Lambda does not run the function"),
        ),
        (
            400,
            Some("InvalidParameterValueException"),
            Unreachable("Lambda does not run the function"),
        ),
        (
            400,
            Some("RecursiveInvocationException"),
            Unreachable("Lambda does not run the function"),
        ),
        (
            502,
            Some("KMSDisabledException"),
            Unreachable("Lambda does not run the function"),
        ),
        (
            502,
            Some("EC2AccessDeniedException"),
            Unreachable("Lambda does not run the function"),
        ),
        (
            500,
            Some("ServiceException"),
            Unreachable("ServiceException: why"),
        ),
        (500, None, Unreachable("HTTP status 500")),
        (504, None, Unreachable("HTTP status 504")),
        (301, None, Unreachable("HTTP status 301")),
    ] {
        let wait = Some(Duration::from_secs(7));
        match (refused(status, code, "why", wait), means) {
            (Outcome::Throttled { retry_after }, Throttled) => assert_eq!(retry_after, wait),
            (Outcome::FunctionError(error), Failed) => {
                assert_eq!(error.kind, FunctionErrorKind::Raised);
                assert!(error.error_type.ends_with("Exception"), "{error:?}");
            }
            (Outcome::Unreachable { reason }, Unreachable(part)) => {
                assert!(reason.contains(part), "{reason}");
            }
            (outcome, means) => panic!("{status} {code:?}: {outcome:?}, wanted {means:?}"),
        }
    }
}

#[test]
fn a_wait_is_taken_in_seconds_and_bounded() {
    for (text, expected) in [
        (Some("7"), Some(7)),
        (Some(" 60 "), Some(60)),
        (Some("3600"), Some(60)),
        (Some("0"), None),
        (Some("soon"), None),
        (Some("-1"), None),
        (None, None),
    ] {
        assert_eq!(retry_after(text), expected.map(Duration::from_secs), "{text:?}");
    }
}

#[test]
fn what_never_left_costs_no_attempt_and_what_broke_on_the_way_does() {
    let io = || std::io::Error::other("boom");
    let raw = || HttpResponse::new(200_u16.try_into().unwrap(), SdkBody::empty());
    let unreachable: [SdkError<InvokeError, HttpResponse>; 4] = [
        SdkError::construction_failure(io()),
        SdkError::dispatch_failure(ConnectorError::io(io().into())),
        SdkError::dispatch_failure(ConnectorError::timeout(io().into())),
        SdkError::dispatch_failure(ConnectorError::other("no credentials".into(), None)),
    ];
    for error in unreachable {
        let Outcome::Unreachable { reason } = of_error(&error) else {
            panic!("{error:?}")
        };
        assert!(reason.starts_with("Lambda cannot be reached: "), "{reason}");
    }
    let broken = failure(of_error(&SdkError::response_error(io(), raw())));
    assert_eq!(broken.kind, FunctionErrorKind::Disconnected);
    assert!(broken.message.contains("boom"), "{}", broken.message);
    let long = failure(of_error(&SdkError::response_error(TooLong(7_000_000), raw())));
    assert_eq!(long.kind, FunctionErrorKind::ResponseTooLarge);
    assert!(long.message.contains("7000000 bytes"), "{}", long.message);
}
