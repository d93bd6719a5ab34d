//! Messages that match no filter (semantics 13): deleted unsent, left alone, or kept elsewhere.

use crate::rig::{Asked, Rig, Sent, always, fifo, never, ok, standard};
use millstream_core::queue::Unmatched;

fn unmatched(rig: &mut Rig, numbers: &[u64], how: Unmatched) {
    rig.unmatched.extend(numbers.iter().map(|n| (*n, how)));
}

#[test]
fn what_is_not_wanted_is_deleted_unsent() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    unmatched(&mut rig, &[2, 3], Unmatched::Deleted);
    rig.send(3).run_for(1_000);
    assert_eq!(rig.batches(), [vec![1]]);
    let mut deleted = rig.deletes();
    deleted.sort_unstable();
    assert_eq!(deleted, [1, 2, 3]);
    assert!(rig.queue.is_empty());
    let counters = rig.machine.counters();
    assert_eq!(
        (
            counters.received,
            counters.filtered,
            counters.done,
            counters.deleted
        ),
        (3, 2, 1, 3)
    );
}

#[test]
fn where_nothing_is_wanted_the_queue_is_emptied() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    let all: Vec<u64> = (1..=500).collect();
    unmatched(&mut rig, &all, Unmatched::Deleted);
    rig.send(500).run_for(5_000);
    assert!(rig.sent.is_empty() && rig.queue.is_empty());
    assert_eq!(rig.machine.counters().deleted, 500);
    assert!(rig.changes().is_empty());
}

#[test]
fn a_batch_fills_with_what_is_wanted_while_the_rest_is_deleted() {
    let spec = standard(|s| {
        s.batch_size = 20;
        s.batching_window_seconds = 10;
    });
    let mut rig = Rig::new(spec, 60, always(ok()));
    let odd: Vec<u64> = (1..=40).filter(|n| n % 2 == 1).collect();
    unmatched(&mut rig, &odd, Unmatched::Deleted);
    rig.send(40).run_for(20_000);
    let mut sent: Vec<u64> = rig.sent.iter().flat_map(Sent::numbers).collect();
    sent.sort_unstable();
    assert_eq!(sent, (1..=40).filter(|n| n % 2 == 0).collect::<Vec<_>>());
    assert!(rig.queue.is_empty());
}

#[test]
fn a_delete_that_fails_is_tried_again() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    unmatched(&mut rig, &[1], Unmatched::Deleted);
    rig.queue_down = true;
    rig.send(1).run_for(2_000);
    assert!(!rig.queue.is_empty());
    rig.queue_down = false;
    rig.run_for(10_000);
    assert!(rig.queue.is_empty() && rig.sent.is_empty());
}

#[test]
fn groups_go_on_behind_what_is_not_wanted() {
    let mut rig = Rig::new(fifo(|_| {}), 30, always(ok()));
    unmatched(&mut rig, &[1, 4, 5, 12], Unmatched::Deleted);
    rig.send_to(&["a"; 12]).run_for(1_000);
    let sent: Vec<u64> = rig.sent.iter().flat_map(Sent::numbers).collect();
    assert_eq!(sent, [2, 3, 6, 7, 8, 9, 10, 11], "in order");
    assert!(rig.queue.is_empty());
    assert_eq!(rig.snapshot().active_groups, 0);
    assert_eq!(rig.machine.counters().left, 0);
}

/// The queue lets go of a group as the delete is carried out, which another slot may see before its answer comes.
#[test]
fn a_group_may_go_on_in_another_slot_before_the_answer_to_the_delete() {
    let mut rig = Rig::new(fifo(|_| {}), 30, |sent| {
        (!sent.numbers().contains(&2)).then(|| (0, ok()))
    });
    unmatched(&mut rig, &[1], Unmatched::Deleted);
    rig.hold_deletes = true;
    rig.send_to(&["a", "b"]).run_for(1_000);
    rig.send_to(&["a"]).run_for(1_000);
    assert_eq!(
        rig.batches(),
        [vec![2]],
        "3 waits for the answer, and is not left alone"
    );
    assert_eq!(rig.machine.counters().left, 0);
    rig.hold_deletes = false;
    rig.answer_deletes().run_for(1_000);
    assert_eq!(rig.batches(), [vec![2], vec![3]], "2 is still being worked on");
    assert_eq!(rig.deletes(), [1, 3]);
}

#[test]
fn what_is_left_alone_comes_back_when_its_visibility_ends() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    unmatched(&mut rig, &[1], Unmatched::Left);
    rig.send(2).run_for(29_000);
    assert_eq!((rig.batches(), rig.deletes()), (vec![vec![2]], vec![2]));
    assert!(rig.changes().is_empty(), "its visibility is not touched");
    assert_eq!(rig.machine.counters().filtered, 1);
    rig.run_for(2_000);
    assert_eq!(rig.machine.counters().filtered, 2, "received once more");
    rig.unmatched.clear();
    rig.run_for(30_000);
    assert_eq!(rig.batches()[1..], [vec![1]], "other filters may want it");
    assert!(rig.queue.is_empty());
}

#[test]
fn while_draining_only_what_is_stored_elsewhere_is_deleted() {
    for (how, deletes, shown) in [
        (Unmatched::Deleted, vec![], vec![1]),
        (Unmatched::Stored, vec![1], vec![]),
        (Unmatched::Left, vec![], vec![]),
    ] {
        let mut rig = Rig::new(standard(|_| {}), 30, never());
        rig.uncut = true;
        rig.run_for(10);
        rig.drain();
        unmatched(&mut rig, &[1], how);
        rig.send(1).run_for(25_000);
        assert_eq!(rig.deletes(), deletes, "{how:?}");
        let given_back: Vec<u64> = rig.changes().iter().map(|c| c.1).collect();
        assert_eq!(given_back, shown, "{how:?}");
        assert!(rig.stopped.is_some());
        assert!(
            !rig.asked
                .iter()
                .any(|(_, a)| matches!(a, Asked::Visibility(v) if v[0].1 != 0))
        );
    }
}
