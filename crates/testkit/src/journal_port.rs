//! The journal's ports over [`JournalState`], with commits that end as a test wants.

use crate::journal::{JournalState, Write};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use millstream_ports::{
    CommitOutcome, Discards, Durability, JournalError, Ledger, LedgerPage, LedgerQuery, LedgerRead, Outbox,
    ShardCommit, ShardJournal,
};
use millstream_types::durable::{DeliveryState, Discard, OutboxEntry, QueueAttempt, ShardRecord};
use millstream_types::ids::DiscardId;
use millstream_types::{Incarnation, Lease, MappingId, Namespace, ShardId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// How one of the next commits ends instead of well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// Another owner comes first: nothing is stored.
    Rejected,
    /// Nobody can say, and it is stored.
    UnknownStored,
    /// Nobody can say, and it is not stored.
    UnknownLost,
}

/// An in-memory journal for tests of the engine. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: JournalState,
    deliveries: BTreeMap<DiscardId, DeliveryState>,
    faults: VecDeque<CommitFault>,
    unavailable: bool,
    attempts: Vec<QueueAttempt>,
    appends: usize,
    waiting: Vec<oneshot::Sender<()>>,
    added: bool,
}

impl MemoryJournal {
    /// Lets the next commits end like this, in order.
    pub fn fail_commits(&self, faults: impl IntoIterator<Item = CommitFault>) {
        self.with(|s| s.faults.extend(faults));
    }

    /// Whether everything but commits fails from now on.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.with(|s| s.unavailable = unavailable);
    }

    /// The power goes: all that was not synced is lost.
    pub fn lose_power(&self) {
        self.with(|s| s.state.lose_power(0));
    }

    /// Attempts of queues, in the order in which they were added.
    #[must_use]
    pub fn attempts(&self) -> Vec<QueueAttempt> {
        self.with(|s| s.attempts.clone())
    }

    /// How often attempts of queues were added.
    #[must_use]
    pub fn appends(&self) -> usize {
        self.with(|s| s.appends)
    }

    /// A copy of the state as it is now.
    #[must_use]
    pub fn state(&self) -> JournalState {
        self.with(|s| s.state.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn available<T>(&self, f: impl FnOnce(&mut JournalState) -> T) -> Result<T, JournalError> {
        self.with(|s| match s.unavailable {
            true => Err(JournalError::Unavailable("as the test told it".to_owned())),
            false => Ok(f(&mut s.state)),
        })
    }
}

impl Shared {
    fn commit(&mut self, lease: &Lease, commit: ShardCommit, durability: Durability) -> CommitOutcome {
        let fault = self.faults.pop_front();
        if fault == Some(CommitFault::UnknownLost) {
            return CommitOutcome::Unknown;
        }
        if fault == Some(CommitFault::Rejected) {
            return CommitOutcome::Rejected;
        }
        let adds = !commit.outbox.is_empty();
        if self.state.write(lease, commit) == Write::Rejected {
            return CommitOutcome::Rejected;
        }
        if durability == Durability::Synced {
            self.state.sync();
        }
        if adds {
            self.added = true;
            for waiter in self.waiting.drain(..) {
                let _gone = waiter.send(());
            }
        }
        if fault.is_some() {
            CommitOutcome::Unknown
        } else {
            CommitOutcome::Committed
        }
    }
}

#[async_trait]
impl ShardJournal for MemoryJournal {
    async fn acquire(
        &self,
        mapping: MappingId,
        shard: &ShardId,
        incarnation: Incarnation,
    ) -> Result<(Lease, Option<ShardRecord>), JournalError> {
        self.available(|s| s.acquire(mapping, shard, incarnation))
    }

    fn commit(
        &self,
        lease: &Lease,
        commit: ShardCommit,
        durability: Durability,
    ) -> BoxFuture<'static, CommitOutcome> {
        futures::future::ready(self.with(|s| s.commit(lease, commit, durability))).boxed()
    }

    async fn shards(&self, mapping: MappingId) -> Result<Vec<(ShardId, ShardRecord)>, JournalError> {
        self.available(|s| s.shards(mapping))
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), JournalError> {
        self.available(|s| s.forget(mapping))?;
        self.with(|s| s.attempts.retain(|a| a.mapping != mapping));
        Ok(())
    }
}

