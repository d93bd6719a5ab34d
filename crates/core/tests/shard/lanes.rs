//! Semantics 6 and design 5: a blocked lane blocks only itself, in bounded memory, and catches up in order.

use crate::rig::{Function, Rig, Sent, config, ok, spec};
use millstream_core::lane_hash::{LANE_HASH_VERSION, lane_of};
use millstream_core::shard::ShardConfig;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const BATCH: usize = 5;

fn two_lanes() -> ShardConfig {
    config(
        &spec(|s| (s.batch_size, s.parallelization_factor) = (BATCH as u32, 2)),
        1,
    )
}

/// One key of each lane.
fn keys(factor: u8) -> Vec<String> {
    let key = |lane| {
        (0..)
            .map(|i| format!("k{i}"))
            .find(|k| lane_of(LANE_HASH_VERSION, factor, k.as_bytes()) == lane)
    };
    (0..factor).map(|lane| key(lane).unwrap()).collect()
}

/// A function whose lane 0 hangs while `blocked` is set.
fn blockable(blocked: &Rc<Cell<bool>>) -> Function {
    let blocked = Rc::clone(blocked);
    Box::new(move |sent: &Sent| (sent.token.lane != 0 || !blocked.get()).then(ok))
}

fn numbers_of(rig: &Rig, lane: u8) -> Vec<u64> {
    rig.sent
        .iter()
        .filter(|s| s.token.lane == lane)
        .flat_map(Sent::numbers)
        .collect()
}

/// Puts `n` records for each lane in turn, running after every `step`.
fn put_both(rig: &mut Rig, n: usize, step: usize) {
    for i in 0..n {
        for key in keys(2) {
            rig.put(&key, b"some payload");
        }
        if (i + 1) % step == 0 {
            rig.run_for(Duration::ZERO);
        }
    }
    rig.run_for(Duration::ZERO);
}

#[test]
fn keys_stay_in_their_lane_and_lanes_run_side_by_side() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.parallelization_factor) = (3, 10)),
        |_| None,
    );
    for i in 0..200 {
        rig.put(&format!("k{}", i % 40), b"x");
    }
    rig.run_for(Duration::ZERO);
    assert_eq!(rig.hanging.len(), 10, "every lane has one attempt in flight");
    let mut lane_of_key = BTreeMap::new();
    while !rig.hanging.is_empty() {
        rig.release(0, ok());
        rig.run_for(Duration::ZERO);
    }
    for sent in &rig.sent {
        for record in &sent.records {
            assert_eq!(
                *lane_of_key
                    .entry(record.partition_key.clone())
                    .or_insert(sent.token.lane),
                sent.token.lane
            );
        }
    }
    assert_eq!(rig.checkpoint(), Some(200));
}

#[test]
fn a_blocked_lane_does_not_hold_the_others_nor_memory_and_catches_up_in_order() {
    let blocked = Rc::new(Cell::new(true));
    let mut rig = Rig::with(two_lanes(), blockable(&blocked));
    put_both(&mut rig, 20_000, 50);
    assert_eq!(
        numbers_of(&rig, 1).len(),
        20_000,
        "lane 1 is finished while lane 0 is stuck"
    );
    assert_eq!(numbers_of(&rig, 0).len(), BATCH);
    assert_eq!(rig.checkpoint(), None);
    let held = rig.machine.snapshot();
    assert!(held.lagging && held.held_records < 1_000, "{held:?}");
    assert!(
        rig.machine.buffered_bytes() < 1_000_000,
        "{}",
        rig.machine.buffered_bytes()
    );
    assert_eq!(
        rig.catch_up_reads(),
        0,
        "nothing is read again while there is no room for it"
    );

    blocked.set(false);
    rig.run();
    assert_eq!(
        numbers_of(&rig, 0),
        (0..20_000).map(|i| 2 * i + 1).collect::<Vec<u64>>()
    );
    assert_eq!(
        numbers_of(&rig, 1),
        (1..=20_000).map(|i| 2 * i).collect::<Vec<u64>>()
    );
    assert_eq!(rig.checkpoint(), Some(40_000));
    assert!(!rig.machine.snapshot().lagging);
}

#[test]
fn records_put_while_a_lane_catches_up_follow_in_order() {
    let blocked = Rc::new(Cell::new(true));
    let mut rig = Rig::with(two_lanes(), blockable(&blocked));
    put_both(&mut rig, 2_000, 50);
    blocked.set(false);
    put_both(&mut rig, 2_000, 3);
    rig.run();
    assert_eq!(
        numbers_of(&rig, 0),
        (0..4_000).map(|i| 2 * i + 1).collect::<Vec<u64>>()
    );
    assert_eq!(rig.checkpoint(), Some(8_000));
}

