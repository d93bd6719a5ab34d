//! Embedded standard queues as destinations of failure documents: as for streams, the document is sent and its outbox
//! entry removed in one write that is made only while the entry is there, so it is sent exactly once.

use super::entry::of_document;
use super::limits::{check_entry, entry_bytes};
use super::registry::Registry;
use super::send::Ground;
use async_trait::async_trait;
use millstream_ports::{DeliverError, Delivery, Destination, SendEntry};
use millstream_store::schema::Key;
use millstream_store::{Batch, Guard, GuardedError};
use millstream_types::durable::OutboxEntry;
use millstream_types::message::MessageAttributes;
use millstream_types::{Namespace, QueueName};
use std::sync::Arc;

/// A queue that takes failure documents. Found anew for every document: it may be deleted and made again.
pub(crate) struct QueueDestination {
    registry: Arc<Registry>,
    namespace: Namespace,
    name: QueueName,
    arn: Arc<str>,
}

impl QueueDestination {
    /// The queue `name`, if documents can go there.
    pub(crate) fn find(
        registry: &Arc<Registry>,
        namespace: &Namespace,
        name: QueueName,
        arn: &str,
    ) -> Result<Self, DeliverError> {
        let found = Self {
            registry: Arc::clone(registry),
            namespace: namespace.clone(),
            name,
            arn: arn.into(),
        };
        if found.name.is_fifo() {
            return Err(found.refused(&"a FIFO queue takes no failure documents: name a standard queue"));
        }
        let queue = registry.queue(namespace, &found.name);
        queue.map_err(|e| found.refused(&e))?;
        Ok(found)
    }

    fn refused(&self, why: &dyn std::fmt::Display) -> DeliverError {
        DeliverError::Refused {
            destination: self.arn.to_string(),
            why: why.to_string(),
        }
    }

    fn unavailable(&self, why: &dyn std::fmt::Display) -> DeliverError {
        DeliverError::Unavailable {
            destination: self.arn.to_string(),
            why: why.to_string(),
        }
    }
}

#[async_trait]
impl Destination for QueueDestination {
    async fn deliver(&self, entry: &OutboxEntry) -> Result<Delivery, DeliverError> {
        let queue = self.registry.queue(&self.namespace, &self.name);
        let queue = queue.map_err(|e| self.refused(&e))?;
        let host = &queue.host;
        let outbox = Key::Outbox {
            discard: entry.discard,
        };
        // Saves a number where the entry is long gone; the guard decides.
        let there = host.db.get(&outbox.encode()).map_err(|e| self.unavailable(&e))?;
        if there.is_none() {
            return Ok(Delivery::Settled);
        }
        host.db.check_room().map_err(|e| self.unavailable(&e))?;
        let message = SendEntry {
            body: entry.document.clone(),
            attributes: MessageAttributes::new(),
            delay: None,
            group: None,
            deduplication: None,
            trace_header: None,
            trace: None,
        };
        let permit = host.budget.take(entry_bytes(&message)).await;
        let written = {
            let mut state = queue.present().map_err(|e| self.refused(&e))?;
            let spec = state.row.spec.clone();
            check_entry(&message, &spec, false).map_err(|e| self.refused(&e))?;
            let now = host.clock.now();
            let new = of_document(message.body, &spec, host.entropy.next_u128(), now.wall);
            let mut batch = Batch::new();
            batch.delete(&outbox);
            let guard = Guard::none().exists(&outbox);
            let appended = queue.append(
                &mut state,
                vec![new],
                Ground {
                    batch,
                    guard,
                    permit,
                    told: None,
                },
                now,
            );
            appended.map_err(|e| self.unavailable(&e))?
        };
        match written.await {
            Ok(()) | Err(GuardedError::Rejected) => Ok(Delivery::Settled),
            Err(e) => Err(self.unavailable(&e)),
        }
    }
}
