//! How the database fails, per operation.

use std::path::PathBuf;

/// Why a database cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Two processes must not write to one database.
    #[error("another process uses the database in {}: stop it, or choose another data directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A newer version of the program wrote it; opening it could damage it.
    #[error(
        "the database in {} has format version {found}, and this program knows versions up to {known}: \
         use the newer program", path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// [`FORMAT_VERSION`](crate::schema::FORMAT_VERSION).
        known: u32,
    },
    /// It holds data that this program did not write.
    #[error("the database in {} is not one of this program: {why}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// How that shows.
        why: String,
    },
    /// RocksDB or the file system refuses.
    #[error("the database in {} cannot be opened: {why}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// In their words.
        why: String,
    },
}

/// Why a batch was certainly not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// More waits than the queue may hold.
    #[error("the disk does not keep up: {bytes} bytes in {requests} writes wait")]
    Overloaded {
        /// Bytes that wait.
        bytes: usize,
        /// Batches that wait.
        requests: usize,
    },
    /// The database has an I/O error and could not be opened again yet.
    #[error("the database had an error and could not be opened again yet: {0}")]
    Reopening(String),
    /// An earlier batch of the same token is missing.
    #[error("an earlier write under the same lease failed")]
    Fenced,
    /// The guard could not be read.
    #[error("the condition of the write could not be checked: {0}")]
    Unchecked(String),
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

/// Why [`Db::write`](super::Db::write) failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Certainly nothing is written.
    #[error("not written: {0}")]
    NotWritten(NotApplied),
    /// The write failed half-way: the log may hold it.
    #[error("it is not known whether it was written: {0}")]
    Unknown(String),
}

/// Why [`Db::write_guarded`](super::Db::write_guarded) failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardedError {
    /// The guard did not hold; nothing is written.
    #[error("the condition of the write does not hold")]
    Rejected,
    /// Certainly nothing is written, for another reason.
    #[error("not written: {0}")]
    NotWritten(NotApplied),
    /// The write failed half-way: the log may hold it.
    #[error("it is not known whether it was written: {0}")]
    Unknown(String),
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The database had an I/O error and is being opened again, or it was closed.
    #[error("the database is not open now")]
    NotOpen,
    /// RocksDB's error.
    #[error("reading the database failed: {0}")]
    Io(String),
}

/// Too little room for new data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is nearly full ({free} bytes free, {floor} are kept in reserve)")]
pub struct DiskFull {
    /// Free bytes.
    pub free: u64,
    /// The reserve.
    pub floor: u64,
}
