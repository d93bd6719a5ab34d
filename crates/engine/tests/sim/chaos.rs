//! What goes wrong, or is asked for, at random moments; and what is left when a process of the node is gone.

use crate::world::{Command, World};
use millstream_testkit::Event;
use millstream_types::{MappingId, Mono};
use std::time::Duration;

/// How a process of the node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Crash,
    PowerLoss,
    /// It was asked to stop, and had not drained in time.
    Forced,
    Drained,
    /// It could not start.
    NotStarted,
}

impl World {
    pub(crate) fn chaos(&mut self) {
        if !self.chaotic() {
            return;
        }
        match self.rng.index(21) {
            0 | 1 => self.crash(false),
            2 | 3 => self.crash(true),
            4 => self.stop(),
            5 | 6 => self.pause(),
            7 | 8 => self.resume(),
            9 | 10 => self.update(),
            11 => self.remove(),
            12 => self.make(),
            13 | 14 => self.reshard(),
            15 => self.trim(),
            16 => self.steal(),
            17 => self.steal_all(),
            18 => self.outage(),
            _ => self.panics(),
        }
        let ms = self.rng.between(0, self.plan.chaos_every_ms);
        self.after_ms(ms, World::chaos);
    }

    fn crash(&mut self, power: bool) {
        if self.up && self.crashes < self.plan.crashes {
            self.crashes += 1;
            self.command = Some(Command::Crash { power });
        }
    }

    fn stop(&mut self) {
        if self.up && self.rng.per_mille(500) {
            let seconds = self.rng.between(0, 20);
            self.command = Some(Command::Stop { seconds });
        }
    }

    /// Every lease of the node is taken by others.
    fn steal_all(&mut self) {
        if self.rng.per_mille(300) {
            (0..20).for_each(|_| self.steal());
        }
    }

    /// The sources, or the store, fail for a while.
    fn outage(&mut self) {
        let until = self
            .now
            .mono
            .plus(Duration::from_millis(self.rng.between(1_000, 15_000)));
        let until = until.min(Mono(self.plan.seconds * 1_000_000_000));
        self.seen("outage");
        if self.rng.per_mille(500) {
            self.outage.source = until;
        } else {
            self.outage.store = until;
        }
    }

    /// One of the node's actors panics, soon.
    fn panics(&mut self) {
        let mappings: Vec<(MappingId, String)> = self
            .catalog
            .mappings
            .values()
            .map(|m| (m.id, m.name.to_string()))
            .collect();
        let Some((id, name)) = self.rng.pick(&mappings).cloned() else {
            return;
        };
        let places = match self.judges.streams.contains_key(&id) {
            true => [
                "shard_consumer.page",
                "shard_consumer.attempt",
                "batch_worker.start",
            ],
            false => [
                "queue_consumer.received",
                "queue_consumer.attempt",
                "queue_worker.start",
            ],
        };
        let place = places[self.rng.index(3)];
        let hits = self.rng.between(1, 5);
        if !place.contains("worker") {
            self.store.panicking.insert(id);
            let mut queues = self.judges.queues.iter_mut();
            queues
                .find(|q| q.mapping == Some(id))
                .into_iter()
                .for_each(|q| q.panics = true);
        }
        self.seen("panic of an actor");
        if let Err(error) = millstream_engine::failpoint::configure(&format!("{place}({name})=panic@{hits}"))
        {
            self.wrong(error);
        }
    }

    /// The process is gone.
    pub(crate) fn gone(&mut self, how: Gone) {
        self.write(&format!("the node is gone: {how:?}"));
        self.up = false;
        self.end_abandoned();
        match how {
            Gone::Drained => self.drained(),
            Gone::Crash => self.died("process crash", false),
            Gone::PowerLoss => self.died("power loss", true),
            Gone::Forced => self.died("stop that was forced", false),
            Gone::NotStarted => self.died("process crash", false),
        }
        self.mail_in_doubt();
        self.store.forget_process();
        self.catalog.forget_process();
        self.operator.forget_process();
        for standing in self.judges.standings.values_mut() {
            standing.busy = false;
        }
        let ms = self.rng.between(0, 3_000);
        self.after_ms(ms, |w| w.command = Some(Command::Boot));
    }

    fn drained(&mut self) {
        self.seen("stop that drained");
        if !self.calls.is_empty() {
            self.wrong(format!(
                "I11: the node says that it has drained, and {} calls run",
                self.calls.len()
            ));
        }
        // Whoever had ended by a fault did not drain.
        for (mapping, shard) in std::mem::take(&mut self.store.lost) {
            let shard = Some(shard);
            self.note(mapping, Event::Lost { shard, kept: None });
        }
        self.store.state.sync();
    }

    fn died(&mut self, how: &'static str, power: bool) {
        self.seen(how);
        if !self.calls.is_empty() {
            self.seen("crash with a batch in flight");
        }
        if self.store.coming > 0 {
            self.seen("crash with a commit on its way");
        }
        self.calls_unheard();
        let kept = power.then(|| {
            let (synced, written) = (self.store.state.synced(), self.store.state.written());
            let keep = self.rng.between(synced, written);
            if keep < written {
                self.seen("power loss that took writes");
            }
            self.store.state.lose_power(keep)
        });
        self.lost_all(kept);
        for (queue, judge) in self.queues.iter().zip(&mut self.judges.queues) {
            let received = queue.state.messages().filter(|m| m.receives > 0);
            judge
                .doubtful
                .extend(received.map(|m| format!("m{}", m.number).into()));
        }
    }
}
