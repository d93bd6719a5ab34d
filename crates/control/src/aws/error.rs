//! Errors in AWS's form: status, exception, and the body that each exception has (semantics, section 1).

use super::{Answer, json};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};
use millstream_engine::manage::{ManageError, Violation};
use serde_json::{Value, json};
use std::time::Duration;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The exceptions of AWS that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exception {
    /// A constraint of the model is broken.
    Validation,
    /// A rule is broken.
    InvalidParameterValue,
    /// It exists already.
    ResourceConflict,
    /// Not in its present state.
    ResourceInUse,
    /// No such thing.
    ResourceNotFound,
    /// Too much at once.
    TooManyRequests,
    /// Ours.
    Service,
    /// The body cannot be read.
    Serialization,
    /// The payload of an invocation is no JSON.
    InvalidRequestContent,
    /// The body is too large.
    RequestTooLarge,
    /// The content type is not taken.
    UnsupportedMediaType,
    /// No such path or method.
    UnknownOperation,
    /// From a browser, or meant for another host.
    AccessDenied,
    /// Not signed.
    MissingAuthenticationToken,
    /// The signature is not complete.
    IncompleteSignature,
    /// The key is not known.
    UnrecognizedClient,
    /// The signature is wrong or too old.
    InvalidSignature,
}

/// How the body of an error names its parts.
enum Body {
    /// `Type` and `message`.
    Lower,
    /// `Type` and `Message`.
    Upper,
    /// `message` alone: the errors that are not Lambda's own.
    Common,
}

impl Exception {
    /// Status, name, and form of the body.
    fn parts(self) -> (StatusCode, &'static str, Body) {
        use Body::{Common, Lower, Upper};
        let (status, name, body) = match self {
            Self::Validation => (400, "ValidationException", Common),
            Self::InvalidParameterValue => (400, "InvalidParameterValueException", Lower),
            Self::ResourceConflict => (409, "ResourceConflictException", Lower),
            Self::ResourceInUse => (400, "ResourceInUseException", Upper),
            Self::ResourceNotFound => (404, "ResourceNotFoundException", Upper),
            Self::TooManyRequests => (429, "TooManyRequestsException", Lower),
            Self::Service => (500, "ServiceException", Upper),
            Self::Serialization => (400, "SerializationException", Common),
            Self::InvalidRequestContent => (400, "InvalidRequestContentException", Lower),
            Self::RequestTooLarge => (413, "RequestTooLargeException", Lower),
            Self::UnsupportedMediaType => (415, "UnsupportedMediaTypeException", Lower),
            Self::UnknownOperation => (404, "UnknownOperationException", Common),
            Self::AccessDenied => (403, "AccessDeniedException", Common),
            Self::MissingAuthenticationToken => (403, "MissingAuthenticationTokenException", Common),
            Self::IncompleteSignature => (403, "IncompleteSignatureException", Common),
            Self::UnrecognizedClient => (403, "UnrecognizedClientException", Common),
            Self::InvalidSignature => (403, "InvalidSignatureException", Common),
        };
        // All of the above are statuses.
        (
            StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            name,
            body,
        )
    }

    /// The same in the words of STS, whose protocol is older.
    pub(super) fn sts_code(self) -> &'static str {
        match self {
            Self::UnrecognizedClient => "InvalidClientTokenId",
            Self::InvalidSignature => "SignatureDoesNotMatch",
            Self::MissingAuthenticationToken => "MissingAuthenticationToken",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::AccessDenied => "AccessDenied",
            Self::UnknownOperation => "InvalidAction",
            Self::Service => "InternalFailure",
            other => other.parts().1.trim_end_matches("Exception"),
        }
    }
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwsError {
    pub(super) exception: Exception,
    pub(super) message: String,
    retry_after: Option<Duration>,
}

impl AwsError {
    pub(super) fn new(exception: Exception, message: impl Into<String>) -> Self {
        Self {
            exception,
            message: message.into(),
            retry_after: None,
        }
    }

    /// A rule is broken; AWS's sentence.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Exception::InvalidParameterValue, message)
    }

    /// A rule of ours, or one of which AWS's words are not known. A long value is shortened.
    pub(super) fn not_valid(field: &str, value: impl std::fmt::Display, allowed: &str) -> Self {
        let value: String = value.to_string().chars().take(128).collect();
        Self::invalid(format!("{field} '{value}' is not valid: {allowed}"))
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exception::ResourceNotFound, message)
    }

    pub(super) fn with_retry(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.exception.parts().0
    }

    /// The answer that tells it.
    pub(super) fn answer(&self) -> Answer {
        let (status, name, body) = self.exception.parts();
        let kind = if status.is_server_error() {
            "Service"
        } else {
            "User"
        };
        let mut members = match body {
            Body::Lower => json!({"Type": kind, "message": self.message}),
            Body::Upper => json!({"Type": kind, "Message": self.message}),
            Body::Common => json!({"message": self.message}),
        };
        let seconds = self
            .retry_after
            .map(|d| d.as_millis().div_ceil(1_000).max(1).to_string());
        if let (Exception::TooManyRequests, Value::Object(members)) = (self.exception, &mut members) {
            members.insert(
                "Reason".into(),
                "ReservedFunctionConcurrentInvocationLimitExceeded".into(),
            );
            members.extend(seconds.clone().map(|s| ("retryAfterSeconds".into(), s.into())));
        }
        let mut answer = json(status, &members);
        let headers = answer.headers_mut();
        headers.insert(ERROR_TYPE, HeaderValue::from_static(name));
        if let Some(Ok(seconds)) = seconds.map(HeaderValue::try_from) {
            headers.insert(RETRY_AFTER, seconds);
        }
        answer
    }
}

