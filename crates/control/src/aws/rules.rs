//! From a request to the settings of a new mapping or the change of one: what has to be known of the kind of source, in
//! AWS's words (semantics 2.2 and 2.3). The rest of the rules are the engine's.

use super::error::AwsError;
use super::request::{Destinations, MappingRequest, Pollers};
use super::source::{Source, of_others, unsupported};
use super::{Result, namespace};
use millstream_engine::manage::{MappingPatch, NewMapping, Violation, starting_position};
use millstream_types::arn::SourceKind;
use millstream_types::{
    Applied, DestinationArn, FunctionRef, MappingSpec, OnUnmatched, ProvisionedPollers, StartingPosition,
    Tags, Wall,
};

/// What makes a new mapping.
#[derive(Debug)]
pub(super) struct Draft {
    /// The mapping, of a source that stands in for one that is not read.
    pub(super) new: NewMapping,
    source: Source,
}

impl Draft {
    /// The mapping, if its source is one that is read.
    pub(super) fn finish(self) -> Result<NewMapping> {
        let Self { mut new, source } = self;
        new.spec.source = source.served()?;
        Ok(new)
    }
}

/// Reads a new mapping.
pub(super) fn create(r: &MappingRequest) -> Result<Draft> {
    let source = Source::of(r)?;
    let function = function(r.function_name.as_deref().unwrap_or_default())?;
    let start = start(r, &source)?;
    let unnamed = || AwsError::invalid("Unrecognized event source.");
    let defaults = MappingSpec::new(source.stand_in().ok_or_else(unnamed)?, function, start);
    let patch = settings(r, source.kind())?;
    let tags = tags(r)?;
    let new = NewMapping {
        namespace: namespace(),
        name: None,
        spec: patch.apply(&defaults),
        request_id: None,
        paused: r.enabled == Some(false),
        applied: Applied::default(),
        tags,
    };
    Ok(Draft { new, source })
}

/// Reads the change of a mapping of this kind of source.
pub(super) fn update(r: &MappingRequest, kind: SourceKind) -> Result<MappingPatch> {
    of_others(&r.foreign)?;
    if r.logging.is_some() {
        return Err(unsupported("LoggingConfig"));
    }
    let mut patch = settings(r, kind)?;
    patch.function = r.function_name.as_deref().map(function).transpose()?;
    patch.paused = r.enabled.map(|enabled| !enabled);
    Ok(patch)
}

/// The function that is named.
fn function(text: &str) -> Result<FunctionRef> {
    FunctionRef::parse(text).ok_or_else(|| AwsError::invalid("Function does not exist"))
}

fn start(r: &MappingRequest, source: &Source) -> Result<Option<StartingPosition>> {
    let (position, timestamp) = (r.fixed.starting_position.as_deref(), r.fixed.starting_timestamp);
    if source.kind().is_queue() {
        return match (position, timestamp) {
            (None, None) => Ok(None),
            (Some(_), _) => Err(unsupported("StartingPosition")),
            (None, Some(_)) => Err(unsupported("StartingPositionTimestamp")),
        };
    }
    if (position, source.kind()) == (Some("AT_TIMESTAMP"), SourceKind::DynamoDb) {
        let arn = r.fixed.source_arn.as_deref().unwrap_or_default();
        return Err(AwsError::invalid(format!(
            "Unsupported starting position for arn type: {arn}"
        )));
    }
    let at = timestamp.map(wall).transpose()?;
    let of = |v: Violation| {
        AwsError::from(millstream_engine::manage::ManageError::Invalid(
            millstream_engine::manage::Violations(vec![v]),
        ))
    };
    starting_position(position, at).map(Some).map_err(of)
}

/// Seconds since 1970, to the millisecond.
fn wall(seconds: f64) -> Result<Wall> {
    const YEAR_10000: f64 = 253_402_300_800.0;
    if !(0.0..YEAR_10000).contains(&seconds) {
        let allowed = "seconds since 1970, before the year 10000";
        return Err(AwsError::not_valid("StartingPositionTimestamp", seconds, allowed));
    }
    // In range, as checked.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(Wall((seconds * 1_000.0).round() as u64))
}

fn tags(r: &MappingRequest) -> Result<Tags> {
    let tags = r.fixed.tags.clone().unwrap_or_default();
    Tags::new(tags).map_err(|e| AwsError::invalid(format!("Tags is not valid: {e}")))
}

