//! What goes wrong round a mapping of a queue is shown, goes by, and loses nothing.

use super::stage::{Stage, secs};
use millstream_core::mapping_state::MappingState;
use millstream_engine::failpoint;
use millstream_ports::SourceError;
use millstream_testkit::{EntryTrouble, ReceiveTrouble, Reply};
use millstream_types::Desired;

#[tokio::test(start_paused = true)]
async fn a_missing_function_is_a_condition_and_spends_nothing() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map_to("late", |_| {});
    stage.send(10);
    let node = stage.node().await;
    node.run_for(secs(300)).await;
    assert_eq!(node.conditions(&mapping), ["FunctionUnavailable"]);
    assert!(
        stage.queue.state().messages().all(|m| m.receives == 1),
        "kept, not dropped"
    );
    stage.register("late");
    node.run_for(secs(20)).await;
    assert_eq!(node.conditions(&mapping), [""; 0]);
    assert!(
        stage
            .function
            .calls()
            .iter()
            .flat_map(|c| &c.messages)
            .all(|m| m.system.receive_count == 1)
    );
    assert_eq!(node.status(&mapping).counters.failures, 0);
    stage.judge_all();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_reached_is_a_condition_and_is_tried_again() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    let node = stage.node().await;
    stage
        .queue
        .set_down(Some(SourceError::Unavailable("no route".to_owned())));
    node.run_for(secs(200)).await;
    assert_eq!(node.conditions(&mapping), ["SourceUnavailable"]);
    assert_eq!(node.state(&mapping), MappingState::Active);
    stage.send(5);
    stage.queue.set_down(None);
    node.run_for(secs(100)).await;
    assert_eq!(node.conditions(&mapping), [""; 0]);
    assert_eq!(stage.judge_all().succeeded(), 5);
    node.stop().await;
}

/// The queue is removed and made anew under its name: another queue, for whose handle the mapping must ask again.
#[tokio::test(start_paused = true)]
async fn a_queue_that_vanishes_and_is_made_anew_is_found() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    let node = stage.node().await;
    stage.queue.remove();
    node.run_for(secs(200)).await;
    assert_eq!(node.conditions(&mapping), ["SourceUnavailable"]);
    stage.queue.make_anew();
    stage.send(5);
    node.run_for(secs(100)).await;
    assert_eq!(node.conditions(&mapping), [""; 0]);
    assert_eq!(stage.judge_all().succeeded(), 5);
    node.stop().await;
}

/// A mapping that is paused while its queue is down, and goes on when it is up again, has no condition left.
#[tokio::test(start_paused = true)]
async fn a_condition_does_not_outlive_the_consumer_that_told_of_it() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    let node = stage.node().await;
    stage
        .queue
        .set_down(Some(SourceError::Unavailable("no route".to_owned())));
    node.run_for(secs(100)).await;
    let mapping = stage.change(mapping, |m| m.desired = Desired::Paused);
    node.run_for(secs(1)).await;
    stage.queue.set_down(None);
    node.run_for(secs(100)).await;
    let mapping = stage.change(mapping, |m| m.desired = Desired::Running);
    node.run_for(secs(100)).await;
    assert_eq!(node.conditions(&mapping), [""; 0]);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_restarted_and_loses_nothing() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map_as("struck-queue", "f", |_| {});
    let node = stage.node().await;
    for place in [
        "queue_consumer.received",
        "queue_consumer.attempt",
        "queue_worker.start",
    ] {
        failpoint::configure(&format!("{place}(struck-queue)=panic@1")).unwrap();
        (0..4).for_each(|_| stage.send_to(&["a", "b", "c"]));
        node.run_for(secs(100)).await;
        assert!(stage.queue.state().is_empty(), "{place}");
        assert_eq!(node.conditions(&mapping), [""; 0], "{place}");
        assert_eq!(node.state(&mapping), MappingState::Active);
    }
    let history = stage.judge_all();
    // The answer of one attempt was lost with the consumer that panicked over it: those come again.
    assert_eq!((history.succeeded(), history.duplicates()), (36, 10));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deletes_that_fail_are_tried_again_and_none_is_counted_twice() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    stage.queue.trouble_entries([
        EntryTrouble::Refused,
        EntryTrouble::Misreported,
        EntryTrouble::Refused,
    ]);
    stage.send(10);
    let node = stage.node().await;
    node.run_for(secs(20)).await;
    let history = stage.judge_all();
    assert_eq!((history.succeeded(), history.duplicates()), (10, 0));
    let counters = node.inspect(&mapping).await.unwrap().snapshot.counters;
    assert_eq!((counters.done, counters.deleted, counters.undeleted), (10, 10, 0));
    assert_eq!(stage.deletes()[0].len(), 10);
    assert_eq!(stage.deletes()[1].len(), 3, "only what failed is tried again");
    node.stop().await;
}

/// Answers that never come do not hold anything up for longer than their deadline.
#[tokio::test(start_paused = true)]
async fn lost_answers_are_not_waited_for() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    stage
        .queue
        .trouble_receives([ReceiveTrouble::Lost, ReceiveTrouble::Fails(down())]);
    stage.queue.trouble_entries([EntryTrouble::Unanswered]);
    stage.send(10);
    let node = stage.node().await;
    node.run_for(secs(200)).await;
    let history = stage.judge_all();
    assert_eq!((history.succeeded(), history.duplicates()), (10, 0));
    assert_eq!(node.conditions(&mapping), [""; 0]);
    let inside = node.inspect(&mapping).await.unwrap().snapshot;
    assert_eq!((inside.messages_in_flight, inside.counters.deleted), (0, 10));
    node.stop().await;
}

fn down() -> SourceError {
    SourceError::Throttled("jobs".to_owned())
}

/// Everything slow and doubtful at once, on a FIFO queue with little time: order and success hold.
#[tokio::test(start_paused = true)]
async fn slow_answers_over_short_timeouts_keep_the_order() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(secs(3)));
    stage.queue.change(|q| q.set_visibility(secs(4)));
    stage.map(|s| s.batch_size = 2);
    let node = stage.node().await;
    for round in 0..20 {
        stage
            .queue
            .trouble_receives([ReceiveTrouble::Slow(secs(round % 7))]);
        stage
            .queue
            .trouble_entries([EntryTrouble::Refused, EntryTrouble::Misreported]);
        stage.send_to(&["a", "b", "a"]);
        node.run_for(secs(5)).await;
        stage.judge();
    }
    node.run_for(secs(300)).await;
    assert_eq!(stage.judge_all().succeeded(), 60);
    node.stop().await;
}
