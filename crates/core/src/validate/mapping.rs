//! Settings of mappings (semantics, sections 2 and 2.3).

use super::{Violation, Violations, pollers};
use crate::civil::iso_millis;
use millstream_types::arn::LOCAL_ACCOUNT;
use millstream_types::arn::SourceKind;
use millstream_types::{DestinationKind, MappingSpec, StartingPosition, Wall};
use std::time::Duration;

const AGE: &str = "maximum_record_age_seconds";
const POSITION: &str = "starting_position";
const TIMESTAMP: &str = "starting_position_timestamp";
const NAMES: &str = "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
const CONCURRENCY: &str = "scaling_config.maximum_concurrency";
const FACTOR: &str = "parallelization_factor";
const TUMBLING: &str = "tumbling_window_in_seconds";
const DESTINATION: &str = "destination_config.on_failure.destination";
/// What takes failure documents.
const DESTINATIONS: &str =
    "a standard queue, a standard topic or a bucket, or a stream of the built-in broker";
/// Longest ARN of a destination, in characters.
const MAX_DESTINATION: usize = 350;

/// Checks the settings of a new mapping.
///
/// # Errors
/// All rules they break.
pub fn mapping(spec: &MappingSpec, now: Wall) -> Result<(), Violations> {
    let mut found = settings(spec);
    if spec.starting_position.is_none() && !spec.source.kind().is_queue() {
        found.add(position_missing());
    }
    if let Some(StartingPosition::AtTimestamp(at)) = spec.starting_position
        && at > now
    {
        found.add(Violation::own(
            TIMESTAMP,
            iso_millis(at),
            format!("not after now, {}", iso_millis(now)),
        ));
    }
    found.into_result()
}

/// Checks a change of a mapping: its new settings, and that source and starting position stay (semantics 2.2).
///
/// # Errors
/// All rules they break.
pub fn update(old: &MappingSpec, new: &MappingSpec) -> Result<(), Violations> {
    let mut found = settings(new);
    let fixed = |was: &dyn std::fmt::Display| format!("fixed at creation, to {was}");
    if new.source != old.source {
        found.add(Violation::own("source_arn", &new.source, fixed(&old.source)));
    }
    let (was, is) = (old.starting_position, new.starting_position);
    if position_name(was) != position_name(is) {
        found.add(Violation::own(
            POSITION,
            position_name(is),
            fixed(&position_name(was)),
        ));
    } else if let (Some(StartingPosition::AtTimestamp(was)), Some(StartingPosition::AtTimestamp(is))) =
        (was, is)
        && was != is
    {
        found.add(Violation::own(TIMESTAMP, iso_millis(is), fixed(&iso_millis(was))));
    }
    found.into_result()
}

/// Puts a starting position together from the API's two fields, in AWS's words.
///
/// # Errors
/// If the position is missing (streams need one) or unknown, or does not go with the timestamp.
pub fn starting_position(
    position: Option<&str>,
    timestamp: Option<Wall>,
) -> Result<StartingPosition, Violation> {
    let position = match (position, timestamp) {
        (Some("AT_TIMESTAMP"), Some(at)) => return Ok(StartingPosition::AtTimestamp(at)),
        (Some("AT_TIMESTAMP"), None) => {
            return Err(Violation::own(
                TIMESTAMP,
                "",
                "needed with starting position AT_TIMESTAMP",
            ));
        }
        (Some("TRIM_HORIZON"), _) => StartingPosition::TrimHorizon,
        (Some("LATEST"), _) => StartingPosition::Latest,
        (Some(other), _) => {
            let message = format!(
                "1 validation error detected: Value '{other}' at 'startingPosition' failed to satisfy constraint: \
                 Member must satisfy enum value set: {NAMES}"
            );
            return Err(Violation::aws(
                POSITION,
                other,
                format!("one of {NAMES}"),
                message,
            ));
        }
        (None, _) => return Err(position_missing()),
    };
    match timestamp {
        None => Ok(position),
        Some(at) => {
            let message = "Timestamp only valid with StartingPosition AT_TIMESTAMP";
            Err(Violation::aws(
                TIMESTAMP,
                iso_millis(at),
                "only with starting position AT_TIMESTAMP",
                message,
            ))
        }
    }
}

