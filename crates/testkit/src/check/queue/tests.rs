//! Every checker must let a sound run pass, and must fail where its invariant is broken.

use super::*;
use crate::queue_log::{BatchResult, Delivery};

fn configured(most_in_flight: Option<usize>, max_receives: Option<u32>) -> QueueEvent {
    QueueEvent::Configured {
        most_in_flight,
        max_receives,
    }
}

fn sent(message: &str, group: &str) -> QueueEvent {
    QueueEvent::Sent {
        message: message.into(),
        group: Some(group.into()).filter(|g: &std::sync::Arc<str>| !g.is_empty()),
    }
}

fn delivery(message: &str, receives: u32) -> Delivery {
    Delivery {
        message: message.into(),
        receives,
    }
}

/// `m1` is its first delivery, `m1*2` its second.
fn start(call: u64, batch: &[&str]) -> QueueEvent {
    let one = |text: &&str| match text.split_once('*') {
        Some((message, n)) => delivery(message, n.parse().unwrap()),
        None => delivery(text, 1),
    };
    QueueEvent::Started {
        call,
        messages: batch.iter().map(one).collect(),
    }
}

fn end(call: u64, result: BatchResult) -> QueueEvent {
    QueueEvent::Ended { call, result }
}

fn done(call: u64) -> QueueEvent {
    end(call, BatchResult::Done)
}

fn deleted(message: &str, receives: u32) -> QueueEvent {
    QueueEvent::Deleted(delivery(message, receives))
}

fn dead(message: &str, receives: u32) -> QueueEvent {
    QueueEvent::DeadLettered {
        message: message.into(),
        receives: Some(receives),
    }
}

fn sound(events: &[QueueEvent]) {
    assert_eq!(check(events), []);
}

/// The last event, and no other, breaks it.
fn broken(invariant: Invariant, events: &[QueueEvent]) {
    let found = QueueCheckers::default();
    let mut checkers = found;
    for (at, event) in events.iter().enumerate() {
        let result = checkers.observe(event);
        match at + 1 == events.len() {
            false => assert_eq!(result, Ok(()), "{event:?}"),
            true => assert_eq!(result.unwrap_err().invariant, invariant),
        }
    }
}

#[test]
fn a_sound_run_passes() {
    sound(&[
        configured(Some(2), Some(2)),
        sent("a1", "a"),
        sent("b1", "b"),
        sent("a2", "a"),
        start(0, &["a1", "b1", "a2"]),
        end(0, BatchResult::DoneBut(vec![1])),
        deleted("a1", 1),
        deleted("a2", 1),
        start(1, &["b1*2"]),
        end(1, BatchResult::Failed),
        dead("b1", 2),
    ]);
}

#[test]
fn i7_a_delete_needs_a_success_of_that_receipt() {
    let begin = [sent("m", "g"), sent("n", ""), start(0, &["m", "n"])];
    let with = |more: &[QueueEvent]| [&begin[..], more].concat();
    broken(Invariant::Deletes, &with(&[deleted("m", 1)]));
    broken(
        Invariant::Deletes,
        &with(&[end(0, BatchResult::Failed), deleted("m", 1)]),
    );
    broken(
        Invariant::Deletes,
        &with(&[end(0, BatchResult::NotRun), deleted("m", 1)]),
    );
    let reported = end(0, BatchResult::DoneBut(vec![1]));
    broken(
        Invariant::Deletes,
        &with(&[reported.clone(), deleted("m", 1), deleted("n", 1)]),
    );
    broken(Invariant::Deletes, &with(&[done(0), deleted("m", 2)]));
    broken(
        Invariant::Deletes,
        &with(&[reported, QueueEvent::Gone { message: "n".into() }]),
    );
    broken(
        Invariant::Deletes,
        &with(&[done(0), deleted("m", 1), start(1, &["m*2"])]),
    );
}

