//! Retention: removing records that are older than their stream keeps them.
//!
//! Readers never return what is out of retention, so this only gives space back and may come late. What goes is
//! one range per shard, so its price does not depend on how much it is. With it the shard's floor is stored: a
//! shard that is emptied and read again after a restart must not begin anew at offset 0. A closed shard whose
//! records are gone, and whose closing is as long ago, is forgotten; its children stay.

use crate::broker::Inner;
use crate::log::LogError;
use crate::meta::ShardMeta;
use crate::stream::{Stream, detached};
use millstream_ports::{Clock, QueueError, StreamError};
use millstream_store::schema::Range;
use millstream_store::{Batch, Durability};
use millstream_types::Wall;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often retention is looked after.
const INTERVAL: Duration = Duration::from_secs(60);

/// What one round of trimming did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Shards of which records were removed.
    pub shards: usize,
    /// Closed shards that are gone for good.
    pub forgotten: usize,
    /// Messages of queues that were removed.
    pub messages: u64,
    /// Streams and queues that could not be looked after; the next round tries again.
    pub failed: usize,
}

/// Trims once a minute until the broker is gone.
pub(crate) async fn run(broker: Weak<Inner>, clock: Arc<dyn Clock>) {
    loop {
        clock.sleep_until(clock.now().mono.plus(INTERVAL)).await;
        let Some(broker) = broker.upgrade() else { return };
        broker.trim().await;
    }
}

impl Inner {
    pub(crate) async fn trim(&self) -> Trimmed {
        let mut total = Trimmed::default();
        for stream in self.all_streams() {
            let work = Arc::clone(&stream);
            match detached(async move { trim(&work).await }).await {
                Ok(one) => {
                    total.shards += one.shards;
                    total.forgotten += one.forgotten;
                }
                Err(StreamError::NotFound(_)) => {}
                Err(e) => {
                    total.failed += 1;
                    tracing::warn!(stream = %stream.name, error = %e, "retention is tried again in a minute");
                }
            }
        }
        for queue in self.queues.all() {
            let name = queue.name.clone();
            match queue.trim().await {
                Ok(messages) => total.messages += messages,
                Err(QueueError::NotFound(_)) => {}
                Err(e) => {
                    total.failed += 1;
                    tracing::warn!(queue = %name, error = %e, "retention is tried again in a minute");
                }
            }
        }
        total
    }
}

/// What is to be removed of one shard.
struct Plan {
    index: u32,
    remove: Option<(Range, u64)>,
    forget: bool,
}

async fn trim(stream: &Arc<Stream>) -> Result<Trimmed, StreamError> {
    let admin = stream.admin().await?;
    let planning = Arc::clone(stream);
    let planned = tokio::task::spawn_blocking(move || plan(&planning)).await;
    let plans = planned.map_err(|e| StreamError::Unavailable(e.to_string()))?;
    let plans = plans.map_err(|e| StreamError::Unavailable(e.to_string()))?;
    if plans.is_empty() {
        return Ok(Trimmed::default());
    }
    let view = stream.present()?;
    let (mut new, mut batch, mut done) = (view.meta.clone(), Batch::new(), Trimmed::default());
    for Plan {
        index,
        remove,
        forget,
    } in plans
    {
        if let Some((range, trimmed)) = remove {
            done.shards += 1;
            batch.delete_range(range);
            if let (Some(meta), Some(shard)) = (new.shard_mut(index), view.shard(index)) {
                meta.trimmed = trimmed;
                meta.floor = meta.floor.max(shard.next());
            }
        }
        if forget {
            done.forgotten += 1;
            new.shards.retain(|s| s.index != index);
        }
    }
    new.row.revision += u64::from(done.forgotten > 0);
    stream.commit(&admin, batch, new, Durability::Written).await?;
    Ok(done)
}

fn plan(stream: &Stream) -> Result<Vec<Plan>, LogError> {
    let view = stream.view();
    let cutoff = view.meta.cutoff(stream.now());
    let mut plans = Vec::new();
    for meta in &view.meta.shards {
        let plan = plan_shard(stream, meta, cutoff)?;
        if plan.remove.is_some() || plan.forget {
            plans.push(plan);
        }
    }
    Ok(plans)
}

fn plan_shard(stream: &Stream, meta: &ShardMeta, cutoff: Wall) -> Result<Plan, LogError> {
    let view = stream.view();
    let Some(shard) = view.shard(meta.index) else {
        return Ok(Plan {
            index: meta.index,
            remove: None,
            forget: false,
        });
    };
    let (tail, log) = (shard.tail(), stream.log(meta.index));
    let first = log.first(tail.end)?;
    let kept = match first {
        None => tail.end,
        Some(first) if first.arrival >= cutoff => first.base,
        Some(_) => log.first_since(cutoff, tail.end)?,
    };
    let mut remove = None;
    if let Some(first) = first.filter(|first| first.base < kept) {
        let trimmed = log.last(kept)?.map_or(first.end, |last| last.end);
        remove = Some((log.between(first.base, kept), trimmed));
    }
    let forget = kept >= tail.end && meta.closed.is_some_and(|closed| closed.at < cutoff);
    Ok(Plan {
        index: meta.index,
        remove,
        forget,
    })
}
