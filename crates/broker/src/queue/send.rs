//! Sends: from entries to messages that are answered with an id when they are synced.
//!
//! Numbers are given and the write is queued under the queue's lock, so that the order of numbers is the order of
//! writes. The queue learns from the writer itself what became of them, whether or not anybody waits. A write whose
//! outcome is unknown is looked up when the database works again; what was sent behind it waits for that, so that a
//! group's messages never overtake each other.

use super::entry::{NewMessage, new_message};
use super::held::{Held, Phase};
use super::limits::{check_batch_bytes, check_count, check_entry, entry_bytes};
use super::meta::{CursorRow, DedupRow};
use super::state::{State, Written};
use super::{Queue, detached};
use crate::put::Permit;
use crate::rows::RowError;
use futures::future::BoxFuture;
use millstream_ports::{QueueError, SendEntry, SendError, SendReceipt};
use millstream_store::schema::Key;
use millstream_store::{Applied, Batch, DiskFull, Durability, Guard, GuardedError, Health, encode_row};
use millstream_types::{Mono, Now, Wall};
use std::sync::Arc;

type Answer = Result<SendReceipt, SendError>;
type Outcome = BoxFuture<'static, Result<(), GuardedError>>;

/// What a message takes of the broker's budget besides its bytes.
const MESSAGE_OVERHEAD: usize = 512;

/// An entry that waits for the disk.
struct Waiting {
    index: usize,
    receipt: SendReceipt,
    /// Under which it is remembered, or the message that it repeats.
    dedup: Option<(u128, u64)>,
    repeats: bool,
}

/// What messages are written with.
#[derive(Default)]
pub(super) struct Ground {
    /// Written before them, in the same write.
    pub(super) batch: Batch,
    /// Under which all of it is written.
    pub(super) guard: Guard,
    /// Given back when it is written.
    pub(super) permit: Option<Permit>,
    /// Told what became of the write when the queue knows it.
    pub(super) told: Option<Told>,
}

/// Takes what became of a write.
pub(super) type Told = Box<dyn FnOnce(Applied) + Send>;

impl Ground {
    fn of(permit: Option<Permit>) -> Self {
        Self {
            permit,
            ..Self::default()
        }
    }
}

/// Sends `entries`; one answer each, in their order.
pub(crate) async fn send(queue: &Arc<Queue>, entries: Vec<SendEntry>) -> Result<Vec<Answer>, QueueError> {
    check_count("entries", entries.len())?;
    let spec = queue.present()?.row.spec.clone();
    let fifo = queue.name.is_fifo();
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(entries.len());
    let mut valid = Vec::with_capacity(entries.len());
    let mut bytes = 0;
    for (index, entry) in entries.into_iter().enumerate() {
        match check_entry(&entry, &spec, fifo) {
            Ok(()) => {
                bytes += entry_bytes(&entry);
                answers.push(None);
                valid.push((index, entry));
            }
            Err(e) => answers.push(Some(Err(e))),
        }
    }
    check_batch_bytes(bytes)?;
    if let Err(DiskFull { free, floor }) = queue.host.db.check_room() {
        fill(&mut answers, &SendError::DiskFull { free, floor });
    } else if !valid.is_empty() {
        let work = Arc::clone(queue);
        let sent = detached(async move {
            let permit = work
                .host
                .budget
                .take(bytes + valid.len() * MESSAGE_OVERHEAD)
                .await;
            work.be_certain()?;
            work.send_valid(valid, permit).await
        });
        for (index, answer) in sent.await? {
            answers[index] = Some(answer);
        }
    }
    fill(
        &mut answers,
        &SendError::Unavailable("the send was not carried out".into()),
    );
    Ok(answers.into_iter().flatten().collect())
}

fn fill(answers: &mut [Option<Answer>], error: &SendError) {
    for answer in answers {
        answer.get_or_insert_with(|| Err(error.clone()));
    }
}

