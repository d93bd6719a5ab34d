//! Mappings: settings in, views out.

use super::mask::Mask;
use super::{applied, count, filter, operation, small, tags, timestamp, wall};
use crate::names;
use crate::refusal::{Refusal, Refusals};
use millstream_api::v1;
use millstream_engine::manage::{MappingPatch, MappingState, starting_position};
use millstream_engine::view::{Condition, Counters, MappingStatus, MappingView};
use millstream_types::{
    Applied, Desired, DestinationArn, FunctionRef, Mapping, MappingSpec, Namespace, SourceArn,
    StartingPosition, StreamName,
};

/// Where the settings are in a request.
pub(crate) const PREFIX: &str = "mapping.";
const SOURCE: &str = "mapping.source_arn";
const START: &str = "mapping.starting_position";
const START_TIME: &str = "mapping.starting_position_timestamp";
const FUNCTION: &str = "mapping.function";
const DESTINATION: &str = "mapping.destination_config.on_failure.destination";
/// The paths that an update may name.
const PATHS: &[&str] = &[
    "source_arn",
    "starting_position",
    "starting_position_timestamp",
    "function",
    "batch_size",
    "maximum_batching_window_seconds",
    "parallelization_factor",
    "bisect_batch_on_function_error",
    "maximum_retry_attempts",
    "maximum_record_age_seconds",
    "function_response_types",
    "destination_config",
    "destination_config.on_failure",
    "destination_config.on_failure.destination",
    "scaling_config",
    "scaling_config.maximum_concurrency",
    "tumbling_window_in_seconds",
    "paused",
    "provisioned_poller_config",
    "metrics_config",
    "logging_config",
    "kms_key_arn",
    tags::PATH,
    applied::PATH,
    filter::PATH,
    "filter_criteria.filters",
    "filter_criteria.extended",
    "filter_criteria.on_unmatched",
];

/// The settings of a new mapping: unset ones have AWS's defaults. What cannot be read is refused, and stands in
/// the result as something harmless, so that the rest can be checked.
pub(crate) fn new_spec(
    m: &v1::Mapping,
    namespace: &Namespace,
    refusals: &mut Refusals,
) -> Option<MappingSpec> {
    let source = refusals.take(source(&m.source_arn));
    let start = match &source {
        // A source that could not be read says nothing about whether it needs a start.
        Some(arn) if arn.kind().is_queue() && !start_set(m) => None,
        None if !start_set(m) => Some(StartingPosition::TrimHorizon),
        _ => Some(refusals.take(start(m)).unwrap_or(StartingPosition::TrimHorizon)),
    };
    let defaults = MappingSpec::new(
        source.or_else(stand_in)?,
        refusals
            .take(names::function(FUNCTION, namespace, &m.function))
            .or_else(|| FunctionRef::parse("f"))?,
        start,
    );
    let everything = patch(m, &Mask::All, &defaults, refusals);
    Some(everything.apply(&defaults))
}

/// The change that an update means.
pub(crate) fn update(
    m: &v1::Mapping,
    namespace: &Namespace,
    mask: Option<prost_types::FieldMask>,
    refusals: &mut Refusals,
) -> Option<MappingPatch> {
    let mask = Mask::read(mask, PATHS, refusals);
    let defaults = MappingSpec::new(stand_in()?, FunctionRef::parse("f")?, None);
    let mut patch = patch(m, &mask, &defaults, refusals);
    if mask.means_fixed("source_arn", !m.source_arn.is_empty()) {
        patch.source = refusals.take(source(&m.source_arn));
    }
    let start_set = start_set(m);
    let start_meant = ["starting_position", "starting_position_timestamp"];
    if start_meant.iter().any(|path| mask.means_fixed(path, start_set)) {
        patch.starting_position = refusals.take(start(m));
    }
    if mask.means("function", !m.function.is_empty()) {
        patch.function = refusals.take(names::function(FUNCTION, namespace, &m.function));
    }
    // Not meant by `*` unless set: a client that does not know them must neither resume nor forget.
    if mask.means_fixed("paused", m.paused.is_some()) {
        patch.paused = Some(m.paused());
    }
    if mask.means_fixed(applied::PATH, m.applied.is_some()) {
        patch.applied = refusals.take(applied(m));
    }
    if mask.means_fixed(tags::PATH, !m.tags.is_empty()) {
        patch.tags = refusals.take(tags::read("mapping.tags", &m.tags));
    }
    Some(patch)
}

