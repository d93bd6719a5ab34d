//! Capacity is not failure: semantics section 10.

use crate::rig::{Rig, Sent, ok, raised, standard, throttled};
use millstream_core::queue::{ScaleReason, SlotActivity};
use millstream_types::Outcome;
use std::time::Duration;

fn until(ms: u64, busy: Outcome) -> impl FnMut(&Sent) -> Option<(u64, Outcome)> {
    move |sent| Some((0, if sent.at < ms { busy.clone() } else { ok() }))
}

#[test]
fn a_throttled_batch_is_held_and_its_receive_count_stays_1() {
    let mut rig = Rig::new(standard(|_| {}), 30, until(100_000, throttled()));
    rig.send(3).run_for(99_000);
    let snapshot = rig.snapshot();
    let slot = snapshot
        .slots
        .iter()
        .find(|s| s.activity == SlotActivity::Held)
        .unwrap();
    assert_eq!(slot.reason.as_deref(), Some("the function has no more capacity"));
    assert!(slot.next.unwrap() > rig.now.wall && slot.messages == 3);
    assert!(rig.changes().len() >= 9, "kept hidden");
    rig.run_for(15_000);
    assert!(rig.sent.iter().all(|s| s.numbers() == [1, 2, 3]));
    assert!(rig.sent.iter().all(|s| s.messages[0].system.receive_count == 1));
    assert_eq!(rig.queue.deleted().len(), 3);
    let counters = rig.machine.counters();
    assert_eq!((counters.received, counters.failures), (3, 0));
    assert_eq!(counters.throttles + 1, rig.sent.len() as u64);
}

#[test]
fn unreachable_is_held_too_and_says_why() {
    let gone = Outcome::Unreachable {
        reason: "no such function".to_owned(),
    };
    let mut rig = Rig::new(standard(|_| {}), 30, until(50_000, gone));
    rig.send(1).run_for(40_000);
    assert_eq!(
        rig.snapshot().function_trouble.as_deref(),
        Some("no such function")
    );
    rig.run_for(30_000);
    assert_eq!(rig.sent.last().unwrap().messages[0].system.receive_count, 1);
    assert_eq!(rig.snapshot().function_trouble, None);
}

#[test]
fn it_is_sent_again_when_the_target_said_so() {
    let asked = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(20)),
    };
    let mut rig = Rig::new(standard(|_| {}), 300, until(1_000, asked));
    rig.send(1).run_for(30_000);
    assert_eq!(rig.sent.len(), 2);
    assert!((20_000..=25_000).contains(&rig.sent[1].at));
}

/// A function that takes one at a time: the others go as soon as it is free, not when their pause ends.
#[test]
fn capacity_that_comes_back_is_used_at_once() {
    let mut busy_until = 0;
    let mut rig = Rig::new(standard(|s| s.batch_size = 1), 60, move |sent| {
        if sent.at < busy_until {
            return Some((0, throttled()));
        }
        busy_until = sent.at + 1_000;
        Some((1_000, ok()))
    });
    rig.send(10).run_for(12_000);
    assert_eq!(rig.queue.deleted().len(), 10, "{:?}", rig.times());
    assert!(rig.sent.iter().all(|s| s.messages[0].system.receive_count == 1));
}

#[test]
fn throttles_stop_new_receives() {
    let mut rig = Rig::new(standard(|s| s.batch_size = 1), 30, until(30_000, throttled()));
    rig.send(100).run_for(20_000);
    assert!(
        rig.machine.counters().received <= 5,
        "{:?}",
        rig.machine.counters()
    );
    let snapshot = rig.snapshot();
    assert_eq!(
        (snapshot.concurrency, snapshot.concurrency_reason),
        (1, ScaleReason::Throttles)
    );
    rig.run_for(600_000);
    assert_eq!(rig.queue.deleted().len(), 100);
}

/// A queue hides a message for 12 hours at most: then it comes back, and nothing of it is left here.
#[test]
fn held_for_twelve_hours_and_then_it_comes_back() {
    const HALF_A_DAY: u64 = 12 * 3_600_000;
    let mut rig = Rig::new(standard(|_| {}), 600, |sent| {
        Some((
            0,
            if sent.messages[0].system.receive_count == 1 {
                throttled()
            } else {
                ok()
            },
        ))
    });
    rig.send(1).run_for(HALF_A_DAY - 1);
    assert!(rig.queue.deleted().is_empty());
    assert_eq!(rig.queue.message(1).unwrap().receives, 1);
    rig.run_for(60_000);
    assert_eq!(rig.queue.deleted().len(), 1, "received anew");
    assert_eq!(
        (rig.machine.counters().dropped, rig.machine.counters().received),
        (1, 2)
    );
}

#[test]
fn a_batch_that_could_not_be_kept_hidden_is_let_go() {
    let mut rig = Rig::new(standard(|_| {}), 30, until(60_000, throttled()));
    rig.send(1).run_for(20_000);
    rig.queue_down = true;
    rig.run_for(20_000);
    rig.queue_down = false;
    assert_eq!(rig.machine.counters().dropped, 1);
    rig.run_for(60_000);
    assert_eq!(rig.queue.deleted().len(), 1);
}

/// What had been extended while it was held has none of its own time left when it fails.
#[test]
fn a_failure_after_a_throttle_shows_the_message_at_once() {
    let mut rig = Rig::new(standard(|_| {}), 30, |sent| {
        Some(match sent.at {
            0..50_000 => (0, throttled()),
            _ if sent.messages[0].system.receive_count == 1 => (0, raised()),
            _ => (0, ok()),
        })
    });
    rig.send(1).run_for(70_000);
    let failed = rig
        .sent
        .iter()
        .rfind(|s| s.messages[0].system.receive_count == 1)
        .unwrap()
        .at;
    assert_eq!(rig.changes().last().copied(), Some((failed, 1, 0)));
    assert_eq!(rig.sent.last().unwrap().at, failed);
    assert_eq!(rig.queue.deleted().len(), 1);
}
