//! What the events add up to: the facts that several invariants need.

use crate::log::{CallResult, Event, Given, Progress};
use bytes::Bytes;
use millstream_core::lane_hash::{LANE_HASH_VERSION, lane_of};
use millstream_types::ids::DiscardId;
use millstream_types::{Mark, ShardId};
use std::collections::{BTreeMap, BTreeSet};

/// The facts so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    shards: BTreeMap<ShardId, ShardFacts>,
    pub(super) discards: BTreeMap<DiscardId, (u64, Given)>,
    pub(super) running: BTreeMap<u64, Running>,
    pub(super) losses: u64,
    /// Records that an event took part in for the first time as successful: what [`Event::Ended`] changed.
    pub(super) just_done: Vec<Mark>,
    /// The call that the last [`Event::Ended`] ended.
    pub(super) just_ended: Option<Running>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ShardFacts {
    pub(super) parents: Vec<ShardId>,
    pub(super) records: BTreeMap<Mark, RecordFacts>,
    /// Per key: records that are not finished.
    pub(super) open: BTreeMap<Bytes, BTreeSet<Mark>>,
    /// The write that said that the shard is finished.
    pub(super) finished: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RecordFacts {
    pub(super) key: Bytes,
    /// How often it succeeded.
    pub(super) successes: u32,
    /// How often it may succeed again: its success was lost from memory.
    pub(super) repeats: u32,
    /// By the write that gave it up.
    pub(super) discarded: Vec<(u64, DiscardId)>,
    /// The first write whose progress covers it.
    pub(super) settled: Option<u64>,
    pub(super) trimmed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) shard: ShardId,
    pub(super) marks: Vec<Mark>,
}

impl RecordFacts {
    pub(super) fn terminal(&self) -> bool {
        self.successes > 0 || !self.discarded.is_empty() || self.trimmed
    }
}

impl History {
    /// How many records were put.
    #[must_use]
    pub fn produced(&self) -> usize {
        self.shards.values().map(|s| s.records.len()).sum()
    }

