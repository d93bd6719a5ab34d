//! The stream behind the readers: its list of shards, where a mapping starts, and what its readers share.

use super::looks::Looks;
use super::reader::{Reader, ReaderArgs};
use super::tip::Tip;
use super::{Listing, Wire};
use crate::pace::{Quotas, ShardPace};
use async_trait::async_trait;
use millstream_ports::{Clock, ShardReader, SourceError, StreamSource};
use millstream_types::{Position, ShardId, ShardInfo, StartPin, StartingPosition, Wall};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;

/// What all readers of one shard share.
pub(crate) struct SharedShard {
    /// Locked while one of them reads: the others want what it gets.
    pub(super) tip: tokio::sync::Mutex<Option<Tip>>,
    pub(crate) pace: ShardPace,
}

/// What all readers of one stream share.
pub(crate) struct SharedStream {
    shards: Mutex<BTreeMap<ShardId, Arc<SharedShard>>>,
    /// How many shards were read to their end.
    ended: watch::Sender<u64>,
}

impl SharedStream {
    /// A reader came to the end of a shard: there may be children.
    pub(super) fn shard_ended(&self) {
        self.ended.send_modify(|n| *n += 1);
    }

    pub(crate) fn shard(&self, shard: &ShardId, quotas: Quotas) -> Arc<SharedShard> {
        let mut shards = lock(&self.shards);
        let share = shards.entry(shard.clone()).or_insert_with(|| {
            Arc::new(SharedShard {
                tip: tokio::sync::Mutex::new(None),
                pace: ShardPace::new(quotas),
            })
        });
        Arc::clone(share)
    }

    /// Forgets shards that are gone, and those that are closed and have no reader.
    fn forget(&self, listed: &[ShardInfo]) {
        let open: BTreeMap<&ShardId, bool> = listed.iter().map(|s| (&s.id, s.closed.is_none())).collect();
        lock(&self.shards).retain(|shard, share| match open.get(shard) {
            Some(true) => true,
            Some(false) => Arc::strong_count(share) > 1,
            None => false,
        });
    }
}

/// What the mappings of a process share of the streams that they read: the pace of each shard, whose quotas count all
/// of its readers, and what is read at its tip. Make one per process and clone it.
#[derive(Clone, Default)]
pub struct SharedShards {
    /// Held weakly: a stream that nobody reads is forgotten.
    streams: Arc<Mutex<BTreeMap<StreamKey, Weak<SharedStream>>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StreamKey {
    endpoint: String,
    arn: String,
}

impl SharedShards {
    /// What the readers of a stream share.
    pub(crate) fn of(&self, endpoint: &str, arn: &str) -> Arc<SharedStream> {
        let key = StreamKey {
            endpoint: endpoint.to_owned(),
            arn: arn.to_owned(),
        };
        let mut streams = lock(&self.streams);
        if let Some(stream) = streams.get(&key).and_then(Weak::upgrade) {
            return stream;
        }
        streams.retain(|_, stream| stream.strong_count() > 0);
        let stream = Arc::new(SharedStream {
            shards: Mutex::default(),
            ended: watch::Sender::new(0),
        });
        streams.insert(key, Arc::downgrade(&stream));
        stream
    }
}

/// One stream, as one mapping reads it.
pub(crate) struct PolledStream {
    wire: Arc<dyn Wire>,
    shared: Arc<SharedStream>,
    clock: Arc<dyn Clock>,
    looks: Mutex<Looks>,
}

impl PolledStream {
    /// `endpoint` and the wire's ARN say which readers share a stream.
    pub(crate) fn new(
        wire: Arc<dyn Wire>,
        shared: &SharedShards,
        endpoint: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = shared.of(endpoint, wire.arn());
        let ended = *shared.ended.borrow();
        Self {
            looks: Mutex::new(Looks::new(wire.manners().list_every, ended)),
            wire,
            shared,
            clock,
        }
    }

    /// The stream's ARN.
    pub(crate) fn arn(&self) -> &str {
        self.wire.arn()
    }

    /// A reader came to the end of a shard.
    pub(crate) fn shard_ended(&self) {
        self.shared.shard_ended();
    }

    async fn list(&self) -> Result<Listing, SourceError> {
        let listing = self.wire.list().await.map_err(|e| e.for_stream(self.arn()))?;
        self.shared.forget(&listing.shards);
        Ok(listing)
    }
}

#[async_trait]
impl StreamSource for PolledStream {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        Ok(self.list().await?.shards)
    }

    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        Ok(pin_of(&self.list().await?, start))
    }

    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        let share = self.shared.shard(shard, self.wire.manners().quotas);
        let args = ReaderArgs {
            wire: Arc::clone(&self.wire),
            stream: Arc::clone(&self.shared),
            share,
            shard: shard.clone(),
            clock: Arc::clone(&self.clock),
        };
        Ok(Box::new(Reader::new(args, from)))
    }

    async fn shards_changed(&self) {
        let mut ended = self.shared.ended.subscribe();
        let count = *ended.borrow_and_update();
        let next = lock(&self.looks).next(self.clock.now().mono, count);
        if let Some(at) = next {
            tokio::select! {
                // This stream holds the sender.
                _ = ended.changed() => {}
                () = self.clock.sleep_until(at) => {}
            }
        }
        let count = *ended.borrow();
        lock(&self.looks).looked(count);
    }
}

/// Where a mapping starts. Pure.
///
/// - `TRIM_HORIZON`: all shards, each from its oldest record.
/// - `LATEST`: the shards that are open, from the source's own time, which is before the call returns; a record that
///   is put later arrives then or later. Services tell their time to the second, so that records which arrived
///   earlier in that second come too.
/// - `AT_TIMESTAMP`: all shards, from that time: the service finds the place, or that a shard has none.
pub(crate) fn pin_of(listing: &Listing, start: StartingPosition) -> StartPin {
    let position = match start {
        StartingPosition::TrimHorizon => Position::Trim,
        StartingPosition::Latest => Position::Timestamp(Wall(listing.date.0 - listing.date.0 % 1_000)),
        StartingPosition::AtTimestamp(at) => Position::Timestamp(at),
    };
    let open_only = start == StartingPosition::Latest;
    let shards = listing.shards.iter();
    StartPin {
        position,
        shards: shards
            .filter(|s| !open_only || s.closed.is_none())
            .map(|s| s.id.clone())
            .collect(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
