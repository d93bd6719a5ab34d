//! What a queue keeps in memory, changed under its lock only.

use super::dedup::Dedup;
use super::fifo::Fifo;
use super::held::{Held, HeldSet, Phase};
use super::message::StoredMessage;
use super::meta::QueueRow;
use super::standard::Standard;
use millstream_ports::QueueDepth;
use millstream_types::Mono;
use std::collections::VecDeque;

/// A queue in memory.
pub(crate) struct State {
    pub(crate) row: QueueRow,
    /// It was deleted.
    pub(crate) gone: bool,
    /// The number of the next message.
    pub(crate) next: u64,
    pub(crate) held: HeldSet,
    pub(crate) lane: Lane,
    pub(crate) dedup: Dedup,
    /// Sends behind the first one whose outcome is not known, in order: nothing of them is handed out before.
    pub(crate) unsettled: VecDeque<Unsettled>,
    /// Messages of which it is not known whether they moved to the dead-letter queue.
    pub(crate) doubtful_moves: Vec<u64>,
    /// For when the alarm is set.
    pub(crate) alarm: Option<Mono>,
}

/// The order in which messages are handed out.
pub(crate) enum Lane {
    Standard(Standard),
    Fifo(Fifo),
}

/// A message that was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) number: u64,
    pub(crate) message: StoredMessage,
    /// If it is delayed.
    pub(crate) held: Option<Held>,
    /// Under which it is remembered.
    pub(crate) dedup: Option<u128>,
}

/// The messages of one write.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) messages: Vec<Written>,
    /// Whether the write is certain.
    pub(crate) certain: bool,
}

impl State {
    /// A write is done, or perhaps done. Whether something can be handed out now.
    pub(crate) fn written(&mut self, messages: Vec<Written>, certain: bool) -> bool {
        if certain && self.unsettled.is_empty() {
            self.commit(messages);
            return true;
        }
        self.unsettled.push_back(Unsettled { messages, certain });
        false
    }

    /// The messages are durable.
    pub(crate) fn commit(&mut self, messages: Vec<Written>) {
        for Written {
            number,
            message,
            held,
            ..
        } in messages
        {
            let delayed = held.is_some();
            if let Some(held) = held {
                self.held.put(number, held);
            }
            match &mut self.lane {
                Lane::Standard(lane) => lane.commit(number, message, delayed),
                Lane::Fifo(lane) => {
                    if let Some(group) = &message.head.group {
                        lane.commit(group, number);
                    }
                }
            }
        }
    }

    /// The messages were not stored.
    pub(crate) fn never_written(&mut self, messages: &[Written]) {
        for one in messages {
            if let Some(digest) = one.dedup {
                self.dedup.remove(digest, one.number);
            }
            if let Lane::Standard(lane) = &mut self.lane {
                lane.is_gap(one.number);
            }
        }
    }

    /// What was delayed or hidden until now can be received. Whether there is something new.
    pub(crate) fn expire_due(&mut self, now: Mono) -> bool {
        let mut any = false;
        while let Some((number, was)) = self.held.pop_due(now) {
            any = true;
            self.visible_again(number, was == Phase::InFlight);
        }
        any
    }

    /// Tells the order that a message which is now [`Phase::Visible`] can be received.
    fn visible_again(&mut self, number: u64, was_in_flight: bool) {
        match &mut self.lane {
            Lane::Standard(lane) => {
                lane.returned.insert(number);
            }
            Lane::Fifo(lane) => {
                let group = self.held.get(number).and_then(|held| held.group.clone());
                match group {
                    Some(group) if was_in_flight => lane.came_back(&group),
                    Some(group) => lane.consider(&group),
                    None => {}
                }
            }
        }
    }

    /// A message that was looked at, moved or to be deleted, and was not, can be received.
    pub(crate) fn give_back(&mut self, number: u64) {
        let was_in_flight = self
            .held
            .get(number)
            .is_some_and(|held| matches!(held.phase, Phase::InFlight | Phase::Deleting));
        if self.held.turn(number, Phase::Visible) {
            self.visible_again(number, was_in_flight);
        }
    }

    /// The deletion of a held message is on its way to the disk.
    pub(crate) fn begin_delete(&mut self, number: u64) {
        if let Lane::Standard(lane) = &mut self.lane {
            lane.returned.remove(&number);
        }
        self.held.turn(number, Phase::Deleting);
    }

    /// A held message is gone.
    pub(crate) fn forget(&mut self, number: u64) {
        let held = self.held.remove(number);
        match &mut self.lane {
            Lane::Standard(lane) => {
                lane.returned.remove(&number);
                lane.saved(number);
                lane.is_gap(number);
            }
            Lane::Fifo(lane) => {
                if let Some(Held {
                    group: Some(group),
                    phase,
                    ..
                }) = held
                {
                    lane.remove(&group, matches!(phase, Phase::InFlight | Phase::Deleting));
                }
            }
        }
    }

    /// Everything below `number` is gone.
    pub(crate) fn purge(&mut self, number: u64) {
        let held: Vec<u64> = self.held.iter().map(|(n, _)| n).filter(|n| *n < number).collect();
        for n in held {
            self.held.remove(n);
        }
        match &mut self.lane {
            Lane::Standard(lane) => lane.purge(number),
            // What came later is not committed yet: writes are told in their order.
            Lane::Fifo(lane) => lane.clear(),
        }
        self.unsettled
            .retain(|write| write.messages.iter().all(|one| one.number >= number));
        self.doubtful_moves.retain(|n| *n >= number);
    }

    /// Whether a receive may find something.
    pub(crate) fn has_any(&self) -> bool {
        match &self.lane {
            Lane::Standard(lane) => lane.has_any(),
            Lane::Fifo(lane) => lane.has_ready(),
        }
    }

    /// About how much is in it. Its age is not known here. Every message is in one of the three counts until it is
    /// gone: what is busy counts as visible, so that a queue never looks empty while it is not.
    pub(crate) fn depth(&self) -> QueueDepth {
        let (in_flight, delayed) = (self.held.in_flight(), self.held.delayed());
        let visible = match &self.lane {
            Lane::Standard(lane) => {
                let fresh = lane.fresh(self.held.count_from(lane.cursor));
                fresh + lane.returned.len() as u64 + self.held.busy()
            }
            Lane::Fifo(lane) => lane.live().saturating_sub(in_flight + delayed),
        };
        QueueDepth {
            visible,
            in_flight,
            delayed,
            oldest: None,
        }
    }
}
