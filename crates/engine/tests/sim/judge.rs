//! Who judges what: the shared checkers, one set per mapping of a stream and one per queue, and how each mapping stands.

use crate::operator::short;
use crate::plan::{MappingPlan, Source};
use crate::world::World;
use bytes::Bytes;
use millstream_testkit::check::queue::QueueCheckers;
use millstream_testkit::check::{Checkers, DuplicateBound, Invariant, Violation};
use millstream_testkit::{Event, QueueEvent};
use millstream_types::{
    Epoch, Mapping, MappingId, MappingSpec, Mark, Position, RequestId, ShardId, ShardInfo, StartPin, Wall,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a mapping may do at the most, while settings change the more of both.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) lanes: u8,
    pub(crate) batch: usize,
    /// Batches of messages in flight.
    pub(crate) most: Option<usize>,
}

impl Allowed {
    pub(crate) fn of(spec: &MappingSpec) -> Self {
        Self {
            lanes: spec.parallelization_factor,
            batch: spec.batch_size as usize,
            most: spec.maximum_concurrency.map(|n| n as usize),
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            lanes: self.lanes.max(other.lanes),
            batch: self.batch.max(other.batch),
            most: self.most.zip(other.most).map(|(a, b)| a.max(b)),
        }
    }
}

/// Judges one mapping of a stream.
pub(crate) struct StreamJudge {
    pub(crate) name: String,
    pub(crate) stream: usize,
    pub(crate) checkers: Checkers,
    pub(crate) allowed: Allowed,
    plan: MappingPlan,
    /// Which attempt of each request came last, and under which epoch.
    pub(crate) attempts: BTreeMap<RequestId, (u32, Epoch)>,
    pin: StartPin,
    /// Shards that descend from those it starts with.
    later: BTreeSet<ShardId>,
    running: BTreeMap<u64, ShardId>,
}

impl StreamJudge {
    fn reads(&self, shard: &ShardId) -> bool {
        self.pin.shards.contains(shard) || self.later.contains(shard)
    }

    /// How long its tumbling windows are; 0 if there are none.
    pub(crate) fn window_seconds(&self) -> u32 {
        self.plan.spec.tumbling_window_seconds
    }

    /// Whether a record is one that the mapping is to handle.
    pub(crate) fn expects(&self, shard: &ShardId, key: &[u8], arrival: Wall) -> bool {
        self.plan.wants(key) && self.passes(shard, arrival)
    }

    /// Whether a record is one that the mapping is to read, and handle unless it filters it.
    fn passes(&self, shard: &ShardId, arrival: Wall) -> bool {
        match self.pin.position {
            Position::Timestamp(from) if self.pin.shards.contains(shard) => arrival >= from,
            _ => self.reads(shard),
        }
    }
}

/// Judges one queue, whichever mapping reads it.
#[derive(Default)]
pub(crate) struct QueueJudge {
    pub(crate) checkers: QueueCheckers,
    pub(crate) mapping: Option<MappingId>,
    pub(crate) allowed: Allowed,
    /// Messages that succeeded.
    pub(crate) done: BTreeSet<Arc<str>>,
    /// Messages that were received when a process died: they come again.
    pub(crate) doubtful: BTreeSet<Arc<str>>,
    /// A consumer was told to panic, and does it some time.
    pub(crate) panics: bool,
}

/// How a mapping stands, as its operator knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// A pause or removal was acknowledged: nothing may start.
    pub(crate) stopped: bool,
    /// The pause is complete.
    pub(crate) completed: bool,
    pub(crate) deleting: bool,
    pub(crate) gone: bool,
    /// An operation is on its way.
    pub(crate) busy: bool,
    /// Settings were changed, and what the mapping may do is not yet known for certain.
    pub(crate) loose: bool,
}

pub(crate) struct Judges {
    pub(crate) streams: BTreeMap<MappingId, StreamJudge>,
    pub(crate) queues: Vec<QueueJudge>,
    pub(crate) standings: BTreeMap<MappingId, Standing>,
}

