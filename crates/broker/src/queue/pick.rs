//! What a receive returns: which messages, under which receipts, and what is written about it.
//!
//! Rows are read without the queue's lock; what is looked at meanwhile is busy, so that no other receive sees it.

use super::Queue;
use super::held::{Held, Phase};
use super::load;
use super::message::{Handed, StoredMessage};
use super::meta::CursorRow;
use super::receipt::ReceiptParts;
use super::receive::Want;
use super::redrive::{DeadLetters, Move};
use super::send::row;
use super::standard::{AHEAD_BYTES, AHEAD_MESSAGES};
use super::state::{Lane, State};
use crate::rows::RowError;
use millstream_ports::QueueError;
use millstream_store::schema::{Key, Range, Table};
use millstream_store::{Batch, Durability};
use millstream_types::queue::MAX_IN_FLIGHT;
use millstream_types::{Message, Now, Wall};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Most rows of failed writes that a receive writes again.
const MAX_SAVED_AGAIN: usize = 100;

/// What a receive has found so far.
struct Handout {
    now: Now,
    want: Want,
    /// Of what is handed out.
    bytes: usize,
    /// The next message does not fit.
    full: bool,
    /// How long what is handed out stays hidden.
    visibility: Duration,
    cutoff: Wall,
    dead_letters: Option<DeadLetters>,
    messages: Vec<Message>,
    batch: Batch,
    moves: Vec<Move>,
    /// Of a standard queue: handed out for the first time.
    fresh: Vec<u64>,
}

impl Handout {
    fn fits(&self, message: &StoredMessage) -> bool {
        self.messages.is_empty() || self.bytes + message.payload_bytes() <= self.want.bytes
    }

    fn has_room(&self, state: &State) -> bool {
        !self.full && self.messages.len() < self.want.max && state.held.in_flight() < MAX_IN_FLIGHT
    }
}

/// What became of a message that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    HandedOut,
    /// It expired.
    Gone,
    /// It goes to the dead-letter queue.
    Moves,
}

fn unavailable(e: &RowError) -> QueueError {
    QueueError::Unavailable(e.to_string())
}

impl Queue {
    /// Receives what is wanted of what can be received now.
    pub(super) fn take(&self, want: Want) -> Result<Vec<Message>, QueueError> {
        self.be_certain()?;
        let mut handout = self.handout(want)?;
        let taken = if self.name.is_fifo() {
            self.take_of_groups(&mut handout)
        } else {
            self.take_in_turn(&mut handout)
        };
        for one in handout.moves.drain(..) {
            self.move_away(one, handout.dead_letters.as_ref());
        }
        // What was handed out before an error must reach the caller: it is hidden from all others.
        match taken {
            Err(e) if handout.messages.is_empty() => Err(e),
            _ => Ok(handout.messages),
        }
    }

    fn handout(&self, want: Want) -> Result<Handout, QueueError> {
        let (spec, visibility, now, cutoff) = {
            let mut state = self.present()?;
            let now = self.host.clock.now();
            state.expire_due(now.mono);
            self.set_alarm(&mut state);
            let visibility = want.visibility.unwrap_or_else(|| state.row.visibility());
            (
                state.row.spec.clone(),
                visibility,
                now,
                state.row.cutoff(now.wall),
            )
        };
        Ok(Handout {
            now,
            visibility,
            cutoff,
            dead_letters: self.dead_letters(&spec),
            want,
            bytes: 0,
            full: false,
            messages: Vec::new(),
            batch: Batch::new(),
            moves: Vec::new(),
            fresh: Vec::new(),
        })
    }

    // ---- standard -------------------------------------------------------------------------------------------------

