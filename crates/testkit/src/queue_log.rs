//! What happened between a queue and a function, in the order in which it happened: the material of the checkers of
//! queues.
//!
//! A simulation, or the scripted queue and function of the engine's tests, write it as they go; a kill loop puts it
//! together afterwards from what the function wrote down and what is left in the queues.

use std::sync::{Arc, Mutex, PoisonError};

/// One thing that happened. All events are of one queue and one mapping of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueEvent {
    /// What holds from now on.
    Configured {
        /// Most batches in flight; none if that is not bounded.
        most_in_flight: Option<usize>,
        /// How often a message is received before it goes to the dead-letter queue; none if it never does.
        max_receives: Option<u32>,
    },
    /// A message was sent, and the send acknowledged. Messages of one group are sent in the order of these events.
    Sent {
        /// Its id.
        message: Arc<str>,
        /// Its group, if order within groups is promised.
        group: Option<Arc<str>>,
    },
    /// No filter of the mapping wants the message: it is to be deleted without having been handled.
    Unwanted {
        /// Its id.
        message: Arc<str>,
    },
    /// The function was called.
    Started {
        /// A number of this call alone.
        call: u64,
        /// The batch, as it was sent.
        messages: Vec<Delivery>,
    },
    /// The function answered.
    Ended {
        /// Which call.
        call: u64,
        /// What it did.
        result: BatchResult,
    },
    /// A message was deleted: by the receipt of this delivery.
    Deleted(Delivery),
    /// A message is gone from its queue, though nobody saw when and how.
    Gone {
        /// Which.
        message: Arc<str>,
    },
    /// A message went to the dead-letter queue.
    DeadLettered {
        /// Which.
        message: Arc<str>,
        /// How often it had been received, if that is known.
        receives: Option<u32>,
    },
    /// What a node had in memory is gone, and its calls with it.
    Lost,
    /// A pause was acknowledged as durable: what runs may end, nothing starts.
    Pausing,
    /// A pause was acknowledged as complete: nothing runs.
    Paused,
    /// The pause is over.
    Resumed,
}

/// One receipt of one message. A queue counts receipts, so the count tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    /// The message's id.
    pub message: Arc<str>,
    /// Its `ApproximateReceiveCount`.
    pub receives: u32,
}

impl Delivery {
    /// The receipt that a received message is.
    #[must_use]
    pub fn of(message: &millstream_types::Message) -> Self {
        Self {
            message: message.id.clone(),
            receives: message.system.receive_count,
        }
    }
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchResult {
    /// It succeeded for all messages.
    Done,
    /// It succeeded for all but these (indices into the batch), and said so.
    DoneBut(Vec<usize>),
    /// It failed for all.
    Failed,
    /// The code did not run.
    NotRun,
}

/// A run's events. Clones share them, so that a queue and a function write into one order.
#[derive(Clone, Debug, Default)]
pub struct QueueLog {
    events: Arc<Mutex<Vec<QueueEvent>>>,
}

impl QueueLog {
    /// Adds what happened last.
    pub fn push(&self, event: QueueEvent) {
        self.extend([event]);
    }

    /// Adds what happened last, in order.
    pub fn extend(&self, events: impl IntoIterator<Item = QueueEvent>) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(events);
    }

    /// All of it, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<QueueEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
