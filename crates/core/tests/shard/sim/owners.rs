//! Owners of shards: a machine each, what is in flight for it, and how its actions are carried out.

use super::function::{answer, answer_in_window, result_of};
use super::world::{Item, Transition, World};
use crate::rig::mapping;
use bytes::Bytes;
use millstream_core::lineage::to_start;
use millstream_core::route::route_page;
use millstream_core::shard::{
    Action, AttemptOrder, AttemptReport, AttemptToken, CommitOrder, CommitToken, Cursor, PageIn, ReadOrder,
    ShardConfig, ShardMachine, StopReason,
};
use millstream_core::verdict::{Verdict, verdict, window_verdict};
use millstream_ports::Credit;
use millstream_testkit::{Event, Given, Progress, Write};
use millstream_types::commit::{CommitOutcome, Durability};
use millstream_types::durable::Discard;
use millstream_types::{Incarnation, Lease, Mark, Mono, Position, Seq, ShardId, Wall, WindowEnvelope};
use std::collections::BTreeSet;

pub struct Owner {
    pub shard: ShardId,
    pub machine: ShardMachine,
    pub lease: Lease,
    config: ShardConfig,
    waiting: Vec<ReadOrder>,
    tick: Option<Mono>,
    /// Stopped without having stored all: gone when its last call ends.
    dying: bool,
}

pub struct Call {
    pub owner: u64,
    token: AttemptToken,
    verdict: Verdict,
    started: Wall,
    /// Whether the judges hear of it; a batch without records is none of theirs.
    told: bool,
    shard: ShardId,
    marks: Vec<Mark>,
    window: Option<WindowEnvelope>,
    state: Option<Bytes>,
}

impl World {
    /// Takes over every shard that may start and has no owner.
    pub fn discover(&mut self) {
        if self.down || self.transition != Transition::None {
            return;
        }
        let stored = self.journal.shards(mapping());
        let finished: BTreeSet<ShardId> = stored
            .iter()
            .filter(|s| s.1.finished)
            .map(|s| s.0.clone())
            .collect();
        let owned: BTreeSet<ShardId> = self.owners.values().map(|o| o.shard.clone()).collect();
        let mut started = owned.clone();
        started.extend(stored.iter().map(|s| s.0.clone()));
        let fresh = to_start(&self.stream.infos(), &self.pin, &finished, &started);
        let again = stored.iter().filter(|s| !s.1.finished && !owned.contains(&s.0));
        let again: Vec<_> = again.map(|s| (s.0.clone(), Position::Trim)).collect();
        for (shard, from) in fresh.into_iter().chain(again) {
            self.take_over(shard, from);
        }
    }

    fn take_over(&mut self, shard: ShardId, from: Position) {
        self.next_id += 1;
        let id = self.next_id;
        let (lease, record) = self
            .journal
            .acquire(mapping(), &shard, Incarnation::from_bits(id.into()));
        let config = self.plan.config(&shard, self.generation);
        let seed = self.rng.next_u128();
        let machine = ShardMachine::new(config.clone(), from, record, seed, self.now);
        let owner = Owner {
            shard,
            machine,
            lease,
            config,
            waiting: Vec::new(),
            tick: None,
            dying: false,
        };
        self.owners.insert(id, owner);
        self.drive(id, |machine, now, out| machine.start(now, out));
    }

