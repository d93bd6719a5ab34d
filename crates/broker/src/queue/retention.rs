//! Retention of queues: removing messages that nobody deleted in time.
//!
//! No receive returns what is too old, so this only gives space back and may come late. Messages lie in the order in
//! which they were sent, but for those that came from another queue with their old time: these go when they are met.

use super::Queue;
use super::held::Phase;
use super::limits::MAX_BATCH_BYTES;
use super::load;
use super::meta::CursorRow;
use super::send::row;
use super::state::Lane;
use crate::rows::RowError;
use millstream_ports::QueueError;
use millstream_store::schema::{Key, Range, Table};
use millstream_store::{Batch, Durability};
use millstream_types::Wall;
use std::sync::Arc;

/// Most messages looked at in one step.
const STEP: usize = 1_000;

impl Queue {
    /// Removes what is too old; how many messages that were.
    pub(crate) async fn trim(self: Arc<Self>) -> Result<u64, QueueError> {
        self.forget_ids().await?;
        let mut total = self.trim_held().await?;
        loop {
            let work = Arc::clone(&self);
            let step = tokio::task::spawn_blocking(move || work.trim_step());
            let step = step.await.map_err(|e| QueueError::Unavailable(e.to_string()))?;
            let (removed, more) = step.map_err(|e| QueueError::Unavailable(e.to_string()))?;
            total += removed;
            if !more {
                return Ok(total);
            }
            self.host.db.ready().await;
        }
    }

    async fn forget_ids(&self) -> Result<(), QueueError> {
        let kept = self.lock().dedup.prune(self.host.clock.now().wall);
        let Some(minute) = kept else { return Ok(()) };
        let mut batch = Batch::new();
        let first = Key::QueueDedup {
            queue: self.id,
            minute,
            digest: 0,
        };
        batch.delete_range(Range::queue(Table::QueueDedup, self.id).below(&first));
        self.write(batch).await
    }

    /// What came back or is delayed and too old. Each is hidden until the disk has answered.
    async fn trim_held(&self) -> Result<u64, QueueError> {
        let mut batch = Batch::new();
        let old: Vec<u64> = {
            let mut state = self.present()?;
            let now = self.host.clock.now();
            state.expire_due(now.mono);
            let cutoff = state.row.cutoff(now.wall);
            let free = |group: &Option<Arc<str>>| match (&state.lane, group) {
                (Lane::Fifo(lane), Some(group)) => !lane.is_locked(group),
                _ => true,
            };
            let old = state.held.iter().filter(|(_, held)| {
                let waits = matches!(held.phase, Phase::Visible | Phase::Delayed);
                held.sent < cutoff && waits && free(&held.group)
            });
            let old: Vec<_> = old
                .map(|(number, held)| (number, held.group.clone()))
                .take(STEP)
                .collect();
            for (number, group) in &old {
                self.remove(&mut batch, *number, group.as_ref());
                state.begin_delete(*number);
            }
            old.into_iter().map(|(number, _)| number).collect()
        };
        if old.is_empty() {
            return Ok(0);
        }
        let written = self.write(batch).await;
        let mut state = self.lock();
        for number in &old {
            match &written {
                Ok(()) => state.forget(*number),
                Err(_) => state.give_back(*number),
            }
        }
        drop(state);
        self.arrivals.notify_one();
        written.map(|()| old.len() as u64)
    }

    fn trim_step(&self) -> Result<(u64, bool), RowError> {
        if self.is_gone() {
            return Ok((0, false));
        }
        if self.name.is_fifo() {
            self.trim_groups()
        } else {
            self.trim_along()
        }
    }

    fn cutoff(&self) -> Wall {
        self.lock().row.cutoff(self.host.clock.now().wall)
    }

