//! When a shard may be asked again: the quotas of a shard hold for all mappings of the process together, so the
//! pace belongs to the shard, not to its readers.

mod idle;

pub(crate) use idle::Idle;

use millstream_ports::Clock;
use millstream_types::Mono;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first wait after a throttle; it doubles up to [`LONGEST_BACK_OFF`].
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(8);
/// Bytes may be read ahead of the rate by so much time.
const BURST: Duration = Duration::from_secs(1);

/// What one shard allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Most calls within `per`.
    pub(crate) calls: usize,
    /// The span that `calls` counts in. A little longer than the service's second: calls that left evenly may
    /// arrive closer together.
    pub(crate) per: Duration,
    /// Bytes per second that all readers get together; 0 if the service sets no such bound.
    pub(crate) bytes_per_second: u64,
}

/// The pace of one shard: pure, and told the time.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    quota: Quota,
    /// When the last calls were made, or will be: turns are given out ahead of their time.
    turns: VecDeque<Mono>,
    /// When what was read is paid for.
    paid_at: Mono,
    /// No call before, after a throttle.
    closed_until: Mono,
    throttles: u32,
}

impl Pace {
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            quota,
            turns: VecDeque::with_capacity(quota.calls),
            paid_at: Mono(0),
            closed_until: Mono(0),
            throttles: 0,
        }
    }

    /// The next turn: when one call may be made. The turn is taken, whether or not the call is made.
    pub(crate) fn turn(&mut self, now: Mono) -> Mono {
        let mut at = now.max(self.closed_until).max(before(self.paid_at, BURST));
        if let Some(last) = self.turns.back() {
            at = at.max(*last);
        }
        if self.turns.len() >= self.quota.calls.max(1)
            && let Some(first) = self.turns.pop_front()
        {
            at = at.max(first.plus(self.quota.per));
        }
        self.turns.push_back(at);
        at
    }

    /// A call returned so many bytes.
    pub(crate) fn answered(&mut self, now: Mono, bytes: usize) {
        self.throttles = 0;
        if self.quota.bytes_per_second == 0 {
            return;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.quota.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now).plus(cost);
    }

    /// A call was throttled. Another reader of the same shard, in this process or not, took the quota.
    pub(crate) fn throttled(&mut self, now: Mono) {
        let wait = FIRST_BACK_OFF
            .saturating_mul(1 << self.throttles.min(8))
            .min(LONGEST_BACK_OFF);
        self.throttles = self.throttles.saturating_add(1);
        self.closed_until = self.closed_until.max(now.plus(wait));
    }
}

fn before(at: Mono, by: Duration) -> Mono {
    Mono(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

/// The paces of one shard: reading and making iterators have quotas of their own.
#[derive(Debug)]
pub(crate) struct ShardPace {
    reads: Mutex<Pace>,
    iterators: Mutex<Pace>,
}

impl ShardPace {
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self {
            reads: Mutex::new(Pace::new(quotas.reads)),
            iterators: Mutex::new(Pace::new(quotas.iterators)),
        }
    }

    /// Waits for the turn to read.
    pub(crate) async fn turn_to_read(&self, clock: &dyn Clock) {
        let at = lock(&self.reads).turn(clock.now().mono);
        clock.sleep_until(at).await;
    }

    /// Waits for the turn to make an iterator.
    pub(crate) async fn turn_to_iterate(&self, clock: &dyn Clock) {
        let at = lock(&self.iterators).turn(clock.now().mono);
        clock.sleep_until(at).await;
    }

    pub(crate) fn read(&self, now: Mono, bytes: usize) {
        lock(&self.reads).answered(now, bytes);
    }

    pub(crate) fn read_throttled(&self, now: Mono) {
        lock(&self.reads).throttled(now);
    }

    pub(crate) fn iterator_made(&self, now: Mono) {
        lock(&self.iterators).answered(now, 0);
    }

    pub(crate) fn iterator_throttled(&self, now: Mono) {
        lock(&self.iterators).throttled(now);
    }
}

/// What a service allows per shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quotas {
    pub(crate) reads: Quota,
    pub(crate) iterators: Quota,
}

/// Nothing that is guarded here can be left half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
