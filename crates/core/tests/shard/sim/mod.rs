//! A seeded simulation: owners of shards over a stream and a journal in memory, with everything that can go wrong
//! going wrong, and every invariant judged after every event.
//!
//! `MILLSTREAM_SEED=n` replays one seed and prints its events; `MILLSTREAM_SEEDS=n` sets how many seeds run.

mod chaos;
mod function;
mod owners;
mod plan;
mod windows;
mod world;

use world::{Summary, World};

const SEEDS: u64 = 400;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed; what broke, with how to see it again.
fn run(seed: u64, print: bool) -> Result<Summary, String> {
    let mut world = World::new(seed, print);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let result = result.unwrap_or_else(|_| Err("panicked".to_owned()));
    result.map_err(|e| format!("seed {seed}: {e}\n  replay: MILLSTREAM_SEED={seed} cargo test -p millstream-core --test shard sim"))
}

#[test]
fn every_invariant_holds_for_every_seed() {
    if let Some(seed) = from_env("MILLSTREAM_SEED") {
        match run(seed, true) {
            Ok(summary) => eprintln!("seed {seed}: {summary:?}"),
            Err(e) => panic!("{e}"),
        }
        return;
    }
    let mut all = Summary::default();
    let mut broken = Vec::new();
    for seed in 0..from_env("MILLSTREAM_SEEDS").unwrap_or(SEEDS) {
        match run(seed, false) {
            Ok(summary) => all.add(&summary),
            Err(e) => broken.push(e),
        }
    }
    assert!(
        broken.is_empty(),
        "{} seeds failed, the first:\n{}",
        broken.len(),
        broken[..broken.len().min(5)].join("\n")
    );
    eprintln!("{all:?}");
    all.assert_everything_happened();
}

#[test]
fn one_seed_always_gives_one_history() {
    for seed in 1_000..1_010 {
        let [a, b] = [0, 1].map(|_| run(seed, false).unwrap_or_else(|e| panic!("{e}")));
        assert_eq!(a.log_hash, b.log_hash, "seed {seed}");
        assert_ne!(
            a.log_hash,
            run(seed + 1_000, false)
                .unwrap_or_else(|e| panic!("{e}"))
                .log_hash
        );
    }
}
