//! A running engine, as the program that embeds it uses it.

use crate::assembly::Assembly;
use crate::error::{PutFailed, SendFailed, WaitError};
use crate::message::NewMessage;
use bytes::Bytes;
use millstream_broker::{MAX_PUT_BYTES, MAX_PUT_ENTRIES};
use millstream_engine::Shutdown;
use millstream_engine::manage::{Manager, MappingState};
use millstream_engine::view::{MappingInspection, ShardActivity, ShardInspection};
use millstream_ports::{
    HashKey, PutEntry, PutError, PutReceipt, Queues, SendError, SendReceipt, StreamDescription, Streams,
};
use millstream_types::message::attribute_bytes;
use millstream_types::{MappingName, Namespace, Position, QueueName, StreamName};
use std::sync::Arc;
use std::time::Duration;

/// How long [`Running::shutdown`] waits for running closures.
const DRAIN: Duration = Duration::from_secs(30);
/// Most messages, and most bytes of them, in one send.
const MAX_SEND_ENTRIES: usize = 10;
const MAX_SEND_BYTES: usize = 1 << 20;
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// A running engine. Dropped without [`Running::shutdown`] it ends as if the program had crashed: nothing is
/// lost, but what ran is run again by the next start.
#[must_use = "dropping it stops everything"]
pub struct Running {
    assembly: Assembly,
    namespace: Namespace,
    streams: Arc<dyn Streams>,
}

impl Running {
    pub(crate) fn new(assembly: Assembly, namespace: Namespace) -> Self {
        let streams = assembly.streams();
        Self {
            assembly,
            namespace,
            streams,
        }
    }

    /// Puts one record; it is on disk when this returns. Records of one key are handled in order.
    ///
    /// # Errors
    /// Any [`PutFailed`].
    pub async fn put(
        &self,
        stream: &str,
        key: impl Into<String>,
        data: impl Into<Bytes>,
    ) -> Result<PutReceipt, PutFailed> {
        let name = StreamName::new(stream)?;
        let answers = self
            .streams
            .put(&self.namespace, &name, vec![entry(key.into(), data.into())])
            .await?;
        let nothing = || PutError::Unavailable("the broker gave no answer".to_owned());
        Ok(answers.into_iter().next().unwrap_or_else(|| Err(nothing()))?)
    }

