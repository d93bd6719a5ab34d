//! Why a call was refused or failed, with what its caller needs to act.

use millstream_ports::{CatalogError, JournalError, SourceError};
use std::time::Duration;

pub use millstream_core::validate::{Violation, Violations};

/// Why a call was refused or failed. Unless it is [`ManageError::Unavailable`], nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManageError {
    /// No such thing.
    #[error("{kind} {name} does not exist")]
    NotFound {
        /// `mapping`, `function` or `discard`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// There is one already.
    #[error("{message}")]
    AlreadyExists {
        /// `mapping` or `function`.
        kind: &'static str,
        /// The name of the one that exists.
        name: String,
        /// For people; AWS's text where AWS has one.
        message: String,
    },
    /// The caller's version is not the newest: read again, and decide again.
    #[error("{kind} {name} was changed meanwhile: it has revision {actual}, not {expected}")]
    Conflict {
        /// `mapping` or `function`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the caller had seen.
        expected: u64,
        /// What is.
        actual: u64,
    },
    /// The request breaks rules; the same request will always be refused, or until what it names exists.
    #[error("{0}")]
    Invalid(Violations),
    /// It cannot be done in the present state.
    #[error("{message}")]
    Precondition {
        /// In UPPER_SNAKE_CASE, for programs.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// Something needed does not answer; try again later. Whether a change was made is not known.
    #[error("{message}")]
    Unavailable {
        /// For people.
        message: String,
        /// When to try again, if that is known.
        retry_after: Option<Duration>,
    },
}

impl ManageError {
    /// One broken rule.
    pub(super) fn violation(field: &'static str, value: &str, allowed: &str, message: &str) -> Self {
        Self::Invalid(Violations(vec![violation(field, value, allowed, message)]))
    }

    /// What is to be removed cannot be changed any more.
    pub(super) fn deleting(name: &impl std::fmt::Display) -> Self {
        Self::Precondition {
            reason: "MAPPING_DELETING",
            message: format!("mapping {name} is being deleted"),
        }
    }

    fn unavailable(message: String) -> Self {
        Self::Unavailable {
            message,
            retry_after: None,
        }
    }
}

/// One broken rule; the value is shortened to 128 characters.
pub(super) fn violation(field: &'static str, value: &str, allowed: &str, message: &str) -> Violation {
    Violation {
        field,
        value: value.chars().take(128).collect(),
        allowed: allowed.to_owned(),
        message: message.to_owned(),
    }
}

/// Several rules, if any is broken.
pub(super) fn all(violations: Vec<Violation>) -> Result<(), ManageError> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(ManageError::Invalid(Violations(violations)))
    }
}

/// What was found, or none and its broken rules noted, so that a caller learns of all of them at once.
pub(super) fn note<T>(
    result: Result<T, ManageError>,
    broken: &mut Vec<Violation>,
) -> Result<Option<T>, ManageError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(ManageError::Invalid(violations)) => {
            broken.extend(violations.0);
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

impl From<Violations> for ManageError {
    fn from(v: Violations) -> Self {
        Self::Invalid(v)
    }
}

impl From<CatalogError> for ManageError {
    fn from(e: CatalogError) -> Self {
        let message = e.to_string();
        match e {
            CatalogError::NotFound { kind, name } => Self::NotFound { kind, name },
            CatalogError::AlreadyExists { kind, name } => Self::AlreadyExists { kind, name, message },
            CatalogError::Conflict {
                kind,
                name,
                expected,
                actual,
            } => Self::Conflict {
                kind,
                name,
                expected,
                actual,
            },
            CatalogError::Unavailable(_) => Self::unavailable(message),
        }
    }
}

impl From<JournalError> for ManageError {
    fn from(e: JournalError) -> Self {
        match e {
            JournalError::Unavailable(_) => Self::unavailable(e.to_string()),
            JournalError::Damaged { .. } => Self::Precondition {
                reason: "DATA_DAMAGED",
                message: e.to_string(),
            },
        }
    }
}

/// A source that cannot be used is the fault of the field that names it, unless waiting helps (semantics 2.3).
pub(super) fn of_source(e: &SourceError, arn: &str) -> ManageError {
    if e.retryable() {
        return ManageError::unavailable(e.to_string());
    }
    let allowed = match e {
        SourceError::NotServed(_) => {
            "an ARN that a connection serves, or one of the built-in broker (account 000000000000)"
        }
        SourceError::Refused(_) => {
            "the ARN of a stream or queue that has records of its own, and that the connection's credentials may read"
        }
        _ => "the ARN of an existing stream or queue",
    };
    ManageError::violation("source_arn", arn, allowed, &e.to_string())
}

/// The same for the failure destination.
pub(super) fn of_destination(e: &millstream_ports::DeliverError, arn: &str) -> ManageError {
    use millstream_ports::DeliverError;
    match e {
        DeliverError::Unavailable { .. } => ManageError::unavailable(e.to_string()),
        DeliverError::Refused { .. } => ManageError::violation(
            "destination_config.on_failure.destination",
            arn,
            "the ARN of an existing standard queue, standard topic or bucket that a connection serves, or of a standard queue \
             or stream of the built-in broker",
            &e.to_string(),
        ),
    }
}
