//! What goes wrong, or is asked for, at random moments.

use super::world::{Item, Transition, World};
use crate::rig::mapping;
use millstream_testkit::Event;
use millstream_types::{Incarnation, ShardId};

impl World {
    pub fn chaos(&mut self) {
        if !self.chaotic() {
            return self.calm();
        }
        match self.rng.index(9) {
            0 => self.crash(false),
            1 => self.crash(true),
            2 => self.change(Transition::Pausing),
            3 => {
                let lanes = *self.rng.pick(&[1, 2, 4, 6, 10]).unwrap();
                let window = *self.rng.pick(&[0, 1, 3, 10]).unwrap();
                let windowed = self.plan.windows && window > 0 && self.rng.per_mille(700);
                self.change(if windowed {
                    Transition::Reconfiguring(1, window)
                } else {
                    Transition::Reconfiguring(lanes, 0)
                });
            }
            4 => self.reshard(),
            5 => self.trim(),
            6 | 7 => self.shed(),
            _ => self.steal(),
        }
        let ms = self.rng.between(0, self.plan.chaos_every_ms);
        self.after(ms, Item::Chaos);
    }

    /// From now on nothing new goes wrong; what did is put right.
    fn calm(&mut self) {
        if !self.down && self.transition == Transition::None {
            self.after(0, Item::Discover);
        }
    }

    /// The process ends, or the power goes and with it some of what was not synced.
    fn crash(&mut self, power: bool) {
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        for call in calls {
            if self.rng.per_mille(500) {
                self.call_ends_unheard(call);
            }
        }
        self.calls.clear();
        self.owners.clear();
        self.delivering = false;
        let kept = power.then(|| {
            let keep = self.rng.between(self.journal.synced(), self.journal.written());
            self.journal.lose_power(keep)
        });
        self.summary.crashes += u64::from(!power);
        self.summary.power_losses += u64::from(power);
        self.windows.losses += 1;
        self.note(Event::Lost { shard: None, kept });
        self.down = true;
        let ms = self.rng.between(0, 2_000);
        self.after(ms, Item::Recover);
    }

    pub fn recover(&mut self) {
        if !std::mem::take(&mut self.down) {
            return;
        }
        match self.transition {
            Transition::None => self.discover(),
            Transition::Pausing | Transition::Reconfiguring(..) => self.all_gone(),
            Transition::Paused => {}
        }
        self.after(0, Item::Deliver);
    }

    fn change(&mut self, to: Transition) {
        if self.down || self.transition != Transition::None {
            return;
        }
        self.transition = to;
        if to == Transition::Pausing {
            let lanes = self.plan.spec.parallelization_factor;
            self.note(Event::Pausing { lanes });
            let ms = self.rng.between(0, 3_000);
            return self.after(ms, Item::Drain);
        }
        self.drain_all();
    }

    /// The owners hear of the pause, if there still is something to hear.
    pub fn drain_late(&mut self) {
        if self.transition == Transition::Pausing && !self.down {
            self.drain_all();
        }
    }

    /// Nobody owns a shard any more, as a transition wanted.
    pub fn all_gone(&mut self) {
        match self.transition {
            Transition::Pausing => {
                self.transition = Transition::Paused;
                self.summary.pauses += 1;
                self.note(Event::Paused);
                let ms = self.rng.between(1, 30_000);
                if !self.ending {
                    self.after(ms, Item::Resume);
                }
            }
            Transition::Reconfiguring(lanes, window) => {
                self.transition = Transition::None;
                let spec = &mut self.plan.spec;
                self.summary.factor_changes += u64::from(spec.parallelization_factor != lanes);
                self.summary.window_changes += u64::from(spec.tumbling_window_seconds != window);
                self.generation += 1;
                spec.parallelization_factor = lanes;
                spec.tumbling_window_seconds = window;
                self.after(0, Item::Discover);
            }
            Transition::None | Transition::Paused => {}
        }
    }

    pub fn resume(&mut self) {
        if self.transition == Transition::Paused {
            self.transition = Transition::None;
            self.note(Event::Resumed);
            self.after(0, Item::Discover);
        }
    }

    fn open_shards(&self) -> Vec<ShardId> {
        self.stream
            .infos()
            .into_iter()
            .filter(|i| i.closed.is_none())
            .map(|i| i.id)
            .collect()
    }

    fn reshard(&mut self) {
        let open = self.open_shards();
        let Some(one) = self.rng.pick(&open).cloned() else {
            return;
        };
        let (now, split) = (self.now.wall, open.len() < 2 || self.rng.per_mille(400));
        let children: Vec<ShardId> = match split && open.len() < 6 {
            true => self.stream.split(&one, now).into_iter().flatten().collect(),
            false => open
                .iter()
                .find_map(|other| self.stream.merge(&one, other, now))
                .into_iter()
                .collect(),
        };
        self.summary.reshards += u64::from(!children.is_empty());
        for info in self
            .stream
            .infos()
            .into_iter()
            .filter(|i| children.contains(&i.id))
        {
            let parents: Vec<ShardId> = info.parents().cloned().collect();
            self.note(Event::Shard {
                shard: info.id,
                parents: parents.clone(),
            });
            for parent in parents {
                self.wake_readers(&parent);
            }
        }
        self.after(0, Item::Discover);
    }

    fn trim(&mut self) {
        let all: Vec<ShardId> = self.stream.infos().into_iter().map(|i| i.id).collect();
        let Some(shard) = self.rng.pick(&all).cloned() else {
            return;
        };
        let n = self.rng.between(1, 5) as usize;
        if let Some(through) = self.stream.trim(&shard, n) {
            self.summary.trims += 1;
            self.note(Event::Trimmed {
                shard: shard.clone(),
                through,
            });
            self.wake_readers(&shard);
        }
    }

    fn shed(&mut self) {
        let ids: Vec<u64> = self.owners.keys().copied().collect();
        let owner = self.rng.pick(&ids).and_then(|id| self.owners.get_mut(id));
        let freed = owner.map_or(0, |o| o.machine.shed());
        self.summary.sheds += u64::from(freed > 0);
    }

    /// Another node takes a lease and goes away again: the owner finds out at its next commit.
    fn steal(&mut self) {
        let all: Vec<ShardId> = self.owners.values().map(|o| o.shard.clone()).collect();
        if let Some(shard) = self.rng.pick(&all) {
            self.next_id += 1;
            self.journal
                .acquire(mapping(), shard, Incarnation::from_bits(self.next_id.into()));
        }
    }
}
