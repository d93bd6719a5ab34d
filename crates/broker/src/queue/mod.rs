//! Durable SQS-shaped queues.
//!
//! A message is one row (`message`), written and synced by a send (`send`), removed when it is done (`settle`). Of a
//! standard queue rows lie in the order of their numbers and are handed out by a cursor that only goes forward
//! (`standard`); of a FIFO queue they lie by message group, whose ready heads are in memory (`fifo`). What is known of
//! a message beyond its row, how often it was received and until when it is hidden, is a second row that exists only
//! while the message is held or delayed (`held`). So memory does not grow with the depth of a queue, and nothing ever
//! searches the beginning of a queue for what is left of it. A receive that finds nothing waits to be woken (`wait`).
//!
//! **Invariants.** A message that was answered with an id is handed out until it is deleted, expires, or moves to a
//! dead-letter queue, which is one write. No receive sees a message that another one holds, nor one of a FIFO group
//! of which another one holds a message. Of a FIFO group messages are handed out in the order of their numbers. The
//! stored cursor never passes a message whose receipt is not stored.

mod admin;
mod alarm;
mod dedup;
mod destination;
mod entry;
mod fifo;
mod held;
mod limits;
mod load;
mod message;
mod meta;
mod peek;
mod pick;
mod receipt;
mod receive;
mod redrive;
mod registry;
mod retention;
mod rows;
mod send;
mod settle;
mod source;
mod standard;
mod state;

pub(crate) use alarm::Alarms;
pub(crate) use destination::QueueDestination;
pub(crate) use entry::new_message;
pub(crate) use limits::check_entry;
pub(crate) use message::Handed;
pub(crate) use receipt::ReceiptParts;
pub(crate) use registry::Registry;
pub(crate) use source::Source;

use crate::put::Budget;
use millstream_ports::{Clock, Entropy, QueueError};
use millstream_store::Db;
use millstream_types::{Namespace, QueueName};
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;

/// What all queues of a broker work with.
#[derive(Clone)]
pub(crate) struct QueueHost {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) budget: Budget,
    pub(crate) alarms: Arc<Alarms>,
    /// Told whenever the outcome of a write is unknown.
    pub(crate) doubts: Arc<Notify>,
    /// Where dead-letter queues are found.
    pub(crate) registry: Weak<Registry>,
}

/// A queue. Outlives its deletion for those who hold it.
pub(crate) struct Queue {
    pub(crate) namespace: Namespace,
    pub(crate) name: QueueName,
    pub(crate) arn: Arc<str>,
    pub(crate) id: u64,
    pub(crate) host: QueueHost,
    me: Weak<Queue>,
    state: Mutex<State>,
    /// Held by who reads rows ahead; never while waiting for anything else.
    loading: Mutex<()>,
    /// The right to change the settings.
    admin: tokio::sync::Mutex<()>,
    /// Told once per change that may let a waiting receive return.
    arrivals: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a queue that exists.
    fn present(&self) -> Result<MutexGuard<'_, State>, QueueError> {
        let state = self.lock();
        if state.gone {
            return Err(QueueError::NotFound(self.name.clone()));
        }
        Ok(state)
    }

    /// Whether it was deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// For tasks that may outlive the caller.
    fn strong(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }
}

/// Runs a change to its end, whether or not the caller waits for it.
async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T, QueueError>> + Send + 'static,
) -> Result<T, QueueError> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(e) => Err(QueueError::Unavailable(format!(
            "the change was interrupted: {e}"
        ))),
    }
}
