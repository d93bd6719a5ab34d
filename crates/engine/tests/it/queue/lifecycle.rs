//! A mapping of a queue is paused, changed, removed: nothing starts behind the answer, and nothing stays hidden.

use super::stage::{MAPPING, Playing, Stage, secs};
use millstream_core::mapping_state::MappingState;
use millstream_engine::view::MappingView;
use millstream_testkit::{QueueEvent, Reply};
use millstream_types::{Desired, MappingName, Namespace};

fn names() -> (Namespace, MappingName) {
    (Namespace::default(), MappingName::new(MAPPING).unwrap())
}

async fn pause(node: &Playing) -> MappingView {
    let (namespace, name) = names();
    node.manager()
        .pause_mapping(&namespace, &name, None)
        .await
        .unwrap()
}

async fn resume(node: &Playing) -> MappingView {
    let (namespace, name) = names();
    node.manager()
        .resume_mapping(&namespace, &name, None)
        .await
        .unwrap()
}

/// The engine hears of the pause only when the test lets it: what holds before that is what the answer brought about.
#[tokio::test(start_paused = true)]
async fn nothing_starts_behind_the_answer_to_a_pause() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(10)));
    let mapping = stage.map(|s| s.maximum_concurrency = Some(3));
    stage.send(10);
    let node = stage.node().await;
    node.run_for(secs(1)).await;
    assert_eq!(stage.function.running().0, 1);

    stage.catalog.mute();
    stage.log.push(QueueEvent::Pausing);
    assert_eq!(pause(&node).await.status.state, MappingState::Pausing);
    stage.send(10);
    node.run_for(secs(5)).await;
    assert_eq!(stage.batches().len(), 1, "a batch started behind the answer");
    let inside = node.inspect(&mapping).await.unwrap().snapshot;
    let why: Vec<_> = inside.slots.iter().filter_map(|s| s.reason.as_deref()).collect();
    assert_eq!(why, ["the mapping is being paused or removed"]);
    assert_eq!(
        (
            inside.counters.throttles,
            inside.counters.attempts,
            inside.concurrency
        ),
        (0, 1, 3)
    );

    stage.catalog.unmute();
    node.settle().await;
    assert_eq!(node.state(&mapping), MappingState::Pausing, "an attempt runs");
    assert_eq!(
        stage.changes().iter().filter(|c| c.2 == 0).count(),
        10,
        "what was held is given back"
    );
    node.run_for(secs(5)).await;
    assert_eq!(node.state(&mapping), MappingState::Paused);
    stage.log.push(QueueEvent::Paused);
    assert_eq!(stage.queue.state().deleted().len(), 10, "what ran was judged");
    assert_eq!(stage.queue.state().depth(now(&stage)).visible, 10);
    node.run_for(secs(600)).await;
    assert_eq!((stage.batches().len(), stage.queue.polls()), (1, 0));

    stage.log.push(QueueEvent::Resumed);
    resume(&node).await;
    node.run_for(secs(30)).await;
    assert_eq!(node.state(&mapping), MappingState::Active);
    let history = stage.judge_all();
    assert_eq!((history.succeeded(), history.duplicates()), (20, 0));
    assert_eq!(node.status(&mapping).counters.failures, 0);
    node.stop().await;
}

fn now(stage: &Stage) -> millstream_types::Now {
    millstream_ports::Clock::now(&*stage.clock)
}

#[tokio::test(start_paused = true)]
async fn a_change_takes_effect_and_repeats_nothing() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(secs(2)));
    let mut mapping = stage.map(|s| s.batch_size = 1);
    let node = stage.node().await;
    for size in [3, 1, 10, 2] {
        (0..4).for_each(|_| stage.send_to(&["a", "b", "c"]));
        node.run_for(secs(3)).await;
        mapping = stage.change(mapping, |m| m.spec.batch_size = size);
        node.run_for(secs(40)).await;
        let status = node.status(&mapping);
        assert_eq!(
            (status.observed_generation, status.state),
            (mapping.generation, MappingState::Active)
        );
        let before = stage.batches().len();
        (0..10).for_each(|_| stage.send_to(&["a"]));
        node.run_for(secs(40)).await;
        let longest = stage.batches()[before..].iter().map(Vec::len).max();
        assert_eq!(longest, Some(size as usize));
    }
    let history = stage.judge_all();
    assert_eq!((history.succeeded(), history.duplicates()), (4 * 22, 0));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_starts_nothing_and_leaves_nothing_hidden() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(20)));
    let mapping = stage.map(|s| {
        s.batch_size = 10;
        s.batching_window_seconds = 60;
    });
    stage.send(10);
    let node = stage.node().await;
    node.run_for(secs(1)).await;
    stage.send(4);
    node.run_for(secs(1)).await;
    let (namespace, name) = names();
    stage.log.push(QueueEvent::Pausing);
    let view = node
        .manager()
        .delete_mapping(&namespace, &name, None, false)
        .await
        .unwrap();
    assert_eq!(view.status.state, MappingState::Deleting);
    node.settle().await;
    assert!(stage.catalog.has(&mapping.name), "an attempt runs");
    assert_eq!(stage.queue.state().depth(now(&stage)).visible, 4);
    node.run_for(secs(30)).await;
    assert!(!stage.catalog.has(&mapping.name));
    assert_eq!(
        (stage.queue.state().deleted().len(), stage.queue.polls()),
        (10, 0)
    );
    assert_eq!(stage.batches().len(), 1);
    stage.judge();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_was_paused_before_the_node_started_asks_nothing() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    let mapping = stage.change(mapping, |m| m.desired = Desired::Paused);
    stage.send(1);
    let node = stage.node().await;
    node.run_for(secs(100)).await;
    assert_eq!(node.state(&mapping), MappingState::Paused);
    assert!(stage.queue.asked().is_empty());
    node.stop().await;
}