#[test]
fn a_restart_opens_both_cursors_again() {
    let blocked = Rc::new(Cell::new(true));
    let mut rig = Rig::with(two_lanes(), blockable(&blocked));
    put_both(&mut rig, 2_000, 50);
    let lane_1 = numbers_of(&rig, 1).len();
    rig.restart(None).run_for(Duration::ZERO);
    put_both(&mut rig, 10, 1);
    assert_eq!(
        numbers_of(&rig, 1).len(),
        lane_1 + 10,
        "lane 1 goes on where it was"
    );
    blocked.set(false);
    rig.run();
    let lane_0 = numbers_of(&rig, 0);
    // What was in flight when the process ended is sent again, and nothing else.
    assert_eq!(lane_0[..BATCH], lane_0[BATCH..2 * BATCH]);
    assert_eq!(
        lane_0[BATCH..],
        (0..2_010).map(|i| 2 * i + 1).collect::<Vec<u64>>()
    );
    assert_eq!(rig.checkpoint(), Some(4_020));
}

#[test]
fn memory_that_was_given_back_is_read_again_when_the_lane_moves() {
    let failing = Rc::new(Cell::new(true));
    let flag = Rc::clone(&failing);
    let function = move |sent: &Sent| {
        Some(if sent.token.lane == 0 && flag.get() {
            crate::rig::raised()
        } else {
            ok()
        })
    };
    let mut rig = Rig::with(two_lanes(), function);
    put_both(&mut rig, 100, 1);
    let before = rig.machine.buffered_bytes();
    let freed = rig.machine.shed();
    assert!(freed > 0);
    assert_eq!(rig.machine.buffered_bytes(), before - freed);
    assert_eq!(rig.machine.shed(), 0);
    rig.run_for(Duration::from_secs(300));
    assert_eq!(
        rig.catch_up_reads(),
        0,
        "nothing is read again for a lane that is stuck"
    );
    put_both(&mut rig, 100, 1);
    failing.set(false);
    rig.run();
    let mut lane_0 = numbers_of(&rig, 0);
    lane_0.dedup_by(|a, b| a == b);
    let last: Vec<u64> = lane_0[lane_0.len() - 200..].to_vec();
    assert_eq!(last, (0..200).map(|i| 2 * i + 1).collect::<Vec<u64>>());
    assert_eq!(rig.checkpoint(), Some(400));
}

/// Progress of each lane, as stored last.
fn stored_lanes(rig: &Rig) -> Vec<Option<u64>> {
    let record = rig.commits.last().unwrap().commit.record.as_ref().unwrap();
    record
        .lanes
        .iter()
        .map(|l| l.done_through.map(crate::rig::number))
        .collect()
}

#[test]
fn a_lane_without_work_is_finished_as_far_as_the_shard_was_read_and_stays_so() {
    let blocked = Rc::new(Cell::new(false));
    let mut rig = Rig::with(two_lanes(), blockable(&blocked));
    let [zero, one] = [0, 1].map(|lane| keys(2)[lane].clone());
    for _ in 0..50 {
        rig.put(&one, b"x");
    }
    rig.run();
    assert_eq!(
        (stored_lanes(&rig), rig.checkpoint()),
        (vec![Some(50); 2], Some(50))
    );
    // The first record of lane 0 ever hangs: what the lane was finished through is not forgotten.
    blocked.set(true);
    rig.put(&zero, b"x");
    rig.put(&one, b"x");
    rig.run();
    assert_eq!(
        (stored_lanes(&rig), rig.checkpoint()),
        (vec![Some(50), Some(52)], Some(50))
    );
}

#[test]
fn a_catch_up_read_that_sees_more_than_the_main_cursor_takes_nothing_twice() {
    let blocked = Rc::new(Cell::new(true));
    let mut rig = Rig::with(two_lanes(), blockable(&blocked));
    put_both(&mut rig, 1_000, 50);
    // Records are put that the catch-up cursor sees before the main cursor does.
    rig.main_reads_last = true;
    blocked.set(false);
    put_both(&mut rig, 20, 20);
    rig.run();
    assert_eq!(
        numbers_of(&rig, 0),
        (0..1_020).map(|i| 2 * i + 1).collect::<Vec<u64>>()
    );
    assert_eq!(rig.checkpoint(), Some(2_040));
}
