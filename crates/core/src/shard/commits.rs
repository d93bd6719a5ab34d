//! One commit at a time, so that an older state can never land on a newer one; what comes up meanwhile is
//! gathered for the next.

use super::persist::stored_checkpoint;
use crate::mutant::{self, Mutant};
use millstream_types::commit::{Durability, ShardCommit};
use millstream_types::durable::{Discard, LedgerEntry, OutboxEntry, ShardRecord};
use millstream_types::{Mark, Position};

/// Identifies a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitToken(pub u64);

/// Store this, and answer with [`super::ShardMachine::on_commit`].
#[derive(Clone, Debug, PartialEq)]
pub struct CommitOrder {
    /// Its number.
    pub token: CommitToken,
    /// What to store.
    pub commit: ShardCommit,
    /// What to wait for.
    pub durability: Durability,
}

/// A commit on its way.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) token: CommitToken,
    /// Lanes that go on when it is done.
    pub(super) gated: Vec<usize>,
    /// Whether it says that the shard is finished.
    pub(super) finishes: bool,
    /// What is durable once it is done.
    pub(super) progress: StoredProgress,
}

/// How far the shard is finished on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredProgress {
    pub(super) checkpoint: Position,
    /// Per lane.
    pub(super) done_through: Vec<Option<Mark>>,
}

impl StoredProgress {
    pub(super) fn of(record: &ShardRecord) -> Self {
        Self {
            checkpoint: stored_checkpoint(record),
            done_through: record.lanes.iter().map(|l| l.done_through).collect(),
        }
    }
}

/// The commit on its way and what gathers behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Commits {
    last: u64,
    pub(super) running: Option<Running>,
    dirty: bool,
    synced: bool,
    discards: Vec<Discard>,
    outbox: Vec<OutboxEntry>,
    ledger: Vec<LedgerEntry>,
    gated: Vec<usize>,
}

impl Commits {
    /// Progress that may be repeated after a power loss.
    pub(super) fn note(&mut self) {
        self.dirty = true;
    }

    /// The lane waits until what it just decided is on disk.
    pub(super) fn gate(&mut self, lane: usize) {
        self.dirty = true;
        self.synced = true;
        self.gated.push(lane);
    }

    pub(super) fn require_sync(&mut self) {
        self.dirty = true;
        self.synced = true;
    }

    pub(super) fn add_ledger(&mut self, entry: LedgerEntry) {
        self.ledger.push(entry);
    }

    pub(super) fn add_discard(&mut self, discard: Discard, document: Option<OutboxEntry>) {
        self.discards.push(discard);
        self.outbox.extend(document);
    }

    pub(super) fn idle(&self) -> bool {
        self.running.is_none() && !self.dirty
    }

    pub(super) fn due(&self) -> bool {
        self.running.is_none() && self.dirty
    }

    /// Everything gathered, with the record as it is now.
    pub(super) fn take(&mut self, record: ShardRecord) -> CommitOrder {
        self.last += 1;
        let token = CommitToken(self.last);
        let gated = std::mem::take(&mut self.gated);
        self.running = Some(Running {
            token,
            gated,
            finishes: record.finished,
            progress: StoredProgress::of(&record),
        });
        let unsynced = mutant::on(Mutant::CountNotSynced) && self.discards.is_empty();
        let durability = if std::mem::take(&mut self.synced) && !unsynced {
            Durability::Synced
        } else {
            Durability::Written
        };
        let late = mutant::on(Mutant::DocumentBeforeDiscard) && !self.outbox.is_empty();
        let discards = if late {
            Vec::new()
        } else {
            std::mem::take(&mut self.discards)
        };
        (self.dirty, self.synced) = (late, late);
        let commit = ShardCommit {
            record: Some(record),
            discards,
            outbox: std::mem::take(&mut self.outbox),
            ledger: std::mem::take(&mut self.ledger),
        };
        CommitOrder {
            token,
            commit,
            durability,
        }
    }
}