/// The settings that create and update share. What is not given is none in the patch.
fn settings(r: &MappingRequest, kind: SourceKind) -> Result<MappingPatch> {
    let queue = kind.is_queue();
    refused(r, queue)?;
    // AWS knows nothing of the settings beside filters, which go with them.
    let no_filters = r.filters.as_ref().is_some_and(Vec::is_empty);
    Ok(MappingPatch {
        batch_size: r.batch_size.map(|n| Some(bounded(n))),
        batching_window_seconds: r.window.map(bounded),
        parallelization_factor: r.factor.map(bounded),
        bisect_on_error: r.bisect,
        max_retry_attempts: r.retries.map(bounded),
        max_record_age_seconds: r.age,
        report_batch_item_failures: r.response_types.as_ref().map(|types| !types.is_empty()),
        on_failure: match &r.destinations {
            Some(destinations) => on_failure(destinations)?,
            None => None,
        },
        maximum_concurrency: r.scaling.as_ref().map(|s| s.maximum_concurrency.map(bounded)),
        provisioned_pollers: r.pollers.as_ref().map(pollers),
        tumbling_window_seconds: r.tumbling_window.map(bounded),
        filters: r.filters.as_ref().map(|all| patterns(all)),
        extended_filters: no_filters.then_some(false),
        on_unmatched: no_filters.then_some(OnUnmatched::Drop),
        event_count_metrics: r.metrics.as_ref().map(|metrics| !metrics.is_empty()),
        ..MappingPatch::default()
    })
}

/// A filter without a pattern has none that means anything, and is refused as such.
fn patterns(all: &[Option<String>]) -> Vec<String> {
    all.iter().map(|p| p.clone().unwrap_or_default()).collect()
}

/// A number that the model's constraints have bounded.
fn bounded<T: TryFrom<i64> + Default>(n: i64) -> T {
    T::try_from(n).unwrap_or_default()
}

/// What can be said of no mapping, or not of one of this kind.
fn refused(r: &MappingRequest, queue: bool) -> Result<()> {
    if let Some(destinations) = &r.destinations {
        let set = destinations.on_failure.as_deref().is_some_and(|d| !d.is_empty());
        if queue && (destinations.on_success || set) {
            return Err(unsupported("DestinationConfig"));
        }
        if destinations.on_success {
            return Err(AwsError::invalid(
                "OnSuccess configuration is not supported for event source mappings.",
            ));
        }
    }
    if let Some(key) = r.kms_key_arn.as_deref().filter(|key| !key.is_empty()) {
        let allowed = "there is no key management service here: filters are kept as they are";
        return Err(AwsError::not_valid("KMSKeyArn", key, allowed));
    }
    if let Some(group) = r
        .pollers
        .as_ref()
        .and_then(|p| p.group.as_deref())
        .filter(|g| !g.is_empty())
    {
        let allowed = "groups of pollers are of Kafka sources only, which are not read here";
        return Err(AwsError::not_valid(
            "ProvisionedPollerConfig.PollerGroupName",
            group,
            allowed,
        ));
    }
    if let Some(group) = r.metrics.iter().flatten().find(|group| *group != "EventCount") {
        let allowed = "EventCount is the only group for this event source mapping type";
        return Err(AwsError::not_valid("MetricsConfig.Metrics", group, allowed));
    }
    if r.metrics.as_ref().is_some_and(|metrics| metrics.len() > 1) {
        let allowed = "EventCount once";
        return Err(AwsError::not_valid(
            "MetricsConfig.Metrics",
            "EventCount, EventCount",
            allowed,
        ));
    }
    Ok(())
}

/// The failure destination; an empty one clears it, one that is not given keeps it.
fn on_failure(destinations: &Destinations) -> Result<Option<Option<DestinationArn>>> {
    let Some(text) = destinations.on_failure.as_deref() else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(Some(None));
    }
    text.parse().map(|arn| Some(Some(arn))).map_err(|_| {
        let allowed = "the ARN of a standard queue, a standard topic or a bucket, or of a stream of the built-in broker";
        AwsError::not_valid("DestinationConfig.OnFailure.Destination", text, allowed)
    })
}

fn pollers(config: &Pollers) -> Option<ProvisionedPollers> {
    let pollers = ProvisionedPollers {
        minimum: config.minimum.map(bounded),
        maximum: config.maximum.map(bounded),
    };
    Some(pollers).filter(|p| *p != ProvisionedPollers::default())
}
