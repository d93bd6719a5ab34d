//! Tumbling windows (semantics 11): which window a batch is in, what state it is given, and when a window ends.
//!
//! The function adds the numbers of its records to the state, which so tells exactly what is in it.

use crate::rig::{BEGIN, Rig, Sent, number, ok, spec};
use bytes::Bytes;
use millstream_core::shard::StopReason;
use millstream_types::{MappingSpec, Mark, Outcome};
use std::time::Duration;

/// Windows of 10 s; a run begins with one.
pub fn windowed(
    settings: impl FnOnce(&mut MappingSpec),
    function: impl FnMut(&Sent) -> Option<Outcome> + 'static,
) -> Rig {
    assert_eq!(BEGIN.0 % 10_000, 0);
    let spec = spec(|s| {
        s.tumbling_window_seconds = 10;
        settings(s);
    });
    Rig::new(spec, function)
}

pub fn state_of(sent: &Sent) -> String {
    let window = sent.window.as_ref().expect("in a window");
    String::from_utf8(window.state.to_vec()).unwrap()
}

/// The response with these records added to the state.
pub fn added(sent: &Sent, numbers: &[u64], more: &str) -> Outcome {
    let mut all: Vec<String> = match state_of(sent).as_str() {
        "{}" => Vec::new(),
        list => list
            .trim_matches(['[', ']'])
            .split(',')
            .map(str::to_owned)
            .collect(),
    };
    all.extend(numbers.iter().map(u64::to_string));
    Outcome::Response(Bytes::from(format!("{{\"state\":[{}]{more}}}", all.join(","))))
}

/// Adds all records.
pub fn fold(sent: &Sent) -> Option<Outcome> {
    Some(added(sent, &sent.numbers(), ""))
}

/// Records, start of the window in s after the beginning, state, and F or E for an end, E for an early one.
pub fn seen(rig: &Rig) -> Vec<(Vec<u64>, u64, String, &'static str)> {
    let of = |sent: &Sent| {
        let window = sent.window.as_ref().expect("in a window");
        let flags = match (window.is_final, window.terminated_early) {
            (false, false) => "",
            (true, false) => "F",
            (true, true) => "E",
            (false, true) => "?",
        };
        let start = (window.start.0 - BEGIN.0) / 1_000;
        assert_eq!(window.end.0 - window.start.0, 10_000);
        (sent.numbers(), start, state_of(sent), flags)
    };
    rig.sent.iter().map(of).collect()
}

pub type Row<'a> = (&'a [u64], u64, &'a str, &'static str);

pub fn check(rig: &Rig, expect: &[Row<'_>]) {
    let expect: Vec<_> = expect
        .iter()
        .map(|(records, start, state, flags)| (records.to_vec(), *start, (*state).to_owned(), *flags))
        .collect();
    assert_eq!(seen(rig), expect);
}

#[test]
fn a_batch_is_in_one_window_by_arrival_and_gets_what_the_last_one_returned() {
    let mut rig = windowed(|s| s.batch_size = 2, fold);
    for at in [0, 1_000, 2_000, 9_999, 10_000, 29_000, 31_000] {
        rig.put_at(at);
    }
    rig.run();
    check(
        &rig,
        &[
            (&[1, 2], 0, "{}", ""),
            (&[3, 4], 0, "[1,2]", ""),
            (&[], 0, "[1,2,3,4]", "F"),
            (&[5], 10, "{}", ""),
            (&[], 10, "[5]", "F"),
            (&[6], 20, "{}", ""),
            (&[], 20, "[6]", "F"),
            (&[7], 30, "{}", ""),
            (&[], 30, "[7]", "F"),
        ],
    );
    assert_eq!(rig.checkpoint(), Some(7));
    assert_eq!(rig.discarded(), []);
}

#[test]
fn a_batch_that_ends_with_its_window_does_not_wait_to_fill() {
    let mut rig = windowed(|s| s.batching_window_seconds = 300, fold);
    rig.put_at(0);
    rig.put_at(12_000);
    rig.run_for(Duration::from_secs(1));
    check(&rig, &[(&[1], 0, "{}", ""), (&[], 0, "[1]", "F")]);
    assert_eq!((rig.sent[0].at, rig.sent[1].at), (0, 0));
}

#[test]
fn what_arrived_earlier_than_the_open_window_goes_into_it() {
    let mut rig = windowed(|_| (), fold);
    for at in [12_000, 3_000, 15_000, 21_000, 9_000] {
        rig.put_at(at);
    }
    rig.run();
    check(
        &rig,
        &[
            (&[1, 2, 3], 10, "{}", ""),
            (&[], 10, "[1,2,3]", "F"),
            (&[4, 5], 20, "{}", ""),
            (&[], 20, "[4,5]", "F"),
        ],
    );
}

#[test]
fn an_idle_window_ends_ten_seconds_after_its_end_and_is_not_opened_again() {
    let mut rig = windowed(|_| (), fold);
    rig.put_at(0);
    rig.run_for(Duration::from_millis(19_999));
    check(&rig, &[(&[1], 0, "{}", "")]);
    rig.run_for(Duration::from_millis(1));
    assert_eq!(rig.sent[1].at, 20_000);
    rig.put_at(5_000);
    rig.run();
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[], 0, "[1]", "F"),
            (&[2], 10, "{}", ""),
            (&[], 10, "[2]", "F"),
        ],
    );
}

