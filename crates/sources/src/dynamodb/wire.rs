//! The calls of a table's stream.

use super::convert;
use crate::pace::{Quota, Quotas};
use crate::polled::answer::{AnswerDate, why};
use crate::polled::pages::{ListPages, all_pages};
use crate::polled::{Fetched, IteratorAt, Listing, Manners, Wire, WireError};
use async_trait::async_trait;
use aws_sdk_dynamodbstreams::config::retry::RetryConfig;
use aws_sdk_dynamodbstreams::primitives::DateTime;
use aws_sdk_dynamodbstreams::types::{Shard, ShardIteratorType};
use millstream_ports::Clock;
use millstream_types::{ShardId, ShardInfo, Wall};
use std::sync::Arc;
use std::time::Duration;

/// AWS publishes no quota of calls per shard; Lambda makes four in a second (semantics 4.8).
const QUOTA: Quota = Quota {
    calls: 4,
    per: Duration::from_millis(1_050),
    bytes_per_second: 2 << 20,
};

const MANNERS: Manners = Manners {
    quotas: Quotas {
        reads: QUOTA,
        iterators: Quota {
            bytes_per_second: 0,
            ..QUOTA
        },
    },
    records: 1_000,
    shortest_wait: Duration::from_millis(250),
    longest_wait: Duration::from_secs(1),
    list_every: Duration::from_secs(60),
};

/// One stream.
pub(super) struct DynamoDbWire {
    pub(super) client: aws_sdk_dynamodbstreams::Client,
    pub(super) arn: String,
    pub(super) region: String,
    pub(super) shards_per_call: i32,
    pub(super) clock: Arc<dyn Clock>,
}

impl DynamoDbWire {
    /// The source's time, or ours where it does not tell.
    fn date(&self, seen: &AnswerDate) -> Wall {
        seen.seen().unwrap_or_else(|| self.clock.now().wall)
    }
}

#[async_trait]
impl ListPages for DynamoDbWire {
    type Shard = Shard;

    /// The token is the shard after which it goes on.
    async fn page(
        &self,
        after: Option<String>,
        date: &AnswerDate,
    ) -> Result<(Vec<Shard>, Option<String>), WireError> {
        let sent = self
            .client
            .describe_stream()
            .stream_arn(&self.arn)
            .limit(self.shards_per_call)
            .set_exclusive_start_shard_id(after)
            .customize()
            .interceptor(date.clone())
            .send()
            .await;
        let described = sent.map_err(|e| why("DescribeStream", &e))?.stream_description;
        let described =
            described.ok_or_else(|| WireError::Failed("the source described nothing".to_owned()))?;
        Ok((
            described.shards.unwrap_or_default(),
            described.last_evaluated_shard_id,
        ))
    }
}

#[async_trait]
impl Wire for DynamoDbWire {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn manners(&self) -> Manners {
        MANNERS
    }

    async fn list(&self) -> Result<Listing, WireError> {
        let (shards, first) = all_pages(self).await?;
        let date = self.date(&first);
        let infos: Result<Vec<ShardInfo>, _> = shards.iter().map(|s| convert::shard(s, date)).collect();
        Ok(Listing { shards: infos?, date })
    }

    async fn iterator(&self, shard: &ShardId, at: IteratorAt) -> Result<String, WireError> {
        let call = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard.as_str());
        let call = match at {
            IteratorAt::Oldest => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            IteratorAt::Record(seq) => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .sequence_number(seq.to_string()),
            IteratorAt::Time(at) => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX))),
        };
        let made = call.send().await.map_err(|e| why("GetShardIterator", &e))?;
        made.shard_iterator
            .ok_or_else(|| WireError::Failed("the source gave no iterator".to_owned()))
    }

    async fn read(&self, iterator: &str, limit: usize) -> Result<Fetched, WireError> {
        let seen = AnswerDate::default();
        // Tried again by the reader, in its own turn.
        let once = aws_sdk_dynamodbstreams::config::Builder::new().retry_config(RetryConfig::disabled());
        let sent = self
            .client
            .get_records()
            .shard_iterator(iterator)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .customize()
            .interceptor(seen.clone())
            .config_override(once)
            .send()
            .await;
        let page = sent.map_err(|e| why("GetRecords", &e))?;
        let date = self.date(&seen);
        convert::page(&page, limit, date, &self.arn, &self.region)
    }
}
