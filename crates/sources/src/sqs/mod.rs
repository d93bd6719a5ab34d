//! SQS queues, standard and FIFO.
//!
//! A [`Queue`] is what all mappings of one queue share: the client, its URL, and its settings as they were last. A
//! [`Source`] is the queue as the engine reads it. Polls run in tasks of their own, so that whoever waits for one may stop
//! waiting (`poll`).

mod attributes;
mod error;
mod message;
mod poll;
mod queue;
mod settle;

use crate::connection::Connector;
use async_trait::async_trait;
use millstream_ports::{EntryError, QueueAttributes, QueueDepth, QueueSource, SourceError};
use millstream_types::{Message, Receipt, SourceArn};
use poll::Polls;
use queue::Queue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How old the settings of a queue may be. Short: somebody who has just changed them makes a mapping next.
const ATTRIBUTES_FOR: Duration = Duration::from_secs(1);
/// How old the counts may be, which are approximate anyway. Each look costs a request.
const DEPTH_FOR: Duration = Duration::from_secs(10);

/// All queues in use.
#[derive(Debug, Default)]
pub(crate) struct Sqs {
    queues: Mutex<BTreeMap<String, Weak<Queue>>>,
    polls: Arc<Polls>,
}

impl Sqs {
    /// The queue that `arn` names; whether it exists is not asked.
    ///
    /// # Errors
    /// As [`Connector::config`].
    pub(crate) fn queue(&self, connector: &Connector, arn: &SourceArn) -> Result<Arc<Source>, SourceError> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let known = queues.get(arn.as_str()).and_then(Weak::upgrade);
        let queue = match known {
            Some(queue) => queue,
            None => {
                queues.retain(|_, queue| queue.strong_count() > 0);
                let queue = Arc::new(Queue::new(&connector.config(arn)?, arn));
                queues.insert(arn.to_string(), Arc::downgrade(&queue));
                queue
            }
        };
        let polls = Arc::clone(&self.polls);
        Ok(Arc::new(Source { queue, polls }))
    }

    pub(crate) async fn close(&self, within: Duration) -> bool {
        self.polls.ended(within).await
    }
}

/// One queue, as one mapping reads it.
pub(crate) struct Source {
    queue: Arc<Queue>,
    polls: Arc<Polls>,
}

#[async_trait]
impl QueueSource for Source {
    async fn attributes(&self) -> Result<QueueAttributes, SourceError> {
        Ok(self.queue.look(ATTRIBUTES_FOR).await?.attributes)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Message>, SourceError> {
        self.polls.receive(&self.queue, max, wait).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>> {
        self.queue.delete(receipts).await
    }

    async fn change_visibility(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>> {
        self.queue.hide(entries).await
    }

    async fn depth(&self) -> Result<QueueDepth, SourceError> {
        Ok(self.queue.look(DEPTH_FOR).await?.depth)
    }
}
