//! A standard queue of SQS: one message for each document.

use super::{text, timeouts};
use crate::connection::Fault;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use millstream_types::DestinationArn;
use millstream_types::durable::OutboxEntry;

/// A queue that is there.
#[derive(Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Asks for its URL.
    pub(super) async fn find(config: &SdkConfig, arn: &DestinationArn) -> Result<Self, Fault> {
        let client = Client::from_conf(Builder::from(config).timeout_config(timeouts(config)).build());
        let asked = client
            .get_queue_url()
            .queue_name(arn.resource_name())
            .queue_owner_aws_account_id(arn.account());
        let answer = asked.send().await.map_err(|e| Fault::of("GetQueueUrl", &e))?;
        let url = answer.queue_url.unwrap_or_default();
        Ok(Self { client, url })
    }

    pub(super) async fn send(&self, entry: &OutboxEntry) -> Result<(), Fault> {
        let message = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(text(entry));
        message
            .send()
            .await
            .map(drop)
            .map_err(|e| Fault::of("SendMessage", &e))
    }
}
