//! Judges tumbling windows: a state never stands before or behind the position it is stored with, what succeeded in
//! windows is in the last state of one, and nothing is in two unless a crash came between.
//!
//! The function adds the numbers of its records to the state, which so tells exactly what is in it.

use super::world::World;
use crate::rig::{mapping, number};
use bytes::Bytes;
use millstream_core::verdict::{Verdict, verdict};
use millstream_types::durable::{Discard, ShardRecord};
use millstream_types::{Mark, Outcome, Record, ShardId, WindowEnvelope};
use std::collections::{BTreeMap, BTreeSet};

/// What became of records and windows.
#[derive(Debug, Default)]
pub struct Windows {
    /// In the last state of a window, after so many losses of memory.
    told: BTreeMap<(ShardId, u64), u64>,
    /// Windows that ended, not early, by start and end, under a generation of the settings, after so many losses.
    ended: BTreeMap<(ShardId, u64, u64, u64), u64>,
    /// Given up.
    given: BTreeSet<(ShardId, u64)>,
    /// Succeeded outside windows.
    plain: BTreeSet<(ShardId, u64)>,
    pub losses: u64,
}

/// The numbers in a state.
fn numbers(state: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(state).unwrap();
    let list = text.trim_matches(['[', ']', '{', '}']);
    let parts = list.split(',').filter(|n| !n.is_empty());
    parts.map(|n| n.parse().unwrap()).collect()
}

/// The answer with the state in it, if it is one: of the records that are done.
pub fn with_state(outcome: Outcome, records: &[Record], report: bool, window: &WindowEnvelope) -> Outcome {
    let Outcome::Response(body) = &outcome else {
        return outcome;
    };
    let done = match verdict(&outcome, records, report) {
        Verdict::Done => records.len(),
        Verdict::FailedFrom { index, .. } => index,
        Verdict::Failed { .. } | Verdict::Throttled { .. } => 0,
    };
    let mut all = numbers(&window.state);
    all.extend(records[..done].iter().map(|r| number(r.mark)));
    let all: Vec<String> = all.iter().map(u64::to_string).collect();
    let rest = std::str::from_utf8(&body[1..]).unwrap();
    let comma = if rest == "}" { "" } else { "," };
    Outcome::Response(Bytes::from(format!(
        "{{\"state\":[{}]{comma}{rest}",
        all.join(",")
    )))
}

impl World {
    /// What a batch is sent with: its records belong to the window, and follow what is in the state.
    pub fn judge_call(&mut self, shard: &ShardId, records: &[Record], window: &WindowEnvelope) {
        let seen = numbers(&window.state);
        if !seen.is_sorted_by(|a, b| a < b) {
            self.wrong(format!("{shard}: a state out of order: {seen:?}"));
        }
        if let Some(first) = records.first()
            && seen.last().is_some_and(|last| *last >= number(first.mark))
        {
            self.wrong(format!("{shard}: {first:?} is in the state already: {seen:?}"));
        }
        if let Some(late) = records.iter().find(|r| r.arrival >= window.end) {
            self.wrong(format!("{shard}: {late:?} is not in {window:?}"));
        }
        if records.is_empty() != window.is_final {
            self.wrong(format!("{shard}: {} records in {window:?}", records.len()));
        }
    }

    /// A call succeeded for the first `done` records.
    pub fn judge_success(&mut self, shard: &ShardId, done: &[Mark], window: Option<&WindowEnvelope>) {
        let Some(window) = window else {
            let done = done.iter().map(|m| (shard.clone(), number(*m)));
            return self.windows.plain.extend(done);
        };
        if !window.is_final {
            return;
        }
        self.summary.windows_ended += 1;
        self.summary.windows_early += u64::from(window.terminated_early);
        self.tell(shard, &numbers(&window.state));
        if !window.terminated_early {
            let losses = self.windows.losses;
            let key = (shard.clone(), window.start.0, window.end.0, self.generation);
            if self.windows.ended.insert(key, losses) == Some(losses) {
                self.wrong(format!("{shard}: {window:?} ended twice"));
            }
        }
    }

    /// These are in the last state of a window.
    fn tell(&mut self, shard: &ShardId, seen: &[u64]) {
        let losses = self.windows.losses;
        for n in seen {
            if self.windows.told.insert((shard.clone(), *n), losses) == Some(losses) {
                self.wrong(format!("{shard}: {n} is in two windows"));
            }
        }
    }

    /// What is stored: a state holds all that is finished since its window opened, and nothing else.
    pub fn judge_stored(&mut self, shard: &ShardId, record: &ShardRecord, discards: &[(Vec<Mark>, Discard)]) {
        for (marks, discard) in discards {
            let marks = marks.iter().map(|m| (shard.clone(), number(*m)));
            self.windows.given.extend(marks);
            if discard.window.is_some_and(|w| w.is_final) {
                let payload = String::from_utf8_lossy(&discard.payload).into_owned();
                let state = payload.split("\"state\":").nth(1).unwrap_or_default();
                let state = state.split(",\"shardId\"").next().unwrap_or_default();
                self.tell(shard, &numbers(state.as_bytes()));
            }
        }
        let Some(open) = record.windows.as_ref().and_then(|w| w.open.as_ref()) else {
            return;
        };
        let [lane] = &record.lanes[..] else { return };
        let (seen, through) = (numbers(&open.state), lane.done_through);
        let Some(first) = seen.first() else { return };
        let behind: Vec<u64> = self
            .stream
            .records(shard)
            .iter()
            .filter(|r| Some(r.mark) <= through && number(r.mark) >= *first)
            .map(|r| number(r.mark))
            .filter(|n| {
                let key = (shard.clone(), *n);
                let elsewhere = self.windows.given.contains(&key) || self.windows.plain.contains(&key);
                !seen.contains(n) && !elsewhere
            })
            .collect();
        let ahead = seen.last() > through.map(number).as_ref();
        if ahead || !behind.is_empty() {
            self.wrong(format!(
                "{shard}: stored through {through:?} with {seen:?}: {behind:?} are missing"
            ));
        }
    }

    /// All is quiet: every record that is still there was given up, or succeeded outside windows or is in the last
    /// state of one; and no window is open.
    pub fn judge_windows(&self) -> Result<(), String> {
        for info in self.stream.infos() {
            for record in self.stream.records(&info.id) {
                let key = (info.id.clone(), number(record.mark));
                let w = &self.windows;
                if !w.told.contains_key(&key) && !w.plain.contains(&key) && !w.given.contains(&key) {
                    return Err(format!("{}: {} is in no window that ended", key.0, key.1));
                }
            }
            let record = self.journal.record(mapping(), &info.id);
            if let Some(open) = record.and_then(|r| r.windows.as_ref()?.open.as_ref()) {
                return Err(format!("{}: {open:?} is still open", info.id));
            }
        }
        Ok(())
    }
}
