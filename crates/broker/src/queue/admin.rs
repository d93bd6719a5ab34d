//! Queues as their owners and senders use them.

use super::limits::{check_count, check_spec, check_visibility};
use super::meta::CursorRow;
use super::registry::Registry;
use super::{Queue, detached, rows, send};
use crate::broker::Broker;
use async_trait::async_trait;
use millstream_ports::{
    Credit, EntryError, PeekedMessage, QueueDepth, QueueDescription, QueueError, Queues, ReceiveOptions,
    SendEntry, SendError, SendReceipt,
};
use millstream_store::schema::Key;
use millstream_store::{Applied, Batch, Durability};
use millstream_types::{Message, Namespace, QueueName, QueueSpec, Receipt};
use std::sync::Arc;
use std::time::Duration;

/// Most queues that a dead-letter queue lists as its sources.
const MAX_SOURCES: usize = 100;

#[async_trait]
impl Queues for Broker {
    async fn create(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
        validate_only: bool,
    ) -> Result<QueueDescription, QueueError> {
        let registry = self.queues();
        check(registry, namespace, name, &spec)?;
        if validate_only {
            return registry.would_create(namespace, name, spec);
        }
        let (work, namespace, name) = (Arc::clone(registry), namespace.clone(), name.clone());
        let queue = detached(async move { work.create(namespace, name, spec).await }).await?;
        describe(registry, &queue).await
    }

