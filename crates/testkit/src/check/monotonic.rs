//! I3: what is stored as a shard's checkpoint never goes back, nor does its owner's epoch (I5).

use super::{Check, History, Invariant};
use crate::log::Event;
use millstream_types::{Mark, ShardId};
use std::collections::BTreeMap;

/// Per shard, every step forward: the write, the epoch, the checkpoint. A write that is lost takes its step back.
#[derive(Debug, Default)]
pub(super) struct Monotonic {
    steps: BTreeMap<ShardId, Vec<Step>>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    number: u64,
    epoch: u64,
    checkpoint: Option<Mark>,
    finished: bool,
}

impl Check for Monotonic {
    fn invariant(&self) -> Invariant {
        Invariant::Monotonic
    }

    fn observe(&mut self, _history: &History, event: &Event) -> Result<(), String> {
        match event {
            Event::Stored {
                number,
                shard,
                epoch,
                progress: Some(progress),
                ..
            } => {
                let (checkpoint, finished) = (progress.checkpoint(), progress.finished);
                self.step(
                    shard,
                    Step {
                        number: *number,
                        epoch: *epoch,
                        checkpoint,
                        finished,
                    },
                )
            }
            Event::Lost { kept: Some(kept), .. } => {
                for steps in self.steps.values_mut() {
                    steps.retain(|s| s.number <= *kept);
                }
                Ok(())
            }
            Event::Sought { shard } => {
                self.steps.remove(shard);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Monotonic {
    fn step(&mut self, shard: &ShardId, step: Step) -> Result<(), String> {
        let steps = self.steps.entry(shard.clone()).or_default();
        if let Some(last) = steps.last() {
            if step.epoch < last.epoch {
                return Err(format!("{shard}: epoch {} after {}", step.epoch, last.epoch));
            }
            if step.checkpoint < last.checkpoint || (last.finished && !step.finished) {
                return Err(format!("{shard}: from {last:?} back to {step:?}"));
            }
        }
        steps.push(step);
        Ok(())
    }
}
