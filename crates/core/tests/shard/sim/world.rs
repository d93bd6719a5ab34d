//! The world: time, the stream, the journal, what is going to happen when, and the judges.

use super::owners::{Call, Owner};
use super::plan::Plan;
use super::windows::Windows;
use crate::rig::{BEGIN, mapping};
use bytes::Bytes;
use millstream_core::shard::{AttemptToken, CommitOrder, CommitToken, ReadOrder};
use millstream_testkit::check::{Checkers, DuplicateBound};
use millstream_testkit::{Event, JournalState, Log, Rng, StreamState};
use millstream_types::commit::CommitOutcome;
use millstream_types::ids::DiscardId;
use millstream_types::{Mono, Now, Position, ShardId, StartPin, Wall};
use std::collections::BTreeMap;
use std::time::Duration;

const MOST_STEPS: u32 = 300_000;

/// Something that is going to happen. Whatever names an owner that is gone by then does nothing.
#[derive(Debug)]
pub enum Item {
    Put,
    Chaos,
    Recover,
    Resume,
    Discover,
    Sync,
    Deliver,
    Settle(DiscardId),
    Read(u64, ReadOrder),
    CommitWrite(u64, Box<CommitOrder>),
    CommitAnswer(u64, CommitToken, CommitOutcome, bool),
    CallEnd(u64),
    Held(u64, AttemptToken),
    Drain,
    Tick(u64, Mono),
}

/// What the mapping is on its way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    None,
    /// Nothing may start any more; the owners hear of it a moment later.
    Pausing,
    Paused,
    /// Lanes, and length of the tumbling windows in s.
    Reconfiguring(u8, u32),
}

pub struct World {
    pub rng: Rng,
    pub plan: Plan,
    pub generation: u64,
    pub now: Now,
    pub stream: StreamState,
    pub pin: StartPin,
    pub journal: JournalState,
    pub owners: BTreeMap<u64, Owner>,
    pub calls: BTreeMap<u64, Call>,
    pub transition: Transition,
    pub down: bool,
    /// All is quiet: the last drain.
    pub ending: bool,
    pub delivering: bool,
    pub next_id: u64,
    pub summary: Summary,
    pub windows: Windows,
    queue: BTreeMap<(Mono, u64), Item>,
    log: Log,
    checkers: Checkers,
    broken: Option<String>,
    print: bool,
}

/// What a run was made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub records: u64,
    pub discards: u64,
    pub duplicates: u64,
    pub events: u64,
    pub crashes: u64,
    pub power_losses: u64,
    pub unknown: u64,
    pub fenced: u64,
    pub pauses: u64,
    pub held: u64,
    pub factor_changes: u64,
    pub reshards: u64,
    pub trims: u64,
    pub sheds: u64,
    pub catch_up_reads: u64,
    pub finished_shards: u64,
    pub windows_ended: u64,
    pub windows_early: u64,
    pub window_changes: u64,
    pub log_hash: u64,
}

impl World {
    pub fn new(seed: u64, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::of(&mut rng);
        if print {
            eprintln!("{plan:#?}");
        }
        let stream = StreamState::new("orders", plan.shards);
        let shards = stream.infos().into_iter().map(|i| i.id).collect();
        let mut world = Self {
            pin: StartPin {
                position: Position::Trim,
                shards,
            },
            rng,
            generation: 1,
            now: Now {
                wall: BEGIN,
                mono: Mono(0),
            },
            stream,
            journal: JournalState::default(),
            owners: BTreeMap::new(),
            calls: BTreeMap::new(),
            transition: Transition::None,
            down: false,
            ending: false,
            delivering: false,
            next_id: 0,
            summary: Summary::default(),
            windows: Windows::default(),
            queue: BTreeMap::new(),
            log: Log::default(),
            checkers: Checkers::new(DuplicateBound::Exact),
            broken: None,
            print,
            plan,
        };
        let max_retries = u32::try_from(world.plan.spec.max_retry_attempts).ok();
        world.note(Event::Configured { max_retries });
        for info in world.stream.infos() {
            world.note(Event::Shard {
                shard: info.id.clone(),
                parents: info.parents().cloned().collect(),
            });
        }
        world
    }