    async fn describe(
        &self,
        namespace: &Namespace,
        name: &QueueName,
    ) -> Result<QueueDescription, QueueError> {
        let registry = self.queues();
        describe(registry, &registry.queue(namespace, name)?).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        after: Option<&QueueName>,
        limit: usize,
    ) -> Result<Vec<QueueDescription>, QueueError> {
        let registry = self.queues();
        let mut found = Vec::new();
        for queue in registry.of(namespace, after, limit) {
            match describe(registry, &queue).await {
                Ok(description) => found.push(description),
                // Deleted in the meantime.
                Err(QueueError::NotFound(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    async fn set(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<QueueDescription, QueueError> {
        let registry = self.queues();
        let queue = registry.queue(namespace, name)?;
        check(registry, namespace, name, &spec)?;
        if validate_only {
            queue.check_revision(expected)?;
            let now = describe(registry, &queue).await?;
            return Ok(QueueDescription { spec, ..now });
        }
        let work = Arc::clone(&queue);
        detached(async move { work.set(spec, expected).await }).await?;
        describe(registry, &queue).await
    }

    async fn delete(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        expected: Option<u64>,
    ) -> Result<(), QueueError> {
        let queue = self.queues().queue(namespace, name)?;
        let registry = Arc::clone(self.queues());
        detached(async move {
            queue.delete(expected).await?;
            registry.forget(&queue);
            Ok(())
        })
        .await
    }

    async fn purge(&self, namespace: &Namespace, name: &QueueName) -> Result<(), QueueError> {
        let queue = self.queues().queue(namespace, name)?;
        detached(async move { queue.purge().await }).await
    }

    async fn send(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        entries: Vec<SendEntry>,
    ) -> Result<Vec<Result<SendReceipt, SendError>>, QueueError> {
        send::send(&self.queues().queue(namespace, name)?, entries).await
    }

    async fn receive(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        options: ReceiveOptions,
    ) -> Result<Vec<Message>, QueueError> {
        self.queues().queue(namespace, name)?.receive(options).await
    }

    async fn delete_messages(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), EntryError>>, QueueError> {
        check_count("receipt_handles", receipts.len())?;
        let queue = self.queues().queue(namespace, name)?;
        Ok(queue.delete_messages(receipts).await)
    }

    async fn change_visibility(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        entries: &[(Receipt, Duration)],
    ) -> Result<Vec<Result<(), EntryError>>, QueueError> {
        check_count("entries", entries.len())?;
        for (_, timeout) in entries {
            check_visibility(*timeout)?;
        }
        let queue = self.queues().queue(namespace, name)?;
        Ok(queue.hide(entries).await)
    }

    async fn peek(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        after: Option<&[u8]>,
        credit: Credit,
    ) -> Result<(Vec<PeekedMessage>, Option<Vec<u8>>), QueueError> {
        let queue = self.queues().queue(namespace, name)?;
        queue.peek(after, credit).await
    }
}

fn check(
    registry: &Registry,
    namespace: &Namespace,
    name: &QueueName,
    spec: &QueueSpec,
) -> Result<(), QueueError> {
    check_spec(name, spec)?;
    let Some(redrive) = &spec.redrive else {
        return Ok(());
    };
    let found = registry.queue(namespace, &redrive.dead_letter_queue);
    found.map(drop).map_err(|_| QueueError::Invalid {
        field: "redrive_policy.dead_letter_queue",
        value: redrive.dead_letter_queue.to_string(),
        allowed: "a queue that exists".to_owned(),
    })
}

async fn describe(registry: &Arc<Registry>, queue: &Arc<Queue>) -> Result<QueueDescription, QueueError> {
    let depth = queue.depth().await?;
    let row = queue.present()?.row.clone();
    let sources = registry
        .of(&queue.namespace, None, usize::MAX)
        .into_iter()
        .filter(|other| {
            let state = other.lock();
            let to = state
                .row
                .spec
                .redrive
                .as_ref()
                .map(|redrive| &redrive.dead_letter_queue);
            to == Some(&queue.name)
        });
    Ok(QueueDescription {
        namespace: queue.namespace.clone(),
        name: queue.name.clone(),
        spec: row.spec,
        created: row.created,
        modified: row.modified,
        revision: row.revision,
        depth,
        dead_letter_sources: sources
            .map(|other| other.name.clone())
            .take(MAX_SOURCES)
            .collect(),
    })
}

impl Queue {
    /// About how much is in it, with the age of the oldest message.
    pub(crate) async fn depth(self: &Arc<Self>) -> Result<QueueDepth, QueueError> {
        let work = Arc::clone(self);
        let look = tokio::task::spawn_blocking(move || {
            let unavailable = |e: crate::rows::RowError| QueueError::Unavailable(e.to_string());
            // So that gaps at the end are not counted.
            work.read_ahead(1).map_err(unavailable)?;
            let oldest = work.oldest().map_err(unavailable)?;
            let mut state = work.present()?;
            let now = work.host.clock.now();
            state.expire_due(now.mono);
            let depth = state.depth();
            let some = depth.visible + depth.in_flight + depth.delayed > 0;
            Ok(QueueDepth {
                oldest: oldest.filter(|_| some).map(|sent| now.wall.since(sent)),
                ..depth
            })
        });
        look.await.map_err(|e| QueueError::Unavailable(e.to_string()))?
    }

    async fn set(&self, spec: QueueSpec, expected: Option<u64>) -> Result<(), QueueError> {
        let _admin = self.admin.lock().await;
        self.check_revision(expected)?;
        let mut row = self.present()?.row.clone();
        if row.spec == spec {
            return Ok(());
        }
        row.spec = spec;
        row.revision += 1;
        row.modified = self.host.clock.now().wall;
        let mut batch = Batch::new();
        let stored = rows::put(&mut batch, (&self.namespace, &self.name), &row);
        stored.map_err(|e| QueueError::Unavailable(e.to_string()))?;
        let written = self.host.db.write(batch, Durability::Synced).await;
        written.map_err(|e| QueueError::Unavailable(e.to_string()))?;
        self.lock().row = row;
        Ok(())
    }

    fn check_revision(&self, expected: Option<u64>) -> Result<(), QueueError> {
        let actual = self.present()?.row.revision;
        match expected {
            Some(expected) if expected != actual => Err(QueueError::Conflict {
                queue: self.name.clone(),
                expected,
                actual,
            }),
            _ => Ok(()),
        }
    }

    async fn delete(&self, expected: Option<u64>) -> Result<(), QueueError> {
        let _admin = self.admin.lock().await;
        self.check_revision(expected)?;
        let written = {
            let mut state = self.present()?;
            let mut batch = Batch::new();
            rows::delete_all(&mut batch, (&self.namespace, &self.name), self.id);
            // Sends that come now would be written behind the deletion.
            state.gone = true;
            self.host.db.write(batch, Durability::Synced)
        };
        if let Err(e) = written.await {
            self.lock().gone = false;
            return Err(QueueError::Unavailable(e.to_string()));
        }
        self.lock().purge(u64::MAX);
        self.arrivals.notify_waiters();
        Ok(())
    }

    async fn purge(&self) -> Result<(), QueueError> {
        let written = {
            let state = self.present()?;
            let (mut batch, end) = (Batch::new(), state.next);
            rows::delete_messages(&mut batch, self.id, end);
            // No number is given twice, so that no receipt means another message.
            let cursor = super::send::row(&CursorRow { next: end });
            let cursor = cursor.map_err(|e| QueueError::Unavailable(e.to_string()))?;
            batch.put(&Key::QueueCursor { queue: self.id }, cursor);
            let me = self.me.clone();
            batch.then(move |applied| {
                if let Some(queue) = me.upgrade().filter(|_| applied == Applied::Yes) {
                    queue.lock().purge(end);
                }
            });
            self.host.db.write(batch, Durability::Synced)
        };
        written.await.map_err(|e| QueueError::Unavailable(e.to_string()))
    }
}
