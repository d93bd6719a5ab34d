//! Looks at the mappings, the failure stream and the queues several times a second, for the progress bars, for the
//! producer, which stays a bounded number of records ahead, and to know when everything is done.

use crate::client::Client;
use crate::error::DemoError;
use crate::queue::{QUEUES, QueueScene};
use crate::scene::{FAILURES, FLIGHTS, FUNCTIONS};
use millstream_api::v1::{self, ShardActivity};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const INTERVAL: Duration = Duration::from_millis(150);

/// Nothing new for this long ends the demo.
const STALL_LIMIT: Duration = Duration::from_secs(90);

/// What the producers have put so far, for certain.
#[derive(Debug, Default)]
pub(crate) struct Put {
    pub(crate) flights: AtomicU64,
    /// Messages, in the order of [`QUEUES`].
    pub(crate) messages: [AtomicU64; QUEUES.len()],
}

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) flights: u64,
    /// Documents in the failure stream.
    pub(crate) documents: u64,
    /// In the order of [`QUEUES`].
    pub(crate) messages: [u64; QUEUES.len()],
    /// Of those, the ones that become dead letters.
    pub(crate) refused: [u64; QUEUES.len()],
}

/// What a look showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Per mapping, in the order of [`FUNCTIONS`].
    pub(crate) mappings: [MappingLook; FUNCTIONS.len()],
    /// Flights in the stream, counted before the mappings were looked at.
    pub(crate) flights: u64,
    /// Documents in the failure stream.
    pub(crate) documents: u64,
    /// Flights that were put, counted before anything was looked at.
    pub(crate) put: u64,
    /// In the order of [`QUEUES`].
    pub(crate) queues: [QueueLook; QUEUES.len()],
}

/// One queue, as a look showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueLook {
    /// Messages that were sent, counted before the queue was looked at.
    pub(crate) sent: u64,
    /// Messages in it, whether or not they can be received.
    pub(crate) left: u64,
    /// Messages in its dead-letter queue.
    pub(crate) dead: u64,
}

/// One mapping, as a look showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MappingLook {
    /// Records put but not finished; none while a shard does not know.
    pub(crate) lag: Option<u64>,
    /// Whether every shard runs, without a batch in any lane.
    pub(crate) idle: bool,
}

impl Look {
    /// The longer of the mappings' lags; none while one is unknown.
    pub(crate) fn worst_lag(&self) -> Option<u64> {
        self.mappings
            .iter()
            .map(|mapping| mapping.lag)
            .try_fold(0, |worst, lag| lag.map(|lag| lag.max(worst)))
    }

    /// Whether everything was put and sent, and is finished.
    pub(crate) fn is_done(&self, goal: &Goal) -> bool {
        let finished = |mapping: &MappingLook| mapping.idle && mapping.lag == Some(0);
        let streams = self.flights >= goal.flights && self.documents >= goal.documents;
        let numbers = goal.messages.iter().zip(&goal.refused);
        let emptied = |(queue, (messages, refused)): (&QueueLook, (&u64, &u64))| {
            queue.sent >= *messages && queue.left == 0 && queue.dead >= *refused
        };
        streams && self.mappings.iter().all(finished) && self.queues.iter().zip(numbers).all(emptied)
    }
}