#[test]
fn what_cannot_be_read_is_not_idle() {
    let mut rig = windowed(|_| (), fold);
    rig.put_at(0);
    rig.run_for(Duration::from_secs(1));
    rig.machine.on_unreadable();
    rig.run_for(Duration::from_secs(300));
    check(&rig, &[(&[1], 0, "{}", "")]);
    // It can be read again, and there was a record of the window all the time.
    rig.put_at(2_000);
    rig.run();
    check(
        &rig,
        &[(&[1], 0, "{}", ""), (&[2], 0, "[1]", ""), (&[], 0, "[1,2]", "F")],
    );
}

#[test]
fn a_backlog_is_not_idle_though_its_windows_are_long_over() {
    let mut rig = windowed(|s| s.batch_size = 1, fold);
    rig.one_record_per_read = true;
    rig.run_for(Duration::from_secs(3_600));
    for at in [0, 1_000, 2_000] {
        rig.put_at(at);
    }
    rig.run_for(Duration::from_secs(1));
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[2], 0, "[1]", ""),
            (&[3], 0, "[1,2]", ""),
            (&[], 0, "[1,2,3]", "F"),
        ],
    );
}

#[test]
fn the_end_of_a_shard_ends_its_window_and_only_then_it_is_finished() {
    let mut last = None;
    let mut rig = windowed(
        |_| (),
        move |sent| {
            let hangs = sent.numbers().is_empty() && last.replace(()).is_none();
            if hangs { None } else { fold(sent) }
        },
    );
    rig.put_at(0);
    rig.stream.split(&rig.shard.clone(), rig.now.wall).unwrap();
    rig.run_for(Duration::from_secs(1));
    check(&rig, &[(&[1], 0, "{}", ""), (&[], 0, "[1]", "F")]);
    assert_eq!((rig.sent[1].at, rig.stopped), (0, None));
    let stored = rig.journal.record(crate::rig::mapping(), &rig.shard).unwrap();
    assert!(!stored.finished, "its children must wait");
    let outcome = fold(&rig.sent[1]).unwrap();
    rig.release(0, outcome);
    rig.run();
    assert_eq!(rig.stopped, Some(StopReason::Finished));
    let stored = rig.journal.record(crate::rig::mapping(), &rig.shard).unwrap();
    assert!(stored.finished && stored.windows.as_ref().unwrap().open.is_none());
}

