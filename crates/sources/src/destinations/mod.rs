//! Failure documents on AWS, and on what speaks its protocols (semantics, section 9): standard queues of SQS, standard topics
//! of SNS, and buckets of S3, which get the records too.
//!
//! | what happened | what it means for the document |
//! |---|---|
//! | taken | delivered; if the answer is lost it is sent again, so queues and topics may have it twice |
//! | no such queue, topic or bucket; no permission; the request is refused | refused: somebody has to change something |
//! | a throttle, 5xx, no connection, no answer in time | unavailable: it is tried again |
//!
//! How often it is tried again, and for how long, is the courier's to decide. A bucket has each document under a key that
//! a repetition has too, so it has it once.

mod bucket;
mod queue;
mod topic;

use crate::connection::{Connector, Fault, FaultKind};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use bucket::Bucket;
use millstream_ports::{DeliverError, Delivery, Destination, Destinations, SourceError};
use millstream_types::durable::OutboxEntry;
use millstream_types::{DestinationArn, DestinationKind, Namespace};
use queue::Queue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use topic::Topic;

/// How long one try may take, and all tries of one request together.
const TRY_WITHIN: Duration = Duration::from_secs(10);
const CALL_WITHIN: Duration = Duration::from_secs(25);
/// Most destinations that are kept ready.
const MAX_KEPT: usize = 256;

/// Finds destinations over connections. Clones share everything.
#[derive(Clone, Debug)]
pub struct AwsDestinations {
    connector: Arc<Connector>,
    /// Those that were there when they were looked for.
    found: Arc<Mutex<BTreeMap<DestinationArn, Arc<Known>>>>,
}

