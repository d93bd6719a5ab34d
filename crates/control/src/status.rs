//! Errors as gRPC tells them (AIP-193): a code, a sentence, and details that programs can read.

use crate::refusal::Refusals;
use millstream_engine::manage::ManageError;
use millstream_ports::{QueueError, StreamError};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The `domain` of every `ErrorInfo`.
const DOMAIN: &str = "millstream";
/// When to try again, where nothing better is known.
const RETRY: Duration = Duration::from_secs(1);
/// When to try again while the disk is full: room is made by people or by retention.
const RETRY_DISK: Duration = Duration::from_secs(10);

/// The `reason` of an `ErrorInfo` and the code that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotFound,
    AlreadyExists,
    EtagMismatch,
    InvalidField,
    Unavailable,
    DiskFull,
    Overloaded,
    OverLimit,
    DeadlineExceeded,
    Resync,
    ShuttingDown,
    FunctionThrottled,
    FunctionUnreachable,
    /// The present state forbids it; the domain says why.
    Precondition(&'static str),
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::EtagMismatch => "ETAG_MISMATCH",
            Self::InvalidField => "INVALID_FIELD",
            Self::Unavailable => "UNAVAILABLE",
            Self::DiskFull => "DISK_FULL",
            Self::Overloaded => "OVERLOADED",
            Self::OverLimit => "OVER_LIMIT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Resync => "RESYNC",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::FunctionThrottled => "FUNCTION_THROTTLED",
            Self::FunctionUnreachable => "FUNCTION_UNREACHABLE",
            Self::Precondition(reason) => reason,
        }
    }

    fn code(self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::AlreadyExists => Code::AlreadyExists,
            Self::EtagMismatch | Self::Resync => Code::Aborted,
            Self::InvalidField => Code::InvalidArgument,
            Self::DiskFull | Self::Overloaded | Self::OverLimit => Code::ResourceExhausted,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Unavailable | Self::ShuttingDown | Self::FunctionThrottled | Self::FunctionUnreachable => {
                Code::Unavailable
            }
            Self::Precondition(_) => Code::FailedPrecondition,
        }
    }
}

/// An error with `ErrorInfo` and what else `more` adds.
pub(crate) fn with(
    reason: Reason,
    message: &str,
    metadata: &[(&str, String)],
    more: impl FnOnce(&mut ErrorDetails),
) -> Status {
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.clone()))
        .collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(
        reason.text(),
        DOMAIN,
        metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
    );
    more(&mut details);
    Status::with_error_details(reason.code(), message, details)
}

/// An error with `ErrorInfo`.
pub(crate) fn plain(reason: Reason, message: &str) -> Status {
    with(reason, message, &[], |_| ())
}

/// An error that goes away by waiting.
pub(crate) fn retry(reason: Reason, message: &str, after: Option<Duration>) -> Status {
    with(reason, message, &[], |details| {
        details.set_retry_info(Some(after.unwrap_or(RETRY)));
    })
}

/// The watcher was too slow.
pub(crate) fn resync() -> Status {
    plain(
        Reason::Resync,
        "changes were missed: watch again, which starts with a new snapshot",
    )
}

/// The server ends.
pub(crate) fn shutting_down() -> Status {
    retry(Reason::ShuttingDown, "the server is shutting down", None)
}

/// An error of the application service; `prefix` is where the settings are in the request, e.g. `mapping.`.
pub(crate) fn of_manage(e: ManageError, prefix: &str) -> Status {
    let message = e.to_string();
    match e {
        ManageError::NotFound { kind, name } => named(Reason::NotFound, &message, kind, name),
        ManageError::AlreadyExists { kind, name, .. } => named(Reason::AlreadyExists, &message, kind, name),
        ManageError::Conflict { expected, actual, .. } => mismatch(&message, expected, actual),
        ManageError::Invalid(violations) => {
            let mut refusals = Refusals::default();
            refusals.merge(prefix, violations.0);
            refusals.into_status()
        }
        ManageError::Precondition { reason, .. } => plain(Reason::Precondition(reason), &message),
        ManageError::Unavailable { retry_after, .. } => {
            tracing::warn!(error = %message, "a call failed because something needed does not answer");
            retry(Reason::Unavailable, &message, retry_after)
        }
    }
}

