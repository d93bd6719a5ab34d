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
mod tests;