    /// Tells a machine something, and carries out what it wants.
    fn drive(
        &mut self,
        id: u64,
        input: impl FnOnce(&mut ShardMachine, millstream_types::Now, &mut Vec<Action>),
    ) {
        let mut actions = Vec::new();
        let Some(owner) = self.owners.get_mut(&id) else {
            return;
        };
        input(&mut owner.machine, self.now, &mut actions);
        let repeatable = owner.machine.repeatable();
        let bound = 2 * self.plan.spec.batch_size as usize;
        if repeatable > bound {
            let shard = owner.shard.clone();
            return self.wrong(format!(
                "{shard}: {repeatable} records of a lane would be repeated, at most {bound} may"
            ));
        }
        let tick = owner.machine.deadline().map(|at| at.max(self.now.mono));
        if tick != owner.tick {
            owner.tick = tick;
            if let Some(at) = tick {
                self.at(at, Item::Tick(id, at));
            }
        }
        for action in actions {
            match action {
                Action::Read(order) => self.order_read(id, order),
                Action::Commit(order) => {
                    let ms = self.rng.between(0, 20);
                    self.after(ms, Item::CommitWrite(id, Box::new(order)));
                }
                Action::Invoke(order) => self.invoke(id, order),
                Action::Stopped(reason) => self.stopped(id, reason),
            }
        }
    }

    fn order_read(&mut self, id: u64, order: ReadOrder) {
        self.summary.catch_up_reads += u64::from(order.cursor == Cursor::CatchUp);
        let ms = self.rng.between(0, 30);
        self.after(ms, Item::Read(id, order));
    }

    pub fn tick(&mut self, id: u64, at: Mono) {
        if let Some(owner) = self.owners.get_mut(&id).filter(|o| o.tick == Some(at)) {
            owner.tick = None;
            self.drive(id, |machine, now, out| machine.on_tick(now, out));
        }
    }

    pub fn read(&mut self, id: u64, order: ReadOrder) {
        let Some(owner) = self.owners.get(&id) else { return };
        if self.chaotic() && self.rng.per_mille(self.plan.rates.read_error) {
            let ms = self.rng.between(10, 1_000);
            return self.after(ms, Item::Read(id, order));
        }
        let credit = Credit {
            records: self.rng.between(1, order.records as u64) as usize,
            bytes: order.bytes,
        };
        let Ok(page) = self.stream.read(&owner.shard, order.from, credit) else {
            return self.wrong(format!("{} cannot be read", owner.shard));
        };
        let stood_still = page.through.map_or(order.from, Position::After) == order.from;
        let nothing_new = page.records.is_empty() && !page.end && page.gap.is_none() && stood_still;
        let tip = nothing_new && order.cursor == Cursor::CatchUp;
        if nothing_new && !tip {
            if let Some(owner) = self.owners.get_mut(&id) {
                owner.waiting.push(order);
            }
            let lag = page.lag;
            return self.drive(id, |machine, now, out| {
                machine.on_lag(lag.millis, lag.records, now, out);
            });
        }
        let routed = route_page(page.records, owner.config.lanes, &owner.config.shape);
        let page = PageIn {
            cursor: order.cursor,
            serial: order.serial,
            lanes: routed.lanes,
            through: page.through,
            end: page.end,
            tip,
            lag_ms: page.lag.millis,
            lag_records: page.lag.records,
            generation: owner.config.generation,
            filtered: 0,
            quarantined: Vec::new(),
        };
        self.drive(id, |machine, now, out| machine.on_page(page, now, out));
    }

    pub fn wake_readers(&mut self, shard: &ShardId) {
        let mut woken = Vec::new();
        for (id, owner) in self.owners.iter_mut().filter(|(_, o)| o.shard == *shard) {
            woken.extend(owner.waiting.drain(..).map(|order| (*id, order)));
        }
        for (id, order) in woken {
            self.after(1, Item::Read(id, order));
        }
    }

