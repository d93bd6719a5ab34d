//! A stream in memory: shards that split and merge, and records that fall out of retention.

use bytes::Bytes;
use millstream_core::lane_hash::{LANE_HASH_VERSION, lane_of};
use millstream_ports::{Credit, Gap, Lag, Page, SourceError};
use millstream_types::{Mark, Position, Record, Seq, ShardId, ShardInfo, Wall};
use std::collections::BTreeMap;

/// The shards of one stream and what is in them. Sequence numbers grow over the whole stream.
#[derive(Clone, Debug)]
pub struct StreamState {
    name: String,
    shards: BTreeMap<ShardId, Shard>,
    records: u128,
}

#[derive(Clone, Debug)]
struct Shard {
    info: ShardInfo,
    records: Vec<Record>,
    /// The last record that fell out of retention.
    trimmed: Option<Mark>,
}

/// How many hash keys a stream has; few, so that a test can reason about them.
const HASH_KEYS: u128 = 256;

impl StreamState {
    /// A stream with `shards` open shards, 1 to 64.
    #[must_use]
    pub fn new(name: &str, shards: u32) -> Self {
        let n = u128::from(shards.clamp(1, 64));
        let mut stream = Self {
            name: name.to_owned(),
            shards: BTreeMap::new(),
            records: 0,
        };
        for i in 0..n {
            stream.add((HASH_KEYS * i / n, HASH_KEYS * (i + 1) / n - 1), None, None);
        }
        stream
    }

    /// Puts a record into the open shard of its key and tells where it went.
    pub fn put(&mut self, key: &[u8], data: &[u8], now: Wall) -> (ShardId, Mark) {
        let hash = hash_key(key);
        self.records += 1;
        let mark = Mark::of(Seq::from_u128(self.records));
        let open = |s: &&mut Shard| {
            s.info.closed.is_none() && (s.info.hash_range.0..=s.info.hash_range.1).contains(&hash)
        };
        let shard = self.shards.values_mut().find(open);
        debug_assert!(shard.is_some(), "the open shards cover all hash keys");
        let Some(shard) = shard else {
            return (nowhere(), mark);
        };
        shard.records.push(Record {
            mark,
            arrival: now,
            partition_key: Bytes::copy_from_slice(key),
            data: Bytes::copy_from_slice(data),
            trace: None,
        });
        (shard.info.id.clone(), mark)
    }

    /// Splits an open shard in the middle; none if it is closed or has only one hash key.
    pub fn split(&mut self, shard: &ShardId, now: Wall) -> Option<[ShardId; 2]> {
        let (low, high) = self.close(shard, now, |(low, high)| low < high)?;
        let middle = low + (high - low) / 2;
        let parent = Some(shard.clone());
        Some([
            self.add((low, middle), parent.clone(), None),
            self.add((middle + 1, high), parent, None),
        ])
    }

    /// Merges two open shards that lie next to each other, the lower one first; none if they do not.
    pub fn merge(&mut self, lower: &ShardId, upper: &ShardId, now: Wall) -> Option<ShardId> {
        let upper_range = self.open_range(upper)?;
        let (low, _) = self.close(lower, now, |(_, high)| high + 1 == upper_range.0)?;
        self.close(upper, now, |_| true)?;
        Some(self.add((low, upper_range.1), Some(lower.clone()), Some(upper.clone())))
    }

    /// The first `n` records of a shard that are still there fall out of retention; returns the last of them.
    pub fn trim(&mut self, shard: &ShardId, n: usize) -> Option<Mark> {
        let shard = self.shards.get_mut(shard)?;
        let gone = shard
            .records
            .drain(..n.min(shard.records.len()))
            .next_back()?
            .mark;
        shard.trimmed = Some(gone);
        Some(gone)
    }

    /// The shards, by id.
    #[must_use]
    pub fn infos(&self) -> Vec<ShardInfo> {
        self.shards.values().map(|s| s.info.clone()).collect()
    }

    /// The records of a shard that are still there.
    #[must_use]
    pub fn records(&self, shard: &ShardId) -> &[Record] {
        self.shards.get(shard).map_or(&[], |s| &s.records)
    }

    /// What a reader at `from` gets next.
    ///
    /// # Errors
    /// [`SourceError::NoSuchShard`].
    pub fn read(&self, shard: &ShardId, from: Position, credit: Credit) -> Result<Page, SourceError> {
        let no_such = || SourceError::NoSuchShard {
            arn: self.name.clone(),
            shard: shard.clone(),
        };
        let of = self.shards.get(shard).ok_or_else(no_such)?;
        let start = match from {
            Position::Trim => 0,
            Position::At(mark) => of.records.partition_point(|r| r.mark < mark),
            Position::After(mark) => of.records.partition_point(|r| r.mark <= mark),
            Position::Timestamp(at) => of.records.partition_point(|r| r.arrival < at),
            Position::End => of.records.len(),
        };
        let rest = of.records.get(start..).unwrap_or_default();
        let mut bytes = 0;
        let fits = |(i, r): &(usize, &Record)| {
            bytes += r.partition_key.len() + r.data.len();
            *i == 0 || (*i < credit.records && bytes <= credit.bytes)
        };
        let records: Vec<Record> = rest
            .iter()
            .enumerate()
            .take_while(fits)
            .map(|(_, r)| r.clone())
            .collect();
        let left = rest.len() - records.len();
        let newest = rest.last().map_or(0, |r| r.arrival.0);
        Ok(Page {
            through: records
                .last()
                .map(|r| r.mark)
                .or_else(|| looked_at(from).max(of.trimmed)),
            lag: Lag {
                millis: records.last().map_or(0, |r| newest.saturating_sub(r.arrival.0)),
                records: Some(left as u64),
            },
            gap: gap(from, of, records.first()),
            end: left == 0 && of.info.closed.is_some(),
            records,
        })
    }

