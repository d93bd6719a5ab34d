//! What a seed decides beforehand: the mapping's settings, the queue's, and how often things go wrong.

use crate::rig::{fifo, mapping, standard};
use millstream_core::queue::{QueueConfig, QueueLimits};
use millstream_testkit::Rng;
use millstream_types::MappingSpec;
use std::time::Duration;

/// How often, in so many of a thousand cases.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// The function throws.
    pub error: u64,
    /// It reports single messages.
    pub partial: u64,
    pub throttle: u64,
    /// A message that it never accepts.
    pub poison: u64,
    /// A message too long for an event.
    pub oversized: u64,
    /// A worker dies over an attempt.
    pub fault: u64,
    /// A receive fails.
    pub receive_error: u64,
    /// The answer of a receive is lost.
    pub receive_lost: u64,
    /// Its answer is slow.
    pub receive_slow: u64,
    /// A standard queue hands out a message that is hidden.
    pub duplicate: u64,
    /// One entry of a call is refused.
    pub entry_error: u64,
    /// A call of deletes or visibility is never answered.
    pub call_lost: u64,
}

/// A seed's settings.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: MappingSpec,
    pub visibility: u64,
    pub max_receives: Option<u32>,
    pub groups: u64,
    pub rates: Rates,
    /// Chaos and senders end after so many seconds.
    pub seconds: u64,
    /// Longest pause between two sends, in ms.
    pub send_every_ms: u64,
    /// Longest run of the function, in ms.
    pub call_ms: u64,
    /// Longest pause between two acts of chaos, in ms.
    pub chaos_every_ms: u64,
    /// Longest way of a call to the queue, in ms.
    pub way_ms: u64,
    pub limits: QueueLimits,
}

impl Plan {
    pub fn of(rng: &mut Rng) -> Self {
        let is_fifo = rng.per_mille(500);
        let spec = Self::settings(is_fifo, rng);
        let visibility = *rng.pick(&[2, 5, 10, 30, 120]).unwrap();
        let max_receives = rng.per_mille(500).then(|| rng.between(3, 8) as u32);
        let mut rate = |most: u64| {
            if rng.per_mille(300) {
                0
            } else {
                rng.between(0, 2 * most)
            }
        };
        let rates = Rates {
            error: rate(80),
            partial: rate(150),
            throttle: rate(100),
            poison: if max_receives.is_some() { rate(30) } else { 0 },
            // Nothing but the dead-letter queue ends such a message.
            oversized: if max_receives.is_some() && visibility <= 10 {
                rate(20)
            } else {
                0
            },
            fault: rate(20),
            receive_error: rate(50),
            receive_lost: rate(20),
            receive_slow: rate(100),
            duplicate: if is_fifo { 0 } else { rate(50) },
            entry_error: rate(50),
            call_lost: rate(30),
        };
        let limits = QueueLimits {
            held_messages: *rng.pick(&[15, 40, 100_000]).unwrap(),
            held_bytes: *rng.pick(&[30_000, 1 << 28]).unwrap(),
            event_bytes: rng.between(3_000, 8_000) as usize,
        };
        Self {
            spec,
            visibility,
            max_receives,
            groups: rng.between(1, 6),
            rates,
            seconds: rng.between(20, 240),
            send_every_ms: rng.between(100, 2_000),
            call_ms: *rng.pick(&[0, 50, 1_000, 8_000]).unwrap(),
            chaos_every_ms: *rng.pick(&[2_000, 10_000, 40_000]).unwrap(),
            way_ms: *rng.pick(&[0, 5, 300]).unwrap(),
            limits,
        }
    }

    /// Settings of a mapping; also what it is changed to while it runs.
    pub fn settings(is_fifo: bool, rng: &mut Rng) -> MappingSpec {
        let change = |s: &mut MappingSpec| {
            s.batch_size = rng.between(1, 10) as u32;
            if !is_fifo && rng.per_mille(400) {
                s.batching_window_seconds = rng.between(1, 5) as u32;
                s.batch_size = rng.between(1, 25) as u32;
            }
            s.report_batch_item_failures = rng.per_mille(500);
            s.maximum_concurrency = rng.per_mille(500).then(|| rng.between(2, 6) as u32);
        };
        if is_fifo { fifo(change) } else { standard(change) }
    }

    pub fn config(&self, generation: u64) -> QueueConfig {
        let mut config = QueueConfig::new(
            mapping(),
            generation,
            &self.spec,
            Duration::from_secs(self.visibility),
        );
        config.limits = self.limits;
        config
    }
}
