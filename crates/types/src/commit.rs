//! What the owner of a shard stores in one step, and how that can end.

use crate::durable::{Discard, LedgerEntry, OutboxEntry, ShardRecord};

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Survives the end of the process at once, and power loss within 50 ms.
    Written,
    /// Survives power loss before it is answered.
    Synced,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitOutcome {
    /// All of it is stored.
    Committed,
    /// None of it: the lease is not the shard's newest. The owner must stop at once.
    Rejected,
    /// Nobody can say. The owner must start nothing new on the shard, and take a new lease to find out.
    Unknown,
}

/// What one commit stores, all or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardCommit {
    /// The shard's new record.
    pub record: Option<ShardRecord>,
    /// Records given up.
    pub discards: Vec<Discard>,
    /// Failure documents to be sent for them.
    pub outbox: Vec<OutboxEntry>,
    /// History.
    pub ledger: Vec<LedgerEntry>,
}