impl Judges {
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            streams: BTreeMap::new(),
            queues: (0..queues).map(|_| QueueJudge::default()).collect(),
            standings: BTreeMap::new(),
        }
    }

    pub(crate) fn is_gone(&self, mapping: MappingId) -> bool {
        self.standings.get(&mapping).is_some_and(|s| s.gone)
    }

    pub(crate) fn is_stopped(&self, mapping: MappingId) -> bool {
        self.standings.get(&mapping).is_none_or(|s| s.stopped || s.gone)
    }

    /// The mappings that read a stream.
    pub(crate) fn readers(&self, stream: usize) -> Vec<MappingId> {
        let of = self
            .streams
            .iter()
            .filter(|(id, j)| j.stream == stream && !self.is_gone(**id));
        of.map(|(id, _)| *id).collect()
    }

    pub(crate) fn shards_of(&self, mapping: MappingId) -> Vec<ShardId> {
        let judge = self.streams.get(&mapping);
        judge
            .into_iter()
            .flat_map(|j| j.pin.shards.iter().chain(&j.later))
            .cloned()
            .collect()
    }

    pub(crate) fn running_of(&self, mapping: MappingId, shard: &ShardId) -> usize {
        let judge = self.streams.get(&mapping);
        judge.map_or(0, |j| j.running.values().filter(|s| *s == shard).count())
    }

    /// What is not finished, of all that is to be.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (id, judge) in &self.streams {
            if !self.is_gone(*id) {
                let open = judge.checkers.history().unfinished(3);
                left.extend(
                    open.iter()
                        .map(|(shard, mark)| format!("{} {shard} {mark}", judge.name)),
                );
            }
        }
        for (n, judge) in self.queues.iter().enumerate() {
            let open = judge.checkers.history().unfinished(3);
            left.extend(open.iter().map(|message| format!("queue {n} {message}")));
        }
        left
    }
}

impl World {
    /// Writes down what happened to a mapping of a stream, and has it judged.
    pub(crate) fn note(&mut self, mapping: MappingId, event: Event) {
        let Some(judge) = self.judges.streams.get_mut(&mapping) else {
            return self.wrong(format!("nobody knows mapping {mapping}: {event:?}"));
        };
        match &event {
            Event::Started { call, shard, .. } => drop(judge.running.insert(*call, shard.clone())),
            Event::Ended { call, .. } => drop(judge.running.remove(call)),
            Event::Lost { shard: None, .. } => judge.running.clear(),
            _ => {}
        }
        let name = judge.name.clone();
        let judged = judge.checkers.observe(&event);
        self.write(&format!("{name} {event:?}"));
        if let Err(violation) = judged {
            self.wrong(format!("{name}: {violation}"));
        }
    }

    /// The same of a queue.
    pub(crate) fn note_queue(&mut self, queue: usize, event: QueueEvent) {
        let judged = self.judges.queues[queue].checkers.observe(&event);
        self.write(&format!("queue {queue} {event:?}"));
        if let Err(violation) = judged {
            self.wrong(format!("queue {queue}: {violation}"));
        }
    }

    pub(crate) fn note_produced(
        &mut self,
        stream: usize,
        shard: &ShardId,
        mark: Mark,
        key: &[u8],
        arrival: Wall,
    ) {
        for id in self.judges.readers(stream) {
            let judge = &self.judges.streams[&id];
            if judge.expects(shard, key, arrival) {
                let (shard, key) = (shard.clone(), Bytes::copy_from_slice(key));
                self.note(id, Event::Produced { shard, mark, key });
            } else if judge.passes(shard, arrival) {
                self.seen("record that no filter wants");
            }
        }
    }

    /// A shard is new.
    pub(crate) fn note_shard(&mut self, stream: usize, info: &ShardInfo) {
        for id in self.judges.readers(stream) {
            self.tell_shard(id, info);
        }
    }