/// What can be changed later, and so is checked at creation and at every change.
fn settings(spec: &MappingSpec) -> Violations {
    let ranges = [
        ("batch_size", "batchSize", i64::from(spec.batch_size), 1..=10_000),
        (
            "maximum_batching_window_seconds",
            "maximumBatchingWindowInSeconds",
            i64::from(spec.batching_window_seconds),
            0..=300,
        ),
        (
            FACTOR,
            "parallelizationFactor",
            i64::from(spec.parallelization_factor),
            1..=10,
        ),
        (
            "maximum_retry_attempts",
            "maximumRetryAttempts",
            i64::from(spec.max_retry_attempts),
            -1..=10_000,
        ),
        (
            AGE,
            "maximumRecordAgeInSeconds",
            spec.max_record_age_seconds,
            -1..=604_800,
        ),
        (
            TUMBLING,
            "tumblingWindowInSeconds",
            i64::from(spec.tumbling_window_seconds),
            0..=900,
        ),
    ];
    let mut found = Violations::default();
    found.extend(ranges.iter().filter_map(|(field, member, value, allowed)| {
        Violation::outside_model(field, member, *value, allowed)
    }));
    found.extend(age_between(spec.max_record_age_seconds));
    found.extend(super::filter::filters(spec));
    match spec.source.kind() {
        kind @ (SourceKind::Kinesis | SourceKind::DynamoDb) => {
            let at_time = matches!(spec.starting_position, Some(StartingPosition::AtTimestamp(_)));
            if kind == SourceKind::DynamoDb && at_time {
                let message = format!("Unsupported starting position for arn type: {}", spec.source);
                let allowed = "TRIM_HORIZON or LATEST";
                found.add(Violation::aws(POSITION, "AT_TIMESTAMP", allowed, message));
            }
            found.extend(destination(spec));
            found.extend(one_lane_for_windows(spec));
            found.extend(of_queues_only(spec).into_iter().flatten());
        }
        SourceKind::Sqs { fifo } => {
            found.extend(of_streams_only(spec));
            found.extend(queue_batching(spec, fifo));
            found.extend(spec.maximum_concurrency.and_then(|n| {
                let member = "scalingConfig.maximumConcurrency";
                Violation::outside_model(CONCURRENCY, member, i64::from(n), &(2..=1_000))
            }));
            found.extend(pollers::check(spec));
        }
    }
    found
}

/// AWS's words for a parameter that does not go with the kind of source.
fn unsupported(field: &'static str, member: &str, at_default: bool) -> Option<Violation> {
    let message = format!("Unsupported {member} parameter for given event source mapping type.");
    (!at_default).then(|| Violation::aws(field, "set", "not with this kind of source", message))
}

/// What a mapping of a stream cannot have.
fn of_queues_only(spec: &MappingSpec) -> [Option<Violation>; 2] {
    let (concurrency, pollers) = (spec.maximum_concurrency, spec.provisioned_pollers);
    [
        unsupported(CONCURRENCY, "ScalingConfig", concurrency.is_none()),
        unsupported(pollers::CONFIG, "ProvisionedPollerConfig", pollers.is_none()),
    ]
}

/// What a mapping of a queue cannot have. Values equal to the default say nothing and pass.
fn of_streams_only(spec: &MappingSpec) -> Vec<Violation> {
    let checks = [
        (POSITION, "StartingPosition", spec.starting_position.is_none()),
        (FACTOR, "ParallelizationFactor", spec.parallelization_factor == 1),
        (
            "bisect_batch_on_function_error",
            "BisectBatchOnFunctionError",
            !spec.bisect_on_error,
        ),
        (
            "maximum_retry_attempts",
            "MaximumRetryAttempts",
            spec.max_retry_attempts == -1,
        ),
        (
            AGE,
            "MaximumRecordAgeInSeconds",
            spec.max_record_age_seconds == -1,
        ),
        (DESTINATION, "DestinationConfig", spec.on_failure.is_none()),
        (
            TUMBLING,
            "TumblingWindowInSeconds",
            spec.tumbling_window_seconds == 0,
        ),
    ];
    checks
        .into_iter()
        .filter_map(|(field, member, at_default)| unsupported(field, member, at_default))
        .collect()
}

