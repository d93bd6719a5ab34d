//! When the queue is asked, and how often.

use crate::rig::{Rig, Sent, always, fifo, mapping, ok, raised, standard};
use millstream_core::queue::{ReceiveFault, SlotActivity};

#[test]
fn an_idle_queue_has_one_long_poll() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.run_for(3_600_000);
    assert_eq!(rig.polls.len(), 1);
    assert!(
        rig.receives
            .iter()
            .all(|(_, r)| r.wait.as_secs() == 20 && r.max == 10)
    );
    let an_hour = rig.snapshot().requests_last_hour;
    assert!((178..=181).contains(&an_hour), "{an_hour}");
}

#[test]
fn after_a_burst_it_goes_back_to_one() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.send(500).run_for(10);
    assert_eq!(rig.queue.deleted().len(), 500);
    assert_eq!(rig.polls.len(), 5, "as many as there are slots");
    rig.run_for(21_000);
    assert_eq!(rig.polls.len(), 1);
}

/// Four groups keep four batches busy: more receives than a few could only wait.
#[test]
fn a_fifo_queue_of_few_groups_has_few_long_polls() {
    let mut rig = Rig::new(fifo(|s| s.batch_size = 1), 30, |_| Some((100, ok())));
    let mut most = 0;
    for _ in 0..300 {
        rig.send_to(&["a", "b", "c", "d"]).run_for(100);
        most = most.max(rig.polls.len());
    }
    assert_eq!(rig.most_running, 4);
    assert!((4..=100).contains(&most), "{most}");
}

#[test]
fn a_message_is_taken_as_it_comes_while_others_are_worked_on() {
    let mut rig = Rig::new(standard(|_| {}), 60, |_| Some((10_000, ok())));
    for _ in 0..4 {
        rig.send(1).run_for(1_000);
    }
    assert_eq!(rig.times(), [0, 1_000, 2_000, 3_000]);
}

#[test]
fn a_queue_that_fails_is_asked_again_with_growing_pauses_and_by_one() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.send(100).run_for(10);
    rig.receive_fault = Some(ReceiveFault::Unavailable("no route".to_owned()));
    let before = rig.receives.len();
    rig.run_for(120_000);
    let tried = rig.receives.len() - before;
    assert!((8..=13).contains(&tried), "{tried}");
    assert_eq!(rig.snapshot().queue_trouble.as_deref(), Some("no route"));
    rig.receive_fault = None;
    rig.send(10).run_for(80_000);
    assert_eq!(
        (rig.queue.deleted().len(), rig.snapshot().queue_trouble),
        (110, None)
    );
}

#[test]
fn a_queue_that_is_gone_is_looked_for_slowly_and_found() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.receive_fault = Some(ReceiveFault::NoSuchQueue("gone".to_owned()));
    rig.run_for(300_000);
    let tried = rig.machine.counters().receive_faults;
    assert!((6..=20).contains(&tried), "{tried}");
    rig.receive_fault = None;
    rig.send(1).run_for(80_000);
    assert_eq!(rig.queue.deleted().len(), 1);
}

#[test]
fn a_batch_that_fills_goes_on_time_though_the_queue_fails() {
    let spec = standard(|s| s.batching_window_seconds = 10);
    let mut rig = Rig::new(spec, 60, always(ok()));
    rig.send(1).run_for(100);
    rig.receive_fault = Some(ReceiveFault::Unavailable("no route".to_owned()));
    rig.run_for(10_000);
    assert_eq!(rig.times(), [10_000]);
}

/// A queue that answers at once that it has nothing must not be asked in a tight loop.
#[test]
fn a_queue_that_does_not_wait_is_not_asked_without_pause() {
    use millstream_core::queue::{Action, QueueConfig, QueueMachine, ReceiveReport};
    let config = QueueConfig::new(
        mapping(),
        1,
        &standard(|_| {}),
        std::time::Duration::from_secs(30),
    );
    let rig = Rig::with(config.clone(), always(ok()));
    let mut now = rig.now;
    let mut machine = QueueMachine::new(config, 1, now);
    let (mut actions, mut asked) = (Vec::new(), 0);
    machine.start(now, &mut actions);
    let end = now.mono.plus(std::time::Duration::from_secs(60));
    while now.mono < end {
        for action in std::mem::take(&mut actions) {
            if let Action::Receive(order) = action {
                asked += 1;
                let report = ReceiveReport {
                    id: order.id,
                    result: Ok(Vec::new()),
                };
                machine.on_receive(report, now, &mut actions);
            }
        }
        if actions.is_empty() {
            now.mono = machine.deadline().unwrap();
            machine.on_tick(now, &mut actions);
        }
    }
    assert!((30..=61).contains(&asked), "{asked}");
}

#[test]
fn slots_are_shown() {
    let mut rig = Rig::new(standard(|_| {}), 60, |_| None);
    rig.send(3).run_for(10);
    let snapshot = rig.snapshot();
    let shown: Vec<_> = snapshot
        .slots
        .iter()
        .map(|s| (s.slot, s.activity, s.messages))
        .collect();
    assert_eq!(
        shown,
        [(0, SlotActivity::Invoking, 3), (1, SlotActivity::Receiving, 0)]
    );
    assert_eq!(snapshot.slots[0].request_id, Some(rig.sent[0].request));
    assert_eq!(
        snapshot.slots[0].since,
        rig.sent[0].messages[0].system.first_received
    );
    assert_eq!(
        (
            snapshot.batches_in_flight,
            snapshot.active_groups,
            snapshot.draining
        ),
        (1, 0, false)
    );
}

/// What the other mappings of the node hold leaves no room: one receive at a time, and all again when there is room.
#[test]
fn without_memory_on_the_node_a_queue_comes_on_one_receive_at_a_time() {
    let mut rig = Rig::new(standard(|_| {}), 30, |_| Some((10_000, ok())));
    rig.machine.set_node_room(0);
    rig.send(100).run_for(9_000);
    assert_eq!((rig.most_running, rig.queue.deleted().len()), (1, 0));
    rig.run_for(12_000);
    assert_eq!(
        (rig.most_running, rig.queue.deleted().len()),
        (1, 20),
        "it is not stuck"
    );
    rig.machine.set_node_room(usize::MAX);
    rig.run_for(1_000);
    assert_eq!(rig.most_running, 5, "it looks again by itself");
}

#[test]
fn every_call_of_the_queue_is_a_request() {
    let answer = |sent: &Sent| match sent.messages[0].system.receive_count {
        1 => Some((40_000, raised())),
        _ => Some((0, ok())),
    };
    let mut rig = Rig::new(standard(|_| {}), 30, answer);
    rig.send(1).run_for(90_000);
    assert_eq!(rig.queue.deleted().len(), 1);
    assert!(
        rig.changes().len() >= 2,
        "extended, and taken off: {:?}",
        rig.asked
    );
    let calls = rig.receives.len() + rig.asked.len();
    assert_eq!(rig.snapshot().requests_last_hour, calls as u64);
}
