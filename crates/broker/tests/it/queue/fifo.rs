//! What a FIFO queue does besides: order per group, groups locked while in flight, deduplication.

use super::rig::{Rig, bodies, entry, fifo_entry, ns, queue};
use millstream_ports::{EntryError, MessageState, Queues, SendEntry};
use millstream_types::QueueSpec;
use millstream_types::queue::DeduplicationScope;

const Q: &str = "q.fifo";

#[tokio::test]
async fn a_group_keeps_its_order_and_is_locked_while_in_flight() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.send_fifo(Q, &["a:a0", "a:a1", "b:b0", "a:a2", "a:a3"]).await;
    let first = rig.receive(Q, 2).await;
    assert_eq!(bodies(&first), ["a0", "a1"]);
    let second = rig.receive(Q, 10).await;
    assert_eq!(bodies(&second), ["b0"], "the rest of a waits for a0 and a1");
    rig.delete(Q, &[&first[0]]).await;
    assert!(rig.receive(Q, 10).await.is_empty());
    rig.delete(Q, &[&first[1]]).await;
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["a2", "a3"]);
}

#[tokio::test]
async fn what_came_back_goes_before_what_follows() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.send_fifo(Q, &["a:a0", "a:a1", "a:a2", "a:a3"]).await;
    let got = rig.receive(Q, 3).await;
    // A partial failure: the first and the last are deleted, the middle one comes back.
    rig.delete(Q, &[&got[0], &got[2]]).await;
    assert!(rig.receive(Q, 10).await.is_empty());
    rig.hide(Q, &got[1], 0).await.unwrap();
    let again = rig.receive(Q, 10).await;
    assert_eq!(bodies(&again), ["a1", "a3"]);
    assert_eq!(again[0].system.receive_count, 2);
}

#[tokio::test]
async fn an_expired_visibility_timeout_unlocks_the_group_and_ends_the_receipt() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.send_fifo(Q, &["a:a0", "a:a1"]).await;
    let got = rig.receive(Q, 1).await;
    rig.advance(30);
    let late = rig.delete(Q, &[&got[0]]).await;
    assert!(
        matches!(&late[0], Err(EntryError::Receipt(why)) if why.contains("has ended")),
        "{late:?}"
    );
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["a0", "a1"]);
}

#[tokio::test]
async fn groups_do_not_wait_for_each_other() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.send_fifo(Q, &["bad:x", "good:1", "good:2", "bad:y"]).await;
    for round in ["1", "2"] {
        let mut got = rig.receive(Q, 1).await;
        got.extend(rig.receive(Q, 1).await);
        got.sort_by_key(|m| m.body.clone());
        assert_eq!(bodies(&got), [round, "x"]);
        rig.delete(Q, &[&got[0]]).await;
        rig.hide(Q, &got[1], 0).await.unwrap();
    }
    // A group that failed takes its turn behind those that were ready before.
    let bad = rig.receive(Q, 1).await;
    rig.send_fifo(Q, &["good:3"]).await;
    rig.hide(Q, &bad[0], 0).await.unwrap();
    assert_eq!(bodies(&rig.receive(Q, 1).await), ["3"]);
}

#[tokio::test]
async fn a_batch_takes_as_much_of_one_group_as_there_is() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.send_fifo(Q, &["a:a0", "b:b0", "a:a1", "c:c0", "b:b1"]).await;
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["a0", "a1", "b0", "b1", "c0"]);
}

#[tokio::test]
async fn sequence_numbers_grow_and_are_those_of_the_send() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    let sent = rig.send_fifo(Q, &["a:a0", "b:b0", "a:a1"]).await;
    let numbers: Vec<_> = sent.iter().map(|r| r.sequence.clone().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|n| n.len() == 20));
    let got = rig.receive(Q, 10).await;
    let fifo = got[0].system.fifo.clone().unwrap();
    assert_eq!((&fifo.sequence, &*fifo.deduplication), (&numbers[0], "a0"));
    assert_eq!(got[0].system.group.as_deref(), Some("a"));
    let rig = rig.reopen().await;
    let next = rig.send_fifo(Q, &["a:a2"]).await[0].sequence.clone().unwrap();
    assert!(next > numbers[2], "{next} after {numbers:?}");
}