    /// Puts records in their order, in as few requests as their limits allow; one answer for each.
    ///
    /// # Errors
    /// If a request as a whole is refused: those before it are stored.
    pub async fn put_many<K: Into<String>, D: Into<Bytes>>(
        &self,
        stream: &str,
        records: impl IntoIterator<Item = (K, D)>,
    ) -> Result<Vec<Result<PutReceipt, PutError>>, PutFailed> {
        let name = StreamName::new(stream)?;
        let (mut answers, mut request, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (key, data) in records {
            let entry = entry(key.into(), data.into());
            let size = entry.partition_key.len() + entry.data.len();
            if request.len() == MAX_PUT_ENTRIES || (!request.is_empty() && bytes + size > MAX_PUT_BYTES) {
                answers.extend(
                    self.streams
                        .put(&self.namespace, &name, std::mem::take(&mut request))
                        .await?,
                );
                bytes = 0;
            }
            bytes += size;
            request.push(entry);
        }
        if !request.is_empty() {
            answers.extend(self.streams.put(&self.namespace, &name, request).await?);
        }
        Ok(answers)
    }

    /// Sends one message; it is on disk when this returns. A text will do, or a [`NewMessage`] with what goes beside it:
    /// a FIFO queue wants a group.
    ///
    /// # Errors
    /// Any [`SendFailed`].
    pub async fn send(&self, queue: &str, message: impl Into<NewMessage>) -> Result<SendReceipt, SendFailed> {
        let name = QueueName::new(queue)?;
        let entries = vec![message.into().into_entry()];
        let answers = self.queues().send(&self.namespace, &name, entries).await?;
        let nothing = || SendError::Unavailable("the broker gave no answer".to_owned());
        Ok(answers.into_iter().next().unwrap_or_else(|| Err(nothing()))?)
    }

    /// Sends messages in their order, in as few requests as their limits allow; one answer for each.
    ///
    /// # Errors
    /// If a request as a whole is refused: those before it are stored.
    pub async fn send_many<M: Into<NewMessage>>(
        &self,
        queue: &str,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Result<SendReceipt, SendError>>, SendFailed> {
        let (name, queues) = (QueueName::new(queue)?, self.queues());
        let (mut answers, mut request, mut bytes) = (Vec::new(), Vec::new(), 0);
        for message in messages {
            let entry = message.into().into_entry();
            let size = entry.body.len() + attribute_bytes(&entry.attributes);
            if request.len() == MAX_SEND_ENTRIES || (!request.is_empty() && bytes + size > MAX_SEND_BYTES) {
                let full = std::mem::take(&mut request);
                answers.extend(queues.send(&self.namespace, &name, full).await?);
                bytes = 0;
            }
            bytes += size;
            request.push(entry);
        }
        if !request.is_empty() {
            answers.extend(queues.send(&self.namespace, &name, request).await?);
        }
        Ok(answers)
    }

    /// Everything about queues: list, change, purge, receive by hand. Calls take [`Running::namespace`].
    #[must_use]
    pub fn queues(&self) -> Arc<dyn Queues> {
        self.assembly.queues()
    }

    /// Everything about streams: list, split, merge, read by hand. Calls take [`Running::namespace`].
    #[must_use]
    pub fn streams(&self) -> Arc<dyn Streams> {
        self.streams.clone()
    }

    /// Everything about mappings and functions: pause, resume, inspect, delete, history.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.assembly.manager()
    }

    /// The namespace of everything that was declared.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Returns when the mapping has finished every record that its stream holds, handled or given up, or when its
    /// queue is empty: hidden and delayed messages count as there. Never returns while it is paused, a record fails
    /// for ever, or producers are faster; give it a deadline with
    /// `tokio::time::timeout`.
    ///
    /// # Errors
    /// Any [`WaitError`].
    pub async fn wait_until_idle(&self, mapping: &str) -> Result<(), WaitError> {
        let name = MappingName::new(mapping)?;
        let manager = self.assembly.manager();
        let mut pause = FIRST_LOOK;
        loop {
            let inspection = manager.inspect_mapping(&self.namespace, &name).await?;
            if self.idle(&inspection).await? {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }

    /// Whether nothing in the stream lies behind the mapping's checkpoints. The stream is asked, not the lag that
    /// the mapping saw last: a record put a moment ago may not have been read yet.
    async fn idle(&self, inspection: &MappingInspection) -> Result<bool, WaitError> {
        let mapping = &inspection.mapping;
        if mapping.spec.source.kind().is_queue() {
            return self.empty(inspection).await;
        }
        let stream = StreamName::new(mapping.spec.source.resource_name())
            .map_err(|_| WaitError::Source(mapping.name.to_string()))?;
        if inspection.status.state != MappingState::Active {
            return Ok(false);
        }
        let there = self.streams.describe(&self.namespace, &stream).await?;
        if !covers(inspection, &there) {
            return Ok(false);
        }
        for shard in &inspection.shards {
            if !self.done(&stream, shard).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the mapping's queue holds nothing.
    async fn empty(&self, inspection: &MappingInspection) -> Result<bool, WaitError> {
        let mapping = &inspection.mapping;
        let queue = QueueName::new(mapping.spec.source.resource_name())
            .map_err(|_| WaitError::Source(mapping.name.to_string()))?;
        if inspection.status.state != MappingState::Active {
            return Ok(false);
        }
        let depth = self.queues().describe(&self.namespace, &queue).await?.depth;
        Ok(depth.visible + depth.in_flight + depth.delayed == 0)
    }

    async fn done(&self, stream: &StreamName, shard: &ShardInspection) -> Result<bool, WaitError> {
        match (shard.activity, shard.checkpoint) {
            (ShardActivity::Finished, _) | (_, Position::End) => Ok(true),
            (_, from) => {
                let page = self
                    .streams
                    .read_page(&self.namespace, stream, &shard.shard, from, 1)
                    .await?;
                Ok(page.0.is_empty())
            }
        }
    }

    /// Starts nothing more, lets running closures end, stores all progress and closes the data directory. After
    /// 30 s what still runs is dropped, and run again by the next start.
    pub async fn shutdown(self) -> Shutdown {
        self.shutdown_within(DRAIN).await
    }

    /// As [`Running::shutdown`], with this deadline.
    pub async fn shutdown_within(self, deadline: Duration) -> Shutdown {
        self.assembly.drain(deadline).await
    }
}

/// Whether every open shard of the stream has been taken up.
fn covers(inspection: &MappingInspection, stream: &StreamDescription) -> bool {
    let mut open = stream.shards.iter().filter(|s| s.info.closed.is_none());
    open.all(|s| inspection.shards.iter().any(|i| i.shard == s.info.id))
}

fn entry(partition_key: String, data: Bytes) -> PutEntry {
    PutEntry {
        partition_key,
        hash_key: HashKey::OfPartitionKey,
        data,
        trace: None,
    }
}
