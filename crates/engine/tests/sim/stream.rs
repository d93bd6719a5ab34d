//! Streams as the engine reads them: reads that fail, come short or late; shards that split, merge and are seen late.

use crate::plan::StreamPlan;
use crate::world::{Port, World};
use async_trait::async_trait;
use futures::channel::oneshot;
use millstream_ports::{Credit, Page, ShardReader, SourceError, StreamSource};
use millstream_testkit::{Event, StreamState};
use millstream_types::{Position, ShardId, ShardInfo, SourceArn, StartPin, StartingPosition, Wall};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

pub(crate) struct Stream {
    pub(crate) arn: SourceArn,
    pub(crate) state: StreamState,
    /// The source's own time, which is never behind an answer it gave.
    clock: Wall,
    version: u64,
    shards_version: u64,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Stream {
    pub(crate) fn new(plan: &StreamPlan) -> Self {
        Self {
            arn: SourceArn::local_stream(&plan.name),
            state: StreamState::new(plan.name.as_str(), plan.shards),
            clock: Wall(0),
            version: 1,
            shards_version: 1,
            waiting: Vec::new(),
        }
    }

    fn changed(&mut self) {
        self.version += 1;
        for waiter in self.waiting.drain(..) {
            let _gone = waiter.send(());
        }
    }
}

fn unavailable() -> SourceError {
    SourceError::Unavailable("so it is simulated".to_owned())
}

impl World {
    pub(crate) fn put(&mut self, stream: usize) {
        if !self.chaotic() {
            return;
        }
        let key = format!("key-{}", self.rng.index(12));
        let number = self.number();
        let s = &mut self.streams[stream];
        s.clock = s.clock.max(self.now.wall);
        let (shard, mark) = s
            .state
            .put(key.as_bytes(), number.to_string().as_bytes(), s.clock);
        let arrival = s.clock;
        s.changed();
        self.note_produced(stream, &shard, mark, key.as_bytes(), arrival);
        let pause = self.rng.between(0, self.plan.put_every_ms);
        self.after_ms(pause, move |w| w.put(stream));
    }

    pub(crate) fn reshard(&mut self) {
        let stream = self.rng.index(self.streams.len());
        let Some(s) = self.streams.get_mut(stream) else {
            return;
        };
        let infos = s.state.infos();
        let open: Vec<ShardId> = infos
            .into_iter()
            .filter(|i| i.closed.is_none())
            .map(|i| i.id)
            .collect();
        let Some(one) = self.rng.pick(&open).cloned() else {
            return;
        };
        let split = open.len() < 2 || (open.len() < 5 && self.rng.per_mille(400));
        let now = self.now.wall;
        let children: Vec<ShardId> = if split {
            s.state.split(&one, now).into_iter().flatten().collect()
        } else {
            let merged = open.iter().find_map(|other| s.state.merge(&one, other, now));
            merged.into_iter().collect()
        };
        if children.is_empty() {
            return;
        }
        s.shards_version += 1;
        s.changed();
        self.seen(if split { "split" } else { "merge" });
        let infos = self.streams[stream].state.infos();
        for info in infos.iter().filter(|i| children.contains(&i.id)) {
            self.note_shard(stream, info);
        }
    }

    pub(crate) fn trim(&mut self) {
        let stream = self.rng.index(self.streams.len());
        let Some(s) = self.streams.get_mut(stream) else {
            return;
        };
        let all: Vec<ShardId> = s.state.infos().into_iter().map(|i| i.id).collect();
        let Some(shard) = self.rng.pick(&all).cloned() else {
            return;
        };
        let n = self.rng.between(1, 3) as usize;
        if let Some(through) = s.state.trim(&shard, n) {
            s.changed();
            self.seen("trim");
            for id in self.judges.readers(stream) {
                let (shard, through) = (shard.clone(), through);
                self.note(id, Event::Trimmed { shard, through });
            }
        }
    }

