//! The bodies of create and update, read: every member of AWS's model is known here, and no other.

use super::Result;
use super::members::Members;
use std::collections::BTreeMap;

/// What create and update can say. None is not given, or null.
#[derive(Debug, Default)]
pub(super) struct MappingRequest {
    pub(super) function_name: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) batch_size: Option<i64>,
    pub(super) window: Option<i64>,
    pub(super) factor: Option<i64>,
    pub(super) bisect: Option<bool>,
    pub(super) retries: Option<i64>,
    pub(super) age: Option<i64>,
    pub(super) tumbling_window: Option<i64>,
    pub(super) response_types: Option<Vec<String>>,
    pub(super) destinations: Option<Destinations>,
    /// The patterns; empty for a criteria without filters.
    pub(super) filters: Option<Vec<Option<String>>>,
    pub(super) kms_key_arn: Option<String>,
    pub(super) scaling: Option<Scaling>,
    pub(super) pollers: Option<Pollers>,
    /// The groups; empty for a config without metrics.
    pub(super) metrics: Option<Vec<String>>,
    pub(super) logging: Option<Logging>,
    pub(super) foreign: Foreign,
    pub(super) fixed: Fixed,
}

/// What only create can say.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    pub(super) source_arn: Option<String>,
    pub(super) starting_position: Option<String>,
    /// In seconds since 1970.
    pub(super) starting_timestamp: Option<f64>,
    pub(super) tags: Option<BTreeMap<String, String>>,
}

/// `DestinationConfig`.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// Whether it has the member `OnSuccess`.
    pub(super) on_success: bool,
    /// `OnFailure.Destination`.
    pub(super) on_failure: Option<String>,
}

/// `ScalingConfig`.
#[derive(Debug, Default)]
pub(super) struct Scaling {
    pub(super) maximum_concurrency: Option<i64>,
}

/// `ProvisionedPollerConfig`.
#[derive(Debug, Default)]
pub(super) struct Pollers {
    pub(super) minimum: Option<i64>,
    pub(super) maximum: Option<i64>,
    pub(super) group: Option<String>,
}

/// `LoggingConfig`.
#[derive(Debug, Default)]
pub(super) struct Logging {
    pub(super) level: Option<String>,
}

/// What is of sources that are not built: Kafka, MQ and DocumentDB.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    pub(super) topics: Option<Vec<String>>,
    pub(super) self_managed: bool,
    pub(super) source_access: bool,
    /// Other members that are given, by name.
    pub(super) others: Vec<&'static str>,
}

impl MappingRequest {
    /// The body of create.
    pub(super) fn create(body: &[u8]) -> Result<Self> {
        let mut m = Members::of_body(body)?;
        let mut request = Self::both(&mut m)?;
        request.fixed = Fixed {
            source_arn: m.text("EventSourceArn")?,
            starting_position: m.text("StartingPosition")?,
            starting_timestamp: m.number("StartingPositionTimestamp")?,
            tags: m.text_map("Tags")?,
        };
        request.foreign.topics = m.texts("Topics")?;
        request.foreign.self_managed = m.any("SelfManagedEventSource")?.is_some();
        if m.any("Queues")?.is_some() {
            request.foreign.others.push("Queues");
        }
        m.finish()?;
        Ok(request)
    }

    /// The body of update.
    pub(super) fn update(body: &[u8]) -> Result<Self> {
        let mut m = Members::of_body(body)?;
        let request = Self::both(&mut m)?;
        m.finish()?;
        Ok(request)
    }

    fn both(m: &mut Members) -> Result<Self> {
        Ok(Self {
            function_name: m.text("FunctionName")?,
            enabled: m.flag("Enabled")?,
            batch_size: m.integer("BatchSize")?,
            window: m.integer("MaximumBatchingWindowInSeconds")?,
            factor: m.integer("ParallelizationFactor")?,
            bisect: m.flag("BisectBatchOnFunctionError")?,
            retries: m.integer("MaximumRetryAttempts")?,
            age: m.integer("MaximumRecordAgeInSeconds")?,
            tumbling_window: m.integer("TumblingWindowInSeconds")?,
            response_types: m.texts("FunctionResponseTypes")?,
            destinations: destinations(m)?,
            filters: filters(m)?,
            kms_key_arn: m.text("KMSKeyArn")?,
            scaling: scaling(m)?,
            pollers: pollers(m)?,
            metrics: metrics(m)?,
            logging: logging(m)?,
            foreign: foreign(m)?,
            fixed: Fixed::default(),
        })
    }
}

fn destinations(m: &mut Members) -> Result<Option<Destinations>> {
    let Some(mut config) = m.object("DestinationConfig")? else {
        return Ok(None);
    };
    let mut read = Destinations {
        on_success: config.any("OnSuccess")?.is_some(),
        on_failure: None,
    };
    if let Some(mut on_failure) = config.object("OnFailure")? {
        read.on_failure = on_failure.text("Destination")?;
        on_failure.finish()?;
    }
    config.finish()?;
    Ok(Some(read))
}

