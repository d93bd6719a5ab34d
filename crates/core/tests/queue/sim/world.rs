//! The world: time, the queue, what is going to happen when, and the judges.

use super::owner::{Call, Owner};
use super::plan::Plan;
use super::poll::Poll;
use crate::rig::BEGIN;
use millstream_core::queue::{EntryAnswer, OrderId, ReceiveFault};
use millstream_testkit::check::queue::QueueCheckers;
use millstream_testkit::{QueueEvent, QueueState, Rng};
use millstream_types::{Message, Mono, Now};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const MOST_STEPS: u32 = 200_000;
/// After the chaos everything is to be done within so long: in a group, one poisonous message after the other comes back
/// until it is a dead letter.
const CALM: Duration = Duration::from_secs(6 * 3_600);

/// What was asked of the queue about messages it handed out.
#[derive(Clone, Debug)]
pub enum Ask {
    Delete(millstream_core::queue::DeleteOrder),
    Visibility(millstream_core::queue::VisibilityOrder),
}

/// Something that is going to happen. Whatever names an owner that is gone by then does nothing to it.
#[derive(Debug)]
pub enum Item {
    Send,
    Chaos,
    Start,
    Drain,
    Resume,
    Tick(u64, Mono),
    /// A receive looks for messages.
    Poll(u64),
    /// The answer of a receive arrives.
    Received(u64, OrderId, Result<Vec<Message>, ReceiveFault>),
    /// Deletes or changes of visibility take effect; with what is answered in the end, if the call is answered.
    Effect(u64, Ask, bool),
    Answer(u64, Ask, Vec<EntryAnswer>),
    CallEnd(u64),
    Held(u64, OrderId),
    Quiet,
}

/// What the mapping is on its way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    None,
    /// Nothing may start any more; the owner hears of it a moment later.
    Pausing,
    Paused,
    Reconfiguring,
}

pub struct World {
    pub rng: Rng,
    pub plan: Plan,
    pub generation: u64,
    pub now: Now,
    pub queue: QueueState,
    pub owner: Option<Owner>,
    pub polls: BTreeMap<u64, Poll>,
    pub calls: BTreeMap<u64, Call>,
    pub transition: Transition,
    pub summary: Summary,
    pub next_id: u64,
    /// Attempts in the history.
    pub notes: u64,
    items: BTreeMap<(Mono, u64), Item>,
    checkers: QueueCheckers,
    events: u64,
    hasher: DefaultHasher,
    broken: Option<String>,
    print: bool,
}

/// What a run was made of.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub counts: BTreeMap<&'static str, u64>,
    pub hash: u64,
}

/// Everything that must have happened in some seed.
const HAPPENS: [&str; 22] = [
    "messages",
    "calls",
    "repetitions",
    "dead letters",
    "crashes",
    "pauses",
    "changes",
    "held attempts",
    "lost workers",
    "failed receives",
    "lost receives",
    "slow receives",
    "duplicates",
    "cut receives",
    "lost calls",
    "renewals",
    "throttles",
    "returned",
    "dropped",
    "left",
    "undeleted",
    "resets",
];

impl World {
    pub fn new(seed: u64, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::of(&mut rng);
        if print {
            eprintln!("{plan:#?}");
        }
        let is_fifo = plan.config(1).fifo;
        let mut queue = QueueState::new(is_fifo, Duration::from_secs(plan.visibility));
        queue.set_max_receives(plan.max_receives);
        let mut world = Self {
            rng,
            generation: 1,
            now: Now {
                wall: BEGIN,
                mono: Mono(0),
            },
            queue,
            owner: None,
            polls: BTreeMap::new(),
            calls: BTreeMap::new(),
            transition: Transition::None,
            summary: Summary::default(),
            next_id: 0,
            notes: 0,
            items: BTreeMap::new(),
            checkers: QueueCheckers::default(),
            events: 0,
            hasher: DefaultHasher::new(),
            broken: None,
            print,
            plan,
        };
        world.configured();
        world
    }

    pub fn configured(&mut self) {
        let most = self.plan.spec.maximum_concurrency.map(|n| n as usize);
        let max_receives = self.plan.max_receives;
        self.note(QueueEvent::Configured {
            most_in_flight: most,
            max_receives,
        });
    }

