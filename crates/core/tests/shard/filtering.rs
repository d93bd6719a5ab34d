//! Records that match no filter: they are done (semantics 13), whatever the position, the lane or the crash.

use crate::rig::{Rig, Sent, always, config, ok, raised, spec};
use millstream_core::shard::Cursor;
use millstream_types::commit::CommitOutcome;
use millstream_types::durable::DiscardCondition;
use millstream_types::{FilterCriteria, MappingSpec, OnUnmatched, Outcome};
use std::time::Duration;

/// Wants records with `"want"` between these, and is changed as the test likes.
fn wanting(low: u32, high: u32, change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    spec(|s| {
        s.batch_size = 3;
        s.filter_criteria = FilterCriteria {
            filters: vec![pattern(low, high)],
            ..FilterCriteria::default()
        };
        change(s);
    })
}

fn pattern(low: u32, high: u32) -> String {
    let numeric = if low == high {
        format!(r#"["=",{low}]"#)
    } else {
        format!(r#"[">=",{low},"<=",{high}]"#)
    };
    format!(r#"{{"data":{{"want":[{{"numeric":{numeric}}}]}}}}"#)
}

fn rig(spec: &MappingSpec, function: impl FnMut(&Sent) -> Option<Outcome> + 'static) -> Rig {
    let mut rig = Rig::with(config(spec, 1), function);
    rig.filter_by(spec);
    rig
}

/// Puts one record for each number; 0 is no JSON at all.
fn put(rig: &mut Rig, wants: &[u32]) {
    for want in wants {
        let data = match want {
            0 => "plain".to_owned(),
            n => format!(r#"{{"want":{n}}}"#),
        };
        rig.put(&format!("k{want}"), data.as_bytes());
    }
}

#[test]
fn what_is_not_wanted_is_done_unsent() {
    let mut rig = rig(&wanting(2, 3, |_| {}), always(ok()));
    put(&mut rig, &[1, 2, 0, 3, 2, 1, 3, 9]);
    rig.run();
    assert_eq!(
        rig.batches(),
        [vec![2, 4, 5], vec![7]],
        "filters come before batches"
    );
    assert_eq!(
        rig.checkpoint(),
        Some(8),
        "the position moves over what was filtered"
    );
    let counters = rig.machine.counters();
    assert_eq!(
        (
            counters.records_read,
            counters.records_filtered,
            counters.records_done
        ),
        (8, 4, 4)
    );
    assert!(rig.discards().is_empty(), "dropped, as AWS does it");
}

#[test]
fn where_nothing_is_wanted_the_position_is_stored_all_the_same() {
    let mut rig = rig(&wanting(5, 6, |_| {}), always(ok()));
    put(&mut rig, &[1, 1, 1]);
    rig.run();
    assert!(rig.sent.is_empty());
    assert_eq!(rig.checkpoint(), Some(3));
    rig.restart(None);
    put(&mut rig, &[5]);
    rig.run();
    assert_eq!(rig.batches(), [vec![4]]);
    let counters = rig.machine.counters();
    assert_eq!(
        counters.records_read, 1,
        "nothing was read again after the restart"
    );
}

#[test]
fn the_end_of_a_shard_is_reached_over_what_was_filtered() {
    let mut rig = rig(&wanting(5, 6, |_| {}), always(ok()));
    put(&mut rig, &[5, 1]);
    let shard = rig.shard.clone();
    rig.stream.split(&shard, rig.now.wall).unwrap();
    rig.run();
    assert_eq!(rig.batches(), [vec![1]]);
    assert_eq!(rig.stopped, Some(millstream_core::shard::StopReason::Finished));
}

#[test]
fn other_filters_judge_what_was_not_read_and_nothing_twice() {
    let first = wanting(1, 1, |_| {});
    let mut rig = rig(&first, always(ok()));
    put(&mut rig, &[1, 2, 1, 2]);
    rig.run();
    rig.change_filters(&wanting(2, 2, |_| {}));
    put(&mut rig, &[1, 2]);
    rig.run();
    assert_eq!(
        rig.batches(),
        [vec![1, 3], vec![6]],
        "2 and 4 were judged by the first filters"
    );
    rig.change_filters(&spec(|s| s.batch_size = 3));
    put(&mut rig, &[1, 2]);
    rig.run();
    assert_eq!(rig.batches()[2..], [vec![7, 8]]);
    assert_eq!(rig.checkpoint(), Some(8));
}

#[test]
fn a_batch_in_trouble_keeps_its_attempts_over_a_change_of_filters() {
    let mut calls = 0;
    let mut rig = rig(&wanting(1, 3, |s| s.max_retry_attempts = 5), move |_| {
        calls += 1;
        Some(if calls < 3 { raised() } else { ok() })
    });
    put(&mut rig, &[1, 2, 3]);
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.sent.len(), 1);
    let request = rig.sent[0].request;
    rig.change_filters(&wanting(2, 3, |s| s.max_retry_attempts = 5));
    rig.run();
    assert_eq!(rig.batches(), [vec![1, 2, 3], vec![2, 3], vec![2, 3]]);
    let attempts: Vec<_> = rig
        .sent
        .iter()
        .map(|s| (s.request == request, s.attempt))
        .collect();
    assert_eq!(attempts, [(true, 1), (true, 2), (true, 3)]);
    assert_eq!(rig.checkpoint(), Some(3));
}

#[test]
fn a_batch_of_which_nothing_is_wanted_any_more_is_gone() {
    let mut rig = rig(&wanting(1, 3, |_| {}), always(raised()));
    put(&mut rig, &[1, 2, 3]);
    rig.run_for(Duration::from_millis(100));
    rig.change_filters(&wanting(4, 4, |_| {}));
    rig.run_for(Duration::from_secs(60));
    assert_eq!(rig.sent.len(), 1, "the first attempt was the last");
    assert_eq!(rig.checkpoint(), Some(3));
}

#[test]
fn a_lane_that_catches_up_is_filtered_too_and_counts_once() {
    let blocked = |sent: &Sent| {
        let first = sent.records[0].partition_key == "k5";
        Some(if first && sent.attempt < 4 { raised() } else { ok() })
    };
    let spec = wanting(5, 6, |s| {
        s.batch_size = 1;
        s.parallelization_factor = 4;
    });
    let mut settings = config(&spec, 1);
    settings.limits.lane_records = 2;
    settings.limits.page_records = 2;
    let mut rig = Rig::with(settings, blocked);
    rig.filter_by(&spec);
    let wants: Vec<u32> = (0..60).map(|n| [5, 1, 6, 0][n % 4]).collect();
    put(&mut rig, &wants);
    rig.run();
    assert!(
        rig.reads.iter().any(|r| r.cursor == Cursor::CatchUp),
        "the lane fell behind"
    );
    let mut done: Vec<u64> = rig.sent.iter().flat_map(Sent::numbers).collect();
    done.sort_unstable();
    done.dedup();
    let wanted: Vec<u64> = (1..=60).filter(|n| n % 2 == 1).collect();
    assert_eq!(done, wanted);
    let counters = rig.machine.counters();
    assert_eq!((counters.records_read, counters.records_filtered), (60, 30));
    assert_eq!(rig.checkpoint(), Some(60));
}

#[test]
fn a_page_of_other_filters_is_read_again() {
    let mut rig = rig(&wanting(1, 1, |_| {}), always(ok()));
    rig.foreign_pages = 2;
    put(&mut rig, &[1, 2, 1]);
    rig.run();
    assert_eq!(rig.batches(), [vec![1, 3]]);
    assert_eq!(rig.machine.counters().records_read, 3);
}

fn keeping() -> MappingSpec {
    wanting(2, 2, |s| s.filter_criteria.on_unmatched = OnUnmatched::Quarantine)
}

#[test]
fn what_is_quarantined_is_kept_with_its_payload() {
    let mut rig = rig(&keeping(), always(ok()));
    put(&mut rig, &[1, 2, 3, 4, 5]);
    rig.run();
    assert_eq!(rig.batches(), [vec![2]]);
    let kept = rig.discards();
    assert_eq!(
        rig.discarded(),
        [(1, 4, 0, "FilteredOut"), (5, 5, 0, "FilteredOut")],
        "in batches of three"
    );
    assert_eq!(kept[0].condition, DiscardCondition::FilteredOut);
    assert_eq!((kept[0].records, kept[1].records), (3, 1));
    let event: serde_json::Value = serde_json::from_slice(&kept[0].payload).unwrap();
    let keys: Vec<_> = event["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kinesis"]["partitionKey"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["k1", "k3", "k4"]);
    assert_eq!(
        rig.machine.counters().records_discarded,
        0,
        "nothing was given up"
    );
}

#[test]
fn what_is_quarantined_is_stored_with_the_position_behind_it() {
    let mut rig = rig(&keeping(), always(ok()));
    rig.outcomes.push_back(CommitOutcome::Unknown);
    put(&mut rig, &[1, 3]);
    rig.run();
    assert!(rig.discards().is_empty(), "the commit was lost");
    rig.restart(None);
    rig.run();
    assert_eq!(rig.discarded(), [(1, 2, 0, "FilteredOut")]);
    rig.restart(None);
    put(&mut rig, &[4]);
    rig.run();
    assert_eq!(rig.discarded().len(), 2, "once each");
    for commit in &rig.commits {
        let through = commit.commit.record.as_ref().and_then(|r| r.read_through);
        let last = commit.commit.discards.iter().filter_map(|d| d.last).max();
        assert!(last <= through, "{commit:?}");
    }
}
