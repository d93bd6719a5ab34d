//! The store: what is written is kept when the process dies, what is synced when the power goes; commits end as
//! Committed, Rejected or Unknown, and of the last nobody can tell whether they are stored.

use crate::world::{Port, World};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, pending, ready};
use millstream_ports::{
    CommitOutcome, Discards, Durability, JournalError, Ledger, LedgerPage, LedgerQuery, LedgerRead, Outbox,
    ShardCommit, ShardJournal,
};
use millstream_testkit::{Event, Given, JournalState, Progress, Write};
use millstream_types::durable::{
    AttemptResult, DeliveryState, Discard, DiscardCondition, OutboxEntry, QueueAttempt, SegmentRecord,
    ShardRecord,
};
use millstream_types::ids::DiscardId;
use millstream_types::{
    Epoch, Incarnation, Lease, MappingId, Mark, Mono, Namespace, RequestId, Seq, ShardId,
};
use std::collections::{BTreeMap, BTreeSet};

type Key = (MappingId, ShardId);

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) state: JournalState,
    /// Commits on their way to the disk.
    pub(crate) coming: u64,
    /// Leases whose owner was told that it has none, or that nobody knows; and when.
    pub(crate) retired: BTreeMap<Key, (Epoch, Mono)>,
    /// Shards whose owner ended by a fault: what it had in memory is lost.
    pub(crate) lost: BTreeSet<Key>,
    /// Mappings of which an actor was told to panic: any owner of theirs may be the one that does.
    pub(crate) panicking: BTreeSet<MappingId>,
    syncing: bool,
    added: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

fn unavailable() -> JournalError {
    JournalError::Unavailable("so it is simulated".to_owned())
}

fn segments(record: &ShardRecord) -> impl Iterator<Item = &SegmentRecord> {
    let heads = record.lanes.iter().filter_map(|l| l.head.as_ref());
    let prior = record.prior.iter().flat_map(|p| &p.heads).flatten();
    heads.chain(prior).flat_map(|h| &h.segments)
}

impl World {
    fn store_trouble(&mut self) -> bool {
        let trouble = self.outage.store > self.now.mono || self.trouble(self.plan.faults.store);
        if trouble {
            self.seen("store unavailable");
        }
        trouble
    }

    fn acquire(
        &mut self,
        mapping: MappingId,
        shard: &ShardId,
        incarnation: Incarnation,
    ) -> (Lease, Option<ShardRecord>) {
        let key = (mapping, shard.clone());
        if self.store.lost.remove(&key) | self.store.panicking.contains(&mapping) {
            let shard = Some(shard.clone());
            self.note(mapping, Event::Lost { shard, kept: None });
        }
        let (lease, record) = self.store.state.acquire(mapping, shard, incarnation);
        self.write(&format!("{mapping} {shard}: taken at epoch {}", lease.epoch.0));
        (lease, record)
    }

    /// Another node takes a lease and goes away again: the owner finds out at its next commit.
    pub(crate) fn steal(&mut self) {
        let mappings: Vec<MappingId> = self.judges.streams.keys().copied().collect();
        let Some(mapping) = self.rng.pick(&mappings).copied() else {
            return;
        };
        let shards: Vec<ShardId> = self.judges.shards_of(mapping);
        let Some(shard) = self.rng.pick(&shards).cloned() else {
            return;
        };
        if self.store.state.record(mapping, &shard).is_none() {
            return;
        }
        let other = Incarnation::from_bits(self.rng.next_u128());
        self.store.state.acquire(mapping, &shard, other);
        self.write(&format!("{mapping} {shard}: taken by another node"));
    }

    fn commit(
        &mut self,
        process: u64,
        lease: Lease,
        commit: ShardCommit,
        durability: Durability,
        answer: oneshot::Sender<CommitOutcome>,
    ) {
        let key = (lease.mapping, lease.shard.clone());
        if let Some((epoch, _)) = self.store.retired.get(&key)
            && lease.epoch <= *epoch
        {
            self.wrong(format!(
                "I6: a commit of {} at epoch {}, whose owner was told that it has no lease, or that nobody knows",
                lease.shard, lease.epoch.0
            ));
        }
        if !commit.discards.is_empty() && durability != Durability::Synced {
            self.wrong(format!(
                "I14: a discard of {} that is not to be synced",
                lease.shard
            ));
        }
        self.store.coming += 1;
        let way = self.way();
        self.after_in(process, way, move |w| {
            w.lands(process, lease, commit, durability, answer);
        });
    }

