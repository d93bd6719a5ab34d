//! Tumbling windows in the actor tree: every record is in the state with which exactly one window ends, through
//! failures, restarts, power losses, resharding and changes of the setting.

use crate::world::{World, eventually};
use millstream_core::mapping_state::MappingState;
use millstream_testkit::{Behaviour, Fault, Script, ScriptedFunction};
use millstream_types::{Invocation, Mapping, MappingId, Payload, Wall, WindowEnvelope};

const BEGIN: u64 = 1_000_000;
/// Seconds after the beginning that the clock does not reach in a test: no window of that time is closed for idleness.
const FAR: u64 = 1_000_000;

/// Puts records that arrive so many s after the beginning.
fn put(world: &World, at: u64, names: &[&str]) {
    world.stream.set_time(Wall(BEGIN + at * 1_000));
    for name in names {
        world.stream.put(name.as_bytes(), name.as_bytes());
    }
}

fn windowed(world: &World, seconds: u32) -> Mapping {
    world.register("f");
    world.map("m", "f", |s| {
        s.tumbling_window_seconds = seconds;
        s.batch_size = 2;
        s.report_batch_item_failures = true;
    })
}

/// The calls of a mapping that end a window: shard, window, and the payloads in its state.
fn ends(world: &World, mapping: MappingId) -> Vec<(String, WindowEnvelope, Vec<String>)> {
    let of = |call: Invocation| {
        let lease = call.lease.filter(|l| l.mapping == mapping)?;
        let window = call.window.filter(|w| w.is_final)?;
        let Payload::Records(records) = call.payload else {
            panic!("asked for records")
        };
        assert!(records.as_slice().is_empty());
        let state = String::from_utf8(window.state.to_vec()).unwrap();
        let parts = state.trim_matches(['[', ']', '{', '}']).split(',');
        let names = parts.map(|name| name.trim_matches('"').to_owned());
        Some((
            lease.shard.to_string(),
            window,
            names.filter(|n| !n.is_empty()).collect(),
        ))
    };
    world.function.calls().into_iter().filter_map(of).collect()
}

/// Start in s after the beginning, and records, of what ended.
fn totals(world: &World, mapping: MappingId) -> Vec<(u64, Vec<String>)> {
    let all = ends(world, mapping).into_iter();
    all.map(|(_, w, names)| ((w.start.0 - BEGIN) / 1_000, names))
        .collect()
}

fn row(start: u64, names: &[&str]) -> (u64, Vec<String>) {
    (start, names.iter().map(|n| (*n).to_owned()).collect())
}

