//! Changes of settings: what is named is set, the rest is kept (semantics 2.2). Pure.

use super::error::ManageError;
use millstream_types::{
    Applied, Desired, DestinationArn, FilterCriteria, Function, FunctionRef, FunctionSpec, HttpTarget,
    LambdaTarget, Mapping, MappingSpec, OnUnmatched, ProcessTarget, ProvisionedPollers, SourceArn,
    StartingPosition, Tags, Target, Wall,
};
use std::collections::BTreeMap;

/// What is kept beside the settings and changed without a new generation; none keeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes<'a> {
    applied: Option<&'a Applied>,
    tags: Option<&'a Tags>,
}

/// What to change of a mapping; none keeps. Source and starting position are here so that setting them to what
/// they are is no error; setting them to anything else is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingPatch {
    /// See [`MappingSpec::source`].
    pub source: Option<SourceArn>,
    /// See [`MappingSpec::starting_position`].
    pub starting_position: Option<StartingPosition>,
    /// See [`MappingSpec::function`].
    pub function: Option<FunctionRef>,
    /// See [`MappingSpec::batch_size`]; `Some(None)` goes back to the default for the source.
    pub batch_size: Option<Option<u32>>,
    /// See [`MappingSpec::batching_window_seconds`].
    pub batching_window_seconds: Option<u32>,
    /// See [`MappingSpec::parallelization_factor`].
    pub parallelization_factor: Option<u8>,
    /// See [`MappingSpec::bisect_on_error`].
    pub bisect_on_error: Option<bool>,
    /// See [`MappingSpec::max_retry_attempts`].
    pub max_retry_attempts: Option<i32>,
    /// See [`MappingSpec::max_record_age_seconds`].
    pub max_record_age_seconds: Option<i64>,
    /// See [`MappingSpec::report_batch_item_failures`].
    pub report_batch_item_failures: Option<bool>,
    /// See [`MappingSpec::on_failure`]; `Some(None)` clears it.
    pub on_failure: Option<Option<DestinationArn>>,
    /// See [`MappingSpec::maximum_concurrency`]; `Some(None)` clears it.
    pub maximum_concurrency: Option<Option<u32>>,
    /// See [`MappingSpec::tumbling_window_seconds`].
    pub tumbling_window_seconds: Option<u32>,
    /// See [`FilterCriteria::filters`]; an empty list clears them.
    pub filters: Option<Vec<String>>,
    /// See [`FilterCriteria::extended`].
    pub extended_filters: Option<bool>,
    /// See [`FilterCriteria::on_unmatched`].
    pub on_unmatched: Option<OnUnmatched>,
    /// See [`MappingSpec::provisioned_pollers`]; `Some(None)` clears it.
    pub provisioned_pollers: Option<Option<ProvisionedPollers>>,
    /// See [`MappingSpec::event_count_metrics`].
    pub event_count_metrics: Option<bool>,
    /// Whether it is to be [`Desired::Paused`] or [`Desired::Running`].
    pub paused: Option<bool>,
    /// See [`Mapping::applied`].
    pub applied: Option<Applied>,
    /// See [`Mapping::tags`].
    pub tags: Option<Tags>,
}

