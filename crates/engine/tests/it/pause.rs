//! A pause holds from its answer on, not from when the engine hears of it. Here the engine's watch of the catalog is
//! mute until the test lets it hear, so that only what the answer itself brought about can hold attempts back.

use crate::world::{Running, World, eventually};
use millstream_core::mapping_state::MappingState;
use millstream_engine::view::{LaneInspection, MappingView};
use millstream_testkit::{Script, ScriptedFunction};
use millstream_types::{Desired, Mapping, MappingId, MappingName, Namespace};
use std::time::Duration;

const SHARDS: u32 = 2;

/// A node with a mapping `m` that has handled `n` records, and nothing in flight.
async fn idle_after(n: usize) -> (World, Running, Mapping) {
    let world = World::new(SHARDS, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |s| s.parallelization_factor = 3);
    let node = world.node().await;
    put(&world, 0, n);
    all_done(&node, mapping.id, n as u64).await;
    (world, node, mapping)
}

fn put(world: &World, from: usize, to: usize) {
    for n in from..to {
        world
            .stream
            .put(format!("key-{}", n % 16).as_bytes(), format!("r{n}").as_bytes());
    }
}

async fn all_done(node: &Running, mapping: MappingId, n: u64) {
    node.until(mapping, "all done", |s| s.counters.records_done == n)
        .await;
}

fn names() -> (Namespace, MappingName) {
    (Namespace::default(), MappingName::new("m").unwrap())
}

async fn pause(world: &World, node: &Running) -> MappingView {
    let (namespace, name) = names();
    let manager = node.manager(world);
    manager.pause_mapping(&namespace, &name, None).await.unwrap()
}

async fn resume(world: &World, node: &Running) -> MappingView {
    let (namespace, name) = names();
    let manager = node.manager(world);
    manager.resume_mapping(&namespace, &name, None).await.unwrap()
}

