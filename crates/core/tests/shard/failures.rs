//! Semantics 7: what a failed batch leads to, as the exact invocations that were observed.

use crate::rig::{Rig, Sent, always, ok, raise_on, raised, report_on, spec, throttled};
use millstream_types::{MappingSpec, Outcome};
use std::time::Duration;

type Discarded = (u64, u64, u32, &'static str);
const EXHAUSTED: &str = "RetryAttemptsExhausted";

/// Decides on what was sent; none for success.
type Function = Box<dyn FnMut(&Sent) -> Option<Outcome>>;

struct Row {
    what: &'static str,
    records: usize,
    settings: fn(&mut MappingSpec),
    function: Function,
    batches: &'static [&'static [u64]],
    discards: &'static [Discarded],
}

fn rows() -> Vec<Row> {
    vec![
        Row {
            what: "raise, retries 2",
            records: 4,
            settings: |s| s.max_retry_attempts = 2,
            function: Box::new(raise_on(&[2])),
            batches: &[&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4]],
            discards: &[(1, 4, 3, EXHAUSTED)],
        },
        Row {
            what: "raise, bisect, retries 1",
            records: 4,
            settings: |s| (s.max_retry_attempts, s.bisect_on_error) = (1, true),
            function: Box::new(raise_on(&[2])),
            batches: &[&[1, 2, 3, 4], &[1, 2], &[1], &[2], &[2], &[3, 4]],
            discards: &[(2, 2, 2, EXHAUSTED)],
        },
        Row {
            what: "partial, retries 1: the whole suffix goes",
            records: 4,
            settings: |s| s.max_retry_attempts = 1,
            function: Box::new(report_on(&[2])),
            batches: &[&[1, 2, 3, 4], &[2, 3, 4], &[2, 3, 4]],
            discards: &[(2, 4, 2, EXHAUSTED)],
        },
        Row {
            what: "partial and bisect, retries 1",
            records: 4,
            settings: |s| (s.max_retry_attempts, s.bisect_on_error) = (1, true),
            function: Box::new(report_on(&[2])),
            batches: &[&[1, 2, 3, 4], &[2, 3, 4], &[2], &[2], &[3, 4]],
            discards: &[(2, 2, 2, EXHAUSTED)],
        },
        Row {
            what: "an error of the invocation is bisected though partial reports are on",
            records: 3,
            settings: |s| (s.max_retry_attempts, s.bisect_on_error) = (0, true),
            function: Box::new(raise_on(&[3])),
            batches: &[&[1, 2, 3], &[1], &[2, 3], &[2], &[3]],
            discards: &[(3, 3, 1, EXHAUSTED)],
        },
        Row {
            what: "odd sizes split at n/2 rounded down, depth first",
            records: 5,
            settings: |s| (s.max_retry_attempts, s.bisect_on_error) = (0, true),
            function: Box::new(always(raised())),
            batches: &[
                &[1, 2, 3, 4, 5],
                &[1, 2],
                &[1],
                &[2],
                &[3, 4, 5],
                &[3],
                &[4, 5],
                &[4],
                &[5],
            ],
            discards: &[
                (1, 1, 1, EXHAUSTED),
                (2, 2, 1, EXHAUSTED),
                (3, 3, 1, EXHAUSTED),
                (4, 4, 1, EXHAUSTED),
                (5, 5, 1, EXHAUSTED),
            ],
        },
        Row {
            what: "each child has a budget of its own",
            records: 2,
            settings: |s| (s.max_retry_attempts, s.bisect_on_error) = (1, true),
            function: Box::new(always(raised())),
            batches: &[&[1, 2], &[1], &[1], &[2], &[2]],
            discards: &[(1, 1, 2, EXHAUSTED), (2, 2, 2, EXHAUSTED)],
        },
        Row {
            what: "batch size 3, retries 3, record 6 reported: it is seen five times",
            records: 7,
            settings: |s| (s.max_retry_attempts, s.batch_size) = (3, 3),
            function: Box::new(report_on(&[6])),
            batches: &[&[1, 2, 3], &[4, 5, 6], &[6], &[6], &[6], &[6], &[7]],
            discards: &[(6, 6, 4, EXHAUSTED)],
        },
        Row {
            what: "the first record reported is no progress",
            records: 3,
            settings: |s| s.max_retry_attempts = 1,
            function: Box::new(report_on(&[1, 3])),
            batches: &[&[1, 2, 3], &[1, 2, 3]],
            discards: &[(1, 3, 2, EXHAUSTED)],
        },
        Row {
            what: "several reported: the lowest counts, later ones are sent again",
            records: 4,
            settings: |s| s.max_retry_attempts = 0,
            function: Box::new(report_on(&[2, 4])),
            batches: &[&[1, 2, 3, 4], &[2, 3, 4]],
            discards: &[(2, 4, 1, EXHAUSTED)],
        },
    ]
}