    fn take_in_turn(&self, handout: &mut Handout) -> Result<(), QueueError> {
        self.read_ahead(handout.want.max).map_err(|e| unavailable(&e))?;
        let returned = self.take_returned(handout.want.max)?;
        let mut found = Vec::with_capacity(returned.len());
        for (at, number) in returned.iter().enumerate() {
            match self.read(*number, None) {
                Ok(message) => found.push((*number, message)),
                Err(e) => {
                    let mut state = self.lock();
                    returned[at..].iter().for_each(|n| state.give_back(*n));
                    if found.is_empty() {
                        return Err(unavailable(&e));
                    }
                    break;
                }
            }
        }
        let mut state = self.present()?;
        for (number, message) in found {
            match message {
                Some(message) if handout.fits(&message) => {
                    self.hand_out(&mut state, number, message, handout)?;
                }
                Some(_) => state.give_back(number),
                None => state.forget(number),
            }
        }
        while handout.has_room(&state) {
            let Lane::Standard(lane) = &mut state.lane else {
                break;
            };
            let Some((number, message)) = lane.next_fresh_if(|message| handout.fits(message)) else {
                break;
            };
            if self.hand_out(&mut state, number, message, handout)? == Fate::HandedOut {
                handout.fresh.push(number);
            }
        }
        self.write_handout(&mut state, handout)?;
        let any = state.has_any();
        drop(state);
        self.pass_on(any);
        Ok(())
    }

    /// Messages that came back; half of a receive at the most while there are others, so that they do not hold up the
    /// queue.
    fn take_returned(&self, max: usize) -> Result<Vec<u64>, QueueError> {
        let mut state = self.present()?;
        if state.held.in_flight() >= MAX_IN_FLIGHT {
            return Err(QueueError::OverLimit(self.name.clone()));
        }
        let Lane::Standard(lane) = &mut state.lane else {
            return Ok(Vec::new());
        };
        let most = max - lane.fresh_at_hand().min(max / 2);
        let taken: Vec<u64> = std::iter::from_fn(|| lane.returned.pop_first())
            .take(most)
            .collect();
        for number in &taken {
            state.held.turn(*number, Phase::Busy);
        }
        Ok(taken)
    }

    /// Sees to it that `want` messages are in memory, if there are so many.
    pub(super) fn read_ahead(&self, want: usize) -> Result<(), RowError> {
        let missing = |state: &State| match &state.lane {
            Lane::Standard(lane) => lane.to_read(want),
            Lane::Fifo(_) => None,
        };
        if missing(&self.lock()).is_none() {
            return Ok(());
        }
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((from, to)) = missing(&self.lock()) else {
            return Ok(());
        };
        let key = |number| Key::QueueMessage {
            queue: self.id,
            number,
        };
        // Of what was held when the rows were read, some may be gone when they are taken in.
        let held: Vec<u64> = self.lock().held.numbers_from(from).take(AHEAD_MESSAGES).collect();
        let range = Range::queue(Table::QueueMessage, self.id)
            .starting_at(&key(from))
            .below(&key(to));
        let (rows, more) = load::messages(&self.host.db, &range, (AHEAD_MESSAGES, AHEAD_BYTES))?;
        let through = match rows.last() {
            Some((last, _)) if more => last + 1,
            _ => to,
        };
        let mut state = self.lock();
        let fresh = rows.into_iter().filter_map(|(number, message)| match message {
            // Delayed ones have their own time, and those received in an earlier life theirs.
            Ok(message) => {
                let is_held = held.binary_search(&number).is_ok() || state.held.contains(number);
                (!is_held).then_some((number, message))
            }
            Err(e) => {
                self.complain(number, &e);
                None
            }
        });
        let fresh = fresh.collect();
        if let Lane::Standard(lane) = &mut state.lane {
            lane.read(from, through, fresh);
        }
        Ok(())
    }

    // ---- FIFO -----------------------------------------------------------------------------------------------------

    fn take_of_groups(&self, handout: &mut Handout) -> Result<(), QueueError> {
        let taken = self.take_ready_groups(handout);
        let mut state = self.present()?;
        self.write_handout(&mut state, handout)?;
        drop(state);
        taken.map(|more| self.pass_on(more))
    }

