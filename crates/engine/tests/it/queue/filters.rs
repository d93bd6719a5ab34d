//! Filters of a mapping of a queue: what is not wanted is deleted, left alone, or kept and deleted.

use super::stage::{Stage, secs};
use millstream_ports::Discards;
use millstream_testkit::{CommitFault, Reply};
use millstream_types::durable::DiscardCondition;
use millstream_types::{FilterCriteria, MappingSpec, OnUnmatched};

fn wanting(pattern: &str, on_unmatched: OnUnmatched) -> impl FnOnce(&mut MappingSpec) {
    let filters = vec![pattern.to_owned()];
    move |s| {
        s.filter_criteria = FilterCriteria {
            filters,
            on_unmatched,
            ..FilterCriteria::default()
        };
    }
}

const GOOD: &str = r#"{"body":{"kind":["good"]}}"#;

/// One match, one that does not, one that is no JSON.
fn send(stage: &Stage, group: Option<&str>) {
    for body in [r#"{"kind":"good"}"#, r#"{"kind":"bad"}"#, r#"{"kind":"good""#] {
        stage.queue.send(group, body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_is_deleted_and_counted() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map(wanting(GOOD, OnUnmatched::Drop));
    send(&stage, None);
    let node = stage.node().await;
    node.run_for(secs(5)).await;
    assert_eq!(stage.batches(), [vec![1]]);
    let mut deleted = stage.deletes().concat();
    deleted.sort_unstable();
    assert_eq!(deleted, [1, 2, 3]);
    let counters = node.status(&mapping).counters;
    assert_eq!(
        (
            counters.records_read,
            counters.records_filtered,
            counters.records_done
        ),
        (3, 2, 1)
    );
    assert!(stage.journal.list(mapping.id, None, 10).await.unwrap().is_empty());
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn groups_of_a_fifo_queue_go_on() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map(wanting(GOOD, OnUnmatched::Drop));
    let node = stage.node().await;
    for _ in 0..4 {
        send(&stage, Some("g"));
    }
    node.run_for(secs(20)).await;
    assert_eq!(stage.batches().concat(), [1, 4, 7, 10], "in order");
    assert_eq!(stage.queue.state().deleted().len(), 12);
    assert_eq!(node.status(&mapping).counters.records_filtered, 8);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_in_the_queue_comes_again_and_other_filters_may_want_it() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map(wanting(GOOD, OnUnmatched::Keep));
    let node = stage.node().await;
    send(&stage, None);
    node.run_for(secs(20)).await;
    assert_eq!(
        (stage.batches().concat(), stage.deletes().concat()),
        (vec![1], vec![1])
    );
    assert!(stage.changes().is_empty(), "its visibility is not touched");
    let mapping = stage.change(mapping, |m| {
        wanting(r#"{"body":{"kind":["bad"]}}"#, OnUnmatched::Keep)(&mut m.spec);
    });
    node.run_for(secs(30)).await;
    assert_eq!(stage.batches().concat(), [1, 2]);
    assert!(
        node.status(&mapping).counters.records_filtered >= 3,
        "each time it was received"
    );
    assert_eq!(stage.queue.state().deleted().len(), 2);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_quarantined_is_stored_and_then_deleted() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map(wanting(GOOD, OnUnmatched::Quarantine));
    let node = stage.node().await;
    send(&stage, None);
    node.run_for(secs(5)).await;
    assert_eq!(stage.batches(), [vec![1]]);
    assert_eq!(stage.queue.state().deleted().len(), 3);
    let kept = stage.journal.list(mapping.id, None, 10).await.unwrap();
    let [discard] = kept.as_slice() else {
        panic!("one receive, one discard: {kept:?}")
    };
    assert_eq!(
        (discard.condition, discard.records),
        (DiscardCondition::FilteredOut, 2)
    );
    let event: serde_json::Value = serde_json::from_slice(&discard.payload).unwrap();
    let bodies: Vec<_> = event["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["body"].clone())
        .collect();
    assert_eq!(bodies, [r#"{"kind":"bad"}"#, r#"{"kind":"good""#]);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_deleted() {
    let stage = Stage::new("jobs", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map(wanting(GOOD, OnUnmatched::Quarantine));
    let node = stage.node().await;
    stage.journal.fail_commits([CommitFault::UnknownLost]);
    send(&stage, None);
    node.run_for(secs(20)).await;
    assert_eq!(stage.queue.state().deleted().len(), 1, "only what succeeded");
    assert!(stage.journal.list(mapping.id, None, 10).await.unwrap().is_empty());
    node.run_for(secs(30)).await;
    assert_eq!(
        stage.queue.state().deleted().len(),
        3,
        "it came again, and was stored"
    );
    let kept = stage.journal.list(mapping.id, None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|d| d.records).sum::<u32>(), 2);
    node.stop().await;
}
