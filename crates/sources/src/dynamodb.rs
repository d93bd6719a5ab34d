//! The streams of changes of DynamoDB tables, read by polling.

mod convert;
mod json;
mod wire;

use crate::polled::{PolledStream, SharedShards, endpoint_of};
use async_trait::async_trait;
use aws_config::SdkConfig;
use millstream_ports::{Clock, ShardReader, SourceError, StreamSource};
use millstream_types::{Position, ShardId, ShardInfo, SourceArn, StartPin, StartingPosition};
use std::sync::Arc;
use wire::DynamoDbWire;

/// Most shards that one call may list.
const SHARDS_PER_CALL: i32 = 100;

/// The DynamoDB streams of one connection.
#[derive(Clone)]
pub struct DynamoDbStreams {
    client: aws_sdk_dynamodbstreams::Client,
    endpoint: String,
    shared: SharedShards,
    clock: Arc<dyn Clock>,
    shards_per_call: i32,
}

impl DynamoDbStreams {
    /// Streams read with `config`, which brings endpoint, region, credentials and time-outs. `shared` is the process's.
    #[must_use]
    pub fn new(config: &SdkConfig, shared: SharedShards, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: aws_sdk_dynamodbstreams::Client::new(config),
            endpoint: endpoint_of(config),
            shared,
            clock,
            shards_per_call: SHARDS_PER_CALL,
        }
    }

    /// Lists shards in pages of `shards`, 1 to 100 (AWS's bound); 100 unless set.
    #[must_use]
    pub fn with_shards_per_call(mut self, shards: i32) -> Self {
        self.shards_per_call = shards;
        self
    }

    /// The stream that `arn` names, for one mapping. Makes no call: whether it exists is seen when it is read.
    #[must_use]
    pub fn stream(&self, arn: &SourceArn) -> Arc<dyn StreamSource> {
        let wire = DynamoDbWire {
            client: self.client.clone(),
            arn: arn.as_str().to_owned(),
            region: arn.region().to_owned(),
            shards_per_call: self.shards_per_call,
            clock: Arc::clone(&self.clock),
        };
        Arc::new(TableStream(PolledStream::new(
            Arc::new(wire),
            &self.shared,
            &self.endpoint,
            Arc::clone(&self.clock),
        )))
    }
}

/// A stream that cannot be read from a time on, as with AWS (semantics 5).
struct TableStream(PolledStream);

#[async_trait]
impl StreamSource for TableStream {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        self.0.shards().await
    }

    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        if matches!(start, StartingPosition::AtTimestamp(_)) {
            return Err(SourceError::Refused(format!(
                "Unsupported starting position for arn type: {}",
                self.0.arn()
            )));
        }
        self.0.pin(start).await
    }

    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        self.0.open(shard, from).await
    }

    async fn shards_changed(&self) {
        self.0.shards_changed().await;
    }
}