/// An error of the broker's streams.
pub(crate) fn of_stream(e: StreamError) -> Status {
    let message = e.to_string();
    match e {
        StreamError::NotFound(name) => named(Reason::NotFound, &message, "stream", name.to_string()),
        StreamError::AlreadyExists(name) => {
            named(Reason::AlreadyExists, &message, "stream", name.to_string())
        }
        StreamError::NoSuchShard { shard, .. } => {
            named(Reason::NotFound, &message, "shard", shard.to_string())
        }
        StreamError::Invalid {
            field,
            value,
            allowed,
        } => crate::refusal::Refusal::new(stream_field(field), value, allowed).into(),
        StreamError::Precondition(_) => plain(Reason::Precondition("STREAM_STATE"), &message),
        StreamError::Conflict { expected, actual, .. } => mismatch(&message, expected, actual),
        StreamError::DiskFull { free, floor } => disk_full(&message, free, floor),
        StreamError::Unavailable(_) => {
            tracing::warn!(error = %message, "a call failed because the store does not answer");
            retry(Reason::Unavailable, &message, None)
        }
    }
}

fn disk_full(message: &str, free: u64, floor: u64) -> Status {
    let metadata = [
        ("free_bytes", free.to_string()),
        ("reserved_bytes", floor.to_string()),
    ];
    with(Reason::DiskFull, message, &metadata, |details| {
        details.set_retry_info(Some(RETRY_DISK));
    })
}

/// Where a field of the broker's is in a request.
fn stream_field(field: &str) -> &str {
    match field {
        "shards" => "stream.shard_count",
        "retention_hours" => "stream.retention_hours",
        "entries" => "records",
        other => other,
    }
}

/// An error of the broker's queues; `prefix` is where the settings are in the request: `queue.`, or empty for requests
/// without settings.
pub(crate) fn of_queue(e: QueueError, prefix: &str) -> Status {
    let message = e.to_string();
    match e {
        QueueError::NotFound(name) => named(Reason::NotFound, &message, "queue", name.to_string()),
        QueueError::AlreadyExists(name) => named(Reason::AlreadyExists, &message, "queue", name.to_string()),
        QueueError::Invalid {
            field,
            value,
            allowed,
        } => crate::refusal::Refusal::new(queue_field(prefix, field), value, allowed).into(),
        QueueError::Precondition(_) => plain(Reason::Precondition("QUEUE_STATE"), &message),
        QueueError::OverLimit(_) => retry(Reason::OverLimit, &message, None),
        QueueError::Conflict { expected, actual, .. } => mismatch(&message, expected, actual),
        QueueError::DiskFull { free, floor } => disk_full(&message, free, floor),
        QueueError::Unavailable(_) => {
            tracing::warn!(error = %message, "a call failed because the store does not answer");
            retry(Reason::Unavailable, &message, None)
        }
    }
}

/// Where a field of the broker's queues is in a request.
fn queue_field(prefix: &str, field: &str) -> String {
    let setting = match field {
        "retention_seconds" => "message_retention_seconds",
        "receive_wait_seconds" => "receive_wait_time_seconds",
        "max_message_bytes" => "maximum_message_bytes",
        "redrive" => "redrive_policy",
        "redrive.dead_letter_queue" => "redrive_policy.dead_letter_queue",
        "redrive.max_receive_count" => "redrive_policy.max_receive_count",
        // Not settings, but parameters of a call.
        "entries" => return "messages".to_owned(),
        "receipts" => return "receipt_handles".to_owned(),
        "max" => return "max_messages".to_owned(),
        "wait" => return "wait_time_seconds".to_owned(),
        "visibility" => return "visibility_timeout_seconds".to_owned(),
        "after" => return "page_token".to_owned(),
        other => other,
    };
    format!("{prefix}{setting}")
}

fn named(reason: Reason, message: &str, kind: &str, name: String) -> Status {
    with(
        reason,
        message,
        &[("resource_type", kind.to_owned()), ("resource_name", name)],
        |_| (),
    )
}

