//! Kinesis Data Streams, read by polling.

mod convert;
mod wire;

use crate::pace::Paces;
use crate::polled::{PolledStream, StreamRegistry};
use aws_config::SdkConfig;
use millstream_ports::{Clock, StreamSource};
use millstream_types::SourceArn;
use std::sync::Arc;
use wire::KinesisWire;

/// Most shards that one call may list.
const SHARDS_PER_CALL: i32 = 1_000;

/// The Kinesis streams of one connection. Make one per connection: its mappings on one stream share what they read
/// at the end of a shard.
#[derive(Clone)]
pub struct Kinesis {
    client: aws_sdk_kinesis::Client,
    endpoint: Arc<str>,
    registry: StreamRegistry,
    paces: Paces,
    clock: Arc<dyn Clock>,
    shards_per_call: i32,
}

impl Kinesis {
    /// Streams read with `config`, which brings endpoint, region, credentials and time-outs. `paces` is the process's.
    #[must_use]
    pub fn new(config: &SdkConfig, paces: Paces, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: aws_sdk_kinesis::Client::new(config),
            endpoint: crate::polled::endpoint_of(config),
            registry: StreamRegistry::default(),
            paces,
            clock,
            shards_per_call: SHARDS_PER_CALL,
        }
    }

    /// Lists shards in pages of `shards`, 1 to 10,000 (AWS's bound); 1,000 unless set.
    #[must_use]
    pub fn with_shards_per_call(mut self, shards: i32) -> Self {
        self.shards_per_call = shards;
        self
    }

    /// The stream that `arn` names, for one mapping. Makes no call: whether it exists is seen when it is read.
    #[must_use]
    pub fn stream(&self, arn: &SourceArn) -> Arc<dyn StreamSource> {
        let wire = KinesisWire {
            client: self.client.clone(),
            arn: arn.as_str().to_owned(),
            shards_per_call: self.shards_per_call,
            clock: Arc::clone(&self.clock),
        };
        Arc::new(PolledStream::new(
            Arc::new(wire),
            &self.registry,
            self.paces.clone(),
            Arc::clone(&self.endpoint),
            Arc::clone(&self.clock),
        ))
    }
}