    /// Until all is quiet.
    pub fn run(&mut self) -> Result<Summary, String> {
        for item in [Item::Start, Item::Send, Item::Chaos] {
            self.after(0, item);
        }
        self.after(self.plan.seconds * 1_000, Item::Quiet);
        for _ in 0..MOST_STEPS {
            let Some(((at, _), item)) = self.items.pop_first() else {
                return Err("nothing is going to happen any more".to_owned());
            };
            self.now = Now {
                wall: BEGIN.plus(at.since(Mono(0))),
                mono: at,
            };
            let is_quiet = matches!(item, Item::Quiet) && self.is_quiet();
            self.happen(item);
            self.take_news();
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if is_quiet {
                return self.finish();
            }
        }
        Err(format!("does not come to rest: {}", self.what_is_left()))
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::Send => self.send(),
            Item::Chaos => self.chaos(),
            Item::Start => self.start(),
            Item::Drain => self.drain_late(),
            Item::Resume => self.resume(),
            Item::Tick(owner, at) => self.tick(owner, at),
            Item::Poll(poll) => self.poll(poll),
            Item::Received(owner, id, result) => self.received(owner, id, result),
            Item::Effect(owner, ask, answered) => self.effect(owner, ask, answered),
            Item::Answer(owner, ask, answers) => self.answer(owner, &ask, &answers),
            Item::CallEnd(call) => self.call_end(call),
            Item::Held(owner, order) => self.held(owner, order),
            Item::Quiet => self.look_again(),
        }
    }

    /// Lets something happen so many ms from now.
    pub fn after(&mut self, ms: u64, item: Item) {
        self.at(self.now.mono.plus(Duration::from_millis(ms)), item);
    }

    pub fn at(&mut self, at: Mono, item: Item) {
        self.next_id += 1;
        self.items.insert((at, self.next_id), item);
    }

    /// Whether things still go wrong.
    pub fn chaotic(&self) -> bool {
        self.now.mono < Mono(self.plan.seconds * 1_000_000_000)
    }

    /// Whether this goes wrong now.
    pub fn goes_wrong(&mut self, rate: u64) -> bool {
        self.chaotic() && self.rng.per_mille(rate)
    }

    pub fn count(&mut self, what: &'static str, n: u64) {
        *self.summary.counts.entry(what).or_default() += n;
    }

    /// Writes down what happened and has it judged.
    pub fn note(&mut self, event: QueueEvent) {
        if self.print {
            eprintln!("{:>9.3} {event:?}", self.now.mono.0 as f64 / 1e6);
        }
        if let Err(violation) = self.checkers.observe(&event) {
            self.broken
                .get_or_insert(format!("{violation}\n  event: {event:?}"));
        }
        self.events += 1;
        (self.now.mono.0, format!("{event:?}")).hash(&mut self.hasher);
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.print {
            eprintln!("{:>9.3} - {}", self.now.mono.0 as f64 / 1e6, what());
        }
    }

    /// Something is wrong that is not one of the invariants.
    pub fn wrong(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn take_news(&mut self) {
        for event in self.queue.news() {
            self.note(event);
        }
    }

    fn send(&mut self) {
        if !self.chaotic() {
            return;
        }
        let group = format!("g{}", self.rng.between(1, self.plan.groups));
        let mut body = vec![b'.'; self.rng.between(1, 900) as usize];
        if self.rng.per_mille(self.plan.rates.poison) {
            body[0] = super::owner::POISON;
        }
        if self.rng.per_mille(self.plan.rates.oversized) {
            body.resize(9_000, b'.');
        }
        self.queue.send(Some(&group), &body, self.now.wall);
        self.take_news();
        self.count("messages", 1);
        self.wake_polls();
        let pause = self.rng.between(0, self.plan.send_every_ms);
        self.after(pause, Item::Send);
    }

    fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.calls.is_empty() && self.owner.as_ref().is_some_and(Owner::is_idle)
    }

    fn look_again(&mut self) {
        if self.now.mono > Mono(self.plan.seconds * 1_000_000_000).plus(CALM) {
            let left = self.what_is_left();
            self.wrong(format!("not done six hours after the chaos: {left}"));
        }
        self.after(1_000, Item::Quiet);
    }

    fn what_is_left(&self) -> String {
        let left = self.checkers.history().unfinished(5);
        let snapshot = self.owner.as_ref().map(|o| o.machine.snapshot(self.now));
        format!("{left:?}, {:?}, {snapshot:?}", self.transition)
    }

    /// The last drain, and the judgement of the whole.
    fn finish(&mut self) -> Result<Summary, String> {
        self.drain();
        while self.owner.is_some() {
            let Some(((at, _), item)) = self.items.pop_first() else {
                return Err(format!("does not drain: {}", self.what_is_left()));
            };
            self.now.mono = at;
            if !matches!(item, Item::Quiet | Item::Start) {
                self.happen(item);
            }
        }
        self.take_news();
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let judged = self.checkers.finish();
        judged.map_err(|v| v.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let history = self.checkers.history();
        let (repetitions, dead) = (history.duplicates() as u64, history.dead_lettered() as u64);
        self.count("repetitions", repetitions);
        self.count("dead letters", dead);
        self.summary.hash = self.hasher.finish();
        Ok(self.summary.clone())
    }
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        for (what, n) in &other.counts {
            *self.counts.entry(what).or_default() += n;
        }
    }

    /// A run in which something never happens does not test it.
    pub fn assert_everything_happened(&self) {
        for what in HAPPENS {
            let count = self.counts.get(what).copied().unwrap_or(0);
            assert!(count > 0, "no {what} in all seeds: the simulation is void");
        }
    }
}
