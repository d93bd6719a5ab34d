//! The progress of shards, fenced by leases.
//!
//! A shard's owner is the row [`Key::ShardEpoch`]: epoch and incarnation. Every commit is guarded by that row as a
//! token, so the writer thread compares it in the same order in which it applies batches: after a newer owner's
//! acquisition no commit of the old one can slip in, and after a failed commit none that was queued behind it.

use crate::attempts::QueueAttempts;
use crate::codec::{Damaged, StoreError, Stored, decode, encode};
use crate::db::{Batch, Db, Guard, GuardedError};
use crate::mailroom::OutboxStore;
use crate::rows::{off_runtime, read_rows};
use crate::schema::{Key, Range, Table};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use millstream_ports::{CommitOutcome, Durability, JournalError, Ledger, ShardCommit, ShardJournal};
use millstream_types::durable::{LedgerEntry, QueueAttempt, ShardRecord};
use millstream_types::{Epoch, Incarnation, Lease, MappingId, ShardId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often an acquisition that meets another one looks again.
const ACQUIRE_TRIES: u32 = 8;

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// Most ledger entries per shard, and per mapping of a queue, at least 16; default 100,000. The oldest go first, a
    /// sixteenth at a time.
    pub ledger_entries: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            ledger_entries: 100_000,
        }
    }
}

/// The journal of one node. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Journal {
    db: Db,
    outbox: OutboxStore,
    ledger_entries: u64,
    attempts: QueueAttempts,
    owned: Arc<Mutex<BTreeMap<(MappingId, ShardId), Owned>>>,
}

/// The value of [`Key::ShardEpoch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    epoch: Epoch,
    /// Nil for a shard that was forgotten: nobody's.
    incarnation: Incarnation,
}

impl Stored for Owner {}

/// A shard that this journal gave out, and where its ledger stands.
#[derive(Debug)]
struct Owned {
    owner: Owner,
    /// `owner` as stored.
    token: Bytes,
    ledger: std::ops::Range<u64>,
}

impl Journal {
    /// A journal in `db`. It tells `outbox` of new documents.
    #[must_use]
    pub fn new(db: Db, outbox: &OutboxStore, options: JournalOptions) -> Self {
        let ledger_entries = options.ledger_entries.max(16);
        Self {
            db,
            outbox: outbox.clone(),
            ledger_entries,
            attempts: QueueAttempts::default(),
            owned: Arc::default(),
        }
    }

    /// Writes a new owner into the shard's row.
    async fn take(&self, key: &Key, incarnation: Incarnation) -> Result<(Owner, Bytes), JournalError> {
        for _ in 0..ACQUIRE_TRIES {
            let current = self.db.get(&key.encode()).map_err(StoreError::from)?;
            let (guard, before) = match &current {
                Some(value) => {
                    let owner: Owner = decode(&key.encode(), value).map_err(StoreError::from)?;
                    (Guard::none().is(key, value.clone()), owner.epoch)
                }
                None => (Guard::none().absent(key), Epoch(0)),
            };
            let owner = Owner {
                epoch: Epoch(before.0 + 1),
                incarnation,
            };
            let token = encode(&owner).map_err(|e| JournalError::Unavailable(e.to_string()))?;
            let mut batch = Batch::new();
            batch.put(key, token.clone());
            match self.db.write_guarded(guard, batch, Durability::Synced).await {
                Ok(()) => return Ok((owner, token)),
                Err(GuardedError::Rejected) => {}
                Err(e) => return Err(JournalError::Unavailable(e.to_string())),
            }
        }
        Err(JournalError::Unavailable(
            "others take the same shard over and over".into(),
        ))
    }

