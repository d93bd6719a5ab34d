//! What an attempt ends as whose exchange broke.

use super::link::Broken;
use millstream_types::Outcome;
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use std::error::Error;
use std::fmt::Write;
use std::io;

/// What an attempt ends as whose request got no answer.
pub(super) fn unanswered(broken: &Broken, length: usize) -> Outcome {
    if broken.error.is_parse() {
        return garbage(&broken.error);
    }
    if broken.given || broken.answered {
        let place = if broken.answered {
            "within the head of its answer"
        } else {
            "without an answer"
        };
        return disconnected(&format!(
            "closed the connection {place}: {}",
            causes(&broken.error)
        ));
    }
    Outcome::Unreachable {
        reason: format!(
            "the server closed the connection before it had the request: {} of {length} bytes and its headers were \
             sent: {}",
            broken.sent,
            causes(&broken.error)
        ),
    }
}

/// What an attempt ends as whose answer has no end.
pub(super) fn broken_off(error: &hyper::Error) -> Outcome {
    let malformed = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|cause| {
            matches!(
                cause.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
        });
    if malformed {
        garbage(error)
    } else {
        disconnected(&format!(
            "closed the connection within its answer: {}",
            causes(error)
        ))
    }
}

/// The server had the event, and went away.
pub(super) fn disconnected(what: &str) -> Outcome {
    Outcome::FunctionError(FunctionError::new(
        FunctionErrorKind::Disconnected,
        "Http.Disconnected",
        &format!("the server was given the event and {what}"),
    ))
}

fn garbage(error: &hyper::Error) -> Outcome {
    let text = if error.is_parse_too_large() {
        "the server's answer has more headers than are read: at most 16384 bytes, at most 100 headers"
            .to_owned()
    } else {
        format!("the server's answer is not HTTP/1.1: {}", causes(error))
    };
    Outcome::FunctionError(FunctionError::new(
        FunctionErrorKind::Garbage,
        "Http.InvalidAnswer",
        &text,
    ))
}

/// An error with what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}
