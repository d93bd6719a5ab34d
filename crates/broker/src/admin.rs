//! Streams as their owners and producers use them.

use crate::broker::Broker;
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_RECORDS, check_retention, check_spec};
use crate::log::LogError;
use crate::meta::ShardMeta;
use crate::put::put;
use crate::reader::Reader;
use crate::reshard::{self, known};
use crate::sequence::{place_of, seq_of};
use crate::shard::Refusal;
use crate::stream::{Stream, detached};
use async_trait::async_trait;
use millstream_ports::{
    Credit, PutEntry, PutError, PutReceipt, ReadRecord, ShardDescription, ShardReader, SourceError,
    StreamChange, StreamDescription, StreamError, Streams,
};
use millstream_store::{Batch, Durability};
use millstream_types::{Namespace, Position, ShardId, StreamName, StreamSpec};
use std::sync::Arc;

#[async_trait]
impl Streams for Broker {
    async fn create(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        spec: StreamSpec,
        validate_only: bool,
    ) -> Result<StreamDescription, StreamError> {
        check_spec(&spec)?;
        if validate_only {
            return self.inner.preview(namespace, name, spec);
        }
        let (inner, namespace, name) = (Arc::clone(&self.inner), namespace.clone(), name.clone());
        describe(detached(async move { inner.create(namespace, name, spec).await }).await?).await
    }

