//! A change of the length of tumbling windows while a shard is at work: on, off, another length; nothing is lost, and
//! what is open is ended (semantics 11).

use crate::rig::{BEGIN, Rig, Sent, ok, raised, spec};
use crate::windows::{fold, state_of, windowed};
use millstream_types::Outcome;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Records, and start, end and state of the window, if there is one; F for an end.
fn all(rig: &Rig) -> Vec<String> {
    let of = |sent: &Sent| match &sent.window {
        None => format!("{:?}", sent.numbers()),
        Some(w) => format!(
            "{:?} {}-{} {}{}",
            sent.numbers(),
            (w.start.0 - BEGIN.0) / 1_000,
            (w.end.0 - BEGIN.0) / 1_000,
            state_of(sent),
            if w.is_final { " F" } else { "" }
        ),
    };
    rig.sent.iter().map(of).collect()
}

/// Folds in a window, succeeds outside.
fn either(sent: &Sent) -> Option<Outcome> {
    if sent.window.is_some() {
        fold(sent)
    } else {
        Some(ok())
    }
}

#[test]
fn switched_off_the_open_window_is_ended_at_once_and_before_anything_else() {
    for lanes in [1, 4] {
        let mut rig = windowed(|_| (), either);
        rig.put_at(0);
        rig.run_for(SECOND);
        rig.restart_with(|c| (c.tumbling, c.lanes) = (None, lanes));
        for key in ["a", "b", "c", "d"] {
            rig.put(key, b"x");
        }
        rig.run();
        let mut got = all(&rig);
        let mut rest = got.split_off(2);
        assert_eq!(got, ["[1] 0-10 {}", "[] 0-10 [1] F"], "{lanes} lanes");
        rest.sort();
        let records: Vec<u64> = rig.sent[2..].iter().flat_map(Sent::numbers).collect();
        assert_eq!(records.len(), 4, "{rest:?}");
        assert!(rig.sent[2..].iter().all(|s| s.window.is_none()));
        assert_eq!(rig.checkpoint(), Some(5));
        let record = rig.journal.record(crate::rig::mapping(), &rig.shard).unwrap();
        assert_eq!(record.windows, None);
    }
}

#[test]
fn switched_off_while_the_end_fails_its_attempts_are_kept_and_all_lanes_wait_for_it() {
    for lanes in [1, 4] {
        let mut failures = 3;
        let mut rig = windowed(
            |s| s.max_retry_attempts = 9,
            move |sent| {
                if sent.window.is_some() && sent.records.is_empty() && failures > 0 {
                    failures -= 1;
                    return Some(raised());
                }
                either(sent)
            },
        );
        rig.put_at(0);
        rig.put_at(10_000);
        // Two attempts have failed, and the third is far off.
        while rig.sent.len() < 3 {
            rig.run_for(Duration::from_millis(50));
        }
        rig.restart_with(|c| (c.tumbling, c.lanes) = (None, lanes));
        for key in ["a", "b", "c"] {
            rig.put(key, b"x");
        }
        rig.run();
        let ends: Vec<&Sent> = rig.sent.iter().filter(|s| s.records.is_empty()).collect();
        let attempts: Vec<u32> = ends.iter().map(|s| s.attempt).collect();
        assert_eq!(attempts, [1, 2, 3, 4], "{lanes} lanes");
        assert!(ends.iter().all(|s| s.request == ends[0].request));
        let last = rig.sent.iter().rposition(|s| s.records.is_empty()).unwrap();
        assert!(rig.sent[1..last].iter().all(|s| s.records.is_empty()));
        let records: Vec<u64> = rig.sent[last..].iter().flat_map(Sent::numbers).collect();
        assert_eq!(records.len(), 4);
    }
}

#[test]
fn switched_off_a_batch_that_failed_in_the_window_is_tried_in_it_first() {
    let mut failed = false;
    let mut rig = windowed(
        |_| (),
        move |sent| {
            if sent.numbers().contains(&2) && !std::mem::replace(&mut failed, true) {
                return Some(raised());
            }
            either(sent)
        },
    );
    rig.put_at(0);
    rig.run_for(SECOND);
    rig.put_at(0);
    rig.run_for(Duration::from_millis(1));
    rig.restart_with(|c| c.tumbling = None);
    rig.put_at(0);
    rig.run();
    assert_eq!(
        all(&rig),
        [
            "[1] 0-10 {}",
            "[2] 0-10 [1]",
            "[2] 0-10 [1]",
            "[] 0-10 [1,2] F",
            "[3]"
        ]
    );
}

#[test]
fn switched_on_windows_begin_with_what_is_not_finished() {
    let mut rig = Rig::new(spec(|s| s.batch_size = 2), either);
    rig.put_at(0);
    rig.run();
    rig.restart_with(|c| c.tumbling = Some(Duration::from_secs(10)));
    rig.put_at(5_000);
    rig.run();
    assert_eq!(all(&rig), ["[1]", "[2] 0-10 {}", "[] 0-10 [2] F"]);
}

#[test]
fn switched_on_a_batch_that_failed_is_cut_at_the_ends_of_windows_and_keeps_its_attempts() {
    for lanes in [1, 2] {
        let mut failed = false;
        let settings = spec(|s| (s.parallelization_factor, s.max_retry_attempts) = (lanes, 5));
        let mut rig = Rig::new(settings, move |sent| {
            if !std::mem::replace(&mut failed, true) {
                return Some(raised());
            }
            either(sent)
        });
        for at in [8_000, 9_000, 10_000, 25_000] {
            rig.put_at(at);
        }
        rig.run_for(Duration::from_millis(1));
        rig.restart_with(|c| (c.tumbling, c.lanes) = (Some(Duration::from_secs(10)), 1));
        rig.run();
        assert_eq!(
            all(&rig),
            [
                "[1, 2, 3, 4]",
                "[1, 2] 0-10 {}",
                "[] 0-10 [1,2] F",
                "[3] 10-20 {}",
                "[] 10-20 [3] F",
                "[4] 20-30 {}",
                "[] 20-30 [4] F"
            ],
            "from {lanes} lanes"
        );
        let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
        assert_eq!(attempts, [1, 2, 1, 2, 1, 2, 1]);
    }
}

#[test]
fn with_another_length_the_open_window_keeps_its_own_and_the_next_ones_count_from_its_end() {
    let mut rig = windowed(|_| (), either);
    rig.put_at(0);
    rig.run_for(SECOND);
    rig.restart_with(|c| c.tumbling = Some(Duration::from_secs(25)));
    for at in [9_000, 11_000, 24_000, 25_000] {
        rig.put_at(at);
    }
    rig.run();
    assert_eq!(
        all(&rig),
        [
            "[1] 0-10 {}",
            "[2] 0-10 [1]",
            "[] 0-10 [1,2] F",
            "[3, 4] 0-25 {}",
            "[] 0-25 [3,4] F",
            "[5] 25-50 {}",
            "[] 25-50 [5] F"
        ]
    );
}
