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
    #[must_use]
    pub fn state(&self) -> MappingState {
        todo!()
    }
}

/// AWS's `LastProcessingResult` for streams.
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
    /// Takes note of what happened. A discard is no input: it does not change the result (semantics 3).
    pub fn note(&mut self, what: Processed) {
        let _ = what;
        todo!()
    }

    /// The text that AWS shows.
    #[must_use]
    pub fn text(&self) -> &str {
        todo!()
    }
}