/// What of it is applied from a file.
pub(crate) fn applied(m: &v1::Mapping) -> Result<Applied, Refusal> {
    applied::read("mapping.applied", m.applied.as_ref())
}

/// The settings besides source, start and function. An unset one that is meant goes back to its default.
fn patch(m: &v1::Mapping, mask: &Mask, defaults: &MappingSpec, refusals: &mut Refusals) -> MappingPatch {
    let mut patch = MappingPatch::default();
    if mask.means("batch_size", m.batch_size.is_some()) {
        let size = m
            .batch_size
            .map(|n| unsigned("batch_size", Some(n), 0, "1 to 10000"));
        patch.batch_size = refusals.take(size.transpose());
    }
    let path = "maximum_batching_window_seconds";
    if mask.means(path, m.maximum_batching_window_seconds.is_some()) {
        let (value, default) = (
            m.maximum_batching_window_seconds,
            defaults.batching_window_seconds,
        );
        patch.batching_window_seconds = refusals.take(unsigned(path, value, default, "0 to 300"));
    }
    let path = "parallelization_factor";
    if mask.means(path, m.parallelization_factor.is_some()) {
        let (value, default) = (m.parallelization_factor, defaults.parallelization_factor);
        patch.parallelization_factor = refusals.take(unsigned(path, value, default, "1 to 10"));
    }
    let path = "tumbling_window_in_seconds";
    if mask.means(path, m.tumbling_window_in_seconds.is_some()) {
        let (value, default) = (m.tumbling_window_in_seconds, defaults.tumbling_window_seconds);
        patch.tumbling_window_seconds = refusals.take(unsigned(path, value, default, "0 to 900"));
    }
    if mask.means(
        "bisect_batch_on_function_error",
        m.bisect_batch_on_function_error.is_some(),
    ) {
        patch.bisect_on_error = Some(
            m.bisect_batch_on_function_error
                .unwrap_or(defaults.bisect_on_error),
        );
    }
    if mask.means("maximum_retry_attempts", m.maximum_retry_attempts.is_some()) {
        patch.max_retry_attempts = Some(m.maximum_retry_attempts.unwrap_or(defaults.max_retry_attempts));
    }
    if mask.means(
        "maximum_record_age_seconds",
        m.maximum_record_age_seconds.is_some(),
    ) {
        let age = m
            .maximum_record_age_seconds
            .map_or(defaults.max_record_age_seconds, i64::from);
        patch.max_record_age_seconds = Some(age);
    }
    if mask.means("function_response_types", !m.function_response_types.is_empty()) {
        patch.report_batch_item_failures = refusals.take(response_types(m));
    }
    let destination = "destination_config";
    let deeper = [
        "destination_config.on_failure",
        "destination_config.on_failure.destination",
    ];
    let deep = matches!(mask, Mask::Named(_)) && deeper.iter().any(|path| mask.means(path, true));
    if deep || mask.means(destination, m.destination_config.is_some()) {
        patch.on_failure = refusals.take(on_failure(m));
    }
    let deep = matches!(mask, Mask::Named(_)) && mask.means("scaling_config.maximum_concurrency", true);
    if deep || mask.means("scaling_config", m.scaling_config.is_some()) {
        patch.maximum_concurrency = refusals.take(maximum_concurrency(m));
    }
    filter::patch(m, mask, &mut patch, refusals);
    operation::patch(m, mask, &mut patch, refusals);
    patch
}

/// Whether the request says anything about where to start.
fn start_set(m: &v1::Mapping) -> bool {
    m.starting_position != 0 || m.starting_position_timestamp.is_some()
}

