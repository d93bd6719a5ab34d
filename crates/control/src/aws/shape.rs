//! A mapping as AWS shows it: which members there are depends on the kind of source (semantics 2.1).

use millstream_engine::manage::MappingState;
use millstream_engine::view::MappingView;
use millstream_types::arn::{LOCAL_ACCOUNT, LOCAL_REGION};
use millstream_types::{
    Desired, Mapping, MappingId, MappingSpec, ProvisionedPollers, StartingPosition, Wall,
};
use serde_json::{Map, Value, json};

/// The ARN of a mapping.
pub(super) fn mapping_arn(id: MappingId) -> String {
    format!("arn:aws:lambda:{LOCAL_REGION}:{LOCAL_ACCOUNT}:event-source-mapping:{id}")
}

/// `EventSourceMappingConfiguration`.
pub(super) fn mapping(view: &MappingView) -> Value {
    let MappingView { mapping, status } = view;
    let spec = &mapping.spec;
    let queue = spec.source.kind().is_queue();
    let mut shown = common(mapping);
    shown.insert("State".into(), state(mapping, status.state).into());
    let reason = if queue { "USER_INITIATED" } else { "User action" };
    shown.insert("StateTransitionReason".into(), reason.into());
    if !queue {
        let result = status.last_processing_result.as_str();
        shown.insert("LastProcessingResult".into(), result.into());
        of_streams(spec, &mut shown);
    }
    when_set(spec, &mut shown);
    Value::Object(shown)
}

/// What every mapping has.
fn common(mapping: &Mapping) -> Map<String, Value> {
    let spec = &mapping.spec;
    let types: &[&str] = if spec.report_batch_item_failures {
        &["ReportBatchItemFailures"]
    } else {
        &[]
    };
    let members = [
        ("UUID", json!(mapping.id.to_string())),
        ("EventSourceMappingArn", json!(mapping_arn(mapping.id))),
        ("EventSourceArn", json!(spec.source.as_str())),
        ("FunctionArn", json!(spec.function.arn())),
        ("LastModified", seconds(mapping.modified)),
        ("BatchSize", json!(spec.batch_size)),
        (
            "MaximumBatchingWindowInSeconds",
            json!(spec.batching_window_seconds),
        ),
        ("FunctionResponseTypes", json!(types)),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What every mapping of a stream has, defaults included.
fn of_streams(spec: &MappingSpec, shown: &mut Map<String, Value>) {
    let (position, at) = match spec.starting_position {
        Some(StartingPosition::Latest) => ("LATEST", None),
        Some(StartingPosition::AtTimestamp(at)) => ("AT_TIMESTAMP", Some(at)),
        Some(StartingPosition::TrimHorizon) | None => ("TRIM_HORIZON", None),
    };
    let on_failure = match &spec.on_failure {
        Some(arn) => json!({"Destination": arn.as_str()}),
        None => json!({}),
    };
    for (name, value) in [
        ("StartingPosition", json!(position)),
        ("ParallelizationFactor", json!(spec.parallelization_factor)),
        ("BisectBatchOnFunctionError", json!(spec.bisect_on_error)),
        ("MaximumRetryAttempts", json!(spec.max_retry_attempts)),
        ("MaximumRecordAgeInSeconds", json!(spec.max_record_age_seconds)),
        ("TumblingWindowInSeconds", json!(spec.tumbling_window_seconds)),
        ("DestinationConfig", json!({"OnFailure": on_failure})),
    ] {
        shown.insert(name.to_owned(), value);
    }
    if let Some(at) = at {
        shown.insert("StartingPositionTimestamp".into(), seconds(at));
    }
}

/// What is shown only where it was set, and as it was set.
fn when_set(spec: &MappingSpec, shown: &mut Map<String, Value>) {
    let filters = &spec.filter_criteria.filters;
    if !filters.is_empty() {
        let filters: Vec<Value> = filters.iter().map(|p| json!({"Pattern": p})).collect();
        shown.insert("FilterCriteria".into(), json!({"Filters": filters}));
    }
    if let Some(n) = spec.maximum_concurrency {
        shown.insert("ScalingConfig".into(), json!({"MaximumConcurrency": n}));
    }
    if let Some(pollers) = spec.provisioned_pollers {
        shown.insert("ProvisionedPollerConfig".into(), self::pollers(pollers));
    }
    if spec.event_count_metrics {
        shown.insert("MetricsConfig".into(), json!({"Metrics": ["EventCount"]}));
    }
}

fn pollers(pollers: ProvisionedPollers) -> Value {
    let set = [
        ("MinimumPollers", pollers.minimum),
        ("MaximumPollers", pollers.maximum),
    ];
    let set = set
        .into_iter()
        .filter_map(|(name, n)| Some((name.to_owned(), n?.into())));
    Value::Object(set.collect())
}

/// AWS's word for the state. A mapping that was made paused has never run, so it is not on its way from running: one of
/// a queue is `Disabled` at once, one of a stream is first `Creating` (semantics, section 3).
pub(super) fn state(mapping: &Mapping, observed: MappingState) -> &'static str {
    let made_paused = mapping.generation == 1 && mapping.desired == Desired::Paused;
    match observed {
        MappingState::Creating | MappingState::Pausing if made_paused => {
            if mapping.spec.source.kind().is_queue() {
                MappingState::Paused.aws()
            } else {
                MappingState::Creating.aws()
            }
        }
        state => state.aws(),
    }
}

/// Seconds since 1970, with milliseconds.
#[allow(clippy::cast_precision_loss)] // exact for the next 285,000 years
pub(super) fn seconds(at: Wall) -> Value {
    json!(at.0 as f64 / 1_000.0)
}
