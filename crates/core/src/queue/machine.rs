//! The machine itself: its inputs, and the order in which they are worked through.

use super::config::QueueConfig;
use super::gate::Gate;
use super::inspect::QueueCounters;
use super::item::{Item, Visibility};
use super::orders::{Action, OrderId, StopReason};
use super::poll::NO_ROOM_PAUSE;
use super::rate::Rate;
use super::requests::Requests;
use super::scaler::{Provisioned, Scaler};
use super::slot::{Phase, Slot};
use crate::ids::IdSource;
use millstream_types::{Mono, Now, ProvisionedPollers};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Made,
    Running,
    Draining,
    Stopped,
}

/// An order that was not answered yet.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Receive {
        slot: usize,
        max: usize,
        at: Mono,
        wait: Duration,
    },
    Attempt {
        slot: usize,
    },
    Delete {
        slot: usize,
        items: Vec<Item>,
    },
    Show {
        slot: usize,
        items: Vec<Item>,
    },
    Renew {
        slot: usize,
        keys: Vec<u64>,
        until: Mono,
    },
}

/// What is in use, kept up to date with every change of a slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InUse {
    /// Slots with messages.
    pub(super) batches: usize,
    /// Attempts that run.
    pub(super) running: usize,
    /// Messages in memory.
    pub(super) messages: usize,
    /// Their bytes.
    pub(super) bytes: usize,
    /// Messages that ordered receives may bring.
    pub(super) reserved: usize,
    /// Receives on their way.
    pub(super) receives: usize,
}

/// Decides everything about one mapping of one queue.
#[derive(Clone, Debug)]
pub struct QueueMachine {
    pub(super) config: QueueConfig,
    pub(super) visibility: Visibility,
    pub(super) ids: IdSource,
    pub(super) mode: Mode,
    pub(super) now: Now,
    pub(super) slots: Vec<Slot>,
    pub(super) free: BTreeSet<usize>,
    pub(super) timers: BTreeSet<(Mono, usize)>,
    /// Slots that may go on because of what happened elsewhere.
    pub(super) woken: Vec<usize>,
    pub(super) orders: BTreeMap<OrderId, Order>,
    /// The receives among them.
    pub(super) receiving: BTreeSet<OrderId>,
    pub(super) last_id: u64,
    pub(super) gate: Gate,
    pub(super) scaler: Scaler,
    pub(super) in_use: InUse,
    /// Held batches in the order in which they were held first.
    pub(super) held: BTreeSet<(u64, usize)>,
    /// Slots whose window runs.
    pub(super) filling: BTreeSet<usize>,
    /// When the newest invocation completed.
    pub(super) completed: Mono,
    /// Receives that may be on their way at once.
    pub(super) polls: usize,
    /// How fast provisioned pollers poll.
    pub(super) rate: Rate,
    /// When one of them may that is wanted now.
    pub(super) paced: Option<Mono>,
    /// No receive is ordered before this.
    pub(super) rest_until: Mono,
    /// Whether that time is still to come.
    pub(super) resting: bool,
    /// Receives that failed since the last that did not.
    pub(super) faults: u32,
    pub(super) largest_receive: usize,
    /// Bytes that this queue may hold so that the node stays within its limit.
    pub(super) node_room: usize,
    /// Whether a receive was not ordered for want of that.
    pub(super) starved: bool,
    pub(super) requests: Requests,
    pub(super) counters: QueueCounters,
    pub(super) last_attempt_failed: Option<bool>,
    pub(super) queue_trouble: Option<String>,
    pub(super) function_trouble: Option<String>,
}

impl QueueMachine {
    /// A machine at rest. `seed` must be new for every machine: request ids and jitter come from it.
    #[must_use]
    pub fn new(config: QueueConfig, seed: u128, now: Now) -> Self {
        let scaler = scaler(&config, now.mono);
        let polls = config.pollers.map_or(1, |p| p.fewest().max(1) as usize);
        let visibility = Visibility {
            timeout: config.visibility_timeout,
        };
        Self {
            visibility,
            ids: IdSource::new(seed),
            mode: Mode::Made,
            now,
            slots: Vec::new(),
            free: BTreeSet::new(),
            timers: BTreeSet::new(),
            woken: Vec::new(),
            orders: BTreeMap::new(),
            receiving: BTreeSet::new(),
            last_id: 0,
            gate: Gate::default(),
            scaler,
            in_use: InUse::default(),
            held: BTreeSet::new(),
            filling: BTreeSet::new(),
            completed: Mono(0),
            polls,
            rate: Rate::default(),
            paced: None,
            rest_until: Mono(0),
            resting: false,
            faults: 0,
            largest_receive: 0,
            node_room: usize::MAX,
            starved: false,
            requests: Requests::new(now.mono),
            counters: QueueCounters::default(),
            last_attempt_failed: None,
            queue_trouble: None,
            function_trouble: None,
            config,
        }
    }

    /// Begins to receive and invoke.
    pub fn start(&mut self, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if self.mode == Mode::Made {
            self.mode = Mode::Running;
        }
        self.advance(out);
    }

