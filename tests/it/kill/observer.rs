//! Looks at the inside of the mapping all the time.

use super::{Lives, MAPPING, Nanos, now};
use millstream_api::v1;
use millstream_testkit::Progress;
use millstream_types::{Mark, Seq, ShardId};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

const PAUSE: Duration = Duration::from_millis(15);

/// Judging a look takes longer the more records there are: a long run keeps so many, evenly spread.
const MOST_LOOKS: usize = 4_000;

/// The mapping as it was when an answer had come.
#[derive(Debug)]
pub(super) struct Look {
    /// When.
    pub(super) at: Nanos,
    /// Shard, epoch and progress of each shard that somebody holds.
    pub(super) shards: Vec<(ShardId, u64, Progress)>,
}

impl Look {
    /// What an inspection says.
    pub(super) fn at(at: Nanos, inspection: &v1::MappingInspection) -> Self {
        let held = inspection.shards.iter().filter_map(|shard| {
            let epoch = u64::try_from(shard.lease.as_ref()?.epoch).unwrap();
            let lanes = shard.lanes.iter().map(|l| mark(&l.done_through)).collect();
            Some((
                shard.shard_id.parse().unwrap(),
                epoch,
                Progress {
                    lanes,
                    finished: false,
                },
            ))
        });
        Self {
            at,
            shards: held.collect(),
        }
    }
}

/// `sequence` or `sequence.index`; none for an empty text.
pub(super) fn mark(text: &str) -> Option<Mark> {
    let (seq, sub) = text.split_once('.').unwrap_or((text, "0"));
    (!text.is_empty()).then(|| Mark {
        seq: seq.parse::<Seq>().unwrap(),
        sub: sub.parse().unwrap(),
    })
}

/// Until told to stop.
pub(super) async fn run(mut lives: Lives, mut stopping: watch::Receiver<bool>) -> Vec<Look> {
    let mut looks = Vec::new();
    while !*stopping.borrow_and_update() {
        let client = tokio::select! {
            client = super::alive(&mut lives) => client,
            _ = stopping.changed() => continue,
        };
        if let Ok(inspection) = client.inspect(MAPPING).await {
            looks.push(Look::at(now(), &inspection));
        }
        sleep(PAUSE).await;
    }
    let step = looks.len().div_ceil(MOST_LOOKS).max(1);
    looks.into_iter().step_by(step).collect()
}
