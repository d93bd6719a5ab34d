//! What becomes of messages after an attempt: semantics sections 8 and 10.

use crate::rig::{Rig, Sent, always, ok, raised, report, standard};
use millstream_core::queue::SlotActivity;
use millstream_types::{Outcome, Wall};
use std::time::Duration;

fn reporting(size: u32) -> millstream_types::MappingSpec {
    standard(|s| {
        s.report_batch_item_failures = true;
        s.batch_size = size;
    })
}

/// Says `first` to the first attempt and is content after that.
fn once(first: Outcome, after_ms: u64) -> impl FnMut(&Sent) -> Option<(u64, Outcome)> {
    let mut first = Some(first);
    move |_| Some((after_ms, first.take().unwrap_or_else(ok)))
}

/// Of a batch of three: what the function says, what is deleted at once, what comes back after the timeout.
#[test]
fn what_is_deleted_and_what_comes_back() {
    let text = |s: &'static str| Outcome::Response(s.into());
    let timeout = Outcome::Timeout {
        after: Duration::from_secs(3),
    };
    let all: &[u64] = &[1, 2, 3];
    let rows: Vec<(&str, Outcome, &[u64], &[u64])> = vec![
        ("success", ok(), all, &[]),
        ("nothing", text(""), all, &[]),
        ("null", text("null"), all, &[]),
        ("an empty list", report(&[]), all, &[]),
        ("one listed", report(&[2]), &[1, 3], &[2]),
        ("twice the same", report(&[2, 2]), &[1, 3], &[2]),
        ("all listed", report(&[3, 1, 2]), &[], all),
        ("an unknown id", report(&[2, 9]), &[], all),
        ("an empty entry", text(r#"{"batchItemFailures":[{}]}"#), &[], all),
        ("no JSON", text("oops"), &[], all),
        ("an error", raised(), &[], all),
        ("a timeout", timeout, &[], all),
    ];
    for (what, outcome, deleted, back) in rows {
        let mut rig = Rig::new(reporting(10), 30, once(outcome, 100));
        rig.send(3).run_for(29_000);
        assert_eq!(rig.deletes(), deleted, "{what}");
        assert!(rig.changes().is_empty(), "{what}: visibility is not touched");
        assert_eq!(rig.sent.len(), 1, "{what}");
        rig.run_for(2_000);
        let again = rig.sent.get(1).map(Sent::numbers).unwrap_or_default();
        assert_eq!(again, back, "{what}");
        assert!(rig.sent.get(1).is_none_or(|s| s.at == 30_000), "{what}");
        assert!(rig.queue.is_empty(), "{what}");
    }
}

#[test]
fn without_reports_any_answer_is_success() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(report(&[2])));
    rig.send(3).run_for(60_000);
    assert_eq!((rig.sent.len(), rig.deletes()), (1, vec![1, 2, 3]));
}

#[test]
fn a_poisonous_message_goes_to_the_dead_letter_queue_of_its_queue() {
    let mut rig = Rig::new(reporting(10), 30, |sent| {
        let bad: Vec<u64> = sent.numbers().into_iter().filter(|n| *n == 2).collect();
        Some((0, report(&bad)))
    });
    rig.queue.set_max_receives(Some(3));
    rig.send(3).run_for(200_000);
    assert_eq!(rig.queue.dead_letters(), [2]);
    assert_eq!(rig.batches(), [vec![1, 2, 3], vec![2], vec![2]]);
    assert_eq!(rig.times(), [0, 30_000, 60_000]);
}

/// The heartbeat runs only when the invocation is about to outlast the timeout; after a failure what it added is taken
/// off again.
#[test]
fn visibility_over_the_length_of_an_invocation() {
    // Length of the invocation, its outcome, changes of visibility (s, s), when it is sent again.
    type Row = (u64, Outcome, Vec<(u64, u64)>, Option<u64>);
    let rows: Vec<Row> = vec![
        (22_000, raised(), vec![], Some(30_000)),
        (23_000, raised(), vec![(22_500, 30), (23_000, 7)], Some(30_000)),
        (23_000, ok(), vec![(22_500, 30)], None),
        (29_000, raised(), vec![(22_500, 30), (29_000, 1)], Some(30_000)),
        (40_000, raised(), vec![(22_500, 30), (40_000, 0)], Some(40_000)),
        (60_000, ok(), vec![(22_500, 30), (45_000, 30)], None),
    ];
    for (length, outcome, changes, again) in rows {
        let mut outcomes = vec![(1, ok()), (length, outcome.clone())];
        let mut rig = Rig::new(standard(|_| {}), 30, move |_| outcomes.pop());
        rig.send(1).run_for(100_000);
        let got: Vec<(u64, u64)> = rig.changes().iter().map(|(at, _, s)| (*at, *s)).collect();
        assert_eq!(got, changes, "{length} ms, {outcome:?}");
        assert_eq!(rig.times().get(1).copied(), again, "{length} ms, {outcome:?}");
        assert_eq!(rig.queue.deleted().len(), 1);
    }
}