    /// Whether groups are left.
    fn take_ready_groups(&self, handout: &mut Handout) -> Result<bool, QueueError> {
        loop {
            let (name, group) = {
                let mut state = self.present()?;
                let room = handout.has_room(&state);
                let Lane::Fifo(lane) = &mut state.lane else {
                    return Ok(false);
                };
                if !room {
                    return Ok(lane.has_ready());
                }
                let Some(ready) = lane.take_ready() else {
                    return Ok(false);
                };
                ready
            };
            let key = |number| Key::QueueGroupMessage {
                queue: self.id,
                group: name.as_ref().to_owned(),
                number,
            };
            let range = Range::queue_group(self.id, &name)
                .starting_at(&key(group.head))
                .below(&key(group.tail + 1));
            let most = (handout.want.max - handout.messages.len(), handout.want.bytes);
            let rows = load::messages(&self.host.db, &range, most);
            let mut state = self.present()?;
            match rows {
                Ok((rows, _)) => self.take_of_group(&mut state, (&name, group.tail), rows, handout)?,
                Err(e) => {
                    if let Lane::Fifo(lane) = &mut state.lane {
                        lane.done(&name, None, false);
                    }
                    return Err(unavailable(&e));
                }
            }
        }
    }

    fn take_of_group(
        &self,
        state: &mut State,
        (name, tail): (&Arc<str>, u64),
        rows: load::Rows,
        handout: &mut Handout,
    ) -> Result<(), QueueError> {
        let nothing = rows.is_empty();
        let (mut head, mut wait, mut moves, mut handed) = (None, false, false, 0);
        for (number, message) in rows {
            let message = match message {
                Ok(message) => message,
                Err(e) => {
                    self.complain(number, &e);
                    // The next look begins behind it.
                    head = Some(number + 1);
                    continue;
                }
            };
            if handed == 0 {
                head = Some(number);
            }
            let phase = state.held.get(number).map(|held| held.phase);
            if matches!(phase, Some(Phase::Delayed | Phase::Busy | Phase::Deleting)) {
                wait = handed == 0;
                break;
            }
            if handed > 0 && self.is_exhausted(state, number, handout) {
                // It goes when it is the first one.
                break;
            }
            if !handout.fits(&message) {
                handout.full = true;
                break;
            }
            match self.hand_out(state, number, message, handout)? {
                Fate::HandedOut => handed += 1,
                // Its row may be there a moment longer: the next look begins behind it.
                Fate::Gone if handed == 0 => head = Some(number + 1),
                Fate::Gone => {}
                Fate::Moves => {
                    moves = true;
                    break;
                }
            }
        }
        let Lane::Fifo(lane) = &mut state.lane else {
            return Ok(());
        };
        if nothing {
            lane.done(name, None, true);
            lane.forget(name, tail);
        } else if !moves {
            lane.done(name, head, wait);
        }
        Ok(())
    }

    // ---- both -----------------------------------------------------------------------------------------------------

    pub(super) fn read(
        &self,
        number: u64,
        group: Option<&Arc<str>>,
    ) -> Result<Option<StoredMessage>, RowError> {
        let key = super::rows::message_key(self.id, group, self.name.is_fifo(), number);
        let Some(row) = self.host.db.get(&key.encode())? else {
            return Ok(None);
        };
        match StoredMessage::decode(&row) {
            Ok(message) => Ok(Some(message)),
            Err(e) => {
                self.complain(number, &e);
                Ok(None)
            }
        }
    }

    /// A damaged row is left on disk for somebody to look at, and holds up nothing.
    fn complain(&self, number: u64, e: &RowError) {
        tracing::error!(queue = %self.name, number, error = %e, "a message cannot be read and is left out");
    }

    fn is_exhausted(&self, state: &State, number: u64, handout: &Handout) -> bool {
        let receives = state.held.get(number).map_or(0, |held| held.receives);
        handout
            .dead_letters
            .as_ref()
            .is_some_and(|dead| receives >= dead.max_receives)
    }

