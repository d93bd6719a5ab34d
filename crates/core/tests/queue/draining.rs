//! Pause, change of settings and shutdown: nothing starts, what runs ends, what was never sent goes back at once.

use crate::rig::{Asked, Rig, fifo, mapping, ok, raised, standard, throttled};
use millstream_core::queue::StopReason;
use millstream_types::Outcome;

#[test]
fn a_waiting_receive_is_cut_short_and_the_machine_stops() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| None);
    rig.run_for(5_000);
    rig.drain().run_for(1);
    assert_eq!(rig.stopped, Some(StopReason::Drained));
    rig.send(1).run_for(60_000);
    assert!(rig.sent.is_empty() && rig.machine.deadline().is_none());
}

/// A receive that could not be cut short brings messages: they go back at once, unsent.
#[test]
fn what_arrives_after_the_drain_is_given_back() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| None);
    rig.run_for(1_000);
    rig.send(2);
    rig.uncut = true;
    rig.drain().run_for(10);
    assert_eq!(rig.asked, [(1_000, Asked::Visibility(vec![(1, 0), (2, 0)]))]);
    assert_eq!(rig.stopped, Some(StopReason::Drained));
    assert!(rig.sent.is_empty());
    assert!(rig.queue.messages().all(|m| m.visible_at <= rig.now.mono));
}

#[test]
fn running_attempts_end_and_are_judged() {
    // What the function says in the end; what is deleted; what is shown at once.
    let rows: [(Outcome, &[u64], &[u64]); 3] = [
        (ok(), &[1, 2], &[]),
        (raised(), &[], &[]),
        (throttled(), &[], &[1, 2]),
    ];
    for (outcome, deleted, shown) in rows {
        let mut rig = Rig::new(standard(|_| {}), 30, |_| None);
        rig.send(2).run_for(1_000);
        rig.drain().run_for(5_000);
        assert_eq!(rig.stopped, None, "an attempt runs");
        rig.release(0, outcome.clone()).run_for(10);
        assert_eq!(rig.stopped, Some(StopReason::Drained), "{outcome:?}");
        let back: Vec<u64> = rig.changes().iter().map(|c| c.1).collect();
        assert_eq!(
            (rig.deletes(), back),
            (deleted.to_vec(), shown.to_vec()),
            "{outcome:?}"
        );
        assert_eq!(rig.sent.len(), 1);
    }
}

#[test]
fn a_filling_batch_and_a_held_one_go_back() {
    let spec = standard(|s| s.batching_window_seconds = 60);
    let mut rig = Rig::new(spec, 100, |_| Some((0, throttled())));
    rig.send(10).run_for(1_000);
    rig.send(3).run_for(1_000);
    let sent = rig.sent.len();
    rig.drain().run_for(10);
    assert_eq!(rig.stopped, Some(StopReason::Drained));
    assert_eq!((rig.sent.len(), rig.machine.counters().returned), (sent, 13));
    assert!(
        rig.queue
            .messages()
            .all(|m| m.visible_at <= rig.now.mono && m.receives == 1)
    );
}

#[test]
fn a_batch_held_back_for_its_group_goes_back() {
    let mut rig = Rig::new(fifo(|_| {}), 30, |_| Some((0, ok())));
    rig.hold_deletes = true;
    rig.send_to(&["a"]).run_for(10);
    rig.send_to(&["a"]).run_for(10);
    assert_eq!(rig.sent.len(), 1);
    rig.drain().run_for(10);
    assert_eq!(rig.stopped, None, "a delete is not answered");
    assert_eq!(rig.changes(), [(20, 2, 0)]);
    rig.answer_deletes().run_for(10);
    assert_eq!(rig.stopped, Some(StopReason::Drained));
}

#[test]
fn what_failed_stays_hidden_as_long_as_it_would_have() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| None);
    rig.send(1).run_for(25_000);
    rig.drain().run_for(1_000);
    rig.release(0, raised()).run_for(10);
    assert_eq!(rig.changes(), [(22_500, 1, 30), (26_000, 1, 4)]);
    assert_eq!(rig.stopped, Some(StopReason::Drained));
}

/// A queue that takes no deletes keeps a drain for a while, not for ever.
#[test]
fn a_drain_ends_though_the_queue_is_down() {
    let mut rig = Rig::new(standard(|_| {}), 3_600, |_| Some((1_000, ok())));
    rig.send(1).run_for(500);
    rig.queue_down = true;
    rig.drain().run_for(10_000);
    assert_eq!(rig.stopped, None);
    rig.run_for(60_000);
    assert_eq!(rig.stopped, Some(StopReason::Drained));
    assert_eq!(rig.machine.counters().undeleted, 1);
}

#[test]
fn a_machine_that_never_started_stops_at_once() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| None);
    let config = millstream_core::queue::QueueConfig::new(
        mapping(),
        1,
        &standard(|_| {}),
        std::time::Duration::from_secs(30),
    );
    rig.machine = millstream_core::queue::QueueMachine::new(config, 2, rig.now);
    let mut actions = Vec::new();
    rig.machine.drain(rig.now, &mut actions);
    assert!(matches!(
        actions[..],
        [millstream_core::queue::Action::Stopped(StopReason::Drained)]
    ));
    rig.machine.start(rig.now, &mut actions);
    assert_eq!(actions.len(), 1, "and does not start any more");
}
