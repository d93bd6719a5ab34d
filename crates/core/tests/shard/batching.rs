//! Semantics 4: whichever of size, window and payload comes first.

use crate::rig::{Rig, always, config, ok, raised, spec};
use millstream_core::event::{EventShape, MAX_EVENT_BYTES};
use std::time::Duration;

const RETRIES_SPENT: &str = "RetryAttemptsExhausted";

fn timed(rig: &Rig) -> Vec<(Vec<u64>, u64)> {
    rig.sent.iter().map(|s| (s.numbers(), s.at)).collect()
}

#[test]
fn without_a_window_one_record_is_enough() {
    let mut rig = Rig::new(spec(|_| ()), always(ok()));
    rig.feed(1);
    assert_eq!(timed(&rig), [(vec![1], 0)]);
}

#[test]
fn batch_size_2_window_5_s_five_records() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.batching_window_seconds) = (2, 5)),
        always(ok()),
    );
    rig.feed(5);
    assert_eq!(timed(&rig), [(vec![1, 2], 0), (vec![3, 4], 0), (vec![5], 5_000)]);
}

#[test]
fn a_batch_says_how_long_it_waited_when_it_is_sent_for_the_first_time() {
    let mut failed = false;
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.batching_window_seconds) = (2, 5)),
        move |sent| {
            Some(
                if sent.numbers() == [3] && !std::mem::replace(&mut failed, true) {
                    raised()
                } else {
                    ok()
                },
            )
        },
    );
    rig.feed(3);
    let waited: Vec<_> = rig.sent.iter().map(|s| (s.numbers(), s.waited)).collect();
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(
        waited,
        [(vec![1, 2], seconds(0)), (vec![3], seconds(5)), (vec![3], None)]
    );
}

#[test]
fn the_window_begins_as_the_previous_invocation_completes() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.batching_window_seconds) = (10, 5)),
        always(ok()),
    );
    rig.feed(2);
    rig.run_for(Duration::from_secs(2)).put("k", b"x");
    rig.run();
    // Long after the last one completed, the window has passed with nothing to send: the next is a new one.
    rig.run_for(Duration::from_secs(20)).put("k", b"x");
    rig.run();
    assert_eq!(
        timed(&rig),
        [(vec![1, 2], 5_000), (vec![3], 10_000), (vec![4], 35_000)]
    );
}

#[test]
fn a_full_batch_does_not_wait_for_the_window() {
    let mut rig = Rig::new(
        spec(|s| (s.batch_size, s.batching_window_seconds) = (3, 300)),
        always(ok()),
    );
    rig.feed(6);
    assert_eq!(timed(&rig), [(vec![1, 2, 3], 0), (vec![4, 5, 6], 0)]);
}

#[test]
fn the_end_of_a_shard_does_not_wait_for_the_window() {
    let mut rig = Rig::new(spec(|s| s.batching_window_seconds = 300), always(ok()));
    rig.put("k", b"x");
    rig.stream.split(&rig.shard.clone(), rig.now.wall).unwrap();
    rig.run();
    assert_eq!(timed(&rig), [(vec![1], 0)]);
}

#[test]
fn an_event_is_at_most_6_mb_with_all_that_belongs_to_it() {
    let mut rig = Rig::new(spec(|s| s.batching_window_seconds = 1), always(ok()));
    for _ in 0..10 {
        rig.put("k", &vec![7; 1_000_000]);
    }
    rig.run();
    let lens = |records: &[millstream_types::Record]| -> Vec<usize> {
        records
            .iter()
            .map(|r| config(&spec(|_| ()), 1).shape.record_len(r))
            .collect()
    };
    let all: Vec<_> = rig.sent.iter().flat_map(|s| s.records.clone()).collect();
    assert_eq!(all.len(), 10);
    let mut next = 0;
    for sent in &rig.sent {
        next += sent.records.len();
        let len = EventShape::event_len(lens(&sent.records));
        assert!(len <= MAX_EVENT_BYTES, "{len}");
        let mut body = Vec::new();
        config(&spec(|_| ()), 1)
            .shape
            .encode(&sent.records, None, &mut body);
        assert_eq!(body.len(), len);
    }
    assert_eq!(rig.sent[0].records.len(), 4, "four of 1.33 MB fit");
    assert_eq!(next, 10);
}

#[test]
fn a_record_that_never_fits_spends_its_attempts_unsent_and_the_rest_goes_on() {
    let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 2), always(ok()));
    rig.put("k", b"x");
    rig.put("k", &vec![7; 5_000_000]);
    rig.put("k", b"x");
    rig.run();
    assert_eq!(rig.batches(), [[1], [3]]);
    assert_eq!(rig.discarded(), [(2, 2, 3, RETRIES_SPENT)]);
    assert_eq!(rig.discards()[0].response, None);
    assert_eq!(rig.checkpoint(), Some(3));
}

#[test]
fn without_a_retry_limit_such_a_record_blocks() {
    let mut rig = Rig::new(spec(|_| ()), always(ok()));
    rig.put("k", &vec![7; 5_000_000]);
    rig.put("k", b"x");
    rig.run_for(Duration::from_secs(600));
    assert_eq!((rig.sent.len(), rig.checkpoint()), (0, None));
}