    fn tell_shard(&mut self, id: MappingId, info: &ShardInfo) {
        let Some(judge) = self.judges.streams.get_mut(&id) else {
            return;
        };
        let parents: Vec<ShardId> = info.parents().filter(|p| judge.reads(p)).cloned().collect();
        if !parents.is_empty() && !judge.pin.shards.contains(&info.id) {
            judge.later.insert(info.id.clone());
        }
        if judge.reads(&info.id) {
            let shard = info.id.clone();
            self.note(id, Event::Shard { shard, parents });
        }
    }

    /// A mapping is new.
    pub(crate) fn made(&mut self, mapping: &Mapping) {
        self.judges.standings.insert(mapping.id, Standing::default());
        match self.plan.of_function(mapping.spec.function.as_str()).cloned() {
            Some(plan) => match plan.source {
                Source::Stream(stream) => self.made_of_stream(stream, mapping, plan),
                Source::Queue(queue) => self.made_of_queue(queue, mapping),
            },
            None => self.wrong(format!("{} calls what nobody planned", mapping.name)),
        }
    }

    fn made_of_stream(&mut self, stream: usize, mapping: &Mapping, plan: MappingPlan) {
        let Some(pin) = mapping.start.clone() else {
            return self.wrong(format!("{} has no start", mapping.name));
        };
        if self.now.mono.0 > 0 {
            self.seen(match pin.position {
                Position::Timestamp(_) => "mapping made at LATEST",
                _ => "mapping made at TRIM_HORIZON",
            });
        }
        let judge = StreamJudge {
            name: short(&mapping.name),
            stream,
            checkers: Checkers::new(DuplicateBound::Exact),
            allowed: Allowed::of(&mapping.spec),
            plan,
            attempts: BTreeMap::new(),
            pin,
            later: BTreeSet::new(),
            running: BTreeMap::new(),
        };
        self.judges.streams.insert(mapping.id, judge);
        let max_retries = u32::try_from(mapping.spec.max_retry_attempts).ok();
        self.note(mapping.id, Event::Configured { max_retries });
        for info in self.streams[stream].state.infos() {
            self.tell_shard(mapping.id, &info);
            let records = self.streams[stream].state.records(&info.id).to_vec();
            for record in records {
                if self.judges.streams[&mapping.id].expects(&info.id, &record.partition_key, record.arrival) {
                    let (shard, mark, key) = (info.id.clone(), record.mark, record.partition_key);
                    self.note(mapping.id, Event::Produced { shard, mark, key });
                }
            }
        }
    }

    fn made_of_queue(&mut self, queue: usize, mapping: &Mapping) {
        let again = self.judges.queues[queue].mapping.replace(mapping.id).is_some();
        if again {
            self.wrong(format!("two mappings of queue {queue}"));
        }
        if self.now.mono.0 > 0 {
            self.note_queue(queue, QueueEvent::Resumed);
        }
        self.judges.queues[queue].allowed = Allowed::of(&mapping.spec);
        self.configured(queue);
    }

    fn configured(&mut self, queue: usize) {
        let most_in_flight = self.judges.queues[queue].allowed.most;
        let max_receives = self.queues[queue].state.max_receives();
        self.note_queue(
            queue,
            QueueEvent::Configured {
                most_in_flight,
                max_receives,
            },
        );
    }

    /// A mapping is gone for good.
    pub(crate) fn removed(&mut self, mapping: &Mapping) {
        self.seen("mapping removed");
        self.end_abandoned();
        let running = self.calls_of(mapping.id);
        if running > 0 {
            self.wrong(format!(
                "I15: {} was removed while {running} calls ran",
                mapping.name
            ));
        }
        if let Some(standing) = self.judges.standings.get_mut(&mapping.id) {
            standing.gone = true;
        }
        for queue in &mut self.judges.queues {
            queue.mapping = queue.mapping.filter(|m| *m != mapping.id);
        }
    }

