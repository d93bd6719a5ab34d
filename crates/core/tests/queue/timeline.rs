//! One message from its first receive to its deletion, moment by moment (semantics, section 10). Printed with
//! `cargo test -p millstream-core --test queue timeline -- --nocapture`.

#![allow(clippy::print_stdout, reason = "the timeline is for people, too")]

use crate::rig::{Asked, BEGIN, Rig, Sent, ok, raised, standard, throttled};
use millstream_types::Outcome;
use millstream_types::durable::AttemptResult;

/// Fails, finds no capacity and then fails, finds no capacity when a shutdown comes, succeeds.
fn function() -> impl FnMut(&Sent) -> Option<(u64, Outcome)> {
    |sent| {
        let receive = sent.messages[0].system.receive_count;
        Some(match receive {
            1 => (2_000, raised()),
            2 if sent.at < 70_000 => (0, throttled()),
            2 => (3_000, raised()),
            3 => (0, throttled()),
            _ => (1_500, ok()),
        })
    }
}

/// What happened from the outside: when it was sent to the function, and what was asked of the queue. With the ms.
fn timeline(rig: &Rig) -> Vec<(u64, String)> {
    let attempts = rig.history.iter().map(|attempt| {
        let receive = attempt.named[0].receives;
        let text = match attempt.result {
            AttemptResult::Done => "done",
            AttemptResult::Retry => "failed",
            AttemptResult::Throttled => "throttled",
            other => panic!("{other:?}"),
        };
        (
            attempt.started.0 - BEGIN.0,
            1,
            format!("receive {receive}: sent, {text}"),
        )
    });
    let asked = rig.asked.iter().map(|(at, asked)| {
        let text = match asked {
            Asked::Delete(_) => "deleted".to_owned(),
            Asked::Visibility(v) => format!("hidden for {} s from now", v[0].1),
        };
        (*at, 0, text)
    });
    let mut lines: Vec<_> = attempts.chain(asked).collect();
    lines.sort();
    lines.into_iter().map(|(at, _, text)| (at, text)).collect()
}

#[test]
fn a_message_fails_is_throttled_is_given_back_and_succeeds() {
    let mut rig = Rig::new(standard(|_| {}), 30, function());
    rig.send(1)
        .run_for(100_000)
        .drain()
        .run_for(1_000)
        .restart()
        .run_for(60_000);
    let lines = timeline(&rig);
    println!("visibility timeout of the queue: 30 s");
    for (at, text) in &lines {
        println!("{:>4}.{:03} s  {text}", at / 1_000, at % 1_000);
    }
    let mut texts: Vec<&str> = lines.iter().map(|l| l.1.as_str()).collect();
    texts.dedup();
    let expected = [
        "receive 1: sent, failed",    // and left alone: it comes back after 30 s
        "receive 2: sent, throttled", // held, tried again
        "hidden for 30 s from now",   // the heartbeat
        "receive 2: sent, throttled",
        "receive 2: sent, failed", // of its own 30 s nothing is left:
        "hidden for 0 s from now", // what the heartbeat added is taken off
        "receive 3: sent, throttled",
        "hidden for 30 s from now",
        "receive 3: sent, throttled",
        "hidden for 0 s from now", // the shutdown gives it back
        "receive 4: sent, done",
        "deleted",
    ];
    assert_eq!(texts, expected);
    assert_eq!(
        lines.iter().find(|l| l.1.starts_with("receive 2")).unwrap().0,
        30_000
    );
    assert_eq!(rig.queue.deleted().len(), 1);
}
