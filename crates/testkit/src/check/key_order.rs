//! I4: records of one key are handled one after the other, in order.
//!
//! Three rules, the first of which implies order at first success when the events are complete: a record starts
//! only when all earlier ones of its key are finished or come before it in the same batch; first successes come
//! in order; no two calls hold one key at the same time.

use super::history::Running;
use super::{Check, History, Invariant};
use crate::log::Event;
use bytes::Bytes;
use millstream_types::{Mark, ShardId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct KeyOrder {
    newest: BTreeMap<(ShardId, Bytes), Mark>,
}

impl Check for KeyOrder {
    fn invariant(&self) -> Invariant {
        Invariant::KeyOrder
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        match event {
            Event::Started {
                call, shard, marks, ..
            } => {
                if !marks.is_sorted_by(|a, b| a < b) {
                    return Err(format!("call {call} of {shard} is out of order: {marks:?}"));
                }
                follows(history, shard, marks)?;
                alone(history, *call, shard, marks)
            }
            Event::Ended { .. } => match &history.just_ended {
                Some(ended) => self.succeeded(history, ended),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl KeyOrder {
    fn succeeded(&mut self, history: &History, ended: &Running) -> Result<(), String> {
        for mark in &history.just_done {
            let Some(record) = history.record(&ended.shard, *mark).filter(|r| r.successes == 1) else {
                continue;
            };
            let newest = self
                .newest
                .entry((ended.shard.clone(), record.key.clone()))
                .or_insert(*mark);
            if *mark < *newest {
                return Err(format!(
                    "{}: record {mark} succeeded after {newest} of its key",
                    ended.shard
                ));
            }
            *newest = *mark;
        }
        Ok(())
    }
}

fn follows(history: &History, shard: &ShardId, marks: &[Mark]) -> Result<(), String> {
    let Some(facts) = history.shard(shard) else {
        return Ok(());
    };
    let here: BTreeSet<&Mark> = marks.iter().collect();
    for mark in marks {
        let Some(open) = facts.records.get(mark).and_then(|r| facts.open.get(&r.key)) else {
            continue;
        };
        if let Some(earlier) = open.range(..*mark).find(|m| !here.contains(m)) {
            return Err(format!(
                "{shard}: record {mark} started before {earlier} of its key was finished"
            ));
        }
    }
    Ok(())
}

fn alone(history: &History, call: u64, shard: &ShardId, marks: &[Mark]) -> Result<(), String> {
    let others = || {
        history
            .running
            .iter()
            .filter(|(other, r)| **other != call && r.shard == *shard)
    };
    if others().next().is_none() {
        return Ok(());
    }
    let key_of = |mark: &Mark| history.record(shard, *mark).map(|r| &r.key);
    let keys: BTreeSet<&Bytes> = marks.iter().filter_map(key_of).collect();
    for (other, running) in others() {
        if let Some(mark) = running
            .marks
            .iter()
            .find(|m| key_of(m).is_some_and(|k| keys.contains(k)))
        {
            return Err(format!(
                "{shard}: call {call} holds the key of record {mark}, which call {other} holds too"
            ));
        }
    }
    Ok(())
}
