//! The outside of a node: time, everything that is going to happen, what is stored, and the judges.
//!
//! One thread, one seed. Whatever the engine asks of the outside becomes an entry in one list, ordered by time and,
//! at one time, by chance; the node runs until it has nothing to do, then the next entry happens. What belongs to a
//! process of the node does not happen once that process is gone.

use crate::catalog::CatalogState;
use crate::function::Call;
use crate::judge::Judges;
use crate::mail::Mail;
use crate::operator::Operator;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::store::Store;
use crate::stream::Stream;
use crate::tally::Tally;
use crate::windows::Windows;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, pending};
use millstream_ports::{Clock, Entropy};
use millstream_testkit::Rng;
use millstream_types::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) const BEGIN: Wall = Wall(1_000_000_000);
/// So many of the last events are told of a run that failed.
const TOLD: usize = 80;

/// Who asks for the time so often at one time spins.
const SPINS: u64 = 100_000;

static RUNS: AtomicU64 = AtomicU64::new(0);

/// What happens at its time.
type Act = Box<dyn FnOnce(&mut World) + Send>;

enum Entry {
    Act(Act),
    Wake(oneshot::Sender<()>),
}

struct Coming {
    /// The process of the node that it belongs to; none for what happens anyway.
    process: Option<u64>,
    entry: Entry,
}

/// What is to be done with the node, which only its driver can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Start it.
    Boot,
    /// It ends; or the power goes.
    Crash { power: bool },
    /// Ask it to stop within so many seconds.
    Stop { seconds: u64 },
    /// The run is over: all is quiet.
    Over,
}

/// Until when whole parts of the outside fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outage {
    pub(crate) source: Mono,
    pub(crate) store: Mono,
}

pub(crate) struct World {
    /// Tells this run from all others of this program.
    pub(crate) run: u64,
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) now: Now,
    /// The number of the node's newest process.
    pub(crate) process: u64,
    /// Whether that process runs.
    pub(crate) up: bool,
    pub(crate) crashes: u64,
    pub(crate) streams: Vec<Stream>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) store: Store,
    pub(crate) catalog: CatalogState,
    pub(crate) mail: Mail,
    pub(crate) windows: Windows,
    pub(crate) calls: BTreeMap<u64, Call>,
    /// Those that nobody waits for any more, to be ended.
    pub(crate) abandoned: BTreeSet<u64>,
    pub(crate) judges: Judges,
    pub(crate) operator: Operator,
    pub(crate) command: Option<Command>,
    pub(crate) outage: Outage,
    pub(crate) tally: Tally,
    pub(crate) broken: Option<String>,
    pub(crate) print: bool,
    coming: BTreeMap<(Mono, u64, u64), Coming>,
    serial: u64,
    steps: u64,
    /// How often the node asked for the time since the last step.
    asked: u64,
    events: u64,
    hash: u64,
    told: VecDeque<String>,
}

impl World {
    pub(crate) fn new(seed: u64, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::of(&mut rng);
        let now = Now {
            wall: BEGIN,
            mono: Mono(0),
        };
        let mut world = Self {
            run: RUNS.fetch_add(1, Ordering::Relaxed),
            rng,
            now,
            process: 0,
            up: false,
            crashes: 0,
            streams: plan.streams.iter().map(Stream::new).collect(),
            queues: plan.queues.iter().map(Queue::new).collect(),
            store: Store::default(),
            catalog: CatalogState::default(),
            mail: Mail::default(),
            windows: Windows::default(),
            calls: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            judges: Judges::new(plan.queues.len()),
            operator: Operator::default(),
            command: None,
            outage: Outage::default(),
            tally: Tally::default(),
            broken: None,
            print,
            coming: BTreeMap::new(),
            serial: 0,
            steps: 0,
            asked: 0,
            events: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            told: VecDeque::new(),
            plan,
        };
        if print {
            world.say(|| format!("seed {seed}"));
            eprintln!("{:#?}", world.plan);
        }
        world.begin();
        world
    }

    /// Whether things still go wrong.
    pub(crate) fn chaotic(&self) -> bool {
        self.now.mono < Mono(self.plan.seconds * 1_000_000_000)
    }

    /// Whether this, which happens so often while things go wrong, happens now.
    pub(crate) fn trouble(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.chaotic() && self.rng.per_mille(per_mille)
    }

    /// Whether the source fails now.
    pub(crate) fn source_trouble(&mut self) -> bool {
        self.outage.source > self.now.mono || self.trouble(self.plan.faults.source)
    }

    /// A number for something new.
    pub(crate) fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// How long a call is on its way, one way.
    pub(crate) fn way(&mut self) -> Duration {
        if self.trouble(self.plan.faults.slow) {
            return Duration::from_millis(self.rng.between(100, 2_000));
        }
        Duration::from_micros(self.rng.between(0, self.plan.way_us))
    }

    fn push(&mut self, at: Mono, process: Option<u64>, entry: Entry) {
        let (tie, serial) = (self.rng.next_u64(), self.number());
        self.coming
            .insert((at.max(self.now.mono), tie, serial), Coming { process, entry });
    }

