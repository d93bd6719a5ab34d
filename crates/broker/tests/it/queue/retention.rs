//! Messages that nobody deletes go when their time is over.

use super::rig::{Rig, bodies, fifo_entry};
use millstream_types::QueueSpec;

fn spec() -> QueueSpec {
    QueueSpec {
        retention_seconds: 60,
        visibility_timeout_seconds: 10,
        ..QueueSpec::default()
    }
}

#[tokio::test]
async fn what_is_too_old_is_neither_received_nor_kept() {
    let rig = Rig::new().await;
    rig.create("q", spec()).await;
    rig.send("q", &["a", "b"]).await;
    rig.receive("q", 1).await;
    rig.advance(40);
    rig.send("q", &["c"]).await;
    rig.advance(21);
    assert_eq!(bodies(&rig.receive("q", 10).await), ["c"]);
    let rig = rig.reopen().await;
    assert_eq!(rig.counts("q").await, (0, 1, 0));
}

#[tokio::test]
async fn space_is_given_back_without_a_receive() {
    let rig = Rig::new().await;
    rig.create("q", spec()).await;
    rig.create("q.fifo", spec()).await;
    let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for _ in 0..3 {
        rig.send("q", &names).await;
    }
    let fifo = |n: u32| fifo_entry(&format!("g{}:{n}", n % 3));
    rig.send_all("q.fifo", (0..9).map(fifo).collect()).await;
    rig.receive("q", 5).await;
    let held = rig.receive("q.fifo", 1).await;
    assert_eq!(bodies(&held), ["0"]);
    rig.advance(30);
    rig.send("q", &["new"]).await;
    rig.send_all("q.fifo", vec![fifo_entry("g0:new")]).await;
    rig.advance(31);
    // The background does the same at this minute: whoever comes first.
    for _ in 0..100 {
        assert_eq!(rig.broker.trim().await.failed, 0);
        if (rig.counts("q").await, rig.counts("q.fifo").await) == ((1, 0, 0), (1, 0, 0)) {
            break;
        }
    }
    assert_eq!(
        (rig.counts("q").await, rig.counts("q.fifo").await),
        ((1, 0, 0), (1, 0, 0))
    );
    let rig = rig.reopen().await;
    assert_eq!(bodies(&rig.receive("q", 10).await), ["new"]);
    assert_eq!(bodies(&rig.receive("q.fifo", 10).await), ["new"]);
    assert_eq!(rig.broker.trim().await.messages, 0);
}
