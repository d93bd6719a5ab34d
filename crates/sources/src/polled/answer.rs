//! What an answer of the SDK means, whichever service it is from: its date, and why it is none.

use super::WireError;
use crate::connection::{Fault, FaultKind};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
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

/// Why `operation` did not work. What iterators and lists are about is told by code; all else as for any service.
pub(crate) fn why<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> WireError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(known) = error.code().and_then(|code| of_code(code, error.message())) {
        return known;
    }
    let fault = Fault::of(operation, error);
    match fault.kind {
        FaultKind::Gone => WireError::Missing,
        FaultKind::Throttled => WireError::Throttled,
        FaultKind::Denied => WireError::Denied(fault.text),
        FaultKind::Unavailable | FaultKind::Refused => WireError::Failed(fault.text),
    }
}

/// What only streams answer.
pub(crate) fn of_code(code: &str, told: Option<&str>) -> Option<WireError> {
    match code {
        "ExpiredIteratorException" | "ExpiredNextTokenException" => Some(WireError::Expired),
        "TrimmedDataAccessException" => Some(WireError::Trimmed),
        "InvalidArgumentException" | "ValidationException" => Some(WireError::Refused(format!(
            "{code}: {}",
            told.unwrap_or_default()
        ))),
        "KMSThrottlingException" => Some(WireError::Throttled),
        "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired" => Some(WireError::Denied(format!("{code}: {}", told.unwrap_or_default()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_streams_say_what_to_do() {
        for (code, expect) in [
            ("ExpiredIteratorException", Some(WireError::Expired)),
            ("ExpiredNextTokenException", Some(WireError::Expired)),
            ("TrimmedDataAccessException", Some(WireError::Trimmed)),
            ("KMSThrottlingException", Some(WireError::Throttled)),
            (
                "ValidationException",
                Some(WireError::Refused("ValidationException: bad".to_owned())),
            ),
            (
                "KMSDisabledException",
                Some(WireError::Denied("KMSDisabledException: bad".to_owned())),
            ),
            // These are the same for every service.
            ("ProvisionedThroughputExceededException", None),
            ("ResourceNotFoundException", None),
            ("AccessDeniedException", None),
        ] {
            assert_eq!(of_code(code, Some("bad")), expect, "{code}");
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
