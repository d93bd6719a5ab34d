//! Filters of a mapping of a stream through the whole tree: what is not wanted is done, counted or kept, and a change
//! takes effect on what runs, over stops and starts.

use crate::world::{Running, World, eventually};
use millstream_engine::Shutdown;
use millstream_ports::Discards;
use millstream_testkit::{Script, ScriptedFunction};
use millstream_types::durable::DiscardCondition;
use millstream_types::{FilterCriteria, Mapping, MappingSpec, OnUnmatched};
use std::collections::BTreeSet;

fn wanting(kind: &'static str) -> impl Fn(&mut MappingSpec) {
    move |s| {
        s.filter_criteria = FilterCriteria {
            filters: vec![format!(r#"{{"data":{{"kind":["{kind}"]}}}}"#)],
            ..FilterCriteria::default()
        };
    }
}

/// Puts records of kind `a` and `b` in turn.
fn put(world: &World, from: usize, to: usize) {
    for n in from..to {
        let kind = ["a", "b"][n % 2];
        let data = format!(r#"{{"kind":"{kind}","n":{n}}}"#);
        world
            .stream
            .put(format!("key-{}", n % 7).as_bytes(), data.as_bytes());
    }
}

async fn all_read(node: &Running, mapping: &Mapping, read: u64, filtered: u64) {
    node.until(mapping.id, "all is read and done", |s| {
        let c = s.counters;
        c.records_read == read && c.records_filtered == filtered && c.records_done == read - filtered
    })
    .await;
}

fn kinds(world: &World, mapping: &Mapping) -> (usize, usize) {
    let seen = world.seen(mapping.id);
    let of = |kind: &str| seen.iter().filter(|s| s.contains(kind)).count();
    (of(r#""a""#), of(r#""b""#))
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_take_effect_on_what_runs_and_nothing_is_repeated() {
    let world = World::new(2, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |s| {
        wanting("a")(s);
        s.parallelization_factor = 3;
    });
    let node = world.node().await;
    put(&world, 0, 200);
    all_read(&node, &mapping, 200, 100).await;
    assert_eq!(kinds(&world, &mapping), (100, 0));

    let mapping = world.change(mapping, |m| wanting("b")(&mut m.spec));
    node.until(mapping.id, "the change runs", |s| {
        s.observed_generation == mapping.generation
    })
    .await;
    put(&world, 200, 300);
    all_read(&node, &mapping, 300, 150).await;
    assert_eq!(kinds(&world, &mapping), (100, 50), "nothing again, nothing late");

    let mapping = world.change(mapping, |m| m.spec.filter_criteria = FilterCriteria::default());
    node.until(mapping.id, "the filters are gone", |s| {
        s.observed_generation == mapping.generation
    })
    .await;
    put(&world, 300, 400);
    all_read(&node, &mapping, 400, 150).await;
    assert_eq!(kinds(&world, &mapping), (150, 100));
    assert_eq!(node.stop().await, Shutdown::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_while_records_come_lose_nothing_that_both_filters_want() {
    let world = World::new(2, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mut mapping = world.map("m", "f", |_| {});
    let node = world.node().await;
    for round in 0..10 {
        put(&world, round * 50, round * 50 + 50);
        // Every version wants kind `a`; only every other wants `b`.
        mapping = world.change(mapping, |m| match round % 2 {
            0 => wanting("a")(&mut m.spec),
            _ => m.spec.filter_criteria = FilterCriteria::default(),
        });
    }
    eventually("all of kind a were seen", || {
        let seen: BTreeSet<String> = world.seen(mapping.id).into_iter().collect();
        let n = seen.iter().filter(|s| s.contains(r#""a""#)).count();
        (n == 250).then_some(()).ok_or_else(|| n.to_string())
    })
    .await;
    assert_eq!(kinds(&world, &mapping).0, 250, "each once");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_position_moves_on_where_nothing_is_wanted() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", wanting("c"));
    let node = world.node().await;
    put(&world, 0, 100);
    all_read(&node, &mapping, 100, 100).await;
    node.stop().await;
    let node = world.node().await;
    put(&world, 100, 110);
    all_read(&node, &mapping, 10, 10).await;
    assert!(world.seen(mapping.id).is_empty());
    assert!(world.journal.list(mapping.id, None, 10).await.unwrap().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_quarantined_can_be_listed() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |s| {
        wanting("a")(s);
        s.batch_size = 10;
        s.filter_criteria.on_unmatched = OnUnmatched::Quarantine;
    });
    let node = world.node().await;
    put(&world, 0, 100);
    all_read(&node, &mapping, 100, 50).await;
    node.stop().await;
    let kept = world.journal.list(mapping.id, None, 100).await.unwrap();
    assert!(
        kept.iter()
            .all(|d| d.condition == DiscardCondition::FilteredOut && d.records <= 10)
    );
    let mut numbers = Vec::new();
    for discard in &kept {
        let event: serde_json::Value = serde_json::from_slice(&discard.payload).unwrap();
        for record in event["Records"].as_array().unwrap() {
            let data = record["kinesis"]["data"].as_str().unwrap();
            let data = base64_simd::STANDARD.decode_to_vec(data).unwrap();
            let data: serde_json::Value = serde_json::from_slice(&data).unwrap();
            assert_eq!(data["kind"], "b");
            numbers.push(data["n"].as_u64().unwrap());
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).filter(|n| n % 2 == 1).collect::<Vec<_>>());
}
