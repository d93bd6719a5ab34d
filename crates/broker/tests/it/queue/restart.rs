//! What a queue knows after a restart: everything that was written.

use super::rig::{Rig, bodies, entry};
use millstream_ports::SendEntry;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn held_messages_stay_hidden_and_keep_their_counts_and_receipts() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["a", "b", "c"]).await;
    let got = rig.receive("q", 2).await;
    let delayed = SendEntry {
        delay: Some(Duration::from_secs(60)),
        ..entry("d")
    };
    rig.send_all("q", vec![delayed]).await;
    let rig = rig.reopen().await;
    assert_eq!(rig.counts("q").await, (1, 2, 1));
    assert_eq!(bodies(&rig.receive("q", 10).await), ["c"]);
    assert_eq!(
        rig.delete("q", &[&got[0]]).await,
        [Ok(())],
        "a receipt outlives the process"
    );
    rig.advance(30);
    let again = rig.receive("q", 10).await;
    assert_eq!(bodies(&again), ["b", "c"]);
    assert_eq!(
        (again[0].system.receive_count, again[1].system.receive_count),
        (2, 2)
    );
    rig.advance(30);
    let rig = rig.reopen().await;
    let all: BTreeSet<String> = bodies(&rig.receive("q", 10).await)
        .into_iter()
        .map(Into::into)
        .collect();
    assert_eq!(all, ["b", "c", "d"].map(String::from).into());
}

#[tokio::test]
async fn groups_stay_locked_and_keep_their_order() {
    let rig = Rig::new().await;
    rig.plain("q.fifo").await;
    rig.send_fifo("q.fifo", &["a:a0", "a:a1", "b:b0", "a:a2"]).await;
    let a = rig.receive("q.fifo", 2).await;
    let rig = rig.reopen().await;
    assert_eq!(rig.counts("q.fifo").await, (2, 2, 0));
    assert_eq!(bodies(&rig.receive("q.fifo", 10).await), ["b0"]);
    rig.delete("q.fifo", &[&a[0]]).await;
    let rig = rig.reopen().await;
    assert!(rig.receive("q.fifo", 10).await.is_empty());
    rig.advance(30);
    let again = rig.receive("q.fifo", 10).await;
    let mut again = bodies(&again);
    again.retain(|body| body.starts_with('a'));
    assert_eq!(again, ["a1", "a2"]);
}

/// Restarts in the middle of a drain: nothing is lost, and what was deleted does not come again.
#[tokio::test]
async fn a_drain_goes_on_where_it_stood() {
    let mut rig = Rig::new().await;
    rig.plain("q").await;
    let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    for ten in names.chunks(10) {
        rig.send("q", &ten.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
    }
    let mut deleted = BTreeSet::new();
    for _ in 0..60 {
        let got = rig.receive("q", 7).await;
        for message in got.iter().step_by(2) {
            assert!(
                deleted.insert(super::rig::body(message).to_owned()),
                "it came again"
            );
            assert_eq!(rig.delete("q", &[message]).await, [Ok(())]);
        }
        rig = rig.reopen().await;
        rig.advance(30);
    }
    assert_eq!(deleted.len(), 100);
    assert_eq!(rig.counts("q").await, (0, 0, 0));
}
