//! What waits for a commit, what does not, and how commits end (design 4, "what waits for the disk").

use crate::rig::{Rig, always, ok, raise_on, raised, spec};
use millstream_core::shard::StopReason;
use millstream_types::MappingSpec;
use millstream_types::commit::{CommitOutcome, Durability};
use millstream_types::durable::AttemptResult;
use std::time::Duration;

fn hold(settings: fn(&mut MappingSpec), bad: &'static [u64]) -> Rig {
    let mut rig = Rig::new(spec(settings), raise_on(bad));
    rig.hold_commits = true;
    rig
}

#[test]
fn a_first_attempt_writes_nothing() {
    let mut rig = Rig::new(spec(|_| ()), |_| None);
    rig.feed(3);
    assert_eq!((rig.sent.len(), rig.commits.len()), (1, 0));
}

#[test]
fn progress_after_success_is_written_and_not_waited_for() {
    let mut rig = hold(|s| s.batch_size = 1, &[]);
    rig.feed(5);
    assert_eq!(
        (rig.sent.len(), rig.machine.repeatable()),
        (2, 2),
        "the lane goes on while the first commit is on its way, but one batch only"
    );
    assert_eq!(rig.commits.len(), 1, "one commit at a time");
    assert_eq!(rig.commits[0].durability, Durability::Written);
    rig.hold_commits = false;
    rig.run();
    assert_eq!(rig.sent.len(), 5);
    let results: Vec<_> = rig
        .journal
        .ledger()
        .iter()
        .map(|e| (e.result, e.records))
        .collect();
    assert_eq!(results, [(AttemptResult::Done, 1); 5]);
}

#[test]
fn small_batches_go_on_until_as_much_as_a_whole_one_waits_to_be_stored() {
    let mut rig = hold(|s| s.batch_size = 4, &[]);
    for sent in 1..=5 {
        rig.feed(1);
        assert_eq!(rig.sent.len(), sent);
    }
    rig.feed(3);
    assert_eq!(
        rig.batches().len(),
        5,
        "five records wait to be stored: more than a batch"
    );
    assert_eq!(
        rig.machine.deadline(),
        None,
        "it waits for the commit, not for a time"
    );
    rig.hold_commits = false;
    rig.run();
    assert_eq!(rig.batches().last().unwrap(), &[6, 7, 8]);
}

#[test]
fn what_gathers_behind_a_commit_goes_together() {
    let mut rig = hold(|s| (s.batch_size, s.parallelization_factor) = (1, 4), &[]);
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        rig.put(key, b"x");
    }
    rig.run();
    let sent = rig.sent.len();
    assert!(sent >= 3, "several lanes have finished something: {sent}");
    assert_eq!(rig.commits.len(), 1, "one commit at a time");
    rig.hold_commits = false;
    rig.run();
    assert_eq!(
        rig.journal
            .ledger()
            .iter()
            .filter(|e| e.result == AttemptResult::Done)
            .count(),
        8
    );
    assert!(rig.commits.len() <= 4, "{}", rig.commits.len());
}

#[test]
fn a_failure_a_split_and_a_discard_are_synced_before_the_lane_goes_on() {
    type Row = (&'static str, fn(&mut MappingSpec), &'static [u64], &'static [u64]);
    let rows: [Row; 3] = [
        (
            "failure",
            |s| (s.batch_size, s.max_retry_attempts) = (2, 5),
            &[1],
            &[1, 2],
        ),
        (
            "split",
            |s| (s.batch_size, s.bisect_on_error) = (2, true),
            &[2],
            &[1],
        ),
        (
            "discard",
            |s| (s.batch_size, s.max_retry_attempts) = (2, 0),
            &[1],
            &[3, 4],
        ),
    ];
    for (what, settings, bad, then) in rows {
        let mut rig = hold(settings, bad);
        rig.feed(4);
        rig.run_for(Duration::from_secs(60));
        assert_eq!(rig.batches(), [[1, 2]], "{what}: nothing before it is stored");
        assert_eq!(rig.commits.len(), 1, "{what}");
        assert_eq!(rig.commits[0].durability, Durability::Synced, "{what}");
        rig.hold_commits = false;
        rig.run_for(Duration::from_secs(1));
        assert_eq!(rig.batches()[1], then, "{what}");
    }
}

#[test]
fn a_discard_comes_with_its_document_and_its_payload_in_one_commit() {
    let destination = "arn:aws:kinesis:us-east-1:000000000000:stream/failures";
    let mut rig = Rig::new(
        spec(|s| (s.max_retry_attempts, s.on_failure) = (0, Some(destination.parse().unwrap()))),
        always(raised()),
    );
    rig.feed(2);
    let with_discard: Vec<_> = rig
        .commits
        .iter()
        .filter(|c| !c.commit.discards.is_empty())
        .collect();
    let [only] = &with_discard[..] else {
        panic!("{with_discard:?}")
    };
    let (discard, entry) = (&only.commit.discards[0], &only.commit.outbox[0]);
    assert_eq!(
        (entry.discard, entry.destination.as_str()),
        (discard.id, destination)
    );
    let payload = std::str::from_utf8(&discard.payload).unwrap();
    assert_eq!(payload.matches("\"kinesis\":{").count(), 2);
    let document = std::str::from_utf8(&entry.document).unwrap();
    assert!(
        document.contains("\"condition\":\"RetryAttemptsExhausted\""),
        "{document}"
    );
    assert_eq!(
        only.commit.record.as_ref().unwrap().lanes[0].done_through,
        Some(crate::rig::mark(2))
    );
}

#[test]
fn rejected_and_unknown_stop_everything_at_once() {
    for (outcome, reason) in [
        (CommitOutcome::Rejected, StopReason::Fenced),
        (CommitOutcome::Unknown, StopReason::Uncertain),
    ] {
        let mut rig = Rig::new(spec(|s| s.batch_size = 1), always(ok()));
        rig.outcomes.push_back(outcome);
        rig.feed(1);
        assert_eq!(rig.stopped, Some(reason));
        let (sent, commits) = (rig.sent.len(), rig.commits.len());
        rig.feed(5);
        rig.run_for(Duration::from_secs(60));
        assert_eq!((rig.sent.len(), rig.commits.len()), (sent, commits), "{reason:?}");
        assert_eq!(rig.machine.deadline(), None);
    }
}

#[test]
fn what_nobody_knows_is_found_out_by_reading() {
    let mut rig = Rig::new(spec(|s| s.max_retry_attempts = 1), always(raised()));
    rig.outcomes.push_back(CommitOutcome::Unknown);
    rig.feed(1);
    // The count of the first failure was not stored: it is as if the attempt had never been.
    rig.restart(None).run();
    let attempts: Vec<u32> = rig.sent.iter().map(|s| s.attempt).collect();
    assert_eq!(attempts, [1, 1, 2]);
    assert_eq!(rig.discarded(), [(1, 1, 2, "RetryAttemptsExhausted")]);
}
