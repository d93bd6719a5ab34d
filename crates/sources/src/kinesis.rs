//! Kinesis Data Streams, read by polling or, for a consumer, as they are pushed.

mod aggregate;
mod convert;
mod fan_out;
mod wire;

use crate::polled::{PolledStream, SharedShards, endpoint_of};
use aws_config::SdkConfig;
use fan_out::FanOut;
use millstream_ports::{Clock, StreamSource};
use millstream_types::SourceArn;
use std::sync::{Arc, Mutex};
use wire::KinesisWire;

/// Most shards that one call may list.
const SHARDS_PER_CALL: i32 = 1_000;

/// The Kinesis streams of one connection.
#[derive(Clone)]
pub struct Kinesis {
    client: aws_sdk_kinesis::Client,
    endpoint: String,
    shared: SharedShards,
    clock: Arc<dyn Clock>,
    shards_per_call: i32,
}

impl Kinesis {
    /// Streams read with `config`, which brings endpoint, region, credentials and time-outs. `shared` is the process's.
    #[must_use]
    pub fn new(config: &SdkConfig, shared: SharedShards, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: aws_sdk_kinesis::Client::new(config),
            endpoint: endpoint_of(config),
            shared,
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

    /// The stream that `arn` names, for one mapping: polled, or with the ARN of a consumer (`…/consumer/NAME:TIME`)
    /// pushed to that consumer. Makes no call: whether it exists is seen when it is read.
    #[must_use]
    pub fn stream(&self, arn: &SourceArn) -> Arc<dyn StreamSource> {
        let text = arn.as_str();
        match text.split_once("/consumer/") {
            None => Arc::new(self.polled(text)),
            Some((stream, _)) => Arc::new(FanOut {
                client: self.client.clone(),
                consumer: text.into(),
                stream: Arc::new(self.polled(stream)),
                paces: self.shared.of(&self.endpoint, text),
                clock: Arc::clone(&self.clock),
                ranges: Mutex::default(),
            }),
        }
    }

    fn polled(&self, arn: &str) -> PolledStream {
        let wire = KinesisWire {
            client: self.client.clone(),
            arn: arn.to_owned(),
            shards_per_call: self.shards_per_call,
            clock: Arc::clone(&self.clock),
        };
        PolledStream::new(
            Arc::new(wire),
            &self.shared,
            &self.endpoint,
            Arc::clone(&self.clock),
        )
    }
}
