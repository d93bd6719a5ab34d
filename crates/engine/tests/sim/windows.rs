//! Tumbling windows: the function's state is the list of the records that it was given in the window, so that what it
//! gets back tells which of them it stands for.
//!
//! No record may be missing from its window's state, or be in it twice; and no window may begin before the last
//! invocation of the one before it was over.

use crate::judge::StreamJudge;
use crate::world::World;
use bytes::Bytes;
use millstream_types::durable::Discard;
use millstream_types::{MappingId, Record, Seq, ShardId, Wall, WindowEnvelope};
use std::collections::{BTreeMap, BTreeSet};

type Place = (MappingId, ShardId);

/// What is known of all windows.
#[derive(Default)]
pub(crate) struct Windows {
    /// The last records of windows whose last invocation succeeded, or was given up.
    ended: BTreeSet<(Place, Seq)>,
    /// Records of which the store was told that they are given up.
    given_up: BTreeSet<(Place, Seq)>,
    /// Last invocations that run, with the window's last record.
    ending: BTreeMap<u64, (Place, Seq)>,
}

/// The records that a state stands for.
fn records_of(state: &[u8]) -> Vec<Seq> {
    let text = String::from_utf8_lossy(state);
    let list = text
        .split(r#""n":""#)
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let numbers = list.unwrap_or_default().split_whitespace();
    numbers.map(|n| Seq::parse(n.as_bytes()).unwrap()).collect()
}

/// What a function answers: its state with these records added, and which of them failed.
pub(crate) fn answer(window: &WindowEnvelope, done: &[Record], failed: &[&str]) -> Bytes {
    let mut numbers: Vec<String> = records_of(&window.state).iter().map(Seq::to_string).collect();
    numbers.extend(done.iter().map(|r| r.mark.seq.to_string()));
    let failed: Vec<String> = failed
        .iter()
        .map(|id| format!(r#"{{"itemIdentifier":"{id}"}}"#))
        .collect();
    let (state, failed) = (numbers.join(" "), failed.join(","));
    format!(r#"{{"state":{{"n":"{state}"}},"batchItemFailures":[{failed}]}}"#).into()
}

impl World {
    /// Judges what a call is told of its window.
    pub(crate) fn window_begins(
        &mut self,
        call: u64,
        place: Place,
        length_s: u32,
        window: Option<&WindowEnvelope>,
        records: &[Record],
    ) {
        let Some(judge) = self.judges.streams.get(&place.0) else {
            return;
        };
        let known = self.known(judge, &place.1);
        let wrong = match (window, length_s) {
            (None, 0) => None,
            (None, _) => Some("a call without a window".to_owned()),
            (Some(_), 0) => Some("a call with a window, and there are none".to_owned()),
            (Some(window), length) => self
                .windows
                .may_begin(&place, length, window, records, &known)
                .err(),
        };
        if let Some(what) = wrong {
            self.wrong(format!("windows of {}: {what}", place.1));
        }
        let Some(window) = window else { return };
        let (from, to, state) = (
            window.start.0,
            window.end.0,
            String::from_utf8_lossy(&window.state),
        );
        let last = if window.is_final { ", the last call" } else { "" };
        self.write(&format!(
            "call {call} of window {from} to {to}, state {state}{last}"
        ));
        if !window.state.is_empty() && window.state != "{}" {
            self.seen("state of a window carried on");
        }
        if let (true, Some(last)) = (window.is_final, records_of(&window.state).pop()) {
            self.windows.ending.insert(call, (place, last));
        }
    }

    /// A call is over, or nobody hears of it any more.
    pub(crate) fn window_ends(&mut self, call: u64, succeeded: bool) {
        if let Some(end) = self.windows.ending.remove(&call).filter(|_| succeeded) {
            self.seen("window ended");
            self.windows.ended.insert(end);
        }
    }

    /// The store was told of discards.
    pub(crate) fn window_discards(&mut self, place: &Place, discards: &[(Discard, Vec<Seq>)]) {
        for (discard, records) in discards {
            let given = records.iter().map(|seq| (place.clone(), *seq));
            self.windows.given_up.extend(given);
            let is_last = records.is_empty() && discard.window.is_some();
            if let Some(last) = records_of(&discard.payload).pop().filter(|_| is_last) {
                self.windows.ended.insert((place.clone(), last));
            }
        }
    }

    /// What is left open at the end, though nothing is to come.
    pub(crate) fn open_windows(&self) -> Vec<String> {
        let mut open = Vec::new();
        let judges = self.judges.streams.iter();
        for (id, judge) in judges.filter(|(id, j)| j.window_seconds() > 0 && !self.judges.is_gone(**id)) {
            for shard in self.judges.shards_of(*id) {
                let (known, place) = (self.known(judge, &shard), (*id, shard));
                if let Some(last) = self.windows.last_done(&place, known.iter().map(|k| &k.0))
                    && !self.windows.ended.contains(&(place.clone(), *last))
                {
                    open.push(format!(
                        "{} {}: the window of {last} never ended",
                        judge.name, place.1
                    ));
                }
            }
        }
        open
    }

    /// The records of a shard that the mapping is to handle.
    fn known(&self, judge: &StreamJudge, shard: &ShardId) -> Vec<(Seq, Wall)> {
        let records = self.streams[judge.stream].state.records(shard).iter();
        let wanted = records.filter(|r| judge.expects(shard, &r.partition_key, r.arrival));
        wanted.map(|r| (r.mark.seq, r.arrival)).collect()
    }
}

impl Windows {
    fn last_done<'a>(
        &self,
        place: &Place,
        known: impl DoubleEndedIterator<Item = &'a Seq>,
    ) -> Option<&'a Seq> {
        known
            .rev()
            .find(|seq| !self.given_up.contains(&(place.clone(), **seq)))
    }

    fn may_begin(
        &self,
        place: &Place,
        length_s: u32,
        window: &WindowEnvelope,
        records: &[Record],
        known: &[(Seq, Wall)],
    ) -> Result<(), String> {
        let length = u64::from(length_s) * 1_000;
        if !window.start.0.is_multiple_of(length) || window.end.0 - window.start.0 != length {
            return Err(format!("{:?} to {:?} is no window", window.start, window.end));
        }
        if window.is_final != records.is_empty() {
            return Err("the last invocation has no records, and no other has none".to_owned());
        }
        if let Some(late) = records.iter().find(|r| r.arrival >= window.end) {
            return Err(format!(
                "{} came at {:?}, after the end of its window",
                late.mark, late.arrival
            ));
        }
        let mut run = records_of(&window.state);
        run.extend(records.iter().map(|r| r.mark.seq));
        let Some(first) = run.first() else { return Ok(()) };
        let before = known.iter().map(|k| &k.0).take_while(|seq| *seq < first);
        if let Some(last) = self.last_done(place, before.collect::<Vec<_>>().into_iter())
            && !self.ended.contains(&(place.clone(), *last))
        {
            return Err(format!(
                "a window begins with {first}, and the one before, of {last}, has not ended"
            ));
        }
        for pair in run.windows(2) {
            if pair[0] >= pair[1] {
                return Err(format!("{} is behind {} in its state", pair[1], pair[0]));
            }
            let between = known
                .iter()
                .map(|k| &k.0)
                .filter(|seq| **seq > pair[0] && **seq < pair[1]);
            if let Some(missing) = self.last_done(place, between.collect::<Vec<_>>().into_iter()) {
                return Err(format!("{missing} is missing from the state behind it"));
            }
        }
        let Some(last) = run.last().filter(|_| window.is_final) else {
            return Ok(());
        };
        let left = known
            .iter()
            .filter(|(seq, arrival)| seq > last && *arrival < window.end)
            .map(|k| &k.0);
        match self.last_done(place, left.collect::<Vec<_>>().into_iter()) {
            Some(left) => Err(format!("the window ends before {left}, which is of it")),
            None => Ok(()),
        }
    }
}