    fn lands(
        &mut self,
        process: u64,
        lease: Lease,
        commit: ShardCommit,
        durability: Durability,
        answer: oneshot::Sender<CommitOutcome>,
    ) {
        self.store.coming -= 1;
        let unknown = self.trouble(self.plan.faults.unknown);
        let mut outcome = CommitOutcome::Unknown;
        if unknown && self.rng.per_mille(500) {
            self.seen("unknown commit that was not");
        } else {
            outcome = self.stores(&lease, commit);
            // What is to be synced is seen by nobody before it is.
            if durability == Durability::Synced {
                self.store.state.sync();
            }
            if outcome == CommitOutcome::Committed && unknown {
                self.seen("unknown commit that was stored");
                outcome = CommitOutcome::Unknown;
            }
        }
        let back = self.way();
        self.after_in(process, back, move |w| {
            if outcome != CommitOutcome::Committed {
                let key = (lease.mapping, lease.shard.clone());
                w.store.retired.insert(key.clone(), (lease.epoch, w.now.mono));
                w.store.lost.insert(key);
            }
            let _gone = answer.send(outcome);
        });
    }

    fn stores(&mut self, lease: &Lease, commit: ShardCommit) -> CommitOutcome {
        let shard = lease.shard.clone();
        let progress = commit.record.as_ref().map(Progress::of);
        let documents: BTreeSet<DiscardId> = commit.outbox.iter().map(|o| o.discard).collect();
        let given = |d: &Discard| Given::of(d, marks_of(d), documents.contains(&d.id));
        let discards: Vec<Given> = commit.discards.iter().map(given).collect();
        let seen = what_is_in(&commit);
        let adds = !commit.outbox.is_empty();
        let of_windows: Vec<(Discard, Vec<Seq>)> = commit
            .discards
            .iter()
            .map(|d| (d.clone(), marks_of(d).into_iter().map(|m| m.seq).collect()))
            .collect();
        let Write::Written(number) = self.store.state.write(lease, commit) else {
            self.seen("commit of a fenced owner");
            self.write(&format!("{shard}: commit at epoch {} rejected", lease.epoch.0));
            return CommitOutcome::Rejected;
        };
        seen.into_iter().for_each(|what| self.seen(what));
        self.window_discards(&(lease.mapping, shard.clone()), &of_windows);
        self.note(
            lease.mapping,
            Event::Stored {
                number,
                shard: shard.clone(),
                epoch: lease.epoch.0,
                progress,
                discards,
            },
        );
        if let Some(record) = self.store.state.record(lease.mapping, &shard) {
            let counted = Event::counted(number, &shard, record);
            self.note(lease.mapping, counted);
        }
        if adds {
            self.outbox_added();
        }
        self.sync_soon();
        CommitOutcome::Committed
    }

    /// The real one syncs 50 ms later at the most, and a slow disk later than that.
    fn sync_soon(&mut self) {
        if std::mem::replace(&mut self.store.syncing, true) {
            return;
        }
        let slow = self.trouble(200);
        let ms = if slow { self.rng.between(50, 3_000) } else { 50 };
        self.after_ms(ms, |w| {
            w.store.syncing = false;
            w.store.state.sync();
        });
    }

    fn outbox_added(&mut self) {
        self.store.added = true;
        for waiter in self.store.waiting.drain(..) {
            let _gone = waiter.send(());
        }
    }

    /// Whether it would survive a power loss now that a part which begins here has failed so often.
    pub(crate) fn is_counted(
        &self,
        (mapping, shard): (MappingId, &ShardId),
        request: RequestId,
        first: Option<Mark>,
        attempts: u32,
    ) -> bool {
        let Some(record) = self.store.state.synced_record(mapping, shard) else {
            return false;
        };
        let covers = |s: &SegmentRecord| s.request_id == request || (s.first <= first && first <= s.last);
        segments(record).any(|s| s.attempts >= attempts && covers(s))
    }
}

/// What a commit shows to have happened.
fn what_is_in(commit: &ShardCommit) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for entry in &commit.ledger {
        seen.extend(match entry.result {
            AttemptResult::Partial => Some("part of a batch done"),
            AttemptResult::Retry => Some("retry"),
            AttemptResult::Split => Some("bisect"),
            _ => None,
        });
    }
    for discard in &commit.discards {
        let reasons = [
            (
                DiscardCondition::RetryAttemptsExhausted,
                "discard: retries exhausted",
            ),
            (DiscardCondition::RecordAgeExceeded, "discard: too old"),
        ];
        let of = reasons
            .iter()
            .find(|(condition, _)| *condition == discard.condition);
        seen.extend(of.map(|(_, what)| *what));
    }
    if let Some(record) = &commit.record {
        let single = |s: &SegmentRecord| s.first.is_some() && s.first == s.last;
        let heads = record.lanes.iter().filter_map(|l| l.head.as_ref());
        if heads
            .filter(|h| h.segments.len() > 1)
            .any(|h| h.segments.last().is_some_and(single))
        {
            seen.push("bisect reached one record");
        }
        if record.finished {
            seen.push("shard finished");
        }
    }
    seen
}