fn filters(m: &mut Members) -> Result<Option<Vec<Option<String>>>> {
    let Some(mut criteria) = m.object("FilterCriteria")? else {
        return Ok(None);
    };
    let filters = criteria.objects("Filters")?.unwrap_or_default();
    criteria.finish()?;
    let pattern = |mut filter: Members| {
        let pattern = filter.text("Pattern")?;
        filter.finish()?;
        Ok(pattern)
    };
    filters.into_iter().map(pattern).collect::<Result<_>>().map(Some)
}

fn scaling(m: &mut Members) -> Result<Option<Scaling>> {
    let Some(mut config) = m.object("ScalingConfig")? else {
        return Ok(None);
    };
    let maximum_concurrency = config.integer("MaximumConcurrency")?;
    config.finish()?;
    Ok(Some(Scaling { maximum_concurrency }))
}

fn pollers(m: &mut Members) -> Result<Option<Pollers>> {
    let Some(mut config) = m.object("ProvisionedPollerConfig")? else {
        return Ok(None);
    };
    let read = Pollers {
        minimum: config.integer("MinimumPollers")?,
        maximum: config.integer("MaximumPollers")?,
        group: config.text("PollerGroupName")?,
    };
    config.finish()?;
    Ok(Some(read))
}

fn metrics(m: &mut Members) -> Result<Option<Vec<String>>> {
    let Some(mut config) = m.object("MetricsConfig")? else {
        return Ok(None);
    };
    let metrics = config.texts("Metrics")?.unwrap_or_default();
    config.finish()?;
    Ok(Some(metrics))
}

fn logging(m: &mut Members) -> Result<Option<Logging>> {
    let Some(mut config) = m.object("LoggingConfig")? else {
        return Ok(None);
    };
    let level = config.text("SystemLogLevel")?;
    config.finish()?;
    Ok(Some(Logging { level }))
}

fn foreign(m: &mut Members) -> Result<Foreign> {
    let mut read = Foreign {
        source_access: m.any("SourceAccessConfigurations")?.is_some(),
        ..Foreign::default()
    };
    for name in [
        "AmazonManagedKafkaEventSourceConfig",
        "SelfManagedKafkaEventSourceConfig",
        "DocumentDBEventSourceConfig",
    ] {
        if m.any(name)?.is_some() {
            read.others.push(name);
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_create_can_say_is_unknown_to_update() {
        for (member, value) in [
            ("EventSourceArn", "\"a\""),
            ("StartingPosition", "\"LATEST\""),
            ("StartingPositionTimestamp", "1"),
            ("Tags", "{}"),
            ("Topics", "[\"t\"]"),
            ("Queues", "[\"q\"]"),
            ("SelfManagedEventSource", "{}"),
        ] {
            let body = format!("{{\"{member}\":{value}}}");
            assert!(MappingRequest::create(body.as_bytes()).is_ok(), "{member}");
            let refused = MappingRequest::update(body.as_bytes()).unwrap_err();
            assert!(
                refused.message.starts_with(&format!("Unknown member {member}:")),
                "{}",
                refused.message
            );
        }
    }

    #[test]
    fn empty_is_not_the_same_as_not_given() {
        let body =
            br#"{"FilterCriteria":{},"ScalingConfig":{},"ProvisionedPollerConfig":{},"MetricsConfig":{},
            "DestinationConfig":{"OnFailure":{"Destination":""}},"BatchSize":null}"#;
        let read = MappingRequest::update(body).unwrap();
        assert_eq!(
            (read.filters, read.metrics, read.batch_size),
            (Some(vec![]), Some(vec![]), None)
        );
        assert!(read.scaling.is_some_and(|s| s.maximum_concurrency.is_none()));
        assert!(
            read.pollers
                .is_some_and(|p| p.minimum.is_none() && p.maximum.is_none())
        );
        assert_eq!(read.destinations.and_then(|d| d.on_failure).as_deref(), Some(""));
        let read = MappingRequest::update(b"{}").unwrap();
        assert!(read.filters.is_none() && read.scaling.is_none() && read.destinations.is_none());
    }

    #[test]
    fn members_inside_are_known_too() {
        for body in [
            r#"{"DestinationConfig":{"OnFailure":{"Destnation":"x"}}}"#,
            r#"{"DestinationConfig":{"OnFail":{}}}"#,
            r#"{"FilterCriteria":{"Filters":[{"Patern":"x"}]}}"#,
            r#"{"ScalingConfig":{"MinimumConcurrency":2}}"#,
            r#"{"ProvisionedPollerConfig":{"Pollers":2}}"#,
            r#"{"MetricsConfig":{"Metric":[]}}"#,
            r#"{"LoggingConfig":{"Level":"INFO"}}"#,
        ] {
            let refused = MappingRequest::create(body.as_bytes()).unwrap_err();
            assert!(
                refused.message.starts_with("Unknown member "),
                "{body}: {}",
                refused.message
            );
        }
    }
}