/// Returns once a batch of every shard has been ordered and turned away, for all shards have one that does not run.
async fn turned_away(world: &World, node: &Running, mapping: MappingId, seen: usize) {
    for _ in 0..5_000 {
        assert_eq!(
            world.seen(mapping).len(),
            seen,
            "an attempt started behind the answer"
        );
        let waits = |l: &LaneInspection| l.batch.as_ref().is_some_and(|b| !b.in_flight);
        let runs = |l: &LaneInspection| l.batch.as_ref().is_some_and(|b| b.in_flight);
        let shards = node.live.shards(mapping).await;
        let held = |lanes: &[LaneInspection]| lanes.iter().any(waits) && !lanes.iter().any(runs);
        if shards.len() == SHARDS as usize && shards.iter().all(|s| held(&s.lanes)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("no batch waits: {:?}", node.live.shards(mapping).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_from_the_answer_on() {
    let (world, node, mapping) = idle_after(40).await;
    world.catalog.mute();
    let view = pause(&world, &node).await;
    assert_eq!(view.status.state, MappingState::Pausing);
    let before = node.live.status(mapping.id);
    assert_eq!(
        before.state,
        MappingState::Active,
        "the engine has not heard of it"
    );
    put(&world, 40, 120);
    turned_away(&world, &node, mapping.id, 40).await;
    // The clock jumps from deadline to deadline: what is held is tried again and again meanwhile.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(
            world.seen(mapping.id).len(),
            40,
            "an attempt started behind the answer"
        );
    }
    let status = node.live.status(mapping.id);
    assert_eq!(status.counters.throttles, 0, "what is held is no throttle");
    assert_eq!(status.counters.failures, 0);
    let ledger = world.journal.state().ledger().len();

    world.catalog.unmute();
    node.until(mapping.id, "paused", |s| s.state == MappingState::Paused)
        .await;
    assert_eq!(world.seen(mapping.id).len(), 40);
    assert_eq!(
        node.live.status(mapping.id).counters.attempts,
        before.counters.attempts
    );
    assert_eq!(
        world.journal.state().ledger().len(),
        ledger,
        "and leaves no history"
    );

    resume(&world, &node).await;
    all_done(&node, mapping.id, 120).await;
    assert_eq!(
        world.seen(mapping.id).len(),
        120,
        "nothing was lost or done twice"
    );
    assert!(
        world.function.calls().iter().all(|c| c.attempt == 1),
        "no attempt was spent"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_of_the_pause_can_rely_on_it() {
    type Tell = fn(&World, &Running) -> futures::future::BoxFuture<'static, MappingState>;
    let (namespace, name) = names();
    let again: Tell = |world, node| {
        let manager = node.manager(world);
        Box::pin(async move {
            let (namespace, name) = names();
            let view = manager.pause_mapping(&namespace, &name, None).await.unwrap();
            view.status.state
        })
    };
    let get: Tell = |world, node| {
        let manager = node.manager(world);
        Box::pin(async move {
            let (namespace, name) = names();
            manager.mapping(&namespace, &name).await.unwrap().status.state
        })
    };
    let list: Tell = |world, node| {
        let manager = node.manager(world);
        Box::pin(async move {
            let all = manager.mappings(&Namespace::default(), None, 10).await.unwrap();
            all.items[0].status.state
        })
    };
    for tell in [again, get, list] {
        let (world, node, mapping) = idle_after(20).await;
        world.catalog.mute();
        // Stored by a call that has not been answered yet.
        let stored = world.change(mapping.clone(), |m| m.desired = Desired::Paused);
        assert_eq!((&stored.namespace, &stored.name), (&namespace, &name));
        assert_eq!(tell(&world, &node).await, MappingState::Pausing);
        put(&world, 20, 100);
        turned_away(&world, &node, mapping.id, 20).await;
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_starts_nothing_either() {
    let (world, node, mapping) = idle_after(40).await;
    world.catalog.mute();
    let (namespace, name) = names();
    let manager = node.manager(&world);
    let view = manager
        .delete_mapping(&namespace, &name, None, false)
        .await
        .unwrap();
    assert_eq!(view.status.state, MappingState::Deleting);
    put(&world, 40, 120);
    turned_away(&world, &node, mapping.id, 40).await;
    world.catalog.unmute();
    eventually("it is gone", || {
        (!world.catalog.has(&name)).then_some(()).ok_or_else(String::new)
    })
    .await;
    assert_eq!(world.seen(mapping.id).len(), 40);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_that_the_engine_hears_of_late_with_its_pause_ends_open() {
    let (world, node, mapping) = idle_after(40).await;
    world.catalog.mute();
    pause(&world, &node).await;
    let resumed = resume(&world, &node).await.mapping;
    put(&world, 40, 120);
    world.catalog.unmute();
    all_done(&node, mapping.id, 120).await;
    node.until(mapping.id, "active", |s| {
        s.state == MappingState::Active && s.observed_generation == resumed.generation
    })
    .await;
    assert_eq!(world.seen(mapping.id).len(), 120);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_that_the_engine_hears_of_late_does_not_open_a_newer_pause() {
    let (world, node, mapping) = idle_after(40).await;
    world.catalog.mute();
    pause(&world, &node).await;
    resume(&world, &node).await;
    let newest = pause(&world, &node).await.mapping;
    put(&world, 40, 120);
    world.catalog.unmute();
    node.until(mapping.id, "paused", |s| {
        s.state == MappingState::Paused && s.observed_generation == newest.generation
    })
    .await;
    assert_eq!(
        world.seen(mapping.id).len(),
        40,
        "the resume was over when it was heard of"
    );
    resume(&world, &node).await;
    all_done(&node, mapping.id, 120).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_paused_before_the_engine_knows_it_starts_nothing() {
    let world = World::new(SHARDS, ScriptedFunction::new(Script::new()));
    world.register("f");
    let node = world.node().await;
    world.catalog.mute();
    let mapping = world.map("m", "f", |_| {});
    put(&world, 0, 80);
    let newest = pause(&world, &node).await.mapping;
    world.catalog.unmute();
    node.until(mapping.id, "paused", |s| {
        s.state == MappingState::Paused && s.observed_generation == newest.generation
    })
    .await;
    assert!(world.seen(mapping.id).is_empty());
    resume(&world, &node).await;
    all_done(&node, mapping.id, 80).await;
    node.stop().await;
}
