//! The operator: makes, pauses, resumes, changes and removes mappings through the service that front doors call.

use crate::judge::Standing;
use crate::plan::{self, Source};
use crate::world::{Command, Port, World};
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_engine::manage::{Manager, MappingPatch, MappingState, NewMapping};
use millstream_engine::view::Live;
use millstream_testkit::{Event, QueueEvent};
use millstream_types::{
    Applied, Desired, Function, FunctionName, FunctionSpec, Mapping, MappingId, MappingName, MappingSpec,
    Namespace, Position, StartPin, StartingPosition, Target, Wall,
};
use std::sync::Arc;

/// What a mapping is called where that is written down: the same in every run.
pub(crate) fn short(name: &MappingName) -> String {
    name.as_str().split("-r").next().unwrap_or_default().to_owned()
}

/// How long after the end of the chaos all must be quiet, in s of simulated time.
const QUIET_WITHIN: u64 = 4 * 3_600;
/// How long it must be quiet, in s: so that what no filter wants is read to its end, and the last windows end.
const REST: u64 = 45;
/// Most removals of mappings in one run.
const REMOVALS: u64 = 2;

#[derive(Default)]
pub(crate) struct Operator {
    pub(crate) live: Option<Arc<dyn Live>>,
    pub(crate) tasks: Vec<BoxFuture<'static, ()>>,
    manager: Option<(Manager, Port)>,
    made: u64,
    removals: u64,
    /// For how long all has been quiet, in s.
    quiet: u64,
}

impl Operator {
    pub(crate) fn use_node(&mut self, manager: Manager, live: Arc<dyn Live>, port: Port) {
        self.manager = Some((manager, port));
        self.live = Some(live);
    }

    pub(crate) fn forget_process(&mut self) {
        self.manager = None;
        self.live = None;
        self.tasks.clear();
    }
}

impl World {
    /// Everything that is there from the start.
    pub(crate) fn begin(&mut self) {
        for mapping in self.plan.mappings.clone() {
            self.catalog.put_function(Function {
                namespace: Namespace::default(),
                name: mapping.function.clone(),
                spec: FunctionSpec {
                    target: Target::InProcess,
                    timeout_ms: mapping.behaviour.timeout_ms,
                    concurrency: 1_000,
                },
                generation: 1,
                revision: 0,
                created: Wall(0),
                modified: Wall(0),
                request_id: None,
                applied: Applied::default(),
                tags: Default::default(),
            });
            self.make_at_once(mapping.source, mapping.spec);
        }
        for stream in 0..self.streams.len() {
            self.after_ms(0, move |w| w.put(stream));
        }
        for queue in 0..self.queues.len() {
            self.after_ms(0, move |w| w.send(queue));
        }
        self.after_ms(0, |w| w.command = Some(Command::Boot));
        self.after_ms(1_000, World::chaos);
        self.after_ms(self.plan.seconds * 1_000, World::put_right);
    }

    /// A name that no other run of this program has: fail points go by names, and know of no runs.
    fn mapping_name(&mut self) -> MappingName {
        self.operator.made += 1;
        MappingName::new(format!("m-{}-r{}", self.operator.made, self.run)).unwrap()
    }

    /// Puts a mapping into the catalog as if it had always been there.
    fn make_at_once(&mut self, source: Source, spec: MappingSpec) {
        let start = match source {
            Source::Queue(_) => None,
            Source::Stream(n) => Some(StartPin {
                position: Position::Trim,
                shards: self.streams[n].state.infos().into_iter().map(|i| i.id).collect(),
            }),
        };
        let mapping = Mapping {
            namespace: Namespace::default(),
            name: self.mapping_name(),
            id: MappingId::from_random(self.rng.next_u128()),
            spec,
            desired: Desired::Running,
            start,
            generation: 1,
            revision: 0,
            created: self.now.wall,
            modified: self.now.wall,
            request_id: None,
            applied: Applied::default(),
            tags: Default::default(),
        };
        if let Err(error) = self.put_mapping(mapping) {
            self.wrong(format!("a mapping could not be made: {error}"));
        }
    }

    /// A mapping that is left alone now, as it is stored.
    fn one_mapping(&mut self, desired: Desired) -> Option<Mapping> {
        let standing = |m: &Mapping| {
            self.judges
                .standings
                .get(&m.id)
                .is_some_and(|s| !s.busy && !s.deleting)
        };
        let free = self.catalog.mappings.values();
        let free: Vec<Mapping> = free
            .filter(|m| m.desired == desired && standing(m))
            .cloned()
            .collect();
        self.rng.pick(&free).cloned()
    }

