//! The durable progress of shards in memory: fenced by epochs, and able to lose what was not synced.

use millstream_types::commit::ShardCommit;
use millstream_types::durable::{Discard, LedgerEntry, OutboxEntry, ShardRecord};
use millstream_types::ids::DiscardId;
use millstream_types::{Epoch, Incarnation, Lease, MappingId, ShardId};
use std::collections::BTreeMap;

/// The place of a write among all writes of a journal, from 1.
pub type CommitNumber = u64;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is in the log under this number; a power loss may still take it away until [`JournalState::sync`].
    Written(CommitNumber),
    /// The lease is not the shard's newest.
    Rejected,
}

/// What a journal holds at one point of its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Image {
    pub(crate) shards: BTreeMap<(MappingId, ShardId), Owned>,
    pub(crate) discards: BTreeMap<DiscardId, Discard>,
    pub(crate) outbox: BTreeMap<DiscardId, OutboxEntry>,
    pub(crate) ledger: Vec<LedgerEntry>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Owned {
    pub(crate) epoch: Epoch,
    pub(crate) holder: Option<Incarnation>,
    pub(crate) record: Option<ShardRecord>,
}

#[derive(Clone, Debug)]
enum Entry {
    Acquired(Lease),
    Committed(Box<(Lease, ShardCommit)>),
    Settled(DiscardId),
    Forgotten(MappingId),
}

/// A journal as a write-ahead log with a synced prefix. A process that dies keeps all of it, a power loss only a
/// prefix that reaches at least to the last sync.
#[derive(Clone, Debug, Default)]
pub struct JournalState {
    base: Image,
    now: Image,
    unsynced: Vec<Entry>,
    written: CommitNumber,
    synced: CommitNumber,
}

impl JournalState {
    /// Takes a shard over under a new epoch. Synced, and with it all that was written before.
    pub fn acquire(
        &mut self,
        mapping: MappingId,
        shard: &ShardId,
        incarnation: Incarnation,
    ) -> (Lease, Option<ShardRecord>) {
        let owned = self.now.shards.get(&(mapping, shard.clone()));
        let epoch = Epoch(owned.map_or(0, |o| o.epoch.0) + 1);
        let record = owned.and_then(|o| o.record.clone());
        let lease = Lease {
            mapping,
            shard: shard.clone(),
            epoch,
            incarnation,
        };
        self.append(Entry::Acquired(lease.clone()));
        self.sync();
        (lease, record)
    }

    /// Writes a commit if the lease is the newest.
    pub fn write(&mut self, lease: &Lease, commit: ShardCommit) -> Write {
        let owned = self.now.shards.get(&(lease.mapping, lease.shard.clone()));
        if owned.is_none_or(|o| o.epoch != lease.epoch || o.holder != Some(lease.incarnation)) {
            return Write::Rejected;
        }
        Write::Written(self.append(Entry::Committed(Box::new((lease.clone(), commit)))))
    }

    /// Removes a delivered failure document.
    pub fn settle(&mut self, discard: DiscardId) {
        self.append(Entry::Settled(discard));
    }

    /// Forgets a mapping's shards and history; fences every lease on them.
    pub fn forget(&mut self, mapping: MappingId) {
        self.append(Entry::Forgotten(mapping));
    }

    /// Makes all that was written survive a power loss.
    pub fn sync(&mut self) {
        self.synced += self.unsynced.len() as u64;
        for entry in self.unsynced.drain(..) {
            self.base.apply(&entry);
        }
    }

    /// The last write.
    #[must_use]
    pub fn written(&self) -> CommitNumber {
        self.written
    }

    /// The last write that survives a power loss for certain.
    #[must_use]
    pub fn synced(&self) -> CommitNumber {
        self.synced
    }

    /// The power goes: writes after `keep`, or after the last sync if that is later, are gone. Returns the last
    /// write that is left; numbers after it are given again.
    pub fn lose_power(&mut self, keep: CommitNumber) -> CommitNumber {
        self.unsynced
            .truncate(keep.saturating_sub(self.synced()) as usize);
        self.sync();
        self.now.clone_from(&self.base);
        self.written = self.synced;
        self.synced
    }

    /// The record of a shard.
    #[must_use]
    pub fn record(&self, mapping: MappingId, shard: &ShardId) -> Option<&ShardRecord> {
        self.now.shards.get(&(mapping, shard.clone()))?.record.as_ref()
    }

    /// The record of a shard as a power loss now would leave it at the least.
    #[must_use]
    pub fn synced_record(&self, mapping: MappingId, shard: &ShardId) -> Option<&ShardRecord> {
        self.base.shards.get(&(mapping, shard.clone()))?.record.as_ref()
    }

    /// Whether a power loss now would leave this discard for certain.
    #[must_use]
    pub fn is_discard_synced(&self, discard: DiscardId) -> bool {
        self.base.discards.contains_key(&discard)
    }

