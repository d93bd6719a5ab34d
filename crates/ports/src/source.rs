//! Streams as the engine reads them.

use crate::QueueSource;
use async_trait::async_trait;
use millstream_types::{
    Mark, Namespace, Position, Record, ShardId, ShardInfo, SourceArn, StartPin, StartingPosition,
};
use std::sync::Arc;

/// Finds the source that an ARN names.
#[async_trait]
pub trait Sources: Send + Sync + 'static {
    /// The stream that `arn` names for `namespace`.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] if there is none; [`SourceError::Unavailable`] if that cannot be told now.
    async fn stream(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn StreamSource>, SourceError>;

    /// The queue that `arn` names for `namespace`.
    ///
    /// # Errors
    /// As [`Sources::stream`].
    async fn queue(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn QueueSource>, SourceError>;
}

/// One stream.
#[async_trait]
pub trait StreamSource: Send + Sync + 'static {
    /// All shards that still hold records or are open, with their lineage.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError>;

    /// Makes a starting position concrete: the source's own time for `LATEST`, and the shards it holds for.
    /// Nothing put after this returns is missed by a mapping that starts at the answer.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError>;

    /// A reader of one shard, independent of all others.
    ///
    /// # Errors
    /// [`SourceError::NoSuchShard`] if the shard is gone (its records fell out of retention).
    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError>;

    /// Resolves when the set of shards may have changed since the last call, or when it is time to look.
    async fn shards_changed(&self);
}

/// Reads one shard in order.
#[async_trait]
pub trait ShardReader: Send + 'static {
    /// What comes next, at most `credit`, but at least one record if there is one. Never waits for records to
    /// arrive: with nothing to read the page is empty, and [`ShardReader::wait`] tells when to come back.
    ///
    /// # Errors
    /// After an error that is [retryable](SourceError::retryable) the reader stands where it stood.
    async fn next(&mut self, credit: Credit) -> Result<Page, SourceError>;

    /// Resolves when [`ShardReader::next`] may have more: on a push, or when it is time to poll. Dropping the
    /// future loses nothing.
    async fn wait(&mut self);
}

/// How much a reader may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Most records.
    pub records: usize,
    /// Most bytes of keys and payloads; the first record may exceed it.
    pub bytes: usize,
}

/// What one read returned.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In order.
    pub records: Vec<Record>,
    /// The last place that was looked at. Moves on even when no record is returned; none if nothing was read yet.
    pub through: Option<Mark>,
    /// How far behind the newest record this read is.
    pub lag: Lag,
    /// Records between the asked position and the first one here are gone.
    pub gap: Option<Gap>,
    /// The shard is closed and this page is its last.
    pub end: bool,
}

/// How far a reader is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Behind the newest record in time.
    pub millis: u64,
    /// Records not yet read, where the source can tell.
    pub records: Option<u64>,
}

/// Records that fell out of retention before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Reading was to go on from here.
    pub wanted: Position,
    /// The first record that is still there.
    pub found: Mark,
}

/// Why a source cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Text as AWS's (semantics 2.3).
    #[error("Stream not found: {0}")]
    NotFound(String),
    /// Text as AWS's (semantics 2.3).
    #[error(
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
         Message: The specified queue does not exist."
    )]
    NoSuchQueue {
        /// The queue.
        arn: String,
    },
    /// The shard does not exist, or no more.
    #[error("shard {shard} of {arn} does not exist, or its records fell out of retention")]
    NoSuchShard {
        /// The stream.
        arn: String,
        /// The shard.
        shard: ShardId,
    },
    /// No connection serves the ARN, and it is not of the built-in broker.
    #[error(
        "no connection serves {0}: add one to `connections` of the server's configuration whose `match` fits it; \
         without one, only streams and queues of the built-in broker (account 000000000000) are read"
    )]
    NotServed(String),
    /// The source refuses access, or the request itself: somebody has to change something. With what it said.
    #[error("the source refuses: {0}")]
    Refused(String),
    /// The source said to slow down.
    #[error("{0} throttles reading")]
    Throttled(String),
    /// The source cannot be reached or has an error of its own.
    #[error("source cannot be read now: {0}")]
    Unavailable(String),
}

impl SourceError {
    /// Whether the same call may work later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Unavailable(_))
    }
}