    fn open_range(&self, shard: &ShardId) -> Option<(u128, u128)> {
        self.shards
            .get(shard)
            .filter(|s| s.info.closed.is_none())
            .map(|s| s.info.hash_range)
    }

    fn close(
        &mut self,
        shard: &ShardId,
        now: Wall,
        may: impl Fn((u128, u128)) -> bool,
    ) -> Option<(u128, u128)> {
        let range = self.open_range(shard).filter(|r| may(*r))?;
        self.shards.get_mut(shard)?.info.closed = Some(now);
        Some(range)
    }

    fn add(
        &mut self,
        hash_range: (u128, u128),
        parent: Option<ShardId>,
        adjacent_parent: Option<ShardId>,
    ) -> ShardId {
        let id = ShardId::new(format!("shardId-{:012}", self.shards.len())).unwrap_or_else(|_| nowhere());
        let info = ShardInfo {
            id: id.clone(),
            parent,
            adjacent_parent,
            hash_range,
            closed: None,
        };
        self.shards.insert(
            id.clone(),
            Shard {
                info,
                records: Vec::new(),
                trimmed: None,
            },
        );
        id
    }
}

fn gap(from: Position, of: &Shard, first: Option<&Record>) -> Option<Gap> {
    let wanted = match from {
        Position::At(mark) | Position::After(mark) => mark,
        _ => return None,
    };
    (of.trimmed > Some(wanted)).then_some(Gap {
        wanted: from,
        found: first?.mark,
    })
}

fn looked_at(from: Position) -> Option<Mark> {
    match from {
        Position::After(mark) => Some(mark),
        _ => None,
    }
}

/// Spreads keys over the hash keys; not MD5, as no test needs that here.
fn hash_key(key: &[u8]) -> u128 {
    let [high, low] = [0u8, 1].map(|salt| {
        let salted: Vec<u8> = key.iter().copied().chain([salt]).collect();
        u128::from(lane_of(LANE_HASH_VERSION, 16, &salted))
    });
    high * 16 + low
}

fn nowhere() -> ShardId {
    millstream_types::ShardId::new("nowhere").unwrap_or_else(|_| unreachable!("a valid name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Credit = Credit {
        records: 1_000,
        bytes: 1_000_000,
    };

    fn filled(n: u64) -> (StreamState, ShardId) {
        let mut stream = StreamState::new("s", 1);
        for i in 0..n {
            stream.put(format!("k{i}").as_bytes(), b"0123456789", Wall(i * 10));
        }
        let shard = stream.infos()[0].id.clone();
        (stream, shard)
    }

    fn marks(page: &Page) -> Vec<String> {
        page.records.iter().map(|r| r.mark.to_string()).collect()
    }

    fn mark(n: u128) -> Mark {
        Mark::of(Seq::from_u128(n))
    }

    #[test]
    fn positions_and_credit_decide_what_is_read() {
        let (stream, shard) = filled(4);
        let few = |records, bytes| Credit { records, bytes };
        for (from, credit, expect) in [
            (Position::Trim, ALL, vec!["1", "2", "3", "4"]),
            (Position::At(mark(3)), ALL, vec!["3", "4"]),
            (Position::After(mark(3)), ALL, vec!["4"]),
            (Position::Timestamp(Wall(11)), ALL, vec!["3", "4"]),
            (Position::Trim, few(2, 1_000), vec!["1", "2"]),
            (Position::Trim, few(9, 1), vec!["1"]),
            (Position::End, ALL, vec![]),
        ] {
            let page = stream.read(&shard, from, credit).unwrap();
            assert_eq!(marks(&page), expect, "{from:?} {credit:?}");
            assert!(!page.end);
        }
    }

    #[test]
    fn a_closed_shard_ends_and_its_children_take_the_records() {
        let (mut stream, parent) = filled(4);
        let children = stream.split(&parent, Wall(99)).unwrap();
        assert!(stream.read(&parent, Position::Trim, ALL).unwrap().end);
        assert!(stream.split(&parent, Wall(99)).is_none());
        for i in 0..100 {
            let (to, _) = stream.put(format!("n{i}").as_bytes(), b"", Wall(100));
            assert!(children.contains(&to));
        }
        assert!(children.iter().all(|c| !stream.records(c).is_empty()));
        let merged = stream.merge(&children[0], &children[1], Wall(101)).unwrap();
        let infos = stream.infos();
        let info = infos.iter().find(|i| i.id == merged).unwrap();
        assert_eq!(info.parents().cloned().collect::<Vec<_>>(), children);
        assert_eq!(info.hash_range, (0, HASH_KEYS - 1));
    }

    #[test]
    fn what_fell_out_of_retention_is_told() {
        let (mut stream, shard) = filled(4);
        assert_eq!(stream.trim(&shard, 2), Some(mark(2)));
        let page = stream.read(&shard, Position::After(mark(1)), ALL).unwrap();
        assert_eq!(
            page.gap,
            Some(Gap {
                wanted: Position::After(mark(1)),
                found: mark(3)
            })
        );
        assert_eq!(
            stream.read(&shard, Position::After(mark(2)), ALL).unwrap().gap,
            None
        );
        assert_eq!(stream.read(&shard, Position::Trim, ALL).unwrap().gap, None);
    }
}
