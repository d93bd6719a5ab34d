//! The filters of a queue's mapping at work on what a receive brought, in the task that received it.

use crate::context::Context;
use crate::meter::Meter;
use millstream_core::event::QueueEventShape;
use millstream_core::filter::{MessageFilter, Scratch};
use millstream_core::mutant::{self, Mutant};
use millstream_core::queue::{Received, Unmatched, quarantine};
use millstream_types::commit::{CommitOutcome, Durability, ShardCommit};
use millstream_types::filter::MAX_FILTERS;
use millstream_types::{Lease, Mapping, Message, OnUnmatched, ShardId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a receive waits for what it quarantines to be stored. What is not stored by then is left alone, and comes
/// again.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// What lets through the messages that a mapping wants.
pub(super) struct QueueScreen {
    filter: MessageFilter,
    on_unmatched: OnUnmatched,
    shelf: Shelf,
}

/// Where quarantined messages are kept.
struct Shelf {
    context: Arc<Context>,
    mapping: Mapping,
    place: ShardId,
    /// The right to write, once it was needed.
    lease: Mutex<Option<Lease>>,
}

impl QueueScreen {
    pub(super) fn new(
        mapping: &Mapping,
        place: &ShardId,
        filter: MessageFilter,
        context: &Arc<Context>,
    ) -> Self {
        Self {
            filter,
            on_unmatched: mapping.spec.filter_criteria.on_unmatched,
            shelf: Shelf {
                context: context.clone(),
                mapping: mapping.clone(),
                place: place.clone(),
                lease: Mutex::new(None),
            },
        }
    }

    /// Marks what matches no filter, and keeps it if that is wanted.
    pub(super) async fn sift(&self, received: &mut [Received], shape: &QueueEventShape, meter: &Meter) {
        let mut scratch = Scratch::default();
        let (mut by_pattern, mut unmatched) = ([0; MAX_FILTERS], Vec::new());
        for (at, received) in received.iter().enumerate() {
            match self.filter.matches(&received.message, &mut scratch) {
                Some(pattern) => by_pattern[pattern.min(MAX_FILTERS - 1)] += 1,
                None => unmatched.push(at),
            }
        }
        meter.screened(&by_pattern, unmatched.len() as u64);
        if mutant::on(Mutant::QueueFilterIgnored) {
            unmatched.clear();
        }
        if unmatched.is_empty() {
            return;
        }
        let how = match self.on_unmatched {
            OnUnmatched::Drop if mutant::on(Mutant::UnmatchedLeft) => Unmatched::Left,
            OnUnmatched::Drop => Unmatched::Deleted,
            OnUnmatched::Keep => Unmatched::Left,
            OnUnmatched::Quarantine => {
                let messages: Vec<Message> =
                    unmatched.iter().map(|at| received[*at].message.clone()).collect();
                if self.shelf.keep(&messages, shape).await {
                    Unmatched::Stored
                } else {
                    Unmatched::Left
                }
            }
        };
        for at in unmatched {
            received[at].unmatched = Some(how);
        }
    }
}

impl Shelf {
    /// True once the messages are stored.
    async fn keep(&self, messages: &[Message], shape: &QueueEventShape) -> bool {
        let clock = &self.context.ports.clock;
        let late = clock.sleep_until(clock.now().mono.plus(STORED_WITHIN));
        tokio::select! {
            biased;
            stored = self.store(messages, shape) => stored,
            () = late => false,
        }
    }

    async fn store(&self, messages: &[Message], shape: &QueueEventShape) -> bool {
        let (now, seed) = (self.context.now(), self.context.ports.entropy.next_u128());
        let discard = quarantine(&self.mapping, &self.place, messages, shape, seed, now.wall);
        let Some(discard) = discard.filter(|_| self.context.session.is_valid(now.mono)) else {
            return messages.is_empty();
        };
        let mut held = self.lease.lock().await;
        let lease = match held.take() {
            Some(lease) => lease,
            None => match self.acquire().await {
                Some(lease) => lease,
                None => return false,
            },
        };
        let commit = ShardCommit {
            record: None,
            discards: vec![discard],
            outbox: Vec::new(),
            ledger: Vec::new(),
        };
        let journal = &self.context.ports.journal;
        let outcome = journal.commit(&lease, commit, Durability::Synced).await;
        // Whoever is not sure takes the right anew; messages that were stored unheard are stored once more.
        if outcome == CommitOutcome::Committed {
            *held = Some(lease);
        }
        outcome == CommitOutcome::Committed
    }

    async fn acquire(&self) -> Option<Lease> {
        let incarnation = self.context.session.incarnation();
        let journal = &self.context.ports.journal;
        let acquired = journal.acquire(self.mapping.id, &self.place, incarnation).await;
        match acquired {
            Ok((lease, _)) => Some(lease),
            Err(error) => {
                tracing::warn!(mapping = %self.mapping.name, %error, "filtered messages cannot be kept now");
                None
            }
        }
    }
}