impl AwsDestinations {
    /// What these connections lead to. Asks nobody anything.
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            found: Arc::default(),
        }
    }

    /// Whether a connection serves `arn`.
    #[must_use]
    pub fn serves(&self, arn: &DestinationArn) -> bool {
        self.connector.connections().find(arn.as_str()).is_some()
    }

    async fn find(&self, arn: &DestinationArn) -> Result<Arc<Known>, DeliverError> {
        let known = self.lock().get(arn).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let config = self.connector.config_of(arn.as_str(), arn.region());
        let config = config.map_err(|e| refused(arn, without_connection(&e)))?;
        let taker = Taker::find(&config, arn).await?;
        let known = Arc::new(Known {
            arn: arn.clone(),
            taker,
        });
        let mut found = self.lock();
        if found.len() >= MAX_KEPT {
            found.pop_first();
        }
        found.insert(arn.clone(), Arc::clone(&known));
        Ok(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<DestinationArn, Arc<Known>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said where no connection helps.
fn without_connection(e: &SourceError) -> String {
    match e {
        SourceError::Refused(why) => why.clone(),
        other => other.to_string(),
    }
}

#[async_trait]
impl Destinations for AwsDestinations {
    async fn destination(
        &self,
        _: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        let known = self.find(arn).await?;
        let all = self.clone();
        Ok(Arc::new(Reached { known, all }))
    }
}

/// A destination that was there.
#[derive(Debug)]
struct Known {
    arn: DestinationArn,
    taker: Taker,
}

/// What takes documents.
#[derive(Debug)]
enum Taker {
    Queue(Queue),
    Topic(Topic),
    Bucket(Bucket),
}

impl Taker {
    /// Asks whether it is there.
    async fn find(config: &SdkConfig, arn: &DestinationArn) -> Result<Self, DeliverError> {
        let failed = |fault: Fault| failed(arn, &fault);
        match arn.kind() {
            DestinationKind::Queue { fifo: false } => {
                let queue = Queue::find(config, arn).await.map_err(failed)?;
                Ok(Self::Queue(queue))
            }
            DestinationKind::Topic { fifo: false } => {
                let topic = Topic::find(config, arn).await.map_err(failed)?;
                Ok(Self::Topic(topic))
            }
            DestinationKind::Bucket => {
                let bucket = Bucket::find(config, arn).await.map_err(failed)?;
                Ok(Self::Bucket(bucket))
            }
            DestinationKind::Queue { fifo: true } | DestinationKind::Topic { fifo: true } => {
                let why = "FIFO queues and FIFO topics take no failure documents: name a standard one";
                Err(refused(arn, why.to_owned()))
            }
            DestinationKind::Stream | DestinationKind::TableStream => {
                let why = "of AWS, only standard queues, standard topics and buckets take failure documents";
                Err(refused(arn, why.to_owned()))
            }
        }
    }
}

/// A destination, and where to forget it if it is gone.
struct Reached {
    known: Arc<Known>,
    all: AwsDestinations,
}

#[async_trait]
impl Destination for Reached {
    fn wants_payload(&self) -> bool {
        matches!(self.known.taker, Taker::Bucket(_))
    }

    async fn deliver(&self, entry: &OutboxEntry) -> Result<Delivery, DeliverError> {
        // Boxed: the SDK's futures are large.
        let taken = match &self.known.taker {
            Taker::Queue(queue) => Box::pin(queue.send(entry)).await,
            Taker::Topic(topic) => Box::pin(topic.publish(entry)).await,
            Taker::Bucket(bucket) => Box::pin(bucket.put(entry)).await,
        };
        match taken {
            Ok(()) => Ok(Delivery::Delivered),
            Err(fault) => {
                if fault.kind == FaultKind::Gone {
                    // It may be made again, and be another one then.
                    self.all.lock().remove(&self.known.arn);
                }
                Err(failed(&self.known.arn, &fault))
            }
        }
    }
}

fn refused(arn: &DestinationArn, why: String) -> DeliverError {
    let destination = arn.to_string();
    DeliverError::Refused { destination, why }
}

/// What a fault means for the document.
fn failed(arn: &DestinationArn, fault: &Fault) -> DeliverError {
    let destination = arn.to_string();
    let why = fault.text.clone();
    match fault.kind {
        FaultKind::Gone | FaultKind::Denied | FaultKind::Refused => {
            DeliverError::Refused { destination, why }
        }
        FaultKind::Throttled | FaultKind::Unavailable => DeliverError::Unavailable { destination, why },
    }
}

/// Its own patience on top of the connection's settings.
fn timeouts(config: &SdkConfig) -> TimeoutConfig {
    let mut timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(TRY_WITHIN)
        .operation_timeout(CALL_WITHIN)
        .build();
    if let Some(general) = config.timeout_config() {
        timeouts.take_defaults_from(general);
    }
    timeouts
}

/// The document as the text that it is.
fn text(entry: &OutboxEntry) -> String {
    String::from_utf8_lossy(&entry.document).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_refusal_if_somebody_has_to_change_something() {
        let arn: DestinationArn = "arn:aws:s3:::failed".parse().unwrap();
        for (kind, is_refusal) in [
            (FaultKind::Gone, true),
            (FaultKind::Denied, true),
            (FaultKind::Refused, true),
            (FaultKind::Throttled, false),
            (FaultKind::Unavailable, false),
        ] {
            let fault = Fault {
                kind,
                code: None,
                text: "PutObject: why".to_owned(),
            };
            let error = failed(&arn, &fault);
            assert_eq!(
                matches!(error, DeliverError::Refused { .. }),
                is_refusal,
                "{kind:?}"
            );
            let told = error.to_string();
            assert!(
                told.contains("arn:aws:s3:::failed") && told.contains("PutObject: why"),
                "{told}"
            );
        }
    }

    #[tokio::test]
    async fn what_cannot_take_documents_is_refused_before_anybody_is_asked() {
        use crate::connection::{ConnectionSettings, Connections};
        let settings = ConnectionSettings {
            pattern: "arn:aws:*".to_owned(),
            endpoint_url: Some("http://127.0.0.1:1".to_owned()),
            ..ConnectionSettings::default()
        };
        let connections = Connections::read(&[settings]).unwrap();
        let all = AwsDestinations::new(Arc::new(Connector::new(connections)));
        for (arn, part) in [
            ("arn:aws:sqs:eu-west-1:123456789012:failed.fifo", "FIFO queues"),
            ("arn:aws:sns:eu-west-1:123456789012:failed.fifo", "FIFO topics"),
            (
                "arn:aws:kinesis:eu-west-1:123456789012:stream/failed",
                "only standard queues",
            ),
            ("arn:aws:s3:::failed", "names a region: set `region`"),
            (
                "arn:aws-cn:sns:cn-north-1:123456789012:failed",
                "no connection serves",
            ),
        ] {
            let found = all
                .destination(&Namespace::default(), &arn.parse().unwrap())
                .await;
            let error = found.err().unwrap();
            assert!(matches!(error, DeliverError::Refused { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
