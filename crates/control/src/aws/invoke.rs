//! `Invoke`: a function called once, by hand.

use super::error::{AwsError, Exception};
use super::route::Query;
use super::{Answer, Result, empty, functions, json};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use millstream_engine::manage::{ManageError, Manager};
use millstream_types::Outcome;
use serde_json::json;
use std::time::Duration;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
/// As long as a function may run.
pub(super) const LONGEST: Duration = Duration::from_secs(900);

/// How a function is to be called.
enum Kind {
    RequestResponse,
    DryRun,
}

pub(super) async fn invoke(
    manager: &Manager,
    text: &str,
    mut query: Query,
    headers: &HeaderMap,
    payload: Bytes,
) -> Result<Answer> {
    let qualifier = query.take("Qualifier");
    query.finish()?;
    let kind = kind(headers)?;
    let view = functions::find(manager, text, qualifier.as_deref()).await?;
    if !payload.is_empty() {
        serde_json::from_slice::<&serde_json::value::RawValue>(&payload).map_err(|e| {
            let message = format!("Could not parse request body into json: {e}");
            AwsError::new(Exception::InvalidRequestContent, message)
        })?;
    }
    if let Kind::DryRun = kind {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let function = view.function;
    let called = manager
        .invoke_function(&function.namespace, &function.name, payload, LONGEST)
        .await;
    let result = called.map_err(|e| match e {
        ManageError::Precondition { message, .. } => AwsError::invalid(message),
        other => other.into(),
    })?;
    outcome(result.outcome)
}

/// What is not built is refused, not done otherwise.
fn kind(headers: &HeaderMap) -> Result<Kind> {
    let text = |name: &HeaderName| {
        let value = headers.get(name)?;
        Some(value.to_str().unwrap_or("?").to_owned())
    };
    if let Some(other) = text(&LOG_TYPE).filter(|log| log != "None") {
        let allowed = "None: what functions write is in the server's log";
        return Err(AwsError::not_valid("LogType", other, allowed));
    }
    if let Some(context) = text(&CLIENT_CONTEXT) {
        return Err(AwsError::not_valid(
            "ClientContext",
            context,
            "not set: it is not built",
        ));
    }
    match text(&INVOCATION_TYPE).as_deref() {
        None | Some("RequestResponse") => Ok(Kind::RequestResponse),
        Some("DryRun") => Ok(Kind::DryRun),
        Some(other) => {
            let allowed = "RequestResponse or DryRun; for events that wait, send a message to a queue";
            Err(AwsError::not_valid("InvocationType", other, allowed))
        }
    }
}

fn outcome(outcome: Outcome) -> Result<Answer> {
    let failed = |error_type: &str, message: String| {
        let mut answer = json(
            StatusCode::OK,
            &json!({"errorType": error_type, "errorMessage": message}),
        );
        answer
            .headers_mut()
            .insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
        answer
    };
    let mut answer = match outcome {
        Outcome::Response(payload) => {
            let mut answer = Response::new(Full::new(payload));
            let kind = HeaderValue::from_static("application/json");
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        Outcome::FunctionError(e) => failed(&e.error_type, e.message),
        Outcome::Timeout { after } => {
            let message = format!("Task timed out after {:.2} seconds", after.as_secs_f64());
            failed("Sandbox.Timedout", message)
        }
        Outcome::Throttled { retry_after } => {
            return Err(AwsError::new(Exception::TooManyRequests, "Rate Exceeded.").with_retry(retry_after));
        }
        Outcome::Unreachable { reason } => return Err(AwsError::new(Exception::Service, reason)),
    };
    let latest = HeaderValue::from_static("$LATEST");
    answer.headers_mut().insert(EXECUTED_VERSION, latest);
    Ok(answer)
}