    /// How many records succeeded at least once.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.shards
            .values()
            .flat_map(|s| s.records.values())
            .filter(|r| r.successes > 0)
            .count()
    }

    /// How many successes were repetitions.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.shards
            .values()
            .flat_map(|s| s.records.values())
            .map(|r| u64::from(r.successes.saturating_sub(1)))
            .sum()
    }

    /// How many discards are stored.
    #[must_use]
    pub fn discards(&self) -> usize {
        self.discards.len()
    }

    /// The records that are not finished, at most `limit`.
    #[must_use]
    pub fn unfinished(&self, limit: usize) -> Vec<(ShardId, Mark)> {
        let of = |(id, s): (&ShardId, &ShardFacts)| {
            let open: Vec<_> = s.open.values().flatten().map(|m| (id.clone(), *m)).collect();
            open
        };
        self.shards.iter().flat_map(of).take(limit).collect()
    }

    pub(super) fn shard(&self, shard: &ShardId) -> Option<&ShardFacts> {
        self.shards.get(shard)
    }

    pub(super) fn record(&self, shard: &ShardId, mark: Mark) -> Option<&RecordFacts> {
        self.shards.get(shard)?.records.get(&mark)
    }

    pub(super) fn apply(&mut self, event: &Event) {
        self.just_done.clear();
        self.just_ended = None;
        match event {
            Event::Shard { shard, parents } => self
                .shards
                .entry(shard.clone())
                .or_default()
                .parents
                .clone_from(parents),
            Event::Produced { shard, mark, key } => self.produce(shard, *mark, key),
            Event::Trimmed { shard, through } => self.trim(shard, *through),
            Event::Started {
                call, shard, marks, ..
            } => {
                self.running.insert(
                    *call,
                    Running {
                        shard: shard.clone(),
                        marks: marks.clone(),
                    },
                );
            }
            Event::Ended { call, result } => self.end(*call, *result),
            Event::Stored {
                number,
                shard,
                progress,
                discards,
                ..
            } => {
                self.give_up(*number, shard, discards);
                if let Some(progress) = progress {
                    self.settle(*number, shard, progress);
                }
            }
            Event::Lost { shard, kept } => self.lose(shard.as_ref(), *kept),
            Event::Configured { .. }
            | Event::Counted { .. }
            | Event::Document { .. }
            | Event::Pausing { .. }
            | Event::Paused
            | Event::Resumed
            | Event::Sought { .. } => {}
        }
    }

    fn produce(&mut self, shard: &ShardId, mark: Mark, key: &Bytes) {
        let facts = self.shards.entry(shard.clone()).or_default();
        facts.open.entry(key.clone()).or_default().insert(mark);
        facts.records.insert(
            mark,
            RecordFacts {
                key: key.clone(),
                ..RecordFacts::default()
            },
        );
    }

    fn trim(&mut self, shard: &ShardId, through: Mark) {
        let Some(facts) = self.shards.get_mut(shard) else {
            return;
        };
        for record in facts.records.range_mut(..=through) {
            record.1.trimmed = true;
        }
        for open in facts.open.values_mut() {
            *open = open.split_off(&through);
            open.remove(&through);
        }
    }

    fn end(&mut self, call: u64, result: CallResult) {
        let Some(running) = self.running.remove(&call) else {
            return;
        };
        let done = match result {
            CallResult::Done => running.marks.len(),
            CallResult::DoneBefore(n) => n.min(running.marks.len()),
            CallResult::Failed | CallResult::NotRun => 0,
        };
        let Some(facts) = self.shards.get_mut(&running.shard) else {
            return;
        };
        for mark in running.marks.iter().take(done) {
            if let Some(record) = facts.records.get_mut(mark) {
                record.successes += 1;
                self.just_done.push(*mark);
                close(&mut facts.open, &record.key, *mark);
            }
        }
        self.just_ended = Some(running);
    }

    fn give_up(&mut self, number: u64, shard: &ShardId, discards: &[Given]) {
        let Some(facts) = self.shards.get_mut(shard) else {
            return;
        };
        for given in discards {
            for mark in &given.marks {
                if let Some(record) = facts.records.get_mut(mark) {
                    record.discarded.push((number, given.id));
                    close(&mut facts.open, &record.key, *mark);
                }
            }
            self.discards.insert(given.id, (number, given.clone()));
        }
    }

    fn settle(&mut self, number: u64, shard: &ShardId, progress: &Progress) {
        let Some(facts) = self.shards.get_mut(shard) else {
            return;
        };
        if progress.finished {
            facts.finished = facts.finished.or(Some(number));
        }
        for (mark, record) in &mut facts.records {
            if record.settled.is_none() && (progress.finished || progress.covers(&record.key, *mark)) {
                record.settled = Some(number);
            }
        }
    }

    /// Writes that are gone take back what they said; successes not settled by what is left may come again.
    fn lose(&mut self, shard: Option<&ShardId>, kept: Option<u64>) {
        self.losses += 1;
        let hit = |id: &ShardId| shard.is_none_or(|s| s == id);
        self.running.retain(|_, r| !hit(&r.shard));
        let gone = |number: u64| kept.is_some_and(|kept| number > kept);
        self.discards.retain(|_, (number, _)| !gone(*number));
        for (_, facts) in self.shards.iter_mut().filter(|(id, _)| hit(id)) {
            facts.finished = facts.finished.filter(|n| !gone(*n));
            for (mark, record) in &mut facts.records {
                record.discarded.retain(|(number, _)| !gone(*number));
                record.settled = record.settled.filter(|n| !gone(*n));
                if record.settled.is_none() {
                    record.repeats = record.successes;
                }
                if !record.terminal() {
                    facts.open.entry(record.key.clone()).or_default().insert(*mark);
                }
            }
        }
    }
}

impl Progress {
    /// Whether it says that this record is finished.
    pub(super) fn covers(&self, key: &[u8], mark: Mark) -> bool {
        let lane = usize::from(lane_of(LANE_HASH_VERSION, self.lanes.len() as u8, key));
        self.lanes.get(lane).is_some_and(|done| *done >= Some(mark))
    }
}

fn close(open: &mut BTreeMap<Bytes, BTreeSet<Mark>>, key: &Bytes, mark: Mark) {
    if let Some(of_key) = open.get_mut(key) {
        of_key.remove(&mark);
        if of_key.is_empty() {
            open.remove(key);
        }
    }
}