#[tokio::test]
async fn a_repetition_within_five_minutes_is_the_same_message() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    let first = rig.send_fifo(Q, &["a:x"]).await.remove(0);
    let again = rig.send_fifo(Q, &["b:x"]).await.remove(0);
    assert_eq!(
        (&again.id, &again.sequence),
        (&first.id, &first.sequence),
        "in whatever group"
    );
    let got = rig.receive(Q, 10).await;
    assert_eq!(bodies(&got), ["x"]);
    rig.delete(Q, &[&got[0]]).await;
    rig.advance(299);
    rig.send_fifo(Q, &["a:x"]).await;
    assert!(
        rig.receive(Q, 10).await.is_empty(),
        "also when the first one is long gone"
    );
    let rig = rig.reopen().await;
    rig.send_fifo(Q, &["a:x"]).await;
    assert!(rig.receive(Q, 10).await.is_empty(), "and after a restart");
    rig.advance(1);
    let new = rig.send_fifo(Q, &["a:x"]).await.remove(0);
    assert_ne!(new.id, first.id);
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["x"]);
}

#[tokio::test]
async fn repetitions_in_one_send_and_side_by_side_are_one_message() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    let answers = rig.send_fifo(Q, &["a:x", "a:x"]).await;
    assert_eq!(answers[0].id, answers[1].id);
    let hold = rig.faults.hold();
    let send = || {
        let broker = rig.broker.clone();
        tokio::spawn(async move { broker.send(&ns(), &queue(Q), vec![fifo_entry("a:y")]).await })
    };
    let both = [send(), send()];
    tokio::task::yield_now().await;
    drop(hold);
    let mut ids = Vec::new();
    for task in both {
        ids.push(task.await.unwrap().unwrap().remove(0).unwrap().id);
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["x", "y"]);
}

#[tokio::test]
async fn a_repetition_of_a_message_that_was_not_stored_is_stored() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.faults.fail_before_write(1);
    let failed = rig.send_all(Q, vec![fifo_entry("a:x")]).await;
    assert!(failed[0].is_err());
    rig.reopened(1).await;
    let again = rig.send_fifo(Q, &["a:x"]).await.remove(0);
    let got = rig.receive(Q, 10).await;
    assert_eq!((bodies(&got), &got[0].id), (vec!["x"], &again.id));
}

#[tokio::test]
async fn the_content_and_the_group_can_make_the_difference() {
    let rig = Rig::new().await;
    let spec = QueueSpec {
        content_based_deduplication: true,
        deduplication_scope: DeduplicationScope::MessageGroup,
        ..QueueSpec::default()
    };
    rig.create(Q, spec).await;
    let one = |group: &str, body: &str| SendEntry {
        group: Some(group.into()),
        ..entry(body)
    };
    rig.send_all(
        Q,
        vec![one("a", "x"), one("a", "x"), one("b", "x"), one("a", "y")],
    )
    .await;
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["x", "y", "x"]);
}

#[tokio::test]
async fn the_delay_of_the_queue_keeps_the_order() {
    let rig = Rig::new().await;
    let spec = QueueSpec {
        delay_seconds: 10,
        ..QueueSpec::default()
    };
    rig.create(Q, spec).await;
    rig.send_fifo(Q, &["a:a0"]).await;
    rig.advance(5);
    rig.send_fifo(Q, &["a:a1"]).await;
    assert_eq!(rig.counts(Q).await, (0, 0, 2));
    rig.advance(5);
    let a0 = rig.receive(Q, 10).await;
    assert_eq!(bodies(&a0), ["a0"]);
    rig.delete(Q, &[&a0[0]]).await;
    assert!(rig.receive(Q, 10).await.is_empty());
    rig.advance(5);
    assert_eq!(bodies(&rig.receive(Q, 10).await), ["a1"]);
}

#[tokio::test]
async fn looking_at_groups_is_in_the_order_of_the_sends() {
    let rig = Rig::new().await;
    rig.plain(Q).await;
    rig.send_fifo(Q, &["a:1", "b:2", "a:3", "c:4"]).await;
    let got = rig.receive(Q, 1).await;
    let seen: Vec<_> = rig.peek(Q).await;
    let texts: Vec<_> = seen.iter().map(|p| super::rig::body(&p.message)).collect();
    assert_eq!(texts, ["1", "2", "3", "4"]);
    assert!(matches!(seen[0].state, MessageState::InFlight(_)));
    assert_eq!(
        (seen[1].state, seen[2].state),
        (MessageState::Visible, MessageState::Blocked)
    );
    rig.delete(Q, &[&got[0]]).await;
    assert_eq!(rig.counts(Q).await, (3, 0, 0));
    rig.broker.purge(&ns(), &queue(Q)).await.unwrap();
    assert!(rig.peek(Q).await.is_empty() && rig.counts(Q).await == (0, 0, 0));
}
