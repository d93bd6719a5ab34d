//! I8: every record is given up at most once, and the destination has exactly the documents of what was.

use super::{Check, History, Invariant};
use crate::log::Event;
use millstream_types::ids::DiscardId;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Discards {
    arrived: BTreeMap<DiscardId, u64>,
}

impl Check for Discards {
    fn invariant(&self) -> Invariant {
        Invariant::Discards
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        match event {
            Event::Stored { shard, discards, .. } => {
                for mark in discards.iter().flat_map(|d| &d.marks) {
                    let times = history.record(shard, *mark).map_or(0, |r| r.discarded.len());
                    if times > 1 {
                        return Err(format!("{shard}: record {mark} was given up {times} times"));
                    }
                }
                Ok(())
            }
            Event::Document { discard } => {
                *self.arrived.entry(*discard).or_default() += 1;
                match history.discards.get(discard) {
                    Some((_, given)) if given.document => Ok(()),
                    _ => Err(format!(
                        "document of {discard} arrived, which no stored discard asks for"
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, history: &History) -> Result<(), String> {
        let mut wanted = history.discards.values().filter(|d| d.1.document).map(|d| d.1.id);
        if let Some(missing) = wanted.find(|id| !self.arrived.contains_key(id)) {
            return Err(format!("the document of discard {missing} never arrived"));
        }
        let again: u64 = self.arrived.values().map(|n| n - 1).sum();
        if again > history.losses {
            return Err(format!(
                "{again} documents arrived again, with only {} losses of memory",
                history.losses
            ));
        }
        Ok(())
    }
}
