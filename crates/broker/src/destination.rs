//! Embedded streams as destinations of failure documents.
//!
//! The document is appended and its outbox entry removed in one write, under the condition that the entry is
//! still there. So a delivery that is repeated, after a crash or because its outcome was unknown, finds the
//! entry gone and appends nothing: exactly once.

use crate::broker::{Broker, Inner};
use crate::codec::BatchBuilder;
use crate::hash::of_partition_key;
use crate::limits::{check_entry, entry_bytes};
use crate::put::append;
use crate::queue::QueueDestination;
use crate::shard::Refusal;
use crate::stream::Stream;
use async_trait::async_trait;
use millstream_ports::{DeliverError, Delivery, Destination, Destinations, HashKey, PutEntry};
use millstream_store::schema::Key;
use millstream_store::{Durability, Guard, GuardedError};
use millstream_types::arn::LOCAL_ACCOUNT;
use millstream_types::durable::OutboxEntry;
use millstream_types::{DestinationArn, DestinationKind, Namespace, QueueName, StreamName};
use std::sync::Arc;

/// How often a delivery follows a stream that is being resharded under it.
const MAX_ROUNDS: usize = 32;

#[async_trait]
impl Destinations for Broker {
    async fn destination(
        &self,
        namespace: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        let refused = |why: String| DeliverError::Refused {
            destination: arn.to_string(),
            why,
        };
        if arn.account() != LOCAL_ACCOUNT {
            return Err(refused(format!(
                "no connection serves it: add one to `connections` of the server's configuration whose `match` fits it; \
                 without one, only standard queues and streams of the built-in broker (account {LOCAL_ACCOUNT}) take documents"
            )));
        }
        match arn.kind() {
            DestinationKind::Queue { .. } => {
                let name = QueueName::new(arn.resource_name()).map_err(|e| refused(e.to_string()))?;
                let found = QueueDestination::find(self.queues(), namespace, name, arn.as_str())?;
                return Ok(Arc::new(found));
            }
            DestinationKind::Stream => {}
            DestinationKind::Topic { .. } | DestinationKind::TableStream | DestinationKind::Bucket => {
                return Err(refused(
                    "the built-in broker has standard queues and streams only".into(),
                ));
            }
        }
        let name = StreamName::new(arn.resource_name()).map_err(|e| refused(e.to_string()))?;
        self.inner
            .stream(namespace, &name)
            .map_err(|e| refused(e.to_string()))?;
        let (inner, namespace) = (Arc::clone(&self.inner), namespace.clone());
        Ok(Arc::new(StreamDestination {
            inner,
            namespace,
            name,
            arn: arn.as_str().into(),
        }))
    }
}

/// A stream that takes failure documents. Found anew for every document: it may be deleted and made again.
struct StreamDestination {
    inner: Arc<Inner>,
    namespace: Namespace,
    name: StreamName,
    arn: Arc<str>,
}

impl StreamDestination {
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

    /// One try with the stream as it is now; `None` if the shard takes nothing just then.
    async fn try_deliver(
        &self,
        stream: &Arc<Stream>,
        entry: &PutEntry,
        outbox: &Key,
    ) -> Result<Option<Delivery>, DeliverError> {
        let mut views = stream.views();
        let view = Arc::clone(&views.borrow_and_update());
        let Some(shard) = view.route(of_partition_key(&entry.partition_key)) else {
            return Err(self.refused(&"the stream was deleted"));
        };
        let mut records = BatchBuilder::default();
        records.push(entry);
        let permit = self.inner.budget.take(entry_bytes(entry)).await;
        let appended = append(stream, shard, &records, permit, |mut batch| {
            batch.delete(outbox);
            self.inner
                .host
                .db
                .write_guarded(Guard::none().exists(outbox), batch, Durability::Synced)
        });
        match appended {
            Ok((_, written)) => match written.await {
                Ok(()) | Err(GuardedError::Rejected) => Ok(Some(Delivery::Settled)),
                Err(e) => Err(self.unavailable(&e)),
            },
            Err(refusal) => {
                if refusal == Refusal::Doubtful || stream.in_doubt() {
                    stream.recover().await.map_err(|e| self.unavailable(&e))?;
                } else {
                    // The stream holds the sender, so this ends only with a change.
                    let _ = views.changed().await;
                }
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl Destination for StreamDestination {
    async fn deliver(&self, entry: &OutboxEntry) -> Result<Delivery, DeliverError> {
        let stream = self
            .inner
            .stream(&self.namespace, &self.name)
            .map_err(|e| self.refused(&e))?;
        let outbox = Key::Outbox {
            discard: entry.discard,
        };
        // Saves an offset where the entry is long gone; the guard decides.
        if self
            .inner
            .host
            .db
            .get(&outbox.encode())
            .map_err(|e| self.unavailable(&e))?
            .is_none()
        {
            return Ok(Delivery::Settled);
        }
        let put = PutEntry {
            partition_key: entry.partition_key.clone(),
            hash_key: HashKey::OfPartitionKey,
            data: entry.document.clone(),
            trace: None,
        };
        check_entry(&put).map_err(|e| self.refused(&e))?;
        self.inner
            .host
            .db
            .check_room()
            .map_err(|e| self.unavailable(&e))?;
        for _ in 0..MAX_ROUNDS {
            if let Some(delivery) = self.try_deliver(&stream, &put, &outbox).await? {
                return Ok(delivery);
            }
        }
        Err(self.unavailable(&"the stream is being resharded again and again"))
    }
}