    pub fn commit_write(&mut self, id: u64, order: CommitOrder) {
        let Some(owner) = self.owners.get(&id) else { return };
        let unknown = self.chaotic() && self.rng.per_mille(self.plan.rates.commit_unknown);
        if unknown && self.rng.per_mille(500) {
            return self.after(
                5,
                Item::CommitAnswer(id, order.token, CommitOutcome::Unknown, false),
            );
        }
        let (shard, lease) = (owner.shard.clone(), owner.lease.clone());
        let mut outcome = CommitOutcome::Rejected;
        let wants_documents = self.plan.spec.on_failure.is_some();
        let progress = order.commit.record.as_ref().map(Progress::of);
        let stored = order.commit.record.clone();
        let given_up: Vec<_> = order
            .commit
            .discards
            .iter()
            .map(|d| (marks_of(d), d.clone()))
            .collect();
        let discards = order
            .commit
            .discards
            .iter()
            .map(|d| Given::of(d, marks_of(d), wants_documents))
            .collect();
        if !order.commit.discards.is_empty() && order.durability != Durability::Synced {
            self.wrong(format!("{shard}: a discard that is not synced: {order:?}"));
        }
        if let Write::Written(number) = self.journal.write(&lease, order.commit) {
            if let Some(record) = stored {
                self.judge_stored(&shard, &record, &given_up);
            }
            outcome = if unknown {
                CommitOutcome::Unknown
            } else {
                CommitOutcome::Committed
            };
            self.note(Event::Stored {
                number,
                shard,
                epoch: lease.epoch.0,
                progress,
                discards,
            });
            if let Some(record) = self.journal.record(mapping(), &lease.shard) {
                let counted = Event::counted(number, &lease.shard, record);
                self.note(counted);
            }
        }
        let synced = order.durability == Durability::Synced;
        let ms = if synced { self.rng.between(1, 30) } else { 0 };
        self.sync_soon();
        self.after(ms, Item::CommitAnswer(id, order.token, outcome, synced));
    }

    pub fn commit_answer(&mut self, id: u64, token: CommitToken, outcome: CommitOutcome, synced: bool) {
        if !self.owners.contains_key(&id) {
            return;
        }
        if synced {
            self.journal.sync();
            self.after(0, Item::Deliver);
        }
        self.drive(id, |machine, now, out| {
            machine.on_commit(token, outcome, now, out)
        });
    }

    fn invoke(&mut self, id: u64, order: AttemptOrder) {
        if self.transition == Transition::Pausing {
            self.summary.held += 1;
            let ms = self.rng.between(0, 5);
            return self.after(ms, Item::Held(id, order.token));
        }
        let Some(owner) = self.owners.get(&id) else { return };
        let records = order.batch.as_slice();
        let shard = owner.shard.clone();
        if records.len() > self.plan.spec.batch_size as usize {
            self.wrong(format!("{shard}: a batch of {} records", records.len()));
        }
        let told = !records.is_empty();
        if let Some(window) = &order.window {
            self.judge_call(&shard, records, window);
        } else if !told {
            self.wrong(format!("{shard}: a batch without records and window"));
        }
        self.next_id += 1;
        let call = self.next_id;
        let chaos = self.chaotic();
        let report = self.plan.spec.report_batch_item_failures;
        let (verdict, state) = match &order.window {
            None => {
                let outcome = answer(&self.plan, records, chaos, &mut self.rng);
                (verdict(&outcome, records, report), None)
            }
            Some(window) => {
                let outcome = answer_in_window(&self.plan, records, window, chaos, &mut self.rng);
                window_verdict(&outcome, records, report, self.plan.limits.event_bytes)
            }
        };
        let marks: Vec<Mark> = records.iter().map(|r| r.mark).collect();
        let ms = self.rng.between(0, self.plan.call_ms);
        self.calls.insert(
            call,
            Call {
                owner: id,
                token: order.token,
                verdict,
                started: self.now.wall,
                told,
                shard: shard.clone(),
                marks: marks.clone(),
                window: order.window.clone(),
                state,
            },
        );
        if told {
            self.note(Event::Started {
                call,
                shard,
                request: order.request_id,
                attempt: order.attempt,
                marks,
            });
        }
        self.after(ms, Item::CallEnd(call));
    }

    pub fn held(&mut self, id: u64, token: AttemptToken) {
        self.drive(id, |machine, now, out| machine.on_held(token, now, out));
    }

