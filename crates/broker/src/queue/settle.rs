//! Deleting received messages, and changing for how long they stay hidden.

use super::Queue;
use super::held::{Held, Phase};
use super::limits::MAX_VISIBILITY;
use super::meta::CursorRow;
use super::receipt::ReceiptParts;
use super::send::row;
use super::state::{Lane, State};
use millstream_ports::EntryError;
use millstream_store::schema::Key;
use millstream_store::{Applied, Batch, Durability};
use millstream_types::{Now, Receipt};
use std::time::Duration;

fn invalid(why: &str) -> EntryError {
    EntryError::Receipt(why.to_owned())
}

impl Queue {
    /// Deletes messages; one answer per receipt. Every message is hidden until the disk has answered: what could not
    /// be deleted comes again.
    pub(crate) async fn delete_messages(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>> {
        let (answers, written) = {
            let mut state = self.lock();
            state.expire_due(self.host.clock.now().mono);
            let (mut batch, mut going) = (Batch::new(), Vec::new());
            let answers: Vec<_> = receipts
                .iter()
                .map(|receipt| self.begin_delete(&mut state, receipt, &mut batch, &mut going))
                .collect();
            if let (Lane::Standard(lane), false) = (&mut state.lane, going.is_empty())
                && let Some(next) = lane.cursor_to_store()
                && let Ok(cursor) = row(&CursorRow { next })
            {
                batch.put(&Key::QueueCursor { queue: self.id }, cursor);
            }
            let me = self.me.clone();
            let deleted = going.clone();
            batch.then(move |applied| {
                if let Some(queue) = me.upgrade().filter(|_| applied == Applied::Yes) {
                    queue.deleted(&deleted);
                }
            });
            (answers, (self.host.db.write(batch, Durability::Written), going))
        };
        let (written, going) = written;
        let failed = match written.await {
            Ok(()) => return answers,
            Err(e) => EntryError::Unavailable(e.to_string()),
        };
        let mut state = self.lock();
        for (number, until) in going {
            restore(&mut state, number, until);
        }
        self.set_alarm(&mut state);
        drop(state);
        self.arrivals.notify_one();
        answers
            .into_iter()
            .map(|answer| answer.and_then(|()| Err(failed.clone())))
            .collect()
    }

    fn begin_delete(
        &self,
        state: &mut State,
        receipt: &Receipt,
        batch: &mut Batch,
        going: &mut Vec<(u64, Held)>,
    ) -> Result<(), EntryError> {
        let parts = self.parse(receipt)?;
        let Some(held) = state.held.get(parts.number).cloned() else {
            // It is gone already.
            return Ok(());
        };
        if held.receipt != parts.receipt {
            return Err(invalid("the message was received again since"));
        }
        match held.phase {
            Phase::InFlight => {}
            Phase::Deleting => return Ok(()),
            Phase::Visible if !self.name.is_fifo() => {}
            Phase::Visible => return Err(invalid("the visibility timeout of the message has ended")),
            Phase::Busy | Phase::Delayed => return Err(invalid("the message is being received again")),
        }
        state.begin_delete(parts.number);
        self.remove(batch, parts.number, held.group.as_ref());
        going.push((parts.number, held));
        Ok(())
    }

    /// The disk has deleted them.
    fn deleted(&self, messages: &[(u64, Held)]) {
        let mut state = self.lock();
        for (number, _) in messages {
            if state
                .held
                .get(*number)
                .is_some_and(|held| held.phase == Phase::Deleting)
            {
                state.forget(*number);
            }
        }
        let any = state.has_any();
        drop(state);
        self.pass_on(any);
    }

    /// Changes for how long from now messages stay hidden; one answer per entry.
    pub(crate) async fn hide(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>> {
        let (answers, written, any) = {
            let mut state = self.lock();
            let now = self.host.clock.now();
            state.expire_due(now.mono);
            let mut batch = Batch::new();
            let answers: Vec<_> = entries
                .iter()
                .map(|(receipt, timeout)| self.hide_one(&mut state, receipt, *timeout, now, &mut batch))
                .collect();
            state.expire_due(now.mono);
            self.set_alarm(&mut state);
            let any = state.has_any();
            (answers, self.host.db.write(batch, Durability::Written), any)
        };
        self.pass_on(any);
        match written.await {
            Ok(()) => answers,
            Err(e) => {
                let failed = EntryError::Unavailable(e.to_string());
                let failed = answers
                    .into_iter()
                    .map(|answer| answer.and_then(|()| Err(failed.clone())));
                failed.collect()
            }
        }
    }

    fn hide_one(
        &self,
        state: &mut State,
        receipt: &Receipt,
        timeout: Duration,
        now: Now,
        batch: &mut Batch,
    ) -> Result<(), EntryError> {
        let parts = self.parse(receipt)?;
        let held = state.held.get(parts.number).cloned();
        let Some(mut held) =
            held.filter(|held| held.receipt == parts.receipt && held.phase == Phase::InFlight)
        else {
            return Err(invalid("the message is not in flight under this receipt"));
        };
        if now.mono.since(held.received) + timeout > MAX_VISIBILITY {
            return Err(invalid(
                "a message stays hidden for at most 12 hours from its receive",
            ));
        }
        held.until = now.mono.plus(timeout);
        held.until_wall = now.wall.plus(timeout);
        let stored = row(&held.row()).map_err(|e| EntryError::Unavailable(e.to_string()))?;
        let key = Key::QueueHeld {
            queue: self.id,
            number: parts.number,
        };
        batch.put(&key, stored);
        state.held.put(parts.number, held);
        Ok(())
    }

    fn parse(&self, receipt: &Receipt) -> Result<ReceiptParts, EntryError> {
        let parts = ReceiptParts::parse(receipt);
        parts
            .filter(|parts| parts.queue == self.id)
            .ok_or_else(|| invalid("it is no receipt of this queue"))
    }
}

/// The deletion did not work, or perhaps it did: in flight again under the same receipt, until the old deadline.
fn restore(state: &mut State, number: u64, before: Held) {
    if state
        .held
        .get(number)
        .is_some_and(|held| held.phase == Phase::Deleting)
    {
        let visible = before.phase == Phase::Visible;
        state.held.put(number, before);
        if visible {
            state.give_back(number);
        }
    }
}