#[test]
fn a_partial_failure_takes_off_only_what_was_added_to_the_listed() {
    let mut outcomes = vec![(0, ok()), (25_000, report(&[2]))];
    let mut rig = Rig::new(reporting(10), 30, move |_| outcomes.pop());
    rig.send(2).run_for(50_000);
    assert_eq!(rig.changes(), [(22_500, 1, 30), (22_500, 2, 30), (25_000, 2, 5)]);
    assert_eq!((rig.deletes(), rig.times()), (vec![1, 2], vec![0, 30_000]));
}

#[test]
fn a_heartbeat_that_fails_is_tried_again_while_there_is_time() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| Some((100_000, ok())));
    rig.send(1).run_for(22_000);
    rig.queue_down = true;
    rig.run_for(2_000);
    rig.queue_down = false;
    rig.run_for(90_000);
    assert_eq!(rig.sent.len(), 1, "it was never visible to others");
    assert_eq!(rig.deletes(), [1]);
    assert!(rig.changes().len() >= 4);
}

#[test]
fn deletes_are_of_ten_at_most_and_tried_again_each_by_itself() {
    let spec = standard(|s| {
        s.batch_size = 25;
        s.batching_window_seconds = 1;
    });
    let mut rig = Rig::new(spec, 30, always(ok()));
    rig.queue_down = true;
    rig.send(25).run_for(3_000);
    assert!(rig.queue.deleted().is_empty() && rig.deletes().len() > 25);
    assert_eq!(rig.snapshot().slots[0].activity, SlotActivity::Settling);
    assert_eq!(rig.snapshot().slots[0].messages, 25);
    rig.queue_down = false;
    rig.run_for(10_000);
    assert_eq!(rig.queue.deleted().len(), 25);
    assert_eq!(
        (rig.machine.counters().deleted, rig.machine.counters().undeleted),
        (25, 0)
    );
    assert_eq!(rig.sent.len(), 1);
    assert_eq!(rig.snapshot().messages_in_flight, 0);
}

/// Success was never recorded at the queue: the message comes again, as "at least once" says, and nothing is stuck.
#[test]
fn a_delete_is_given_up_when_the_message_is_visible_anyway() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.queue_down = true;
    rig.send(1).run_for(29_999);
    assert_eq!(rig.sent.len(), 1);
    rig.run_for(1);
    rig.queue_down = false;
    rig.run_for(100_000);
    assert_eq!((rig.times().len(), rig.machine.counters().undeleted), (2, 1));
    assert!(rig.queue.is_empty());
    assert_eq!(rig.snapshot().messages_in_flight, 0);
}

#[test]
fn late_and_unknown_answers_change_nothing() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| None);
    rig.send(2).run_for(10);
    let sent = rig.sent[0].clone();
    let before = rig.snapshot();
    let mut actions = Vec::new();
    let unknown = millstream_core::queue::OrderId(u64::MAX);
    rig.machine.on_delete(unknown, &[], rig.now, &mut actions);
    rig.machine.on_visibility(unknown, &[], rig.now, &mut actions);
    rig.machine.on_delete(sent.id, &[], rig.now, &mut actions);
    let report = millstream_core::queue::AttemptReport {
        id: unknown,
        verdict: millstream_core::verdict::QueueVerdict::Done,
        started: Wall(0),
    };
    rig.machine.on_attempt(report.clone(), rig.now, &mut actions);
    assert!(actions.is_empty());
    assert_eq!(rig.snapshot(), before);
    rig.release(0, raised()).run_for(10);
    let again = millstream_core::queue::AttemptReport {
        id: sent.id,
        ..report
    };
    rig.machine.on_attempt(again, rig.now, &mut actions);
    assert!(
        actions.is_empty() && rig.deletes().is_empty(),
        "a second answer to the same attempt"
    );
}