/// A task that looks; ends when dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    looks: watch::Receiver<Look>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts to look. A server that does not answer is looked at again later.
    pub(crate) fn start(client: Client, put: Arc<Put>) -> Self {
        let (sender, looks) = watch::channel(Look::default());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Ok(look) = look(&client, &put).await {
                    sender.send_if_modified(|last| std::mem::replace(last, look) != look);
                }
            }
        });
        Self { looks, task }
    }

    /// The newest look, and every one after it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Look> {
        self.looks.clone()
    }

    /// Waits for a look that satisfies `enough`.
    ///
    /// # Errors
    /// If looks stay the same for a long time.
    pub(crate) async fn until(&self, enough: impl Fn(&Look) -> bool) -> Result<(), DemoError> {
        let mut looks = self.looks.clone();
        while !enough(&looks.borrow_and_update()) {
            if tokio::time::timeout(STALL_LIMIT, looks.changed()).await.is_err() {
                let state = format!("{:?}", *looks.borrow());
                return Err(DemoError::Stalled {
                    seconds: STALL_LIMIT.as_secs(),
                    state,
                });
            }
        }
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(client: &Client, put: &Put) -> Result<Look, DemoError> {
    let mut look = Look {
        put: put.flights.load(Ordering::Relaxed),
        flights: kept(&client.stream(FLIGHTS).await?),
        ..Default::default()
    };
    for (mapping, name) in look.mappings.iter_mut().zip(FUNCTIONS) {
        *mapping = judge(&client.inspect(name).await?.shards);
    }
    look.documents = kept(&client.stream(FAILURES).await?);
    for ((queue, scene), sent) in look.queues.iter_mut().zip(&QUEUES).zip(&put.messages) {
        *queue = look_at_queue(client, scene, sent.load(Ordering::Relaxed)).await?;
    }
    Ok(look)
}

async fn look_at_queue(client: &Client, scene: &QueueScene, sent: u64) -> Result<QueueLook, DemoError> {
    Ok(QueueLook {
        sent,
        left: held(&client.queue(scene.queue).await?),
        dead: held(&client.queue(scene.dead_letters).await?),
    })
}

/// All messages of a queue.
fn held(queue: &v1::Queue) -> u64 {
    let depth = queue.depth.unwrap_or_default();
    let counts = [
        depth.visible_messages,
        depth.hidden_messages,
        depth.delayed_messages,
    ];
    counts
        .into_iter()
        .map(|count| u64::try_from(count).unwrap_or(0))
        .sum()
}

fn kept(stream: &v1::Stream) -> u64 {
    stream
        .shards
        .iter()
        .map(|shard| u64::try_from(shard.record_count).unwrap_or(0))
        .sum()
}

fn judge(shards: &[v1::ShardInspection]) -> MappingLook {
    let lag = |shard: &v1::ShardInspection| shard.lag_records.and_then(|lag| u64::try_from(lag).ok());
    let rests = |shard: &v1::ShardInspection| {
        let runs = matches!(shard.activity(), ShardActivity::Running | ShardActivity::Finished);
        runs && shard
            .lanes
            .iter()
            .all(|lane| lane.batch.is_none() && lane.buffered_records == 0)
    };
    if shards.is_empty() {
        return MappingLook::default();
    }
    MappingLook {
        lag: shards.iter().map(lag).sum(),
        idle: shards.iter().all(rests),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(lag: Option<i64>, activity: ShardActivity, buffered: i32) -> v1::ShardInspection {
        v1::ShardInspection {
            lag_records: lag,
            activity: activity.into(),
            lanes: vec![v1::LaneInspection {
                buffered_records: buffered,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn a_mapping_rests_when_all_its_shards_run_and_hold_nothing() {
        let running = ShardActivity::Running;
        for (shards, lag, idle) in [
            (vec![], None, false),
            (
                vec![shard(Some(2), running, 0), shard(Some(3), running, 0)],
                Some(5),
                true,
            ),
            (
                vec![shard(Some(0), running, 0), shard(None, running, 0)],
                None,
                true,
            ),
            (vec![shard(Some(0), running, 1)], Some(0), false),
            (vec![shard(Some(0), ShardActivity::Starting, 0)], Some(0), false),
        ] {
            assert_eq!(judge(&shards), MappingLook { lag, idle });
        }
    }

    const GOAL: Goal = Goal {
        flights: 9,
        documents: 2,
        messages: [5, 6],
        refused: [1, 2],
    };

    /// Everything done.
    fn done() -> Look {
        let rest = MappingLook {
            lag: Some(0),
            idle: true,
        };
        let queue = |sent, dead| QueueLook { sent, left: 0, dead };
        Look {
            mappings: [rest; 2],
            flights: 9,
            documents: 2,
            put: 9,
            queues: [queue(5, 1), queue(6, 2)],
        }
    }

    #[test]
    fn done_is_when_all_rest_without_lag_and_everything_came() {
        assert!(done().is_done(&GOAL));
        let changes: [fn(&mut Look); 8] = [
            |look| look.flights = 8,
            |look| look.documents = 1,
            |look| look.mappings[0].lag = Some(7),
            |look| look.mappings[0].idle = false,
            |look| look.mappings[1].lag = None,
            |look| look.queues[0].sent = 4,
            |look| look.queues[1].left = 1,
            |look| look.queues[1].dead = 1,
        ];
        for change in changes {
            let mut look = done();
            change(&mut look);
            assert!(!look.is_done(&GOAL), "{look:?}");
        }
    }

    #[test]
    fn the_worst_lag_is_known_if_both_are() {
        for (lags, worst) in [
            ([Some(7), Some(0)], Some(7)),
            ([Some(1), Some(2)], Some(2)),
            ([None, Some(2)], None),
        ] {
            let look = Look {
                mappings: lags.map(|lag| MappingLook { lag, idle: true }),
                ..done()
            };
            assert_eq!(look.worst_lag(), worst);
        }
    }

    #[test]
    fn a_queue_holds_what_can_be_received_and_what_cannot() {
        let queue = v1::Queue {
            depth: Some(v1::QueueDepth {
                visible_messages: 1,
                hidden_messages: 20,
                delayed_messages: 300,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!((held(&queue), held(&v1::Queue::default())), (321, 0));
    }
}