    /// The messages that were never received, from the oldest on.
    fn trim_along(&self) -> Result<(u64, bool), RowError> {
        let (cutoff, queue) = (self.cutoff(), self.id);
        let (from, to) = match &self.lock().lane {
            Lane::Standard(lane) => (lane.cursor, lane.committed),
            Lane::Fifo(_) => return Ok((0, false)),
        };
        let key = |number| Key::QueueMessage { queue, number };
        let range = Range::queue(Table::QueueMessage, queue)
            .starting_at(&key(from))
            .below(&key(to));
        let (rows, more) = load::messages(&self.host.db, &range, (STEP, MAX_BATCH_BYTES))?;
        let old = rows
            .iter()
            .take_while(|(_, message)| message.as_ref().is_ok_and(|m| m.head.sent < cutoff));
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        let Some(last) = old.last().copied() else {
            return Ok((0, false));
        };
        let mut batch = Batch::new();
        let mut state = self.lock();
        let Lane::Standard(lane) = &mut state.lane else {
            return Ok((0, false));
        };
        // What was received meanwhile is another's to remove.
        let first = lane.cursor;
        lane.pass(last + 1);
        let old: Vec<u64> = old
            .into_iter()
            .filter(|number| *number >= first && !state.held.contains(*number))
            .collect();
        for number in &old {
            batch.delete(&key(*number));
        }
        if let Lane::Standard(lane) = &mut state.lane
            && let Some(next) = lane.cursor_to_store()
        {
            batch.put(&Key::QueueCursor { queue }, row(&CursorRow { next })?);
        }
        drop(self.host.db.write(batch, Durability::Written));
        Ok((old.len() as u64, more))
    }

    /// The first messages of all groups that nobody looks at.
    fn trim_groups(&self) -> Result<(u64, bool), RowError> {
        let cutoff = self.cutoff();
        let heads = match &self.lock().lane {
            Lane::Fifo(lane) => lane.heads(),
            Lane::Standard(_) => return Ok((0, false)),
        };
        let mut removed = 0;
        for (head, group) in heads {
            // A look at one row: most groups have nothing old.
            let first = self.read(head, Some(&group))?;
            if first.is_none_or(|message| message.head.sent < cutoff) {
                removed += self.trim_group(&group, cutoff)?;
            }
        }
        Ok((removed, false))
    }

    fn trim_group(&self, name: &Arc<str>, cutoff: Wall) -> Result<u64, RowError> {
        let group = match &mut self.lock().lane {
            Lane::Fifo(lane) => lane.take(name),
            Lane::Standard(_) => None,
        };
        let Some(group) = group else { return Ok(0) };
        let key = |number| Key::QueueGroupMessage {
            queue: self.id,
            group: name.as_ref().to_owned(),
            number,
        };
        let range = Range::queue_group(self.id, name)
            .starting_at(&key(group.head))
            .below(&key(group.tail + 1));
        let rows = load::messages(&self.host.db, &range, (STEP, MAX_BATCH_BYTES));
        let mut state = self.lock();
        let (mut batch, mut removed, mut head) = (Batch::new(), 0, None);
        for (number, message) in rows.as_ref().map(|(rows, _)| &rows[..]).unwrap_or_default() {
            if message.as_ref().is_ok_and(|message| message.head.sent >= cutoff) {
                head = Some(*number);
                break;
            }
            // Its row is there a moment longer: the next look begins behind it.
            head = Some(*number + 1);
            self.remove(&mut batch, *number, Some(name));
            self.forget_of_group(&mut state, *number, name);
            removed += 1;
        }
        if let Lane::Fifo(lane) = &mut state.lane {
            lane.done(name, head, false);
        }
        drop(self.host.db.write(batch, Durability::Written));
        drop(state);
        self.arrivals.notify_one();
        rows.map(|_| removed)
    }

    fn forget_of_group(&self, state: &mut super::state::State, number: u64, group: &Arc<str>) {
        state.held.remove(number);
        if let Lane::Fifo(lane) = &mut state.lane {
            lane.remove(group, false);
        }
    }

    async fn write(&self, batch: Batch) -> Result<(), QueueError> {
        let written = self.host.db.write(batch, Durability::Written).await;
        written.map_err(|e| QueueError::Unavailable(e.to_string()))
    }
}
