//! Reading a shard by polling: what Kinesis and DynamoDB Streams have in common.
//!
//! Both hand out iterators that expire, answer with records and the next iterator, and forget records after a
//! while. The decisions are pure: [`place`] (where a reader stands, what it skips, what it lost), [`tip`] (what readers
//! at the end of a shard share), [`looks`] (when the list of shards is asked for) and `pace`. [`reader`] and
//! [`stream`] are the shell around them; the services themselves implement [`Wire`].

pub(crate) mod answer;
mod looks;
pub(crate) mod pages;
mod place;
mod reader;
mod stream;
mod tip;

pub(crate) use place::{IteratorAt, Place};
pub use stream::SharedShards;
pub(crate) use stream::{PolledStream, SharedShard, SharedStream};

use crate::pace::Quotas;
use async_trait::async_trait;
use millstream_ports::{Credit, SourceError};
use millstream_types::{Record, ShardId, ShardInfo, Wall};
use std::collections::VecDeque;
use std::time::Duration;

/// The calls of one stream, each made once: readers and the engine try again.
#[async_trait]
pub(crate) trait Wire: Send + Sync + 'static {
    /// The stream's ARN.
    fn arn(&self) -> &str;

    /// What the service allows, and how it is polled.
    fn manners(&self) -> Manners;

    /// All shards that are open or may still hold records.
    async fn list(&self) -> Result<Listing, WireError>;

    /// An iterator.
    async fn iterator(&self, shard: &ShardId, at: IteratorAt) -> Result<String, WireError>;

    /// What follows an iterator, at most `limit` records.
    async fn read(&self, iterator: &str, limit: usize) -> Result<Fetched, WireError>;
}

/// What differs between the services in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) quotas: Quotas,
    /// Most records of one call.
    pub(crate) records: usize,
    /// The wait at the tip after a read that found records.
    pub(crate) shortest_wait: Duration,
    /// The longest wait at the tip.
    pub(crate) longest_wait: Duration,
    /// How often the list of shards is asked for when nothing tells that it changed.
    pub(crate) list_every: Duration,
}

/// The shards of a stream at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) shards: Vec<ShardInfo>,
    /// The source's own time, not later than that moment.
    pub(crate) date: Wall,
}

/// What one read brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// In order.
    pub(crate) records: Vec<Record>,
    /// Bytes of keys and payloads.
    pub(crate) bytes: usize,
    /// Where to read on; none at the end of the shard.
    pub(crate) next: Option<String>,
    /// How far behind the newest record the end of this read is. None if the service does not tell.
    pub(crate) behind: Option<Duration>,
    /// Whether more is there to be read at once.
    pub(crate) more: bool,
    /// The source's own time.
    pub(crate) date: Wall,
}

/// Why a call did not work, as far as it matters what is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    /// The iterator, or the token of a list, is too old.
    Expired,
    /// The place lies before what is still kept.
    Trimmed,
    /// The service does not take the place, with its reason.
    Refused(String),
    /// Stream or shard are not there.
    Missing,
    /// Too many calls or bytes.
    Throttled,
    /// It may not be read, with what the service said: somebody has to change something.
    Denied(String),
    /// Anything else, with what the service said.
    Failed(String),
}

impl WireError {
    /// The error for the engine, where nothing better is known.
    pub(crate) fn for_stream(self, arn: &str) -> SourceError {
        match self {
            Self::Throttled => SourceError::Throttled(arn.to_owned()),
            Self::Missing => SourceError::NotFound(arn.to_owned()),
            Self::Expired => {
                SourceError::Unavailable("a list or an iterator expired again and again".to_owned())
            }
            Self::Trimmed => {
                SourceError::Unavailable("records are trimmed faster than they are read".to_owned())
            }
            Self::Denied(why) => SourceError::Refused(format!(
                "Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, \
                 DescribeStream, and ListStreams Actions on your stream in IAM. ({why})"
            )),
            Self::Refused(why) | Self::Failed(why) => SourceError::Unavailable(why),
        }
    }
}

/// The next records out of what is pending: at most `credit`, but one if there is one.
pub(crate) fn take_within(pending: &mut VecDeque<Record>, credit: Credit) -> Vec<Record> {
    let mut bytes = 0;
    let mut records = Vec::new();
    while let Some(record) = pending.front() {
        bytes += record.partition_key.len() + record.data.len();
        if !records.is_empty() && (records.len() >= credit.records || bytes > credit.bytes) {
            break;
        }
        records.extend(pending.pop_front());
    }
    records
}

/// What tells endpoints apart: quotas are per endpoint, and each region has its own.
pub(crate) fn endpoint_of(config: &aws_config::SdkConfig) -> String {
    let region = config.region().map(|r| r.as_ref()).unwrap_or_default();
    format!("{} {region}", config.endpoint_url().unwrap_or_default())
}

#[cfg(test)]
mod fake;
