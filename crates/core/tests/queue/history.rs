//! What the history tells: every attempt of every batch, message by message.

use crate::rig::{BEGIN, Rig, mapping, ok, raised, report, standard, throttled};
use millstream_core::queue::QueueConfig;
use millstream_types::Outcome;
use millstream_types::durable::AttemptResult;
use std::time::Duration;

/// Of a batch of three: what the function says; what the history says; how many are finished; which come back.
#[test]
fn every_attempt_is_told_with_its_messages() {
    let gone = Outcome::Unreachable {
        reason: "no such function".to_owned(),
    };
    type Row<'a> = (Outcome, AttemptResult, u32, Option<&'a str>, [bool; 3]);
    let rows: [Row<'_>; 6] = [
        (ok(), AttemptResult::Done, 3, None, [false; 3]),
        (
            report(&[2]),
            AttemptResult::Partial,
            2,
            None,
            [false, true, false],
        ),
        (raised(), AttemptResult::Retry, 0, Some("ValueError"), [true; 3]),
        (
            report(&[9]),
            AttemptResult::Retry,
            0,
            Some("BatchItemFailures.UnknownIdentifier: 'm9'"),
            [true; 3],
        ),
        (throttled(), AttemptResult::Throttled, 0, None, [true; 3]),
        (
            gone,
            AttemptResult::Throttled,
            0,
            Some("no such function"),
            [true; 3],
        ),
    ];
    for (outcome, result, finished, error, failed) in rows {
        let mut first = Some(outcome.clone());
        let spec = standard(|s| s.report_batch_item_failures = true);
        let mut rig = Rig::new(spec, 30, move |_| Some((700, first.take().unwrap_or_else(ok))));
        rig.send(3).run_for(699);
        assert!(rig.history.is_empty(), "it runs");
        rig.run_for(1);
        let [told] = &rig.history[..] else {
            panic!("{outcome:?}: {:?}", rig.history)
        };
        assert_eq!(
            (told.mapping, told.slot, told.attempt, told.messages),
            (mapping(), 0, 1, 3)
        );
        assert_eq!(
            (told.result, told.finished, told.error.as_deref()),
            (result, finished, error)
        );
        assert_eq!((told.started.0, told.ended.0), (BEGIN.0, BEGIN.0 + 700));
        assert_eq!(told.request_id, rig.sent[0].request);
        let ids: Vec<&str> = told.named.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["m1", "m2", "m3"]);
        let came: Vec<bool> = told.named.iter().map(|m| m.failed).collect();
        assert_eq!(came, failed, "{outcome:?}");
        rig.run_for(100_000);
        assert_eq!(rig.history.len(), rig.sent.len());
        let again = rig.history.last().unwrap();
        let receives = if result == AttemptResult::Throttled || result == AttemptResult::Done {
            1
        } else {
            2
        };
        assert_eq!(
            (again.result, again.attempt),
            (AttemptResult::Done, receives),
            "{outcome:?}"
        );
    }
}

#[test]
fn the_age_is_that_of_the_newest_message() {
    let spec = standard(|s| s.batching_window_seconds = 5);
    let mut rig = Rig::new(spec, 30, |_| Some((0, ok())));
    rig.send(1).run_for(2_000);
    rig.send(1).run_for(4_000);
    assert_eq!(rig.history[0].age_ms, 3_000);
}

#[test]
fn of_a_large_batch_those_that_failed_are_named_first() {
    let spec = standard(|s| {
        s.report_batch_item_failures = true;
        s.batch_size = 300;
        s.batching_window_seconds = 1;
    });
    let mut first = true;
    let mut rig = Rig::new(spec, 30, move |_| {
        let failed = [150, 299];
        Some((
            0,
            if std::mem::take(&mut first) {
                report(&failed)
            } else {
                ok()
            },
        ))
    });
    rig.send(300).run_for(1_000);
    let told = &rig.history[0];
    assert_eq!((told.messages, told.finished, told.named.len()), (300, 298, 100));
    let failed: Vec<&str> = told
        .named
        .iter()
        .filter(|m| m.failed)
        .map(|m| m.id.as_str())
        .collect();
    assert_eq!(failed, ["m150", "m299"]);
    assert_eq!(told.named[0].id, "m1");
}

#[test]
fn what_never_fits_is_told_as_an_attempt() {
    let mut config = QueueConfig::new(mapping(), 1, &standard(|_| {}), Duration::from_secs(30));
    config.limits.event_bytes = 2_000;
    let mut rig = Rig::with(config, |_| Some((0, ok())));
    rig.queue.send(None, &[b'x'; 3_000], BEGIN);
    rig.run_for(1_000);
    let [told] = &rig.history[..] else {
        panic!("{:?}", rig.history)
    };
    assert_eq!(
        (told.result, told.error.as_deref()),
        (AttemptResult::Retry, Some("PayloadTooLarge"))
    );
    assert!(rig.sent.is_empty());
}
