//! What survives: attempts, splits, progress per lane; over crashes, changes of the number of lanes, and ends.

use crate::rig::{BEGIN, Rig, Sent, always, mark, ok, raise_on, raised, spec, throttled};
use millstream_core::shard::StopReason;
use millstream_types::Position;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn a_restart_goes_on_with_the_next_attempt_of_the_same_request() {
    let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 4), always(raised()));
    rig.put("k", b"x");
    rig.run_for(Duration::from_millis(500));
    let before = rig.sent.len();
    assert!((2..5).contains(&before));
    rig.restart(None).run();
    let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
    assert!(rig.sent.iter().all(|s| s.request == rig.sent[0].request));
    assert_eq!(rig.discarded(), [(1, 1, 5, "RetryAttemptsExhausted")]);
}

#[test]
fn a_restart_waits_as_long_as_the_retry_would_have() {
    let mut rig = Rig::new(spec(|_| ()), always(raised()));
    rig.put("k", b"x");
    rig.run_for(Duration::from_secs(120));
    let next = rig.machine.snapshot().lanes[0]
        .batch
        .as_ref()
        .unwrap()
        .next_attempt
        .unwrap();
    let sent = rig.sent.len();
    rig.restart(None).run_for(Duration::from_secs(90));
    assert_eq!(BEGIN.0 + rig.sent[sent].at, next.0);
}

#[test]
fn a_restart_in_the_middle_of_a_split_goes_on_depth_first() {
    // Restarts after so many attempts of [1-4], [1,2], [1], [2], [2], [3,4].
    for after in 1..=5usize {
        let settings = spec(|s| (s.max_retry_attempts, s.bisect_on_error) = (1, true));
        let count = Rc::new(Cell::new(0i32));
        let counted = Rc::clone(&count);
        let mut fail = raise_on(&[2]);
        let function = move |sent: &Sent| {
            counted.set(counted.get() + 1);
            if counted.get() <= i32::try_from(after).unwrap() {
                fail(sent)
            } else {
                None
            }
        };
        let mut rig = Rig::new(settings, function);
        rig.feed(4);
        // The one more that was sent is lost with the process; it comes again.
        let lost = rig.sent.pop().unwrap();
        assert_eq!(rig.sent.len(), after);
        count.set(-100);
        rig.restart(None).run();
        assert_eq!(
            rig.batches(),
            [&[1, 2, 3, 4][..], &[1, 2], &[1], &[2], &[2], &[3, 4]],
            "after {after}"
        );
        assert_eq!(rig.sent[after].request, lost.request, "after {after}");
        assert_eq!(
            rig.discarded(),
            [(2, 2, 2, "RetryAttemptsExhausted")],
            "after {after}"
        );
    }
}

#[test]
fn throttles_leave_nothing_behind() {
    let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 0), always(throttled()));
    rig.put("k", b"x");
    rig.run_for(Duration::from_secs(5));
    rig.restart(None).run_for(Duration::from_secs(5));
    assert!(rig.sent.iter().all(|s| s.attempt == 1));
    assert_eq!(rig.discards().len(), 0);
}

/// Fails for ever for the keys below `bad`; counts the attempts each record was part of.
fn failing_keys(
    bad: usize,
    on: &Rc<Cell<bool>>,
) -> impl FnMut(&Sent) -> Option<millstream_types::Outcome> + 'static {
    let on = Rc::clone(on);
    move |sent| {
        let is_bad = |key: &[u8]| String::from_utf8_lossy(key)[1..].parse::<usize>().unwrap() < bad;
        Some(
            if on.get() && sent.records.iter().any(|r| is_bad(&r.partition_key)) {
                raised()
            } else {
                ok()
            },
        )
    }
}

#[test]
fn a_change_of_lanes_keeps_progress_and_the_attempts_of_what_is_in_trouble() {
    let failing = Rc::new(Cell::new(true));
    let settings = spec(|s| (s.batch_size, s.parallelization_factor, s.max_retry_attempts) = (4, 4, 1_000));
    let mut rig = Rig::new(settings, failing_keys(3, &failing));
    let mut total = 0;
    let mut attempts: BTreeMap<u64, u32> = BTreeMap::new();
    for lanes in [4, 6, 4, 1, 10, 4] {
        if total > 0 {
            rig.restart(Some(lanes));
        }
        let from = rig.sent.len();
        for _ in 0..60 {
            rig.put(&format!("k{}", total % 20), b"x");
            total += 1;
        }
        rig.run_for(Duration::from_secs(10));
        let done: Vec<u64> = done_in(&rig, 0..from);
        for sent in &rig.sent[from..] {
            for n in sent.numbers() {
                assert!(
                    !done.contains(&n),
                    "{n} was finished under another number of lanes"
                );
                let before = attempts.insert(n, sent.attempt).unwrap_or(0);
                assert!(
                    sent.attempt >= before,
                    "record {n}: attempt {} after {before}",
                    sent.attempt
                );
            }
        }
    }
    assert!(
        attempts.values().any(|a| *a > 6),
        "attempts add up over the changes"
    );
    failing.set(false);
    rig.run();
    let mut all = done_in(&rig, 0..rig.sent.len());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (1..=total).collect::<Vec<_>>());
    assert_eq!((rig.checkpoint(), rig.discards().len()), (Some(total), 0));
}

