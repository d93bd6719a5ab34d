//! What a seed decides beforehand: the mapping's settings and how often things go wrong.

use crate::rig::{config, spec};
use millstream_core::shard::{Limits, ShardConfig};
use millstream_testkit::Rng;
use millstream_types::{MappingSpec, ShardId};

/// How often, in so many of a thousand cases.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub error: u64,
    pub partial: u64,
    pub throttle: u64,
    pub timeout: u64,
    pub poison: u64,
    pub oversized: u64,
    pub read_error: u64,
    pub commit_unknown: u64,
    /// Answers in a window without a state.
    pub stateless: u64,
}

/// A seed's settings.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: MappingSpec,
    pub shards: u32,
    pub rates: Rates,
    /// Chaos and producers end after so many seconds.
    pub seconds: u64,
    /// Longest pause between two puts, in ms.
    pub put_every_ms: u64,
    /// Longest run of the function, in ms.
    pub call_ms: u64,
    /// Longest pause between two acts of chaos, in ms.
    pub chaos_every_ms: u64,
    pub limits: Limits,
    /// Whether there may be tumbling windows.
    pub windows: bool,
}

impl Plan {
    pub fn of(rng: &mut Rng) -> Self {
        let batch = rng.between(1, 8) as u32;
        let retries = *rng.pick(&[-1, -1, 0, 1, 3, 10]).unwrap();
        let destination = "arn:aws:kinesis:us-east-1:000000000000:stream/failures";
        let spec = spec(|s| {
            s.batch_size = batch;
            s.batching_window_seconds = *rng.pick(&[0, 0, 0, 1, 3]).unwrap();
            s.parallelization_factor = *rng.pick(&[1, 2, 4, 4, 10]).unwrap();
            s.bisect_on_error = rng.per_mille(500);
            s.max_retry_attempts = retries;
            s.max_record_age_seconds = *rng.pick(&[-1, -1, 60]).unwrap();
            s.report_batch_item_failures = rng.per_mille(600);
            s.on_failure = rng.per_mille(700).then(|| destination.parse().unwrap());
        });
        let windows = rng.per_mille(500);
        let spec = MappingSpec {
            tumbling_window_seconds: if windows {
                *rng.pick(&[0, 1, 3, 10]).unwrap()
            } else {
                0
            },
            ..spec
        };
        let spec = match spec.tumbling_window_seconds {
            0 => spec,
            _ => MappingSpec {
                parallelization_factor: 1,
                ..spec
            },
        };
        let lane_records = (batch as usize) * rng.between(1, 3) as usize;
        let limits = Limits {
            lane_records,
            lane_bytes: rng.between(400, 20_000) as usize,
            page_records: rng.between(1, 20) as usize,
            page_bytes: rng.between(10, 5_000) as usize,
            // Window and state come on top.
            event_bytes: rng.between(900, 5_000) as usize + if windows { 800 } else { 0 },
            state_bytes: rng.between(10, 200) as usize,
        };
        let mut rate = |most: u64| {
            if rng.per_mille(300) {
                0
            } else {
                rng.between(0, 2 * most)
            }
        };
        let rates = Rates {
            error: rate(50),
            partial: rate(100),
            throttle: rate(50),
            timeout: rate(20),
            poison: rate(20),
            // A record that never fits blocks for ever where nothing ends its retries.
            oversized: if retries >= 0 { rate(10) } else { 0 },
            read_error: rate(50),
            commit_unknown: rate(20),
            stateless: rate(20),
        };
        Self {
            spec,
            shards: rng.between(1, 3) as u32,
            rates,
            seconds: rng.between(5, 60),
            put_every_ms: rng.between(20, 400),
            call_ms: *rng.pick(&[0, 5, 100, 2_000]).unwrap(),
            chaos_every_ms: *rng.pick(&[500, 3_000, 10_000]).unwrap(),
            limits,
            windows,
        }
    }

    /// The machine's settings for a shard.
    pub fn config(&self, shard: &ShardId, generation: u64) -> ShardConfig {
        let mut config = config(&self.spec, generation);
        config.identity.shard = shard.clone();
        config.limits = self.limits;
        config
    }
}
