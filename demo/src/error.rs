//! What can end the demo early, in words that say what to do.

use std::path::PathBuf;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Something that `make demo` prepares is not there.
    #[error("{what} is missing; run the demo as `make demo`, which prepares it")]
    Missing { what: String },
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The data set is not what this demo was written for.
    #[error("flights, line {line}: {what}")]
    Flights { line: usize, what: String },
    /// The server's log says more.
    #[error("the server {what}; its log is {log}")]
    Server { what: String, log: PathBuf },
    /// A call that has to work did not.
    #[error("{what}: {status}")]
    Call {
        what: &'static str,
        status: Box<tonic::Status>,
    },
    /// A record that has to be taken was refused.
    #[error("flight {n} was not stored: {why}")]
    Refused { n: usize, why: String },
    /// Nothing moved for a long time.
    #[error("nothing moved for {seconds} s: {state}")]
    Stalled { seconds: u64, state: String },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    /// For `map_err` on a file operation.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// For `map_err` on a call.
    pub(crate) fn call(what: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Self::Call {
            what,
            status: Box::new(status),
        }
    }
}