impl MappingPatch {
    /// The settings after the change.
    #[must_use]
    pub fn apply(&self, old: &MappingSpec) -> MappingSpec {
        let p = self.clone();
        let source = p.source.unwrap_or_else(|| old.source.clone());
        let default_batch_size = MappingSpec::default_batch_size(source.kind());
        MappingSpec {
            source,
            function: p.function.unwrap_or_else(|| old.function.clone()),
            starting_position: p.starting_position.or(old.starting_position),
            batch_size: match p.batch_size {
                Some(size) => size.unwrap_or(default_batch_size),
                None => old.batch_size,
            },
            batching_window_seconds: p.batching_window_seconds.unwrap_or(old.batching_window_seconds),
            parallelization_factor: p.parallelization_factor.unwrap_or(old.parallelization_factor),
            bisect_on_error: p.bisect_on_error.unwrap_or(old.bisect_on_error),
            max_retry_attempts: p.max_retry_attempts.unwrap_or(old.max_retry_attempts),
            max_record_age_seconds: p.max_record_age_seconds.unwrap_or(old.max_record_age_seconds),
            report_batch_item_failures: p
                .report_batch_item_failures
                .unwrap_or(old.report_batch_item_failures),
            on_failure: p.on_failure.unwrap_or_else(|| old.on_failure.clone()),
            maximum_concurrency: p.maximum_concurrency.unwrap_or(old.maximum_concurrency),
            tumbling_window_seconds: p.tumbling_window_seconds.unwrap_or(old.tumbling_window_seconds),
            filter_criteria: FilterCriteria {
                filters: p.filters.unwrap_or_else(|| old.filter_criteria.filters.clone()),
                extended: p.extended_filters.unwrap_or(old.filter_criteria.extended),
                on_unmatched: p.on_unmatched.unwrap_or(old.filter_criteria.on_unmatched),
            },
            provisioned_pollers: p.provisioned_pollers.unwrap_or(old.provisioned_pollers),
            event_count_metrics: p.event_count_metrics.unwrap_or(old.event_count_metrics),
        }
    }

    pub(super) fn notes(&self) -> Notes<'_> {
        Notes {
            applied: self.applied.as_ref(),
            tags: self.tags.as_ref(),
        }
    }

    /// What the mapping is to do after the change.
    #[must_use]
    pub fn desired(&self, old: Desired) -> Desired {
        match self.paused {
            Some(true) => Desired::Paused,
            Some(false) => Desired::Running,
            None => old,
        }
    }
}

/// The next version of a mapping that is to be so; none if it is. Only what is to be taken up makes a new generation.
pub(super) fn next_mapping(
    old: &Mapping,
    (spec, desired): (MappingSpec, Desired),
    notes: Notes<'_>,
    now: Wall,
) -> Option<Mapping> {
    let changed = spec != old.spec || desired != old.desired;
    let applied = notes.applied.unwrap_or(&old.applied).clone();
    let tags = notes.tags.unwrap_or(&old.tags).clone();
    (changed || applied != old.applied || tags != old.tags).then(|| Mapping {
        spec,
        desired,
        applied,
        tags,
        generation: old.generation + u64::from(changed),
        modified: if changed { now } else { old.modified },
        ..old.clone()
    })
}

/// What to change of a function; none keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionPatch {
    /// See [`FunctionSpec::target`].
    pub target: Option<TargetPatch>,
    /// See [`FunctionSpec::timeout_ms`].
    pub timeout_ms: Option<u32>,
    /// See [`FunctionSpec::concurrency`].
    pub concurrency: Option<u32>,
    /// See [`Function::applied`].
    pub applied: Option<Applied>,
    /// See [`Function::tags`].
    pub tags: Option<Tags>,
}

/// What to change of a function's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPatch {
    /// All of it.
    Replace(Target),
    /// Some settings of a process; refused if the target is none.
    Process(ProcessPatch),
    /// Some settings of a server; refused if the target is none.
    Http(HttpPatch),
    /// Some settings of a function of Lambda; refused if the target is none.
    Lambda(LambdaPatch),
}

/// What to change of an http target; none keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpPatch {
    /// See [`HttpTarget::url`].
    pub url: Option<String>,
}

/// What to change of a lambda target; none keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LambdaPatch {
    /// See [`LambdaTarget::function`].
    pub function: Option<String>,
}