    /// The records of all shards of a mapping.
    #[must_use]
    pub fn shards(&self, mapping: MappingId) -> Vec<(ShardId, ShardRecord)> {
        let of = self.now.shards.iter().filter(|((m, _), _)| *m == mapping);
        of.filter_map(|((_, shard), o)| Some((shard.clone(), o.record.clone()?)))
            .collect()
    }

    /// All discards, by id.
    pub fn discards(&self) -> impl Iterator<Item = &Discard> {
        self.now.discards.values()
    }

    /// All failure documents that wait, by discard id.
    pub fn outbox(&self) -> impl Iterator<Item = &OutboxEntry> {
        self.now.outbox.values()
    }

    /// The history, oldest first.
    #[must_use]
    pub fn ledger(&self) -> &[LedgerEntry] {
        &self.now.ledger
    }

    fn append(&mut self, entry: Entry) -> CommitNumber {
        self.now.apply(&entry);
        self.unsynced.push(entry);
        self.written += 1;
        self.written
    }
}

impl Image {
    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Acquired(lease) => {
                let owned = self
                    .shards
                    .entry((lease.mapping, lease.shard.clone()))
                    .or_default();
                owned.epoch = lease.epoch;
                owned.holder = Some(lease.incarnation);
            }
            Entry::Committed(both) => {
                let (lease, commit) = &**both;
                if let Some(record) = &commit.record {
                    let owned = self
                        .shards
                        .entry((lease.mapping, lease.shard.clone()))
                        .or_default();
                    owned.record = Some(record.clone());
                }
                self.discards
                    .extend(commit.discards.iter().map(|d| (d.id, d.clone())));
                self.outbox
                    .extend(commit.outbox.iter().map(|o| (o.discard, o.clone())));
                self.ledger.extend(commit.ledger.iter().cloned());
            }
            Entry::Settled(discard) => {
                self.outbox.remove(discard);
            }
            Entry::Forgotten(mapping) => {
                // The epochs stay, so that a lease from before is never the newest again.
                for owned in self
                    .shards
                    .iter_mut()
                    .filter(|((m, _), _)| m == mapping)
                    .map(|(_, o)| o)
                {
                    *owned = Owned {
                        epoch: Epoch(owned.epoch.0 + 1),
                        ..Owned::default()
                    };
                }
                self.ledger.retain(|e| e.mapping != *mapping);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{Mark, Position, Seq};

    fn shard() -> ShardId {
        ShardId::new("s").unwrap()
    }

    fn progress(n: u128) -> ShardCommit {
        let record = ShardRecord {
            generation: 1,
            start: Position::Trim,
            lane_hash: 1,
            lanes: Vec::new(),
            prior: Vec::new(),
            read_through: Some(Mark::of(Seq::from_u128(n))),
            at_end: false,
            finished: false,
            windows: None,
        };
        ShardCommit {
            record: Some(record),
            ..ShardCommit::default()
        }
    }

    fn read_through(journal: &JournalState, mapping: MappingId) -> Option<String> {
        journal
            .record(mapping, &shard())?
            .read_through
            .map(|m| m.to_string())
    }

    #[test]
    fn an_older_lease_is_rejected_and_stays_so_after_forgetting() {
        let (mut journal, mapping) = (JournalState::default(), MappingId::from_bits(1));
        let (old, _) = journal.acquire(mapping, &shard(), Incarnation::from_bits(1));
        let (new, _) = journal.acquire(mapping, &shard(), Incarnation::from_bits(2));
        assert!(new.epoch > old.epoch);
        assert_eq!(journal.write(&old, progress(1)), Write::Rejected);
        assert!(matches!(journal.write(&new, progress(2)), Write::Written(_)));
        journal.forget(mapping);
        assert_eq!(journal.write(&new, progress(3)), Write::Rejected);
        let (newer, record) = journal.acquire(mapping, &shard(), Incarnation::from_bits(1));
        assert!(newer.epoch > new.epoch && record.is_none());
    }

    #[test]
    fn a_power_loss_keeps_a_prefix_that_reaches_to_the_last_sync() {
        // (synced after so many of four writes, asked to keep up to, what is read then)
        for (synced, keep, expect) in [
            (0, 0, None),
            (2, 0, Some("2")),
            (2, 3, Some("3")),
            (2, 99, Some("4")),
        ] {
            let (mut journal, mapping) = (JournalState::default(), MappingId::from_bits(1));
            let (lease, _) = journal.acquire(mapping, &shard(), Incarnation::from_bits(1));
            let first = journal.written();
            for n in 1..=4 {
                journal.write(&lease, progress(n));
                if n == synced {
                    journal.sync();
                }
            }
            let left = journal.lose_power(first + keep);
            assert_eq!(
                read_through(&journal, mapping).as_deref(),
                expect,
                "synced {synced}, keep {keep}"
            );
            assert_eq!((left, left), (journal.written(), journal.synced()));
        }
    }
}
