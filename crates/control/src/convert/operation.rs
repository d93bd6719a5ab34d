//! Settings of a mapping that say how it is operated: pollers, metrics, logs, keys.

use super::mapping::PREFIX;
use super::mask::Mask;
use super::small;
use crate::refusal::{Refusal, Refusals};
use millstream_api::v1;
use millstream_engine::manage::MappingPatch;
use millstream_types::ProvisionedPollers;

const POLLERS: &str = "provisioned_poller_config";

/// Takes what is meant into `patch`. An unset one that is meant goes back to its default.
pub(super) fn patch(m: &v1::Mapping, mask: &Mask, patch: &mut MappingPatch, refusals: &mut Refusals) {
    if mask.means(POLLERS, m.provisioned_poller_config.is_some()) {
        patch.provisioned_pollers = refusals.take(pollers(m));
    }
    if mask.means("metrics_config", m.metrics_config.is_some()) {
        patch.event_count_metrics = refusals.take(metrics(m));
    }
    if let Some(logging) = &m.logging_config {
        refusals.add(Refusal::new(
            format!("{PREFIX}logging_config"),
            &logging.system_log_level,
            "not set: it is of Kafka sources only, which are not built",
        ));
    }
    if !m.kms_key_arn.is_empty() {
        refusals.add(Refusal::new(
            format!("{PREFIX}kms_key_arn"),
            &m.kms_key_arn,
            "empty: there is no key management service here",
        ));
    }
}

fn pollers(m: &v1::Mapping) -> Result<Option<ProvisionedPollers>, Refusal> {
    let Some(config) = &m.provisioned_poller_config else {
        return Ok(None);
    };
    if !config.poller_group_name.is_empty() {
        return Err(Refusal::new(
            format!("{PREFIX}{POLLERS}.poller_group_name"),
            &config.poller_group_name,
            "empty: it is of Kafka sources only, which are not built",
        ));
    }
    let read = |part: &str, value: Option<i32>, allowed: &str| {
        let refused = |n| Refusal::new(format!("{PREFIX}{POLLERS}.{part}"), n, allowed);
        value
            .map(|n| u32::try_from(n).map_err(|_| refused(n)))
            .transpose()
    };
    let pollers = ProvisionedPollers {
        minimum: read("minimum_pollers", config.minimum_pollers, "2 to 200")?,
        maximum: read("maximum_pollers", config.maximum_pollers, "2 to 2000")?,
    };
    // Nothing asked for is as good as not set.
    Ok(Some(pollers).filter(|p| *p != ProvisionedPollers::default()))
}

/// The pollers of an answer, as they were set.
pub(super) fn pollers_to_api(pollers: ProvisionedPollers) -> v1::ProvisionedPollerConfig {
    v1::ProvisionedPollerConfig {
        minimum_pollers: pollers.minimum.map(small),
        maximum_pollers: pollers.maximum.map(small),
        poller_group_name: String::new(),
    }
}

fn metrics(m: &v1::Mapping) -> Result<bool, Refusal> {
    let groups = m.metrics_config.as_ref().map_or(&[][..], |c| &c.metrics);
    let known = i32::from(v1::MetricsGroup::EventCount);
    match groups {
        [] => Ok(false),
        [one] if *one == known => Ok(true),
        other => Err(Refusal::new(
            format!("{PREFIX}metrics_config.metrics"),
            format!("{other:?}"),
            "none, or METRICS_GROUP_EVENT_COUNT once",
        )),
    }
}

/// The metrics of an answer, as they were set.
pub(super) fn metrics_to_api(event_count: bool) -> Option<v1::MetricsConfig> {
    event_count.then(|| v1::MetricsConfig {
        metrics: vec![v1::MetricsGroup::EventCount.into()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(m: &v1::Mapping, mask: &Mask) -> (MappingPatch, Vec<String>) {
        let (mut patch, mut refusals) = (MappingPatch::default(), Refusals::default());
        super::patch(m, mask, &mut patch, &mut refusals);
        (patch, refusals.fields().into_iter().map(Into::into).collect())
    }

    fn config(minimum: Option<i32>, maximum: Option<i32>) -> v1::Mapping {
        v1::Mapping {
            provisioned_poller_config: Some(v1::ProvisionedPollerConfig {
                minimum_pollers: minimum,
                maximum_pollers: maximum,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn pollers_are_kept_as_they_were_set_and_cleared() {
        for (minimum, maximum) in [(Some(3), None), (None, Some(40)), (Some(3), Some(40))] {
            let m = config(minimum, maximum);
            let (patch, refused) = read(&m, &Mask::Implied);
            let shown = patch.provisioned_pollers.flatten().map(pollers_to_api);
            assert_eq!((shown, refused), (m.provisioned_poller_config, vec![]));
        }
        assert_eq!(
            read(&config(None, None), &Mask::Implied).0.provisioned_pollers,
            Some(None)
        );
        let unset = v1::Mapping::default();
        assert_eq!(read(&unset, &Mask::Implied).0.provisioned_pollers, None);
        assert_eq!(read(&unset, &Mask::All).0.provisioned_pollers, Some(None));
        let named = Mask::Named(vec![POLLERS.to_owned()]);
        assert_eq!(read(&unset, &named).0.provisioned_pollers, Some(None));
    }

    #[test]
    fn what_is_not_built_is_refused_by_its_field() {
        let mut grouped = config(Some(2), None);
        if let Some(pollers) = &mut grouped.provisioned_poller_config {
            pollers.poller_group_name = "g".into();
        }
        let logging = v1::Mapping {
            logging_config: Some(v1::LoggingConfig {
                system_log_level: "INFO".into(),
            }),
            ..Default::default()
        };
        let keyed = v1::Mapping {
            kms_key_arn: "arn:aws:kms:us-east-1:000000000000:key/k".into(),
            ..Default::default()
        };
        let metrics = |metrics: Vec<i32>| v1::Mapping {
            metrics_config: Some(v1::MetricsConfig { metrics }),
            ..Default::default()
        };
        for (m, field) in [
            (
                config(Some(-1), None),
                "mapping.provisioned_poller_config.minimum_pollers",
            ),
            (
                config(None, Some(-1)),
                "mapping.provisioned_poller_config.maximum_pollers",
            ),
            (grouped, "mapping.provisioned_poller_config.poller_group_name"),
            (logging, "mapping.logging_config"),
            (keyed, "mapping.kms_key_arn"),
            (metrics(vec![0]), "mapping.metrics_config.metrics"),
            (metrics(vec![1, 1]), "mapping.metrics_config.metrics"),
            (metrics(vec![2]), "mapping.metrics_config.metrics"),
        ] {
            assert_eq!(read(&m, &Mask::Implied).1, [field]);
        }
        let (patch, refused) = read(&metrics(vec![1]), &Mask::Implied);
        assert_eq!((patch.event_count_metrics, refused), (Some(true), vec![]));
        assert_eq!(metrics_to_api(true), metrics(vec![1]).metrics_config);
    }
}