/// What the attempts in the range finished: those that hold no key that fails.
fn done_in(rig: &Rig, range: std::ops::Range<usize>) -> Vec<u64> {
    let last = rig.sent.len();
    let good = |s: &&Sent| {
        s.records.iter().all(|r| {
            String::from_utf8_lossy(&r.partition_key)[1..]
                .parse::<usize>()
                .unwrap()
                >= 3
        })
    };
    let all_good_now = range.end == last;
    rig.sent[range]
        .iter()
        .filter(|s| all_good_now || good(s))
        .flat_map(Sent::numbers)
        .collect()
}

#[test]
fn draining_lets_end_what_runs_and_starts_nothing() {
    let mut rig = Rig::new(spec(|s| s.batch_size = 2), |_| None);
    rig.feed(6);
    rig.drain();
    assert_eq!((rig.stopped, rig.sent.len()), (None, 1), "an attempt still runs");
    rig.release(0, ok());
    rig.run();
    assert_eq!(
        (rig.stopped, rig.batches()),
        (Some(StopReason::Drained), vec![vec![1, 2]])
    );
    assert_eq!(
        rig.commits.last().unwrap().durability,
        millstream_types::commit::Durability::Synced
    );
    rig.restart(None).run_for(Duration::ZERO);
    assert_eq!(rig.batches().last().unwrap(), &[3, 4], "the position is kept");
}

#[test]
fn draining_ends_at_once_where_a_batch_only_waits() {
    let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 9), always(raised()));
    rig.put("k", b"x");
    rig.run_for(Duration::from_millis(900));
    let sent = rig.sent.len();
    rig.drain();
    assert_eq!((rig.stopped, rig.sent.len()), (Some(StopReason::Drained), sent));
    rig.restart(None).run();
    assert_eq!(rig.sent.len(), 10, "and no attempt is lost or made twice");
}

#[test]
fn an_idle_machine_drains_at_once() {
    let mut rig = Rig::new(spec(|_| ()), always(ok()));
    rig.feed(3);
    rig.drain();
    assert_eq!(rig.stopped, Some(StopReason::Drained));
}

#[test]
fn a_closed_shard_is_finished_when_all_of_it_is_done_and_stored() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.max_retry_attempts) = (2, 1)),
        raise_on(&[3]),
    );
    for _ in 0..5 {
        rig.put("k", b"x");
    }
    rig.stream.split(&rig.shard.clone(), rig.now.wall).unwrap();
    rig.run();
    assert_eq!(rig.stopped, Some(StopReason::Finished));
    assert_eq!(rig.machine.checkpoint(), Position::End);
    let record = rig.journal.record(crate::rig::mapping(), &rig.shard).unwrap();
    assert!(record.finished && record.at_end);
    assert_eq!(record.lanes[0].done_through, Some(mark(5)));
    rig.restart(None).run();
    assert_eq!(
        (rig.stopped, rig.sent.len()),
        (Some(StopReason::Finished), 4),
        "and it stays finished"
    );
}

#[test]
fn an_empty_closed_shard_is_finished_too() {
    let mut rig = Rig::new(spec(|_| ()), always(ok()));
    rig.stream.split(&rig.shard.clone(), rig.now.wall).unwrap();
    rig.run();
    assert_eq!(rig.stopped, Some(StopReason::Finished));
    assert!(
        rig.journal
            .record(crate::rig::mapping(), &rig.shard)
            .unwrap()
            .finished
    );
}

#[test]
fn a_batch_that_waits_for_its_records_to_be_read_again_waits_for_no_time() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.max_retry_attempts) = (3, 5)),
        always(raised()),
    );
    for _ in 0..3 {
        rig.put("k", b"x");
    }
    rig.run_for(Duration::from_millis(100));
    rig.restart(None);
    rig.one_record_per_read = true;
    assert!(rig.work());
    assert_eq!(
        rig.machine.snapshot().held_records,
        1,
        "one of three was read again"
    );
    assert_eq!(rig.machine.deadline(), None);
    rig.one_record_per_read = false;
    rig.run();
    assert_eq!(rig.discarded(), [(1, 3, 6, "RetryAttemptsExhausted")]);
}