    /// The time given by [`QueueMachine::deadline`] has come.
    pub fn on_tick(&mut self, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        while let Some((at, slot)) = self.timers.first().copied()
            && at <= now.mono
        {
            self.timers.pop_first();
            self.slots[slot].timer = None;
            self.touch(slot, out);
        }
        self.advance(out);
    }

    /// When to call [`QueueMachine::on_tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        if matches!(self.mode, Mode::Made | Mode::Stopped) {
            return None;
        }
        let timer = self.timers.first().map(|t| t.0);
        if self.mode == Mode::Draining {
            return timer;
        }
        let rest = self.resting.then_some(self.rest_until);
        let grows = self.scaler.deadline();
        let room = self.starved.then(|| self.now.mono.plus(NO_ROOM_PAUSE));
        timer
            .into_iter()
            .chain(rest)
            .chain(grows)
            .chain(room)
            .chain(self.paced)
            .min()
    }

    /// Receives and sends nothing more, gives back what was not sent, and lets what runs end; [`Action::Stopped`]
    /// follows.
    pub fn drain(&mut self, now: Now, out: &mut Vec<Action>) {
        self.begin(now);
        if matches!(self.mode, Mode::Made | Mode::Running) {
            self.mode = Mode::Draining;
            out.extend(self.receiving.iter().copied().map(Action::CutShort));
            for slot in 0..self.slots.len() {
                self.touch(slot, out);
            }
        }
        self.advance(out);
    }

    /// The queue's visibility timeout was changed; holds for what is received from now on.
    pub fn set_visibility_timeout(&mut self, timeout: Duration) {
        self.visibility.timeout = timeout;
    }

    /// How many bytes of messages this queue may hold, with what all the others of the node hold now. What is held
    /// already stays; to be told before every input.
    pub fn set_node_room(&mut self, bytes: usize) {
        self.node_room = bytes;
    }

    /// Takes note of the time, before anything is decided.
    pub(super) fn begin(&mut self, now: Now) {
        self.now = now;
        self.scaler.advance(now.mono, self.in_use.batches);
        self.gate.advance(now.mono);
        self.resting &= self.rest_until > now.mono;
    }

    /// Lets no receive be ordered before `until`.
    pub(super) fn rest(&mut self, until: Mono) {
        self.rest_until = until;
        self.resting = true;
    }

    /// Lets a slot do all it can.
    pub(super) fn touch(&mut self, slot: usize, out: &mut Vec<Action>) {
        // Each round sends, gives back or finishes something; the bound only guards against a mistake here.
        for _ in 0..64 {
            self.renew(slot, out);
            self.settle(slot, out);
            if !self.step(slot, out) {
                break;
            }
        }
        self.set_timer(slot);
    }

    /// Ends every input.
    pub(super) fn advance(&mut self, out: &mut Vec<Action>) {
        while let Some(slot) = self.woken.pop() {
            self.touch(slot, out);
        }
        self.scaler.on_batches(self.in_use.batches);
        self.ask(out);
        if self.mode == Mode::Draining && self.free.len() == self.slots.len() && self.orders.is_empty() {
            self.mode = Mode::Stopped;
            out.push(Action::Stopped(StopReason::Drained));
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn order(&mut self, order: Order) -> OrderId {
        let id = OrderId(self.next_id());
        self.orders.insert(id, order);
        id
    }

    pub(super) fn set_phase(&mut self, slot: usize, phase: Phase) {
        let before = std::mem::replace(&mut self.slots[slot].phase, phase);
        if before == phase {
            return;
        }
        self.slots[slot].since = self.now;
        let count = |p: Phase| {
            let batch = !matches!(p, Phase::Free | Phase::Receiving);
            let running = matches!(p, Phase::Invoking(_));
            [batch, running].map(usize::from)
        };
        let (old, new) = (count(before), count(phase));
        let u = &mut self.in_use;
        for ((n, old), new) in [&mut u.batches, &mut u.running].into_iter().zip(old).zip(new) {
            *n = *n + new - old;
        }
        if phase == Phase::Free {
            self.free.insert(slot);
        }
        if phase == Phase::Filling {
            self.filling.insert(slot);
        } else if before == Phase::Filling {
            self.filling.remove(&slot);
        }
    }

    fn set_timer(&mut self, slot: usize) {
        let at = self.slot_deadline(slot);
        let s = &mut self.slots[slot];
        if s.timer == at {
            return;
        }
        if let Some(before) = s.timer {
            self.timers.remove(&(before, slot));
        }
        s.timer = at;
        if let Some(at) = at {
            self.timers.insert((at, slot));
        }
    }
}

fn scaler(config: &QueueConfig, now: Mono) -> Scaler {
    let (fifo, reports) = (config.fifo, config.report_item_failures);
    match config.pollers {
        None => Scaler::new(fifo, config.maximum_concurrency, reports, now),
        Some(pollers) => {
            let batches = |n: u32| n.saturating_mul(ProvisionedPollers::BATCHES_EACH) as usize;
            let (fewest, most) = (batches(pollers.fewest()), batches(pollers.most()));
            Scaler::provisioned(fifo, Provisioned { fewest, most }, reports, now)
        }
    }
}
