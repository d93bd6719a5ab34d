//! Puts what everybody noted into one order, and judges it.

use super::observer::{Look, mark};
use super::operator::Pause;
use super::producer::Put;
use super::{BATCH, FACTOR, FAILURES, MAPPING, Nanos, RETRIES, STREAM};
use crate::client::Client;
use crate::function::{self, Call};
use bytes::Bytes;
use millstream_api::v1;
use millstream_testkit::check::{Checkers, DuplicateBound};
use millstream_testkit::{CallResult, Event, Given, Progress};
use millstream_types::durable::DiscardCondition;
use millstream_types::ids::DiscardId;
use millstream_types::{Mark, ShardId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Progress that was seen is surely written so much later: a checkpoint after success is written, not awaited.
const WRITTEN_WITHIN: Nanos = Duration::from_millis(500).as_nanos();
/// Most open shards there ever were: three, and one more after a split.
const MOST_SHARDS: u64 = 4;

/// What is left when all is quiet.
pub(super) struct Evidence {
    shards: Vec<v1::Shard>,
    /// By shard.
    records: BTreeMap<String, Vec<v1::StreamRecord>>,
    calls: Vec<Call>,
    discards: Vec<v1::Discard>,
    documents: Vec<v1::StreamRecord>,
    attempts: Vec<v1::LedgerEntry>,
}

impl Evidence {
    /// Reads all of it.
    pub(super) async fn gather(client: &Client, calls: &Path) -> Self {
        let shards = client.stream(STREAM).await.unwrap().shards;
        let mut records = BTreeMap::new();
        for shard in &shards {
            records.insert(shard.shard_id.clone(), client.read_shard(STREAM, &shard.shard_id).await);
        }
        let failures = client.stream(FAILURES).await.unwrap().shards;
        Self {
            shards,
            records,
            calls: function::calls(calls),
            discards: client.given_up(MAPPING).await,
            documents: client.read_shard(FAILURES, &failures[0].shard_id).await,
            attempts: client.attempts(MAPPING).await,
        }
    }

    /// # Panics
    /// If anything is not as it must be.
    pub(super) fn judge(&self, put: &Put, pauses: &[Pause], looks: &[Look], lost: &[Nanos]) {
        self.every_acknowledged_record_is_there(put);
        self.exactly_the_failing_records_are_given_up();
        self.the_history_is_true();
        self.no_older_owner_calls();
        let bound = DuplicateBound::PerLoss(MOST_SHARDS * FACTOR as u64 * BATCH as u64);
        let mut checkers = Checkers::new(bound);
        let events = self.events(pauses, looks, lost);
        for (at, (_, event)) in events.iter().enumerate() {
            if let Err(violation) = checkers.observe(event) {
                let before: Vec<_> = events[at.saturating_sub(25)..=at].iter().map(|(t, e)| (t, brief(e))).collect();
                panic!("{violation}\nthe last events: {before:#?}");
            }
        }
        let history = checkers.history();
        println!(
            "{} records ({} acknowledged), {} succeeded, {} given up, {} calls, {} of them cut short, {} repetitions in {} \
             losses, {} pauses, {} looks",
            history.produced(),
            put.acknowledged.len(),
            history.succeeded(),
            self.discards.len(),
            self.calls.len(),
            self.calls.iter().filter(|c| c.ended.is_none()).count(),
            history.duplicates(),
            lost.len(),
            pauses.len(),
            looks.len(),
        );
        if let Err(violations) = checkers.finish() {
            panic!("{violations:#?}");
        }
    }

    /// I14: a sequence number that was given out stands for what was put; and a record is there twice only if its
    /// put was repeated.
    fn every_acknowledged_record_is_there(&self, put: &Put) {
        let mut times: BTreeMap<u64, u32> = BTreeMap::new();
        let mut stored = BTreeMap::new();
        for (shard, records) in &self.records {
            for record in records {
                *times.entry(id_of(record)).or_default() += 1;
                stored.insert((shard.clone(), record.sequence_number.clone()), id_of(record));
            }
        }
        for (place, id) in &put.acknowledged {
            assert_eq!(stored.get(place), Some(id), "an acknowledged record is not at {place:?}");
        }
        for (id, times) in times {
            assert!(times == 1 || put.repeated.contains(&id), "{id}, put once, is there {times} times");
        }
    }

    fn exactly_the_failing_records_are_given_up(&self) {
        let of_shard = |(shard, records): (&String, &Vec<v1::StreamRecord>)| {
            let failing = records.iter().filter(|r| r.data.contains(&b' '));
            failing.map(|r| (shard.clone(), r.sequence_number.clone())).collect::<Vec<_>>()
        };
        let failing: BTreeSet<_> = self.records.iter().flat_map(of_shard).collect();
        let place = |d: &v1::Discard| (d.shard_id.clone(), d.first_sequence_number.clone());
        let given_up: BTreeSet<_> = self.discards.iter().map(place).collect();
        assert!(self.discards.iter().all(|d| d.record_count == 1), "bisecting ends at single records");
        let missing: Vec<_> = failing.difference(&given_up).take(3).collect();
        let unjust: Vec<_> = given_up.difference(&failing).take(3).collect();
        assert!(missing.is_empty() && unjust.is_empty(), "not given up: {missing:?}; given up: {unjust:?}");
    }

    /// What the ledger says was sent is what the function got.
    fn the_history_is_true(&self) {
        let calls: BTreeSet<_> = self.calls.iter().map(|c| (c.request.as_str(), c.attempt, c.records.len())).collect();
        use v1::AttemptResult::{Expired, Throttled};
        let sent = self.attempts.iter().filter(|a| ![Throttled, Expired].contains(&a.result()));
        for entry in sent {
            let told = (entry.request_id.as_str(), entry.attempt as u32, entry.record_count as usize);
            assert!(calls.contains(&told), "the ledger has an attempt that the function never saw: {entry:?}");
        }
    }

    /// I5, as functions see it: the epochs of a shard's calls never go back.
    fn no_older_owner_calls(&self) {
        let mut newest = BTreeMap::new();
        for call in &self.calls {
            let newest = newest.entry(&call.shard).or_insert(call.epoch);
            assert!(call.epoch >= *newest, "epoch {} after {newest}: {call:?}", call.epoch);
            *newest = call.epoch;
        }
    }

    /// Everything in the order in which it happened.
    fn events(&self, pauses: &[Pause], looks: &[Look], lost: &[Nanos]) -> Vec<(Nanos, Event)> {
        let mut events = vec![(0, Event::Configured { max_retries: Some(RETRIES as u32) })];
        self.add_source(&mut events);
        self.add_calls(&mut events);
        self.add_discards(&mut events);
        let finished = self.add_finished_parents(&mut events, looks);
        add_looks(&mut events, looks, &finished);
        for pause in pauses {
            events.push((pause.from, Event::Paused));
            events.push((pause.to, Event::Resumed));
        }
        for at in lost {
            let kept = looks.iter().take_while(|look| look.at + WRITTEN_WITHIN < *at).count() as u64;
            events.push((*at, Event::Lost { shard: None, kept: Some(kept) }));
        }
        events.sort_by_key(|(at, _)| *at); // stable: what came at one time stays as it was added
        events
    }

    fn add_source(&self, events: &mut Vec<(Nanos, Event)>) {
        for shard in &self.shards {
            let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
            let parents = parents.into_iter().filter(|p| !p.is_empty()).map(|p| p.parse().unwrap()).collect();
            events.push((0, Event::Shard { shard: shard.shard_id.parse().unwrap(), parents }));
        }
        for (shard, records) in &self.records {
            let shard: ShardId = shard.parse().unwrap();
            for record in records {
                let (mark, key) = (of(&record.sequence_number), Bytes::from(record.partition_key.clone()));
                events.push((0, Event::Produced { shard: shard.clone(), mark, key }));
            }
        }
    }

    fn add_calls(&self, events: &mut Vec<(Nanos, Event)>) {
        for (call, seen) in self.calls.iter().enumerate() {
            let started = Event::Started {
                call: call as u64,
                shard: seen.shard.parse().unwrap(),
                request: seen.request.parse().unwrap(),
                attempt: seen.attempt,
                marks: seen.records.iter().map(|r| of(r)).collect(),
            };
            events.push((seen.began, started));
            if let Some((at, result)) = seen.ended {
                let result = match result {
                    function::Result::Done => CallResult::Done,
                    function::Result::Before(n) => CallResult::DoneBefore(n),
                    function::Result::Failed => CallResult::Failed,
                };
                events.push((at, Event::Ended { call: call as u64, result }));
            }
        }
    }

    /// Discards and their documents. Their times are whole milliseconds, cut off: never too late, so what follows
    /// from a discard stands behind it.
    fn add_discards(&self, events: &mut Vec<(Nanos, Event)>) {
        let mut ids = BTreeMap::new();
        for discard in &self.discards {
            let id: DiscardId = discard.name.rsplit('/').next().unwrap().parse().unwrap();
            ids.insert((discard.request_id.clone(), discard.first_sequence_number.clone()), id);
            let given = Given {
                id,
                marks: vec![of(&discard.first_sequence_number)],
                condition: match discard.condition() {
                    v1::DiscardCondition::RecordAgeExceeded => DiscardCondition::RecordAgeExceeded,
                    _ => DiscardCondition::RetryAttemptsExhausted,
                },
                invoke_count: discard.invoke_count as u32,
                document: true,
            };
            let shard = discard.shard_id.parse().unwrap();
            let stored = Event::Stored { number: 0, shard, epoch: 0, progress: None, discards: vec![given] };
            events.push((nanos(discard.discard_time.as_ref()), stored));
        }
        for document in &self.documents {
            let text: serde_json::Value = serde_json::from_slice(&document.data).unwrap();
            let text_at = |at: &str| text.pointer(at).and_then(|v| v.as_str()).unwrap().to_owned();
            let which = (text_at("/requestContext/requestId"), text_at("/KinesisBatchInfo/startSequenceNumber"));
            let discard = *ids.get(&which).unwrap_or_else(|| panic!("a document of no stored discard: {text}"));
            events.push((nanos(document.approximate_arrival_time.as_ref()), Event::Document { discard }));
        }
    }

    /// A parent is finished, at the soonest, when its last record is: children must come behind that. Written as
    /// if it had been stored then; what is seen of the parent later says nothing new.
    fn add_finished_parents(&self, events: &mut Vec<(Nanos, Event)>, looks: &[Look]) -> BTreeMap<ShardId, Nanos> {
        let ended = |c: &Call| c.ended.map_or(0, |(at, _)| at);
        let mut first_end: BTreeMap<&str, Nanos> = BTreeMap::new();
        for call in &self.calls {
            for record in call.done() {
                let at = first_end.entry(record).or_insert(Nanos::MAX);
                *at = ended(call).min(*at);
            }
        }
        for discard in &self.discards {
            first_end.insert(&discard.first_sequence_number, nanos(discard.discard_time.as_ref()));
        }
        let mut finished = BTreeMap::new();
        for shard in self.shards.iter().filter(|s| s.close_time.is_some()) {
            let records = &self.records[&shard.shard_id];
            let last = records.iter().map(|r| first_end.get(r.sequence_number.as_str()).copied().unwrap_or(Nanos::MAX));
            let at = last.max().unwrap_or(0);
            let shard: ShardId = shard.shard_id.parse().unwrap();
            let epochs = looks.iter().filter(|l| l.at <= at).flat_map(|l| &l.shards).filter(|s| s.0 == shard);
            let epoch = epochs.map(|s| s.1).max().unwrap_or(0);
            let lanes = vec![records.last().map(|r| of(&r.sequence_number))];
            let progress = Some(Progress { lanes, finished: true });
            let stored = Event::Stored { number: 0, shard: shard.clone(), epoch, progress, discards: vec![] };
            events.push((at, stored));
            finished.insert(shard, at);
        }
        finished
    }
}

fn add_looks(events: &mut Vec<(Nanos, Event)>, looks: &[Look], finished: &BTreeMap<ShardId, Nanos>) {
    for (n, look) in looks.iter().enumerate() {
        let open = look.shards.iter().filter(|(shard, ..)| finished.get(shard).is_none_or(|at| look.at < *at));
        for (shard, epoch, progress) in open {
            let stored = Event::Stored {
                number: n as u64 + 1,
                shard: shard.clone(),
                epoch: *epoch,
                progress: Some(progress.clone()),
                discards: vec![],
            };
            events.push((look.at, stored));
        }
    }
}

fn of(sequence_number: &str) -> Mark {
    mark(sequence_number).unwrap()
}

fn id_of(record: &v1::StreamRecord) -> u64 {
    let text = std::str::from_utf8(&record.data).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn nanos(time: Option<&prost_types::Timestamp>) -> Nanos {
    let time = time.unwrap();
    time.seconds as u128 * 1_000_000_000 + time.nanos as u128
}

/// An event, without what would fill the screen.
fn brief(event: &Event) -> String {
    let text = format!("{event:?}");
    text.chars().take(600).collect()
}
