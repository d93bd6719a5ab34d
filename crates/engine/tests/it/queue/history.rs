//! Every batch leaves an entry in the ledger, and the ledger holds nothing up.

use super::stage::{MAPPING, Stage, secs};
use millstream_testkit::{Reply, raised};
use millstream_types::durable::{AttemptResult, QueueAttempt};
use millstream_types::{MappingName, Namespace, Outcome};

fn told(attempts: &[QueueAttempt]) -> Vec<(AttemptResult, u32, u32, u32)> {
    let one = |a: &QueueAttempt| (a.result, a.attempt, a.messages, a.finished);
    attempts.iter().map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_in_the_ledger_and_can_be_read() {
    let stage = Stage::new("jobs", false, |call| match call.number {
        0 => Reply::After(secs(0), Outcome::Throttled { retry_after: None }),
        1 => Reply::After(secs(2), raised("Bad")),
        _ => Reply::ok(),
    });
    stage.map(|_| {});
    stage.send(3);
    let node = stage.node().await;
    node.run_for(secs(40)).await;
    let (namespace, name) = (Namespace::default(), MappingName::new(MAPPING).unwrap());
    let page = node.manager().ledger(&namespace, &name, None, 10).await.unwrap();
    assert!(page.entries.is_empty(), "it has no shards");
    assert_eq!(
        told(&page.attempts),
        [
            (AttemptResult::Throttled, 1, 3, 0),
            (AttemptResult::Retry, 1, 3, 0),
            (AttemptResult::Done, 2, 3, 3),
        ]
    );
    let calls = stage.function.calls();
    let requests: Vec<_> = calls.iter().map(|c| c.request).collect();
    assert_eq!(
        page.attempts.iter().map(|a| a.request_id).collect::<Vec<_>>(),
        requests
    );
    let failed = &page.attempts[1];
    assert_eq!(
        (failed.ended.0 - failed.started.0, failed.error.as_deref()),
        (2_000, Some("Bad"))
    );
    let named: Vec<_> = failed
        .named
        .iter()
        .map(|m| (m.id.as_str(), m.receives, m.failed))
        .collect();
    assert_eq!(named, [("m1", 1, true), ("m2", 1, true), ("m3", 1, true)]);
    let first = node.manager().ledger(&namespace, &name, None, 2).await.unwrap();
    let rest = node
        .manager()
        .ledger(&namespace, &name, first.next, 2)
        .await
        .unwrap();
    assert_eq!(
        (first.attempts.len(), rest.attempts.len(), rest.next),
        (2, 1, None)
    );
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_ended_during_a_drain_is_there_too() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(10)));
    stage.map(|_| {});
    stage.send(1);
    let node = stage.node().await;
    node.run_for(secs(1)).await;
    node.stop().await;
    assert_eq!(told(&stage.journal.attempts()), [(AttemptResult::Done, 1, 1, 1)]);
}

/// Thousands of batches in one instant are a handful of writes.
#[tokio::test(start_paused = true)]
async fn attempts_are_added_together() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(secs(1)));
    stage.map(|s| s.batch_size = 1);
    let names: Vec<String> = (0..500).map(|n| format!("g{n}")).collect();
    stage.send_to(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let node = stage.node().await;
    node.run_for(secs(5)).await;
    assert_eq!(stage.journal.attempts().len(), 500);
    let appends = stage.journal.appends();
    assert!(appends < 50, "{appends}");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_written_holds_nothing_up() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|s| s.batch_size = 1);
    let node = stage.node().await;
    stage.journal.set_unavailable(true);
    stage.send(50);
    node.run_for(secs(5)).await;
    assert_eq!(stage.judge_all().succeeded(), 50);
    stage.journal.set_unavailable(false);
    stage.send(1);
    node.run_for(secs(5)).await;
    assert_eq!(stage.journal.attempts().len(), 1, "a gap, and then it goes on");
    assert_eq!(node.conditions(&mapping), [""; 0]);
    node.stop().await;
}
