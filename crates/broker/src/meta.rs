//! What is stored about a stream besides its records, and the rules by which it changes.
//!
//! Pure: every change takes the old state and gives the new one, or a reason against it. It is stored as one
//! row for the stream and one per shard, so that a trim writes a row and not 4,096, in JSON (rare writes,
//! readable with any tool); numbers that JSON readers round are written as text.

use crate::hash::{HashRange, even_ranges, middle};
use crate::limits::MAX_SHARDS_KEPT;
use crate::sequence::shard_id;
use millstream_types::{ShardInfo, StreamSpec, Wall};
use serde::{Deserialize, Serialize};

/// A stream's settings and shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamMeta {
    pub(crate) row: StreamRow,
    /// By index.
    pub(crate) shards: Vec<ShardMeta>,
}

/// The settings of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamRow {
    /// Separates the records of this stream from those of any other that had or will have its name.
    pub(crate) id: u64,
    pub(crate) spec: StreamSpec,
    pub(crate) created: Wall,
    /// Grows with every change of settings or of the set of shards.
    pub(crate) revision: u64,
    /// The index that the next shard will get. Never reused.
    pub(crate) next_shard: u32,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardMeta {
    pub(crate) index: u32,
    #[serde(with = "as_text")]
    pub(crate) range: HashRange,
    pub(crate) parent: Option<u32>,
    pub(crate) adjacent_parent: Option<u32>,
    pub(crate) closed: Option<Closed>,
    /// What the next record must not fall below, even if no record is left to tell.
    pub(crate) floor: Floor,
    /// All records below this offset fell out of retention and were removed.
    pub(crate) trimmed: u64,
}

/// The lowest offset and arrival that the next record of a shard may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floor {
    pub(crate) offset: u64,
    pub(crate) arrival: Wall,
}

impl Floor {
    /// The higher of both, in each part.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            offset: self.offset.max(other.offset),
            arrival: self.arrival.max(other.arrival),
        }
    }
}

/// How a shard was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) at: Wall,
    /// The offset after its last record.
    pub(crate) end: u64,
}

/// Why shards cannot be split or merged as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReshardError {
    #[error("shard {0} is closed: it was split or merged before")]
    Closed(millstream_types::ShardId),
    #[error("hash key {at} does not divide shard {shard}: allowed is {} to {last}", .first.saturating_add(1))]
    OutsideRange {
        shard: millstream_types::ShardId,
        at: u128,
        first: u128,
        last: u128,
    },
    #[error("shards {0} and {1} are not neighbours: their hash key ranges do not touch")]
    NotAdjacent(millstream_types::ShardId, millstream_types::ShardId),
    #[error("the stream keeps {0} shards, open and closed; {MAX_SHARDS_KEPT} are allowed")]
    TooMany(usize),
}

impl ShardMeta {
    fn first(index: u32, range: HashRange) -> Self {
        let floor = Floor::default();
        Self {
            index,
            range,
            parent: None,
            adjacent_parent: None,
            closed: None,
            floor,
            trimmed: 0,
        }
    }

    /// As users see it.
    pub(crate) fn info(&self) -> ShardInfo {
        ShardInfo {
            id: shard_id(self.index),
            parent: self.parent.map(shard_id),
            adjacent_parent: self.adjacent_parent.map(shard_id),
            hash_range: self.range,
            closed: self.closed.map(|c| c.at),
        }
    }
}

impl StreamMeta {
    pub(crate) fn new(id: u64, spec: StreamSpec, created: Wall) -> Self {
        let shards: Vec<_> = (0..)
            .zip(even_ranges(spec.shards))
            .map(|(index, range)| ShardMeta::first(index, range))
            .collect();
        let row = StreamRow {
            id,
            spec,
            created,
            revision: 1,
            next_shard: shards.len() as u32,
        };
        Self { row, shards }
    }

    pub(crate) fn shard(&self, index: u32) -> Option<&ShardMeta> {
        self.shards
            .binary_search_by_key(&index, |s| s.index)
            .ok()
            .and_then(|at| self.shards.get(at))
    }

    pub(crate) fn shard_mut(&mut self, index: u32) -> Option<&mut ShardMeta> {
        self.shards.iter_mut().find(|s| s.index == index)
    }

    pub(crate) fn open_shards(&self) -> impl Iterator<Item = &ShardMeta> {
        self.shards.iter().filter(|s| s.closed.is_none())
    }

    /// How long records are kept, in milliseconds.
    pub(crate) fn retention_millis(&self) -> u64 {
        u64::from(self.row.spec.retention_hours) * 3_600_000
    }

