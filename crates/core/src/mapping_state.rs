//! What users see of a mapping's life: a state between what is wanted and what runs, and the result of the
//! last processing (semantics, section 3).

use millstream_types::Desired;

/// Where a mapping stands (AIP-216).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MappingState {
    /// Made, and not yet taken up for the first time.
    Creating,
    /// Runs as configured.
    Active,
    /// To be paused: nothing starts any more, some attempts still run.
    Pausing,
    /// Nothing runs; the position is kept.
    Paused,
    /// To run again, and not yet taken up.
    Resuming,
    /// Runs, not yet everywhere as configured.
    Updating,
    /// To be removed once nothing runs.
    Deleting,
}

impl MappingState {
    /// AWS's `State`.
    #[must_use]
    pub fn aws(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Active => "Enabled",
            Self::Pausing => "Disabling",
            Self::Paused => "Disabled",
            Self::Resuming => "Enabling",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
        }
    }
}

/// What is known of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What its owner wants.
    pub desired: Desired,
    /// The generation of its newest configuration.
    pub generation: u64,
    /// The configuration that this process took up last; none before the first time.
    pub applied: Option<Applied>,
    /// Whether no process has ever started a shard of it.
    pub fresh: bool,
    /// Shards that may start attempts.
    pub running: u32,
    /// Shards that only let attempts end, for a pause, a change or a removal.
    pub draining: u32,
    /// Attempts that run.
    pub in_flight: u32,
}

/// A configuration that was taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its generation.
    pub generation: u64,
    /// What its owner wanted then.
    pub desired: Desired,
}

impl Facts {
    /// The state that these facts make.
    ///
    /// A pause is complete only when nothing runs at all: then nothing starts until it is resumed.
    #[must_use]
    pub fn state(&self) -> MappingState {
        match self.desired {
            Desired::Deleted => MappingState::Deleting,
            Desired::Paused => self.while_paused(),
            Desired::Running => self.while_running(),
        }
    }

    fn while_paused(&self) -> MappingState {
        match self.applied {
            None if self.fresh => MappingState::Creating,
            // Before it has heard of the pause a supervisor may start a shard at any time.
            Some(applied) if applied.desired == Desired::Running => MappingState::Pausing,
            _ if self.is_quiet() => MappingState::Paused,
            _ => MappingState::Pausing,
        }
    }

    fn while_running(&self) -> MappingState {
        match self.applied {
            None if self.fresh => MappingState::Creating,
            None => MappingState::Resuming,
            Some(applied) if applied.desired != Desired::Running => MappingState::Resuming,
            Some(applied) if applied.generation != self.generation || self.draining > 0 => {
                MappingState::Updating
            }
            Some(_) => MappingState::Active,
        }
    }

    /// Whether no attempt runs and none can start.
    fn is_quiet(&self) -> bool {
        self.running == 0 && self.draining == 0 && self.in_flight == 0
    }

    /// Why the state is not yet the final one, for people; empty if it is.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.state() {
            MappingState::Active | MappingState::Paused => String::new(),
            MappingState::Pausing | MappingState::Deleting | MappingState::Updating if self.in_flight > 0 => {
                format!("waits for {} running attempts", self.in_flight)
            }
            MappingState::Pausing | MappingState::Deleting if self.running > 0 || self.draining > 0 => {
                format!("waits for {} shards to stop", self.running + self.draining)
            }
            _ => format!("generation {} is being taken up", self.generation),
        }
    }
}

/// AWS's `StateTransitionReason` of mappings of streams.
pub const STATE_TRANSITION_REASON: &str = "User action";

/// AWS's `LastProcessingResult` for streams. Health, where [`MappingState`] is configuration only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LastProcessing {
    /// Nothing was processed or polled yet.
    #[default]
    NoRecords,
    /// The last batch was done, wholly or in part, or the last poll brought nothing.
    Ok,
    /// The last attempt failed.
    FunctionFailed,
    /// The source cannot be read; its text.
    Source(String),
}

/// What can change the last processing result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Processed {
    /// A batch was done, or a valid partial failure was reported.
    BatchOk,
    /// A poll succeeded and brought nothing.
    EmptyPoll,
    /// An attempt failed.
    FunctionFailed,
    /// The source could not be read, with the text to show.
    SourceFailed(String),
    /// The source can be read again.
    SourceRecovered,
}

impl LastProcessing {
    /// Takes note of what happened.
    ///
    /// A discard is no input, nor is an expiry: neither changes the result (semantics 3). An empty poll does
    /// not hide that the function fails: other lanes and shards go on while one is blocked.
    pub fn note(&mut self, what: Processed) {
        *self = match (what, std::mem::take(self)) {
            (Processed::BatchOk, _) => Self::Ok,
            (Processed::FunctionFailed, _) => Self::FunctionFailed,
            (Processed::SourceFailed(text), _) => Self::Source(text),
            (Processed::EmptyPoll | Processed::SourceRecovered, Self::Source(_)) => Self::Ok,
            (Processed::EmptyPoll, Self::NoRecords) => Self::Ok,
            (Processed::EmptyPoll | Processed::SourceRecovered, unchanged) => unchanged,
        };
    }

    /// The text that AWS shows.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::NoRecords => "No records processed",
            Self::Ok => "OK",
            Self::FunctionFailed => "PROBLEM: Function call failed",
            Self::Source(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
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
}