    /// Notes a new owner. The ledger is read after its row was written: whatever earlier owners had queued is
    /// applied or rejected by then.
    fn note(
        &self,
        mapping: MappingId,
        shard: &ShardId,
        owner: Owner,
        token: Bytes,
    ) -> Result<(), StoreError> {
        let ledger = self.ledger_numbers(mapping, shard)?;
        let mut all = self.lock();
        let newer = all
            .get(&(mapping, shard.clone()))
            .is_some_and(|other| other.owner.epoch > owner.epoch);
        if !newer {
            all.insert((mapping, shard.clone()), Owned { owner, token, ledger });
        }
        Ok(())
    }

    fn ledger_numbers(
        &self,
        mapping: MappingId,
        shard: &ShardId,
    ) -> Result<std::ops::Range<u64>, StoreError> {
        let range = Range::ledger(mapping, shard);
        let number = |row: Option<(Bytes, Bytes)>| match row.map(|(key, _)| Key::decode(&key)) {
            Some(Ok(Key::Ledger { number, .. })) => Some(number),
            _ => None,
        };
        let first = number(self.db.first(&range)?);
        let last = number(self.db.last(&range)?);
        Ok(first.unwrap_or(0)..last.map_or(0, |last| last + 1))
    }

    fn read_record(&self, mapping: MappingId, shard: &ShardId) -> Result<Option<ShardRecord>, StoreError> {
        let key = Key::ShardRecord {
            mapping,
            shard: shard.clone(),
        }
        .encode();
        match self.db.get(&key)? {
            Some(value) => Ok(Some(decode(&key, &value)?)),
            None => Ok(None),
        }
    }

    /// What `commit` writes.
    fn batch(
        &self,
        lease: &Lease,
        commit: &ShardCommit,
        ledger: &mut std::ops::Range<u64>,
    ) -> Result<Batch, postcard::Error> {
        let mut batch = Batch::new();
        if let Some(record) = &commit.record {
            let key = Key::ShardRecord {
                mapping: lease.mapping,
                shard: lease.shard.clone(),
            };
            batch.put(&key, encode(record)?);
        }
        for discard in &commit.discards {
            let (mapping, at) = (discard.mapping, discard.at);
            batch.put(
                &Key::Discard {
                    mapping,
                    at,
                    id: discard.id,
                },
                encode(discard)?,
            );
            batch.put(&Key::DiscardById { id: discard.id }, encode(&(mapping, at))?);
        }
        for entry in &commit.outbox {
            batch.put(
                &Key::Outbox {
                    discard: entry.discard,
                },
                encode(entry)?,
            );
        }
        self.add_ledger(lease, &commit.ledger, ledger, &mut batch)?;
        if !commit.outbox.is_empty() {
            self.outbox.announce(&mut batch);
        }
        Ok(batch)
    }

