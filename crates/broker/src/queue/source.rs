//! Queues as the engine reads them.

use super::Queue;
use super::limits::MAX_BATCH;
use super::receive::Want;
use crate::rows::RowError;
use async_trait::async_trait;
use millstream_ports::{EntryError, QueueAttributes, QueueDepth, QueueError, QueueSource, SourceError};
use millstream_types::{Message, Namespace, QueueName, Receipt, Wall};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::registry::Registry;
use super::state::Lane;
use millstream_store::schema::{Key, Range, Table};

/// One queue, as one mapping reads it. Found anew with every call: it may be deleted and made again.
pub(crate) struct Source {
    pub(crate) registry: Weak<Registry>,
    pub(crate) namespace: Namespace,
    pub(crate) name: QueueName,
    pub(crate) arn: Arc<str>,
}

impl Source {
    fn queue(&self) -> Result<Arc<Queue>, SourceError> {
        let gone = || SourceError::NoSuchQueue {
            arn: self.arn.to_string(),
        };
        let registry = self.registry.upgrade().ok_or_else(gone)?;
        registry.queue(&self.namespace, &self.name).map_err(|_| gone())
    }

    fn error(&self, e: QueueError) -> SourceError {
        match e {
            QueueError::NotFound(_) => SourceError::NoSuchQueue {
                arn: self.arn.to_string(),
            },
            QueueError::OverLimit(_) => SourceError::Throttled(e.to_string()),
            QueueError::Unavailable(why) => SourceError::Unavailable(why),
            other => SourceError::Unavailable(other.to_string()),
        }
    }

    /// The queue for a call with one answer per entry.
    fn queue_for<T>(&self, entries: &[T]) -> Result<Arc<Queue>, Vec<Result<(), EntryError>>> {
        let why = if entries.len() > MAX_BATCH {
            format!(
                "{} entries in one call; at most {MAX_BATCH} are allowed",
                entries.len()
            )
        } else {
            match self.queue() {
                Ok(queue) => return Ok(queue),
                Err(e) => e.to_string(),
            }
        };
        let failed = || Err(EntryError::Unavailable(why.clone()));
        Err(entries.iter().map(|_| failed()).collect())
    }
}

#[async_trait]
impl QueueSource for Source {
    async fn attributes(&self) -> Result<QueueAttributes, SourceError> {
        let queue = self.queue()?;
        let state = queue.present().map_err(|e| self.error(e))?;
        Ok(QueueAttributes {
            fifo: self.name.is_fifo(),
            visibility_timeout: state.row.visibility(),
            max_receive_count: state
                .row
                .spec
                .redrive
                .as_ref()
                .map(|redrive| redrive.max_receive_count),
        })
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Message>, SourceError> {
        let want = Want {
            max: max.clamp(1, MAX_BATCH),
            bytes: usize::MAX,
            visibility: None,
        };
        let received = self.queue()?.poll(want, wait).await;
        received.map_err(|e| self.error(e))
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>> {
        match self.queue_for(receipts) {
            Ok(queue) => queue.delete_messages(receipts).await,
            Err(failed) => failed,
        }
    }

    async fn change_visibility(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>> {
        match self.queue_for(entries) {
            Ok(queue) => queue.hide(entries).await,
            Err(failed) => failed,
        }
    }

    async fn depth(&self) -> Result<QueueDepth, SourceError> {
        self.queue()?.depth().await.map_err(|e| self.error(e))
    }
}

impl Queue {
    /// When the oldest message was sent. Of a FIFO queue: the first message of the group that begins first.
    pub(super) fn oldest(&self) -> Result<Option<Wall>, RowError> {
        let (held, first) = {
            let state = self.lock();
            let held = state.held.iter().next().map(|(_, held)| held.sent);
            let first = match &state.lane {
                Lane::Standard(lane) => Some((lane.cursor, None)),
                Lane::Fifo(lane) => lane
                    .heads()
                    .into_iter()
                    .min()
                    .map(|(head, group)| (head, Some(group))),
            };
            (held, first)
        };
        let Some((number, group)) = first else {
            return Ok(held);
        };
        let queue = self.id;
        let range = match group {
            Some(group) => {
                let key = Key::QueueGroupMessage {
                    queue,
                    group: group.as_ref().to_owned(),
                    number,
                };
                Range::queue_group(queue, &group).starting_at(&key)
            }
            None => {
                let key = Key::QueueMessage { queue, number };
                Range::queue(Table::QueueMessage, queue).starting_at(&key)
            }
        };
        let (rows, _) = super::load::messages(&self.host.db, &range, (1, usize::MAX))?;
        let fresh = rows.into_iter().find_map(|(_, message)| message.ok());
        Ok(held
            .into_iter()
            .chain(fresh.map(|message| message.head.sent))
            .min())
    }
}
