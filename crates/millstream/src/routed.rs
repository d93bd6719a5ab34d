//! Sends each ARN to what serves it: to the connection that matches it, and otherwise to the built-in broker.

use crate::assembly::AssemblyOptions;
use crate::error::StartError;
use async_trait::async_trait;
use millstream_broker::Broker;
use millstream_ports::{
    DeliverError, Destination, Destinations, FindError, FindFunction, QueueSource, SourceError, Sources,
    StreamSource,
};
use millstream_targets::Factory;
use millstream_types::{DestinationArn, FoundFunction, Namespace, SourceArn};
use std::sync::Arc;
use std::time::Duration;

/// What is not the built-in broker.
pub(crate) struct Elsewhere {
    #[cfg(feature = "aws")]
    aws: millstream_sources::AwsSources,
    #[cfg(feature = "aws")]
    destinations: millstream_sources::AwsDestinations,
}

impl Elsewhere {
    /// What the connections lead to.
    ///
    /// # Errors
    /// [`StartError::Connections`] if credentials that they refer to cannot be read.
    #[cfg(feature = "aws")]
    pub(crate) fn of(options: &AssemblyOptions) -> Result<Self, StartError> {
        let missing = options.connections.missing_credentials();
        if missing.is_empty() {
            let aws = millstream_sources::AwsSources::new(options.connections.clone());
            let destinations = millstream_sources::AwsDestinations::new(Arc::clone(aws.connector()));
            return Ok(Self { aws, destinations });
        }
        let texts = missing.iter().map(ToString::to_string).collect();
        Err(StartError::Connections(crate::error::Invalid(texts)))
    }

    /// Nothing: this build reads the built-in broker only.
    #[cfg(not(feature = "aws"))]
    // The other build can fail.
    #[allow(clippy::unnecessary_wraps)]
    pub(crate) fn of(_: &AssemblyOptions) -> Result<Self, StartError> {
        Ok(Self {})
    }

    /// Functions that are called elsewhere.
    #[cfg(feature = "aws")]
    pub(crate) fn functions(&self, factory: Factory) -> Factory {
        let connector = Arc::clone(self.aws.connector());
        factory.with_lambda(Arc::new(millstream_sources::LambdaFunctions::new(connector)))
    }

    /// None: the factory says so.
    #[cfg(not(feature = "aws"))]
    #[allow(clippy::unused_self)]
    pub(crate) fn functions(&self, factory: Factory) -> Factory {
        factory
    }

    #[cfg(feature = "aws")]
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        let connector = Arc::clone(self.aws.connector());
        millstream_sources::LambdaFunctions::new(connector)
            .find(given)
            .await
    }

    #[cfg(not(feature = "aws"))]
    #[allow(clippy::unused_async)]
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        use millstream_types::lambda::LambdaName;
        let arn = LambdaName::parse(given).map_or_else(|| given.to_owned(), |named| named.arn());
        Err(FindError::NotServed(arn))
    }

    #[cfg(feature = "aws")]
    fn serving(&self, arn: &SourceArn) -> Option<&dyn Sources> {
        self.aws.serves(arn).then_some(&self.aws)
    }

    #[cfg(not(feature = "aws"))]
    #[allow(clippy::unused_self)]
    fn serving(&self, _: &SourceArn) -> Option<&dyn Sources> {
        None
    }

    #[cfg(feature = "aws")]
    fn taking(&self, arn: &DestinationArn) -> Option<&dyn Destinations> {
        self.destinations.serves(arn).then_some(&self.destinations)
    }

    #[cfg(not(feature = "aws"))]
    #[allow(clippy::unused_self)]
    fn taking(&self, _: &DestinationArn) -> Option<&dyn Destinations> {
        None
    }
}

/// All sources and failure destinations there are.
pub(crate) struct Routed {
    broker: Broker,
    elsewhere: Elsewhere,
}

impl Routed {
    pub(crate) fn new(broker: Broker, elsewhere: Elsewhere) -> Self {
        Self { broker, elsewhere }
    }

    /// Waits for what must not be cut off, for at most so long.
    #[cfg(feature = "aws")]
    pub(crate) async fn close(&self, within: Duration) {
        let aws = &self.elsewhere.aws;
        if aws.close(Duration::ZERO).await {
            return;
        }
        tracing::info!(
            "waiting for long polls of SQS to end, so that what they bring is shown again at once"
        );
        if !aws.close(within).await {
            tracing::warn!(
                "long polls were cut off: what SQS hands out to them comes again when its visibility timeout ends"
            );
        }
    }

    /// Nothing has to be waited for.
    #[cfg(not(feature = "aws"))]
    #[allow(clippy::unused_async)]
    pub(crate) async fn close(&self, _: Duration) {}

    fn of(&self, arn: &SourceArn) -> &dyn Sources {
        self.elsewhere.serving(arn).unwrap_or(&self.broker)
    }
}

#[async_trait]
impl Sources for Routed {
    async fn stream(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn StreamSource>, SourceError> {
        self.of(arn).stream(namespace, arn).await
    }

    async fn queue(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
    ) -> Result<Arc<dyn QueueSource>, SourceError> {
        self.of(arn).queue(namespace, arn).await
    }
}

#[async_trait]
impl Destinations for Routed {
    async fn destination(
        &self,
        namespace: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        let taking = self.elsewhere.taking(arn).unwrap_or(&self.broker);
        taking.destination(namespace, arn).await
    }
}

#[async_trait]
impl FindFunction for Routed {
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        self.elsewhere.find(given).await
    }
}
