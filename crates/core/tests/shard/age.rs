//! Semantics 7: `MaximumRecordAgeInSeconds`, measured from the arrival at the source.

use crate::rig::{BEGIN, Rig, always, ok, raised, spec};
use millstream_types::{MappingSpec, Wall};
use std::time::Duration;

const EXPIRED: &str = "RecordAgeExceeded";

fn one_minute(s: &mut MappingSpec) {
    s.max_record_age_seconds = 60;
}

/// Puts records that arrived so many seconds before the run began.
fn put_aged(rig: &mut Rig, seconds: &[u64]) {
    for s in seconds {
        rig.stream.put(b"k", b"x", Wall(BEGIN.0 - s * 1_000));
    }
}

#[test]
fn the_expired_prefix_is_split_off_and_the_rest_is_sent() {
    let mut rig = Rig::new(spec(one_minute), always(ok()));
    put_aged(&mut rig, &[100, 61, 60, 1]);
    rig.run();
    assert_eq!(rig.batches(), [[3, 4]]);
    assert_eq!(rig.discarded(), [(1, 2, 1, EXPIRED)]);
    let discard = rig.discards()[0];
    assert_eq!(discard.response, None);
    assert_ne!(discard.request_id, rig.sent[0].request);
    assert_eq!(rig.checkpoint(), Some(4));
}

#[test]
fn all_expired_and_nothing_is_sent() {
    let mut rig = Rig::new(spec(one_minute), always(ok()));
    put_aged(&mut rig, &[100, 90, 80]);
    rig.run();
    assert_eq!((rig.sent.len(), rig.checkpoint()), (0, Some(3)));
    assert_eq!(rig.discarded(), [(1, 3, 1, EXPIRED)]);
}

#[test]
fn age_is_decided_while_a_batch_waits_in_its_window() {
    let window = |s: &mut MappingSpec| (s.max_record_age_seconds, s.batching_window_seconds) = (60, 300);
    let mut rig = Rig::new(spec(window), always(ok()));
    put_aged(&mut rig, &[50, 50]);
    rig.run();
    assert_eq!(rig.discarded(), [(1, 2, 1, EXPIRED)]);
    assert_eq!(rig.sent.len(), 0);
    let after = rig.discards()[0].at.0 - BEGIN.0;
    assert!((10_000..=10_100).contains(&after), "{after}");
}

#[test]
fn failing_without_a_limit_of_retries_ends_by_age_after_about_eight_attempts() {
    let mut rig = Rig::new(spec(one_minute), always(raised()));
    rig.feed(3);
    assert!((7..=10).contains(&rig.sent.len()), "{}", rig.sent.len());
    let count = rig.sent.len() as u32;
    assert_eq!(rig.discarded(), [(1, 3, count, EXPIRED)]);
    assert!(rig.discards()[0].response.is_some());
    assert_eq!(rig.checkpoint(), Some(3));
}

#[test]
fn a_throttled_batch_ages_out_too() {
    let mut rig = Rig::new(spec(one_minute), always(crate::rig::throttled()));
    rig.feed(2);
    assert_eq!(rig.discarded(), [(1, 2, 1, EXPIRED)]);
    assert_eq!(rig.discards()[0].response, None);
}

#[test]
fn the_younger_rest_of_a_failing_batch_keeps_its_attempts_under_a_new_id() {
    let mut rig = Rig::new(spec(one_minute), always(raised()));
    put_aged(&mut rig, &[55, 0]);
    rig.run_for(Duration::from_secs(20));
    let halves: Vec<usize> = rig.sent.iter().map(|s| s.records.len()).collect();
    let whole = halves.iter().filter(|n| **n == 2).count();
    assert!(whole >= 3 && halves.len() > whole, "{halves:?}");
    let (last, next) = (&rig.sent[whole - 1], &rig.sent[whole]);
    assert_eq!((next.numbers(), next.attempt), (vec![2], last.attempt + 1));
    assert_ne!(next.request, last.request);
}