    /// From now on the mapping may do what these settings say: alone, or as well as what it might before.
    pub(crate) fn allow(&mut self, mapping: MappingId, spec: &MappingSpec, alone: bool) {
        let new = Allowed::of(spec);
        let next = |old: Allowed| if alone { new } else { old.or(new) };
        if let Some(judge) = self.judges.streams.get_mut(&mapping) {
            // A batch that has failed keeps its size, whatever the settings are later.
            let batch = judge.allowed.batch.max(new.batch);
            judge.allowed = next(judge.allowed);
            judge.allowed.batch = batch;
        }
        if let Some(queue) = self.judges.queues.iter().position(|q| q.mapping == Some(mapping)) {
            let judge = &mut self.judges.queues[queue];
            judge.allowed = next(judge.allowed);
            self.configured(queue);
        }
    }

    pub(crate) fn note_pause(&mut self, mapping: MappingId, stream: Event, of_queue: QueueEvent) {
        if self.judges.streams.contains_key(&mapping) {
            self.note(mapping, stream);
        }
        if let Some(queue) = self.judges.queues.iter().position(|q| q.mapping == Some(mapping)) {
            self.note_queue(queue, of_queue);
        }
    }

    /// What the whole run was.
    pub(crate) fn judge_all(&mut self) {
        self.all_is_stored();
        let mut broken = self.open_windows();
        for (id, judge) in &mut self.judges.streams {
            let gone = self.judges.standings.get(id).is_some_and(|s| s.gone);
            // Of a mapping that was removed nothing more is handled, but its documents are sent.
            let matters = |v: &Violation| !gone || v.invariant != Invariant::NoLoss;
            let found = judge.checkers.finish().err().unwrap_or_default();
            broken.extend(
                found
                    .iter()
                    .filter(|v| matters(v))
                    .map(|v| format!("{}: {v}", judge.name)),
            );
        }
        for (n, judge) in self.judges.queues.iter_mut().enumerate() {
            let found = judge.checkers.finish().err().unwrap_or_default();
            broken.extend(found.iter().map(|v| format!("queue {n}: {v}")));
        }
        for what in broken {
            self.wrong(what);
        }
    }

    /// The stored checkpoint of every shard is its last record.
    fn all_is_stored(&mut self) {
        let mut wrong = Vec::new();
        for (id, judge) in &self.judges.streams {
            if self.judges.is_gone(*id) {
                continue;
            }
            let state = &self.streams[judge.stream].state;
            for info in state.infos().into_iter().filter(|i| judge.reads(&i.id)) {
                // What no filter wants counts as well: a position moves on over it.
                let read = state
                    .records(&info.id)
                    .iter()
                    .filter(|r| judge.passes(&info.id, r.arrival));
                let last = read.last().map(|r| r.mark);
                let record = self.store.state.record(*id, &info.id);
                let checkpoint = record.and_then(|r| r.lanes.iter().map(|l| l.done_through).min().flatten());
                if checkpoint < last {
                    wrong.push(format!(
                        "{} {}: checkpoint {checkpoint:?} before {last:?}",
                        judge.name, info.id
                    ));
                }
                if info.closed.is_some() && !record.is_some_and(|r| r.finished) {
                    wrong.push(format!(
                        "{} {} is closed and not finished: {record:?}",
                        judge.name, info.id
                    ));
                }
            }
        }
        for what in wrong {
            self.wrong(what);
        }
    }

    /// What the node had in memory is gone, and the writes behind `kept`.
    pub(crate) fn lost_all(&mut self, kept: Option<u64>) {
        let mappings: Vec<MappingId> = self.judges.streams.keys().copied().collect();
        for mapping in mappings {
            self.note(mapping, Event::Lost { shard: None, kept });
        }
        for queue in 0..self.judges.queues.len() {
            self.note_queue(queue, QueueEvent::Lost);
        }
    }
}
