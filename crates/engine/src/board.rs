//! What is observed of every mapping, kept where any thread can read it without asking an actor.

use crate::meter::Meter;
use crate::posts::Posts;
use crate::view::{Condition, Counters, Lagged, MappingStatus};
use futures::StreamExt;
use futures::stream::BoxStream;
use millstream_core::mapping_state::MappingState;
use millstream_core::shard::ShardLag;
use millstream_ports::QueueSource;
use millstream_types::{FunctionRef, Mapping, MappingId, MappingName, Namespace, ShardId, SourceArn};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Watchers that are this far behind are told to list again.
const WATCH_BUFFER: usize = 1024;

/// Counts of one consumer since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) counters: Counters,
    /// Records given up of which no destination hears.
    pub(crate) dropped: u64,
    /// Messages deleted because they were done.
    pub(crate) deleted: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.dropped += other.dropped;
        self.deleted += other.deleted;
    }
}

/// What a consumer that runs publishes of itself, after every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) totals: Totals,
    /// None of a queue, and before the lease is taken.
    pub(crate) lag: Option<ShardLag>,
    pub(crate) buffered_bytes: u64,
}

/// Where a consumer publishes; once it is dropped, only the counts are left.
#[derive(Debug)]
pub(crate) struct Gauge(Arc<Mutex<Slot>>);

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    reading: Reading,
    running: bool,
}

impl Gauge {
    pub(crate) fn publish(&self, reading: Reading) {
        lock(&self.0).reading = reading;
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        lock(&self.0).running = false;
    }
}

/// What a mapping is, for labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) namespace: Namespace,
    pub(crate) name: MappingName,
    pub(crate) source: SourceArn,
    pub(crate) function: FunctionRef,
}

impl About {
    fn of(mapping: &Mapping) -> Self {
        Self {
            namespace: mapping.namespace.clone(),
            name: mapping.name.clone(),
            source: mapping.spec.source.clone(),
            function: mapping.spec.function.clone(),
        }
    }
}

struct Entry {
    status: MappingStatus,
    about: Option<About>,
    meter: Arc<Meter>,
    posts: Posts,
    /// The queue, once it is consumed.
    queue: Option<Arc<dyn QueueSource>>,
    /// Counts of consumers that have ended.
    past: Totals,
    shards: BTreeMap<ShardId, Arc<Mutex<Slot>>>,
}

/// One mapping at one moment, to be measured.
pub(crate) struct Measured {
    pub(crate) about: About,
    pub(crate) state: MappingState,
    pub(crate) meter: Arc<Meter>,
    pub(crate) queue: Option<Arc<dyn QueueSource>>,
    pub(crate) totals: Totals,
    /// Of consumers that run.
    pub(crate) shards: Vec<(ShardId, Reading)>,
}

/// Status of all mappings.
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
    pub(crate) fn publish(&self, mapping: &Mapping, observed: Observed) {
        let mut entries = self.lock();
        let entry = entries.entry(mapping.id).or_insert_with(new_entry);
        entry.describe(mapping);
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
            let _ = self.changes.send((mapping.id, entry.current()));
        }
    }

    pub(crate) fn remove(&self, mapping: MappingId) {
        self.lock().remove(&mapping);
    }

    /// Where a new consumer publishes its counts, and where it counts calls.
    pub(crate) fn consumer(&self, mapping: &Mapping, shard: &ShardId) -> (Gauge, Arc<Meter>) {
        let mut entries = self.lock();
        let entry = entries.entry(mapping.id).or_insert_with(new_entry);
        entry.describe(mapping);
        if let Some(old) = entry.shards.remove(shard) {
            entry.past.add(&lock(&old).reading.totals);
        }
        let slot = entry.shards.entry(shard.clone()).or_default().clone();
        lock(&slot).running = true;
        (Gauge(slot), entry.meter.clone())
    }

    /// The mapping consumes this queue.
    pub(crate) fn consumes(&self, mapping: MappingId, queue: Arc<dyn QueueSource>) {
        if let Some(entry) = self.lock().get_mut(&mapping) {
            entry.queue = Some(queue);
        }
    }

    /// The counts of a mapping, if it is known.
    pub(crate) fn meter(&self, mapping: MappingId) -> Option<Arc<Meter>> {
        self.lock().get(&mapping).map(|entry| entry.meter.clone())
    }

    /// Notes what became of a document of this mapping; `change` tells whether its conditions differ now. Of a mapping
    /// that is gone nothing is noted.
    pub(crate) fn post(&self, mapping: MappingId, change: impl FnOnce(&mut Posts) -> bool) {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(&mapping)
            && change(&mut entry.posts)
        {
            let _ = self.changes.send((mapping, entry.current()));
        }
    }

    pub(crate) fn status(&self, mapping: MappingId) -> MappingStatus {
        self.lock()
            .get(&mapping)
            .map_or_else(|| new_entry().status, Entry::current)
    }

    /// Every mapping, now.
    pub(crate) fn measured(&self) -> Vec<Measured> {
        self.lock().values().filter_map(Entry::measured).collect()
    }

    pub(crate) fn changes(&self) -> BoxStream<'static, Result<(MappingId, MappingStatus), Lagged>> {
        let changes = tokio_stream::wrappers::BroadcastStream::new(self.changes.subscribe());
        changes.map(|change| change.map_err(|_| Lagged)).boxed()
    }
}