impl Queue {
    async fn send_valid(
        &self,
        entries: Vec<(usize, SendEntry)>,
        permit: Option<Permit>,
    ) -> Result<Vec<(usize, Answer)>, QueueError> {
        let fifo = self.name.is_fifo();
        let (waiting, outcome) = {
            let mut state = self.present()?;
            let now = self.host.clock.now();
            let (mut waiting, mut new) = (Vec::with_capacity(entries.len()), Vec::new());
            for (index, entry) in entries {
                let random = self.host.entropy.next_u128();
                let mut one = new_message(entry, &state.row.spec, fifo, random, now.wall);
                one.dedup = one.dedup.filter(|_| fifo);
                let mut number = state.next + new.len() as u64;
                let known = one.dedup.and_then(|digest| state.dedup.get(digest, now.wall));
                let mut receipt = receipt(&one, number, fifo);
                match known {
                    Some(known) => {
                        number = known.number;
                        receipt.id = super::message::message_id(known.message);
                        receipt.sequence = Some(super::message::sequence(number));
                    }
                    None => {
                        if let Some(digest) = one.dedup {
                            state.dedup.put(digest, dedup_row(&one, number, now.wall));
                        }
                        new.push(one.clone());
                    }
                }
                waiting.push(Waiting {
                    index,
                    receipt,
                    dedup: one.dedup.map(|digest| (digest, number)),
                    repeats: known.is_some(),
                });
            }
            let appended = self.append(&mut state, new, Ground::of(permit), now);
            let outcome = appended.map_err(|e| QueueError::Unavailable(e.to_string()))?;
            (waiting, outcome)
        };
        let outcome = outcome.await;
        // A repetition is stored if what it repeats is.
        if outcome.is_ok() && waiting.iter().any(|one| one.repeats) {
            self.be_certain()?;
        }
        Ok(self.answer(waiting, &outcome))
    }

    /// Finds out what became of earlier writes, if that is not known.
    pub(super) fn be_certain(&self) -> Result<(), QueueError> {
        match self.settle() {
            Ok(true) => Ok(()),
            Ok(false) => Err(QueueError::Unavailable("the database has an error".into())),
            Err(e) => Err(QueueError::Unavailable(e.to_string())),
        }
    }

    /// Repetitions wait for the write, too: what they repeat may be in it or right before it.
    fn answer(&self, waiting: Vec<Waiting>, outcome: &Result<(), GuardedError>) -> Vec<(usize, Answer)> {
        let mut state = self.lock();
        let now = self.host.clock.now().wall;
        let unavailable = |why: &str| Err(SendError::Unavailable(why.to_owned()));
        let answers = waiting.into_iter().map(|one| {
            let Waiting {
                index,
                receipt,
                dedup,
                repeats,
            } = one;
            let answer = match outcome {
                Ok(()) => match dedup {
                    Some((digest, _)) if state.dedup.get(digest, now).is_none() => {
                        unavailable("the message that this one repeats was not stored")
                    }
                    _ => Ok(receipt),
                },
                Err(GuardedError::Unknown(why)) => unavailable(why),
                Err(e) => {
                    if let Some((digest, number)) = dedup.filter(|_| !repeats) {
                        state.dedup.remove(digest, number);
                    }
                    unavailable(&e.to_string())
                }
            };
            (index, answer)
        });
        answers.collect()
    }

    /// Gives messages their numbers and queues their write.
    pub(super) fn append(
        &self,
        state: &mut State,
        new: Vec<NewMessage>,
        on: Ground,
        now: Now,
    ) -> Result<Outcome, RowError> {
        let Ground {
            mut batch,
            guard,
            permit,
            told,
        } = on;
        let fifo = self.name.is_fifo();
        let mut messages = Vec::with_capacity(new.len());
        for one in new {
            let number = state.next + messages.len() as u64;
            let written = written(one, number, fifo, now);
            self.put(&mut batch, &written, now.wall)?;
            messages.push(written);
        }
        state.next += messages.len() as u64;
        if fifo && !messages.is_empty() {
            let cursor = CursorRow { next: state.next };
            batch.put(&Key::QueueCursor { queue: self.id }, row(&cursor)?);
        }
        let (me, doubts) = (self.me.clone(), Arc::clone(&self.host.doubts));
        if !messages.is_empty() {
            batch.then(move |applied| {
                if let Some(queue) = me.upgrade() {
                    queue.written(messages, applied);
                }
                if applied == Applied::Maybe {
                    doubts.notify_one();
                }
                drop(permit);
            });
        }
        if let Some(told) = told {
            batch.then(told);
        }
        Ok(Box::pin(self.host.db.write_guarded(
            guard,
            batch,
            Durability::Synced,
        )))
    }

