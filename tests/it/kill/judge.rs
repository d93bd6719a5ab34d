//! Judges a run by everything that is left of it.

use super::observer::Look;
use super::operator::Pause;
use super::producer::Put;
use super::{BATCH, FACTOR, FAILURES, MAPPING, Nanos, STREAM};
use crate::client::Client;
use crate::function::{self, Call};
use millstream_api::v1;
use millstream_testkit::Event;
use millstream_testkit::check::{Checkers, DuplicateBound};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Most open shards there ever were: three, and one more after a split.
const MOST_SHARDS: u64 = 4;

/// Of so many kills some must have hit work.
const ENOUGH_KILLS: usize = 10;

/// What is left when all is quiet.
pub(super) struct Evidence {
    pub(super) shards: Vec<v1::Shard>,
    /// By shard.
    pub(super) records: BTreeMap<String, Vec<v1::StreamRecord>>,
    pub(super) calls: Vec<Call>,
    pub(super) discards: Vec<v1::Discard>,
    pub(super) documents: Vec<v1::StreamRecord>,
    attempts: Vec<v1::LedgerEntry>,
}

impl Evidence {
    /// Reads all of it.
    pub(super) async fn gather(client: &Client, calls: &Path) -> Self {
        let shards = client.stream(STREAM).await.unwrap().shards;
        let mut records = BTreeMap::new();
        for shard in &shards {
            records.insert(
                shard.shard_id.clone(),
                client.read_shard(STREAM, &shard.shard_id).await,
            );
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
                let before: Vec<_> = events[at.saturating_sub(25)..=at]
                    .iter()
                    .map(|(t, e)| (t, brief(e)))
                    .collect();
                panic!("{violation}\nthe last events: {before:#?}");
            }
        }
        let history = checkers.history();
        let cut_short = self.calls.iter().filter(|c| c.ended.is_none()).count();
        println!(
            "{} records ({} acknowledged), {} succeeded, {} given up; {} calls, {cut_short} of them cut short; {} \
             repetitions in {} losses; {} pauses, {} looks",
            history.produced(),
            put.acknowledged.len(),
            history.succeeded(),
            self.discards.len(),
            self.calls.len(),
            history.duplicates(),
            lost.len(),
            pauses.len(),
            looks.len(),
        );
        let hit = cut_short as u64 + history.duplicates();
        assert!(
            hit > 0 || lost.len() < ENOUGH_KILLS,
            "no kill met any work: the run says nothing"
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
            assert_eq!(
                stored.get(place),
                Some(id),
                "an acknowledged record is not at {place:?}"
            );
        }
        for (id, times) in times {
            assert!(
                times == 1 || put.repeated.contains(&id),
                "{id}, put once, is there {times} times"
            );
        }
    }

    fn exactly_the_failing_records_are_given_up(&self) {
        let of_shard = |(shard, records): (&String, &Vec<v1::StreamRecord>)| {
            let failing = records.iter().filter(|r| r.data.contains(&b' '));
            failing
                .map(|r| (shard.clone(), r.sequence_number.clone()))
                .collect::<Vec<_>>()
        };
        let failing: BTreeSet<_> = self.records.iter().flat_map(of_shard).collect();
        let place = |d: &v1::Discard| (d.shard_id.clone(), d.first_sequence_number.clone());
        let given_up: BTreeSet<_> = self.discards.iter().map(place).collect();
        assert!(
            self.discards.iter().all(|d| d.record_count == 1),
            "bisecting ends at single records"
        );
        let missing: Vec<_> = failing.difference(&given_up).take(3).collect();
        let unjust: Vec<_> = given_up.difference(&failing).take(3).collect();
        assert!(
            missing.is_empty() && unjust.is_empty(),
            "not given up: {missing:?}; given up: {unjust:?}"
        );
    }

    /// What the ledger says was sent is what the function got.
    fn the_history_is_true(&self) {
        let calls: BTreeSet<_> = self
            .calls
            .iter()
            .map(|c| (c.request.as_str(), c.attempt, c.records.len()))
            .collect();
        use v1::AttemptResult::{Expired, Throttled};
        let sent = self
            .attempts
            .iter()
            .filter(|a| ![Throttled, Expired].contains(&a.result()));
        for entry in sent {
            let told = (
                entry.request_id.as_str(),
                entry.attempt as u32,
                entry.record_count as usize,
            );
            assert!(
                calls.contains(&told),
                "the ledger has an attempt that the function never saw: {entry:?}"
            );
        }
    }

    /// I5, as functions see it: the epochs of a shard's calls never go back.
    fn no_older_owner_calls(&self) {
        let mut newest = BTreeMap::new();
        for call in &self.calls {
            let newest = newest.entry(&call.shard).or_insert(call.epoch);
            assert!(
                call.epoch >= *newest,
                "epoch {} after {newest}: {call:?}",
                call.epoch
            );
            *newest = call.epoch;
        }
    }
}

fn id_of(record: &v1::StreamRecord) -> u64 {
    let text = std::str::from_utf8(&record.data).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// An event, without what would fill the screen.
fn brief(event: &Event) -> String {
    let text = format!("{event:?}");
    text.chars().take(600).collect()
}
