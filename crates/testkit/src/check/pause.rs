//! I15: from the answer to a pause nothing starts until it is over; once it is complete nothing runs.
//!
//! An attempt that was let go before the answer may reach its function after it: what is judged here is when a
//! function says that it began. A lane has one attempt at a time, so behind the answer there is at most one such call
//! of a lane, and none if a call of the lane ran at the answer: the next one would have been let go after it.

use super::{Check, History, Invariant};
use crate::log::Event;
use millstream_core::lane_hash::{LANE_HASH_VERSION, lane_of};
use millstream_types::{Mark, ShardId};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Pause {
    pausing: Option<Pausing>,
    paused: bool,
}

/// A pause that was answered.
#[derive(Debug)]
struct Pausing {
    lanes: u8,
    /// Lanes of which nothing more may be seen to start.
    spent: BTreeSet<(ShardId, u8)>,
}

impl Pausing {
    fn lane(&self, history: &History, shard: &ShardId, marks: &[Mark]) -> Option<(ShardId, u8)> {
        let record = history.record(shard, *marks.first()?)?;
        let lane = lane_of(LANE_HASH_VERSION, self.lanes, &record.key);
        Some((shard.clone(), lane))
    }
}

impl Check for Pause {
    fn invariant(&self) -> Invariant {
        Invariant::Pause
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        match event {
            Event::Pausing { lanes } => self.answered(history, *lanes),
            Event::Paused => {
                self.paused = true;
                let running = history.running.len();
                if running > 0 {
                    return Err(format!("the pause was acknowledged while {running} calls ran"));
                }
            }
            Event::Resumed => *self = Self::default(),
            Event::Started {
                call, shard, marks, ..
            } => return self.started(history, *call, shard, marks),
            _ => {}
        }
        Ok(())
    }
}

impl Pause {
    fn answered(&mut self, history: &History, lanes: u8) {
        let mut pausing = Pausing {
            lanes,
            spent: BTreeSet::new(),
        };
        let running = history.running.values();
        pausing.spent = running
            .filter_map(|r| pausing.lane(history, &r.shard, &r.marks))
            .collect();
        self.pausing = Some(pausing);
    }

    fn started(
        &mut self,
        history: &History,
        call: u64,
        shard: &ShardId,
        marks: &[Mark],
    ) -> Result<(), String> {
        if self.paused {
            return Err(format!("call {call} of {shard} started while paused"));
        }
        let Some(pausing) = self.pausing.as_mut() else {
            return Ok(());
        };
        match pausing.lane(history, shard, marks) {
            Some(lane) if !pausing.spent.insert(lane.clone()) => Err(format!(
                "call {call} of {shard}, lane {}, started behind the answer to a pause and behind a call of its lane",
                lane.1
            )),
            _ => Ok(()),
        }
    }
}
