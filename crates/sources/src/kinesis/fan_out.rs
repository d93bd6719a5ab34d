//! A consumer with enhanced fan-out: Kinesis pushes records into a subscription of its own, per shard and consumer.
//!
//! A subscription lasts five minutes at most. A task of its own receives what is pushed, at most a few events ahead,
//! so that neither reading nor waiting can lose a part of one. Reading goes on where the last event that was taken says.

use super::{aggregate, convert};
use crate::pace::{Quota, Quotas};
use crate::polled::answer::{of_code, why};
use crate::polled::{IteratorAt, Place, PolledStream, SharedShard, SharedStream, WireError};
use async_trait::async_trait;
use aws_sdk_kinesis::config::StalledStreamProtectionConfig;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{
    ShardIteratorType, StartingPosition as SdkPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use millstream_ports::{Clock, Credit, Gap, Lag, Page, ShardReader, SourceError, StreamSource};
use millstream_types::{Mono, Position, Record, ShardId, ShardInfo, StartPin, StartingPosition};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;

/// A subscription is left before the service ends it after five minutes.
const LASTS: Duration = Duration::from_secs(290);
/// Events received and not taken; one has 2 MB at most.
const EVENTS_AHEAD: usize = 2;
/// AWS allows one subscription a second per shard and consumer.
const QUOTA: Quota = Quota {
    calls: 1,
    per: Duration::from_millis(1_050),
    bytes_per_second: 0,
};

/// A stream as one consumer reads it.
pub(super) struct FanOut {
    pub(super) client: aws_sdk_kinesis::Client,
    pub(super) consumer: Arc<str>,
    /// The stream itself: its shards, and where reading begins.
    pub(super) stream: Arc<PolledStream>,
    /// The paces of the consumer's subscriptions.
    pub(super) paces: Arc<SharedStream>,
    pub(super) clock: Arc<dyn Clock>,
    /// The hash keys of the shards that were listed last.
    pub(super) ranges: Mutex<BTreeMap<ShardId, (u128, u128)>>,
}

#[async_trait]
impl StreamSource for FanOut {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        let shards = self.stream.shards().await?;
        let ranges = shards.iter().map(|s| (s.id.clone(), s.hash_range)).collect();
        *self.ranges.lock().unwrap_or_else(PoisonError::into_inner) = ranges;
        Ok(shards)
    }

    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        self.stream.pin(start).await
    }

    async fn open(&self, shard: &ShardId, from: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let quotas = Quotas {
            reads: QUOTA,
            iterators: QUOTA,
        };
        Ok(Box::new(Reader {
            client: self.client.clone(),
            consumer: Arc::clone(&self.consumer),
            stream: Arc::clone(&self.stream),
            share: self.paces.shard(shard, quotas),
            shard: shard.clone(),
            range: ranges.get(shard).copied().unwrap_or((0, u128::MAX)),
            clock: Arc::clone(&self.clock),
            place: Place::new(from, None),
            resume: None,
            subscription: None,
            next_event: None,
            pending: VecDeque::new(),
            behind: Duration::ZERO,
            at_end: from == Position::End,
            end_told: from == Position::End,
        }))
    }

    async fn shards_changed(&self) {
        self.stream.shards_changed().await;
    }
}

type Event = Result<SubscribeToShardEvent, WireError>;

/// A running subscription; dropping it ends it.
struct Subscription {
    events: mpsc::Receiver<Event>,
    leave_at: Mono,
    task: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one shard.
struct Reader {
    client: aws_sdk_kinesis::Client,
    consumer: Arc<str>,
    stream: Arc<PolledStream>,
    share: Arc<SharedShard>,
    shard: ShardId,
    range: (u128, u128),
    clock: Arc<dyn Clock>,
    place: Place,
    /// Where the last event that was taken says to go on.
    resume: Option<String>,
    subscription: Option<Subscription>,
    /// Came while it was waited for.
    next_event: Option<Event>,
    pending: VecDeque<Record>,
    behind: Duration,
    at_end: bool,
    end_told: bool,
}

impl Reader {
    /// The next event, if there is one now; subscribes where no subscription runs.
    async fn event(&mut self) -> Result<Option<SubscribeToShardEvent>, WireError> {
        if let Some(event) = self.next_event.take() {
            return self.taken(event).map(Some);
        }
        let now = self.clock.now().mono;
        self.subscription.take_if(|s| s.leave_at <= now);
        let subscription = match &mut self.subscription {
            Some(running) => running,
            None => {
                let made = self.subscribe().await?;
                self.subscription.insert(made)
            }
        };
        match subscription.events.try_recv() {
            Ok(event) => self.taken(event).map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                // It ended; the next call makes another one, in its turn.
                self.subscription = None;
                Ok(None)
            }
        }
    }

    fn taken(&mut self, event: Event) -> Result<SubscribeToShardEvent, WireError> {
        if event.is_err() {
            self.subscription = None;
        }
        event
    }

    async fn subscribe(&mut self) -> Result<Subscription, WireError> {
        let opened = match self.resume.clone() {
            Some(after) => {
                let position = SdkPosition::builder()
                    .r#type(ShardIteratorType::AfterSequenceNumber)
                    .sequence_number(after);
                self.call(position).await
            }
            None => {
                let at = self.place.iterator_at();
                match self.call(position(at)).await {
                    // The place is before the oldest record: it is found by reading.
                    Err(WireError::Trimmed | WireError::Refused(_)) if at != IteratorAt::Oldest => {
                        self.call(position(IteratorAt::Oldest)).await
                    }
                    opened => opened,
                }
            }
        };
        let opened = opened?;
        let (tell, events) = mpsc::channel(EVENTS_AHEAD);
        Ok(Subscription {
            events,
            leave_at: self.clock.now().mono.plus(LASTS),
            task: tokio::spawn(receive(opened, tell)),
        })
    }

