//! I11: a record that succeeded is not handled again, unless its success was lost from memory before it was
//! stored.

use super::{Check, History, Invariant};
use crate::log::Event;

/// How many repetitions are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateBound {
    /// Every write is in the log: a record succeeds again only if no write that is left covered it when memory
    /// was lost, and what a write covers never starts again.
    Exact,
    /// So many per loss of memory.
    PerLoss(u64),
}

#[derive(Debug)]
pub(super) struct Duplicates {
    bound: DuplicateBound,
}

impl Duplicates {
    pub(super) fn new(bound: DuplicateBound) -> Self {
        Self { bound }
    }
}

impl Check for Duplicates {
    fn invariant(&self) -> Invariant {
        Invariant::Duplicates
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        if self.bound != DuplicateBound::Exact {
            return Ok(());
        }
        match event {
            Event::Started { shard, marks, .. } => {
                let settled = |m: &&millstream_types::Mark| {
                    history.record(shard, **m).is_some_and(|r| r.settled.is_some())
                };
                match marks.iter().find(settled) {
                    Some(mark) => Err(format!(
                        "{shard}: record {mark} started again, though stored as finished"
                    )),
                    None => Ok(()),
                }
            }
            Event::Ended { .. } => {
                let Some(ended) = &history.just_ended else {
                    return Ok(());
                };
                for mark in &history.just_done {
                    let Some(record) = history.record(&ended.shard, *mark) else {
                        continue;
                    };
                    if record.successes > 1 + record.repeats {
                        return Err(format!(
                            "{}: record {mark} succeeded again without a loss",
                            ended.shard
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, history: &History) -> Result<(), String> {
        let DuplicateBound::PerLoss(per_loss) = self.bound else {
            return Ok(());
        };
        let (duplicates, most) = (history.duplicates(), per_loss * history.losses);
        if duplicates > most {
            return Err(format!(
                "{duplicates} repetitions, with {} losses at most {most}",
                history.losses
            ));
        }
        Ok(())
    }
}