/// What to change of a process target; none keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessPatch {
    /// See [`ProcessTarget::command`].
    pub command: Option<Vec<String>>,
    /// See [`ProcessTarget::working_dir`]; `Some(None)` clears it.
    pub working_dir: Option<Option<String>>,
    /// See [`ProcessTarget::env`].
    pub env: Option<BTreeMap<String, String>>,
    /// See [`ProcessTarget::env_pass`].
    pub env_pass: Option<Vec<String>>,
    /// See [`ProcessTarget::init_timeout_ms`].
    pub init_timeout_ms: Option<u32>,
    /// See [`ProcessTarget::memory_mb`].
    pub memory_mb: Option<u32>,
}

impl FunctionPatch {
    pub(super) fn notes(&self) -> Notes<'_> {
        Notes {
            applied: self.applied.as_ref(),
            tags: self.tags.as_ref(),
        }
    }

    /// The settings after the change.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] if it changes settings of another kind of target than the function has.
    pub fn apply(&self, old: &FunctionSpec) -> Result<FunctionSpec, ManageError> {
        let target = match (&self.target, &old.target) {
            (None, target) => target.clone(),
            (Some(TargetPatch::Replace(target)), _) => target.clone(),
            (Some(TargetPatch::Process(patch)), Target::Process(old)) => Target::Process(patch.apply(old)),
            (Some(TargetPatch::Http(patch)), Target::Http(old)) => Target::Http(HttpTarget {
                url: patch.url.clone().unwrap_or_else(|| old.url.clone()),
            }),
            (Some(TargetPatch::Lambda(patch)), Target::Lambda(old)) => Target::Lambda(LambdaTarget {
                function: patch.function.clone().unwrap_or_else(|| old.function.clone()),
            }),
            (Some(TargetPatch::Process(_)), other) => return Err(wrong_target("process", other)),
            (Some(TargetPatch::Http(_)), other) => return Err(wrong_target("http", other)),
            (Some(TargetPatch::Lambda(_)), other) => return Err(wrong_target("lambda", other)),
        };
        Ok(FunctionSpec {
            target,
            timeout_ms: self.timeout_ms.unwrap_or(old.timeout_ms),
            concurrency: self.concurrency.unwrap_or(old.concurrency),
        })
    }
}

/// `field` is of another kind of target than `has`.
fn wrong_target(field: &'static str, has: &Target) -> ManageError {
    let allowed = "settings of the target it has, or a whole new target";
    let message = format!(
        "the function's target is {}: it has no {field} settings",
        has.kind()
    );
    ManageError::violation(field, has.kind(), allowed, &message)
}

impl ProcessPatch {
    fn apply(&self, old: &ProcessTarget) -> ProcessTarget {
        let p = self.clone();
        ProcessTarget {
            command: p.command.unwrap_or_else(|| old.command.clone()),
            working_dir: p.working_dir.unwrap_or_else(|| old.working_dir.clone()),
            env: p.env.unwrap_or_else(|| old.env.clone()),
            env_pass: p.env_pass.unwrap_or_else(|| old.env_pass.clone()),
            init_timeout_ms: p.init_timeout_ms.unwrap_or(old.init_timeout_ms),
            memory_mb: p.memory_mb.unwrap_or(old.memory_mb),
        }
    }
}

/// The next version of a function with these settings; none if it has them. Only new settings make a new generation.
pub(super) fn next_function(
    old: &Function,
    spec: FunctionSpec,
    notes: Notes<'_>,
    now: Wall,
) -> Option<Function> {
    let changed = spec != old.spec;
    let applied = notes.applied.unwrap_or(&old.applied).clone();
    let tags = notes.tags.unwrap_or(&old.tags).clone();
    (changed || applied != old.applied || tags != old.tags).then(|| Function {
        spec,
        applied,
        tags,
        generation: old.generation + u64::from(changed),
        modified: if changed { now } else { old.modified },
        ..old.clone()
    })
}

/// The next version of a function that is to have new processes and nothing else new.
pub(super) fn restarted(old: &Function, now: Wall) -> Function {
    Function {
        generation: old.generation + 1,
        modified: now,
        ..old.clone()
    }
}
