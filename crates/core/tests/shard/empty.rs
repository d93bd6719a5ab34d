//! Batches without records: the end of a tumbling window (semantics 11) is one more invocation.

use crate::rig::{Rig, Sent, always, ok, raised, spec, throttled};
use millstream_types::durable::AttemptResult;
use millstream_types::{MappingSpec, Outcome};
use std::time::Duration;

fn rig(
    settings: impl FnOnce(&mut MappingSpec),
    function: impl FnMut(&Sent) -> Option<Outcome> + 'static,
) -> Rig {
    let mut rig = Rig::new(spec(settings), function);
    rig.run();
    rig
}

/// Fails what has no records so many times.
fn fails_empty(mut times: u32) -> impl FnMut(&Sent) -> Option<Outcome> {
    move |sent| {
        if !sent.records.is_empty() || times == 0 {
            return Some(ok());
        }
        times -= 1;
        Some(raised())
    }
}

#[test]
fn it_is_sent_alone_and_changes_no_position() {
    let mut rig = rig(|_| (), always(ok()));
    rig.feed(2);
    let before = rig.machine.checkpoint();
    assert!(rig.cut_empty(0));
    rig.run();
    assert_eq!(rig.batches(), [vec![1, 2], vec![]]);
    assert_eq!(rig.machine.checkpoint(), before);
    let last = rig.journal.ledger().last().unwrap().clone();
    assert_eq!(
        (last.result, last.records, last.first),
        (AttemptResult::Done, 0, None)
    );
    rig.feed(1);
    assert_eq!(rig.batches().last().unwrap(), &[3]);
}

#[test]
fn it_comes_behind_what_waits_and_before_what_comes_later() {
    let mut rig = rig(
        |s| (s.batch_size, s.batching_window_seconds) = (10, 300),
        always(ok()),
    );
    for _ in 0..3 {
        rig.put("k", b"x");
    }
    rig.run_for(Duration::from_secs(1));
    assert!(rig.sent.is_empty(), "the window fills");
    assert!(rig.cut_empty(0));
    rig.put("k", b"x");
    rig.run();
    assert_eq!(rig.batches(), [vec![1, 2, 3], vec![], vec![4]]);
    assert_eq!(
        (rig.sent[0].at, rig.sent[1].at),
        (1_000, 1_000),
        "no window is waited for"
    );
}

#[test]
fn a_large_lane_is_cut_in_order_up_to_it() {
    let mut rig = rig(|s| s.batch_size = 2, |_| None);
    for _ in 0..5 {
        rig.put("k", b"x");
    }
    rig.run();
    assert!(rig.cut_empty(0));
    assert!(!rig.cut_empty(0), "one at a time");
    assert!(!rig.cut_empty(7), "no such lane");
    rig.put("k", b"x");
    while !rig.hanging.is_empty() {
        rig.release(0, ok());
        rig.run();
    }
    assert_eq!(rig.batches(), [vec![1, 2], vec![3, 4], vec![5], vec![], vec![6]]);
}

#[test]
fn it_is_retried_with_its_request_and_is_never_split() {
    let mut rig = rig(|s| s.bisect_on_error = true, fails_empty(2));
    rig.cut_empty(0);
    rig.feed(1);
    assert_eq!(rig.batches(), [vec![], vec![], vec![], vec![1]]);
    let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 1]);
    assert!(rig.sent[..3].iter().all(|s| s.request == rig.sent[0].request));
}

#[test]
fn it_is_given_up_like_any_other() {
    let mut rig = rig(|s| s.max_retry_attempts = 1, fails_empty(9));
    rig.cut_empty(0);
    rig.feed(1);
    assert_eq!(rig.batches(), [vec![], vec![], vec![1]]);
    let discards = rig.discards();
    assert_eq!(discards.len(), 1);
    assert_eq!(
        (discards[0].first, discards[0].records, discards[0].invoke_count),
        (None, 0, 2)
    );
    let event = String::from_utf8(discards[0].payload.to_vec()).unwrap();
    assert_eq!(event, r#"{"Records":[]}"#);
}

#[test]
fn its_attempts_survive_a_crash() {
    let mut rig = rig(|s| s.max_retry_attempts = 4, |_| None);
    rig.feed(2);
    rig.release(0, ok());
    rig.run();
    rig.cut_empty(0);
    rig.work();
    for _ in 0..2 {
        rig.run();
        rig.release(0, raised());
        rig.run();
    }
    let (request, attempt) = rig.sent.last().map(|s| (s.request, s.attempt)).unwrap();
    assert_eq!(attempt, 3);
    rig.restart(None).run();
    let again = rig.sent.last().unwrap();
    assert_eq!(
        (again.request, again.attempt, again.records.len()),
        (request, 3, 0)
    );
    rig.feed(1);
    assert_eq!(rig.hanging.len(), 1, "what follows waits for it");
    rig.release(0, ok());
    rig.run();
    assert_eq!(rig.batches().last().unwrap(), &[3]);
}

#[test]
fn a_throttle_costs_it_nothing() {
    let mut first = true;
    let mut rig = rig(
        |_| (),
        move |_| {
            Some(if std::mem::take(&mut first) {
                throttled()
            } else {
                ok()
            })
        },
    );
    rig.cut_empty(0);
    rig.run();
    assert_eq!(rig.sent.iter().map(|s| s.attempt).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_closed_shard_is_finished_only_behind_it() {
    let mut rig = rig(|_| (), |_| None);
    rig.feed(1);
    assert!(rig.cut_empty(0));
    rig.stream.split(&rig.shard.clone(), rig.now.wall).unwrap();
    rig.run();
    rig.release(0, ok());
    rig.run();
    assert_eq!((rig.batches().last().unwrap().len(), rig.stopped), (0, None));
    rig.release(0, ok());
    rig.run();
    assert!(rig.stopped.is_some());
}
