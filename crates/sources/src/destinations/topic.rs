//! A standard topic of SNS: each document is published.

use super::{text, timeouts};
use crate::connection::{Fault, FaultKind};
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use millstream_types::DestinationArn;
use millstream_types::durable::OutboxEntry;

/// A topic that is there, as far as it may be asked.
#[derive(Debug)]
pub(super) struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// Asks for its attributes. Whoever may publish need not be allowed to: a denial tells nothing.
    pub(super) async fn find(config: &SdkConfig, arn: &DestinationArn) -> Result<Self, Fault> {
        let client = Client::from_conf(Builder::from(config).timeout_config(timeouts(config)).build());
        let asked = client.get_topic_attributes().topic_arn(arn.as_str()).send().await;
        match asked.map_err(|e| Fault::of("GetTopicAttributes", &e)) {
            Err(fault) if fault.kind == FaultKind::Denied && !is_about_keys(&fault) => {
                tracing::debug!(%arn, %fault, "whether the topic exists cannot be told");
            }
            asked => drop(asked?),
        }
        let arn = arn.to_string();
        Ok(Self { client, arn })
    }

    pub(super) async fn publish(&self, entry: &OutboxEntry) -> Result<(), Fault> {
        let message = self.client.publish().topic_arn(&self.arn).message(text(entry));
        message
            .send()
            .await
            .map(drop)
            .map_err(|e| Fault::of("Publish", &e))
    }
}

/// Whether the credentials themselves are not good, whatever is asked with them.
fn is_about_keys(fault: &Fault) -> bool {
    !matches!(
        fault.code.as_deref(),
        Some("AuthorizationError" | "AccessDenied" | "AccessDeniedException")
    )
}
