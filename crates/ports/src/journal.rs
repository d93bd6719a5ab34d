//! Where the owner of a shard makes its progress durable.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use millstream_types::durable::{
    DeliveryState, Discard, LedgerEntry, OutboxEntry, QueueAttempt, ShardRecord,
};
use millstream_types::ids::DiscardId;
use millstream_types::{Incarnation, Lease, MappingId, Namespace, ShardId};

pub use millstream_types::commit::{CommitOutcome, Durability, ShardCommit};

/// Why nothing could be read or acquired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The store has an error of its own; try again later.
    #[error("the store cannot be used now: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood.
    #[error("stored data of {what} is damaged: {why}")]
    Damaged {
        /// Which data.
        what: String,
        /// In which way.
        why: String,
    },
}

/// The durable progress of shards, fenced by leases.
#[async_trait]
pub trait ShardJournal: Send + Sync + 'static {
    /// Takes the shard over under a new epoch, synced before it is answered, and reads its record.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn acquire(
        &self,
        mapping: MappingId,
        shard: &ShardId,
        incarnation: Incarnation,
    ) -> Result<(Lease, Option<ShardRecord>), JournalError>;

    /// Stores `commit` if `lease` is the shard's newest. The commit is queued before this function returns:
    /// commits of one caller are applied in the order of the calls, whenever their futures are polled.
    fn commit(
        &self,
        lease: &Lease,
        commit: ShardCommit,
        durability: Durability,
    ) -> BoxFuture<'static, CommitOutcome>;

    /// The records of all shards of a mapping.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn shards(&self, mapping: MappingId) -> Result<Vec<(ShardId, ShardRecord)>, JournalError>;

    /// Forgets all shards of a mapping, with their history; its discards and outbox stay. Also fences every
    /// lease on them.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn forget(&self, mapping: MappingId) -> Result<(), JournalError>;
}

/// Failure documents waiting to be sent.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// The oldest `limit` documents after the discard `after`, in the order of their discards' ids.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn pending(&self, after: Option<DiscardId>, limit: usize)
    -> Result<Vec<OutboxEntry>, JournalError>;

    /// Removes a document that was delivered. Removing it twice is no error.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn settle(&self, discard: DiscardId) -> Result<(), JournalError>;

    /// How the delivery of a document stands, as [noted](Outbox::note) last; the default if nothing was noted.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn state(&self, discard: DiscardId) -> Result<DeliveryState, JournalError>;

    /// Notes how the delivery of a document stands. One that has ended is [settled](Outbox::settle) by the same write.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn note(&self, discard: DiscardId, state: &DeliveryState) -> Result<(), JournalError>;

    /// The event that carries the records of a discard, for destinations that want them too; none if it is gone.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn payload(&self, discard: DiscardId) -> Result<Option<Bytes>, JournalError>;

    /// Resolves when documents may have been added since the last call.
    async fn added(&self);
}

/// Records that were given up, with their payload.
#[async_trait]
pub trait Discards: Send + Sync + 'static {
    /// The oldest `limit` discards of a mapping after `after`.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn list(
        &self,
        mapping: MappingId,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<Discard>, JournalError>;

    /// One discard.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn get(&self, namespace: &Namespace, id: DiscardId) -> Result<Option<Discard>, JournalError>;

    /// How the delivery of a discard's document stands; none if it has no document.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn delivery(&self, id: DiscardId) -> Result<Option<DeliveryState>, JournalError>;
}

/// Which part of the history to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerQuery {
    /// Of which mapping.
    pub mapping: MappingId,
    /// Where the last page ended.
    pub after: Option<Vec<u8>>,
    /// Most entries.
    pub limit: usize,
}

/// A page of history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerPage {
    /// Of a mapping of a stream: by shard, oldest first.
    pub entries: Vec<LedgerEntry>,
    /// Of a mapping of a queue: oldest first.
    pub attempts: Vec<QueueAttempt>,
    /// Where the next page starts; none if this was the last.
    pub next: Option<Vec<u8>>,
}

/// Where attempts are noted that belong to no shard: those of queues.
pub trait Ledger: Send + Sync + 'static {
    /// Adds attempts of a mapping, oldest first, and lets the oldest of all go if there are too many. They are queued
    /// before this function returns, in the order of the calls; written, not synced, when the future resolves. What
    /// could not be written is lost: a history is no reason to stop work.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    fn append(
        &self,
        mapping: MappingId,
        attempts: Vec<QueueAttempt>,
    ) -> BoxFuture<'static, Result<(), JournalError>>;
}

/// The history of attempts.
#[async_trait]
pub trait LedgerRead: Send + Sync + 'static {
    /// One page.
    ///
    /// # Errors
    /// Any [`JournalError`].
    async fn read(&self, query: LedgerQuery) -> Result<LedgerPage, JournalError>;
}