#[test]
fn i1_everything_is_deleted_or_a_dead_letter() {
    let lost = check(&[sent("m", ""), start(0, &["m"]), done(0)]);
    assert_eq!((lost.len(), lost[0].invariant), (1, Invariant::NoLoss));
    let early = [
        configured(None, Some(3)),
        sent("m", ""),
        start(0, &["m"]),
        end(0, BatchResult::Failed),
    ];
    broken(Invariant::NoLoss, &[&early[..], &[dead("m", 2)]].concat());
    sound(&[&early[..], &[dead("m", 3)]].concat());
}

#[test]
fn i4_a_group_is_in_one_batch_and_in_order() {
    let two = [sent("a1", "a"), sent("a2", "a"), sent("b1", "b")];
    let with = |more: &[QueueEvent]| [&two[..], more].concat();
    broken(Invariant::KeyOrder, &with(&[start(0, &["a2"])]));
    broken(Invariant::KeyOrder, &with(&[start(0, &["a2", "a1"])]));
    broken(
        Invariant::KeyOrder,
        &with(&[start(0, &["b1", "a1"]), start(1, &["a2"])]),
    );
    broken(
        Invariant::KeyOrder,
        &with(&[start(0, &["a1"]), end(0, BatchResult::Failed), start(1, &["a2"])]),
    );
    let duplicate = [start(0, &["a1"]), start(1, &["a1*2"])];
    broken(Invariant::KeyOrder, &with(&duplicate));
    let (all, rest) = (
        start(0, &["a1", "a2", "b1"]),
        [deleted("a1", 1), deleted("a2", 1), deleted("b1", 1)],
    );
    sound(&[&with(&[all, done(0)]), &rest[..]].concat());
}

#[test]
fn i4_a_loss_frees_groups_and_a_dead_letter_lets_go_on() {
    let events = [
        sent("a1", "a"),
        sent("a2", "a"),
        start(0, &["a1"]),
        QueueEvent::Lost,
        start(1, &["a1*2"]),
        end(1, BatchResult::Failed),
        dead("a1", 2),
        start(2, &["a2"]),
        done(2),
        deleted("a2", 1),
    ];
    sound(&events);
}

#[test]
fn i12_no_more_in_flight_than_allowed() {
    let events = [
        configured(Some(2), None),
        sent("1", ""),
        sent("2", ""),
        sent("3", ""),
        start(0, &["1"]),
        start(1, &["2"]),
        start(2, &["3"]),
    ];
    broken(Invariant::InFlight, &events);
    let mut checkers = QueueCheckers::default();
    events[..6].iter().for_each(|e| checkers.observe(e).unwrap());
    assert_eq!(checkers.history().peak(), 2);
}

#[test]
fn i15_nothing_starts_from_the_answer_to_a_pause() {
    let begin = [
        configured(Some(2), None),
        sent("1", ""),
        sent("2", ""),
        sent("3", ""),
        start(0, &["1"]),
        QueueEvent::Pausing,
    ];
    let with = |more: &[QueueEvent]| [&begin[..], more].concat();
    broken(Invariant::Pause, &with(&[QueueEvent::Paused]));
    broken(
        Invariant::Pause,
        &with(&[start(1, &["2"]), done(0), start(2, &["3"])]),
    );
    broken(
        Invariant::Pause,
        &with(&[done(0), QueueEvent::Paused, start(1, &["2"])]),
    );
    let over = with(&[
        done(0),
        QueueEvent::Paused,
        QueueEvent::Resumed,
        start(1, &["2"]),
        done(1),
    ]);
    assert!(check(&over).iter().all(|v| v.invariant == Invariant::NoLoss));
}

#[test]
fn what_no_filter_wants_is_deleted_unhandled_and_holds_nothing_up() {
    let unwanted = || QueueEvent::Unwanted { message: "a".into() };
    let begins = || vec![configured(None, None), sent("a", "g"), unwanted(), sent("b", "g")];
    let mut events = begins();
    events.extend([start(1, &["b"]), done(1), deleted("b", 1), deleted("a", 1)]);
    sound(&events);
    let mut events = begins();
    events.push(start(1, &["a"]));
    broken(Invariant::Deletes, &events);
}