    async fn describe(
        &self,
        namespace: &Namespace,
        name: &StreamName,
    ) -> Result<StreamDescription, StreamError> {
        describe(self.inner.stream(namespace, name)?).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamDescription>, StreamError> {
        let mut found = Vec::new();
        for stream in self.inner.streams_of(namespace, after, limit) {
            match describe(stream).await {
                Ok(description) => found.push(description),
                // Deleted in the meantime.
                Err(StreamError::NotFound(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    async fn set(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        change: StreamChange,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<StreamDescription, StreamError> {
        change.retention_hours.map_or(Ok(()), check_retention)?;
        let stream = self.inner.stream(namespace, name)?;
        if validate_only {
            check_revision(&stream, expected)?;
            let now = describe(stream).await?;
            return Ok(StreamDescription {
                spec: change.apply(&now.spec),
                ..now
            });
        }
        let work = Arc::clone(&stream);
        detached(async move { set(&work, &change, expected).await }).await?;
        describe(stream).await
    }

    async fn delete(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        expected: Option<u64>,
    ) -> Result<(), StreamError> {
        let stream = self.inner.stream(namespace, name)?;
        let inner = Arc::clone(&self.inner);
        detached(async move {
            delete(&stream, expected).await?;
            inner.forget(&stream);
            Ok(())
        })
        .await
    }

    async fn split(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        at: Option<u128>,
    ) -> Result<StreamDescription, StreamError> {
        let stream = self.inner.stream(namespace, name)?;
        let (work, shard) = (Arc::clone(&stream), shard.clone());
        detached(async move { reshard::split(&work, &shard, at).await }).await?;
        describe(stream).await
    }

    async fn merge(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        adjacent: &ShardId,
    ) -> Result<StreamDescription, StreamError> {
        let stream = self.inner.stream(namespace, name)?;
        let (work, shard, adjacent) = (Arc::clone(&stream), shard.clone(), adjacent.clone());
        detached(async move { reshard::merge(&work, &shard, &adjacent).await }).await?;
        describe(stream).await
    }

    async fn put(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        entries: Vec<PutEntry>,
    ) -> Result<Vec<Result<PutReceipt, PutError>>, StreamError> {
        put(&self.inner.stream(namespace, name)?, &self.inner.budget, &entries).await
    }

    async fn read_page(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        from: Position,
        limit: usize,
    ) -> Result<(Vec<ReadRecord>, Position), StreamError> {
        let stream = self.inner.stream(namespace, name)?;
        read_page(stream, shard, from, limit).await
    }
}

fn check_revision(stream: &Stream, expected: Option<u64>) -> Result<(), StreamError> {
    let actual = stream.present()?.meta.row.revision;
    match expected {
        Some(expected) if expected != actual => Err(StreamError::Conflict {
            stream: stream.name.clone(),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

async fn set(stream: &Stream, change: &StreamChange, expected: Option<u64>) -> Result<(), StreamError> {
    let admin = stream.admin().await?;
    check_revision(stream, expected)?;
    let mut new = stream.present()?.meta.clone();
    let spec = change.apply(&new.row.spec);
    if spec == new.row.spec {
        return Ok(());
    }
    new.row.spec = spec;
    new.row.revision += 1;
    stream
        .commit(&admin, Batch::new(), new, Durability::Synced)
        .await
        .map(|_| ())
}

async fn delete(stream: &Stream, expected: Option<u64>) -> Result<(), StreamError> {
    let admin = stream.admin().await?;
    check_revision(stream, expected)?;
    for shard in stream.present()?.open_shards() {
        // A doubtful shard takes nothing either, and what it may have taken goes with the rest.
        let (Ok(_) | Err(Refusal::Closed | Refusal::Doubtful)) = shard.close_intake();
    }
    stream.remove(&admin).await
}

async fn describe(stream: Arc<Stream>) -> Result<StreamDescription, StreamError> {
    let described = tokio::task::spawn_blocking(move || describe_now(&stream)).await;
    described.map_err(|e| StreamError::Unavailable(e.to_string()))?
}

fn describe_now(stream: &Stream) -> Result<StreamDescription, StreamError> {
    let view = stream.present()?;
    let shards = view.meta.shards.iter().map(|shard| describe_shard(stream, shard));
    let shards: Result<Vec<_>, LogError> = shards.collect();
    Ok(StreamDescription {
        namespace: stream.namespace.clone(),
        name: stream.name.clone(),
        spec: view.meta.row.spec.clone(),
        created: view.meta.row.created,
        revision: view.meta.row.revision,
        shards: shards.map_err(|e| StreamError::Unavailable(e.to_string()))?,
    })
}

fn describe_shard(stream: &Stream, meta: &ShardMeta) -> Result<ShardDescription, LogError> {
    let view = stream.view();
    let end = view.shard(meta.index).map_or(0, |shard| shard.tail().end);
    let log = stream.log(meta.index);
    let oldest = log.first_since(view.meta.cutoff(stream.now()), end)?;
    let newest = log
        .last(end)?
        .map(|last| last.end - 1)
        .filter(|newest| *newest >= oldest);
    Ok(ShardDescription {
        info: meta.info(),
        oldest: newest.map(|_| seq_of(meta.index, oldest)),
        newest: newest.map(|newest| seq_of(meta.index, newest)),
        records: newest.map_or(0, |newest| newest - oldest + 1),
    })
}

async fn read_page(
    stream: Arc<Stream>,
    shard: &ShardId,
    from: Position,
    limit: usize,
) -> Result<(Vec<ReadRecord>, Position), StreamError> {
    check_page(from, limit)?;
    let view = stream.present()?;
    let index = known(&stream, &view, shard)?;
    let gone = || StreamError::NoSuchShard {
        stream: stream.name.clone(),
        shard: shard.clone(),
    };
    let known = Arc::clone(view.shard(index).ok_or_else(gone)?);
    let unreadable = |e: SourceError| StreamError::Unavailable(e.to_string());
    let arn = stream.name.as_str().into();
    let reader = Reader::open(Arc::clone(&stream), known, arn, from).map_err(unreadable)?;
    let mut reader = reader.for_a_large_page();
    let page = reader
        .next(Credit {
            records: limit,
            bytes: MAX_PAGE_BYTES,
        })
        .await
        .map_err(unreadable)?;
    let next = match page.through {
        _ if page.end => Position::End,
        // A time in the future stays what was asked for until something has arrived by then.
        _ if page.records.is_empty() && matches!(from, Position::Timestamp(_)) => from,
        Some(through) => Position::After(through),
        None => from,
    };
    Ok((page.records, next))
}

fn check_page(from: Position, limit: usize) -> Result<(), StreamError> {
    if !(1..=MAX_PAGE_RECORDS).contains(&limit) {
        let allowed = format!("1 to {MAX_PAGE_RECORDS}");
        return Err(StreamError::Invalid {
            field: "limit",
            value: limit.to_string(),
            allowed,
        });
    }
    match from {
        Position::At(mark) | Position::After(mark) if place_of(mark.seq).is_none() => {
            let allowed = "a sequence number that this broker gave out".to_owned();
            Err(StreamError::Invalid {
                field: "position",
                value: mark.to_string(),
                allowed,
            })
        }
        _ => Ok(()),
    }
}