    fn standing(&mut self, id: MappingId) -> Option<&mut Standing> {
        self.judges.standings.get_mut(&id)
    }

    fn busy(&mut self, id: MappingId) {
        if let Some(standing) = self.standing(id) {
            standing.busy = true;
        }
    }

    pub(crate) fn pause(&mut self) {
        let Some((manager, port)) = self.operator.manager.clone() else {
            return;
        };
        let Some(mapping) = self.one_mapping(Desired::Running) else {
            return;
        };
        self.busy(mapping.id);
        let task = async move {
            let answer = manager
                .pause_mapping(&mapping.namespace, &mapping.name, None)
                .await;
            let stopped = answer.is_ok_and(|v| v.mapping.id == mapping.id);
            port.with(|w| w.stopped(mapping.id, stopped, false));
        };
        self.operator.tasks.push(task.boxed());
    }

    pub(crate) fn remove(&mut self) {
        let Some((manager, port)) = self.operator.manager.clone() else {
            return;
        };
        let desired = if self.rng.per_mille(700) {
            Desired::Running
        } else {
            Desired::Paused
        };
        if self.operator.removals >= REMOVALS {
            return;
        }
        let Some(mapping) = self.one_mapping(desired) else {
            return;
        };
        self.operator.removals += 1;
        self.busy(mapping.id);
        let task = async move {
            let answer = manager
                .delete_mapping(&mapping.namespace, &mapping.name, None, false)
                .await;
            let stopped = answer.is_ok_and(|v| v.mapping.id == mapping.id);
            port.with(|w| w.stopped(mapping.id, stopped, true));
        };
        self.operator.tasks.push(task.boxed());
    }

    /// A pause or removal was answered: from here on nothing starts.
    fn stopped(&mut self, id: MappingId, acknowledged: bool, deleting: bool) {
        let running = self.calls_of(id) > 0;
        let lanes = self.judges.streams.get(&id).map_or(1, |j| j.allowed.lanes);
        let Some(standing) = self.standing(id) else { return };
        standing.busy = false;
        standing.deleting |= deleting && acknowledged;
        if !acknowledged || standing.gone {
            return;
        }
        standing.stopped = true;
        standing.completed = false;
        if running && !deleting {
            self.seen("pause answered with calls running");
        }
        self.note_pause(id, Event::Pausing { lanes }, QueueEvent::Pausing);
    }

    pub(crate) fn resume(&mut self) {
        let Some((manager, port)) = self.operator.manager.clone() else {
            return;
        };
        let Some(mapping) = self.one_mapping(Desired::Paused) else {
            return;
        };
        self.busy(mapping.id);
        if let Some(standing) = self.standing(mapping.id) {
            standing.stopped = false;
            standing.completed = false;
        }
        // It may start as soon as it is asked for.
        self.note_pause(mapping.id, Event::Resumed, QueueEvent::Resumed);
        let task = async move {
            let answer = manager
                .resume_mapping(&mapping.namespace, &mapping.name, None)
                .await;
            port.with(|w| {
                if answer.is_ok() {
                    w.seen("resumed");
                }
                w.standing(mapping.id).into_iter().for_each(|s| s.busy = false);
            });
        };
        self.operator.tasks.push(task.boxed());
    }

    pub(crate) fn update(&mut self) {
        let Some((manager, port)) = self.operator.manager.clone() else {
            return;
        };
        let Some(mapping) = self.one_mapping(Desired::Running) else {
            return;
        };
        let (old, mut spec) = (mapping.spec.clone(), mapping.spec.clone());
        match self.plan.of_function(spec.function.as_str()).map(|m| m.source) {
            Some(Source::Stream(_)) => plan::change_stream(&mut self.rng, &mut spec),
            Some(Source::Queue(n)) => plan::change_queue(&mut self.rng, &mut spec, self.plan.queues[n].fifo),
            None => return,
        }
        self.busy(mapping.id);
        if let Some(standing) = self.standing(mapping.id) {
            standing.loose = true;
        }
        self.allow(mapping.id, &spec, false);
        let queue = spec.source.kind().is_queue();
        let patch = MappingPatch {
            batch_size: Some(Some(spec.batch_size)),
            batching_window_seconds: Some(spec.batching_window_seconds),
            parallelization_factor: (!queue).then_some(spec.parallelization_factor),
            bisect_on_error: (!queue).then_some(spec.bisect_on_error),
            maximum_concurrency: queue.then_some(spec.maximum_concurrency),
            ..MappingPatch::default()
        };
        let lanes = spec.parallelization_factor != old.parallelization_factor;
        let task = async move {
            let answer = manager
                .update_mapping(&mapping.namespace, &mapping.name, &patch, None, false)
                .await;
            port.with(|w| {
                if answer.is_ok() {
                    w.seen("settings changed");
                    if lanes {
                        w.seen("number of lanes changed");
                    }
                }
                w.standing(mapping.id).into_iter().for_each(|s| s.busy = false);
            });
        };
        self.operator.tasks.push(task.boxed());
    }