    /// Records that arrived before this time are out of retention.
    pub(crate) fn cutoff(&self, now: Wall) -> Wall {
        Wall(now.0.saturating_sub(self.retention_millis()))
    }

    /// Where a shard may be cut: checks `at`, or finds the middle.
    pub(crate) fn split_point(&self, shard: u32, at: Option<u128>) -> Result<u128, ReshardError> {
        let open = self.open(shard)?;
        let (first, last) = open.range;
        let at = at.unwrap_or_else(|| middle(open.range));
        if at > first && at <= last {
            Ok(at)
        } else {
            Err(ReshardError::OutsideRange {
                shard: shard_id(shard),
                at,
                first,
                last,
            })
        }
    }

    /// Closes `shard` and opens two children that divide its range at `at`, a [`StreamMeta::split_point`].
    pub(crate) fn split(mut self, shard: u32, at: u128, closing: Closing) -> Result<Self, ReshardError> {
        let at = self.split_point(shard, Some(at))?;
        let (first, last) = self.open(shard)?.range;
        self.room_for(2)?;
        self.close(shard, closing);
        let floor = Floor {
            offset: 0,
            arrival: closing.arrival,
        };
        self.add((first, at - 1), (shard, None), floor);
        self.add((at, last), (shard, None), floor);
        self.row.revision += 1;
        Ok(self)
    }

    /// The range that two open neighbours cover together.
    pub(crate) fn merged_range(&self, shard: u32, adjacent: u32) -> Result<HashRange, ReshardError> {
        let (a, b) = (self.open(shard)?.range, self.open(adjacent)?.range);
        match (a.1.checked_add(1) == Some(b.0), b.1.checked_add(1) == Some(a.0)) {
            (true, _) => Ok((a.0, b.1)),
            (_, true) => Ok((b.0, a.1)),
            _ => Err(ReshardError::NotAdjacent(shard_id(shard), shard_id(adjacent))),
        }
    }

    /// Closes two neighbours and opens one shard with both ranges.
    pub(crate) fn merge(
        mut self,
        (shard, closing): (u32, Closing),
        (adjacent, adjacent_closing): (u32, Closing),
    ) -> Result<Self, ReshardError> {
        let range = self.merged_range(shard, adjacent)?;
        self.room_for(1)?;
        self.close(shard, closing);
        self.close(adjacent, adjacent_closing);
        let floor = Floor {
            offset: 0,
            arrival: closing.arrival.max(adjacent_closing.arrival),
        };
        self.add(range, (shard, Some(adjacent)), floor);
        self.row.revision += 1;
        Ok(self)
    }

    fn open(&self, index: u32) -> Result<&ShardMeta, ReshardError> {
        self.shard(index)
            .filter(|s| s.closed.is_none())
            .ok_or_else(|| ReshardError::Closed(shard_id(index)))
    }

    /// Whether `more` shards may be added.
    pub(crate) fn room_for(&self, more: usize) -> Result<(), ReshardError> {
        let kept = self.shards.len();
        if kept + more <= MAX_SHARDS_KEPT {
            Ok(())
        } else {
            Err(ReshardError::TooMany(kept))
        }
    }

    fn close(&mut self, index: u32, closing: Closing) {
        if let Some(shard) = self.shard_mut(index) {
            shard.closed = Some(Closed {
                at: closing.at,
                end: closing.end,
            });
            shard.floor = shard.floor.max(Floor {
                offset: closing.end,
                arrival: closing.arrival,
            });
        }
    }

    fn add(&mut self, range: HashRange, (parent, adjacent_parent): (u32, Option<u32>), floor: Floor) {
        let index = self.row.next_shard;
        self.row.next_shard += 1;
        let parent = Some(parent);
        self.shards.push(ShardMeta {
            index,
            range,
            parent,
            adjacent_parent,
            closed: None,
            floor,
            trimmed: 0,
        });
    }
}

/// What is known of a shard when it is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    pub(crate) at: Wall,
    /// The offset after its last record.
    pub(crate) end: u64,
    /// The arrival of its last record, which its children must not fall below.
    pub(crate) arrival: Wall,
}

/// A range of 128-bit numbers as decimal text.
mod as_text {
    use super::HashRange;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(range: &HashRange, s: S) -> Result<S::Ok, S::Error> {
        (range.0.to_string(), range.1.to_string()).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<HashRange, D::Error> {
        let (first, last) = <(String, String)>::deserialize(d)?;
        Ok((
            first.parse().map_err(D::Error::custom)?,
            last.parse().map_err(D::Error::custom)?,
        ))
    }
}

#[cfg(test)]
#[path = "meta_tests.rs"]
mod tests;
