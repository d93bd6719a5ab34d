//! What an answer of the SDK means, whichever service it is from: its date, and why it is none.

use super::WireError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use millstream_types::Wall;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

/// Reads the `Date` header of the answer to one call. Clones share what they saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerDate(Arc<AtomicU64>);

impl AnswerDate {
    /// The source's time when it answered, to the second; none if it did not say.
    pub(crate) fn seen(&self) -> Option<Wall> {
        Some(self.0.load(Ordering::Acquire))
            .filter(|ms| *ms > 0)
            .map(Wall)
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date").and_then(date) {
            self.0.store(date.0, Ordering::Release);
        }
        Ok(())
    }
}

fn date(text: &str) -> Option<Wall> {
    let since = httpdate::parse_http_date(text)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    u64::try_from(since.as_millis()).ok().map(Wall)
}

/// Why a call did not work.
pub(crate) fn why<E>(error: &SdkError<E, HttpResponse>) -> WireError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|r| r.status().as_u16());
    let Some(of_service) = error.as_service_error() else {
        return WireError::Failed(DisplayErrorContext(error).to_string());
    };
    let told = of_service.message().unwrap_or_default();
    of_code(of_service.code().unwrap_or_default(), told, status)
}

/// The same for the parts of an answer. Pure.
fn of_code(code: &str, told: &str, status: Option<u16>) -> WireError {
    match code {
        "ExpiredIteratorException" | "ExpiredNextTokenException" => WireError::Expired,
        "TrimmedDataAccessException" => WireError::Trimmed,
        "ResourceNotFoundException" => WireError::Missing,
        "InvalidArgumentException" | "ValidationException" => WireError::Refused(told.to_owned()),
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "KMSThrottlingException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => WireError::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired"
        | "MissingAuthenticationTokenException"
        | "OptInRequired"
        | "UnrecognizedClientException" => WireError::Denied(format!("{code}: {told}")),
        _ if status == Some(429) => WireError::Throttled,
        "" => WireError::Failed(match status {
            Some(status) => format!("the source answered with status {status}"),
            None => "the source gave no reason".to_owned(),
        }),
        _ if told.is_empty() => WireError::Failed(code.to_owned()),
        _ => WireError::Failed(format!("{code}: {told}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_to_do() {
        let failed = |text: &str| WireError::Failed(text.to_owned());
        for (code, told, status, expect) in [
            ("ExpiredIteratorException", "old", 400, WireError::Expired),
            ("TrimmedDataAccessException", "", 400, WireError::Trimmed),
            ("ResourceNotFoundException", "x", 400, WireError::Missing),
            (
                "ProvisionedThroughputExceededException",
                "slow",
                400,
                WireError::Throttled,
            ),
            ("SomethingNew", "", 429, WireError::Throttled),
            (
                "ValidationException",
                "bad",
                400,
                WireError::Refused("bad".to_owned()),
            ),
            (
                "AccessDeniedException",
                "may not",
                400,
                WireError::Denied("AccessDeniedException: may not".to_owned()),
            ),
            ("InternalFailure", "", 500, failed("InternalFailure")),
            ("", "", 503, failed("the source answered with status 503")),
        ] {
            assert_eq!(of_code(code, told, Some(status)), expect, "{code}");
        }
    }

    #[test]
    fn dates_are_read_and_rubbish_is_not() {
        assert_eq!(date("Tue, 15 Nov 1994 08:12:31 GMT"), Some(Wall(784_887_151_000)));
        for text in ["", "yesterday", "Thu, 01 Jan 1960 00:00:00 GMT"] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
