//! Gathers the inside of a mapping's shards: from their consumers where they run, from the journal where not.

use super::children::Consumer;
use crate::context::Context;
use crate::view::{ShardActivity, ShardInspection};
use futures::future::join_all;
use millstream_core::reconcile::Slot;
use millstream_core::shard::{LaneInspection, WindowInspection, stored_checkpoint};
use millstream_types::durable::ShardRecord;
use millstream_types::{MappingId, ShardId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A consumer that takes longer to answer is shown without its inside.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What the supervisor knows when it is asked.
pub(super) struct Known {
    pub(super) context: Arc<Context>,
    pub(super) mapping: MappingId,
    pub(super) listed: Vec<ShardId>,
    pub(super) slots: BTreeMap<ShardId, Slot>,
    pub(super) running: Vec<(ShardId, Consumer)>,
    pub(super) paused: bool,
}

/// All shards that are listed by the source or known otherwise, in the order of their ids.
pub(super) async fn gather(known: Known) -> Vec<ShardInspection> {
    let stored = known
        .context
        .ports
        .journal
        .shards(known.mapping)
        .await
        .unwrap_or_default();
    let stored: BTreeMap<ShardId, ShardRecord> = stored.into_iter().collect();
    let asked = known
        .running
        .iter()
        .map(|(shard, actor)| async move { Some((shard.clone(), actor.inspect(ANSWER_WITHIN).await?)) });
    let mut shown: BTreeMap<ShardId, ShardInspection> = join_all(asked).await.into_iter().flatten().collect();
    let names = known.listed.iter().chain(known.slots.keys()).chain(stored.keys());
    for shard in names {
        shown
            .entry(shard.clone())
            .or_insert_with(|| at_rest(shard, &known, stored.get(shard)));
    }
    shown.into_values().collect()
}

fn at_rest(shard: &ShardId, known: &Known, stored: Option<&ShardRecord>) -> ShardInspection {
    let finished = stored.is_some_and(|r| r.finished);
    let activity = match known.slots.get(shard) {
        Some(Slot::Finished) => ShardActivity::Finished,
        _ if finished => ShardActivity::Finished,
        Some(Slot::Restarting { .. }) => ShardActivity::Restarting,
        Some(Slot::Running { .. }) => ShardActivity::Starting,
        Some(Slot::Draining) => ShardActivity::Draining,
        None if known.paused => ShardActivity::Paused,
        None => ShardActivity::WaitingForParents,
    };
    let mut inspection = ShardInspection::idle(shard.clone(), activity);
    if let Some(record) = stored {
        inspection.checkpoint = stored_checkpoint(record);
        inspection.read_through = record.read_through;
        let lane = |(n, lane): (usize, &millstream_types::durable::LaneRecord)| LaneInspection {
            lane: n as u8,
            done_through: lane.done_through,
            buffered: 0,
            lagging: false,
            batch: None,
        };
        inspection.lanes = record.lanes.iter().enumerate().map(lane).collect();
        let open = record.windows.as_ref().and_then(|w| w.open.as_ref());
        inspection.window = open.map(|w| WindowInspection {
            start: w.start,
            end: w.end,
            state_bytes: w.state.len() as u64,
            ending: w.early,
            early: w.early,
        });
    }
    inspection
}
