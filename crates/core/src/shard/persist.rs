//! To and from the shard's record, and the watermark over the lanes.

use super::carried::Carried;
use super::commits::{Commits, StoredProgress};
use super::config::ShardConfig;
use super::cursors::Cursors;
use super::inspect::Counters;
use super::lane::Lane;
use super::machine::{Mode, ShardMachine};
use super::windows::Windows;
use crate::ids::IdSource;
use crate::lane_hash::LANE_HASH_VERSION;
use crate::mutant::{self, Mutant};
use millstream_types::durable::{HeadRecord, LaneRecord, ShardRecord};
use millstream_types::{Mark, Now, Position};

impl ShardMachine {
    /// A machine for a shard that starts at `start`, or goes on where `stored` says. `seed` must be new for
    /// every acquisition: request ids and jitter come from it.
    #[must_use]
    pub fn new(
        config: ShardConfig,
        start: Position,
        mut stored: Option<ShardRecord>,
        seed: u128,
        now: Now,
    ) -> Self {
        let windows = stored.as_mut().and_then(|record| record.windows.take());
        let windows = Windows::resume(config.tumbling, windows);
        let resumed = stored.map_or_else(
            || Resumed::fresh(config.lanes),
            |record| Resumed::from(record, config.lanes),
        );
        let start = resumed.start.unwrap_or(start);
        let mut lanes = resumed.lanes;
        for lane in &mut lanes {
            lane.idle_since = now.mono;
        }
        let through = resumed.cursors.read_through;
        let done_through: Vec<Option<Mark>> = lanes.iter().map(|l| l.finished_through(through)).collect();
        let checkpoint = if resumed.finished {
            Position::End
        } else {
            done_through
                .iter()
                .min()
                .copied()
                .flatten()
                .map_or(start, Position::After)
        };
        Self {
            ids: IdSource::new(seed),
            start,
            stored: StoredProgress {
                checkpoint,
                done_through,
            },
            lanes,
            carried: resumed.carried,
            stored_through: resumed.cursors.read_through,
            cursors: resumed.cursors,
            windows,
            commits: Commits::default(),
            mode: Mode::Running,
            now,
            attempts: 0,
            held: None,
            finish_stored: resumed.finished,
            counters: Counters::default(),
            last_attempt_failed: None,
            config,
        }
    }

    /// Every record up to here is finished; none while that holds for no record.
    #[must_use]
    pub fn watermark(&self) -> Option<Mark> {
        let through = self.cursors.read_through;
        self.lanes
            .iter()
            .map(|l| l.finished_through(through))
            .min()
            .flatten()
    }

    /// The checkpoint: where reading would go on had there never been more than this mapping's progress.
    #[must_use]
    pub fn checkpoint(&self) -> Position {
        if self.finish_stored {
            Position::End
        } else {
            self.watermark().map_or(self.start, Position::After)
        }
    }

    pub(super) fn record(&self, finished: bool) -> ShardRecord {
        let through = self.cursors.read_through;
        let lane = |l: &Lane| LaneRecord {
            done_through: stored_through(l, through),
            head: l.restoring.clone().or_else(|| l.head.as_ref()?.stored()),
        };
        ShardRecord {
            generation: self.config.generation,
            start: self.start,
            lane_hash: LANE_HASH_VERSION,
            lanes: self.lanes.iter().map(lane).collect(),
            prior: self.carried.stored(self.watermark()),
            read_through: through,
            at_end: self.cursors.at_end,
            finished,
            windows: self.windows.as_ref().map(Windows::stored),
        }
    }
}

/// How far a lane is stored as finished.
fn stored_through(lane: &Lane, through: Option<Mark>) -> Option<Mark> {
    let finished = lane.finished_through(through);
    match &lane.head {
        Some(head) if mutant::on(Mutant::CommitBeforeSuccess) && lane.in_flight() => {
            finished.max(head.last_mark())
        }
        _ => finished,
    }
}

/// The checkpoint that a stored record stands for.
#[must_use]
pub fn stored_checkpoint(record: &ShardRecord) -> Position {
    if record.finished {
        return Position::End;
    }
    record
        .lanes
        .iter()
        .map(|l| l.done_through)
        .min()
        .flatten()
        .map_or(record.start, Position::After)
}

struct Resumed {
    start: Option<Position>,
    lanes: Vec<Lane>,
    carried: Carried,
    cursors: Cursors,
    finished: bool,
}

impl Resumed {
    fn fresh(lanes: u8) -> Self {
        Self {
            start: None,
            lanes: vec![Lane::default(); lanes.into()],
            carried: Carried::default(),
            cursors: Cursors::default(),
            finished: false,
        }
    }

    fn from(record: ShardRecord, lanes: u8) -> Self {
        let same = record.lanes.len() == usize::from(lanes) && record.lane_hash == LANE_HASH_VERSION;
        let (start, finished) = (Some(record.start), record.finished);
        let mut resumed = if same {
            Self::same_lanes(record)
        } else {
            Self::other_lanes(record, lanes)
        };
        resumed.start = start;
        resumed.finished = finished;
        resumed
    }

    /// The two cursors open as they stood: lanes behind the main cursor catch up.
    fn same_lanes(record: ShardRecord) -> Self {
        let through = record.read_through;
        let lane = |l: LaneRecord| Lane {
            lagging: (l.done_through < through && !mutant::on(Mutant::RestartSkipsUnfinished))
                .then_some(l.done_through),
            ..resumed_lane(l.done_through, l.head)
        };
        Self {
            start: None,
            lanes: record.lanes.into_iter().map(lane).collect(),
            carried: Carried::new(record.prior),
            cursors: Cursors {
                read_through: through,
                at_end: record.at_end,
                ..Cursors::default()
            },
            finished: false,
        }
    }

    /// Reading goes back to the watermark; what other lanes finished beyond it is skipped.
    fn other_lanes(record: ShardRecord, factor: u8) -> Self {
        let done = record.lanes.iter().map(|l| l.done_through);
        let watermark = match mutant::on(Mutant::WatermarkHighest) {
            true => done.max(),
            false => done.min(),
        }
        .flatten();
        let carried = Carried::with(record.prior, record.lane_hash, &record.lanes);
        let mut lanes = vec![resumed_lane(watermark, None); factor.into()];
        let ended = record.lanes.into_iter().next().and_then(window_end);
        if let (Some(lane), Some(head)) = (lanes.first_mut(), ended) {
            lane.restoring = Some(head);
        }
        let cursors = Cursors {
            read_through: watermark,
            ..Cursors::default()
        };
        Self {
            start: None,
            lanes,
            carried,
            cursors,
            finished: false,
        }
    }
}

/// The part of a lane's batch that ends a tumbling window, if it was the one that failed last: it has no records by
/// which another number of lanes could find it.
fn window_end(lane: LaneRecord) -> Option<HeadRecord> {
    let last = lane.head?.segments.pop().filter(|s| s.last.is_none())?;
    Some(HeadRecord { segments: vec![last] })
}

fn resumed_lane(done_through: Option<Mark>, head: Option<HeadRecord>) -> Lane {
    // A head that was overtaken by other lanes' progress has nothing left to restore; one without records cannot be.
    let left = |h: &HeadRecord| {
        let last = h.segments.first().map(|s| s.last);
        last.is_some_and(|last| last.is_none() || last > done_through)
    };
    let restoring = head.filter(left);
    Lane {
        done_through,
        restoring,
        ..Lane::default()
    }
}
