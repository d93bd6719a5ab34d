//! The constraints of AWS's model for the members of create, update and list (semantics, section 2).

use super::Result;
use super::arn::{ARN, FUNCTION, NamedFunction, is_arn};
use super::constraint::Constraints;
use super::request::MappingRequest;

const DESTINATION: &str = r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
const KMS_KEY: &str = r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()";
/// In the order in which AWS names them.
const POSITIONS: [&str; 3] = ["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"];
const METRICS: [&str; 3] = ["EventCount", "ErrorCount", "KafkaMetrics"];
/// Bounds of numbers in a page of a listing.
const MAX_ITEMS: std::ops::RangeInclusive<i64> = 1..=10_000;

/// Those of a new mapping.
pub(super) fn create(r: &MappingRequest) -> Result<()> {
    let mut c = Constraints::default();
    c.required("functionName", r.function_name.as_ref());
    source_arn(&mut c, r.fixed.source_arn.as_deref());
    c.one_of(
        "startingPosition",
        r.fixed.starting_position.as_deref(),
        &POSITIONS,
    );
    both(&mut c, r);
    if let Some(topics) = &r.foreign.topics {
        c.size(
            "topics",
            format_args!("[{}]", topics.join(", ")),
            topics.len(),
            &(1..=1),
        );
    }
    c.check()
}

/// Those of a change.
pub(super) fn update(r: &MappingRequest) -> Result<()> {
    let mut c = Constraints::default();
    both(&mut c, r);
    c.check()
}

/// Those of a listing; how many items are asked for.
pub(super) fn list(
    source: Option<&str>,
    function: Option<&str>,
    max_items: Option<&str>,
) -> Result<Option<i64>> {
    let mut c = Constraints::default();
    source_arn(&mut c, source);
    function_name(&mut c, function);
    let items = page(&mut c, max_items)?;
    c.check()?;
    Ok(items)
}

/// That of a page's size.
pub(super) fn page(c: &mut Constraints, max_items: Option<&str>) -> Result<Option<i64>> {
    let Some(text) = max_items else { return Ok(None) };
    let items = text.parse::<i64>().map_err(|_| {
        let text: String = text.chars().take(64).collect();
        let message = format!("MaxItems: an integer is wanted, not '{text}'");
        super::AwsError::new(super::error::Exception::Serialization, message)
    })?;
    c.range("maxItems", Some(items), &MAX_ITEMS);
    Ok(Some(items))
}

fn source_arn(c: &mut Constraints, arn: Option<&str>) {
    c.length("eventSourceArn", arn, &(0..=10_000));
    c.pattern("eventSourceArn", arn, ARN, is_arn);
}

/// That of what names a function.
pub(super) fn function_name(c: &mut Constraints, name: Option<&str>) {
    c.length("functionName", name, &(1..=256));
    c.pattern("functionName", name.filter(|n| !n.is_empty()), FUNCTION, |n| {
        NamedFunction::parse(n).is_some()
    });
}

fn both(c: &mut Constraints, r: &MappingRequest) {
    function_name(c, r.function_name.as_deref());
    for (at, value, allowed) in [
        ("batchSize", r.batch_size, 1..=10_000),
        ("maximumBatchingWindowInSeconds", r.window, 0..=300),
        ("parallelizationFactor", r.factor, 1..=10),
        ("maximumRetryAttempts", r.retries, -1..=10_000),
        ("maximumRecordAgeInSeconds", r.age, -1..=604_800),
        ("tumblingWindowInSeconds", r.tumbling_window, 0..=900),
        (
            "scalingConfig.maximumConcurrency",
            r.scaling.as_ref().and_then(|s| s.maximum_concurrency),
            2..=1_000,
        ),
        (
            "provisionedPollerConfig.minimumPollers",
            r.pollers.as_ref().and_then(|p| p.minimum),
            1..=200,
        ),
        (
            "provisionedPollerConfig.maximumPollers",
            r.pollers.as_ref().and_then(|p| p.maximum),
            1..=10_000,
        ),
    ] {
        c.range(at, value, &allowed);
    }
    c.some_of(
        "functionResponseTypes",
        r.response_types.as_deref(),
        &["ReportBatchItemFailures"],
        1,
    );
    c.some_of("metricsConfig.metrics", r.metrics.as_deref(), &METRICS, 3);
    let level = r.logging.as_ref().and_then(|l| l.level.as_deref());
    c.one_of("loggingConfig.systemLogLevel", level, &["DEBUG", "INFO", "WARN"]);
    let group = r.pollers.as_ref().and_then(|p| p.group.as_deref());
    c.length("provisionedPollerConfig.pollerGroupName", group, &(0..=128));
    let destination = r.destinations.as_ref().and_then(|d| d.on_failure.as_deref());
    let at = "destinationConfig.onFailure.destination";
    c.length(at, destination, &(0..=350));
    c.pattern(at, destination, DESTINATION, is_destination);
    c.length("kMSKeyArn", r.kms_key_arn.as_deref(), &(0..=10_000));
    c.pattern("kMSKeyArn", r.kms_key_arn.as_deref(), KMS_KEY, is_key);
    for (i, pattern) in r.filters.iter().flatten().enumerate() {
        let at = format!("filterCriteria.filters.{}.member.pattern", i + 1);
        c.length(&at, pattern.as_deref(), &(0..=4_096));
    }
}

fn is_destination(text: &str) -> bool {
    let is_topic = |topic: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let mut chars = topic.chars();
        chars.next().is_some_and(|first| first != '.') && topic.len() <= 249 && chars.all(allowed)
    };
    text.is_empty() || is_arn(text) || text.strip_prefix("kafka://").is_some_and(is_topic)
}

fn is_key(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(4, ':').collect();
    text.is_empty()
        || matches!(parts[..], ["arn", partition, service, _]
            if (partition.is_empty() || partition.starts_with("aws")) && !service.is_empty())
}
