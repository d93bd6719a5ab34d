//! Why a program's engine did not start, or a call on it failed, and what to do.

use crate::system::NoEntropy;
use millstream_engine::manage::ManageError;
use millstream_ports::{PutError, QueueError, SendError, StreamError};
use std::fmt;

/// What is wrong with a declaration, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid(pub Vec<String>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Invalid {}

/// Why nothing runs. What was made before the failure stays; starting again after the cause is gone goes on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The declaration breaks rules; nothing was opened.
    #[error("the declaration is not valid: {0}")]
    Invalid(Invalid),
    /// Credentials that connections refer to cannot be read; nothing was opened.
    #[error("connections cannot be used: {0}")]
    Connections(Invalid),
    /// The database cannot be opened: the text says whether somebody else uses it, and what to do.
    #[error(transparent)]
    Open(#[from] millstream_store::OpenError),
    /// The catalog cannot be read.
    #[error("the catalog cannot be read: {0}")]
    Catalog(#[source] millstream_store::StoreError),
    /// The streams cannot be read.
    #[error(transparent)]
    Streams(#[from] millstream_broker::OpenError),
    /// The thread that starts function processes cannot be made.
    #[error("the thread for function processes cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The system gives no random numbers.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The actors did not start.
    #[error(transparent)]
    Engine(#[from] millstream_engine::StartError),
    /// A task of the start ended before its time: the runtime is being shut down.
    #[error("the start was interrupted: {0}")]
    Interrupted(String),
    /// A declared stream could not be made.
    #[error("stream {name}: {source}")]
    Stream {
        /// Which.
        name: String,
        /// Why.
        source: StreamError,
    },
    /// A declared queue could not be made or changed.
    #[error("queue {name}: {source}")]
    Queue {
        /// Which.
        name: String,
        /// Why.
        source: QueueError,
    },
    /// A declared function could not be registered.
    #[error("function {name}: {source}")]
    Function {
        /// Which.
        name: String,
        /// Why.
        source: ManageError,
    },
    /// A declared mapping could not be made or changed.
    #[error("mapping {name}: {source}{}", hint(source))]
    Mapping {
        /// Which.
        name: String,
        /// Why.
        source: ManageError,
    },
}

/// What cannot be changed has a way out that is not obvious.
fn hint(e: &ManageError) -> &'static str {
    match e {
        ManageError::Invalid(v) if v.0.iter().any(|v| v.field == "source_arn") => {
            " (the source of a mapping is fixed: declare one under a new name, and delete the old one)"
        }
        ManageError::AlreadyExists { .. } => {
            " (two mappings cannot connect the same source and function: was it declared under another name before?)"
        }
        _ => "",
    }
}

/// Why a record was not put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutFailed {
    /// Nothing of the request was stored.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// This record was not stored.
    #[error(transparent)]
    Record(#[from] PutError),
    /// The stream's name cannot exist.
    #[error(transparent)]
    Name(#[from] millstream_types::ids::InvalidName),
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailed {
    /// Nothing of the request was stored.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// This message was not stored.
    #[error(transparent)]
    Message(#[from] SendError),
    /// The queue's name cannot exist.
    #[error(transparent)]
    Name(#[from] millstream_types::ids::InvalidName),
}

/// Why waiting makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The mapping does not exist, or cannot be looked at.
    #[error(transparent)]
    Mapping(#[from] ManageError),
    /// Its stream does not exist, or cannot be looked at.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Its queue does not exist, or cannot be looked at.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The name cannot exist.
    #[error(transparent)]
    Name(#[from] millstream_types::ids::InvalidName),
    /// Its source is neither a stream nor a queue of the built-in broker.
    #[error("mapping {0} reads a source that cannot tell what is left")]
    Source(String),
}
