//! A stream in memory that answers like the services, for the tests of the readers.

use super::{Fetched, IteratorAt, Listing, Manners, PolledStream, SharedShards, Wire, WireError};
use crate::pace::{Quota, Quotas};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use millstream_testkit::ManualClock;
use millstream_types::{Mark, Record, Seq, ShardId, ShardInfo, Wall};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) struct FakeWire {
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) shards: BTreeMap<ShardId, Shard>,
    /// Iterators of earlier generations have expired.
    pub(crate) generation: u64,
    /// The next reads fail like this.
    pub(crate) errors: VecDeque<WireError>,
    /// Iterators before the oldest record are refused, as DynamoDB does.
    pub(crate) refuses_trimmed: bool,
    /// Iterators at a time are refused.
    pub(crate) refuses_times: bool,
    pub(crate) date: Wall,
    pub(crate) reads: usize,
    pub(crate) iterators: usize,
    gone: BTreeSet<ShardId>,
    deleted: bool,
}

#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) records: Vec<Record>,
    pub(crate) trimmed: usize,
    pub(crate) closed: bool,
}

pub(crate) fn mark(n: u128) -> Mark {
    Mark::of(Seq::from_u128(n))
}

pub(crate) fn open_shard(id: &str, parent: Option<&str>) -> ShardInfo {
    ShardInfo {
        id: ShardId::new(id).unwrap(),
        parent: parent.map(|p| ShardId::new(p).unwrap()),
        adjacent_parent: None,
        hash_range: (0, u128::MAX),
        closed: None,
    }
}

/// The stream of a wire, as one mapping reads it.
pub(crate) fn stream_of(wire: Arc<FakeWire>, clock: &Arc<ManualClock>) -> PolledStream {
    mapping_on(wire, clock, &SharedShards::default())
}

/// The same for one of several mappings.
pub(crate) fn mapping_on(
    wire: Arc<FakeWire>,
    clock: &Arc<ManualClock>,
    shared: &SharedShards,
) -> PolledStream {
    PolledStream::new(wire, shared, "fake", clock.clone())
}

/// Runs to the end, moving the clock whenever it is waited for.
pub(crate) async fn run<F: Future>(clock: &ManualClock, f: F) -> F::Output {
    let mut f = std::pin::pin!(f);
    for _ in 0..10_000 {
        if let Some(done) = f.as_mut().now_or_never() {
            return done;
        }
        if !clock.advance_to_next() {
            // Nobody sleeps: the runtime wants a turn.
            tokio::task::yield_now().await;
        }
    }
    panic!("something is waited for that does not come");
}

impl FakeWire {
    pub(crate) fn new(shards: &[&str]) -> Arc<Self> {
        let shards = shards
            .iter()
            .map(|id| (ShardId::new(id).unwrap(), Shard::default()));
        Arc::new(Self {
            state: Mutex::new(State {
                shards: shards.collect(),
                date: Wall(1_000_000_000),
                ..State::default()
            }),
        })
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap())
    }

    /// Puts records with these numbers, which arrive now.
    pub(crate) fn put(&self, shard: &str, numbers: impl IntoIterator<Item = u128>) {
        self.with(|s| {
            let arrival = s.date;
            let shard = s.shards.get_mut(&ShardId::new(shard).unwrap()).unwrap();
            shard.records.extend(numbers.into_iter().map(|n| Record {
                mark: mark(n),
                arrival,
                partition_key: Bytes::from_static(b"k"),
                data: Bytes::from_static(b"123456789"),
                trace: None,
            }));
        });
    }

    pub(crate) fn shard<T>(&self, shard: &str, f: impl FnOnce(&mut Shard) -> T) -> T {
        self.with(|s| f(s.shards.get_mut(&ShardId::new(shard).unwrap()).unwrap()))
    }

    pub(crate) fn expire_shard(&self, shard: &str) {
        self.with(|s| s.gone.insert(ShardId::new(shard).unwrap()));
    }

    pub(crate) fn delete_stream(&self) {
        self.with(|s| s.deleted = true);
    }
}

impl State {
    fn here(&self, shard: &ShardId) -> Result<&Shard, WireError> {
        let there = !self.deleted && !self.gone.contains(shard);
        self.shards.get(shard).filter(|_| there).ok_or(WireError::Missing)
    }
}

#[async_trait]
impl Wire for FakeWire {
    fn arn(&self) -> &str {
        "arn:fake"
    }

    fn manners(&self) -> Manners {
        let quota = Quota {
            calls: 5,
            per: Duration::from_secs(1),
            bytes_per_second: 0,
        };
        Manners {
            quotas: Quotas {
                reads: quota,
                iterators: quota,
            },
            records: 1_000,
            shortest_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(1),
            list_every: Duration::from_secs(60),
        }
    }

    async fn list(&self) -> Result<Listing, WireError> {
        self.with(|s| {
            if s.deleted {
                return Err(WireError::Missing);
            }
            let listed = s.shards.iter().filter(|(id, _)| !s.gone.contains(*id));
            let shards = listed.map(|(id, shard)| ShardInfo {
                closed: shard.closed.then_some(s.date),
                ..open_shard(id.as_str(), None)
            });
            Ok(Listing {
                shards: shards.collect(),
                date: s.date,
            })
        })
    }

    async fn iterator(&self, shard: &ShardId, at: IteratorAt) -> Result<String, WireError> {
        self.with(|s| {
            s.iterators += 1;
            let refuses = s.refuses_trimmed;
            let of = s.here(shard)?;
            if s.refuses_times && matches!(at, IteratorAt::Time(_)) {
                return Err(WireError::Refused("no such type of iterator".to_owned()));
            }
            let index = match at {
                IteratorAt::Oldest => 0,
                IteratorAt::Record(seq) => of.records.partition_point(|r| r.mark.seq < seq),
                IteratorAt::Time(at) => of.records.partition_point(|r| r.arrival < at),
            };
            if refuses && index < of.trimmed && at != IteratorAt::Oldest {
                return Err(WireError::Trimmed);
            }
            Ok(format!("{}/{shard}/{}", s.generation, index.max(of.trimmed)))
        })
    }

    async fn read(&self, iterator: &str, limit: usize) -> Result<Fetched, WireError> {
        self.with(|s| {
            s.reads += 1;
            if let Some(error) = s.errors.pop_front() {
                return Err(error);
            }
            let mut parts = iterator.split('/');
            let mut part = || parts.next().unwrap();
            if part() != s.generation.to_string() {
                return Err(WireError::Expired);
            }
            let shard = ShardId::new(part()).unwrap();
            let index: usize = part().parse().unwrap();
            let of = s.here(&shard)?;
            let end = (index + limit).min(of.records.len());
            let records = of.records[index..end].to_vec();
            let all = end == of.records.len();
            Ok(Fetched {
                bytes: 10 * records.len(),
                records,
                next: (!all || !of.closed).then(|| format!("{}/{shard}/{end}", s.generation)),
                behind: Some(Duration::from_secs(if all { 0 } else { 1 })),
                more: !all,
                date: s.date,
            })
        })
    }
}
