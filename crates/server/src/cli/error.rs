//! How a command can fail: what is printed, and with which code the program ends.

use super::output::count;
use std::fmt::Write;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The codes a command ends with, documented in `--help`.
pub(crate) mod exit {
    /// The command failed for a reason that no other code names.
    pub(crate) const FAILED: u8 = 1;
    /// The command line, the configuration or a value in the request is wrong.
    pub(crate) const USAGE: u8 = 2;
    /// What was named does not exist.
    pub(crate) const NOT_FOUND: u8 = 3;
    /// It exists already, was changed meanwhile, or is not in a state for this.
    pub(crate) const CONFLICT: u8 = 4;
    /// The server cannot be reached, shuts down, or has no capacity or disk space.
    pub(crate) const UNAVAILABLE: u8 = 5;
    /// It did not happen in time.
    pub(crate) const TIMEOUT: u8 = 124;
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The server answered with an error, or could not be reached any more.
    Status(Box<Status>),
    /// Something else, with its code, its reason in capitals, a text, and what to do next.
    Other {
        /// From [`exit`].
        code: u8,
        /// In capitals, as scripts may look for it.
        reason: &'static str,
        /// For people.
        message: String,
        /// What to do; may be empty.
        next: String,
    },
    /// Something else about several things, each on a line of its own.
    Listed {
        /// From [`exit`].
        code: u8,
        /// In capitals, as scripts may look for it.
        reason: &'static str,
        /// For people.
        message: String,
        /// The things.
        lines: Vec<String>,
        /// What to do; may be empty.
        next: String,
    },
    /// Whoever read our output went away: nobody is left to be told.
    Pipe,
}

impl CliError {
    /// A wrong command line that clap could not see.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Other {
            code: exit::USAGE,
            reason: "USAGE",
            message: message.into(),
            next: next.into(),
        }
    }

    /// A failure of this program's own doing, e.g. a file that cannot be read.
    pub(crate) fn failed(reason: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Other {
            code: exit::FAILED,
            reason,
            message: message.into(),
            next: next.into(),
        }
    }

    /// Something that did not happen in time.
    pub(crate) fn timeout(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Other {
            code: exit::TIMEOUT,
            reason: "TIMEOUT",
            message: message.into(),
            next: next.into(),
        }
    }

    /// The code the program ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Status(status) => code_of(status.code()),
            Self::Other { code, .. } | Self::Listed { code, .. } => *code,
            Self::Pipe => 0,
        }
    }

    /// What is written to standard error: `REASON: message`, one line per wrong field, and what to do next.
    /// Empty if nobody is to be told.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Status(status) => status_lines(status),
            Self::Other {
                reason,
                message,
                next,
                ..
            } => {
                let mut lines = vec![format!("{reason}: {message}")];
                lines.extend((!next.is_empty()).then(|| format!("next: {next}")));
                lines
            }
            Self::Listed {
                reason,
                message,
                lines,
                next,
                ..
            } => {
                let mut all = vec![format!("{reason}: {message}")];
                all.extend(lines.iter().map(|line| format!("  {line}")));
                all.extend((!next.is_empty()).then(|| format!("next: {next}")));
                all
            }
            Self::Pipe => Vec::new(),
        }
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl From<std::io::Error> for CliError {
    fn from(e: std::io::Error) -> Self {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Pipe;
        }
        Self::failed("IO", e.to_string(), "")
    }
}

fn code_of(code: Code) -> u8 {
    match code {
        Code::InvalidArgument | Code::OutOfRange => exit::USAGE,
        Code::NotFound => exit::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => exit::CONFLICT,
        Code::Unavailable | Code::ResourceExhausted => exit::UNAVAILABLE,
        Code::DeadlineExceeded => exit::TIMEOUT,
        _ => exit::FAILED,
    }
}

