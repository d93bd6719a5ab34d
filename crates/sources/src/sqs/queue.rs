//! One queue: its client, its URL, and its settings as they were last.

use super::attributes::Look;
use super::error::source_error;
use crate::connection::{Fault, FaultKind};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_sqs::{Client, Config};
use millstream_ports::SourceError;
use millstream_types::SourceArn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one try of anything but a poll may take, and all tries together: the engine waits for ten seconds.
pub(super) const TRY_WITHIN: Duration = Duration::from_secs(4);
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(9);

/// What all mappings of one queue share.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) client: Client,
    pub(super) arn: Arc<str>,
    pub(super) is_fifo: bool,
    name: String,
    owner: String,
    url: Mutex<Option<Arc<str>>>,
    /// Held while it is asked for, so that it is asked for once.
    looked: tokio::sync::Mutex<Option<(Instant, Look)>>,
}

impl Queue {
    pub(super) fn new(config: &SdkConfig, arn: &SourceArn) -> Self {
        let mut timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(TRY_WITHIN)
            .operation_timeout(CALL_WITHIN)
            .build();
        if let Some(general) = config.timeout_config() {
            timeouts.take_defaults_from(general);
        }
        let config = aws_sdk_sqs::config::Builder::from(config).timeout_config(timeouts);
        Self {
            client: Client::from_conf(config.build()),
            arn: arn.as_str().into(),
            is_fifo: arn.as_str().ends_with(".fifo"),
            name: arn.resource_name().to_owned(),
            owner: arn.account().to_owned(),
            url: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// The URL, asked for once and kept until the queue turns out to be gone.
    pub(super) async fn url(&self) -> Result<Arc<str>, Fault> {
        let known = self.url.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(url) = known {
            return Ok(url);
        }
        let asked = self
            .client
            .get_queue_url()
            .queue_name(&self.name)
            .queue_owner_aws_account_id(&self.owner);
        let answer = asked.send().await.map_err(|e| Fault::of("GetQueueUrl", &e))?;
        let url: Arc<str> = answer.queue_url().unwrap_or_default().into();
        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&url));
        Ok(url)
    }

    /// Takes note of a fault: a queue that is gone may come again elsewhere, and otherwise.
    pub(super) fn note(&self, fault: Fault) -> Fault {
        if fault.kind == FaultKind::Gone {
            *self.url.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        fault
    }

    /// The settings and counts, not older than that.
    ///
    /// # Errors
    /// Any [`SourceError`] but those of streams.
    pub(super) async fn look(&self, max_age: Duration) -> Result<Look, SourceError> {
        let mut looked = self.looked.lock().await;
        if let Some((at, look)) = *looked
            && at.elapsed() < max_age
        {
            return Ok(look);
        }
        *looked = None;
        let look = self
            .ask()
            .await
            .map_err(|f| source_error(&self.arn, &self.note(f)))?;
        *looked = Some((Instant::now(), look));
        Ok(look)
    }

    async fn ask(&self) -> Result<Look, Fault> {
        let url = self.url().await?;
        // By name, those that a kind of queue does not have would be refused.
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(url.as_ref())
            .attribute_names(QueueAttributeName::All);
        let answer = asked
            .send()
            .await
            .map_err(|e| Fault::of("GetQueueAttributes", &e))?;
        let none = Default::default();
        Ok(Look::read(answer.attributes().unwrap_or(&none), self.is_fifo))
    }
}

/// What differs for a try of a poll, which waits: its own time-out. It is made once; `poll` repeats it by itself.
pub(super) fn for_poll(wait: Duration) -> aws_sdk_sqs::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(wait + TRY_WITHIN)
        .operation_timeout(wait + TRY_WITHIN)
        .build();
    Config::builder()
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
}
