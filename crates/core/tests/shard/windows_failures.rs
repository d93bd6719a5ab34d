//! Tumbling windows when things fail: the end of a window is tried, retried, given up and restored like any other
//! batch, and a state is always that of the position it is stored with (semantics 11).

use crate::rig::{BEGIN, Rig, Sent, mapping, raised, spec, throttled};
use crate::windows::{check, fold, seen, state_of, windowed};
use millstream_types::durable::{AttemptResult, DiscardWindow};
use millstream_types::{Outcome, Wall};
use std::time::Duration;

/// Fails what has no records so many times.
fn fails_last(mut times: u32) -> impl FnMut(&Sent) -> Option<Outcome> {
    move |sent| {
        if !sent.records.is_empty() || times == 0 {
            return fold(sent);
        }
        times -= 1;
        Some(raised())
    }
}

fn stored_state(rig: &Rig) -> Option<String> {
    let record = rig.journal.record(mapping(), &rig.shard)?;
    let open = record.windows.as_ref()?.open.as_ref()?;
    Some(String::from_utf8(open.state.to_vec()).unwrap())
}

#[test]
fn the_last_invocation_is_retried_with_its_request_is_never_split_and_holds_the_shard() {
    let mut rig = windowed(|s| s.bisect_on_error = true, fails_last(2));
    rig.put_at(0);
    rig.put_at(10_000);
    rig.run_for(Duration::from_secs(5));
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[], 0, "[1]", "F"),
            (&[], 0, "[1]", "F"),
            (&[], 0, "[1]", "F"),
            (&[2], 10, "{}", ""),
        ],
    );
    let last = &rig.sent[1..4];
    assert_eq!(last.iter().map(|s| s.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(last.iter().all(|s| s.request == last[0].request));
    let entry = rig.journal.ledger().iter().find(|e| e.records == 0).unwrap();
    assert_eq!((entry.result, entry.first), (AttemptResult::Retry, None));
}

#[test]
fn a_throttle_costs_the_last_invocation_nothing() {
    let mut first = true;
    let mut rig = windowed(
        |s| s.max_retry_attempts = 0,
        move |sent| {
            if sent.records.is_empty() && std::mem::take(&mut first) {
                return Some(throttled());
            }
            fold(sent)
        },
    );
    rig.put_at(0);
    rig.run();
    assert_eq!(rig.sent.iter().map(|s| s.attempt).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(rig.discarded(), []);
}

#[test]
fn the_last_invocation_is_given_up_with_its_state_and_the_next_window_begins() {
    let mut rig = windowed(
        |s| {
            s.max_retry_attempts = 1;
            s.on_failure = Some("arn:aws:kinesis:us-east-1:000000000000:stream/f".parse().unwrap());
        },
        fails_last(2),
    );
    rig.put_at(0);
    rig.put_at(10_000);
    rig.run_for(Duration::from_secs(5));
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[], 0, "[1]", "F"),
            (&[], 0, "[1]", "F"),
            (&[2], 10, "{}", ""),
        ],
    );
    let discards = rig.discards();
    assert_eq!(discards.len(), 1);
    let discard = discards[0];
    assert_eq!(
        (discard.first, discard.records, discard.invoke_count),
        (None, 0, 2)
    );
    let window = DiscardWindow {
        start: BEGIN,
        end: Wall(BEGIN.0 + 10_000),
        is_final: true,
        terminated_early: false,
    };
    assert_eq!(discard.window, Some(window));
    let event = String::from_utf8(discard.payload.to_vec()).unwrap();
    assert_eq!(
        event,
        concat!(
            r#"{"Records":[],"window":{"start":"2023-11-14T22:13:20Z","end":"2023-11-14T22:13:30Z"},"state":[1],"#,
            r#""shardId":"shardId-000000000000","#,
            r#""eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/orders","#,
            r#""isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}"#
        )
    );
    let document = rig.journal.outbox().next().unwrap().document.clone();
    let document = String::from_utf8(document.to_vec()).unwrap();
    let end = concat!(
        r#""KinesisBatchInfo":{"shardId":"shardId-000000000000","#,
        r#""streamArn":"arn:aws:kinesis:us-east-1:000000000000:stream/orders"},"#,
        r#""timeWindowInfo":{"window":{"start":"2023-11-14T22:13:20Z","end":"2023-11-14T22:13:30Z"},"#,
        r#""isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}}"#
    );
    assert!(document.ends_with(end), "{document}");
}

