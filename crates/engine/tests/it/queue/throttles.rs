//! Capacity is not failure (semantics, section 10): a throttled batch is held, hidden, and spends nothing.

use super::stage::{Playing, Stage, secs};
use millstream_engine::view::SlotActivity;
use millstream_ports::SourceError;
use millstream_testkit::{MessageCall, Reply};
use millstream_types::{Mapping, Mono, Outcome};

const SECOND: u64 = 1_000_000_000;

fn busy() -> Reply {
    Reply::After(secs(0), Outcome::Throttled { retry_after: None })
}

fn busy_until(second: u64) -> impl FnMut(&MessageCall) -> Reply {
    move |call| {
        if call.at < Mono(second * SECOND) {
            busy()
        } else {
            Reply::ok()
        }
    }
}

async fn held(node: &Playing, mapping: &Mapping) -> (u32, Option<String>) {
    let slots = node.inspect(mapping).await.unwrap().snapshot.slots;
    let slot = slots.into_iter().find(|s| s.activity == SlotActivity::Held);
    slot.map(|s| (s.messages, s.reason)).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_throttled_batch_is_received_once() {
    let stage = Stage::new("jobs", false, busy_until(100));
    let mapping = stage.map(|_| {});
    stage.send(3);
    let node = stage.node().await;
    node.run_for(secs(90)).await;
    let why = Some("the function has no more capacity".to_owned());
    assert_eq!(held(&node, &mapping).await, (3, why));
    let beats: Vec<u64> = stage.changes().iter().filter(|c| c.1 == 1).map(|c| c.0).collect();
    assert_eq!(
        beats,
        [22_500, 45_000, 67_500, 90_000],
        "a quarter before the end of each timeout"
    );
    node.run_for(secs(25)).await;
    let calls = stage.function.calls();
    assert!(
        calls
            .iter()
            .all(|c| c.messages.len() == 3 && c.request == calls[0].request)
    );
    assert!(
        calls
            .iter()
            .flat_map(|c| &c.messages)
            .all(|m| m.system.receive_count == 1)
    );
    let counters = node.status(&mapping).counters;
    assert_eq!(
        (counters.failures, counters.records_read, counters.records_done),
        (0, 3, 3)
    );
    assert_eq!(counters.throttles + 1, counters.attempts);
    stage.judge_all();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept() {
    let asked = Outcome::Throttled {
        retry_after: Some(secs(20)),
    };
    let stage = Stage::new("jobs", false, move |call| match call.number {
        0 => Reply::After(secs(0), asked.clone()),
        _ => Reply::ok(),
    });
    stage.map(|_| {});
    stage.send(1);
    let node = stage.node().await;
    node.run_for(secs(30)).await;
    assert!(
        (20_000..=25_000).contains(&stage.times()[1]),
        "{:?}",
        stage.times()
    );
    stage.judge_all();
    node.stop().await;
}

/// A queue hides a message for 12 hours at most: that is when a throttled one is given up, and not before.
#[tokio::test(start_paused = true)]
async fn a_throttled_message_comes_back_after_twelve_hours() {
    let half_a_day = 12 * 3_600;
    let stage = Stage::new("jobs", false, |call| {
        match call.messages[0].system.receive_count {
            1 => busy(),
            _ => Reply::ok(),
        }
    });
    let mapping = stage.map(|_| {});
    stage.send(1);
    let node = stage.node().await;
    node.run_for(secs(half_a_day - 1)).await;
    assert_eq!(stage.queue.state().message(1).map(|m| m.receives), Some(1));
    node.run_for(secs(60)).await;
    assert_eq!(
        stage.function.calls().last().unwrap().messages[0]
            .system
            .receive_count,
        2
    );
    let inside = node.inspect(&mapping).await.unwrap();
    assert_eq!(inside.snapshot.counters.dropped, 1);
    stage.judge_all();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_message_that_cannot_be_kept_hidden_is_let_go() {
    let stage = Stage::new("jobs", false, busy_until(40));
    let mapping = stage.map(|_| {});
    stage.send(1);
    let node = stage.node().await;
    node.run_for(secs(20)).await;
    stage
        .queue
        .set_down(Some(SourceError::Unavailable("no route".to_owned())));
    node.run_for(secs(11)).await;
    stage.queue.set_down(None);
    node.run_for(secs(60)).await;
    let inside = node.inspect(&mapping).await.unwrap();
    assert_eq!(inside.snapshot.counters.dropped, 1);
    assert_eq!(
        stage.function.calls().last().unwrap().messages[0]
            .system
            .receive_count,
        2
    );
    stage.judge_all();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn throttles_shrink_concurrency_and_it_grows_again() {
    let stage = Stage::new("jobs", false, |call| match call.at.0 / SECOND {
        0..20 => busy(),
        _ => Reply::ok_after(secs(1)),
    });
    let mapping = stage.map(|s| s.batch_size = 1);
    stage.send(400);
    let node = stage.node().await;
    node.run_for(secs(19)).await;
    let inside = node.inspect(&mapping).await.unwrap().snapshot;
    assert_eq!(
        (inside.concurrency, inside.concurrency_reason.as_str()),
        (1, "throttles: the function has no more capacity")
    );
    assert!(
        inside.counters.received <= 5,
        "no receive without a slot: {:?}",
        inside.counters
    );
    let mut limits = Vec::new();
    for _ in 0..6 {
        node.run_for(secs(60)).await;
        limits.push(node.inspect(&mapping).await.unwrap().snapshot.concurrency);
    }
    assert!(limits.is_sorted() || limits.last() == Some(&5), "{limits:?}");
    node.run_for(secs(600)).await;
    let history = stage.judge_all();
    assert_eq!(history.duplicates(), 0);
    assert_eq!(node.inspect(&mapping).await.unwrap().snapshot.concurrency, 5);
    assert_eq!(stage.queue.polls(), 1);
    node.stop().await;
}
