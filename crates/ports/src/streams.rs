//! The built-in broker's streams, as their producers and owners use them.

use async_trait::async_trait;
use bytes::Bytes;
use millstream_types::{
    Applied, Namespace, Position, Record, Seq, ShardId, ShardInfo, StreamName, StreamSpec, TraceContext, Wall,
};

/// A stream and its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called.
    pub name: StreamName,
    /// Its settings.
    pub spec: StreamSpec,
    /// When it was made.
    pub created: Wall,
    /// The catalog-like revision of its settings and shards; printed as its etag.
    pub revision: u64,
    /// Open and closed shards that still exist, oldest first.
    pub shards: Vec<ShardDescription>,
}

/// A shard with what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDescription {
    /// Id, lineage, range.
    pub info: ShardInfo,
    /// The oldest record kept.
    pub oldest: Option<Seq>,
    /// The newest record.
    pub newest: Option<Seq>,
    /// How many records are kept; an upper bound just after a trim.
    pub records: u64,
}

/// What to change of a stream; none keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamChange {
    /// See [`StreamSpec::retention_hours`].
    pub retention_hours: Option<u32>,
    /// See [`StreamSpec::applied`].
    pub applied: Option<Applied>,
}

impl StreamChange {
    /// The settings after the change.
    #[must_use]
    pub fn apply(&self, old: &StreamSpec) -> StreamSpec {
        StreamSpec {
            shards: old.shards,
            retention_hours: self.retention_hours.unwrap_or(old.retention_hours),
            applied: self.applied.as_ref().unwrap_or(&old.applied).clone(),
        }
    }
}

/// How an entry finds its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// By the MD5 of the partition key.
    OfPartitionKey,
    /// By this key.
    Explicit(u128),
}

/// One record to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutEntry {
    /// 1 to 256 characters.
    pub partition_key: String,
    /// How it finds its shard.
    pub hash_key: HashKey,
    /// The payload; with the key at most 10 MiB.
    pub data: Bytes,
    /// The producer's trace.
    pub trace: Option<TraceContext>,
}

/// Where a record went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutReceipt {
    /// Its shard.
    pub shard: ShardId,
    /// Its number.
    pub seq: Seq,
}

/// A record read page by page, for people.
pub type ReadRecord = Record;

/// Why one record was not taken, though others of its request may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The entry breaks a rule; the same entry will always be refused.
    #[error("{field} '{value}' is not valid: {allowed}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Its value, shortened to 64 characters.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The disk is nearly full; trim, or wait, or make room.
    #[error("the disk is nearly full ({free} bytes free, {floor} are kept in reserve): put refused")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The reserve.
        floor: u64,
    },
    /// The store has an error; whether the record was stored is not known.
    #[error("the store cannot be used now, the record may or may not have been stored: {0}")]
    Unavailable(String),
}

/// Why a call about streams failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// No such stream.
    #[error("stream {0} does not exist")]
    NotFound(StreamName),
    /// There is one already.
    #[error("stream {0} already exists")]
    AlreadyExists(StreamName),
    /// No such shard.
    #[error("shard {shard} of stream {stream} does not exist")]
    NoSuchShard {
        /// The stream.
        stream: StreamName,
        /// The shard.
        shard: ShardId,
    },
    /// A field breaks a rule.
    #[error("{field} '{value}' is not valid: {allowed}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// It cannot be done in the present state.
    #[error("{0}")]
    Precondition(String),
    /// The caller's revision is not the newest.
    #[error("stream {stream} has revision {actual}, not {expected}")]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// What the caller has seen.
        expected: u64,
        /// What is.
        actual: u64,
    },
    /// The disk is nearly full.
    #[error("the disk is nearly full ({free} bytes free, {floor} are kept in reserve): refused")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The reserve.
        floor: u64,
    },
    /// The store has an error.
    #[error("the store cannot be used now: {0}")]
    Unavailable(String),
}

/// Administers and fills streams.
#[async_trait]
pub trait Streams: Send + Sync + 'static {
    /// Makes a stream. With `validate_only` everything is checked and nothing is made; what would be is returned, with
    /// revision 0.
    ///
    /// # Errors
    /// [`StreamError::Invalid`], [`StreamError::AlreadyExists`], or the store's.
    async fn create(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        spec: StreamSpec,
        validate_only: bool,
    ) -> Result<StreamDescription, StreamError>;

    /// Tells about a stream.
    ///
    /// # Errors
    /// [`StreamError::NotFound`], or the store's.
    async fn describe(
        &self,
        namespace: &Namespace,
        name: &StreamName,
    ) -> Result<StreamDescription, StreamError>;

    /// The streams of a namespace by name, at most `limit`, after `after`.
    ///
    /// # Errors
    /// The store's.
    async fn list(
        &self,
        namespace: &Namespace,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamDescription>, StreamError>;

    /// Changes the settings that `change` names. With `validate_only` everything is checked and nothing is changed;
    /// what would be is returned, with the present revision.
    ///
    /// # Errors
    /// [`StreamError::NotFound`], [`StreamError::Invalid`], [`StreamError::Conflict`], or the store's.
    async fn set(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        change: StreamChange,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<StreamDescription, StreamError>;

    /// Removes a stream with all its records.
    ///
    /// # Errors
    /// [`StreamError::NotFound`], [`StreamError::Conflict`], or the store's.
    async fn delete(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        expected: Option<u64>,
    ) -> Result<(), StreamError>;

    /// Closes a shard and opens two: one up to below `at`, one from `at`; at the middle if none is given.
    ///
    /// # Errors
    /// [`StreamError::Precondition`] if the shard is closed or `at` is not inside its range.
    async fn split(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        at: Option<u128>,
    ) -> Result<StreamDescription, StreamError>;

    /// Closes two neighbouring shards and opens one.
    ///
    /// # Errors
    /// [`StreamError::Precondition`] if one is closed or their ranges do not touch.
    async fn merge(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        adjacent: &ShardId,
    ) -> Result<StreamDescription, StreamError>;

    /// Puts up to 500 entries, in order per shard, synced before it answers; one answer per entry.
    ///
    /// # Errors
    /// If the request as a whole breaks a rule; then nothing is stored.
    async fn put(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        entries: Vec<PutEntry>,
    ) -> Result<Vec<Result<PutReceipt, PutError>>, StreamError>;

    /// Up to `limit` records of one shard, without any effect, and where to go on.
    ///
    /// # Errors
    /// [`StreamError::NotFound`], [`StreamError::NoSuchShard`], or the store's.
    async fn read_page(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        from: Position,
        limit: usize,
    ) -> Result<(Vec<ReadRecord>, Position), StreamError>;
}
