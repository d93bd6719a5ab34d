//! Moving a message that was received too often to the dead-letter queue: one write removes it here and appends it
//! there, so it is always in exactly one of the two.

use super::Queue;
use super::entry::NewMessage;
use super::message::StoredMessage;
use super::send::Ground;
use super::state::Lane;
use crate::rows::RowError;
use millstream_store::{Applied, Batch, GuardedError};
use millstream_types::QueueSpec;
use std::sync::Arc;
use std::time::Duration;

/// Where messages go that were received too often.
pub(super) struct DeadLetters {
    pub(super) queue: Arc<Queue>,
    pub(super) max_receives: u32,
}

/// A message on its way there; busy until it is certain.
pub(super) struct Move {
    pub(super) number: u64,
    pub(super) group: Option<Arc<str>>,
    pub(super) message: StoredMessage,
}

impl Queue {
    /// The dead-letter queue; none if it does not exist (any more): messages then stay, and are received again.
    pub(super) fn dead_letters(&self, spec: &QueueSpec) -> Option<DeadLetters> {
        let redrive = spec.redrive.as_ref()?;
        let registry = self.host.registry.upgrade()?;
        let queue = registry.queue(&self.namespace, &redrive.dead_letter_queue).ok()?;
        Some(DeadLetters {
            queue,
            max_receives: redrive.max_receive_count,
        })
    }

    /// Begins to move a message.
    pub(super) fn move_away(&self, one: Move, to: Option<&DeadLetters>) {
        let number = one.number;
        let begun = to.and_then(|to| self.begin_move(one, &to.queue).ok());
        let (Some(outcome), Some(queue)) = (begun, self.strong()) else {
            self.moved(number, Moved::No);
            return;
        };
        tokio::spawn(async move {
            // What became of it otherwise is told by the writer, in the order of the writes.
            if let Err(GuardedError::NotWritten(e)) = outcome.await {
                tracing::warn!(queue = %queue.name, error = %e, "a message stays: its dead-letter queue takes nothing now");
                queue.moved(number, Moved::No);
            }
        });
    }

    fn begin_move(
        &self,
        one: Move,
        to: &Arc<Queue>,
    ) -> Result<futures::future::BoxFuture<'static, Result<(), GuardedError>>, RowError> {
        let Move {
            number,
            group,
            mut message,
        } = one;
        let gone = || RowError::Damaged {
            what: format!("queue {}", to.name),
            why: "it was deleted".into(),
        };
        let mut state = to.present().map_err(|_| gone())?;
        let now = to.host.clock.now();
        message.head.dead_letter_source = Some(self.arn.clone());
        if to.name.is_fifo() {
            // As in SQS: a standard queue keeps the time, a FIFO queue starts anew.
            message.head.sent = now.wall;
        }
        let mut batch = Batch::new();
        self.remove(&mut batch, number, group.as_ref());
        let source = self.me.clone();
        let doubts = Arc::clone(&self.host.doubts);
        // After the other queue was told: a message is in both for a moment rather than in neither.
        let told = move |applied| {
            if let Some(source) = source.upgrade() {
                source.moved(
                    number,
                    if applied == Applied::Yes {
                        Moved::Yes
                    } else {
                        Moved::Perhaps
                    },
                );
            }
            doubts.notify_one();
        };
        let new = NewMessage {
            message,
            delay: Duration::ZERO,
            dedup: None,
        };
        let ground = Ground {
            batch,
            told: Some(Box::new(told)),
            ..Ground::default()
        };
        to.append(&mut state, vec![new], ground, now)
    }

    /// What became of a move.
    fn moved(&self, number: u64, moved: Moved) {
        let mut state = self.lock();
        match moved {
            Moved::Yes => {
                self.unlock_group(&mut state, number);
                state.forget(number);
            }
            Moved::No => {
                self.unlock_group(&mut state, number);
                state.give_back(number);
            }
            Moved::Perhaps => state.doubtful_moves.push(number),
        }
        drop(state);
        self.arrivals.notify_one();
    }

    /// The group was the move's while it was on its way.
    fn unlock_group(&self, state: &mut super::state::State, number: u64) {
        let group = state.held.get(number).and_then(|held| held.group.clone());
        if let (Lane::Fifo(lane), Some(group)) = (&mut state.lane, group) {
            lane.done(&group, None, true);
            if !lane.is_locked(&group) {
                lane.consider(&group);
            }
        }
    }

    /// Looks up moves whose outcome was not known.
    pub(super) fn settle_moves(&self) -> Result<(), RowError> {
        let doubtful = std::mem::take(&mut self.lock().doubtful_moves);
        for (at, number) in doubtful.iter().enumerate() {
            let group = self.lock().held.get(*number).and_then(|held| held.group.clone());
            match self.is_stored(*number, group.as_ref()) {
                Ok(stored) => self.moved(*number, if stored { Moved::No } else { Moved::Yes }),
                Err(e) => {
                    self.lock().doubtful_moves.extend_from_slice(&doubtful[at..]);
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Yes,
    No,
    Perhaps,
}