#[test]
fn with_a_partial_report_the_state_is_that_of_what_is_done() {
    let mut reported = false;
    let mut rig = windowed(
        |_| (),
        move |sent| {
            if std::mem::replace(&mut reported, true) {
                return fold(sent);
            }
            let id = sent.records[2].mark.seq.to_string();
            let report = format!(",\"batchItemFailures\":[{{\"itemIdentifier\":\"{id}\"}}]");
            Some(added(sent, &sent.numbers()[..2], &report))
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
            (&[3, 4], 0, "[1,2]", ""),
            (&[], 0, "[1,2,3,4]", "F"),
        ],
    );
}

#[test]
fn without_progress_the_state_of_a_report_means_nothing() {
    let mut reported = false;
    let mut rig = windowed(
        |_| (),
        move |sent| {
            if std::mem::replace(&mut reported, true) {
                return fold(sent);
            }
            let marks: Vec<Mark> = sent.records.iter().map(|r| r.mark).collect();
            let report = format!(
                ",\"batchItemFailures\":[{{\"itemIdentifier\":\"{}\"}}]",
                number(marks[0])
            );
            Some(added(sent, &[77], &report))
        },
    );
    rig.put_at(0);
    rig.put_at(0);
    rig.run();
    check(
        &rig,
        &[
            (&[1, 2], 0, "{}", ""),
            (&[1, 2], 0, "{}", ""),
            (&[], 0, "[1,2]", "F"),
        ],
    );
    assert_eq!(rig.sent[1].attempt, 2);
}

#[test]
fn a_response_without_state_has_failed_the_last_one_too() {
    let mut answers = vec![
        ok(),
        Outcome::Response(Bytes::from_static(b"null")),
        Outcome::Response(Bytes::from_static(b"{\"state\":null}")),
    ];
    let mut forgot = false;
    let mut rig = windowed(
        |_| (),
        move |sent| match answers.pop() {
            Some(answer) => Some(answer),
            None if sent.records.is_empty() && !std::mem::replace(&mut forgot, true) => Some(ok()),
            None => fold(sent),
        },
    );
    rig.put_at(0);
    rig.run();
    let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 1, 2]);
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[1], 0, "{}", ""),
            (&[1], 0, "{}", ""),
            (&[1], 0, "{}", ""),
            (&[], 0, "[1]", "F"),
            (&[], 0, "[1]", "F"),
        ],
    );
    let errors: Vec<_> = rig
        .journal
        .ledger()
        .iter()
        .filter_map(|e| e.error.clone())
        .collect();
    assert_eq!(errors, ["WindowState.Missing"; 4]);
}

/// A rig whose states may have so many bytes.
fn small_states(bytes: usize, settings: impl FnOnce(&mut MappingSpec)) -> Rig {
    let spec = spec(|s| {
        s.tumbling_window_seconds = 10;
        settings(s);
    });
    let mut config = crate::rig::config(&spec, 1);
    config.limits.state_bytes = bytes;
    Rig::with(config, fold)
}

#[test]
fn a_state_that_is_too_big_ends_its_window_early_with_all_of_it() {
    let mut rig = small_states("[1,2,3]".len() - 1, |s| s.batch_size = 1);
    for at in [0, 1, 2, 3, 4, 10_000] {
        rig.put_at(at);
    }
    rig.run();
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[2], 0, "[1]", ""),
            (&[3], 0, "[1,2]", ""),
            (&[], 0, "[1,2,3]", "E"),
            (&[4], 0, "{}", ""),
            (&[5], 0, "[4]", ""),
            (&[], 0, "[4,5]", "F"),
            (&[6], 10, "{}", ""),
            (&[], 10, "[6]", "F"),
        ],
    );
}

#[test]
fn after_an_early_end_there_is_no_other_end_if_nothing_more_comes() {
    let mut rig = small_states(1, |_| ());
    rig.put_at(0);
    rig.put_at(10_000);
    rig.run();
    check(
        &rig,
        &[
            (&[1], 0, "{}", ""),
            (&[], 0, "[1]", "E"),
            (&[2], 10, "{}", ""),
            (&[], 10, "[2]", "E"),
        ],
    );
}

