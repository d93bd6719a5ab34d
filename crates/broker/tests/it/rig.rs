//! A broker on a database in a temporary directory, with a clock and failures in the test's hands.

use bytes::Bytes;
use futures::future::BoxFuture;
use millstream_broker::Broker;
use millstream_ports::{
    Clock, Credit, HashKey, Page, PutEntry, PutReceipt, ShardReader, Sources, StreamDescription,
    StreamSource, Streams,
};
use millstream_store::{Db, DbOptions, Faults, Health};
use millstream_testkit::SeededEntropy;
use millstream_types::{
    Mono, Namespace, Now, Position, Record, ShardId, SourceArn, StreamName, StreamSpec, Wall,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

pub(crate) const START: u64 = 1_700_000_000_000;
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const ALL: Credit = Credit {
    records: usize::MAX,
    bytes: usize::MAX,
};

/// Stands still until it is moved; nobody's sleep ends.
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        Now {
            wall: Wall(self.0.load(Ordering::SeqCst)),
            mono: Mono(0),
        }
    }

    fn sleep_until(&self, _at: Mono) -> BoxFuture<'static, ()> {
        Box::pin(futures::future::pending())
    }
}

pub(crate) struct Rig {
    pub(crate) broker: Broker,
    pub(crate) db: Db,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) faults: Faults,
    dir: TempDir,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        Self::open(tempfile::tempdir().unwrap(), clock).await
    }

    async fn open(dir: TempDir, clock: Arc<TestClock>) -> Self {
        let faults = Faults::default();
        let db = open_db(dir.path(), &faults);
        let broker = Broker::open(db.clone(), clock.clone(), Arc::new(SeededEntropy::new(1)))
            .await
            .unwrap();
        Self {
            broker,
            db,
            clock,
            faults,
            dir,
        }
    }

    /// The same directory in a new life. What was queued is written first, as a process that ends does.
    pub(crate) async fn reopen(self) -> Self {
        let Self {
            broker,
            db,
            clock,
            dir,
            ..
        } = self;
        drop(broker);
        db.close().await;
        drop(db);
        Self::open(dir, clock).await
    }

    /// Waits until the database was opened again this often, and works.
    pub(crate) async fn reopened(&self, times: u64) {
        let reopened = |health: &Health| *health == Health::Healthy && self.db.stats().reopens >= times;
        self.db.health().wait_for(reopened).await.unwrap();
    }

    pub(crate) async fn create(&self, name: &str, shards: u32) -> StreamDescription {
        let spec = StreamSpec {
            shards,
            ..StreamSpec::default()
        };
        self.broker
            .create(&ns(), &stream(name), spec, false)
            .await
            .unwrap()
    }

    pub(crate) async fn describe(&self, name: &str) -> StreamDescription {
        self.broker.describe(&ns(), &stream(name)).await.unwrap()
    }

    /// Puts entries of which all must be taken.
    pub(crate) async fn put(&self, name: &str, entries: Vec<PutEntry>) -> Vec<PutReceipt> {
        let answers = self.broker.put(&ns(), &stream(name), entries).await.unwrap();
        answers.into_iter().map(|answer| answer.unwrap()).collect()
    }

    pub(crate) async fn source(&self, name: &str) -> Arc<dyn StreamSource> {
        Sources::stream(&self.broker, &ns(), &arn(name)).await.unwrap()
    }

    pub(crate) async fn reader(&self, name: &str, index: u32, from: Position) -> Box<dyn ShardReader> {
        self.source(name).await.open(&shard(index), from).await.unwrap()
    }

    /// All records of a shard that can be read from a place.
    pub(crate) async fn read_all(&self, name: &str, index: u32, from: Position) -> Vec<Record> {
        drain(self.reader(name, index, from).await.as_mut()).await.records
    }
}

pub(crate) fn open_db(path: &Path, faults: &Faults) -> Db {
    let options = DbOptions {
        block_cache_bytes: 8 << 20,
        write_buffer_bytes: 8 << 20,
        faults: faults.clone(),
        ..DbOptions::default()
    };
    Db::open(path, options).unwrap()
}

/// Reads on until nothing is left, as one page.
pub(crate) async fn drain(reader: &mut dyn ShardReader) -> Page {
    let mut all = reader.next(ALL).await.unwrap();
    while all.lag.records != Some(0) {
        let page = reader.next(ALL).await.unwrap();
        all.records.extend(page.records);
        all.gap = all.gap.or(page.gap);
        (all.through, all.lag, all.end) = (page.through, page.lag, page.end);
    }
    all
}

pub(crate) fn ns() -> Namespace {
    Namespace::default()
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub(crate) fn arn(name: &str) -> SourceArn {
    SourceArn::local_stream(&stream(name))
}

pub(crate) fn shard(index: u32) -> ShardId {
    ShardId::new(format!("shardId-{index:012}")).unwrap()
}

pub(crate) fn entry(key: &str, data: impl Into<Bytes>) -> PutEntry {
    PutEntry {
        partition_key: key.into(),
        hash_key: HashKey::OfPartitionKey,
        data: data.into(),
        trace: None,
    }
}

pub(crate) fn keyed(key: &str, hash_key: u128, data: impl Into<Bytes>) -> PutEntry {
    PutEntry {
        hash_key: HashKey::Explicit(hash_key),
        ..entry(key, data)
    }
}

/// Payloads as numbers.
pub(crate) fn numbers(records: &[Record]) -> Vec<u64> {
    records
        .iter()
        .map(|r| std::str::from_utf8(&r.data).unwrap().parse().unwrap())
        .collect()
}

/// A payload that [`numbers`] reads.
pub(crate) fn number(n: u64) -> Bytes {
    n.to_string().into_bytes().into()
}