async fn ended(world: &World, mapping: MappingId, expect: &[(u64, Vec<String>)]) {
    eventually("the windows ended", || {
        let got = totals(world, mapping);
        if got == expect {
            Ok(())
        } else {
            Err(format!("{got:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_window_ends_once_with_all_its_records_whatever_fails() {
    let script = Script::new()
        .with("b", Behaviour::Times(2, Fault::Error))
        .with("d", Behaviour::Times(1, Fault::Report))
        .with("e", Behaviour::Times(1, Fault::Throttle(None)));
    let world = World::new(1, ScriptedFunction::new(script));
    let mapping = windowed(&world, 10);
    put(&world, 0, &["a", "b", "c"]);
    put(&world, 9, &["d"]);
    put(&world, 10, &["e", "f"]);
    let node = world.node().await;
    ended(
        &world,
        mapping.id,
        &[row(0, &["a", "b", "c", "d"]), row(10, &["e", "f"])],
    )
    .await;
    node.until(mapping.id, "all done", |s| s.counters.records_done == 6)
        .await;
    node.stop().await;
    assert_eq!(totals(&world, mapping.id).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_survives_restarts_and_power_losses_with_its_position() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    let mapping = windowed(&world, 900);
    let mut names: Vec<String> = Vec::new();
    for round in 0..6 {
        let new: Vec<String> = (0..5).map(|n| format!("r{round}-{n}")).collect();
        put(
            &world,
            FAR + round,
            &new.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        names.extend(new);
        let node = world.node().await;
        let total = names.len();
        eventually("all were seen", || {
            let seen: std::collections::BTreeSet<String> = world.seen(mapping.id).into_iter().collect();
            (seen.len() == total)
                .then_some(())
                .ok_or_else(|| format!("{} of {total}", seen.len()))
        })
        .await;
        if round % 2 == 0 {
            // As if the process had died, and some of what it wrote with it.
            drop(node);
            world.journal.lose_power();
        } else {
            node.stop().await;
        }
    }
    let node = world.node().await;
    put(&world, FAR + 2_000, &["later"]);
    eventually("the window ended", || {
        let ends = ends(&world, mapping.id);
        let first = ends.first().ok_or("not yet")?;
        if first.2 == names {
            Ok(())
        } else {
            Err(format!("{ends:?}"))
        }
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_shard_ends_its_window_before_its_children_begin_afresh() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    let mapping = windowed(&world, 10);
    put(&world, 0, &["a", "b", "c"]);
    let parent = world.stream.change(|s, _| s.infos()[0].id.clone());
    let node = world.node().await;
    node.until(mapping.id, "the first are done", |s| s.counters.records_done == 3)
        .await;
    world.stream.change(|s, now| s.split(&parent, now).unwrap());
    put(&world, 1, &["d", "e", "f", "g"]);
    eventually("the windows of the children ended", || {
        let ends = ends(&world, mapping.id);
        let mut names: Vec<String> = ends.iter().flat_map(|e| e.2.clone()).collect();
        names.sort();
        let all = ["a", "b", "c", "d", "e", "f", "g"];
        if names == all {
            Ok(())
        } else {
            Err(format!("{ends:?}"))
        }
    })
    .await;
    node.stop().await;
    let ends = ends(&world, mapping.id);
    assert_eq!(
        (ends[0].0.as_str(), &ends[0].2[..]),
        (parent.as_str(), &["a", "b", "c"].map(str::to_owned)[..])
    );
    let end = world
        .function
        .calls()
        .iter()
        .position(|c| c.window.as_ref().unwrap().is_final);
    let calls = world.function.calls();
    let before = calls[..end.unwrap()].iter();
    assert!(
        before.clone().all(|c| c.lease.as_ref().unwrap().shard == parent),
        "children wait for the end of their parent's window"
    );
    let first_of_child = calls
        .iter()
        .find(|c| c.lease.as_ref().unwrap().shard != parent)
        .unwrap();
    assert_eq!(first_of_child.window.as_ref().unwrap().state, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_switched_off_and_on_while_a_mapping_runs() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    let mapping = windowed(&world, 10);
    put(&world, FAR, &["a"]);
    let node = world.node().await;
    node.until(mapping.id, "done", |s| s.counters.records_done == 1)
        .await;
    let mapping = world.change(mapping, |m| {
        m.spec.tumbling_window_seconds = 0;
        m.spec.parallelization_factor = 4;
    });
    ended(&world, mapping.id, &[row(FAR, &["a"])]).await;
    put(&world, FAR + 1, &["b", "c"]);
    eventually("the rest was seen", || {
        let seen = world.seen(mapping.id);
        let outside = world
            .function
            .calls()
            .iter()
            .filter(|c| c.window.is_none())
            .count();
        (seen.len() >= 3 && outside > 0)
            .then_some(())
            .ok_or(format!("{seen:?}"))
    })
    .await;
    let mapping = world.change(mapping, |m| {
        m.spec.tumbling_window_seconds = 10;
        m.spec.parallelization_factor = 1;
    });
    node.until(mapping.id, "taken up", |s| {
        s.state == MappingState::Active && s.observed_generation == mapping.generation
    })
    .await;
    put(&world, FAR + 20, &["d"]);
    put(&world, FAR + 30, &["e"]);
    eventually("windows end again", || {
        let got = totals(&world, mapping.id);
        (got.get(1) == Some(&row(FAR + 20, &["d"])))
            .then_some(())
            .ok_or_else(|| format!("{got:?}"))
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_window_is_seen_from_outside_running_and_paused() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    let mapping = windowed(&world, 900);
    put(&world, FAR, &["a"]);
    let node = world.node().await;
    node.until(mapping.id, "done", |s| s.counters.records_done == 1)
        .await;
    let open = node.live.shards(mapping.id).await[0].window.unwrap();
    assert_eq!(
        (open.start, open.end, open.state_bytes),
        (Wall(1_000_800_000), Wall(1_001_700_000), 5)
    );
    let mapping = world.change(mapping, |m| m.desired = millstream_types::Desired::Paused);
    node.until(mapping.id, "paused", |s| s.state == MappingState::Paused)
        .await;
    assert_eq!(node.live.shards(mapping.id).await[0].window, Some(open));
    node.stop().await;
}
