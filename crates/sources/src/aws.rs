//! What an ARN names, among the streams and queues that connections lead to.

use crate::connection::{Connections, Connector};
use crate::sqs::Sqs;
use async_trait::async_trait;
use millstream_ports::{QueueSource, SourceError, Sources, StreamSource};
use millstream_types::{Namespace, SourceArn};
use std::sync::Arc;
use std::time::Duration;

/// Streams and queues of AWS, and of what speaks its protocols. Namespaces share them: an ARN names the same thing in
/// each. Clones share everything.
#[derive(Clone, Debug)]
pub struct AwsSources {
    connector: Arc<Connector>,
    sqs: Arc<Sqs>,
}

impl AwsSources {
    /// What these connections lead to. Asks nobody anything: what cannot be reached is told when it is used.
    #[must_use]
    pub fn new(connections: Connections) -> Self {
        Self {
            connector: Arc::new(Connector::new(connections)),
            sqs: Arc::default(),
        }
    }

    /// Whether a connection serves `arn`.
    #[must_use]
    pub fn serves(&self, arn: &SourceArn) -> bool {
        self.connector.serves(arn)
    }

    /// Its connections, for clients of other services.
    #[must_use]
    pub fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Waits until no queue holds a long poll any more that nobody waits for, so that what it hands out is shown again;
    /// for at most so long. A poll lasts up to 20 seconds. Whether that was so.
    pub async fn close(&self, within: Duration) -> bool {
        self.sqs.close(within).await
    }

    /// The stream that `arn` names.
    fn find_stream(&self, arn: &SourceArn) -> Result<Arc<dyn StreamSource>, SourceError> {
        Err(SourceError::NotServed(arn.to_string()))
    }
}

#[async_trait]
impl Sources for AwsSources {
    async fn stream(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn StreamSource>, SourceError> {
        self.find_stream(arn)
    }

    async fn queue(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn QueueSource>, SourceError> {
        if !arn.kind().is_queue() {
            return Err(SourceError::NoSuchQueue { arn: arn.to_string() });
        }
        Ok(self.sqs.queue(&self.connector, arn)?)
    }
}