fn status_lines(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .map_or_else(|| code_name(status.code()).to_owned(), |info| info.reason.clone());
    let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    let message = match (violations, status.message()) {
        ([], "") => "no details were given".to_owned(),
        ([], message) => message.to_owned(),
        // The server's message repeats what the lines below say field by field.
        (several, _) => format!("{} not valid", count(several.len(), "value")),
    };
    let mut lines = vec![format!("{reason}: {message}")];
    for violation in violations {
        let mut line = format!("  {}", violation.field);
        if !violation.description.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(line, ": {}", violation.description);
        }
        lines.push(line);
    }
    let next = next_step(status.code(), &reason);
    lines.extend((!next.is_empty()).then(|| format!("next: {next}")));
    lines
}

fn next_step(code: Code, reason: &str) -> &'static str {
    match (code, reason) {
        (_, "DISK_FULL") => {
            "make room on the server's disk, or lower the retention of streams and queues; then try again"
        }
        (_, "OVER_LIMIT") => "delete received messages, or wait until their visibility timeout ends",
        (_, "RESYNC") => "watch again; it starts with what is",
        (_, "ETAG_MISMATCH") | (Code::Aborted, _) => {
            "somebody changed it meanwhile: get it again (-o json shows its etag) and repeat the change"
        }
        (Code::NotFound, _) => "list what there is with the verb `list`; another namespace is named by -n",
        (Code::AlreadyExists, _) => "change it with the verb `update`, or choose another name",
        (Code::FailedPrecondition, _) => "look at its state with `get`, and repeat when it allows this",
        (Code::InvalidArgument | Code::OutOfRange, _) => {
            "correct the values; --help lists ranges and defaults"
        }
        (Code::Unavailable, _) => "see whether the server runs and is ready; try again in a moment",
        (Code::ResourceExhausted, _) => "send less at once, or try again in a moment",
        (Code::DeadlineExceeded, _) => {
            "the request may have been carried out all the same: look, or raise --request-timeout"
        }
        (Code::Unimplemented, _) => {
            "this server does not know the call: compare `millstream --version` on both sides"
        }
        (Code::Internal | Code::Unknown | Code::DataLoss, _) => "the server's log has the details",
        _ => "",
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn every_code_has_its_exit_code() {
        for (code, want) in [
            (Code::InvalidArgument, 2),
            (Code::NotFound, 3),
            (Code::AlreadyExists, 4),
            (Code::Aborted, 4),
            (Code::FailedPrecondition, 4),
            (Code::Unavailable, 5),
            (Code::ResourceExhausted, 5),
            (Code::DeadlineExceeded, 124),
            (Code::Internal, 1),
        ] {
            assert_eq!(
                CliError::from(Status::new(code, "x")).exit_code(),
                want,
                "{code:?}"
            );
        }
        assert_eq!(CliError::usage("x", "").exit_code(), 2);
        assert_eq!(CliError::timeout("x", "").exit_code(), 124);
    }

    #[test]
    fn reason_violations_and_the_next_step_are_told() {
        let mut details = ErrorDetails::new();
        details.set_error_info("VALIDATION", "millstream.dev", std::collections::HashMap::new());
        details.add_bad_request_violation("batch_size", "must be 1 to 10000");
        details.add_bad_request_violation("function", "is required");
        let status = Status::with_error_details(Code::InvalidArgument, "2 fields are not valid", details);
        assert_eq!(
            CliError::from(status).lines(),
            [
                "VALIDATION: 2 values not valid",
                "  batch_size: must be 1 to 10000",
                "  function: is required",
                "next: correct the values; --help lists ranges and defaults",
            ]
        );
    }

    #[test]
    fn without_details_the_code_is_the_reason() {
        let lines = CliError::from(Status::not_found("mapping a does not exist")).lines();
        assert_eq!(lines[0], "NOT_FOUND: mapping a does not exist");
        assert!(lines[1].starts_with("next: list"));
    }

    #[test]
    fn a_closed_pipe_is_silent() {
        let e = CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(e.lines().is_empty() && e.exit_code() == 0);
    }
}
