//! I10: nothing of a child shard starts before its parents are finished.

use super::{Check, History, Invariant};
use crate::log::Event;

#[derive(Debug)]
pub(super) struct Lineage;

impl Check for Lineage {
    fn invariant(&self) -> Invariant {
        Invariant::Lineage
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        let Event::Started { shard, .. } = event else {
            return Ok(());
        };
        let parents = history.shard(shard).map_or(&[][..], |s| &s.parents);
        let unfinished =
            |p: &&millstream_types::ShardId| history.shard(p).is_some_and(|s| s.finished.is_none());
        match parents.iter().find(unfinished) {
            Some(parent) => Err(format!("{shard} started before its parent {parent} was finished")),
            None => Ok(()),
        }
    }
}