/// The records of a discard, from the event it keeps.
fn marks_of(discard: &Discard) -> Vec<Mark> {
    let payload = String::from_utf8_lossy(&discard.payload);
    let rest = payload.split("\"sequenceNumber\":\"").skip(1);
    rest.map(|r| Mark::of(Seq::parse(r.split('"').next().unwrap_or("").as_bytes()).unwrap()))
        .collect()
}

/// The store, as one process uses it.
#[derive(Clone)]
pub(crate) struct SimStore(pub(crate) Port);

/// A history that nobody reads here.
impl Ledger for SimStore {
    fn append(
        &self,
        _mapping: MappingId,
        _attempts: Vec<QueueAttempt>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        ready(Ok(())).boxed()
    }
}

impl SimStore {
    async fn asked<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, JournalError> {
        let answer = self.0.call(|w| (!w.store_trouble()).then(|| effect(w)));
        answer.await.ok_or_else(unavailable)
    }
}

#[async_trait]
impl ShardJournal for SimStore {
    async fn acquire(
        &self,
        mapping: MappingId,
        shard: &ShardId,
        incarnation: Incarnation,
    ) -> Result<(Lease, Option<ShardRecord>), JournalError> {
        let shard = shard.clone();
        self.asked(move |w| w.acquire(mapping, &shard, incarnation)).await
    }

    fn commit(
        &self,
        lease: &Lease,
        commit: ShardCommit,
        durability: Durability,
    ) -> BoxFuture<'static, CommitOutcome> {
        let (tx, rx) = oneshot::channel();
        let (process, lease) = (self.0.process, lease.clone());
        self.0.with(|w| w.commit(process, lease, commit, durability, tx));
        async move {
            match rx.await {
                Ok(outcome) => outcome,
                Err(_) => pending().await,
            }
        }
        .boxed()
    }

    async fn shards(&self, mapping: MappingId) -> Result<Vec<(ShardId, ShardRecord)>, JournalError> {
        self.asked(move |w| w.store.state.shards(mapping)).await
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), JournalError> {
        self.asked(move |w| {
            w.store.state.forget(mapping);
            w.store.state.sync();
        })
        .await
    }
}

#[async_trait]
impl Outbox for SimStore {
    async fn pending(
        &self,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, JournalError> {
        let page = move |w: &mut World| {
            let due = w.store.state.outbox().filter(|o| Some(o.discard) > after);
            due.take(limit).cloned().collect()
        };
        self.asked(page).await
    }

    async fn settle(&self, discard: DiscardId) -> Result<(), JournalError> {
        let settled = self.0.call(move |w| {
            // Not settled, or settled and nobody knows: either way the document may go out again.
            let trouble = w.store_trouble();
            if !trouble || w.rng.per_mille(500) {
                w.store.state.settle(discard);
                w.sync_soon();
            }
            if trouble {
                w.mail.allow_again(discard);
            }
            !trouble
        });
        if settled.await { Ok(()) } else { Err(unavailable()) }
    }

    async fn payload(&self, discard: DiscardId) -> Result<Option<Bytes>, JournalError> {
        let found = move |w: &mut World| {
            let mut all = w.store.state.discards();
            all.find(|d| d.id == discard).map(|d| d.payload.clone())
        };
        self.asked(found).await
    }

    async fn state(&self, _: DiscardId) -> Result<DeliveryState, JournalError> {
        Ok(DeliveryState::default())
    }

    async fn note(&self, discard: DiscardId, state: &DeliveryState) -> Result<(), JournalError> {
        match state.end {
            Some(_) => self.settle(discard).await,
            None => Ok(()),
        }
    }

    async fn added(&self) {
        let woken = self.0.with(|w| {
            if std::mem::take(&mut w.store.added) {
                return None;
            }
            let (tx, rx) = oneshot::channel();
            w.store.waiting.push(tx);
            Some(rx)
        });
        match woken {
            Some(None) => {}
            Some(Some(woken)) => {
                let _gone = woken.await;
                self.0.with(|w| w.store.added = false);
            }
            None => pending().await,
        }
    }
}

#[async_trait]
impl Discards for SimStore {
    async fn list(&self, _: MappingId, _: Option<DiscardId>, _: usize) -> Result<Vec<Discard>, JournalError> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &Namespace, _: DiscardId) -> Result<Option<Discard>, JournalError> {
        Ok(None)
    }

    async fn delivery(&self, _: DiscardId) -> Result<Option<DeliveryState>, JournalError> {
        Ok(None)
    }
}

#[async_trait]
impl LedgerRead for SimStore {
    async fn read(&self, _: LedgerQuery) -> Result<LedgerPage, JournalError> {
        Ok(LedgerPage::default())
    }
}

impl Store {
    /// The process is gone, and with it what it had asked for.
    pub(crate) fn forget_process(&mut self) {
        self.coming = 0;
        self.retired.clear();
        self.lost.clear();
        self.waiting.clear();
        self.added = true;
    }
}
