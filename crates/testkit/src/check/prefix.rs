//! I2: stored progress covers only records that are finished.

use super::{Check, History, Invariant};
use crate::log::Event;

#[derive(Debug)]
pub(super) struct Prefix;

impl Check for Prefix {
    fn invariant(&self) -> Invariant {
        Invariant::Prefix
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        let Event::Stored {
            shard,
            progress: Some(progress),
            ..
        } = event
        else {
            return Ok(());
        };
        let Some(facts) = history.shard(shard) else {
            return Ok(());
        };
        for (key, open) in &facts.open {
            let Some(mark) = open.first() else { continue };
            if progress.finished || progress.covers(key, *mark) {
                return Err(format!(
                    "{shard}: progress {progress:?} covers record {mark}, which is not finished"
                ));
            }
        }
        Ok(())
    }
}
