//! What goes wrong around a mapping stops only what it touches, visibly, and loses nothing.

use crate::world::{Running, World, eventually};
use millstream_core::mapping_state::MappingState;
use millstream_engine::failpoint;
use millstream_ports::SourceError;
use millstream_testkit::{Behaviour, CommitFault, Fault, Script, ScriptedFunction};
use millstream_types::MappingId;
use std::collections::BTreeSet;

fn put(world: &World, from: usize, to: usize) {
    for n in from..to {
        world
            .stream
            .put(format!("key-{}", n % 5).as_bytes(), format!("r{n}").as_bytes());
    }
}

async fn all_seen(world: &World, mapping: MappingId, n: usize) {
    eventually("every record was seen", || {
        let seen: BTreeSet<String> = world.seen(mapping).into_iter().collect();
        (seen.len() == n)
            .then_some(())
            .ok_or_else(|| format!("{} of {n}", seen.len()))
    })
    .await;
}

async fn idle(node: &Running, mapping: MappingId, done: u64) {
    node.until(mapping, "all done", |s| {
        s.counters.records_done >= done && s.conditions.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_restarts_what_it_hit_and_loses_nothing() {
    let world = World::new(2, ScriptedFunction::new(Script::new()));
    world.register("f");
    let (hit, other) = (world.map("struck", "f", |_| {}), world.map("b", "f", |_| {}));
    let node = world.node().await;
    let mut n = 0;
    for place in [
        "shard_consumer.page",
        "shard_consumer.attempt",
        "batch_worker.start",
    ] {
        failpoint::configure(&format!("{place}(struck)=panic@1")).unwrap();
        put(&world, n, n + 40);
        n += 40;
        all_seen(&world, hit.id, n).await;
        all_seen(&world, other.id, n).await;
    }
    for mapping in [&hit, &other] {
        idle(&node, mapping.id, 0).await;
        node.until(mapping.id, "active", |s| s.state == MappingState::Active)
            .await;
    }
    let epochs = |shards: Vec<millstream_engine::view::ShardInspection>| {
        shards
            .iter()
            .filter_map(|s| s.lease.map(|(epoch, _)| epoch.0))
            .sum::<u64>()
    };
    let (a, b) = (
        epochs(node.live.shards(hit.id).await),
        epochs(node.live.shards(other.id).await),
    );
    // Two consumers died, and only they took a new lease: the panic of a worker costs no lease.
    assert_eq!((a, b), (2 + 2, 2));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_costs_a_lease_and_no_record() {
    let script = Script::new().with("r7", Behaviour::Times(3, Fault::Error));
    let world = World::new(1, ScriptedFunction::new(script));
    world.register("f");
    let mapping = world.map("m", "f", |s| s.batch_size = 5);
    let node = world.node().await;
    for (round, fault) in [
        CommitFault::UnknownLost,
        CommitFault::UnknownStored,
        CommitFault::Rejected,
    ]
    .into_iter()
    .enumerate()
    {
        world.journal.fail_commits([fault]);
        put(&world, round * 20, round * 20 + 20);
        all_seen(&world, mapping.id, round * 20 + 20).await;
    }
    idle(&node, mapping.id, 0).await;
    let shards = node.live.shards(mapping.id).await;
    assert_eq!(shards[0].lease.map(|(epoch, _)| epoch.0), Some(4), "{shards:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_shown_and_tried_again() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |_| {});
    let down = || SourceError::Unavailable("cable cut".to_owned());
    world.stream.fail_reads([down(), down(), down()]);
    let node = world.node().await;
    put(&world, 0, 20);
    all_seen(&world, mapping.id, 20).await;
    idle(&node, mapping.id, 20).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_function_costs_no_attempt() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    let mapping = world.map("m", "late", |s| s.max_retry_attempts = 0);
    let node = world.node().await;
    put(&world, 0, 10);
    node.until(mapping.id, "the condition", |s| {
        s.conditions.iter().any(|c| c.kind == "FunctionUnavailable")
    })
    .await;
    world.register("late");
    all_seen(&world, mapping.id, 10).await;
    node.until(mapping.id, "nothing discarded", |s| s.counters.records_done == 10)
        .await;
    assert_eq!(node.live.status(mapping.id).counters.records_discarded, 0);
    idle(&node, mapping.id, 10).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_survive_a_power_loss() {
    let script = Script::new().with("r0", Behaviour::Always(Fault::Error));
    let world = World::new(1, ScriptedFunction::new(script));
    world.register("f");
    let mapping = world.map("m", "f", |s| {
        s.max_retry_attempts = 6;
        s.batch_size = 1;
    });
    put(&world, 0, 3);
    let node = world.node().await;
    node.until(mapping.id, "some attempts", |s| s.counters.failures >= 3)
        .await;
    // Not drained: as if the process had died, and the machine with it.
    drop(node);
    world.journal.lose_power();
    let node = world.node().await;
    all_seen(&world, mapping.id, 3).await;
    node.until(mapping.id, "the rest is done", |s| s.counters.records_done >= 2)
        .await;
    let tries = world.seen(mapping.id).iter().filter(|t| *t == "r0").count();
    // Seven, and at most the one that ran when the first node was dropped once more.
    assert!((7..=8).contains(&tries), "{tries} attempts (I9)");
    node.stop().await;
}