    /// Makes a mapping anew where one was removed.
    pub(crate) fn make(&mut self) {
        let taken = |w: &World, function: &FunctionName| {
            w.catalog
                .mappings
                .values()
                .any(|m| m.spec.function.as_str() == function.as_str())
        };
        let free = self
            .plan
            .mappings
            .iter()
            .filter(|m| !taken(self, &m.function))
            .cloned();
        let free: Vec<_> = free.collect();
        let Some(plan) = self.rng.pick(&free).cloned() else {
            return;
        };
        if let Source::Queue(_) = plan.source {
            return self.make_at_once(plan.source, plan.spec);
        }
        let Some((manager, _)) = self.operator.manager.clone() else {
            return;
        };
        let mut spec = plan.spec;
        let latest = self.rng.per_mille(500);
        spec.starting_position = Some(match latest {
            true => StartingPosition::Latest,
            false => StartingPosition::TrimHorizon,
        });
        let new = NewMapping {
            namespace: Namespace::default(),
            name: Some(self.mapping_name()),
            spec,
            request_id: None,
            paused: false,
            applied: Applied::default(),
            tags: Default::default(),
        };
        let task = async move {
            // Whether it worked shows in the catalog.
            drop(manager.create_mapping(new, false).await);
        };
        self.operator.tasks.push(task.boxed());
    }

    /// Looks at what the engine shows, as somebody who waits for it would.
    pub(crate) fn observe(&mut self) {
        self.end_abandoned();
        let Some(live) = self.operator.live.clone() else {
            return;
        };
        let watched = |s: &Standing| !s.gone && !s.deleting && ((s.stopped && !s.completed) || s.loose);
        let watched: Vec<MappingId> = self
            .judges
            .standings
            .iter()
            .filter(|(_, s)| watched(s))
            .map(|(id, _)| *id)
            .collect();
        for id in watched {
            let Some(mapping) = self.catalog.mappings.values().find(|m| m.id == id).cloned() else {
                continue;
            };
            let status = live.status(id);
            let Some(standing) = self.standing(id) else {
                continue;
            };
            let pausing = standing.stopped && !standing.completed;
            if pausing && mapping.desired == Desired::Paused && status.state == MappingState::Paused {
                standing.completed = true;
                self.seen("pause completed");
                self.note_pause(id, Event::Paused, QueueEvent::Paused);
            } else if standing.loose
                && !standing.busy
                && status.state == MappingState::Active
                && status.observed_generation == mapping.generation
            {
                standing.loose = false;
                self.allow(id, &mapping.spec, true);
            }
        }
    }

    /// Nothing goes wrong any more: what did is put right, until all is quiet.
    pub(crate) fn put_right(&mut self) {
        if self.operator.manager.is_some() {
            self.resume();
            self.make();
        }
        let quiet = self.is_quiet();
        self.operator.quiet = quiet.map_or(0, |()| self.operator.quiet + 1);
        if self.operator.quiet > REST {
            self.command = Some(Command::Over);
            return;
        }
        let late = self.now.mono.0 / 1_000_000_000 > self.plan.seconds + QUIET_WITHIN;
        if late {
            let left = self.judges.unfinished();
            let why = quiet.err().unwrap_or("it was not quiet for long enough");
            return self.wrong(format!(
                "I1, I13: it does not come to rest: {why}; not finished: {left:?}"
            ));
        }
        self.after_ms(1_000, World::put_right);
    }

    /// Whether nothing is left to do, or what is.
    fn is_quiet(&self) -> Result<(), &'static str> {
        let mut mappings = self.catalog.mappings.values();
        let mut standings = self.judges.standings.values().filter(|s| !s.gone);
        let signs = [
            ("no process runs", self.up && self.operator.manager.is_some()),
            ("a mapping is missing", mappings.len() == self.plan.mappings.len()),
            (
                "a mapping is paused",
                mappings.all(|m| m.desired == Desired::Running),
            ),
            ("a mapping changes", standings.all(|s| !(s.busy || s.loose))),
            ("a call runs", self.calls.is_empty()),
            ("a document waits", self.store.state.outbox().next().is_none()),
            ("records or messages wait", self.judges.unfinished().is_empty()),
        ];
        let left = signs.iter().find(|(_, quiet)| !quiet);
        left.map_or(Ok(()), |(what, _)| Err(*what))
    }
}
