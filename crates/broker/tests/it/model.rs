//! The broker against a model that is a list per shard: random puts, readers with random credit, time, trims,
//! splits, merges and restarts.

use crate::rig::{HOUR, Rig, keyed, ns, shard, stream};
use bytes::Bytes;
use millstream_ports::{Credit, PutEntry, ShardReader, Streams};
use millstream_types::{Mark, Position, Wall};
use proptest::prelude::*;
use proptest::sample::Index;

const RETENTION: u64 = 24 * HOUR;

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<(u128, u8, u16)>),
    Open(Index, From),
    Read(Index, usize, usize),
    Advance(u64),
    Trim,
    Split(Index, u128),
    Merge(Index),
    Restart,
}

#[derive(Clone, Debug)]
enum From {
    Trim,
    At(Index),
    After(Index),
    Time(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let from = prop_oneof![
        Just(From::Trim),
        index().prop_map(From::At),
        index().prop_map(From::After),
        index().prop_map(From::Time),
    ];
    let record = (any::<u128>(), any::<u8>(), 0u16..300);
    prop_oneof![
        6 => proptest::collection::vec(record, 1..20).prop_map(Step::Put),
        3 => (index(), from).prop_map(|(shard, from)| Step::Open(shard, from)),
        10 => (index(), 0usize..30, 0usize..3_000).prop_map(|(r, n, b)| Step::Read(r, n, b)),
        3 => (0u64..9 * HOUR).prop_map(Step::Advance),
        1 => Just(Step::Trim),
        1 => (index(), any::<u128>()).prop_map(|(shard, at)| Step::Split(shard, at)),
        1 => index().prop_map(Step::Merge),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct ModelRecord {
    mark: Mark,
    arrival: u64,
    key: String,
    data: Bytes,
}

#[derive(Debug)]
struct ModelShard {
    index: u32,
    range: (u128, u128),
    open: bool,
    records: Vec<ModelRecord>,
}

/// A reader and where the model has it: the number of records passed, and whether it has a place of its own.
struct ModelReader {
    shard: usize,
    passed: usize,
    placed: bool,
    reader: Box<dyn ShardReader>,
}

struct Run {
    rig: Rig,
    now: u64,
    shards: Vec<ModelShard>,
    readers: Vec<ModelReader>,
}

impl Run {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let made = rig.create("s", 2).await;
        let shard = |(index, range)| ModelShard {
            index,
            range,
            open: true,
            records: Vec::new(),
        };
        let shards = (0..)
            .zip(made.shards.iter().map(|s| s.info.hash_range))
            .map(shard)
            .collect();
        Self {
            rig,
            now: crate::rig::START,
            shards,
            readers: Vec::new(),
        }
    }

    fn expired(&self, record: &ModelRecord) -> bool {
        record.arrival < self.now - RETENTION
    }

    async fn step(mut self, step: Step) -> Self {
        match step {
            Step::Put(records) => self.put(&records).await,
            Step::Open(which, from) => self.open(&which, &from).await,
            Step::Read(which, records, bytes) => {
                if !self.readers.is_empty() {
                    let i = which.index(self.readers.len());
                    self.read(i, Credit { records, bytes }).await;
                }
            }
            Step::Advance(millis) => {
                self.now += millis;
                self.rig.clock.set(self.now);
            }
            Step::Trim => self.trim().await,
            Step::Split(which, at) => self.split(&which, at).await,
            Step::Merge(which) => self.merge(&which).await,
            Step::Restart => return self.restart().await,
        }
        self
    }

    async fn put(&mut self, records: &[(u128, u8, u16)]) {
        let entry =
            |(hash, key, len): &(u128, u8, u16)| keyed(&format!("k{key}"), *hash, vec![*key; *len as usize]);
        let entries: Vec<PutEntry> = records.iter().map(entry).collect();
        let receipts = self.rig.put("s", entries.clone()).await;
        for ((receipt, entry), (hash, ..)) in receipts.into_iter().zip(entries).zip(records) {
            let into = |s: &&mut ModelShard| s.open && s.range.0 <= *hash && *hash <= s.range.1;
            let model = self.shards.iter_mut().find(into).unwrap();
            assert_eq!(receipt.shard, shard(model.index));
            let mark = Mark::of(receipt.seq);
            assert!(model.records.last().is_none_or(|last| last.mark < mark));
            let (key, data) = (entry.partition_key, entry.data);
            model.records.push(ModelRecord {
                mark,
                arrival: self.now,
                key,
                data,
            });
        }
    }

    async fn open(&mut self, which: &Index, from: &From) {
        let at = which.index(self.shards.len());
        let model = &self.shards[at];
        let pick = |i: &Index| (!model.records.is_empty()).then(|| i.index(model.records.len()));
        let (position, passed) = match from {
            From::Trim => (Position::Trim, 0),
            From::At(i) => pick(i).map_or((Position::Trim, 0), |i| (Position::At(model.records[i].mark), i)),
            From::After(i) => pick(i).map_or((Position::Trim, 0), |i| {
                (Position::After(model.records[i].mark), i + 1)
            }),
            From::Time(i) => {
                let time = pick(i).map_or(self.now, |i| model.records[i].arrival);
                (
                    Position::Timestamp(Wall(time)),
                    model.records.partition_point(|r| r.arrival < time),
                )
            }
        };
        let placed = matches!(position, Position::At(_) | Position::After(_));
        let reader = self
            .rig
            .source("s")
            .await
            .open(&shard(model.index), position)
            .await
            .unwrap();
        self.readers.push(ModelReader {
            shard: at,
            passed,
            placed,
            reader,
        });
    }

    async fn read(&mut self, i: usize, credit: Credit) {
        let now = self.now;
        let (reader, shards) = (&mut self.readers[i], &self.shards);
        let model = &shards[reader.shard];
        let ahead = &model.records[reader.passed..];
        let lost = ahead.iter().take_while(|r| r.arrival < now - RETENTION).count();
        let page = reader.reader.next(credit).await.unwrap();
        assert_eq!(
            page.gap.is_some(),
            lost > 0 && reader.placed,
            "gap {:?}, lost {lost}",
            page.gap
        );
        let want = &ahead[lost..];
        let got: Vec<ModelRecord> = page
            .records
            .iter()
            .map(|r| ModelRecord {
                mark: r.mark,
                arrival: r.arrival.0,
                key: String::from_utf8(r.partition_key.to_vec()).unwrap(),
                data: r.data.clone(),
            })
            .collect();
        assert_eq!(got, want[..got.len()], "the next records, in order");
        assert_eq!(got.is_empty(), want.is_empty(), "at least one if there is one");
        let bytes: usize = got.iter().map(|r| r.key.len() + r.data.len()).sum();
        assert!(got.len() <= 1 || (got.len() <= credit.records && bytes <= credit.bytes));
        reader.passed += lost + got.len();
        reader.placed |= !got.is_empty() || page.gap.is_some();
        assert_eq!(page.end, !model.open && reader.passed == model.records.len());
        assert_eq!(
            page.lag.records,
            Some((model.records.len() - reader.passed) as u64)
        );
    }

    /// Only what nobody can read any more may change. Shards that the broker forgets the model forgets too, once
    /// it has checked that it might.
    async fn trim(&mut self) {
        self.rig.broker.trim().await;
        let described = self.rig.describe("s").await;
        let kept: Vec<_> = described.shards.iter().map(|s| s.info.id.clone()).collect();
        for at in (0..self.shards.len()).rev() {
            let model = &self.shards[at];
            if kept.contains(&shard(model.index)) {
                continue;
            }
            assert!(!model.open && model.records.iter().all(|r| self.expired(r)));
            self.shards.remove(at);
            self.readers.retain(|r| r.shard != at);
            self.readers
                .iter_mut()
                .filter(|r| r.shard > at)
                .for_each(|r| r.shard -= 1);
        }
        for (model, described) in self.shards.iter().zip(&described.shards) {
            let live = model.records.iter().filter(|r| !self.expired(r)).count();
            assert_eq!(described.records, live as u64);
        }
    }

    fn open_shards(&self) -> Vec<usize> {
        let mut open: Vec<_> = (0..self.shards.len()).filter(|i| self.shards[*i].open).collect();
        open.sort_by_key(|i| self.shards[*i].range);
        open
    }

    async fn split(&mut self, which: &Index, at: u128) {
        let open = self.open_shards();
        let parent = open[which.index(open.len())];
        let (range, id) = (self.shards[parent].range, shard(self.shards[parent].index));
        let answer = self.rig.broker.split(&ns(), &stream("s"), &id, Some(at)).await;
        assert_eq!(answer.is_ok(), range.0 < at && at <= range.1);
        if answer.is_ok() {
            self.shards[parent].open = false;
            self.add((range.0, at - 1));
            self.add((at, range.1));
        }
    }

    async fn merge(&mut self, which: &Index) {
        let open = self.open_shards();
        if let Some(pair) = open.windows(2).nth(which.index(open.len())) {
            let (a, b) = (&self.shards[pair[0]], &self.shards[pair[1]]);
            let range = (a.range.0, b.range.1);
            let (a, b) = (shard(a.index), shard(b.index));
            self.rig.broker.merge(&ns(), &stream("s"), &b, &a).await.unwrap();
            pair.iter().for_each(|i| self.shards[*i].open = false);
            self.add(range);
        }
    }

    fn add(&mut self, range: (u128, u128)) {
        let index = self.next_index();
        self.shards.push(ModelShard {
            index,
            range,
            open: true,
            records: Vec::new(),
        });
    }

    /// Children are the newest shards, and an open shard is never forgotten.
    fn next_index(&self) -> u32 {
        self.shards.iter().map(|s| s.index + 1).max().unwrap_or(0)
    }

    /// Readers go on from what they had read, as a consumer with a checkpoint does.
    async fn restart(mut self) -> Self {
        let places: Vec<_> = self.readers.drain(..).map(|r| (r.shard, r.passed)).collect();
        self.rig = self.rig.reopen().await;
        for (at, passed) in places {
            let model = &self.shards[at];
            let position = match passed.checked_sub(1) {
                Some(last) => Position::After(model.records[last].mark),
                None => Position::Trim,
            };
            let reader = self
                .rig
                .source("s")
                .await
                .open(&shard(model.index), position)
                .await
                .unwrap();
            self.readers.push(ModelReader {
                shard: at,
                passed,
                placed: passed > 0,
                reader,
            });
        }
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_broker_is_a_list_per_shard(steps in proptest::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new().await;
            for step in steps {
                run = run.step(step).await;
            }
        });
    }
}