#[test]
fn the_observed_invocations_to_the_last() {
    for row in rows() {
        let mut rig = Rig::new(spec(row.settings), row.function);
        rig.feed(row.records);
        assert_eq!(rig.batches(), row.batches, "{}", row.what);
        assert_eq!(rig.discarded(), row.discards, "{}", row.what);
        assert_eq!(rig.checkpoint(), Some(row.records as u64), "{}", row.what);
    }
}

#[test]
fn n_retries_are_n_plus_1_attempts() {
    for retries in 0..=6 {
        let mut rig = Rig::new(spec(|s| s.max_retry_attempts = retries), always(raised()));
        rig.feed(2);
        let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
        let most = retries as u32 + 1;
        assert_eq!(attempts, (1..=most).collect::<Vec<_>>());
        assert_eq!(rig.discarded(), [(1, 2, most, EXHAUSTED)]);
    }
}

#[test]
fn without_a_limit_the_same_batch_is_tried_for_ever_and_blocks_what_is_behind_it() {
    let mut rig = Rig::new(spec(|s| s.batch_size = 2), raise_on(&[2]));
    for _ in 0..4 {
        rig.put("k", b"x");
    }
    rig.run_for(Duration::from_secs(3_600));
    assert!(rig.sent.len() > 50, "{}", rig.sent.len());
    assert!(
        rig.sent
            .iter()
            .all(|s| s.numbers() == [1, 2] && s.request == rig.sent[0].request)
    );
    assert_eq!((rig.discards().len(), rig.checkpoint()), (0, None));
}

#[test]
fn an_unchanged_retry_keeps_its_request_id_and_a_part_gets_its_own() {
    let mut rig = Rig::new(
        spec(|s| (s.max_retry_attempts, s.bisect_on_error) = (1, true)),
        report_on(&[2]),
    );
    rig.feed(4);
    // [1-4], [2-4], [2], [2], [3,4]
    let ids: Vec<_> = rig.sent.iter().map(|s| s.request).collect();
    assert_eq!(ids[2], ids[3]);
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 4);
    assert_eq!(rig.discards()[0].request_id, ids[3]);
}

#[test]
fn only_what_cannot_be_split_waits_between_attempts() {
    let mut rig = Rig::new(
        spec(|s| (s.max_retry_attempts, s.bisect_on_error) = (2, true)),
        raise_on(&[2]),
    );
    rig.feed(4);
    // [1-4], [1,2], [1], [2], [2], [2], [3,4]
    let gaps: Vec<u64> = rig.sent.windows(2).map(|w| w[1].at - w[0].at).collect();
    let waits = [0..1, 0..1, 0..1, 150..251, 300..501, 0..1];
    assert_eq!(gaps.len(), waits.len());
    for (gap, wait) in gaps.iter().zip(waits) {
        assert!(wait.contains(gap), "{gaps:?}");
    }
}

#[test]
fn throttles_wait_and_cost_nothing() {
    for report in [
        throttled(),
        Outcome::Unreachable {
            reason: "gone".to_owned(),
        },
    ] {
        let mut left = 7;
        let function = move |_: &Sent| {
            left -= 1;
            Some(match left {
                6 | 4 => raised(),
                0 => ok(),
                _ => report.clone(),
            })
        };
        let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 2), function);
        rig.feed(2);
        let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
        assert_eq!(attempts, [1, 2, 2, 3, 3, 3, 3]);
        assert!(rig.sent.iter().all(|s| s.request == rig.sent[0].request));
        assert!(rig.sent.windows(2).all(|w| w[1].at > w[0].at));
        assert_eq!((rig.discards().len(), rig.checkpoint()), (0, Some(2)));
    }
}

#[test]
fn a_throttle_never_splits_and_is_not_sent_sooner_than_asked() {
    let mut first = true;
    let asked = Duration::from_secs(7);
    let function = move |_: &Sent| {
        Some(if std::mem::take(&mut first) {
            Outcome::Throttled {
                retry_after: Some(asked),
            }
        } else {
            ok()
        })
    };
    let mut rig = Rig::new(
        spec(|s| (s.max_retry_attempts, s.bisect_on_error) = (0, true)),
        function,
    );
    rig.feed(4);
    assert_eq!(rig.batches(), [[1, 2, 3, 4], [1, 2, 3, 4]]);
    assert!(rig.sent[1].at >= 7_000, "{}", rig.sent[1].at);
}
