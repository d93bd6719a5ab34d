//! The source's ports over [`StreamState`], with reads that fail as a test wants.

use crate::stream::StreamState;
use async_trait::async_trait;
use futures::channel::oneshot;
use millstream_ports::{Credit, Page, QueueSource, ShardReader, SourceError, Sources, StreamSource};
use millstream_types::{
    Mark, Namespace, Position, ShardId, ShardInfo, SourceArn, StartPin, StartingPosition, Wall,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// An in-memory stream for tests of the engine. Clones share one state; also a [`Sources`] that has only itself.
#[derive(Clone, Debug)]
pub struct MemoryStream {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    state: StreamState,
    now: Wall,
    errors: VecDeque<SourceError>,
    version: u64,
    waiting: Vec<oneshot::Sender<()>>,
}

impl MemoryStream {
    /// A stream with so many open shards.
    #[must_use]
    pub fn new(name: &str, shards: u32) -> Self {
        let shared = Shared {
            state: StreamState::new(name, shards),
            now: Wall(0),
            errors: VecDeque::new(),
            version: 0,
            waiting: Vec::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// The source's own time from now on.
    pub fn set_time(&self, now: Wall) {
        self.with(|s| s.now = now);
    }

    /// Puts a record and wakes the readers.
    pub fn put(&self, key: &[u8], data: &[u8]) -> (ShardId, Mark) {
        self.change(|state, now| state.put(key, data, now))
    }

    /// Changes the stream as the test likes (split, merge, trim) and wakes everybody.
    pub fn change<T>(&self, f: impl FnOnce(&mut StreamState, Wall) -> T) -> T {
        self.with(|s| {
            let result = f(&mut s.state, s.now);
            s.version += 1;
            for waiter in s.waiting.drain(..) {
                let _gone = waiter.send(());
            }
            result
        })
    }

    /// Lets the next reads fail like this, in order.
    pub fn fail_reads(&self, errors: impl IntoIterator<Item = SourceError>) {
        self.with(|s| s.errors.extend(errors));
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn changed_since(&self, seen: u64) -> u64 {
        loop {
            let wait = self.with(|s| {
                if s.version > seen {
                    return Err(s.version);
                }
                let (waiter, woken) = oneshot::channel();
                s.waiting.push(waiter);
                Ok(woken)
            });
            match wait {
                Err(version) => return version,
                // Whether woken or not, the version tells.
                Ok(woken) => drop(woken.await),
            }
        }
    }
}

#[async_trait]
impl Sources for MemoryStream {
    async fn stream(
        &self,
        _namespace: &Namespace,
        _arn: &SourceArn,
    ) -> Result<Arc<dyn StreamSource>, SourceError> {
        Ok(Arc::new(Opened {
            stream: self.clone(),
            seen: Mutex::new(0),
        }))
    }

    async fn queue(
        &self,
        _namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn QueueSource>, SourceError> {
        Err(SourceError::NoSuchQueue { arn: arn.to_string() })
    }
}

#[derive(Debug)]
struct Opened {
    stream: MemoryStream,
    seen: Mutex<u64>,
}

#[async_trait]
impl StreamSource for Opened {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        Ok(self.stream.with(|s| s.state.infos()))
    }

    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        Ok(self.stream.with(|s| {
            let (position, all) = match start {
                StartingPosition::TrimHorizon => (Position::Trim, true),
                StartingPosition::Latest => {
                    // The source's time moves on, so that a put right after this is not taken for one before.
                    s.now = Wall(s.now.0 + 1);
                    (Position::Timestamp(s.now), false)
                }
                StartingPosition::AtTimestamp(at) => (Position::Timestamp(at), true),
            };
            let infos = s.state.infos().into_iter();
            let pinned = infos.filter(|i| {
                if all {
                    i.parents().next().is_none()
                } else {
                    i.closed.is_none()
                }
            });
            StartPin {
                position,
                shards: pinned.map(|i| i.id).collect(),
            }
        }))
    }

    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        self.stream.with(|s| {
            s.state
                .read(shard, Position::End, Credit { records: 1, bytes: 1 })
        })?;
        Ok(Box::new(Reader {
            stream: self.stream.clone(),
            shard: shard.clone(),
            at: from,
            seen: 0,
        }))
    }

    async fn shards_changed(&self) {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.stream.changed_since(seen).await;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

#[derive(Debug)]
struct Reader {
    stream: MemoryStream,
    shard: ShardId,
    at: Position,
    seen: u64,
}

#[async_trait]
impl ShardReader for Reader {
    async fn next(&mut self, credit: Credit) -> Result<Page, SourceError> {
        let (page, version) = self.stream.with(|s| {
            if let Some(error) = s.errors.pop_front() {
                return Err(error);
            }
            Ok((s.state.read(&self.shard, self.at, credit)?, s.version))
        })?;
        self.seen = version;
        if let Some(through) = page.through {
            self.at = Position::After(through);
        }
        Ok(page)
    }

    async fn wait(&mut self) {
        self.seen = self.stream.changed_since(self.seen).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const ALL: Credit = Credit {
        records: 10,
        bytes: 1_000,
    };

    #[test]
    fn a_reader_waits_for_a_put_and_stands_still_over_an_error() {
        let stream = MemoryStream::new("s", 1);
        let (shard, _) = stream.put(b"k", b"1");
        let source = stream
            .stream(&Namespace::default(), &arn())
            .now_or_never()
            .unwrap()
            .unwrap();
        let mut reader = source
            .open(&shard, Position::Trim)
            .now_or_never()
            .unwrap()
            .unwrap();
        stream.fail_reads([SourceError::Throttled("s".to_owned())]);
        assert!(reader.next(ALL).now_or_never().unwrap().is_err());
        assert_eq!(reader.next(ALL).now_or_never().unwrap().unwrap().records.len(), 1);
        assert!(reader.wait().now_or_never().is_none());
        stream.put(b"k", b"2");
        assert!(reader.wait().now_or_never().is_some());
        assert_eq!(reader.next(ALL).now_or_never().unwrap().unwrap().records.len(), 1);
    }

    #[test]
    fn latest_is_pinned_to_what_is_put_after_it() {
        let stream = MemoryStream::new("s", 1);
        stream.set_time(Wall(5));
        let (shard, _) = stream.put(b"k", b"before");
        let source = stream
            .stream(&Namespace::default(), &arn())
            .now_or_never()
            .unwrap()
            .unwrap();
        let pin = source
            .pin(StartingPosition::Latest)
            .now_or_never()
            .unwrap()
            .unwrap();
        stream.put(b"k", b"after");
        let mut reader = source.open(&shard, pin.position).now_or_never().unwrap().unwrap();
        let page = reader.next(ALL).now_or_never().unwrap().unwrap();
        assert_eq!(
            page.records.iter().map(|r| &r.data[..]).collect::<Vec<_>>(),
            [b"after"]
        );
    }

    fn arn() -> SourceArn {
        "arn:aws:kinesis:us-east-1:000000000000:stream/s".parse().unwrap()
    }
}