impl Ledger for MemoryJournal {
    fn append(
        &self,
        _mapping: MappingId,
        attempts: Vec<QueueAttempt>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        let answer = self.with(|s| {
            if s.unavailable {
                return Err(JournalError::Unavailable("as the test told it".to_owned()));
            }
            s.appends += 1;
            s.attempts.extend(attempts);
            Ok(())
        });
        futures::future::ready(answer).boxed()
    }
}

#[async_trait]
impl Outbox for MemoryJournal {
    async fn pending(
        &self,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, JournalError> {
        self.available(|s| {
            s.outbox()
                .filter(|o| Some(o.discard) > after)
                .take(limit)
                .cloned()
                .collect()
        })
    }

    async fn settle(&self, discard: DiscardId) -> Result<(), JournalError> {
        self.available(|s| s.settle(discard))
    }

    async fn state(&self, discard: DiscardId) -> Result<DeliveryState, JournalError> {
        Ok(self.with(|s| s.deliveries.get(&discard).cloned().unwrap_or_default()))
    }

    async fn note(&self, discard: DiscardId, state: &DeliveryState) -> Result<(), JournalError> {
        if state.end.is_some() {
            self.settle(discard).await?;
        }
        self.with(|s| s.deliveries.insert(discard, state.clone()));
        Ok(())
    }

    async fn payload(&self, discard: DiscardId) -> Result<Option<Bytes>, JournalError> {
        self.available(|s| s.discards().find(|d| d.id == discard).map(|d| d.payload.clone()))
    }

    async fn added(&self) {
        let woken = self.with(|s| {
            if std::mem::take(&mut s.added) {
                return None;
            }
            let (waiter, woken) = oneshot::channel();
            s.waiting.push(waiter);
            Some(woken)
        });
        if let Some(woken) = woken {
            // The sender lives as long as the journal: an error means that nothing will ever be added.
            let _never = woken.await;
            self.with(|s| s.added = false);
        }
    }
}

#[async_trait]
impl Discards for MemoryJournal {
    async fn list(
        &self,
        mapping: MappingId,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<Discard>, JournalError> {
        let of = |d: &&Discard| d.mapping == mapping && Some(d.id) > after;
        self.available(|s| s.discards().filter(of).take(limit).cloned().collect())
    }

    async fn get(&self, namespace: &Namespace, id: DiscardId) -> Result<Option<Discard>, JournalError> {
        self.available(|s| {
            s.discards()
                .find(|d| d.id == id && d.namespace == *namespace)
                .cloned()
        })
    }

    async fn delivery(&self, id: DiscardId) -> Result<Option<DeliveryState>, JournalError> {
        Ok(self.with(|s| s.deliveries.get(&id).cloned()))
    }
}

#[async_trait]
impl LedgerRead for MemoryJournal {
    async fn read(&self, query: LedgerQuery) -> Result<LedgerPage, JournalError> {
        let start = query
            .after
            .and_then(|a| a.try_into().ok())
            .map_or(0, u64::from_be_bytes) as usize;
        let all = self.attempts();
        self.available(|s| {
            let of: Vec<_> = s.ledger().iter().filter(|e| e.mapping == query.mapping).collect();
            let entries: Vec<_> = of
                .iter()
                .skip(start)
                .take(query.limit)
                .map(|e| (*e).clone())
                .collect();
            let attempts: Vec<_> = all.into_iter().filter(|a| a.mapping == query.mapping).collect();
            let total = of.len() + attempts.len();
            let attempts: Vec<_> = attempts.into_iter().skip(start).take(query.limit).collect();
            let end = start + entries.len() + attempts.len();
            let next = (end < total).then(|| (end as u64).to_be_bytes().to_vec());
            LedgerPage {
                entries,
                attempts,
                next,
            }
        })
    }
}
