//! A mapping's life: records flow, it is paused, changed, removed, and a new node goes on.

use crate::world::{World, eventually};
use millstream_core::mapping_state::MappingState;
use millstream_engine::view::ShardActivity;
use millstream_engine::{DeliveryPolicy, NodeOptions, Shutdown};
use millstream_testkit::{Behaviour, Fault, Script, ScriptedFunction};
use millstream_types::durable::DeliveryEnd;
use millstream_types::{Desired, Namespace, Position, SourceArn, StreamName};
use std::collections::BTreeSet;
use std::time::Duration;

fn put(world: &World, from: usize, to: usize) {
    for n in from..to {
        world
            .stream
            .put(format!("key-{}", n % 7).as_bytes(), format!("r{n}").as_bytes());
    }
}

async fn all_seen(world: &World, mapping: millstream_types::MappingId, n: usize) {
    eventually("every record was seen", || {
        let seen: BTreeSet<String> = world.seen(mapping).into_iter().collect();
        (seen.len() == n)
            .then_some(())
            .ok_or_else(|| format!("{} of {n}", seen.len()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_flow_and_a_new_node_goes_on_where_the_old_one_stopped() {
    let world = World::new(3, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |s| s.parallelization_factor = 4);
    let node = world.node().await;
    put(&world, 0, 500);
    all_seen(&world, mapping.id, 500).await;
    node.until(mapping.id, "OK", |s| {
        s.last_processing_result == "OK" && s.counters.records_done == 500
    })
    .await;
    assert_eq!(node.stop().await, Shutdown::Drained);

    put(&world, 500, 600);
    let node = world.node().await;
    all_seen(&world, mapping.id, 600).await;
    assert_eq!(
        world.seen(mapping.id).len(),
        600,
        "a graceful stop repeats nothing (I11)"
    );
    node.until(mapping.id, "active", |s| s.state == MappingState::Active)
        .await;
    for shard in node.live.shards(mapping.id).await {
        assert_eq!(shard.activity, ShardActivity::Running, "{shard:?}");
        assert!(shard.lease.is_some_and(|(epoch, _)| epoch.0 >= 2), "{shard:?}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_while_paused_and_the_position_is_kept() {
    let world = World::new(2, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |_| {});
    let node = world.node().await;
    put(&world, 0, 50);
    all_seen(&world, mapping.id, 50).await;
    let mapping = world.change(mapping, |m| m.desired = Desired::Paused);
    node.until(mapping.id, "paused", |s| s.state == MappingState::Paused)
        .await;
    put(&world, 50, 80);
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        assert_eq!(world.seen(mapping.id).len(), 50, "a paused mapping invoked (I15)");
    }
    let shards = node.live.shards(mapping.id).await;
    assert!(
        shards.iter().all(|s| s.activity == ShardActivity::Paused),
        "{shards:?}"
    );
    assert!(
        shards.iter().all(|s| matches!(s.checkpoint, Position::After(_))),
        "{shards:?}"
    );
    let mapping = world.change(mapping, |m| m.desired = Desired::Running);
    all_seen(&world, mapping.id, 80).await;
    assert_eq!(world.seen(mapping.id).len(), 80);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_completes_without_a_source_and_without_traffic() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    let mapping = world.map("m", "f", |_| {});
    let mapping = world.change(mapping, |m| m.desired = Desired::Paused);
    let node = world.node().await;
    node.until(mapping.id, "paused", |s| s.state == MappingState::Paused)
        .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_on_what_runs() {
    let world = World::new(2, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mut mapping = world.map("m", "f", |_| {});
    let node = world.node().await;
    for (round, factor) in [3, 1, 10, 3].into_iter().enumerate() {
        put(&world, round * 40, round * 40 + 20);
        mapping = world.change(mapping, |m| m.spec.parallelization_factor = factor);
        put(&world, round * 40 + 20, round * 40 + 40);
        let generation = mapping.generation;
        node.until(mapping.id, "taken up", |s| {
            s.observed_generation == generation && s.state == MappingState::Active
        })
        .await;
        all_seen(&world, mapping.id, round * 40 + 40).await;
        let shards = node.live.shards(mapping.id).await;
        assert!(
            shards.iter().all(|s| s.lanes.len() == usize::from(factor)),
            "{factor}: {shards:?}"
        );
    }
    assert_eq!(world.seen(mapping.id).len(), 160, "a change repeats nothing");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_start_after_their_parents() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |_| {});
    let node = world.node().await;
    put(&world, 0, 30);
    world.stream.change(|s, now| {
        let parent = s.infos()[0].id.clone();
        s.split(&parent, now);
    });
    put(&world, 30, 60);
    all_seen(&world, mapping.id, 60).await;
    let seen = world.seen(mapping.id);
    let number = |t: &String| t[1..].parse::<usize>().unwrap();
    let last_of_parent = seen.iter().rposition(|t| number(t) < 30).unwrap();
    let first_of_child = seen.iter().position(|t| number(t) >= 30).unwrap();
    assert!(last_of_parent < first_of_child, "I10");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_mapping_is_forgotten() {
    let world = World::new(1, ScriptedFunction::new(Script::new()));
    world.register("f");
    let mapping = world.map("m", "f", |_| {});
    let node = world.node().await;
    put(&world, 0, 10);
    all_seen(&world, mapping.id, 10).await;
    let mapping = world.change(mapping, |m| m.desired = Desired::Deleted);
    eventually("it is gone", || {
        (!world.catalog.has(&mapping.name))
            .then_some(())
            .ok_or_else(String::new)
    })
    .await;
    assert!(world.journal.state().shards(mapping.id).is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_reach_a_destination_that_refuses_at_first() {
    let script = Script::new().with("r3", Behaviour::Always(Fault::Error));
    let world = World::new(1, ScriptedFunction::new(script));
    world.register("f");
    world.mailbox.refuse(5);
    let mapping = world.map("m", "f", |s| {
        s.bisect_on_error = true;
        s.max_retry_attempts = 1;
        s.on_failure = Some(SourceArn::local_stream(&StreamName::new("dead").unwrap()).into());
    });
    let node = world.node().await;
    put(&world, 0, 10);
    all_seen(&world, mapping.id, 10).await;
    eventually("the document came", || match world.mailbox.delivered().len() {
        1 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
    eventually("the outbox is empty", || {
        match world.journal.state().outbox().count() {
            0 => Ok(()),
            n => Err(n.to_string()),
        }
    })
    .await;
    let document = String::from_utf8(world.mailbox.delivered()[0].document.to_vec()).unwrap();
    node.until(mapping.id, "and nothing waits any more", |s| {
        s.conditions.is_empty()
    })
    .await;
    assert!(
        document.contains(r#""condition":"RetryAttemptsExhausted","approximateInvokeCount":2"#),
        "{document}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_delivered_is_given_up_and_its_discard_is_kept() {
    let script = Script::new().with("bad", Behaviour::Always(Fault::Error));
    let world = World::new(1, ScriptedFunction::new(script));
    world.register("f");
    let mapping = world.map("m", "f", |s| {
        s.max_retry_attempts = 0;
        s.on_failure = Some("arn:aws:sqs:us-east-1:000000000000:dead".parse().unwrap());
    });
    world.mailbox.refuse(u32::MAX);
    world.stream.put(b"k", b"bad");
    let for_at_most = Duration::from_secs(60);
    let node = world
        .node_with(NodeOptions {
            delivery: DeliveryPolicy { for_at_most },
            ..NodeOptions::default()
        })
        .await;
    let manager = node.manager(&world);
    let name = "m".parse().unwrap();
    let ended = async || {
        let (found, _) = manager
            .discards(&Namespace::default(), &name, None, 10)
            .await
            .unwrap();
        let (discard, delivery) = found.into_iter().next()?;
        delivery.filter(|d| d.end.is_some()).map(|d| (discard, d))
    };
    let mut found = None;
    for _ in 0..2_000 {
        found = ended().await;
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (discard, delivery) = found.expect("it is given up some time");
    assert_eq!(delivery.end, Some(DeliveryEnd::Failed));
    assert!(
        delivery.attempts >= 2 && delivery.error.contains("told to"),
        "{delivery:?}"
    );
    assert!(
        delivery.last_attempt.0 - delivery.first_attempt.0 >= 60_000,
        "{delivery:?}"
    );
    let (whole, _) = manager.discard(&Namespace::default(), discard.id).await.unwrap();
    assert!(!whole.payload.is_empty() && whole.mapping == mapping.id);
    assert!(world.mailbox.delivered().is_empty());
    node.until(mapping.id, "the mapping says so", |s| {
        s.conditions.iter().any(|c| c.kind == "DocumentsUndeliverable")
    })
    .await;
    // Given up is given up: the destination is back, and nothing comes.
    world.mailbox.refuse(0);
    world.stream.put(b"k", b"bad");
    eventually("the next document comes", || {
        match world.mailbox.delivered().len() {
            1 => Ok(()),
            n => Err(format!("{n} documents")),
        }
    })
    .await;
    assert_ne!(world.mailbox.delivered()[0].discard, discard.id);
    node.stop().await;
}
