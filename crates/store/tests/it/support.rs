//! What several tests need.

use bytes::Bytes;
use millstream_store::schema::{Key, Range, Table};
use millstream_store::{Batch, Db, DbOptions, Faults};
use millstream_types::durable::{
    AttemptResult, AttemptedMessage, Discard, DiscardCondition, LedgerEntry, OutboxEntry, QueueAttempt,
    ShardRecord,
};
use millstream_types::ids::DiscardId;
use millstream_types::sequence::Mark;
use millstream_types::{
    Incarnation, MappingId, Namespace, Position, RequestId, Seq, ShardId, SourceArn, StreamName, Wall,
};
use std::ops::ControlFlow;
use tempfile::TempDir;

/// A database in a directory of its own, which goes with it.
pub(crate) struct TestDb {
    pub(crate) db: Db,
    pub(crate) faults: Faults,
    pub(crate) dir: TempDir,
}

impl TestDb {
    pub(crate) fn new() -> Self {
        Self::with(DbOptions::default())
    }

    pub(crate) fn with(options: DbOptions) -> Self {
        let dir = TempDir::new().unwrap();
        let faults = options.faults.clone();
        let db = Db::open(dir.path(), options).unwrap();
        Self { db, faults, dir }
    }

    /// Closes it and opens it again, as a restart does.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(()).await
    }

    /// Like [`TestDb::restart`], dropping a user of the database in between.
    pub(crate) async fn restart_with<T>(self, user: T) -> Self {
        let Self { db, dir, .. } = self;
        db.close().await;
        drop(user);
        drop(db);
        let options = DbOptions::default();
        let faults = options.faults.clone();
        Self {
            db: Db::open(dir.path(), options).unwrap(),
            faults,
            dir,
        }
    }
}

/// A key to play with.
pub(crate) fn key(n: u64) -> Key {
    Key::StreamBatch {
        stream: 1,
        shard: 0,
        base: n,
    }
}

pub(crate) fn put(n: u64, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(&key(n), value.to_owned());
    batch
}

pub(crate) fn value(db: &Db, n: u64) -> Option<Bytes> {
    db.get(&key(n).encode()).unwrap()
}

/// The numbers of the keys of [`key`] that exist.
pub(crate) fn numbers(db: &Db) -> Vec<u64> {
    let mut found = Vec::new();
    db.scan(&Range::table(Table::StreamBatch), |key, _| {
        found.push(number(key));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

pub(crate) fn number(key: &[u8]) -> u64 {
    match Key::decode(key).unwrap() {
        Key::StreamBatch { base, .. } => base,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn mapping(n: u128) -> MappingId {
    MappingId::from_random(n)
}

pub(crate) fn incarnation(n: u128) -> Incarnation {
    Incarnation::from_random(n)
}

pub(crate) fn shard(n: u32) -> ShardId {
    ShardId::new(format!("shardId-{n:012}")).unwrap()
}

pub(crate) fn mark(n: u128) -> Mark {
    Mark::of(Seq::from_u128(n))
}

pub(crate) fn record(through: u128) -> ShardRecord {
    ShardRecord {
        generation: 1,
        start: Position::Trim,
        lane_hash: 1,
        lanes: vec![],
        prior: vec![],
        read_through: Some(mark(through)),
        at_end: false,
        finished: false,
        windows: None,
    }
}

pub(crate) fn attempt(mapping: MappingId, slot: u32) -> QueueAttempt {
    QueueAttempt {
        mapping,
        slot,
        request_id: RequestId::from_random(9),
        attempt: 1,
        messages: 1,
        finished: 0,
        result: AttemptResult::Retry,
        started: Wall(5),
        ended: Wall(6),
        age_ms: 1,
        error: Some("ValueError".into()),
        named: vec![AttemptedMessage {
            id: "m1".into(),
            receives: 1,
            group: Some("g".into()),
            failed: true,
        }],
    }
}

pub(crate) fn ledger(mapping: MappingId, records: u32) -> LedgerEntry {
    LedgerEntry {
        mapping,
        shard: shard(0),
        lane: 0,
        request_id: RequestId::from_random(1),
        attempt: 1,
        first: Some(mark(1)),
        last: Some(mark(2)),
        records,
        finished: records,
        result: AttemptResult::Done,
        started: Wall(1),
        ended: Wall(2),
        age_ms: 3,
        error: None,
    }
}

pub(crate) fn discard(mapping: MappingId, id: u128, at: u64) -> Discard {
    Discard {
        id: DiscardId::from_random(id),
        namespace: Namespace::default(),
        mapping,
        shard: shard(0),
        condition: DiscardCondition::RetryAttemptsExhausted,
        request_id: RequestId::from_random(id),
        invoke_count: 3,
        response: None,
        first: Some(mark(1)),
        last: Some(mark(2)),
        first_arrival: Some(Wall(1)),
        last_arrival: Some(Wall(2)),
        records: 2,
        at: Wall(at),
        function_arn: "f".into(),
        source_arn: "s".into(),
        payload: Bytes::from_static(b"{}"),
        window: None,
    }
}

pub(crate) fn document(of: &Discard) -> OutboxEntry {
    OutboxEntry {
        discard: of.id,
        namespace: of.namespace.clone(),
        mapping: of.mapping,
        destination: SourceArn::local_stream(&StreamName::new("failures").unwrap()).into(),
        partition_key: of.shard.to_string(),
        document: Bytes::from_static(b"{\"why\":1}"),
    }
}
