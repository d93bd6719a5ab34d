//! What is observed of every mapping, kept where any thread can read it without asking an actor.

use crate::view::{Condition, Counters, Lagged, MappingStatus};
use futures::StreamExt;
use futures::stream::BoxStream;
use millstream_core::mapping_state::MappingState;
use millstream_types::{MappingId, ShardId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Watchers that are this far behind are told to list again.
const WATCH_BUFFER: usize = 1024;

/// What a shard's consumer publishes of itself, after every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardGauge {
    pub(crate) counters: Counters,
}

#[derive(Debug)]
struct Entry {
    status: MappingStatus,
    /// Counts of consumers that have ended.
    past: Counters,
    shards: BTreeMap<ShardId, Arc<Mutex<ShardGauge>>>,
}

/// Status of all mappings.
#[derive(Debug)]
pub(crate) struct StatusBoard {
    entries: Mutex<BTreeMap<MappingId, Entry>>,
    changes: broadcast::Sender<(MappingId, MappingStatus)>,
}

/// The observed part of a status, as a supervisor knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observed {
    pub(crate) state: MappingState,
    pub(crate) generation: u64,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) last_processing_result: String,
}

impl Default for StatusBoard {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            changes: broadcast::channel(WATCH_BUFFER).0,
        }
    }
}

impl StatusBoard {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<MappingId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes what a supervisor observes; watchers hear of it if it differs from before.
    pub(crate) fn publish(&self, mapping: MappingId, observed: Observed) {
        let mut entries = self.lock();
        let entry = entries.entry(mapping).or_insert_with(new_entry);
        let Observed {
            state,
            generation,
            conditions,
            last_processing_result,
        } = observed;
        let counters = entry.status.counters;
        let status = MappingStatus {
            state,
            observed_generation: generation,
            conditions,
            last_processing_result,
            counters,
        };
        if entry.status != status {
            entry.status = status;
            // Nobody watching is no error.
            let _ = self.changes.send((mapping, entry.current()));
        }
    }

    pub(crate) fn remove(&self, mapping: MappingId) {
        self.lock().remove(&mapping);
    }

    /// Where a new consumer publishes its counts.
    pub(crate) fn gauge(&self, mapping: MappingId, shard: &ShardId) -> Arc<Mutex<ShardGauge>> {
        let mut entries = self.lock();
        let entry = entries.entry(mapping).or_insert_with(new_entry);
        if let Some(old) = entry.shards.remove(shard) {
            entry.past.add(&read(&old).counters);
        }
        entry.shards.entry(shard.clone()).or_default().clone()
    }

    pub(crate) fn status(&self, mapping: MappingId) -> MappingStatus {
        self.lock()
            .get(&mapping)
            .map_or_else(|| new_entry().status, Entry::current)
    }

    pub(crate) fn changes(&self) -> BoxStream<'static, Result<(MappingId, MappingStatus), Lagged>> {
        let changes = tokio_stream::wrappers::BroadcastStream::new(self.changes.subscribe());
        changes.map(|change| change.map_err(|_| Lagged)).boxed()
    }
}

impl Entry {
    fn current(&self) -> MappingStatus {
        let mut counters = self.past;
        for gauge in self.shards.values() {
            counters.add(&read(gauge).counters);
        }
        MappingStatus {
            counters,
            ..self.status.clone()
        }
    }
}

fn read(gauge: &Mutex<ShardGauge>) -> ShardGauge {
    *gauge.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_entry() -> Entry {
    Entry {
        status: MappingStatus {
            state: MappingState::Creating,
            observed_generation: 0,
            conditions: Vec::new(),
            last_processing_result: "No records processed".to_owned(),
            counters: Counters::default(),
        },
        past: Counters::default(),
        shards: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(state: MappingState) -> Observed {
        Observed {
            state,
            generation: 1,
            conditions: Vec::new(),
            last_processing_result: "OK".to_owned(),
        }
    }

    #[tokio::test]
    async fn watchers_hear_of_differences_only() {
        let (board, id) = (StatusBoard::default(), MappingId::from_random(1));
        let mut changes = board.changes();
        board.publish(id, observed(MappingState::Active));
        board.publish(id, observed(MappingState::Active));
        board.publish(id, observed(MappingState::Paused));
        let states = [changes.next().await, changes.next().await].map(|c| c.unwrap().unwrap().1.state);
        assert_eq!(states, [MappingState::Active, MappingState::Paused]);
    }

    #[test]
    fn counts_of_a_consumer_that_ended_are_kept() {
        let (board, id) = (StatusBoard::default(), MappingId::from_random(1));
        let shard = ShardId::new("s").unwrap();
        board.gauge(id, &shard).lock().unwrap().counters.attempts = 3;
        board.gauge(id, &shard).lock().unwrap().counters.attempts = 4;
        assert_eq!(board.status(id).counters.attempts, 7);
    }
}