fn maximum_concurrency(m: &v1::Mapping) -> Result<Option<u32>, Refusal> {
    let set = m.scaling_config.as_ref().and_then(|c| c.maximum_concurrency);
    let path = "scaling_config.maximum_concurrency";
    set.map(|n| u32::try_from(n).map_err(|_| Refusal::new(format!("{PREFIX}{path}"), n, "2 to 1000")))
        .transpose()
}

fn unsigned<T: TryFrom<i32>>(
    path: &str,
    value: Option<i32>,
    default: T,
    allowed: &str,
) -> Result<T, Refusal> {
    let Some(value) = value else { return Ok(default) };
    T::try_from(value).map_err(|_| Refusal::new(format!("{PREFIX}{path}"), value, allowed))
}

fn source(arn: &str) -> Result<SourceArn, Refusal> {
    if arn.is_empty() {
        return Err(Refusal::missing(SOURCE, "the ARN of a stream or queue"));
    }
    arn.parse()
        .map_err(|e: millstream_types::arn::InvalidArn| Refusal {
            field: SOURCE.into(),
            message: e.to_string(),
        })
}

/// What stands for a source that could not be read.
fn stand_in() -> Option<SourceArn> {
    StreamName::new("unread")
        .ok()
        .map(|name| SourceArn::local_stream(&name))
}

fn start(m: &v1::Mapping) -> Result<StartingPosition, Refusal> {
    let number;
    let name = match v1::StartingPosition::try_from(m.starting_position) {
        Ok(v1::StartingPosition::Unspecified) => None,
        Ok(v1::StartingPosition::TrimHorizon) => Some("TRIM_HORIZON"),
        Ok(v1::StartingPosition::Latest) => Some("LATEST"),
        Ok(v1::StartingPosition::AtTimestamp) => Some("AT_TIMESTAMP"),
        Err(_) => {
            number = m.starting_position.to_string();
            Some(number.as_str())
        }
    };
    let at = m
        .starting_position_timestamp
        .as_ref()
        .map(|t| wall(START_TIME, t))
        .transpose()?;
    starting_position(name, at).map_err(|v| {
        let field = if v.field == "starting_position_timestamp" {
            START_TIME
        } else {
            START
        };
        Refusal {
            field: field.into(),
            message: v.message,
        }
    })
}

fn response_types(m: &v1::Mapping) -> Result<bool, Refusal> {
    let known = i32::from(v1::FunctionResponseType::ReportBatchItemFailures);
    match m.function_response_types[..] {
        [] => Ok(false),
        [one] if one == known => Ok(true),
        ref other => {
            let allowed = "none, or REPORT_BATCH_ITEM_FAILURES once";
            Err(Refusal::new(
                "mapping.function_response_types",
                format!("{other:?}"),
                allowed,
            ))
        }
    }
}

fn on_failure(m: &v1::Mapping) -> Result<Option<DestinationArn>, Refusal> {
    let config = m.destination_config.as_ref().and_then(|c| c.on_failure.as_ref());
    match config.map_or("", |f| f.destination.as_str()) {
        "" => Ok(None),
        arn => arn
            .parse()
            .map(Some)
            .map_err(|e: millstream_types::destination::InvalidDestination| Refusal {
                field: DESTINATION.into(),
                message: e.to_string(),
            }),
    }
}

