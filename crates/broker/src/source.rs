//! Streams and queues as the engine finds them.

use crate::broker::Broker;
use crate::reader::Reader;
use crate::sequence::{shard_id, shard_index};
use crate::stream::{Stream, detached};
use async_trait::async_trait;
use millstream_ports::{QueueSource, ShardReader, SourceError, Sources, StreamError, StreamSource};
use millstream_store::{Batch, Durability};
use millstream_types::arn::LOCAL_ACCOUNT;
use millstream_types::{
    Namespace, Position, QueueName, ShardId, ShardInfo, SourceArn, StartPin, StartingPosition, StreamName,
    Wall,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[async_trait]
impl Sources for Broker {
    async fn stream(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn StreamSource>, SourceError> {
        if arn.account() != LOCAL_ACCOUNT {
            return Err(SourceError::NotServed(arn.to_string()));
        }
        if arn.is_consumer() {
            // They wake their readers anyway.
            let why = "streams of the built-in broker have no consumers (enhanced fan-out): give the ARN of the stream";
            return Err(SourceError::Refused(why.to_owned()));
        }
        let not_found = || SourceError::NotFound(arn.to_string());
        let name = StreamName::new(arn.resource_name()).map_err(|_| not_found())?;
        let stream = self.inner.stream(namespace, &name).map_err(|_| not_found())?;
        let seen = AtomicU64::new(stream.view().shard_set);
        Ok(Arc::new(Source {
            stream,
            arn: arn.as_str().into(),
            seen,
        }))
    }

    async fn queue(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn QueueSource>, SourceError> {
        if arn.account() != LOCAL_ACCOUNT {
            return Err(SourceError::NotServed(arn.to_string()));
        }
        let not_found = || SourceError::NoSuchQueue { arn: arn.to_string() };
        let name = QueueName::new(arn.resource_name()).map_err(|_| not_found())?;
        let registry = self.queues();
        registry.queue(namespace, &name).map_err(|_| not_found())?;
        Ok(Arc::new(crate::queue::Source {
            registry: Arc::downgrade(registry),
            namespace: namespace.clone(),
            name,
            arn: arn.as_str().into(),
        }))
    }
}

/// One stream, as one mapping reads it.
struct Source {
    stream: Arc<Stream>,
    arn: Arc<str>,
    /// The set of shards that was reported last.
    seen: AtomicU64,
}

impl Source {
    fn error(&self, e: StreamError) -> SourceError {
        match e {
            StreamError::NotFound(_) => SourceError::NotFound(self.arn.to_string()),
            StreamError::Unavailable(why) => SourceError::Unavailable(why),
            other => SourceError::Unavailable(other.to_string()),
        }
    }

    fn pin_of(&self, position: Position) -> Result<StartPin, SourceError> {
        let view = self.stream.present().map_err(|e| self.error(e))?;
        let shards = view.meta.shards.iter().map(|s| shard_id(s.index)).collect();
        Ok(StartPin { position, shards })
    }
}

#[async_trait]
impl StreamSource for Source {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        let view = self.stream.present().map_err(|e| self.error(e))?;
        Ok(view.meta.shards.iter().map(|s| s.info()).collect())
    }

    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        match start {
            StartingPosition::TrimHorizon => self.pin_of(Position::Trim),
            StartingPosition::AtTimestamp(at) => self.pin_of(Position::Timestamp(at)),
            StartingPosition::Latest => {
                let stream = Arc::clone(&self.stream);
                detached(async move { pin_latest(&stream).await })
                    .await
                    .map_err(|e| self.error(e))
            }
        }
    }

    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        let view = self.stream.present().map_err(|e| self.error(e))?;
        let known = shard_index(shard)
            .and_then(|index| view.shard(index))
            .map(Arc::clone);
        let gone = || SourceError::NoSuchShard {
            arn: self.arn.to_string(),
            shard: shard.clone(),
        };
        let reader = Reader::open(
            Arc::clone(&self.stream),
            known.ok_or_else(gone)?,
            Arc::clone(&self.arn),
            from,
        )?;
        Ok(Box::new(reader))
    }

    async fn shards_changed(&self) {
        let mut views = self.stream.views();
        let seen = self.seen.load(Ordering::Acquire);
        // The stream holds the sender, so this ends only with a change.
        if let Ok(view) = views.wait_for(|view| view.shard_set != seen).await {
            self.seen.store(view.shard_set, Ordering::Release);
        }
    }
}

/// Draws a line through the open shards: every record put before this call arrived before the time it returns,
/// and every record put after it returned arrives then or later. The line is stored, so that it holds after a
/// restart and against a clock that goes back.
async fn pin_latest(stream: &Stream) -> Result<StartPin, StreamError> {
    let admin = stream.admin().await?;
    let view = stream.present()?;
    let past = view
        .open_shards()
        .map(|s| s.next().arrival.0.saturating_add(1))
        .max();
    let line = Wall(past.unwrap_or(0).max(stream.now().0));
    let mut new = view.meta.clone();
    for shard in view.open_shards() {
        shard.raise_arrival(line);
        if let Some(meta) = new.shard_mut(shard.index) {
            meta.floor.arrival = meta.floor.arrival.max(line);
        }
    }
    let view = stream
        .commit(&admin, Batch::new(), new, Durability::Synced)
        .await?;
    let shards = view.open_shards().map(|s| shard_id(s.index)).collect();
    Ok(StartPin {
        position: Position::Timestamp(line),
        shards,
    })
}
