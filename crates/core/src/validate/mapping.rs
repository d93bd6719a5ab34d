//! Settings of mappings of streams (semantics, sections 2 and 2.3).

use super::{Violation, Violations};
use crate::civil::iso_millis;
use millstream_types::arn::LOCAL_ACCOUNT;
use millstream_types::{MappingSpec, StartingPosition, Wall};

const AGE: &str = "maximum_record_age_seconds";
const POSITION: &str = "starting_position";
const TIMESTAMP: &str = "starting_position_timestamp";
const DESTINATION: &str = "destination_config.on_failure.destination";
/// Longest ARN of a destination, in characters.
const MAX_DESTINATION: usize = 350;

/// Checks the settings of a new mapping.
///
/// # Errors
/// All rules they break.
pub fn mapping(spec: &MappingSpec, now: Wall) -> Result<(), Violations> {
    let mut found = settings(spec);
    if let StartingPosition::AtTimestamp(at) = spec.starting_position
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
    } else if let (StartingPosition::AtTimestamp(was), StartingPosition::AtTimestamp(is)) = (was, is)
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
    const NAMES: &str = "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
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
        (None, _) => {
            let message = "1 validation error detected: Value null at 'startingPosition' failed to satisfy \
                           constraint: Member must not be null.";
            return Err(Violation::aws(POSITION, "", format!("one of {NAMES}"), message));
        }
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
            "parallelization_factor",
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
    ];
    let mut found = Violations::default();
    found.extend(ranges.iter().filter_map(|(field, member, value, allowed)| {
        Violation::outside_model(field, member, *value, allowed)
    }));
    found.extend(age_between(spec.max_record_age_seconds));
    found.extend(destination(spec));
    found
}

/// The gap in the range of the record age.
fn age_between(seconds: i64) -> Option<Violation> {
    let message =
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)";
    (0..60)
        .contains(&seconds)
        .then(|| Violation::aws(AGE, seconds, "-1, or 60 to 604800", message))
}

/// A destination must be one that this build can deliver to; found at creation, not when a record is given up.
fn destination(spec: &MappingSpec) -> Option<Violation> {
    let arn = spec.on_failure.as_ref()?;
    let refuse = |why: String| Some(Violation::own(DESTINATION, arn, why));
    if arn.as_str().chars().count() > MAX_DESTINATION {
        return refuse(format!("at most {MAX_DESTINATION} characters"));
    }
    if arn.account() != LOCAL_ACCOUNT {
        return refuse(format!(
            "a stream of the built-in broker (account {LOCAL_ACCOUNT})"
        ));
    }
    if *arn == spec.source {
        return refuse(
            "another stream than the mapping's source, which would read its own failures".to_owned(),
        );
    }
    None
}

fn position_name(position: StartingPosition) -> &'static str {
    match position {
        StartingPosition::TrimHorizon => "TRIM_HORIZON",
        StartingPosition::Latest => "LATEST",
        StartingPosition::AtTimestamp(_) => "AT_TIMESTAMP",
    }
}