#[test]
fn records_that_are_given_up_leave_the_state_as_it_was() {
    let mut rig = windowed(
        |s| (s.max_retry_attempts, s.batch_size) = (0, 1),
        |sent| {
            if sent.numbers() == [2] {
                return Some(raised());
            }
            fold(sent)
        },
    );
    for _ in 0..3 {
        rig.put_at(0);
    }
    rig.run();
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[2], 0, "[1]", ""),
            (&[3], 0, "[1]", ""),
            (&[], 0, "[1,3]", "F"),
        ],
    );
    let window = rig.discards()[0].window.unwrap();
    assert!(!window.is_final && !window.terminated_early);
    let payload = String::from_utf8(rig.discards()[0].payload.to_vec()).unwrap();
    assert!(payload.contains(r#""state":[1],"#), "{payload}");
}

#[test]
fn a_split_carries_the_state_from_part_to_part() {
    let mut rig = windowed(
        |s| (s.max_retry_attempts, s.bisect_on_error) = (0, true),
        |sent| {
            if sent.numbers().contains(&3) {
                return Some(raised());
            }
            fold(sent)
        },
    );
    for _ in 0..4 {
        rig.put_at(0);
    }
    rig.run();
    check(
        &rig,
        &[
            (&[1, 2, 3, 4], 0, "{}", ""),
            (&[1, 2], 0, "{}", ""),
            (&[3, 4], 0, "[1,2]", ""),
            (&[3], 0, "[1,2]", ""),
            (&[4], 0, "[1,2]", ""),
            (&[], 0, "[1,2,4]", "F"),
        ],
    );
}

#[test]
fn a_crash_goes_on_with_the_state_of_the_position_that_was_stored() {
    let mut rig = windowed(|s| s.batch_size = 1, fold);
    rig.put_at(0);
    rig.run_for(Duration::from_secs(1));
    assert_eq!(stored_state(&rig).as_deref(), Some("[1]"));
    rig.hold_commits = true;
    rig.put_at(0);
    rig.run_for(Duration::from_secs(1));
    assert_eq!(rig.batches(), [vec![1], vec![2]]);
    assert_eq!(stored_state(&rig).as_deref(), Some("[1]"), "not stored yet");
    rig.hold_commits = false;
    rig.restart(None).run();
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[2], 0, "[1]", ""),
            (&[2], 0, "[1]", ""),
            (&[], 0, "[1,2]", "F"),
        ],
    );
}

#[test]
fn a_crash_in_the_middle_of_a_split_goes_on_with_its_state() {
    let mut rig = windowed(
        |s| s.bisect_on_error = true,
        |sent| match sent.numbers()[..] {
            [1, 2] | [] => fold(sent),
            [3] => None,
            _ => Some(raised()),
        },
    );
    for _ in 0..4 {
        rig.put_at(0);
    }
    rig.run_for(Duration::from_secs(1));
    assert_eq!(rig.batches().last().unwrap(), &[3]);
    let before = rig.sent.last().unwrap().clone();
    rig.restart(None).run_for(Duration::from_secs(1));
    let again = rig.sent.last().unwrap();
    assert_eq!((again.numbers(), state_of(again)), (vec![3], "[1,2]".to_owned()));
    assert_eq!(again.request, before.request);
}

#[test]
fn attempts_of_the_last_invocation_survive_a_crash() {
    let mut rig = windowed(
        |s| s.max_retry_attempts = 4,
        |sent| if sent.records.is_empty() { None } else { fold(sent) },
    );
    rig.put_at(0);
    rig.put_at(10_000);
    for _ in 0..2 {
        rig.run_for(Duration::from_secs(1));
        rig.release(0, raised());
        rig.run_for(Duration::from_secs(1));
    }
    let (request, attempt) = rig.sent.last().map(|s| (s.request, s.attempt)).unwrap();
    assert_eq!(attempt, 3);
    rig.restart(None).run_for(Duration::from_secs(1));
    let again = rig.sent.last().unwrap().clone();
    assert_eq!((again.request, again.attempt), (request, 3));
    assert_eq!((again.records.len(), state_of(&again)), (0, "[1]".to_owned()));
    assert_eq!(rig.hanging.len(), 1, "what follows waits for it");
    rig.release(0, fold(&again).unwrap());
    rig.run_for(Duration::from_secs(1));
    assert_eq!(rig.batches().last().unwrap(), &[2]);
}

#[test]
fn an_early_end_that_is_due_survives_a_crash() {
    let spec = spec(|s| (s.tumbling_window_seconds, s.batch_size) = (10, 1));
    let mut config = crate::rig::config(&spec, 1);
    config.limits.state_bytes = 1;
    let mut rig = Rig::with(
        config,
        |sent| {
            if sent.records.is_empty() { None } else { fold(sent) }
        },
    );
    rig.put_at(0);
    rig.put_at(0);
    rig.run_for(Duration::from_secs(1));
    rig.restart(None).run_for(Duration::from_secs(1));
    check(
        &rig,
        &[(&[1], 0, "{}", ""), (&[], 0, "[1]", "E"), (&[], 0, "[1]", "E")],
    );
}

#[test]
fn the_last_invocation_is_given_up_by_the_age_of_its_window() {
    let mut rig = windowed(|s| s.max_record_age_seconds = 60, fails_last(99));
    rig.put_at(0);
    rig.run_for(Duration::from_secs(300));
    assert!(rig.sent.len() > 5, "it is tried again and again");
    assert_eq!(rig.discarded().len(), 1);
    let discard = rig.discards()[0];
    assert_eq!(discard.condition.as_str(), "RecordAgeExceeded");
    assert!(discard.window.unwrap().is_final);
    let at = (discard.at.0 - BEGIN.0) / 1_000;
    assert_eq!(at, 70, "60 s after the end of the window");
    assert!(rig.machine.snapshot().window.is_none());
}

#[test]
fn the_last_invocation_of_a_window_that_is_too_old_is_tried_once() {
    let mut rig = windowed(|s| s.max_record_age_seconds = 60, fails_last(99));
    rig.put_at(0);
    rig.run_for(Duration::from_secs(1));
    rig.machine.on_unreadable();
    rig.run_for(Duration::from_secs(3_600));
    assert_eq!(seen(&rig).len(), 1, "nothing tells that no record comes");
    rig.put_at(3_600_000);
    rig.run_for(Duration::from_secs(5));
    check(
        &rig,
        &[(&[1], 0, "{}", ""), (&[], 0, "[1]", "F"), (&[2], 3_600, "{}", "")],
    );
    assert_eq!(rig.discards()[0].condition.as_str(), "RecordAgeExceeded");
    assert_eq!(rig.discards()[0].invoke_count, 1);
}
