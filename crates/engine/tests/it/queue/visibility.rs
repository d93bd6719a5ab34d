//! How long messages stay hidden: left alone after a failure, kept while we have them, given back when never sent.

use super::stage::{Stage, secs};
use millstream_engine::Shutdown;
use millstream_testkit::{Asked, Reply, raised};
use millstream_types::Outcome;

fn ok() -> Outcome {
    Outcome::Response("{}".into())
}

/// Length of the invocation, what it comes to; changes of visibility (ms, s); when it is sent again (ms).
#[tokio::test(start_paused = true)]
async fn over_the_length_of_an_invocation() {
    type Row = (u64, Outcome, Vec<(u64, u64)>, Option<u64>);
    let rows: Vec<Row> = vec![
        (0, raised("Bad"), vec![], Some(30_000)),
        (22, raised("Bad"), vec![], Some(30_000)),
        (22, ok(), vec![], None),
        (23, raised("Bad"), vec![(22_500, 30), (23_000, 7)], Some(30_000)),
        (23, ok(), vec![(22_500, 30)], None),
        (40, raised("Bad"), vec![(22_500, 30), (40_000, 0)], Some(40_000)),
        (60, ok(), vec![(22_500, 30), (45_000, 30)], None),
    ];
    for (length, outcome, changes, again) in rows {
        let mut first = Some(outcome.clone());
        let stage = Stage::new("jobs", false, move |_| match first.take() {
            Some(outcome) => Reply::After(secs(length), outcome),
            None => Reply::ok(),
        });
        stage.map(|_| {});
        stage.send(1);
        let node = stage.node().await;
        node.run_for(secs(100)).await;
        let got: Vec<(u64, u64)> = stage.changes().iter().map(|(at, _, s)| (*at, *s)).collect();
        assert_eq!(got, changes, "{length} s, {outcome:?}");
        assert_eq!(stage.times().get(1).copied(), again, "{length} s, {outcome:?}");
        stage.judge_all();
        node.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_longer_than_the_timeout_is_kept_hidden() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    stage.map(|s| s.batching_window_seconds = 60);
    stage.send(1);
    let node = stage.node().await;
    node.run_for(secs(70)).await;
    assert_eq!(stage.times(), [60_000]);
    let kept: Vec<u64> = stage.changes().iter().map(|c| c.0).collect();
    assert_eq!(kept, [22_500, 45_000]);
    stage.judge_all();
    node.stop().await;
}

/// What was never sent is visible again at once; what runs is waited for and judged.
#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_back_what_was_not_sent_and_waits_for_what_runs() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(40)));
    stage.map(|s| {
        s.batch_size = 2;
        s.batching_window_seconds = 20;
    });
    stage.send(2);
    let node = stage.node().await;
    node.run_for(secs(5)).await;
    stage.send(1);
    node.run_for(secs(1)).await;
    assert_eq!(
        (stage.batches(), stage.queue.state().depth(now(&stage)).in_flight),
        (vec![vec![1, 2]], 3)
    );
    assert_eq!(node.stop().await, Shutdown::Drained);
    assert_eq!(
        stage.at(),
        40_000,
        "the attempt's end, and nothing else, was waited for"
    );
    let given_back: Vec<_> = stage.changes().into_iter().filter(|c| c.2 == 0).collect();
    assert_eq!(given_back, [(6_000, 3, 0)]);
    assert_eq!(stage.deletes(), [[1, 2]]);
    assert_eq!(stage.queue.state().message(3).map(|m| m.receives), Some(1));
    let node = stage.node().await;
    node.run_for(secs(100)).await;
    assert_eq!(stage.judge_all().duplicates(), 0);
    node.stop().await;
}

fn now(stage: &Stage) -> millstream_types::Now {
    millstream_ports::Clock::now(&*stage.clock)
}

/// A drain ends the long poll. What the queue hands out in that very moment is visible again at once, too.
#[tokio::test(start_paused = true)]
async fn a_drain_leaves_nothing_hidden() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    stage.map(|_| {});
    let node = stage.node().await;
    node.run_for(secs(7)).await;
    stage
        .queue
        .trouble_receives([millstream_testkit::ReceiveTrouble::Slow(secs(3))]);
    stage.send(2);
    node.run_for(secs(1)).await;
    assert_eq!(
        stage.queue.asked().last().unwrap().1,
        Asked::Handed(vec![1, 2]),
        "handed out, not arrived"
    );
    assert_eq!(node.stop().await, Shutdown::Drained);
    assert_eq!(stage.at(), 8_000, "not waited for");
    let depth = stage.queue.state().depth(now(&stage));
    assert_eq!((depth.visible, depth.in_flight), (2, 0));
    assert!(stage.batches().is_empty());
}
