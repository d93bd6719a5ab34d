//! Looks at the mappings and the failure stream several times a second, for the progress bars, for the producer,
//! which stays a bounded number of records ahead, and to know when everything is done.

use crate::client::Client;
use crate::error::DemoError;
use crate::scene::{FAILURES, FLIGHTS, FUNCTIONS};
use millstream_api::v1::{self, ShardActivity};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const INTERVAL: Duration = Duration::from_millis(150);

/// Nothing new for this long ends the demo.
const STALL_LIMIT: Duration = Duration::from_secs(90);

/// What a look showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Per mapping, in the order of [`FUNCTIONS`].
    pub(crate) mappings: [MappingLook; FUNCTIONS.len()],
    /// Flights in the stream, counted before the mappings were looked at.
    pub(crate) flights: u64,
    /// Documents in the failure stream.
    pub(crate) documents: u64,
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

    /// Whether so many flights were put and are finished, and so many documents are in the failure stream.
    pub(crate) fn is_done(&self, flights: u64, documents: u64) -> bool {
        let finished = |mapping: &MappingLook| mapping.idle && mapping.lag == Some(0);
        self.flights >= flights && self.documents >= documents && self.mappings.iter().all(finished)
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
    pub(crate) fn start(client: Client) -> Self {
        let (sender, looks) = watch::channel(Look::default());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Ok(look) = look(&client).await {
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

async fn look(client: &Client) -> Result<Look, DemoError> {
    let mut look = Look {
        flights: kept(&client.stream(FLIGHTS).await?),
        ..Default::default()
    };
    for (mapping, name) in look.mappings.iter_mut().zip(FUNCTIONS) {
        *mapping = judge(&client.inspect(name).await?.shards);
    }
    look.documents = kept(&client.stream(FAILURES).await?);
    Ok(look)
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

    #[test]
    fn done_is_when_both_rest_without_lag_and_every_document_came() {
        let mapping = |lag, idle| MappingLook { lag, idle };
        let rest = mapping(Some(0), true);
        for (mappings, flights, documents, done, worst) in [
            ([rest, rest], 9, 2, true, Some(0)),
            ([rest, rest], 8, 2, false, Some(0)),
            ([rest, rest], 9, 1, false, Some(0)),
            ([mapping(Some(7), true), rest], 9, 2, false, Some(7)),
            ([mapping(Some(0), false), rest], 9, 2, false, Some(0)),
            ([mapping(None, true), rest], 9, 2, false, None),
        ] {
            let look = Look {
                mappings,
                flights,
                documents,
            };
            assert_eq!((look.is_done(9, 2), look.worst_lag()), (done, worst), "{look:?}");
        }
    }
}
