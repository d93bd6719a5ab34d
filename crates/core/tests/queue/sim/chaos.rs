//! What goes wrong, or is asked for, at random moments.

use super::plan::Plan;
use super::world::{Item, Transition, World};
use millstream_testkit::QueueEvent;

impl World {
    pub fn chaos(&mut self) {
        if !self.chaotic() {
            return;
        }
        match self.rng.index(4) {
            0 => self.crash(),
            1 | 2 => self.pause(),
            _ => self.reconfigure(),
        }
        let ms = self.rng.between(0, self.plan.chaos_every_ms);
        self.after(ms, Item::Chaos);
    }

    /// The process ends. What it had in memory is gone; messages on their way to it are shown again, or not.
    fn crash(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        self.count("crashes", 1);
        self.sum_up(&owner);
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        for call in calls {
            if self.rng.per_mille(500) {
                self.call_ends_unheard(call);
            }
        }
        self.calls.clear();
        for poll in std::mem::take(&mut self.polls).into_values() {
            if self.rng.per_mille(500) {
                self.drop_poll(poll);
            }
        }
        self.note(QueueEvent::Lost);
        match self.transition {
            Transition::None => {
                let ms = self.rng.between(0, 2_000);
                self.after(ms, Item::Start);
            }
            _ => self.went(),
        }
    }

    fn pause(&mut self) {
        if self.transition != Transition::None || self.owner.is_none() {
            return;
        }
        self.transition = Transition::Pausing;
        self.note(QueueEvent::Pausing);
        let ms = self.rng.between(0, 3_000);
        self.after(ms, Item::Drain);
    }

    /// The owner hears of the pause, if there still is something to hear.
    pub fn drain_late(&mut self) {
        if self.transition == Transition::Pausing {
            self.drain();
        }
    }

    fn reconfigure(&mut self) {
        if self.transition != Transition::None || self.owner.is_none() {
            return;
        }
        self.transition = Transition::Reconfiguring;
        self.drain();
    }

    /// The owner is gone, as a transition wanted.
    pub fn went(&mut self) {
        match self.transition {
            Transition::None | Transition::Paused => {}
            Transition::Pausing => {
                self.transition = Transition::Paused;
                self.count("pauses", 1);
                self.note(QueueEvent::Paused);
                let ms = self.rng.between(0, 20_000);
                self.after(ms, Item::Resume);
            }
            Transition::Reconfiguring => {
                self.transition = Transition::None;
                self.count("changes", 1);
                self.generation += 1;
                let is_fifo = self.queue.is_fifo();
                self.plan.spec = Plan::settings(is_fifo, &mut self.rng);
                self.configured();
                self.after(1, Item::Start);
            }
        }
    }

    pub fn resume(&mut self) {
        self.transition = Transition::None;
        self.note(QueueEvent::Resumed);
        self.after(1, Item::Start);
    }
}