    fn hand_out(
        &self,
        state: &mut State,
        number: u64,
        message: StoredMessage,
        handout: &mut Handout,
    ) -> Result<Fate, QueueError> {
        let (queue, fifo, now) = (self.id, self.name.is_fifo(), handout.now);
        let group = message.head.group.clone().filter(|_| fifo);
        if message.head.sent < handout.cutoff {
            self.remove(&mut handout.batch, number, group.as_ref());
            if !state.held.contains(number) {
                state
                    .held
                    .put(number, Held::looked_at(message.head.sent, group, now));
            }
            state.forget(number);
            return Ok(Fate::Gone);
        }
        let earlier = state.held.get(number).cloned();
        if self.is_exhausted(state, number, handout) {
            state.held.turn(number, Phase::Busy);
            handout.moves.push(Move {
                number,
                group,
                message,
            });
            return Ok(Fate::Moves);
        }
        let receipt = self.host.entropy.next_u64();
        let mut held = earlier.unwrap_or_else(|| Held::looked_at(message.head.sent, group.clone(), now));
        held.phase = Phase::InFlight;
        held.until = now.mono.plus(handout.visibility);
        held.until_wall = now.wall.plus(handout.visibility);
        held.receives = held.receives.saturating_add(1);
        if held.receives == 1 {
            held.first_received = now.wall;
        }
        (held.receipt, held.received) = (receipt, now.mono);
        let stored = row(&held.row()).map_err(|e| unavailable(&e))?;
        handout.batch.put(&Key::QueueHeld { queue, number }, stored);
        let text = ReceiptParts {
            queue,
            number,
            receipt,
        }
        .text();
        let handed = Handed {
            receipt: &text,
            receives: held.receives,
            first_received: held.first_received,
        };
        handout.bytes += message.payload_bytes();
        handout.messages.push(message.to_message(number, fifo, handed));
        state.held.put(number, held);
        if let (Lane::Fifo(lane), Some(group)) = (&mut state.lane, &group) {
            lane.taken_off(group);
        }
        Ok(Fate::HandedOut)
    }

    /// Removes a message's rows.
    pub(super) fn remove(&self, batch: &mut Batch, number: u64, group: Option<&Arc<str>>) {
        let queue = self.id;
        let key = super::rows::message_key(queue, group, self.name.is_fifo(), number);
        batch.delete(&key).delete(&Key::QueueHeld { queue, number });
    }

    /// Queues what was decided for the disk, without waiting for it. A crash before it is written hands the messages
    /// out again.
    fn write_handout(&self, state: &mut State, handout: &mut Handout) -> Result<(), QueueError> {
        self.set_alarm(state);
        let queue = self.id;
        let mut fresh = std::mem::take(&mut handout.fresh);
        let mut batch = std::mem::take(&mut handout.batch);
        if let Lane::Standard(lane) = &mut state.lane {
            for number in lane.to_save(MAX_SAVED_AGAIN) {
                match state.held.get(number) {
                    Some(held) => {
                        let stored = row(&held.row()).map_err(|e| unavailable(&e))?;
                        batch.put(&Key::QueueHeld { queue, number }, stored);
                        fresh.push(number);
                    }
                    None => lane.saved(number),
                }
            }
            fresh.iter().for_each(|number| lane.saving(*number));
            if let Some(next) = lane.cursor_to_store() {
                let cursor = row(&CursorRow { next }).map_err(|e| unavailable(&e))?;
                batch.put(&Key::QueueCursor { queue }, cursor);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.host.db.write(batch, Durability::Written);
        if let Some(queue) = self.strong().filter(|queue| !queue.name.is_fifo()) {
            tokio::spawn(async move {
                let saved = written.await.is_ok();
                queue.saved(&fresh, saved);
            });
        }
        Ok(())
    }

    /// What the disk says of a receive.
    fn saved(&self, fresh: &[u64], saved: bool) {
        if let Lane::Standard(lane) = &mut self.lock().lane {
            if saved {
                fresh.iter().for_each(|number| lane.saved(*number));
            } else {
                fresh.iter().for_each(|number| lane.not_saved(*number));
                lane.cursor_not_stored();
            }
        }
    }
}