/// The state of a window is that of a shard, not of a lane (semantics 2.3 and 11).
fn one_lane_for_windows(spec: &MappingSpec) -> Option<Violation> {
    let message = "Parallelization factor must be equal to 1 when tumbling window period is configured";
    let several = spec.tumbling_window_seconds > 0 && spec.parallelization_factor > 1;
    several.then(|| {
        Violation::aws(
            FACTOR,
            spec.parallelization_factor,
            "1 with a tumbling window",
            message,
        )
    })
}

/// Batch size and window of a queue (semantics 2.3).
fn queue_batching(spec: &MappingSpec, fifo: bool) -> Option<Violation> {
    const WINDOW: &str = "maximum_batching_window_seconds";
    let window = spec.batching_window_seconds;
    if fifo && window > 0 {
        let message = "Batching window is not supported for FIFO queues";
        return Some(Violation::aws(WINDOW, window, "0 for a FIFO queue", message));
    }
    if fifo && spec.batch_size > 10 {
        return Some(Violation::own(
            "batch_size",
            spec.batch_size,
            "1 to 10 for a FIFO queue",
        ));
    }
    let message =
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    (!fifo && spec.batch_size > 10 && window == 0).then(|| {
        Violation::aws(
            WINDOW,
            window,
            "at least 1 with batches of more than 10 messages",
            message,
        )
    })
}

/// A queue whose messages would come back while the function still works on them (semantics 2.3). Checked at
/// creation, and at a change that names a function.
///
/// # Errors
/// If the visibility timeout is shorter.
pub fn visibility(visibility: Duration, function_timeout: Duration) -> Result<(), Violations> {
    let mut found = Violations::default();
    if visibility < function_timeout {
        let seconds = function_timeout.as_millis().div_ceil(1_000);
        let message = format!(
            "Queue visibility timeout: {} seconds is less than Function timeout: {seconds} seconds",
            visibility.as_secs()
        );
        let allowed = format!("a queue with a visibility timeout of at least {seconds} seconds");
        found.add(Violation::aws(
            "source_arn",
            visibility.as_secs(),
            allowed,
            message,
        ));
    }
    found.into_result()
}

/// The gap in the range of the record age.
fn age_between(seconds: i64) -> Option<Violation> {
    let message =
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)";
    (0..60)
        .contains(&seconds)
        .then(|| Violation::aws(AGE, seconds, "-1, or 60 to 604800", message))
}

/// A destination must be of a kind that takes documents; whether it is there and served is asked at creation, so that it is
/// not found out when a record is given up.
fn destination(spec: &MappingSpec) -> Option<Violation> {
    let arn = spec.on_failure.as_ref()?;
    let refuse = |why: String| Some(Violation::own(DESTINATION, arn, why));
    if arn.as_str().chars().count() > MAX_DESTINATION {
        return refuse(format!("at most {MAX_DESTINATION} characters"));
    }
    match arn.kind() {
        DestinationKind::TableStream => {
            return refuse(format!("{DESTINATIONS}, not the stream of a table"));
        }
        DestinationKind::Queue { fifo: true } => {
            return refuse(format!("{DESTINATIONS}, not a FIFO queue"));
        }
        DestinationKind::Topic { fifo: true } => {
            return refuse(format!("{DESTINATIONS}, not a FIFO topic"));
        }
        DestinationKind::Stream if arn.account() != LOCAL_ACCOUNT => {
            return refuse(format!("{DESTINATIONS}, not a stream elsewhere"));
        }
        DestinationKind::Stream
        | DestinationKind::Queue { fifo: false }
        | DestinationKind::Topic { fifo: false }
        | DestinationKind::Bucket => {}
    }
    if arn.as_str() == spec.source.as_str() {
        return refuse(
            "another stream than the mapping's source, which would read its own failures".to_owned(),
        );
    }
    None
}

fn position_missing() -> Violation {
    let message = "1 validation error detected: Value null at 'startingPosition' failed to satisfy \
                   constraint: Member must not be null.";
    Violation::aws(POSITION, "", format!("one of {NAMES}"), message)
}

fn position_name(position: Option<StartingPosition>) -> &'static str {
    match position {
        Some(StartingPosition::TrimHorizon) => "TRIM_HORIZON",
        Some(StartingPosition::Latest) => "LATEST",
        Some(StartingPosition::AtTimestamp(_)) => "AT_TIMESTAMP",
        None => "none",
    }
}