    async fn call(
        &self,
        position: aws_sdk_kinesis::types::builders::StartingPositionBuilder,
    ) -> Result<SubscribeToShardOutput, WireError> {
        let position = position.build().map_err(|e| WireError::Failed(e.to_string()))?;
        // Tried again by the reader, in its own turn; a shard in which nothing happens is no stalled download.
        let config = aws_sdk_kinesis::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        self.share.pace.turn_to_read(self.clock.as_ref()).await;
        let call = self.client.subscribe_to_shard().consumer_arn(&*self.consumer);
        let call = call.shard_id(self.shard.as_str()).starting_position(position);
        let opened = call.customize().config_override(config).send().await;
        let opened = opened.map_err(|e| why("SubscribeToShard", &e));
        let now = self.clock.now().mono;
        match &opened {
            Ok(_) => self.share.pace.read(now, 0),
            Err(WireError::Throttled) => self.share.pace.read_throttled(now),
            Err(_) => {}
        }
        opened
    }

    /// Takes an event: its records, taken apart, and where to go on after it.
    fn take(&mut self, event: SubscribeToShardEvent) -> Result<Option<Gap>, WireError> {
        let now = self.clock.now().wall;
        let behind = Duration::from_millis(u64::try_from(event.millis_behind_latest).unwrap_or(0));
        let mut records = Vec::with_capacity(event.records.len());
        for record in event.records {
            records.extend(aggregate::unpack(convert::record(record, now)?, self.range));
        }
        let (records, gap) = self.place.take(records, now, Some(behind));
        self.pending.extend(records);
        self.behind = behind;
        self.at_end = event.child_shards.is_some_and(|children| !children.is_empty());
        if !event.continuation_sequence_number.is_empty() {
            self.resume = Some(event.continuation_sequence_number);
        }
        Ok(gap)
    }

    fn page(&mut self, credit: Credit, gap: Option<Gap>) -> Page {
        let records = crate::polled::take_within(&mut self.pending, credit);
        let through = records.last().map(|r| r.mark);
        Page {
            lag: Lag {
                millis: u64::try_from(self.behind.as_millis()).unwrap_or(u64::MAX),
                records: None,
            },
            through: through.or(self.place.last().filter(|_| self.pending.is_empty())),
            gap,
            end: self.at_end && self.pending.is_empty(),
            records,
        }
    }

    /// What is missing: the shard, the consumer, or the whole stream?
    async fn explain(&self, error: WireError) -> SourceError {
        if error != WireError::Missing {
            return error.for_stream(&self.consumer);
        }
        match self.stream.shards().await {
            Ok(shards) if shards.iter().any(|s| s.id == self.shard) => {
                SourceError::NotFound(self.consumer.to_string())
            }
            Ok(_) => SourceError::NoSuchShard {
                arn: self.consumer.to_string(),
                shard: self.shard.clone(),
            },
            Err(error) => error,
        }
    }
}

#[async_trait]
impl ShardReader for Reader {
    async fn next(&mut self, credit: Credit) -> Result<Page, SourceError> {
        let mut gap = None;
        if self.pending.is_empty() && !self.at_end {
            let taken = match self.event().await {
                Ok(Some(event)) => self.take(event),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            gap = match taken {
                Ok(gap) => gap,
                Err(error) => return Err(self.explain(error).await),
            };
        }
        let page = self.page(credit, gap);
        if page.end && !self.end_told {
            self.end_told = true;
            self.stream.shard_ended();
        }
        Ok(page)
    }

    async fn wait(&mut self) {
        if self.at_end || !self.pending.is_empty() || self.next_event.is_some() {
            return;
        }
        let Some(subscription) = &mut self.subscription else {
            return;
        };
        tokio::select! {
            event = subscription.events.recv() => match event {
                Some(event) => self.next_event = Some(event),
                None => self.subscription = None,
            },
            () = self.clock.sleep_until(subscription.leave_at) => {}
        }
    }
}

fn position(at: IteratorAt) -> aws_sdk_kinesis::types::builders::StartingPositionBuilder {
    let position = SdkPosition::builder();
    match at {
        IteratorAt::Oldest => position.r#type(ShardIteratorType::TrimHorizon),
        IteratorAt::Record(seq) => position
            .r#type(ShardIteratorType::AtSequenceNumber)
            .sequence_number(seq.to_string()),
        IteratorAt::Time(at) => position
            .r#type(ShardIteratorType::AtTimestamp)
            .timestamp(DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX))),
    }
}

/// Hands on what is pushed, until the subscription ends or nobody wants it any more. A connection that breaks is an
/// end like any other.
async fn receive(mut opened: SubscribeToShardOutput, tell: mpsc::Sender<Event>) {
    loop {
        let event = match opened.event_stream.recv().await {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => Ok(event),
            // Kinds of events that this build does not know.
            Ok(Some(_)) => continue,
            Ok(None) => return,
            Err(error) => match error.code().map(str::to_owned) {
                Some(code) => Err(of_event(&code, error.message())),
                None => return,
            },
        };
        let failed = event.is_err();
        if tell.send(event).await.is_err() || failed {
            return;
        }
    }
}

/// An error that was pushed.
fn of_event(code: &str, told: Option<&str>) -> WireError {
    match code {
        "ResourceNotFoundException" => WireError::Missing,
        _ => of_code(code, told).unwrap_or_else(|| {
            WireError::Failed(format!("SubscribeToShard: {code}: {}", told.unwrap_or_default()))
        }),
    }
}
