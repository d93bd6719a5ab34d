//! When to ask for the list of shards: at once after the end of a shard, a few times more soon after, because lists
//! tell of children late, and now and then in any case. Pure.

use millstream_types::Mono;
use std::time::Duration;

/// The first wait after a shard ended; it doubles.
const SOON: Duration = Duration::from_secs(1);

/// The looks of one mapping at its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looks {
    every: Duration,
    next_wait: Duration,
    /// How many ends of shards were known at the last look.
    seen: u64,
}

impl Looks {
    /// For a mapping that has just looked, when so many shards had ended.
    pub(crate) fn new(every: Duration, seen: u64) -> Self {
        Self {
            every,
            next_wait: every,
            seen,
        }
    }

    /// When to look again, `now` that so many shards ended; none for at once.
    pub(crate) fn next(&self, now: Mono, ended: u64) -> Option<Mono> {
        (ended == self.seen).then(|| now.plus(self.next_wait))
    }

    /// It is time to look, after so many ends of shards.
    pub(crate) fn looked(&mut self, ended: u64) {
        self.next_wait = if ended == self.seen {
            self.next_wait.saturating_mul(2).min(self.every)
        } else {
            SOON.min(self.every)
        };
        self.seen = ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_looked_at_at_once_and_soon_after_again() {
        let mut looks = Looks::new(Duration::from_secs(10), 0);
        let wait = |looks: &Looks, ended| looks.next(Mono(0), ended).map(|at| at.since(Mono(0)).as_secs());
        assert_eq!((wait(&looks, 0), wait(&looks, 1)), (Some(10), None));
        looks.looked(1);
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(wait(&looks, 1).unwrap());
            looks.looked(1);
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(wait(&looks, 2), None);
    }
}