/// The one that AWS would tell: the first. Constraints of the model have an exception of their own, but for the missing
/// start (semantics 2.3).
fn of_violation(v: &Violation) -> AwsError {
    let member = member(v.field);
    if let Some(rest) = v.message.strip_prefix(v.field) {
        let rest = rest
            .replace(
                "scaling_config.maximum_concurrency",
                "ScalingConfig.MaximumConcurrency",
            )
            .replace("minimum_pollers", "MinimumPollers");
        return AwsError::invalid(format!("{member}{rest}"));
    }
    let of_model = v.message.starts_with("1 validation error detected: Value '");
    let exception = if of_model {
        Exception::Validation
    } else {
        Exception::InvalidParameterValue
    };
    AwsError::new(exception, v.message.clone())
}

/// AWS's name of a field.
fn member(field: &str) -> String {
    match field {
        "function" => "FunctionName".to_owned(),
        "source_arn" => "EventSourceArn".to_owned(),
        "maximum_batching_window_seconds" => "MaximumBatchingWindowInSeconds".to_owned(),
        "maximum_record_age_seconds" => "MaximumRecordAgeInSeconds".to_owned(),
        _ => field.split('.').map(camel).collect::<Vec<_>>().join("."),
    }
}

fn camel(part: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    part.split('_').map(word).collect()
}

impl From<ManageError> for AwsError {
    fn from(e: ManageError) -> Self {
        match e {
            ManageError::NotFound { kind: "mapping", .. } => {
                Self::not_found("The resource you requested does not exist.")
            }
            ManageError::NotFound { .. } => Self::not_found(e.to_string()),
            ManageError::AlreadyExists { message, .. } => Self::new(Exception::ResourceConflict, message),
            ManageError::Conflict { .. } => Self::new(Exception::ResourceInUse, e.to_string()),
            ManageError::Precondition { message, .. } => Self::new(Exception::ResourceInUse, message),
            ManageError::Unavailable { message, retry_after } => {
                Self::new(Exception::Service, message).with_retry(retry_after)
            }
            ManageError::Invalid(violations) => match violations.0.first() {
                Some(first) => of_violation(first),
                None => Self::new(Exception::Service, "a rule was broken that has no name"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn shown(e: &AwsError) -> (u16, String, Value) {
        let answer = e.answer();
        let kind = answer.headers()[ERROR_TYPE].to_str().unwrap().to_owned();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, kind, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn each_exception_has_its_status_and_the_case_of_its_members() {
        use Exception as E;
        for (exception, status, name, body) in [
            (E::Validation, 400, "ValidationException", json!({"message": "m"})),
            (
                E::InvalidParameterValue,
                400,
                "InvalidParameterValueException",
                json!({"Type": "User", "message": "m"}),
            ),
            (
                E::ResourceConflict,
                409,
                "ResourceConflictException",
                json!({"Type": "User", "message": "m"}),
            ),
            (
                E::ResourceInUse,
                400,
                "ResourceInUseException",
                json!({"Type": "User", "Message": "m"}),
            ),
            (
                E::ResourceNotFound,
                404,
                "ResourceNotFoundException",
                json!({"Type": "User", "Message": "m"}),
            ),
            (
                E::Service,
                500,
                "ServiceException",
                json!({"Type": "Service", "Message": "m"}),
            ),
            (
                E::InvalidSignature,
                403,
                "InvalidSignatureException",
                json!({"message": "m"}),
            ),
        ] {
            let found = shown(&AwsError::new(exception, "m")).await;
            assert_eq!(found, (status, name.to_owned(), body));
        }
        let busy = AwsError::new(E::TooManyRequests, "m").with_retry(Some(Duration::from_millis(1_001)));
        let (status, _, body) = shown(&busy).await;
        assert_eq!(
            (status, &body["retryAfterSeconds"], &body["message"]),
            (429, &json!("2"), &json!("m"))
        );
    }

    #[test]
    fn our_own_sentences_name_awss_fields() {
        for (field, expected) in [
            ("batch_size", "BatchSize"),
            ("function", "FunctionName"),
            ("maximum_record_age_seconds", "MaximumRecordAgeInSeconds"),
            (
                "destination_config.on_failure.destination",
                "DestinationConfig.OnFailure.Destination",
            ),
            (
                "provisioned_poller_config.minimum_pollers",
                "ProvisionedPollerConfig.MinimumPollers",
            ),
        ] {
            assert_eq!(member(field), expected);
        }
    }
}
