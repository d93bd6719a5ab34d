//! A message in our hands, and how long it stays hidden from others.

use super::orders::{OrderId, Received};
use crate::mutant::{self, Mutant};
use millstream_types::queue::MAX_VISIBILITY_SECONDS;
use millstream_types::{Message, Mono};
use std::sync::Arc;
use std::time::Duration;

/// Longest time before the end of a visibility timeout at which it is extended.
const LONGEST_MARGIN: Duration = Duration::from_secs(10);
/// Shortest extension: queues count visibility in whole seconds.
const SHORTEST_EXTENSION: Duration = Duration::from_secs(2);
/// A queue hides a message for 12 hours at most, counted from its receipt.
const LONGEST_HIDDEN: Duration = Duration::from_secs(MAX_VISIBILITY_SECONDS as u64);

/// The arithmetic of one visibility timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visibility {
    /// What the queue gives with a receive.
    pub(super) timeout: Duration,
}

impl Visibility {
    /// How long before its end a timeout is extended.
    pub(super) fn margin(self) -> Duration {
        (self.timeout / 4).min(LONGEST_MARGIN)
    }

    /// For how long it is extended each time.
    pub(super) fn extension(self) -> Duration {
        self.timeout.max(SHORTEST_EXTENSION)
    }

    /// By how much our idea of a message's end may be later than the queue's.
    pub(super) fn slack(self) -> Duration {
        self.margin().min(Duration::from_secs(1))
    }
}

/// What is to become of a message that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is done.
    Delete,
    /// It is to be seen by others from this time on.
    ShowAt(Mono),
}

/// A message with what is known of its receipt.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Grows with every message received by this machine.
    pub(super) key: u64,
    pub(super) message: Message,
    pub(super) event_len: u32,
    /// Hidden at least until then.
    pub(super) hidden_until: Mono,
    /// Until when it would be hidden had we done nothing.
    pub(super) at_first_until: Mono,
    /// No extension goes beyond this.
    pub(super) last_until: Mono,
    /// Whether an extension may have had an effect.
    pub(super) extended: bool,
    /// When its time is to be extended; none if that is on its way or of no use.
    pub(super) renew_due: Option<Mono>,
    /// The extension on its way.
    pub(super) renewing: Option<OrderId>,
    /// Failed tries of what is being done with it.
    pub(super) tries: u32,
    /// When that is tried again.
    pub(super) retry_at: Mono,
    pub(super) leaving: Leaving,
}

impl Item {
    pub(super) fn new(key: u64, received: Received, now: Mono, visibility: Visibility) -> Self {
        let until = now.plus(visibility.timeout);
        let last_until = now.plus(LONGEST_HIDDEN);
        Self {
            key,
            message: received.message,
            event_len: received.event_len,
            hidden_until: until,
            at_first_until: until,
            last_until,
            extended: false,
            renew_due: (until < last_until && !mutant::on(Mutant::NoHeartbeat))
                .then(|| minus(until, visibility.margin())),
            renewing: None,
            tries: 0,
            retry_at: now,
            leaving: Leaving::Delete,
        }
    }

    /// Whether others may have it by now.
    pub(super) fn is_lost(&self, now: Mono) -> bool {
        self.hidden_until < now
    }

    /// Its group, if groups matter.
    pub(super) fn group(&self, fifo: bool) -> Option<&Arc<str>> {
        self.message.system.group.as_ref().filter(|_| fifo)
    }

    /// Its number in a FIFO queue.
    pub(super) fn sequence(&self) -> &str {
        self.message.system.fifo.as_ref().map_or("", |f| &f.sequence)
    }

    /// Bytes it holds in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.event_len as usize
    }

    /// Until when an extension ordered now would hide it; none if that gains nothing.
    pub(super) fn extension(&self, now: Mono, visibility: Visibility) -> Option<Mono> {
        let until = now.plus(visibility.extension()).min(self.last_until);
        (until > self.hidden_until).then_some(until)
    }

    /// An extension took effect.
    pub(super) fn renewed(&mut self, until: Mono, visibility: Visibility) {
        self.renewing = None;
        self.tries = 0;
        self.extended = true;
        self.hidden_until = until;
        self.renew_due = (until < self.last_until).then(|| minus(until, visibility.margin()));
    }
}

/// `at` less `d`, at least zero.
pub(super) fn minus(at: Mono, d: Duration) -> Mono {
    Mono(at.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
}
