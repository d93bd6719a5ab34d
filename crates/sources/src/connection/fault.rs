//! What became of a request that failed, told apart by what can be done about it.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::fmt;

/// Longest text of a fault, in characters.
const MAX_TEXT: usize = 400;

/// What can be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// What was asked for does not exist, or not any more.
    Gone,
    /// Slower.
    Throttled,
    /// Somebody has to give permission, or other credentials.
    Denied,
    /// Again, later.
    Unavailable,
    /// The service understood the request and will not do it, whenever it is asked.
    Refused,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What can be done about it.
    pub kind: FaultKind,
    /// The service's code of the error, if it answered with one.
    pub code: Option<String>,
    /// For people: the operation, the code, and what was said. Without secrets.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Fault {
    /// What `error`, the outcome of `operation`, means.
    #[must_use]
    pub fn of<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let kind = kind(code.as_deref(), status);
        let said = match (&code, error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.clone(),
            (None, _) => match (status, error) {
                (Some(status), SdkError::ServiceError(_)) => format!("HTTP status {status}"),
                _ => chain(error),
            },
        };
        let text = format!("{operation}: {said}").chars().take(MAX_TEXT).collect();
        Self { kind, code, text }
    }
}

/// The error and its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = e.source();
    }
    text
}

/// By code first: some services answer a throttle with 400, and one that denies with 400, too.
fn kind(code: Option<&str>, status: Option<u16>) -> FaultKind {
    // Codes of the older protocol of SQS carry a prefix.
    let plain = code.map(|code| {
        let code = code.rsplit('#').next().unwrap_or(code);
        code.rsplit('.').next().unwrap_or(code)
    });
    match plain {
        Some(
            "NoSuchBucket"
            | "NonExistentQueue"
            | "NotFound"
            | "NotFoundException"
            | "QueueDeletedRecently"
            | "QueueDoesNotExist"
            | "ResourceNotFoundException",
        ) => FaultKind::Gone,
        Some(
            "RequestThrottled"
            | "RequestThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "SlowDown"
            | "OverLimit"
            | "KmsThrottled"
            | "KmsThrottledException",
        ) => FaultKind::Throttled,
        Some(
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthFailure"
            | "AuthorizationError"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidSecurity"
            | "InvalidSignatureException"
            | "KmsAccessDenied"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "NotAuthorized"
            | "OptInRequired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException",
        ) => FaultKind::Denied,
        _ => match status {
            Some(429) => FaultKind::Throttled,
            Some(401 | 403) => FaultKind::Denied,
            Some(400..=499) if code.is_some() => FaultKind::Refused,
            _ => FaultKind::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_tell_what_can_be_done() {
        for (code, status, expect) in [
            (
                Some("AWS.SimpleQueueService.NonExistentQueue"),
                400,
                FaultKind::Gone,
            ),
            (Some("com.amazonaws.sqs#QueueDoesNotExist"), 400, FaultKind::Gone),
            (Some("ResourceNotFoundException"), 400, FaultKind::Gone),
            (Some("NotFound"), 404, FaultKind::Gone),
            (Some("NoSuchBucket"), 404, FaultKind::Gone),
            (Some("AuthorizationError"), 403, FaultKind::Denied),
            (Some("RequestThrottled"), 403, FaultKind::Throttled),
            (Some("KMS.ThrottlingException"), 400, FaultKind::Throttled),
            (
                Some("ProvisionedThroughputExceededException"),
                400,
                FaultKind::Throttled,
            ),
            (None, 429, FaultKind::Throttled),
            (Some("AccessDenied"), 403, FaultKind::Denied),
            (Some("InvalidClientTokenId"), 403, FaultKind::Denied),
            (Some("KMS.AccessDeniedException"), 400, FaultKind::Denied),
            (Some("Unknown"), 403, FaultKind::Denied),
            (Some("ReceiptHandleIsInvalid"), 400, FaultKind::Refused),
            (Some("InternalError"), 500, FaultKind::Unavailable),
            (Some("ServiceUnavailable"), 503, FaultKind::Unavailable),
            (None, 400, FaultKind::Unavailable),
            (None, 502, FaultKind::Unavailable),
        ] {
            assert_eq!(kind(code, Some(status)), expect, "{code:?} {status}");
        }
        assert_eq!(kind(None, None), FaultKind::Unavailable, "no answer at all");
    }
}
