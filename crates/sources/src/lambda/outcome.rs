//! What an answer means for the attempt.

use super::bounded::{TooLong, causes};
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use millstream_types::Outcome;
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use serde::Deserialize;
use std::error::Error;
use std::time::Duration;

/// Longest wait that is taken from a `Retry-After`; a service that asks for more is asked again after this much.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// How Lambda tells that a function did not return in time, before the seconds.
const TIMED_OUT: &str = "Task timed out after ";

/// What `answer` means; `timeout` is what the function was given here.
pub(super) fn of_answer(answer: InvokeOutput, timeout: Duration) -> Outcome {
    let request = answer.request_id().unwrap_or("unknown").to_owned();
    let payload = answer.payload.map(|blob| Bytes::from(blob.into_inner()));
    let payload = payload.unwrap_or_default();
    match answer.function_error {
        None => Outcome::Response(payload),
        Some(how) => function_error(&how, &payload, &request, timeout),
    }
}

/// What the payload of a failure tells. Runtimes add more.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "errorType")]
    kind: Option<String>,
    #[serde(rename = "errorMessage")]
    message: Option<String>,
}

/// The failure of a function that ran. `how` is `Handled` or `Unhandled`.
fn function_error(how: &str, payload: &[u8], request: &str, timeout: Duration) -> Outcome {
    let told: Told = serde_json::from_slice(payload).unwrap_or_default();
    let excerpt = || String::from_utf8_lossy(payload).into_owned();
    let message = told.message.unwrap_or_else(excerpt);
    let error_type = told.kind.unwrap_or_default();
    // A function can raise an error of such a text itself: then it is handled, or has a type of its own.
    if matches!(error_type.as_str(), "" | "Sandbox.Timedout" | "Sandbox.Timeout")
        && how != "Handled"
        && let Some((_, after)) = message.split_once(TIMED_OUT)
    {
        let seconds = after.split(' ').next().and_then(|s| s.parse::<f64>().ok());
        let after = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        return Outcome::Timeout {
            after: after.unwrap_or(timeout),
        };
    }
    let kind = match how {
        "Handled" => FunctionErrorKind::Raised,
        _ => kind(&error_type, &message),
    };
    let error_type = if error_type.is_empty() { how } else { &error_type };
    let message = format!("{message} (Lambda's request {request})");
    Outcome::FunctionError(FunctionError::new(kind, error_type, &message))
}

/// The ways of failing that Lambda's runtimes and sandboxes tell by the type of the error.
fn kind(error_type: &str, message: &str) -> FunctionErrorKind {
    match error_type {
        "Runtime.ExitError" if message.contains("signal:") => FunctionErrorKind::Crashed,
        "Runtime.ExitError" => FunctionErrorKind::Exited,
        "Runtime.OutOfMemory" => FunctionErrorKind::Crashed,
        "Function.ResponseSizeTooLarge" => FunctionErrorKind::ResponseTooLarge,
        "Runtime.ImportModuleError"
        | "Runtime.HandlerNotFound"
        | "Runtime.InvalidEntrypoint"
        | "Runtime.InvalidWorkingDir"
        | "Runtime.MalformedHandlerName"
        | "Runtime.UserCodeSyntaxError"
        | "Extension.Crash"
        | "Extension.LaunchError" => FunctionErrorKind::Init,
        "Sandbox.InitTimeout" => FunctionErrorKind::InitTimeout,
        "Runtime.InvalidResponse" | "Runtime.BadFunctionCode" => FunctionErrorKind::Garbage,
        _ => FunctionErrorKind::Raised,
    }
}

/// What it means that there is no answer of the function.
pub(super) fn of_error(error: &SdkError<InvokeError, HttpResponse>) -> Outcome {
    if let Some(TooLong(length)) = TooLong::cause_of(error) {
        return Outcome::FunctionError(FunctionError::response_too_large(length));
    }
    match error {
        SdkError::ServiceError(answered) => {
            let (error, response) = (answered.err(), answered.raw());
            refused(
                response.status().as_u16(),
                error.code(),
                error.message().unwrap_or_default(),
                retry_after(response.headers().get("retry-after")),
            )
        }
        SdkError::ResponseError(_) => Outcome::FunctionError(FunctionError::new(
            FunctionErrorKind::Disconnected,
            "Lambda.Disconnected",
            &format!("the answer of Lambda was not complete: {}", told(error)),
        )),
        SdkError::DispatchFailure(_) if was_given(error) => Outcome::FunctionError(FunctionError::new(
            FunctionErrorKind::Disconnected,
            "Lambda.Disconnected",
            &format!(
                "the connection to Lambda broke before its answer, the function may have run: {}",
                told(error)
            ),
        )),
        _ => Outcome::Unreachable {
            reason: format!("Lambda cannot be reached: {}", told(error)),
        },
    }
}

/// Whether the request may have arrived: there was a connection for it.
fn was_given(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|e| {
        e.downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(|e| !e.is_connect())
    })
}

/// What an answer with an error status means. Without a code it may come from something between.
fn refused(status: u16, code: Option<&str>, message: &str, retry_after: Option<Duration>) -> Outcome {
    let plain = code.map(|code| code.rsplit('#').next().unwrap_or(code));
    let plain = plain.map(|code| code.split(':').next().unwrap_or(code));
    let said = match plain {
        Some(code) if message.is_empty() => format!("{code} (HTTP status {status})"),
        Some(code) => format!("{code}: {message}"),
        None => format!("HTTP status {status}"),
    };
    match plain {
        Some(
            "EC2ThrottledException"
            | "ENILimitReachedException"
            | "ENINotReadyException"
            | "ProvisionedConcurrencyConfigNotFoundException"
            | "ResourceConflictException"
            | "ResourceNotReadyException"
            | "ServiceQuotaExceededException"
            | "SnapStartNotReadyException"
            | "SubnetIPAddressLimitReachedException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException",
        ) => Outcome::Throttled { retry_after },
        // It is about this event, and will not be otherwise with it (semantics 7).
        Some(
            code @ ("InvalidRequestContentException"
            | "RequestTooLargeException"
            | "SerializedRequestEntityTooLargeException"),
        ) => Outcome::FunctionError(FunctionError::new(FunctionErrorKind::Raised, code, message)),
        None if status == 413 => Outcome::FunctionError(FunctionError::new(
            FunctionErrorKind::Raised,
            "RequestTooLargeException",
            &said,
        )),
        _ if status == 429 || status == 503 => Outcome::Throttled { retry_after },
        Some("ResourceNotFoundException") => Outcome::Unreachable {
            reason: format!("the function does not exist: {said}"),
        },
        Some("AccessDeniedException") => Outcome::Unreachable {
            reason: format!("the function may not be called with these credentials: {said}"),
        },
        _ => Outcome::Unreachable {
            reason: format!("Lambda does not run the function: {said}"),
        },
    }
}

/// For how long the service asks not to be called, in seconds.
fn retry_after(text: Option<&str>) -> Option<Duration> {
    let seconds: u64 = text?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// The error and its causes, each once, at most 400 characters.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1) {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
    }
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests;
