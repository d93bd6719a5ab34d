//! A node over one in-memory queue. Tests of it run on one thread with tokio's time paused: a sleep there returns once
//! no task can run any more, so what is seen then does not depend on how fast anything is.

use crate::world::{Mailbox, MemoryCatalog};
use millstream_core::mapping_state::MappingState;
use millstream_engine::manage::{Manager, ManagerPorts};
use millstream_engine::view::{Live, MappingStatus, QueueInspection};
use millstream_engine::{Node, NodeOptions, NodePorts, Shutdown};
use millstream_ports::{Clock, Resource};
use millstream_testkit::check::queue::{QueueCheckers, QueueHistory};
use millstream_testkit::{
    Asked, ManualClock, MemoryJournal, MemoryQueue, MemoryQueues, MessageCall, MessageFunction, QueueEvent,
    QueueLog, Reply, SeededEntropy, message_number,
};
use millstream_types::*;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const MAPPING: &str = "m";

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Everything of a node that outlives it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) journal: MemoryJournal,
    pub(crate) log: QueueLog,
    pub(crate) queue: MemoryQueue,
    pub(crate) function: MessageFunction,
}

impl Stage {
    /// A queue that hides messages for 30 s, and a function `f`; `reports` tells whether the mapping is to read its
    /// reports of single messages.
    pub(crate) fn new(
        queue: &str,
        reports: bool,
        decide: impl FnMut(&MessageCall) -> Reply + Send + 'static,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(Wall(1_000_000)));
        let log = QueueLog::default();
        let queue = MemoryQueue::new(&QueueName::new(queue).unwrap(), secs(30), clock.clone(), &log);
        let stage = Self {
            function: MessageFunction::new(clock.clone(), &log, reports, decide),
            clock,
            catalog: Arc::new(MemoryCatalog::default()),
            journal: MemoryJournal::default(),
            log,
            queue,
        };
        stage.register("f");
        stage
    }

    pub(crate) fn register(&self, name: &str) {
        let spec = FunctionSpec {
            target: Target::InProcess,
            timeout_ms: 900_000,
            concurrency: 10_000,
        };
        self.catalog.put(Resource::Function(Function {
            namespace: Namespace::default(),
            name: FunctionName::new(name).unwrap(),
            spec,
            generation: 1,
            revision: 0,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        }));
    }

    /// Maps the queue to `f`, with AWS's defaults and what `change` makes of them.
    pub(crate) fn map(&self, change: impl FnOnce(&mut MappingSpec)) -> Mapping {
        self.map_to("f", change)
    }

    pub(crate) fn map_to(&self, function: &str, change: impl FnOnce(&mut MappingSpec)) -> Mapping {
        self.map_as(MAPPING, function, change)
    }

    pub(crate) fn map_as(
        &self,
        name: &str,
        function: &str,
        change: impl FnOnce(&mut MappingSpec),
    ) -> Mapping {
        let mut spec = MappingSpec::queue(self.queue.arn(), FunctionName::new(function).unwrap());
        change(&mut spec);
        self.log.push(QueueEvent::Configured {
            most_in_flight: spec.maximum_concurrency.map(|n| n as usize),
            max_receives: self.queue.state().max_receives(),
        });
        let mapping = Mapping {
            namespace: Namespace::default(),
            name: MappingName::new(name).unwrap(),
            id: MappingId::from_random(7),
            spec,
            desired: Desired::Running,
            start: None,
            generation: 1,
            revision: 0,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        };
        self.put(mapping)
    }

    /// Stores a new version of a mapping.
    pub(crate) fn change(&self, mut mapping: Mapping, change: impl FnOnce(&mut Mapping)) -> Mapping {
        mapping.generation += 1;
        change(&mut mapping);
        self.put(mapping)
    }

    fn put(&self, mapping: Mapping) -> Mapping {
        match self.catalog.put(Resource::Mapping(mapping)) {
            Resource::Mapping(m) => m,
            Resource::Function(_) => unreachable!(),
        }
    }

    /// Sends `n` messages without a group.
    pub(crate) fn send(&self, n: usize) {
        for _ in 0..n {
            self.queue.send(None, "x");
        }
    }

    /// Sends one message to each of these groups.
    pub(crate) fn send_to(&self, groups: &[&str]) {
        for group in groups {
            self.queue.send(Some(group), "x");
        }
    }

    pub(crate) async fn node(&self) -> Playing {
        let ports = NodePorts {
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
            catalog: self.catalog.clone(),
            journal: Arc::new(self.journal.clone()),
            ledger: Arc::new(self.journal.clone()),
            sources: Arc::new(MemoryQueues::of([self.queue.clone()])),
            destinations: Arc::new(Mailbox::default()),
            outbox: Arc::new(self.journal.clone()),
            functions: Arc::new(self.function.clone()),
        };
        let node = Node::start(NodeOptions::default(), ports).await.unwrap();
        let playing = Playing {
            live: node.live(),
            stage: self.clone(),
            node,
        };
        playing.settle().await;
        playing
    }

