//! The settings of a mapping that say how it is operated, as flags: pollers, metrics, tags.

use clap::{Args, ValueEnum};
use millstream_api::v1;

const HEADING: &str = "Settings";

/// What create and update both can set.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Operation {
    /// Queues: the fewest provisioned pollers, 2 to 200; not with a maximum concurrency [default: none are kept].
    #[arg(long, visible_alias = "min-pollers", value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    minimum_pollers: Option<i32>,
    /// Queues: the most provisioned pollers, 2 to 2000 [default: 200, if any are kept].
    #[arg(long, visible_alias = "max-pollers", value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    maximum_pollers: Option<i32>,
    /// A group of metrics that AWS would have to be asked for; here every mapping is counted in any case.
    #[arg(long, value_name = "GROUP", help_heading = HEADING)]
    metrics: Option<Group>,
    /// A note, `NAME=VALUE`; may be repeated. Those of an update replace all others.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, help_heading = HEADING)]
    tag: Vec<(String, String)>,
}

/// A group of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Records and messages.
    EventCount,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not of the form NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Operation {
    /// Puts what is set into `mapping`, and names it for an update mask.
    pub(crate) fn apply(&self, mapping: &mut v1::Mapping) -> Vec<&'static str> {
        let mut mask = Vec::new();
        if self.minimum_pollers.is_some() || self.maximum_pollers.is_some() {
            mapping.provisioned_poller_config = Some(v1::ProvisionedPollerConfig {
                minimum_pollers: self.minimum_pollers,
                maximum_pollers: self.maximum_pollers,
                poller_group_name: String::new(),
            });
            mask.push("provisioned_poller_config");
        }
        if let Some(Group::EventCount) = self.metrics {
            mapping.metrics_config = Some(v1::MetricsConfig {
                metrics: vec![v1::MetricsGroup::EventCount.into()],
            });
            mask.push("metrics_config");
        }
        if !self.tag.is_empty() {
            mapping.tags = self.tag.iter().cloned().collect();
            mask.push("tags");
        }
        mask
    }
}
