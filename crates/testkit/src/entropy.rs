//! Chance that repeats.

use millstream_ports::Entropy;
use std::sync::{Mutex, PoisonError};

/// A SplitMix64 sequence with the few draws that simulations need.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 128 random bits.
    pub fn next_u128(&mut self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }

    /// A number from `low` up to and including `high`; `low` if the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low {
            low
        } else {
            low + self.next_u64() % (high - low + 1)
        }
    }

    /// An index below `len`; 0 if that is 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.between(0, (len as u64).saturating_sub(1)) as usize
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&mut self, chance: u64) -> bool {
        self.between(1, 1_000) <= chance
    }

    /// One of `items`; none if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }

    /// A number between `low` and `high` whose logarithm is uniform: as often between 20 and 40 as between 2,000
    /// and 4,000.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        (low.ln() + unit * (high.ln() - low.ln())).exp()
    }
}

/// The [`Entropy`] port over an [`Rng`].
#[derive(Debug)]
pub struct SeededEntropy(Mutex<Rng>);

impl SeededEntropy {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_draws_stay_in_range() {
        let (mut a, b) = (Rng::new(7), SeededEntropy::new(7));
        assert_eq!(a.next_u128(), b.next_u128());
        for _ in 0..1_000 {
            assert!((3..=5).contains(&a.between(3, 5)));
            assert!((20.0..=5_000.0).contains(&a.log_uniform(20.0, 5_000.0)));
        }
        assert_eq!((a.index(0), a.between(9, 2), a.pick::<u8>(&[])), (0, 9, None));
        let hits = (0..10_000).filter(|_| a.per_mille(100)).count();
        assert!((800..1_200).contains(&hits), "{hits}");
    }
}