    /// Happens so much later, whatever becomes of the node.
    pub(crate) fn after(&mut self, delay: Duration, act: impl FnOnce(&mut World) + Send + 'static) {
        self.push(self.now.mono.plus(delay), None, Entry::Act(Box::new(act)));
    }

    pub(crate) fn after_ms(&mut self, ms: u64, act: impl FnOnce(&mut World) + Send + 'static) {
        self.after(Duration::from_millis(ms), act);
    }

    /// Happens so much later, if the process lives then.
    pub(crate) fn after_in(
        &mut self,
        process: u64,
        delay: Duration,
        act: impl FnOnce(&mut World) + Send + 'static,
    ) {
        self.push(
            self.now.mono.plus(delay),
            Some(process),
            Entry::Act(Box::new(act)),
        );
    }

    /// Whether this process of the node runs.
    pub(crate) fn lives(&self, process: u64) -> bool {
        self.up && self.process == process
    }

    /// Lets the next thing happen, and now and then what comes at the same moment; false if nothing is to come.
    pub(crate) fn turn(&mut self) -> bool {
        self.end_abandoned();
        loop {
            let Some((at, ..)) = self.step() else { return false };
            let next = self.coming.first_key_value().map(|(key, _)| key.0);
            if self.command.is_some() || next != Some(at) || !self.rng.per_mille(300) {
                return true;
            }
        }
    }

    fn step(&mut self) -> Option<(Mono, u64)> {
        loop {
            let ((at, tie, _), coming) = self.coming.pop_first()?;
            if coming.process.is_some_and(|p| !self.lives(p)) {
                continue;
            }
            if matches!(&coming.entry, Entry::Wake(waker) if waker.is_canceled()) {
                continue;
            }
            self.steps += 1;
            self.asked = 0;
            self.now = Now {
                wall: BEGIN.plus(at.since(Mono(0))),
                mono: at,
            };
            match coming.entry {
                Entry::Act(act) => act(self),
                Entry::Wake(waker) => {
                    let _gone = waker.send(());
                }
            }
            return Some((at, tie));
        }
    }

    /// Something is wrong.
    pub(crate) fn wrong(&mut self, what: String) {
        self.write(&what);
        self.broken.get_or_insert(what);
    }

    /// Something happened that a run is to have had.
    pub(crate) fn seen(&mut self, what: &'static str) {
        self.tally.add(what);
    }

    /// Writes down what happened.
    pub(crate) fn write(&mut self, what: &str) {
        self.events += 1;
        let hash = what.bytes().fold(self.hash ^ self.now.mono.0, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.hash = hash;
        let line = format!("{:>11.3} {what}", self.now.mono.0 as f64 / 1e6);
        if self.print {
            eprintln!("{line}");
        }
        self.told.push_back(line);
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.print {
            eprintln!("{}", what());
        }
    }

    /// The last things that happened.
    pub(crate) fn trail(&self) -> String {
        let lines: Vec<&str> = self.told.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    /// How many events there were, how many steps, and what they hash to.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        (self.events, self.steps, self.hash)
    }
}

/// The world as everybody shares it.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<World>>);

impl Sim {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.lock())
    }
}

/// The outside as one process of the node sees it.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) sim: Sim,
    pub(crate) process: u64,
}

impl Port {
    /// Nothing if the process is gone: then nobody sees what its remains do.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> Option<T> {
        let mut world = self.sim.lock();
        world.lives(self.process).then(|| f(&mut world))
    }

    /// A call to the outside: it takes its way, has its effect, and its answer takes its way. An effect happens whether
    /// or not somebody still waits for the answer.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> T {
        let (tx, rx) = oneshot::channel();
        let process = self.process;
        self.with(|w| {
            if w.rng.per_mille(300) {
                let _gone = tx.send(effect(w));
                return;
            }
            let (there, back) = (w.way(), w.way());
            w.after_in(process, there, move |w| {
                let answer = effect(w);
                w.after_in(process, back, move |_| {
                    let _gone = tx.send(answer);
                });
            });
        });
        match rx.await {
            Ok(answer) => answer,
            Err(_) => pending().await,
        }
    }

    /// Waits so long.
    pub(crate) async fn sleep(&self, delay: Duration) {
        let at = self.sim.with(|w| w.now.mono.plus(delay));
        self.sleep_until(at).await;
    }
}

impl Clock for Port {
    fn now(&self) -> Now {
        let (now, spins) = self.sim.with(|w| {
            w.asked += 1;
            if w.asked == SPINS {
                w.wrong("I13: the node spins: it has something to do for ever at one time".to_owned());
            }
            (w.now, w.asked >= SPINS)
        });
        // Ends whatever spins, so that the simulation can tell.
        assert!(!spins, "asked for the time {SPINS} times at one time");
        now
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let (tx, rx) = oneshot::channel();
        let process = self.process;
        let past = self.sim.with(|w| {
            if at > w.now.mono {
                w.push(at, Some(process), Entry::Wake(tx));
            }
            at <= w.now.mono
        });
        async move {
            if !past && rx.await.is_err() {
                pending::<()>().await;
            }
        }
        .boxed()
    }
}

impl Entropy for Port {
    fn next_u64(&self) -> u64 {
        self.sim.with(|w| w.rng.next_u64())
    }
}