/// A mapping as configured and observed. Every setting that its kind of source has is shown, those at their default
/// too.
pub(crate) fn to_api(view: &MappingView) -> v1::Mapping {
    let MappingView { mapping, status } = view;
    let (starting_position, starting_position_timestamp) = start_to_api(mapping.spec.starting_position);
    let spec = &mapping.spec;
    let report = v1::FunctionResponseType::ReportBatchItemFailures;
    let stream = !spec.source.kind().is_queue();
    v1::Mapping {
        name: full_name(mapping),
        uid: mapping.id.to_string(),
        etag: names::etag(mapping.revision),
        create_time: Some(timestamp(mapping.created)),
        update_time: Some(timestamp(mapping.modified)),
        generation: count(mapping.generation),
        observed_generation: count(status.observed_generation),
        source_arn: spec.source.to_string(),
        function: spec.function.to_string(),
        function_arn: spec.function.arn(),
        starting_position,
        starting_position_timestamp,
        batch_size: Some(small(spec.batch_size)),
        maximum_batching_window_seconds: Some(small(spec.batching_window_seconds)),
        parallelization_factor: stream.then(|| i32::from(spec.parallelization_factor)),
        bisect_batch_on_function_error: stream.then_some(spec.bisect_on_error),
        maximum_retry_attempts: stream.then_some(spec.max_retry_attempts),
        maximum_record_age_seconds: stream
            .then(|| i32::try_from(spec.max_record_age_seconds).unwrap_or(i32::MAX)),
        function_response_types: if spec.report_batch_item_failures {
            vec![report.into()]
        } else {
            Vec::new()
        },
        destination_config: stream.then(|| v1::DestinationConfig {
            on_failure: spec.on_failure.as_ref().map(|arn| v1::OnFailure {
                destination: arn.to_string(),
            }),
        }),
        scaling_config: spec.maximum_concurrency.map(|n| v1::ScalingConfig {
            maximum_concurrency: Some(small(n)),
        }),
        state: state(status.state).into(),
        state_reason: state_reason(mapping, status),
        conditions: status.conditions.iter().map(condition).collect(),
        last_processing_result: status.last_processing_result.clone(),
        counters: Some(counters(&status.counters)),
        paused: Some(mapping.desired == Desired::Paused),
        applied: applied::to_api(&mapping.applied),
        tumbling_window_in_seconds: stream.then(|| small(spec.tumbling_window_seconds)),
        filter_criteria: filter::to_api(&spec.filter_criteria),
        provisioned_poller_config: spec.provisioned_pollers.map(operation::pollers_to_api),
        metrics_config: operation::metrics_to_api(spec.event_count_metrics),
        logging_config: None,
        tags: tags::to_api(&mapping.tags),
        kms_key_arn: String::new(),
    }
}

/// The full name of a mapping.
pub(crate) fn full_name(mapping: &Mapping) -> String {
    names::full(&mapping.namespace, names::MAPPINGS, &mapping.name)
}

fn start_to_api(start: Option<StartingPosition>) -> (i32, Option<prost_types::Timestamp>) {
    let (position, at) = match start {
        None => (v1::StartingPosition::Unspecified, None),
        Some(StartingPosition::TrimHorizon) => (v1::StartingPosition::TrimHorizon, None),
        Some(StartingPosition::Latest) => (v1::StartingPosition::Latest, None),
        Some(StartingPosition::AtTimestamp(at)) => (v1::StartingPosition::AtTimestamp, Some(timestamp(at))),
    };
    (position.into(), at)
}

fn state(state: MappingState) -> v1::MappingState {
    match state {
        MappingState::Creating => v1::MappingState::Creating,
        MappingState::Active => v1::MappingState::Active,
        MappingState::Pausing => v1::MappingState::Pausing,
        MappingState::Paused => v1::MappingState::Paused,
        MappingState::Resuming => v1::MappingState::Resuming,
        MappingState::Updating => v1::MappingState::Updating,
        MappingState::Deleting => v1::MappingState::Deleting,
    }
}

/// What is wrong if something is, else who wanted it so.
fn state_reason(mapping: &Mapping, status: &MappingStatus) -> String {
    match (status.conditions.first(), mapping.desired) {
        (Some(condition), _) => condition.message.clone(),
        (None, Desired::Running) => String::new(),
        (None, Desired::Paused) => "Paused by a user".to_owned(),
        (None, Desired::Deleted) => "Deleted by a user".to_owned(),
    }
}

fn condition(c: &Condition) -> v1::Condition {
    v1::Condition {
        r#type: c.kind.to_owned(),
        message: c.message.clone(),
        since: Some(timestamp(c.since)),
    }
}

fn counters(c: &Counters) -> v1::MappingCounters {
    v1::MappingCounters {
        records_read: count(c.records_read),
        attempts: count(c.attempts),
        failures: count(c.failures),
        throttles: count(c.throttles),
        records_done: count(c.records_done),
        records_discarded: count(c.records_discarded),
        splits: count(c.splits),
        records_filtered: count(c.records_filtered),
    }
}

#[cfg(test)]
mod tests;
