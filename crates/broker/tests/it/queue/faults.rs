//! Writes that fail or whose outcome is unknown: nothing acknowledged is lost, nothing is out of order, and the queue
//! goes on by itself.

use super::rig::{Rig, bodies, entry, fifo_entry, ns, queue};
use millstream_ports::{EntryError, Queues, SendError};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_send_of_unknown_outcome_is_reported_and_looked_up() {
    for written in [false, true] {
        let rig = Rig::new().await;
        rig.plain("q").await;
        rig.send("q", &["1"]).await;
        if written {
            rig.faults.fail_after_write(1);
        } else {
            rig.faults.fail_before_write(1);
        }
        let answers = rig.send_all("q", vec![entry("2")]).await;
        let e = answers[0].as_ref().unwrap_err();
        assert!(
            matches!(e, SendError::Unavailable(_)) && e.to_string().contains("may or may not"),
            "{e}"
        );
        rig.reopened(1).await;
        rig.send("q", &["3"]).await;
        let want: &[&str] = if written { &["1", "2", "3"] } else { &["1", "3"] };
        assert_eq!(bodies(&rig.receive("q", 10).await), want);
        assert_eq!(rig.counts("q").await.0, 0);
        let rig = rig.reopen().await;
        rig.advance(30);
        assert_eq!(bodies(&rig.receive("q", 10).await), want);
    }
}

/// What is sent behind a send whose outcome is unknown does not overtake it.
#[tokio::test]
async fn a_group_keeps_its_order_across_a_failed_write() {
    let rig = Rig::new().await;
    rig.plain("q.fifo").await;
    rig.faults.fail_after_write(1);
    let first = rig.send_all("q.fifo", vec![fifo_entry("a:0")]).await;
    assert!(first[0].is_err());
    rig.reopened(1).await;
    rig.send_fifo("q.fifo", &["a:1"]).await;
    assert_eq!(bodies(&rig.receive("q.fifo", 10).await), ["0", "1"]);
}

#[tokio::test]
async fn a_message_that_could_not_be_deleted_comes_again() {
    for written in [false, true] {
        let rig = Rig::new().await;
        rig.plain("q").await;
        rig.send("q", &["x"]).await;
        let got = rig.receive("q", 1).await;
        rig.written().await;
        if written {
            rig.faults.fail_after_write(1);
        } else {
            rig.faults.fail_before_write(1);
        }
        let answers = rig.delete("q", &[&got[0]]).await;
        assert!(
            matches!(answers[..], [Err(EntryError::Unavailable(_))]),
            "{answers:?}"
        );
        rig.reopened(1).await;
        if written {
            rig.advance(30);
            assert!(rig.receive("q", 1).await.is_empty(), "it turns out to be gone");
        } else {
            assert!(
                rig.receive("q", 1).await.is_empty(),
                "it is hidden until its time is over"
            );
            assert_eq!(
                rig.delete("q", &[&got[0]]).await,
                [Ok(())],
                "and the receipt is still good"
            );
        }
        assert_eq!(rig.counts("q").await, (0, 0, 0));
    }
}

/// The writes of receives are not waited for. When one of them fails and a later one does not, the stored cursor must
/// not have passed what only the failed one knew.
#[tokio::test]
async fn a_failed_write_of_a_receive_loses_nothing_after_a_restart() {
    for fail in 0..4 {
        let rig = Rig::new().await;
        rig.plain("q").await;
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        for ten in names.chunks(10) {
            rig.send("q", &ten.iter().map(String::as_str).collect::<Vec<_>>())
                .await;
        }
        for round in 0..4 {
            if round == fail {
                rig.faults.fail_before_write(1);
            }
            while rig.try_receive("q", 10).await.is_err() {
                tokio::task::yield_now().await;
            }
            // So that each receive is a write of its own.
            rig.written().await;
            tokio::task::yield_now().await;
        }
        rig.reopened(1).await;
        let rig = rig.reopen().await;
        rig.advance(60);
        let mut all = BTreeSet::new();
        loop {
            let got = rig.receive("q", 10).await;
            if got.is_empty() {
                break;
            }
            all.extend(bodies(&got).into_iter().map(str::to_owned));
        }
        assert_eq!(all.len(), 40, "failed write {fail}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_sends_and_takes_deletes() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["x"]).await;
    rig.faults.set_free_bytes(Some(1_000));
    let answers = rig.send_all("q", vec![entry("y"), entry("")]).await;
    assert!(
        matches!(answers[0], Err(SendError::DiskFull { .. })),
        "{answers:?}"
    );
    assert!(
        matches!(answers[1], Err(SendError::Invalid { .. })),
        "{answers:?}"
    );
    assert!(
        rig.broker
            .create(&ns(), &queue("r"), millstream_types::QueueSpec::default(), false)
            .await
            .is_err()
    );
    let got = rig.receive("q", 1).await;
    assert_eq!(rig.delete("q", &[&got[0]]).await, [Ok(())]);
}
