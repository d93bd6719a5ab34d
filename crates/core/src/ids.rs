//! Ids and jitter from one seed, so that a machine needs no entropy of its own and a simulation repeats.

use millstream_types::Wall;
use millstream_types::ids::{DiscardId, RequestId};

/// A SplitMix64 sequence; the seed comes from the caller and must be new for every machine.
#[derive(Clone, Debug)]
pub(crate) struct IdSource {
    state: u64,
    salt: u64,
    /// Time and count of the last discard: milliseconds times 4,096, plus a counter.
    discarded: u64,
}

impl IdSource {
    pub(crate) fn new(seed: u128) -> Self {
        Self {
            state: seed as u64,
            salt: (seed >> 64) as u64,
            discarded: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn wide(&mut self) -> u128 {
        let high = self.next() ^ self.salt;
        (u128::from(high) << 64) | u128::from(self.next())
    }

    pub(crate) fn request(&mut self) -> RequestId {
        RequestId::from_random(self.wide())
    }

    /// A version 7 UUID: the store keeps discards, and sends their documents, in the order of their ids. That is
    /// by time, and within a millisecond in the order in which the shard gave records up.
    pub(crate) fn discard(&mut self, at: Wall) -> DiscardId {
        self.discarded = (at.0 << 12).max(self.discarded + 1);
        let (millis, count) = (
            u128::from(self.discarded >> 12),
            u128::from(self.discarded & 0xfff),
        );
        let random = self.wide() & ((1 << 62) - 1);
        DiscardId::from_bits((millis << 80) | (0x7 << 76) | (count << 64) | (0x2 << 62) | random)
    }

    /// In `0.0..1.0`.
    pub(crate) fn jitter(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_ids_differ() {
        let (mut a, mut b) = (IdSource::new(7), IdSource::new(7));
        assert_eq!(a.request(), b.request());
        assert_ne!(a.request(), a.request());
        assert!((0..1000).all(|_| (0.0..1.0).contains(&a.jitter())));
    }

    #[test]
    fn discards_sort_by_time_and_then_by_the_order_of_the_shard() {
        let (mut ids, mut other) = (IdSource::new(1), IdSource::new(2));
        let made: Vec<_> = [1999, 2000, 2000, 2000, 1998]
            .map(|at| ids.discard(Wall(at)))
            .into();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert!(made[0] < other.discard(Wall(2000)) && other.discard(Wall(2001)) > made[4]);
        assert!(made.iter().all(|id| id.0.get_version_num() == 7));
        assert!(made.iter().all(|id| id.0.get_variant() == uuid::Variant::RFC4122));
    }
}
