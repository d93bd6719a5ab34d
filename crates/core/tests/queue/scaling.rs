//! The scaler through the machine: semantics section 10, minute by minute.

use crate::rig::{Rig, Sent, always, fifo, never, ok, raised, standard};
use millstream_core::queue::ScaleReason;
use millstream_types::{MappingSpec, ProvisionedPollers};

fn one_each(change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    standard(|s| {
        s.batch_size = 1;
        change(s);
    })
}

/// Batches in flight just before the end of each minute, of a function that never returns, with a deep queue.
fn in_flight(spec: MappingSpec, minutes: usize) -> Vec<u32> {
    let mut rig = Rig::new(spec, 43_200, never());
    rig.send(1_300).run_for(59_999);
    let mut seen = vec![rig.snapshot().batches_in_flight];
    for _ in 1..minutes {
        rig.run_for(60_000);
        seen.push(rig.snapshot().batches_in_flight);
    }
    seen
}

#[test]
fn the_ramp_minute_by_minute() {
    assert_eq!(
        in_flight(one_each(|_| {}), 7),
        [5, 305, 605, 905, 1_205, 1_250, 1_250]
    );
}

#[test]
fn maximum_concurrency_is_met_exactly_and_never_exceeded() {
    for (maximum, expect) in [(2, [2, 2, 2]), (7, [5, 7, 7]), (400, [5, 305, 400])] {
        let spec = one_each(|s| s.maximum_concurrency = Some(maximum));
        assert_eq!(in_flight(spec, 3), expect);
    }
    let mut rig = Rig::new(one_each(|s| s.maximum_concurrency = Some(2)), 30, |_| {
        Some((100, ok()))
    });
    rig.send(200).run_for(60_000);
    assert_eq!((rig.most_running, rig.queue.deleted().len()), (2, 200));
    assert_eq!(rig.snapshot().concurrency_reason, ScaleReason::MaximumConcurrency);
}

#[test]
fn the_limit_grows_at_the_minute() {
    let mut rig = Rig::new(one_each(|_| {}), 3_600, never());
    rig.send(400).run_for(59_999);
    assert_eq!(rig.most_running, 5);
    rig.run_for(1);
    assert_eq!(rig.most_running, 305);
}

#[test]
fn a_queue_that_is_kept_empty_does_not_grow_the_limit() {
    let mut rig = Rig::new(one_each(|_| {}), 30, |_| Some((10, ok())));
    for _ in 0..180 {
        rig.send(2).run_for(1_000);
    }
    assert_eq!(rig.snapshot().concurrency, 5);
    assert!(rig.most_running <= 5);
}

#[test]
fn it_shrinks_when_idle() {
    let mut rig = Rig::new(one_each(|_| {}), 30, |_| Some((2_000, ok())));
    rig.send(3_000).run_for(121_000);
    assert!(rig.snapshot().concurrency >= 305);
    rig.run_for(600_000);
    let snapshot = rig.snapshot();
    assert_eq!(rig.queue.deleted().len(), 3_000);
    assert_eq!(
        (snapshot.concurrency, snapshot.concurrency_reason),
        (5, ScaleReason::Idle)
    );
    assert_eq!(rig.polls.len(), 1);
}

#[test]
fn repeated_errors_slow_it_down_and_success_speeds_it_up_again() {
    let broken = |sent: &Sent| Some((100, if sent.at < 20_000 { raised() } else { ok() }));
    let mut rig = Rig::new(one_each(|_| {}), 300, broken);
    rig.send(1_000).run_for(19_000);
    let snapshot = rig.snapshot();
    assert_eq!(
        (snapshot.concurrency, snapshot.concurrency_reason),
        (1, ScaleReason::Errors)
    );
    let early = rig.sent.iter().filter(|s| s.at < 10_000).count();
    assert!(early <= 110, "one at a time: {early}");
    rig.run_for(3_000);
    assert!(rig.snapshot().concurrency >= 5);
}

/// AWS: a function that reports single messages is not slowed down by its failures.
#[test]
fn with_reports_errors_do_not_slow_it_down() {
    let mut rig = Rig::new(
        one_each(|s| s.report_batch_item_failures = true),
        3_600,
        always(raised()),
    );
    rig.send(100).run_for(1_000);
    assert_eq!((rig.sent.len(), rig.snapshot().concurrency), (100, 5));
}

#[test]
fn fifo_queues_use_what_their_groups_allow_from_the_start() {
    let spec = fifo(|s| s.batch_size = 1);
    let mut rig = Rig::new(spec, 43_200, never());
    let names: Vec<String> = (0..400).map(|n| format!("g{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.send_to(&names).send_to(&names).run_for(1_000);
    assert_eq!(rig.most_running, 400);
    assert_eq!(rig.snapshot().active_groups, 400);
}

fn provisioned(minimum: u32, maximum: u32) -> MappingSpec {
    one_each(|s| {
        s.provisioned_pollers = Some(ProvisionedPollers {
            minimum: Some(minimum),
            maximum: Some(maximum),
        });
    })
}

#[test]
fn provisioned_pollers_have_ten_batches_each() {
    for (minimum, maximum, expect) in [(2, 200, [20, 1_020]), (5, 5, [50, 50]), (3, 60, [30, 600])] {
        assert_eq!(
            in_flight(provisioned(minimum, maximum), 2),
            expect,
            "{minimum} {maximum}"
        );
    }
}

/// Of a function that is always done at once, with more to receive than can be.
#[test]
fn provisioned_pollers_poll_ten_times_a_second_each() {
    let mut rig = Rig::new(provisioned(2, 2), 30, |_| Some((1, ok())));
    rig.send(200).run_for(4_000);
    let second = |n: u64| {
        let within = |at: u64| (1_000 * n..1_000 * (n + 1)).contains(&at);
        rig.receives.iter().filter(|(at, _)| within(*at)).count()
    };
    assert_eq!([0, 1, 2, 3].map(second), [21, 20, 20, 20]);
}

#[test]
fn the_fewest_pollers_wait_for_what_comes() {
    let mut rig = Rig::new(provisioned(7, 9), 30, |_| Some((1, ok())));
    rig.send(100).run_for(600_000);
    assert_eq!((rig.queue.deleted().len(), rig.polls.len()), (100, 7));
}
