//! The consumers of a mapping's shards: starting them, and taking note of how they end.

use crate::queue::QueueMsg;
use crate::shard::ShardMsg;
use crate::view::ShardInspection;
use millstream_core::reconcile::Slot;
use millstream_core::restart::{RestartPolicy, Restarts};
use millstream_ports::QueueSource;
use millstream_types::{Mono, ShardId};
use ractor::{ActorId, ActorRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The consumer of a shard, or of a whole queue.
#[derive(Clone)]
pub(super) enum Consumer {
    Shard(ActorRef<ShardMsg>),
    Queue(ActorRef<QueueMsg>),
}

impl Consumer {
    fn id(&self) -> ActorId {
        match self {
            Self::Shard(actor) => actor.get_id(),
            Self::Queue(actor) => actor.get_id(),
        }
    }

    // In all of these: if it is gone already, its end is on its way to the supervisor.
    fn drain(&self) {
        let _ = match self {
            Self::Shard(actor) => actor.cast(ShardMsg::Drain).is_ok(),
            Self::Queue(actor) => actor.cast(QueueMsg::Drain).is_ok(),
        };
    }

    /// Gives back memory; a queue's messages cannot be read again before their time, so it keeps them.
    pub(super) fn shed(&self) {
        if let Self::Shard(actor) = self {
            let _ = actor.cast(ShardMsg::Shed);
        }
    }

    /// The queue as it was found last: a queue made anew under its name has another handle.
    pub(super) fn set_source(&self, source: &Arc<dyn QueueSource>, visibility_timeout: Duration) {
        if let Self::Queue(actor) = self {
            let _ = actor.cast(QueueMsg::Source(source.clone(), visibility_timeout));
        }
    }

    pub(super) async fn inspect(&self, within: Duration) -> Option<ShardInspection> {
        let within = Some(within);
        let answer = match self {
            Self::Shard(actor) => actor.call(ShardMsg::Inspect, within).await.ok(),
            Self::Queue(actor) => actor.call(QueueMsg::Inspect, within).await.ok(),
        };
        answer.and_then(|a| a.success_or(()).ok())
    }
}

/// A consumer that runs.
pub(super) struct Child {
    pub(super) actor: Consumer,
    pub(super) run: u64,
}

/// All shards of a mapping that were ever started or are known to be finished.
#[derive(Default)]
pub(super) struct Children {
    pub(super) slots: BTreeMap<ShardId, Slot>,
    running: BTreeMap<ShardId, Child>,
    by_actor: BTreeMap<ActorId, (ShardId, u64)>,
    restarts: BTreeMap<ShardId, Restarts>,
    runs: u64,
}

impl Children {
    /// The number that tells the next consumer from all before.
    pub(super) fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    pub(super) fn started(&mut self, shard: &ShardId, actor: Consumer, run: u64, generation: u64, now: Mono) {
        self.by_actor.insert(actor.id(), (shard.clone(), run));
        self.running.insert(shard.clone(), Child { actor, run });
        self.slots.insert(shard.clone(), Slot::Running { generation });
        self.restarts
            .entry(shard.clone())
            .or_insert_with(|| Restarts::new(RestartPolicy::default(), now));
    }

    pub(super) fn drain(&mut self, shard: &ShardId) {
        if let Some(child) = self.running.get(shard) {
            child.actor.drain();
            self.slots.insert(shard.clone(), Slot::Draining);
        }
    }

    pub(super) fn is_current(&self, shard: &ShardId, run: u64) -> bool {
        self.running.get(shard).is_some_and(|c| c.run == run)
    }

    /// It stopped as it should; it may be started again at once, unless it is finished.
    pub(super) fn stopped(&mut self, shard: &ShardId, finished: bool) {
        self.running.remove(shard);
        if finished {
            self.slots.insert(shard.clone(), Slot::Finished);
            self.restarts.remove(shard);
        } else {
            self.slots.remove(shard);
        }
    }

    /// It could not be started, or ended by a fault. Returns when it is started again.
    pub(super) fn failed(&mut self, shard: &ShardId, now: Mono, jitter: f64) -> Mono {
        self.running.remove(shard);
        let restarts = self
            .restarts
            .entry(shard.clone())
            .or_insert_with(|| Restarts::new(RestartPolicy::default(), now));
        let at = restarts.on_failure(now, jitter);
        self.slots.insert(shard.clone(), Slot::Restarting { at });
        at
    }

    /// The shard whose consumer that was, if nothing has told of its end yet.
    pub(super) fn gone(&mut self, actor: ActorId) -> Option<ShardId> {
        let (shard, run) = self.by_actor.remove(&actor)?;
        self.is_current(&shard, run).then_some(shard)
    }

    pub(super) fn actors(&self) -> impl Iterator<Item = (&ShardId, &Consumer)> {
        self.running.iter().map(|(shard, child)| (shard, &child.actor))
    }

    pub(super) fn finished(&self) -> BTreeSet<ShardId> {
        self.slots
            .iter()
            .filter(|(_, s)| **s == Slot::Finished)
            .map(|(shard, _)| shard.clone())
            .collect()
    }

    pub(super) fn busy(&self) -> BTreeSet<ShardId> {
        self.running.keys().cloned().collect()
    }

    pub(super) fn count(&self, which: impl Fn(&Slot) -> bool) -> u32 {
        self.slots.values().filter(|s| which(s)).count() as u32
    }
}