    /// Seconds since the beginning, as whole milliseconds.
    pub(crate) fn at(&self) -> u64 {
        self.clock.now().mono.0 / 1_000_000
    }

    /// The batches that were sent, by the numbers of their messages.
    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        let numbers = |c: &MessageCall| c.messages.iter().map(message_number).collect();
        self.function.calls().iter().map(numbers).collect()
    }

    /// When each batch was sent, in ms.
    pub(crate) fn times(&self) -> Vec<u64> {
        self.function.calls().iter().map(|c| c.at.0 / 1_000_000).collect()
    }

    /// Every change of visibility: ms, message, seconds.
    pub(crate) fn changes(&self) -> Vec<(u64, u64, u64)> {
        let of = |(at, asked): (Mono, Asked)| match asked {
            Asked::Visibility(entries) => {
                let one = |(n, hidden): (u64, Duration)| (at.0 / 1_000_000, n, hidden.as_secs());
                entries.into_iter().map(one).collect()
            }
            _ => Vec::new(),
        };
        self.queue.asked().into_iter().flat_map(of).collect()
    }

    /// What deletes asked for, call by call.
    pub(crate) fn deletes(&self) -> Vec<Vec<u64>> {
        let of = |(_, asked): (Mono, Asked)| match asked {
            Asked::Delete(numbers) => Some(numbers),
            _ => None,
        };
        self.queue.asked().into_iter().filter_map(of).collect()
    }

    /// Judges everything that happened so far.
    pub(crate) fn judge(&self) -> QueueHistory {
        let mut checkers = QueueCheckers::default();
        for event in self.log.events() {
            if let Err(violation) = checkers.observe(&event) {
                panic!("{violation}");
            }
        }
        checkers.history().clone()
    }

    /// Judges a run that is over: nothing may be left.
    pub(crate) fn judge_all(&self) -> QueueHistory {
        let history = self.judge();
        assert_eq!(
            history.unfinished(5),
            Vec::<Arc<str>>::new(),
            "neither deleted nor a dead letter"
        );
        history
    }
}

/// A node that runs.
pub(crate) struct Playing {
    pub(crate) live: Arc<dyn Live>,
    stage: Stage,
    node: Node,
}

impl Playing {
    /// Lets everything run that can without time going on.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(ms(1)).await;
    }

    /// Lets so much time pass, from deadline to deadline.
    pub(crate) async fn run_for(&self, time: Duration) {
        let end = self.stage.clock.now().mono.plus(time);
        self.settle().await;
        loop {
            let left = end.since(self.stage.clock.now().mono);
            if left.is_zero() {
                return;
            }
            if !self.stage.clock.advance_towards_next(left) {
                self.stage.clock.advance(left);
            }
            self.settle().await;
        }
    }

    /// What front doors call.
    pub(crate) fn manager(&self) -> Manager {
        Manager::new(ManagerPorts {
            catalog: self.stage.catalog.clone(),
            sources: Arc::new(MemoryQueues::of([self.stage.queue.clone()])),
            destinations: Arc::new(Mailbox::default()),
            lambda: Arc::new(millstream_testkit::NoLambda),
            clock: self.stage.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(8)),
            live: self.live.clone(),
            ledger: Arc::new(self.stage.journal.clone()),
            discards: Arc::new(self.stage.journal.clone()),
        })
    }

    pub(crate) fn status(&self, mapping: &Mapping) -> MappingStatus {
        self.live.status(mapping.id)
    }

    pub(crate) fn state(&self, mapping: &Mapping) -> MappingState {
        self.status(mapping).state
    }

    /// The kinds of a mapping's conditions.
    pub(crate) fn conditions(&self, mapping: &Mapping) -> Vec<&'static str> {
        self.status(mapping).conditions.iter().map(|c| c.kind).collect()
    }

    /// The inside of its consumer.
    pub(crate) async fn inspect(&self, mapping: &Mapping) -> Option<QueueInspection> {
        let shards = self.live.shards(mapping.id).await;
        shards.into_iter().find_map(|s| s.queue).map(|q| *q)
    }

    pub(crate) async fn stop(self) -> Shutdown {
        let clock = self.stage.clock.clone();
        let ending = self.node.shutdown(secs(100_000));
        tokio::pin!(ending);
        loop {
            tokio::select! {
                biased;
                ended = &mut ending => return ended,
                () = tokio::time::sleep(ms(1)) => drop(clock.advance_to_next()),
            }
        }
    }
}