fn mismatch(message: &str, expected: u64, actual: u64) -> Status {
    let metadata = [
        ("expected_etag", expected.to_string()),
        ("etag", actual.to_string()),
    ];
    with(Reason::EtagMismatch, message, &metadata, |_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{QueueName, StreamName};

    #[test]
    fn every_error_has_its_code_reason_and_domain() {
        let kind = "mapping";
        let name = || "m".to_owned();
        let unavailable = |retry_after| ManageError::Unavailable {
            message: "x".into(),
            retry_after,
        };
        for (status, code, reason) in [
            (
                of_manage(ManageError::NotFound { kind, name: name() }, ""),
                Code::NotFound,
                "NOT_FOUND",
            ),
            (
                of_manage(
                    ManageError::AlreadyExists {
                        kind,
                        name: name(),
                        message: "x".into(),
                    },
                    "",
                ),
                Code::AlreadyExists,
                "ALREADY_EXISTS",
            ),
            (
                of_manage(
                    ManageError::Conflict {
                        kind,
                        name: name(),
                        expected: 1,
                        actual: 2,
                    },
                    "",
                ),
                Code::Aborted,
                "ETAG_MISMATCH",
            ),
            (
                of_manage(
                    ManageError::Precondition {
                        reason: "MAPPING_DELETING",
                        message: "x".into(),
                    },
                    "",
                ),
                Code::FailedPrecondition,
                "MAPPING_DELETING",
            ),
            (of_manage(unavailable(None), ""), Code::Unavailable, "UNAVAILABLE"),
            (
                of_stream(StreamError::DiskFull { free: 1, floor: 2 }),
                Code::ResourceExhausted,
                "DISK_FULL",
            ),
            (
                of_stream(StreamError::NotFound(StreamName::new("s").unwrap())),
                Code::NotFound,
                "NOT_FOUND",
            ),
            (
                of_stream(StreamError::Precondition("x".into())),
                Code::FailedPrecondition,
                "STREAM_STATE",
            ),
            (
                of_queue(QueueError::OverLimit(QueueName::new("q").unwrap()), ""),
                Code::ResourceExhausted,
                "OVER_LIMIT",
            ),
            (
                of_queue(QueueError::Precondition("x".into()), ""),
                Code::FailedPrecondition,
                "QUEUE_STATE",
            ),
            (resync(), Code::Aborted, "RESYNC"),
            (shutting_down(), Code::Unavailable, "SHUTTING_DOWN"),
        ] {
            assert_eq!(status.code(), code, "{status:?}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(
                (info.reason.as_str(), info.domain.as_str()),
                (reason, "millstream")
            );
        }
    }

    #[test]
    fn waiting_is_told_where_waiting_helps() {
        let of = |e| {
            of_manage(e, "")
                .get_details_retry_info()
                .and_then(|r| r.retry_delay)
        };
        let after = Some(Duration::from_secs(7));
        assert_eq!(
            of(ManageError::Unavailable {
                message: "x".into(),
                retry_after: after
            }),
            after
        );
        assert_eq!(
            of(ManageError::NotFound {
                kind: "mapping",
                name: "m".into()
            }),
            None
        );
        let disk = of_stream(StreamError::DiskFull { free: 1, floor: 2 });
        assert!(disk.get_details_retry_info().is_some());
        assert_eq!(disk.get_details_error_info().unwrap().metadata["free_bytes"], "1");
    }

    #[test]
    fn fields_of_the_broker_are_named_as_in_the_request() {
        let e = StreamError::Invalid {
            field: "shards",
            value: "0".into(),
            allowed: "1 to 256".into(),
        };
        let fields = of_stream(e).get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields[0].field, "stream.shard_count");
    }

    #[test]
    fn fields_of_queues_are_named_as_in_the_request() {
        for (prefix, field, expected) in [
            ("queue.", "delay_seconds", "queue.delay_seconds"),
            ("queue.", "retention_seconds", "queue.message_retention_seconds"),
            (
                "queue.",
                "redrive.max_receive_count",
                "queue.redrive_policy.max_receive_count",
            ),
            ("", "max", "max_messages"),
            ("", "after", "page_token"),
        ] {
            let e = QueueError::Invalid {
                field,
                value: "0".into(),
                allowed: "more".into(),
            };
            let fields = of_queue(e, prefix)
                .get_details_bad_request()
                .unwrap()
                .field_violations;
            assert_eq!(fields[0].field, expected);
        }
    }
}