#[test]
fn the_limit_of_a_state_is_a_mebibyte() {
    let config = crate::rig::config(&spec(|s| s.tumbling_window_seconds = 10), 1);
    assert_eq!(config.limits.state_bytes, 1_048_576);
    for (bytes, early) in [(1_048_576, false), (1_048_577, true)] {
        let state = format!("\"{}\"", "s".repeat(bytes - 2));
        let response = Bytes::from(format!("{{\"state\":{state}}}"));
        let mut rig = windowed(|_| (), move |_| Some(Outcome::Response(response.clone())));
        rig.put_at(0);
        rig.run_for(Duration::from_secs(1));
        assert_eq!(rig.sent.len() == 2, early, "{bytes}");
        assert!(
            !early || state_of(&rig.sent[1]) == state,
            "it is given back whole"
        );
    }
}

#[test]
fn an_early_end_comes_before_what_is_left_of_a_batch() {
    let mut reported = false;
    let spec = spec(|s| s.tumbling_window_seconds = 10);
    let mut config = crate::rig::config(&spec, 1);
    config.limits.state_bytes = 4;
    let mut rig = Rig::with(config, move |sent| {
        if std::mem::replace(&mut reported, true) {
            return fold(sent);
        }
        let id = sent.records[2].mark.seq.to_string();
        let report = format!(",\"batchItemFailures\":[{{\"itemIdentifier\":\"{id}\"}}]");
        Some(added(sent, &sent.numbers()[..2], &report))
    });
    for _ in 0..3 {
        rig.put_at(0);
    }
    rig.run();
    check(
        &rig,
        &[
            (&[1, 2, 3], 0, "{}", ""),
            (&[], 0, "[1,2]", "E"),
            (&[3], 0, "{}", ""),
            (&[], 0, "[3]", "F"),
        ],
    );
}

#[test]
fn an_event_is_at_most_as_long_as_allowed_with_window_and_state() {
    // The state grows by 100 bytes with each record; two records fit at first, then one, then none beside it.
    let spec = spec(|s| s.tumbling_window_seconds = 10);
    let mut config = crate::rig::config(&spec, 1);
    config.limits.event_bytes = 1_400;
    let (shape, limit) = (config.shape.clone(), config.limits.event_bytes);
    let mut longest = 0;
    let mut rig = Rig::with(config, move |sent| {
        let mut event = Vec::new();
        shape.encode(&sent.records, sent.window.as_ref(), &mut event);
        assert!(event.len() <= limit, "{} bytes", event.len());
        longest = longest.max(event.len());
        let old = state_of(sent);
        let old = if old == "{}" { "" } else { old.trim_matches('"') };
        let more = "s".repeat(100 * sent.records.len());
        Some(Outcome::Response(format!("{{\"state\":\"{old}{more}\"}}").into()))
    });
    for _ in 0..20 {
        rig.put_at(0);
    }
    rig.run();
    let sizes: Vec<usize> = rig.sent.iter().map(|s| s.records.len()).collect();
    let early = rig
        .sent
        .iter()
        .filter(|s| s.window.as_ref().unwrap().terminated_early);
    assert!(early.count() > 1, "{sizes:?}");
    assert!(sizes.contains(&2) && sizes.contains(&1), "{sizes:?}");
    let all: Vec<u64> = rig.sent.iter().flat_map(Sent::numbers).collect();
    assert_eq!(all, (1..=20).collect::<Vec<u64>>(), "each once, none given up");
    assert_eq!(rig.discarded(), []);
}

#[test]
fn the_open_window_is_shown() {
    let mut rig = windowed(|_| (), fold);
    assert!(rig.machine.snapshot().window.is_none());
    rig.put_at(0);
    rig.run_for(Duration::from_secs(1));
    let open = rig.machine.snapshot().window.unwrap();
    assert_eq!((open.start, open.end.0), (BEGIN, BEGIN.0 + 10_000));
    assert_eq!((open.state_bytes, open.ending, open.early), (3, false, false));
    rig.run();
    assert!(rig.machine.snapshot().window.is_none());
}