    pub fn call_end(&mut self, call: u64) {
        let Some(ended) = self.calls.remove(&call) else {
            return;
        };
        if ended.told {
            self.note(Event::Ended {
                call,
                result: result_of(&ended.verdict),
            });
        }
        let done = match ended.verdict {
            Verdict::Done => Some(ended.marks.len()),
            Verdict::FailedFrom { index, .. } if index > 0 => Some(index),
            _ => None,
        };
        if let Some(done) = done {
            self.judge_success(&ended.shard, &ended.marks[..done], ended.window.as_ref());
        }
        let report = AttemptReport {
            token: ended.token,
            verdict: ended.verdict,
            started: ended.started,
            state: ended.state,
        };
        self.drive(ended.owner, |machine, now, out| {
            machine.on_attempt(report, now, out)
        });
        self.bury(ended.owner);
    }

    /// A call that runs as the process ends: the function may be done with it, and nobody heard.
    pub fn call_ends_unheard(&mut self, call: u64) {
        if let Some(ended) = self.calls.remove(&call).filter(|c| c.told) {
            self.note(Event::Ended {
                call,
                result: result_of(&ended.verdict),
            });
        }
    }

    fn stopped(&mut self, id: u64, reason: StopReason) {
        let Some(owner) = self.owners.get_mut(&id) else {
            return;
        };
        match reason {
            StopReason::Finished | StopReason::Drained => {
                let calls = self.calls.values().filter(|c| c.owner == id).count();
                let shard = owner.shard.clone();
                self.owners.remove(&id);
                if calls > 0 {
                    self.wrong(format!(
                        "{shard} stopped as {reason:?} with {calls} calls in flight"
                    ));
                }
                self.summary.finished_shards += u64::from(reason == StopReason::Finished);
                self.went();
            }
            StopReason::Fenced | StopReason::Uncertain => {
                let unknown = reason == StopReason::Uncertain;
                self.summary.unknown += u64::from(unknown);
                self.summary.fenced += u64::from(!unknown);
                owner.dying = true;
                self.bury(id);
            }
        }
    }

    /// What an owner that had to stop held in memory is lost, once nothing of it runs any more.
    fn bury(&mut self, id: u64) {
        let dead =
            self.owners.get(&id).is_some_and(|o| o.dying) && !self.calls.values().any(|c| c.owner == id);
        if let Some(owner) = dead.then(|| self.owners.remove(&id)).flatten() {
            self.windows.losses += 1;
            self.note(Event::Lost {
                shard: Some(owner.shard),
                kept: None,
            });
            self.went();
        }
    }

    /// An owner is gone: a transition that waited for it may be complete, or a shard may be free.
    pub fn went(&mut self) {
        if self.owners.is_empty() {
            self.all_gone();
        }
        let ms = self.rng.between(0, 200);
        self.after(ms, Item::Discover);
    }

    pub fn drain_all(&mut self) {
        let ids: Vec<u64> = self.owners.keys().copied().collect();
        if self.transition == Transition::None {
            self.transition = Transition::Pausing;
        }
        for id in ids {
            self.drive(id, |machine, now, out| machine.drain(now, out));
        }
        if self.owners.is_empty() {
            self.all_gone();
        }
    }
}

/// The records of a discard, from the event it keeps.
fn marks_of(discard: &Discard) -> Vec<Mark> {
    let payload = String::from_utf8_lossy(&discard.payload);
    let rest = payload.split("\"sequenceNumber\":\"").skip(1);
    let marks: Vec<Mark> = rest
        .map(|r| Mark::of(Seq::parse(r.split('"').next().unwrap_or("").as_bytes()).unwrap()))
        .collect();
    assert_eq!(
        (marks.first(), marks.last(), marks.len()),
        (
            discard.first.as_ref(),
            discard.last.as_ref(),
            discard.records as usize
        )
    );
    marks
}