    fn put(&self, batch: &mut Batch, one: &Written, now: Wall) -> Result<(), RowError> {
        let (queue, number) = (self.id, one.number);
        let head = &one.message.head;
        let key = super::rows::message_key(queue, head.group.as_ref(), self.name.is_fifo(), number);
        batch.put(&key, one.message.encode()?);
        if let Some(held) = &one.held {
            batch.put(&Key::QueueHeld { queue, number }, row(&held.row())?);
        }
        if let Some(digest) = one.dedup {
            let key = Key::QueueDedup {
                queue,
                minute: super::dedup::minute(now),
                digest,
            };
            let dedup = DedupRow {
                message: head.id,
                number,
                at: now,
            };
            batch.put(&key, row(&dedup)?);
        }
        Ok(())
    }

    /// What the writer says of a send.
    fn written(&self, messages: Vec<Written>, applied: Applied) {
        let mut state = self.lock();
        let any = state.written(messages, applied == Applied::Yes);
        self.set_alarm(&mut state);
        drop(state);
        if any {
            self.arrivals.notify_one();
        }
    }

    /// Looks up sends and moves whose outcome is not known, if the database works. Whether all is certain now.
    pub(crate) fn settle(&self) -> Result<bool, RowError> {
        {
            let state = self.lock();
            if state.unsettled.is_empty() && state.doubtful_moves.is_empty() {
                return Ok(true);
            }
        }
        if *self.host.db.health().borrow() != Health::Healthy {
            return Ok(false);
        }
        self.settle_moves()?;
        loop {
            let first = {
                let state = self.lock();
                let Some(first) = state.unsettled.front() else {
                    break;
                };
                first
                    .messages
                    .first()
                    .map(|one| (one.number, one.message.head.group.clone()))
            };
            let stored = match &first {
                Some((number, group)) => self.is_stored(*number, group.as_ref())?,
                None => true,
            };
            let mut state = self.lock();
            let same = |write: &super::state::Unsettled| write.messages.first().map(|one| one.number);
            if state.unsettled.front().map(same) != Some(first.map(|(number, _)| number)) {
                continue;
            }
            if let Some(write) = state.unsettled.pop_front() {
                // All of a write is stored or nothing.
                if write.certain || stored {
                    state.commit(write.messages);
                } else {
                    state.never_written(&write.messages);
                }
            }
            self.set_alarm(&mut state);
        }
        self.arrivals.notify_one();
        Ok(true)
    }

    pub(super) fn is_stored(&self, number: u64, group: Option<&Arc<str>>) -> Result<bool, RowError> {
        let key = super::rows::message_key(self.id, group, self.name.is_fifo(), number);
        Ok(self.host.db.get(&key.encode())?.is_some())
    }
}

fn written(new: NewMessage, number: u64, fifo: bool, now: Now) -> Written {
    let held = (!new.delay.is_zero()).then(|| Held {
        phase: Phase::Delayed,
        until: now.mono.plus(new.delay),
        until_wall: now.wall.plus(new.delay),
        receives: 0,
        first_received: Wall(0),
        receipt: 0,
        received: Mono(0),
        sent: new.message.head.sent,
        group: new.message.head.group.clone().filter(|_| fifo),
    });
    Written {
        number,
        message: new.message,
        held,
        dedup: new.dedup,
    }
}

fn dedup_row(new: &NewMessage, number: u64, now: Wall) -> DedupRow {
    DedupRow {
        message: new.message.head.id,
        number,
        at: now,
    }
}

fn receipt(new: &NewMessage, number: u64, fifo: bool) -> SendReceipt {
    use super::message::{hex, message_id, sequence};
    let head = &new.message.head;
    SendReceipt {
        id: message_id(head.id),
        md5_of_body: hex(&head.md5_of_body).into(),
        md5_of_attributes: head.md5_of_attributes.map(|digest| hex(&digest).into()),
        sequence: fifo.then(|| sequence(number)),
    }
}

pub(super) fn row<T: serde::Serialize>(value: &T) -> Result<bytes::Bytes, RowError> {
    encode_row(value).map_err(|e| RowError::Damaged {
        what: "a row of a queue".into(),
        why: e.to_string(),
    })
}
