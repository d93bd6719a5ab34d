//! Every way from what is wanted and what runs to what users see.

use super::*;
use Desired::{Deleted, Paused, Running};

fn applied(generation: u64, desired: Desired) -> Option<Applied> {
    Some(Applied { generation, desired })
}

fn facts(desired: Desired, applied: Option<Applied>, busy: (u32, u32, u32)) -> Facts {
    let (running, draining, in_flight) = busy;
    Facts {
        desired,
        generation: 5,
        applied,
        fresh: false,
        running,
        draining,
        in_flight,
    }
}

#[test]
fn what_is_wanted_and_what_runs_make_the_state() {
    use MappingState as S;
    let quiet = (0, 0, 0);
    for (what, desired, applied, busy, expected) in [
        (
            "runs as configured",
            Running,
            applied(5, Running),
            (4, 0, 3),
            S::Active,
        ),
        (
            "runs without shards",
            Running,
            applied(5, Running),
            quiet,
            S::Active,
        ),
        (
            "an older configuration runs",
            Running,
            applied(4, Running),
            (4, 0, 3),
            S::Updating,
        ),
        (
            "shards of an older one drain",
            Running,
            applied(5, Running),
            (3, 1, 3),
            S::Updating,
        ),
        (
            "the pause was the last thing heard of",
            Running,
            applied(4, Paused),
            quiet,
            S::Resuming,
        ),
        (
            "resumed while the pause still drains",
            Running,
            applied(4, Paused),
            (0, 2, 1),
            S::Resuming,
        ),
        ("after a restart of the node", Running, None, quiet, S::Resuming),
        (
            "the pause is not heard of",
            Paused,
            applied(4, Running),
            (4, 0, 0),
            S::Pausing,
        ),
        (
            "nor is it while no shard happens to run",
            Paused,
            applied(4, Running),
            quiet,
            S::Pausing,
        ),
        (
            "shards are still to stop",
            Paused,
            applied(5, Paused),
            (1, 0, 0),
            S::Pausing,
        ),
        ("shards drain", Paused, applied(5, Paused), (0, 1, 0), S::Pausing),
        (
            "one attempt runs",
            Paused,
            applied(5, Paused),
            (0, 0, 1),
            S::Pausing,
        ),
        ("nothing runs", Paused, applied(5, Paused), quiet, S::Paused),
        (
            "changed while paused",
            Paused,
            applied(4, Paused),
            quiet,
            S::Paused,
        ),
        (
            "paused, after a restart of the node",
            Paused,
            None,
            quiet,
            S::Paused,
        ),
        (
            "to be removed",
            Deleted,
            applied(4, Running),
            (4, 0, 3),
            S::Deleting,
        ),
        (
            "to be removed, quiet",
            Deleted,
            applied(5, Deleted),
            quiet,
            S::Deleting,
        ),
        (
            "to be removed, after a restart of the node",
            Deleted,
            None,
            quiet,
            S::Deleting,
        ),
    ] {
        assert_eq!(facts(desired, applied, busy).state(), expected, "{what}");
    }
}

#[test]
fn a_new_mapping_is_being_created_until_it_is_taken_up() {
    use MappingState as S;
    for (desired, applied, expected) in [
        (Running, None, S::Creating),
        (Paused, None, S::Creating),
        (Deleted, None, S::Deleting),
        (Running, applied(5, Running), S::Active),
        (Paused, applied(5, Paused), S::Paused),
    ] {
        let facts = Facts {
            fresh: true,
            ..facts(desired, applied, (0, 0, 0))
        };
        assert_eq!(facts.state(), expected, "{desired:?} {applied:?}");
    }
}

/// Design section 5: `PAUSED` at zero in flight, whatever else is the case.
#[test]
fn what_still_runs_is_never_called_paused() {
    for desired in [Running, Paused, Deleted] {
        for applied in [None, applied(4, Running), applied(5, Paused), applied(5, Running)] {
            for fresh in [false, true] {
                for busy in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)] {
                    let facts = Facts {
                        fresh,
                        ..facts(desired, applied, busy)
                    };
                    assert_ne!(facts.state(), MappingState::Paused, "{facts:?}");
                }
            }
        }
    }
}

#[test]
fn a_state_on_its_way_has_a_reason() {
    for (facts, expected) in [
        (facts(Running, applied(5, Running), (1, 0, 1)), ""),
        (facts(Paused, applied(5, Paused), (0, 0, 0)), ""),
        (
            facts(Paused, applied(5, Paused), (0, 2, 3)),
            "waits for 3 running attempts",
        ),
        (
            facts(Deleted, applied(5, Deleted), (1, 2, 0)),
            "waits for 3 shards to stop",
        ),
        (
            facts(Running, applied(4, Running), (1, 0, 0)),
            "generation 5 is being taken up",
        ),
        (
            facts(Running, applied(4, Paused), (0, 0, 0)),
            "generation 5 is being taken up",
        ),
    ] {
        assert_eq!(facts.reason(), expected, "{facts:?}");
    }
}

#[test]
fn aws_has_a_word_for_every_state() {
    for (state, word) in [
        (MappingState::Creating, "Creating"),
        (MappingState::Active, "Enabled"),
        (MappingState::Pausing, "Disabling"),
        (MappingState::Paused, "Disabled"),
        (MappingState::Resuming, "Enabling"),
        (MappingState::Updating, "Updating"),
        (MappingState::Deleting, "Deleting"),
    ] {
        assert_eq!(state.aws(), word);
    }
}

#[test]
fn the_last_result_follows_what_happened() {
    use Processed as P;
    let denied = || P::SourceFailed("denied".to_owned());
    for (happened, text) in [
        (vec![], "No records processed"),
        (vec![P::SourceRecovered], "No records processed"),
        (vec![P::EmptyPoll], "OK"),
        (vec![P::BatchOk], "OK"),
        (
            vec![P::BatchOk, P::FunctionFailed],
            "PROBLEM: Function call failed",
        ),
        (
            vec![P::FunctionFailed, P::EmptyPoll],
            "PROBLEM: Function call failed",
        ),
        (
            vec![P::FunctionFailed, P::SourceRecovered],
            "PROBLEM: Function call failed",
        ),
        (vec![P::FunctionFailed, P::BatchOk], "OK"),
        (vec![P::FunctionFailed, denied()], "denied"),
        (vec![denied(), P::SourceRecovered], "OK"),
        (vec![denied(), P::EmptyPoll], "OK"),
        (vec![denied(), P::FunctionFailed], "PROBLEM: Function call failed"),
    ] {
        let mut last = LastProcessing::default();
        for what in happened.clone() {
            last.note(what);
        }
        assert_eq!(last.text(), text, "{happened:?}");
    }
}
