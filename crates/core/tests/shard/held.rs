//! Attempts that are held, because their mapping is about to be drained: they leave no trace.

use crate::rig::{Rig, always, ok, raise_on, raised, spec};
use millstream_core::shard::StopReason;
use std::time::Duration;

#[test]
fn what_is_held_spends_nothing_and_is_sent_later_as_it_was() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.max_retry_attempts) = (2, 1)),
        raise_on(&[1]),
    );
    rig.put("k", b"x");
    rig.put("k", b"x");
    rig.run_for(Duration::ZERO);
    let (before, history) = (rig.machine.counters(), rig.journal.ledger().len());
    let commits = rig.commits.len();
    rig.hold_attempts = true;
    rig.run_for(Duration::from_secs(60));
    assert!(rig.turned_away > 0, "nothing was held: the test says nothing");
    assert_eq!(
        rig.machine.counters(),
        before,
        "neither an attempt nor a throttle"
    );
    assert_eq!(
        (rig.journal.ledger().len(), rig.commits.len()),
        (history, commits)
    );
    rig.hold_attempts = false;
    rig.run();
    let sent: Vec<_> = rig.sent.iter().map(|s| (s.request, s.attempt)).collect();
    let request = rig.sent[0].request;
    assert_eq!(
        sent,
        [(request, 1), (request, 2)],
        "the second attempt is the second"
    );
    assert_eq!(rig.discarded(), [(1, 2, 2, "RetryAttemptsExhausted")]);
}

#[test]
fn what_is_held_is_tried_once_a_second_over_all_lanes() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.parallelization_factor) = (1, 10)),
        always(ok()),
    );
    rig.hold_attempts = true;
    for n in 0..40 {
        rig.put(&format!("key-{n}"), b"x");
    }
    rig.run_for(Duration::ZERO);
    let (lanes, at_once) = (10, rig.turned_away);
    assert!((1..=lanes).contains(&at_once), "{at_once}");
    rig.run_for(Duration::from_millis(999));
    assert_eq!(rig.turned_away, at_once);
    rig.run_for(Duration::from_secs(9));
    assert!(rig.turned_away <= 10 * lanes, "{}", rig.turned_away);
    assert!(rig.turned_away > at_once, "it is tried again");
    rig.hold_attempts = false;
    rig.run();
    assert_eq!((rig.sent.len(), rig.checkpoint()), (40, Some(40)));
}

#[test]
fn a_machine_that_is_held_drains_at_once_and_waits_for_what_runs() {
    let mut rig = Rig::new(spec(|s| s.batch_size = 1), always(raised()));
    rig.hold_attempts = true;
    rig.feed_for(2, Duration::from_secs(3));
    rig.drain();
    assert_eq!((rig.stopped, rig.sent.len()), (Some(StopReason::Drained), 0));
    assert_eq!(rig.machine.deadline(), None);

    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.parallelization_factor) = (1, 2)),
        |_| None,
    );
    rig.put("a", b"x");
    rig.run_for(Duration::ZERO);
    assert_eq!(rig.sent.len(), 1);
    rig.hold_attempts = true;
    for key in ["b", "c", "d", "e", "f", "g"] {
        rig.put(key, b"x");
    }
    rig.run_for(Duration::from_secs(2));
    assert!(rig.turned_away > 0, "another lane was held");
    rig.drain();
    assert_eq!(rig.stopped, None, "an attempt still runs");
    rig.release(0, ok());
    rig.run();
    assert_eq!((rig.stopped, rig.sent.len()), (Some(StopReason::Drained), 1));
}

#[test]
fn only_the_attempt_that_is_in_flight_can_be_held() {
    let mut rig = Rig::new(spec(|s| s.batch_size = 1), |_| None);
    rig.put("k", b"x");
    rig.run_for(Duration::ZERO);
    let token = rig.sent[0].token;
    rig.release(0, ok());
    rig.run();
    let (now, counters) = (rig.now, rig.machine.counters());
    rig.machine.on_held(token, now, &mut Vec::new());
    assert_eq!(rig.machine.counters(), counters);
    assert_eq!(rig.machine.deadline(), None, "and nothing waits");
}
