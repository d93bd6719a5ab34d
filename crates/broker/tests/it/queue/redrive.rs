//! Messages that were received too often go to the dead-letter queue: exactly once, and in order.

use super::rig::{Rig, START, bodies, dead_letters, ns, queue};
use millstream_ports::{QueueError, Queues};
use millstream_types::{QueueSpec, Wall};

#[tokio::test]
async fn a_message_received_too_often_moves_with_its_id_and_time() {
    let rig = Rig::new().await;
    rig.plain("dead").await;
    rig.create("q", dead_letters("dead", 2)).await;
    let sent = rig.send("q", &["bad", "good"]).await;
    for round in 1..=2 {
        let got = rig.receive("q", 10).await;
        assert_eq!(bodies(&got)[0], "bad", "round {round}");
        assert_eq!(got[0].system.receive_count, round);
        if round == 1 {
            rig.delete("q", &[&got[1]]).await;
        }
        rig.advance(30);
    }
    assert_eq!(
        rig.counts("dead").await,
        (0, 0, 0),
        "not before it would be received once more"
    );
    assert!(rig.receive("q", 10).await.is_empty());
    let got = rig.receive_soon("dead").await;
    assert_eq!((bodies(&got), &got[0].id), (vec!["bad"], &sent[0].id));
    let system = &got[0].system;
    assert_eq!((system.receive_count, system.sent), (1, Wall(START)));
    assert_eq!(
        system.dead_letter_source.as_deref(),
        Some("arn:aws:sqs:us-east-1:000000000000:q")
    );
    let rig = rig.reopen().await;
    assert_eq!(
        (rig.counts("q").await, rig.counts("dead").await),
        ((0, 0, 0), (0, 1, 0))
    );
    let dead = rig.broker.describe(&ns(), &queue("dead")).await.unwrap();
    assert_eq!(dead.dead_letter_sources, [queue("q")]);
}

#[tokio::test]
async fn a_fifo_group_goes_on_behind_what_moved() {
    let rig = Rig::new().await;
    rig.plain("dead.fifo").await;
    rig.create("q.fifo", dead_letters("dead.fifo", 1)).await;
    rig.send_fifo("q.fifo", &["a:a0", "a:a1"]).await;
    assert_eq!(bodies(&rig.receive("q.fifo", 1).await), ["a0"]);
    rig.advance(30);
    // The group is locked until the move is on disk.
    assert_eq!(bodies(&rig.receive_soon("q.fifo").await), ["a1"]);
    let dead = rig.receive_soon("dead.fifo").await;
    assert_eq!(
        (bodies(&dead), dead[0].system.group.as_deref()),
        (vec!["a0"], Some("a"))
    );
    assert_eq!(
        dead[0].system.sent,
        Wall(START + 30_000),
        "a FIFO queue counts its time anew"
    );
}

#[tokio::test]
async fn a_message_on_its_way_is_still_counted_where_it_was() {
    for (name, dead) in [("q", "dead"), ("q.fifo", "dead.fifo")] {
        let rig = Rig::new().await;
        rig.plain(dead).await;
        rig.create(name, dead_letters(dead, 1)).await;
        if name == "q" {
            rig.send(name, &["x"]).await;
        } else {
            rig.send_fifo(name, &["g:x"]).await;
        }
        rig.receive(name, 1).await;
        rig.written().await;
        rig.advance(30);
        let held = rig.faults.hold();
        assert!(rig.receive(name, 1).await.is_empty());
        assert_eq!(rig.counts(name).await, (1, 0, 0), "{name}: it has not moved yet");
        drop(held);
        rig.written().await;
        assert_eq!(
            (rig.counts(name).await, rig.counts(dead).await),
            ((0, 0, 0), (1, 0, 0)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn without_its_dead_letter_queue_a_message_stays() {
    let rig = Rig::new().await;
    rig.plain("dead").await;
    rig.create("q", dead_letters("dead", 1)).await;
    rig.broker.delete(&ns(), &queue("dead"), None).await.unwrap();
    rig.send("q", &["x"]).await;
    for round in 1..=3 {
        assert_eq!(rig.receive("q", 1).await[0].system.receive_count, round);
        rig.advance(30);
    }
    rig.plain("dead").await;
    assert!(rig.receive("q", 1).await.is_empty());
    assert_eq!(bodies(&rig.receive_soon("dead").await), ["x"]);
}

#[tokio::test]
async fn a_policy_names_another_queue_of_the_same_kind() {
    let rig = Rig::new().await;
    rig.plain("dead").await;
    for (name, spec, want) in [
        ("q", dead_letters("none", 1), "a queue that exists"),
        ("q.fifo", dead_letters("dead", 1), "a FIFO queue for a FIFO queue"),
        ("q", dead_letters("dead", 1_001), "1 to 1000"),
    ] {
        let made = rig.broker.create(&ns(), &queue(name), spec, false).await;
        let e = made.unwrap_err();
        assert!(
            matches!(e, QueueError::Invalid { .. }) && e.to_string().contains(want),
            "{e}"
        );
    }
}

#[tokio::test]
async fn a_move_of_unknown_outcome_is_in_exactly_one_queue() {
    for written in [false, true] {
        let rig = Rig::new().await;
        rig.plain("dead").await;
        let spec = QueueSpec {
            visibility_timeout_seconds: 0,
            ..dead_letters("dead", 1)
        };
        rig.create("q", spec).await;
        rig.send("q", &["x"]).await;
        rig.receive("q", 1).await;
        rig.written().await;
        if written {
            rig.faults.fail_after_write(1);
        } else {
            rig.faults.fail_before_write(1);
        }
        assert!(rig.receive("q", 1).await.is_empty());
        rig.reopened(1).await;
        // Whatever became of the first try, it ends up there once.
        let mut dead = Vec::new();
        for _ in 0..100 {
            let _ = rig.try_receive("q", 1).await;
            rig.written().await;
            tokio::task::yield_now().await;
            dead.extend(rig.try_receive("dead", 1).await.unwrap_or_default());
        }
        assert_eq!(bodies(&dead), ["x"], "written: {written}");
        assert_eq!(rig.counts("q").await, (0, 0, 0));
        let rig = rig.reopen().await;
        assert_eq!(
            (rig.counts("q").await, rig.counts("dead").await),
            ((0, 0, 0), (0, 1, 0))
        );
    }
}
