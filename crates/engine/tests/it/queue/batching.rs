//! What makes a batch (semantics, section 4), and messages that come twice (standard queues).

use super::stage::{Stage, ms, secs};
use millstream_testkit::{ReceiveTrouble, Reply};
use std::collections::BTreeSet;

#[tokio::test(start_paused = true)]
async fn several_receives_fill_one_batch() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    stage.map(|s| {
        s.batch_size = 100;
        s.batching_window_seconds = 5;
    });
    stage.send(25);
    let node = stage.node().await;
    node.run_for(secs(3)).await;
    stage.send(12);
    node.run_for(ms(1_999)).await;
    assert!(stage.batches().is_empty(), "the window runs");
    node.run_for(ms(1)).await;
    assert_eq!((stage.times(), stage.batches()[0].len()), (vec![5_000], 37));
    node.run_for(secs(20)).await;
    stage.send(130);
    node.run_for(secs(1)).await;
    assert_eq!(
        stage.batches()[1].len(),
        100,
        "full: it does not wait for its window"
    );
    node.run_for(secs(10)).await;
    assert!(stage.deletes().iter().all(|d| d.len() <= 10));
    stage.judge_all();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_is_at_most_6_mb_and_what_never_fits_is_not_sent() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    stage.queue.change(|q| q.set_max_receives(Some(2)));
    stage.map(|_| {});
    let (half, huge) = ("\"".repeat(500_000), "x".repeat(6_300_000));
    for _ in 0..7 {
        stage.queue.send(None, &half);
    }
    stage.queue.send(None, &huge);
    stage.queue.send(None, &half);
    let node = stage.node().await;
    node.run_for(secs(1)).await;
    assert_eq!(
        stage.batches(),
        [vec![1, 2, 3, 4, 5, 6], vec![7], vec![9]],
        "escaped, each is 1 MB"
    );
    let calls = stage.function.calls();
    assert!(
        calls
            .iter()
            .flat_map(|c| &c.messages)
            .all(|m| m.system.receive_count == 1)
    );
    node.run_for(secs(100)).await;
    assert_eq!(stage.queue.state().dead_letters(), [8]);
    assert_eq!(stage.changes(), [], "left alone");
    stage.judge_all();
    node.stop().await;
}

/// A standard queue may hand a message out twice. In one batch it is sent once, and deleted once, by the receipt that
/// counts.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_into_a_batch_is_sent_and_deleted_once() {
    for window in [0, 5] {
        let stage = Stage::new("jobs", false, |_| Reply::ok());
        let mapping = stage.map(|s| s.batching_window_seconds = window);
        stage
            .queue
            .trouble_receives([ReceiveTrouble::Twice, ReceiveTrouble::Twice]);
        stage.send(4);
        let node = stage.node().await;
        node.run_for(secs(1)).await;
        stage.send(2);
        node.run_for(secs(60)).await;
        for batch in stage.batches().iter().chain(&stage.deletes()) {
            let distinct: BTreeSet<_> = batch.iter().collect();
            assert_eq!(distinct.len(), batch.len(), "{batch:?}");
        }
        assert_eq!(stage.batches().concat().len(), 6, "window {window}");
        let inside = node.inspect(&mapping).await.unwrap().snapshot;
        assert_eq!((inside.counters.left, inside.counters.undeleted), (2, 0));
        assert_eq!((inside.messages_in_flight, inside.buffered_bytes), (0, 0));
        stage.judge_all();
        node.stop().await;
    }
}