    /// Until all is quiet.
    pub fn run(&mut self) -> Result<Summary, String> {
        for item in [Item::Discover, Item::Put, Item::Chaos] {
            self.after(0, item);
        }
        for _ in 0..MOST_STEPS {
            let Some(((at, _), item)) = self.queue.pop_first() else {
                return self.finish();
            };
            self.now = Now {
                wall: BEGIN.plus(at.since(Mono(0))),
                mono: at,
            };
            self.happen(item);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
        }
        let left = self.checkers.history().unfinished(5);
        Err(format!("does not come to rest; unfinished: {left:?}"))
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::Put => self.put(),
            Item::Chaos => self.chaos(),
            Item::Recover => self.recover(),
            Item::Resume => self.resume(),
            Item::Discover => self.discover(),
            Item::Sync => self.journal.sync(),
            Item::Deliver => self.deliver(),
            Item::Settle(discard) => self.settle(discard),
            Item::Read(owner, order) => self.read(owner, order),
            Item::CommitWrite(owner, order) => self.commit_write(owner, *order),
            Item::CommitAnswer(owner, token, outcome, sync) => {
                self.commit_answer(owner, token, outcome, sync)
            }
            Item::CallEnd(call) => self.call_end(call),
            Item::Held(owner, token) => self.held(owner, token),
            Item::Drain => self.drain_late(),
            Item::Tick(owner, at) => self.tick(owner, at),
        }
    }

    /// Lets something happen so many ms from now.
    pub fn after(&mut self, ms: u64, item: Item) {
        self.at(self.now.mono.plus(Duration::from_millis(ms)), item);
    }

    pub fn at(&mut self, at: Mono, item: Item) {
        self.next_id += 1;
        self.queue.insert((at, self.next_id), item);
    }

    /// Whether things still go wrong.
    pub fn chaotic(&self) -> bool {
        self.now.mono < Mono(self.plan.seconds * 1_000_000_000)
    }

    /// Writes down what happened and has it judged.
    pub fn note(&mut self, event: Event) {
        if self.print {
            eprintln!("{:>9.3} {event:?}", self.now.mono.0 as f64 / 1e6);
        }
        if let Err(violation) = self.checkers.observe(&event) {
            self.broken
                .get_or_insert(format!("{violation}\n  event: {event:?}"));
        }
        self.log.push(event);
    }

    /// Something is wrong that is not one of the invariants.
    pub fn wrong(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn put(&mut self) {
        if !self.chaotic() {
            return;
        }
        let key = format!("key-{}", self.rng.index(12));
        let mut data = vec![b'.'; self.rng.between(0, 60) as usize];
        if self.rng.per_mille(self.plan.rates.poison) {
            data.insert(0, super::function::POISON);
        }
        if self.rng.per_mille(self.plan.rates.oversized) {
            data.resize(6_000, b'.');
        }
        // Some records arrive with a time before that of others in front of them.
        let late = if self.rng.per_mille(100) {
            self.rng.between(0, 4_000)
        } else {
            0
        };
        let arrival = Wall(self.now.wall.0 - late);
        let (shard, mark) = self.stream.put(key.as_bytes(), &data, arrival);
        self.summary.records += 1;
        self.note(Event::Produced {
            shard: shard.clone(),
            mark,
            key: Bytes::from(key),
        });
        self.wake_readers(&shard);
        let pause = self.rng.between(0, self.plan.put_every_ms);
        self.after(pause, Item::Put);
    }

    /// The journal is synced soon after every write, as the real one is.
    pub fn sync_soon(&mut self) {
        if self.journal.written() > self.journal.synced() {
            self.after(50, Item::Sync);
        }
    }

    /// Sends the first document that waits. The next one only when this one is settled and synced.
    pub fn deliver(&mut self) {
        if self.down || self.delivering {
            return;
        }
        let Some(entry) = self.journal.outbox().next().map(|o| o.discard) else {
            return;
        };
        if self.chaotic() && self.rng.per_mille(50) {
            self.after(200, Item::Deliver);
            return;
        }
        self.delivering = true;
        self.note(Event::Document { discard: entry });
        self.after(3, Item::Settle(entry));
    }

    fn settle(&mut self, discard: DiscardId) {
        if self.down || !self.delivering {
            return;
        }
        self.delivering = false;
        self.journal.settle(discard);
        self.journal.sync();
        self.deliver();
    }

    pub fn shard_finished(&self, shard: &ShardId) -> bool {
        self.journal.record(mapping(), shard).is_some_and(|r| r.finished)
    }

    fn finish(&mut self) -> Result<Summary, String> {
        self.ending = true;
        self.drain_all();
        while let Some(((at, _), item)) = self.queue.pop_first() {
            self.now = Now {
                wall: BEGIN.plus(at.since(Mono(0))),
                mono: at,
            };
            self.happen(item);
        }
        if let Some(owner) = self.owners.values().next() {
            return Err(format!(
                "{} does not drain: {:?}",
                owner.shard,
                owner.machine.snapshot()
            ));
        }
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        self.checkers
            .finish()
            .map_err(|v| v.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        self.all_is_stored()?;
        self.judge_windows()?;
        let history = self.checkers.history();
        Ok(Summary {
            discards: history.discards() as u64,
            duplicates: history.duplicates(),
            events: self.log.events().len() as u64,
            log_hash: self.log.hash(),
            ..self.summary
        })
    }

    /// The stored checkpoint of every shard is its last record.
    fn all_is_stored(&self) -> Result<(), String> {
        for info in self.stream.infos() {
            let last = self.stream.records(&info.id).last().map(|r| r.mark);
            let record = self.journal.record(mapping(), &info.id);
            let checkpoint = record.and_then(|r| r.lanes.iter().map(|l| l.done_through).min().flatten());
            if checkpoint < last {
                return Err(format!(
                    "{}: checkpoint {checkpoint:?} before its last record {last:?}",
                    info.id
                ));
            }
            if info.closed.is_some() && !self.shard_finished(&info.id) {
                return Err(format!("{} is closed and not finished: {record:?}", info.id));
            }
        }
        Ok(())
    }
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        let theirs = other.counts();
        for (mine, (_, n)) in self.counts_mut().into_iter().zip(theirs) {
            *mine += n;
        }
    }

    fn counts(&self) -> [(&'static str, u64); 19] {
        [
            ("records", self.records),
            ("discards", self.discards),
            ("duplicates", self.duplicates),
            ("events", self.events),
            ("crashes", self.crashes),
            ("power losses", self.power_losses),
            ("unknown commits", self.unknown),
            ("fenced owners", self.fenced),
            ("pauses", self.pauses),
            ("held attempts", self.held),
            ("factor changes", self.factor_changes),
            ("reshards", self.reshards),
            ("trims", self.trims),
            ("sheds", self.sheds),
            ("catch-up reads", self.catch_up_reads),
            ("finished shards", self.finished_shards),
            ("windows that ended", self.windows_ended),
            ("windows that ended early", self.windows_early),
            ("changes of windows", self.window_changes),
        ]
    }

    fn counts_mut(&mut self) -> [&mut u64; 19] {
        [
            &mut self.records,
            &mut self.discards,
            &mut self.duplicates,
            &mut self.events,
            &mut self.crashes,
            &mut self.power_losses,
            &mut self.unknown,
            &mut self.fenced,
            &mut self.pauses,
            &mut self.held,
            &mut self.factor_changes,
            &mut self.reshards,
            &mut self.trims,
            &mut self.sheds,
            &mut self.catch_up_reads,
            &mut self.finished_shards,
            &mut self.windows_ended,
            &mut self.windows_early,
            &mut self.window_changes,
        ]
    }

    /// A run in which something never happens does not test it.
    pub fn assert_everything_happened(&self) {
        for (what, count) in self.counts() {
            assert!(count > 0, "no {what} in all seeds: the simulation is void");
        }
    }
}