    fn add_ledger(
        &self,
        lease: &Lease,
        entries: &[LedgerEntry],
        numbers: &mut std::ops::Range<u64>,
        batch: &mut Batch,
    ) -> Result<(), postcard::Error> {
        let key = |number| Key::Ledger {
            mapping: lease.mapping,
            shard: lease.shard.clone(),
            number,
        };
        for entry in entries {
            batch.put(&key(numbers.end), encode(entry)?);
            numbers.end += 1;
        }
        if numbers.end - numbers.start > self.ledger_entries {
            let keep = self.ledger_entries - self.ledger_entries / 16;
            numbers.start = numbers.end - keep;
            batch.delete_range(Range::ledger(lease.mapping, &lease.shard).below(&key(numbers.start)));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(MappingId, ShardId), Owned>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Journal {
    fn append(
        &self,
        mapping: MappingId,
        attempts: Vec<QueueAttempt>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        self.attempts
            .append(&self.db, mapping, &attempts, self.ledger_entries)
    }
}

#[async_trait]
impl ShardJournal for Journal {
    async fn acquire(
        &self,
        mapping: MappingId,
        shard: &ShardId,
        incarnation: Incarnation,
    ) -> Result<(Lease, Option<ShardRecord>), JournalError> {
        let key = Key::ShardEpoch {
            mapping,
            shard: shard.clone(),
        };
        let (owner, token) = self.take(&key, incarnation).await?;
        self.note(mapping, shard, owner, token)?;
        let record = self.read_record(mapping, shard)?;
        Ok((
            Lease {
                mapping,
                shard: shard.clone(),
                epoch: owner.epoch,
                incarnation,
            },
            record,
        ))
    }

    fn commit(
        &self,
        lease: &Lease,
        commit: ShardCommit,
        durability: Durability,
    ) -> BoxFuture<'static, CommitOutcome> {
        // The lock is held until the batch is queued: the ledger's numbers are in the order of the queue.
        let mut all = self.lock();
        let owner = Owner {
            epoch: lease.epoch,
            incarnation: lease.incarnation,
        };
        // Leases end with the process that took them, so this journal knows every valid one.
        let Some(owned) = all
            .get_mut(&(lease.mapping, lease.shard.clone()))
            .filter(|owned| owned.owner == owner)
        else {
            return ready(CommitOutcome::Rejected).boxed();
        };
        let batch = match self.batch(lease, &commit, &mut owned.ledger) {
            Ok(batch) => batch,
            Err(e) => {
                tracing::error!(error = %e, mapping = %lease.mapping, shard = %lease.shard, "a commit has no stored form");
                all.remove(&(lease.mapping, lease.shard.clone()));
                return ready(CommitOutcome::Rejected).boxed();
            }
        };
        let key = Key::ShardEpoch {
            mapping: lease.mapping,
            shard: lease.shard.clone(),
        };
        let guard = Guard::token(&key, owned.token.clone());
        self.db
            .write_guarded(guard, batch, durability)
            .map(|answer| outcome(&answer))
            .boxed()
    }

    async fn shards(&self, mapping: MappingId) -> Result<Vec<(ShardId, ShardRecord)>, JournalError> {
        let db = self.db.clone();
        off_runtime(move || {
            read_rows(
                &db,
                &Range::mapping(Table::ShardRecord, mapping),
                usize::MAX,
                |row| match &row.key {
                    Key::ShardRecord { shard, .. } => Ok((shard.clone(), row.decode()?)),
                    _ => Err(Damaged::at(row.raw, "not in this table")),
                },
            )
        })
        .await
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), JournalError> {
        let written = {
            // With the lock, nobody commits between the look at the owners and the write that fences them.
            let mut all = self.lock();
            let mut batch = Batch::new();
            let owners = read_rows(
                &self.db,
                &Range::mapping(Table::ShardEpoch, mapping),
                usize::MAX,
                |row| {
                    let owner: Owner = row.decode()?;
                    Ok((row.key, owner))
                },
            )?;
            for (key, owner) in owners {
                let nobody = Owner {
                    epoch: Epoch(owner.epoch.0 + 1),
                    incarnation: Incarnation(uuid::Uuid::nil()),
                };
                batch.put(
                    &key,
                    encode(&nobody).map_err(|e| JournalError::Unavailable(e.to_string()))?,
                );
            }
            batch.delete_range(Range::mapping(Table::ShardRecord, mapping));
            batch.delete_range(Range::mapping(Table::Ledger, mapping));
            self.attempts.forget(mapping, &mut batch);
            all.retain(|(owner, _), _| *owner != mapping);
            self.db.write(batch, Durability::Synced)
        };
        written
            .await
            .map_err(|e| JournalError::Unavailable(e.to_string()))
    }
}

fn outcome(answer: &Result<(), GuardedError>) -> CommitOutcome {
    match answer {
        Ok(()) => CommitOutcome::Committed,
        Err(GuardedError::Rejected) => CommitOutcome::Rejected,
        // Also where nothing was written: the owner's memory is ahead of the store, and must be read anew.
        Err(GuardedError::NotWritten(_) | GuardedError::Unknown(_)) => CommitOutcome::Unknown,
    }
}
