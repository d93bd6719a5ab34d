//! One leased shard: the actor that owns its machine, the tasks that read for it, the workers that invoke.

mod consumer;
mod feed;
mod health;
mod lease;
mod worker;

pub(crate) use health::Health;

pub(crate) use consumer::{ConsumerArgs, ShardConsumer, ShardEvent, ShardMsg};
