//! FIFO queues: order per group, batches over groups, and what a failure does to whom (semantics 8 and 10).

use crate::rig::{Asked, Rig, Sent, fifo, ok, raised, report, throttled};
use millstream_types::MappingSpec;
use std::collections::BTreeMap;

fn reporting(report: bool) -> MappingSpec {
    fifo(|s| s.report_batch_item_failures = report)
}

/// Which group each of the messages 1 to 6 is of.
const GROUPS: [&str; 6] = ["a", "b", "c", "a", "b", "c"];

/// The batch [a1 b2 c3 a4 b5 c6], of which b2 fails the first time.
fn b2_fails_once(by_report: bool) -> impl FnMut(&Sent) -> Option<(u64, millstream_types::Outcome)> {
    let mut failed = false;
    move |sent| {
        let fails = !failed && sent.numbers().contains(&2);
        failed |= fails;
        Some((
            1_000,
            match (fails, by_report) {
                (false, _) => ok(),
                (true, true) => report(&[2]),
                (true, false) => raised(),
            },
        ))
    }
}

#[test]
fn one_of_three_groups_fails_without_reports() {
    let mut rig = Rig::new(reporting(false), 30, b2_fails_once(false));
    rig.send_to(&GROUPS).run_for(29_999);
    assert_eq!(rig.batches(), [vec![1, 2, 3, 4, 5, 6]]);
    assert!(
        rig.asked.is_empty(),
        "a throw fails all groups of its batch: nothing deleted, nothing changed"
    );
    rig.run_for(10_000);
    assert_eq!(
        rig.batches()[1..],
        [vec![1, 2, 3, 4, 5, 6]],
        "all come back, in order"
    );
    assert_eq!(rig.times(), [0, 30_000]);
    assert_eq!(rig.deletes(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn one_of_three_groups_fails_with_reports() {
    let mut rig = Rig::new(reporting(true), 30, b2_fails_once(true));
    rig.send_to(&GROUPS).run_for(20_000);
    assert_eq!(
        rig.deletes(),
        [1, 3, 4, 5, 6],
        "what is not listed is deleted, b5 behind b2 too, as AWS does"
    );
    assert!(rig.changes().is_empty());
    rig.run_for(20_000);
    assert_eq!(rig.batches()[1..], [vec![2]]);
    assert_eq!(rig.times(), [0, 30_000]);
    assert!(rig.queue.is_empty());
}

/// What a function is to do: stop at the first failure, and report it and all that it did not process.
#[test]
fn the_function_reports_all_behind_the_first_failure() {
    let mut first = true;
    let mut rig = Rig::new(reporting(true), 30, move |_| {
        Some((
            0,
            if std::mem::take(&mut first) {
                report(&[2, 3, 4, 5, 6])
            } else {
                ok()
            },
        ))
    });
    rig.send_to(&GROUPS).run_for(40_000);
    assert_eq!(rig.batches(), [vec![1, 2, 3, 4, 5, 6], vec![2, 3, 4, 5, 6]]);
    assert_eq!(rig.deletes(), [1, 2, 3, 4, 5, 6]);
}

/// While b fails for ever, a and c are done as fast as without it, and what follows in b waits.
#[test]
fn a_failing_group_never_delays_another() {
    for by_report in [false, true] {
        let mut rig = Rig::new(
            fifo(|s| {
                s.report_batch_item_failures = by_report;
                s.batch_size = 1;
            }),
            30,
            move |sent| {
                let bad = sent.numbers() == [2];
                Some((
                    10,
                    match (bad, by_report) {
                        (false, _) => ok(),
                        (true, true) => report(&[2]),
                        (true, false) => raised(),
                    },
                ))
            },
        );
        rig.send_to(&GROUPS);
        for _ in 0..20 {
            rig.send_to(&["a", "c"]);
        }
        rig.run_for(5_000);
        let left: Vec<u64> = rig.queue.messages().map(|m| m.number).collect();
        assert_eq!(left, [2, 5], "b2 is hidden, b5 is behind it");
        assert!(rig.sent.iter().all(|s| s.numbers() != [5]));
        rig.queue.set_max_receives(Some(4));
        rig.run_for(130_000);
        assert_eq!(rig.queue.dead_letters(), [2]);
        assert_eq!(
            rig.sent.last().unwrap().numbers(),
            [5],
            "freed by the dead-letter queue"
        );
        assert!(rig.queue.is_empty());
        assert_eq!(rig.snapshot().active_groups, 0);
    }
}

#[test]
fn groups_run_side_by_side_each_in_order() {
    let mut rig = Rig::new(fifo(|s| s.batch_size = 1), 30, |_| Some((1_000, ok())));
    for _ in 0..5 {
        rig.send_to(&["a", "b", "c", "d"]);
    }
    rig.run_for(5_100);
    assert_eq!(rig.queue.deleted().len(), 20, "five rounds of four");
    assert_eq!(rig.most_running, 4, "as many as there are active groups");
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for sent in &rig.sent {
        let group = sent.messages[0].system.group.clone().unwrap().to_string();
        let number = sent.numbers()[0];
        assert!(last.insert(group, number).is_none_or(|before| before < number));
    }
}

#[test]
fn maximum_concurrency_bounds_the_groups() {
    let spec = fifo(|s| {
        s.batch_size = 1;
        s.maximum_concurrency = Some(2);
    });
    let mut rig = Rig::new(spec, 30, |_| Some((1_000, ok())));
    rig.send_to(&["a", "b", "c", "d", "e"]).run_for(5_000);
    assert_eq!((rig.most_running, rig.queue.deleted().len()), (2, 5));
}

/// The next messages of a group may arrive before the answer to the delete that freed it.
#[test]
fn the_next_batch_of_a_group_waits_for_the_last_delete_of_the_one_before() {
    let mut rig = Rig::new(reporting(false), 30, |_| Some((100, ok())));
    rig.hold_deletes = true;
    rig.send_to(&["a", "a"]).run_for(1_000);
    assert_eq!(rig.queue.deleted().len(), 2, "carried out, not answered");
    rig.send_to(&["a", "b"]).run_for(1_000);
    assert_eq!(rig.sent.len(), 1, "received, and held back");
    assert_eq!(rig.snapshot().messages_in_flight, 4);
    rig.hold_deletes = false;
    rig.answer_deletes().run_for(1_000);
    assert_eq!(rig.batches(), [vec![1, 2], vec![3, 4]]);
    assert_eq!(rig.times(), [0, 2_000]);
    assert_eq!(rig.machine.counters().left, 0);
}

/// A queue that hands out a group of which something is still worked on: it is left alone until that has ended.
#[test]
fn what_became_visible_during_its_invocation_is_not_sent_beside_it() {
    let mut rig = Rig::new(reporting(false), 30, |sent| (sent.at > 0).then(|| (0, ok())));
    rig.send_to(&["a", "a"]).run_for(10_000);
    rig.queue_down = true;
    rig.run_for(35_000);
    rig.queue_down = false;
    assert_eq!(
        rig.sent.len(),
        1,
        "the heartbeat failed, both came again, and were left alone"
    );
    assert_eq!(rig.machine.counters().left, 2);
    rig.release(0, ok()).run_for(60_000);
    assert_eq!(
        rig.batches(),
        [vec![1, 2], vec![1, 2]],
        "at least once, one after the other"
    );
    assert!(rig.queue.is_empty());
}

#[test]
fn a_throttled_batch_keeps_its_groups_and_their_order() {
    let mut rig = Rig::new(fifo(|s| s.batch_size = 2), 30, |sent| {
        Some((0, if sent.at < 40_000 { throttled() } else { ok() }))
    });
    rig.send_to(&["a", "a", "a", "a"]).run_for(39_000);
    assert!(
        rig.sent.iter().all(|s| s.numbers() == [1, 2]),
        "{:?}",
        rig.batches()
    );
    rig.run_for(21_000);
    let done: Vec<Vec<u64>> = rig
        .sent
        .iter()
        .filter(|s| s.at >= 40_000)
        .map(Sent::numbers)
        .collect();
    assert_eq!(done, [[1, 2], [3, 4]]);
    assert!(rig.sent.iter().all(|s| s.messages[0].system.receive_count == 1));
}

/// Too big for one event: the second part waits for the first, and goes back unsent if its group has failed.
#[test]
fn what_was_carried_over_does_not_overtake_a_failure() {
    let mut first = true;
    let mut rig = Rig::new(reporting(true), 30, move |_| {
        Some((
            0,
            if std::mem::take(&mut first) {
                report(&[1])
            } else {
                ok()
            },
        ))
    });
    let big = vec![b'x'; 1 << 20];
    let now = rig.now.wall;
    for group in ["a", "b", "b", "b", "b", "a", "b"] {
        rig.queue.send(Some(group), &big, now);
    }
    rig.run_for(1_000);
    assert_eq!(
        rig.batches(),
        [vec![1, 2, 3, 4, 5], vec![7]],
        "a6 would overtake a1"
    );
    assert!(rig.asked.contains(&(0, Asked::Visibility(vec![(6, 0)]))));
    rig.run_for(60_000);
    assert_eq!(rig.batches()[2..], [vec![1, 6]]);
    assert!(rig.queue.is_empty());
}

#[test]
fn a_failed_batch_that_was_extended_comes_back_whole_and_in_order() {
    let mut first = true;
    let mut rig = Rig::new(reporting(false), 30, move |_| {
        Some(if std::mem::take(&mut first) {
            (25_000, raised())
        } else {
            (0, ok())
        })
    });
    rig.send_to(&["a", "a", "b"]).run_for(40_000);
    assert_eq!(rig.batches(), [vec![1, 2, 3], vec![1, 2, 3]]);
    assert_eq!(rig.times(), [0, 30_000]);
}