    fn read(
        &mut self,
        stream: usize,
        shard: &ShardId,
        at: Position,
        credit: Credit,
    ) -> Result<(Page, u64), SourceError> {
        if self.source_trouble() {
            self.seen("read that failed");
            return Err(match self.rng.per_mille(500) {
                true => SourceError::Throttled("so it is simulated".to_owned()),
                false => unavailable(),
            });
        }
        let credit = Credit {
            records: self.rng.between(1, credit.records.min(40) as u64) as usize,
            ..credit
        };
        let s = &self.streams[stream];
        Ok((s.state.read(shard, at, credit)?, s.version))
    }

    fn pin(&mut self, stream: usize, start: StartingPosition) -> StartPin {
        let now = self.now.wall;
        let s = &mut self.streams[stream];
        let (position, all) = match start {
            StartingPosition::TrimHorizon => (Position::Trim, true),
            StartingPosition::Latest => {
                // What was put by now is not meant, what is put after the answer is.
                s.clock = Wall(s.clock.max(now).0 + 1);
                (Position::Timestamp(s.clock), false)
            }
            StartingPosition::AtTimestamp(at) => (Position::Timestamp(at), true),
        };
        let infos = s.state.infos().into_iter();
        let pinned = infos.filter(|i| match all {
            true => i.parents().next().is_none(),
            false => i.closed.is_none(),
        });
        StartPin {
            position,
            shards: pinned.map(|i| i.id).collect(),
        }
    }
}

/// A stream, as one process reads it.
pub(crate) struct SimStream {
    pub(crate) port: Port,
    pub(crate) stream: usize,
    pub(crate) seen: Mutex<u64>,
}

#[async_trait]
impl StreamSource for SimStream {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        let stream = self.stream;
        let listed = self.port.call(move |w| {
            if w.source_trouble() {
                return Err(unavailable());
            }
            let s = &w.streams[stream];
            Ok((s.state.infos(), s.shards_version))
        });
        let (infos, version) = listed.await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = version;
        Ok(infos)
    }

    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        let stream = self.stream;
        self.port
            .call(move |w| match w.source_trouble() {
                true => Err(unavailable()),
                false => Ok(w.pin(stream, start)),
            })
            .await
    }

    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        let (stream, asked) = (self.stream, shard.clone());
        let opened = self.port.call(move |w| {
            if w.source_trouble() {
                return Err(unavailable());
            }
            let nothing = Credit { records: 1, bytes: 1 };
            w.streams[stream].state.read(&asked, Position::End, nothing)
        });
        opened.await?;
        Ok(Box::new(SimReader {
            port: self.port.clone(),
            stream,
            shard: shard.clone(),
            at: from,
            seen: 0,
        }))
    }

    async fn shards_changed(&self) {
        loop {
            let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let late = self
                .port
                .sim
                .with(|w| Duration::from_millis(w.rng.between(0, 1_000)));
            self.port.sleep(late).await;
            let waits = self.port.with(|w| {
                let s = &mut w.streams[self.stream];
                if s.shards_version > seen {
                    return None;
                }
                let (tx, rx) = oneshot::channel();
                s.waiting.push(tx);
                Some(rx)
            });
            match waits {
                Some(None) => return,
                Some(Some(woken)) => drop(woken.await),
                None => std::future::pending().await,
            }
        }
    }
}

struct SimReader {
    port: Port,
    stream: usize,
    shard: ShardId,
    at: Position,
    seen: u64,
}

#[async_trait]
impl ShardReader for SimReader {
    async fn next(&mut self, credit: Credit) -> Result<Page, SourceError> {
        let (stream, shard, at) = (self.stream, self.shard.clone(), self.at);
        let read = self.port.call(move |w| w.read(stream, &shard, at, credit));
        let (page, version) = read.await?;
        self.seen = version;
        if let Some(through) = page.through {
            self.at = Position::After(through);
        }
        Ok(page)
    }

    async fn wait(&mut self) {
        let waits = self.port.with(|w| {
            let s = &mut w.streams[self.stream];
            if s.version > self.seen {
                return None;
            }
            let (tx, rx) = oneshot::channel();
            s.waiting.push(tx);
            Some(rx)
        });
        match waits {
            Some(None) => {}
            Some(Some(woken)) => drop(woken.await),
            None => std::future::pending().await,
        }
    }
}