impl Entry {
    fn describe(&mut self, mapping: &Mapping) {
        let about = About::of(mapping);
        if self.about.as_ref() != Some(&about) {
            self.about = Some(about);
        }
    }

    fn totals(&self) -> Totals {
        let mut totals = self.past;
        for slot in self.shards.values() {
            totals.add(&lock(slot).reading.totals);
        }
        totals
    }

    fn current(&self) -> MappingStatus {
        let mut status = self.status.clone();
        status.counters = self.totals().counters;
        status.conditions.extend(self.posts.conditions());
        status
    }

    fn measured(&self) -> Option<Measured> {
        let running = |(shard, slot): (&ShardId, &Arc<Mutex<Slot>>)| {
            let slot = *lock(slot);
            slot.running.then(|| (shard.clone(), slot.reading))
        };
        Some(Measured {
            about: self.about.clone()?,
            state: self.status.state,
            meter: self.meter.clone(),
            queue: self.queue.clone(),
            totals: self.totals(),
            shards: self.shards.iter().filter_map(running).collect(),
        })
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
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
        about: None,
        meter: Arc::default(),
        posts: Posts::default(),
        queue: None,
        past: Totals::default(),
        shards: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{Desired, FunctionName, MappingSpec, StreamName, Wall};

    fn mapping() -> Mapping {
        let source = SourceArn::local_stream(&StreamName::new("orders").unwrap());
        Mapping {
            namespace: Namespace::default(),
            name: MappingName::new("m").unwrap(),
            id: MappingId::from_random(1),
            spec: MappingSpec::new(source, FunctionName::new("f").unwrap(), None),
            desired: Desired::Running,
            applied: Default::default(),
            tags: Default::default(),
            start: None,
            generation: 1,
            revision: 1,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
        }
    }

    fn observed(state: MappingState) -> Observed {
        Observed {
            state,
            generation: 1,
            conditions: Vec::new(),
            last_processing_result: "OK".to_owned(),
        }
    }

    fn reading(attempts: u64) -> Reading {
        let mut reading = Reading::default();
        reading.totals.counters.attempts = attempts;
        reading
    }

    #[tokio::test]
    async fn watchers_hear_of_differences_only() {
        let (board, mapping) = (StatusBoard::default(), mapping());
        let mut changes = board.changes();
        board.publish(&mapping, observed(MappingState::Active));
        board.publish(&mapping, observed(MappingState::Active));
        board.publish(&mapping, observed(MappingState::Paused));
        let states = [changes.next().await, changes.next().await].map(|c| c.unwrap().unwrap().1.state);
        assert_eq!(states, [MappingState::Active, MappingState::Paused]);
    }

    #[test]
    fn of_a_consumer_that_ended_only_its_counts_are_left() {
        let (board, mapping) = (StatusBoard::default(), mapping());
        let shard = ShardId::new("s").unwrap();
        let (first, _) = board.consumer(&mapping, &shard);
        first.publish(reading(3));
        assert_eq!(board.measured()[0].shards, [(shard.clone(), reading(3))]);
        drop(first);
        assert_eq!(board.measured()[0].shards, []);
        assert_eq!(board.status(mapping.id).counters.attempts, 3);
        board.consumer(&mapping, &shard).0.publish(reading(4));
        assert_eq!(board.status(mapping.id).counters.attempts, 7);
        board.remove(mapping.id);
        assert!(board.measured().is_empty());
    }
}
