//! What everybody noted as events in one order, as the checkers want them.

use super::judge::Evidence;
use super::observer::{Look, mark};
use super::operator::Pause;
use super::{FACTOR, Nanos, RETRIES};
use crate::function::{self, Call};
use bytes::Bytes;
use millstream_api::v1;
use millstream_testkit::{CallResult, Event, Given, Progress};
use millstream_types::durable::DiscardCondition;
use millstream_types::ids::DiscardId;
use millstream_types::{Mark, ShardId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Progress that was seen is surely written so much later: a checkpoint after success is written, not awaited.
const WRITTEN_WITHIN: Nanos = Duration::from_millis(500).as_nanos();

impl Evidence {
    /// Everything in the order in which it happened.
    pub(super) fn events(&self, pauses: &[Pause], looks: &[Look], lost: &[Nanos]) -> Vec<(Nanos, Event)> {
        let mut events = vec![(
            0,
            Event::Configured {
                max_retries: Some(RETRIES as u32),
            },
        )];
        self.add_source(&mut events);
        self.add_calls(&mut events);
        self.add_discards(&mut events);
        self.add_lost_discards(&mut events, lost);
        let finished = self.add_finished_parents(&mut events, looks);
        add_looks(&mut events, looks, &finished);
        for pause in pauses {
            let lanes = FACTOR as u8;
            events.push((pause.answered, Event::Pausing { lanes }));
            events.push((pause.from, Event::Paused));
            events.push((pause.to, Event::Resumed));
        }
        for at in lost {
            let kept = looks
                .iter()
                .take_while(|look| look.at + WRITTEN_WITHIN < *at)
                .count() as u64;
            events.push((
                *at,
                Event::Lost {
                    shard: None,
                    kept: Some(kept),
                },
            ));
        }
        events.sort_by_key(|(at, _)| *at); // stable: what came at one time stays as it was added
        events
    }

    fn add_source(&self, events: &mut Vec<(Nanos, Event)>) {
        for shard in &self.shards {
            let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
            let parents = parents
                .into_iter()
                .filter(|p| !p.is_empty())
                .map(|p| p.parse().unwrap())
                .collect();
            events.push((
                0,
                Event::Shard {
                    shard: shard.shard_id.parse().unwrap(),
                    parents,
                },
            ));
        }
        for (shard, records) in &self.records {
            let shard: ShardId = shard.parse().unwrap();
            for record in records {
                let (mark, key) = (
                    of(&record.sequence_number),
                    Bytes::from(record.partition_key.clone()),
                );
                events.push((
                    0,
                    Event::Produced {
                        shard: shard.clone(),
                        mark,
                        key,
                    },
                ));
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
            if let Some((at, result)) = &seen.ended {
                let result = match result {
                    function::Result::Done => CallResult::Done,
                    function::Result::Before(n) => CallResult::DoneBefore(*n),
                    function::Result::But(_) | function::Result::Failed => CallResult::Failed,
                };
                events.push((
                    *at,
                    Event::Ended {
                        call: call as u64,
                        result,
                    },
                ));
            }
        }
    }

    /// Discards and their documents. Their times are whole milliseconds, cut off: never too late, so what follows
    /// from a discard stands behind it.
    fn add_discards(&self, events: &mut Vec<(Nanos, Event)>) {
        let mut ids = BTreeMap::new();
        for discard in &self.discards {
            let id: DiscardId = discard.name.rsplit('/').next().unwrap().parse().unwrap();
            ids.insert(
                (discard.request_id.clone(), discard.first_sequence_number.clone()),
                id,
            );
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
            let stored = Event::Stored {
                number: 0,
                shard,
                epoch: 0,
                progress: None,
                discards: vec![given],
            };
            events.push((nanos(discard.discard_time.as_ref()), stored));
        }
        for document in &self.documents {
            let text: serde_json::Value = serde_json::from_slice(&document.data).unwrap();
            let text_at = |at: &str| text.pointer(at).and_then(|v| v.as_str()).unwrap().to_owned();
            let which = (
                text_at("/requestContext/requestId"),
                text_at("/KinesisBatchInfo/startSequenceNumber"),
            );
            let discard = *ids
                .get(&which)
                .unwrap_or_else(|| panic!("a document of no stored discard: {text}"));
            events.push((
                nanos(document.approximate_arrival_time.as_ref()),
                Event::Document { discard },
            ));
        }
    }

    /// The inside of a mapping shows a record as given up a moment before that is stored. If a kill came between, it
    /// was given up in memory, and that is lost with it.
    fn add_lost_discards(&self, events: &mut Vec<(Nanos, Event)>, lost: &[Nanos]) {
        let mut stored = BTreeMap::new();
        for discard in &self.discards {
            let at = nanos(discard.discard_time.as_ref());
            stored.insert(&discard.first_sequence_number, at);
        }
        for (n, call) in self.calls.iter().enumerate() {
            let (Some((at, function::Result::Failed)), [record]) = (&call.ended, &call.records[..]) else {
                continue;
            };
            let loss = lost.iter().find(|loss| *loss > at);
            let in_vain = loss.is_some_and(|loss| stored.get(record).is_none_or(|at| at > loss));
            if call.attempt as i32 <= RETRIES || !in_vain {
                continue;
            }
            let given = Given {
                id: DiscardId::from_bits(n as u128),
                marks: vec![of(record)],
                condition: DiscardCondition::RetryAttemptsExhausted,
                invoke_count: call.attempt,
                document: false,
            };
            let stored = Event::Stored {
                number: u64::MAX, // behind every write that a loss leaves
                shard: call.shard.parse().unwrap(),
                epoch: 0,
                progress: None,
                discards: vec![given],
            };
            events.push((*at, stored));
        }
    }

    /// A parent is finished, at the soonest, when its last record is: children must come behind that. Written as
    /// if it had been stored then; what is seen of the parent later says nothing new.
    fn add_finished_parents(
        &self,
        events: &mut Vec<(Nanos, Event)>,
        looks: &[Look],
    ) -> BTreeMap<ShardId, Nanos> {
        let ended = |c: &Call| c.ended.as_ref().map_or(0, |(at, _)| *at);
        let mut first_end: BTreeMap<&str, Nanos> = BTreeMap::new();
        for call in &self.calls {
            for record in call.done() {
                let at = first_end.entry(record.as_str()).or_insert(Nanos::MAX);
                *at = ended(call).min(*at);
            }
        }
        for discard in &self.discards {
            first_end.insert(
                &discard.first_sequence_number,
                nanos(discard.discard_time.as_ref()),
            );
        }
        let mut finished = BTreeMap::new();
        for shard in self.shards.iter().filter(|s| s.close_time.is_some()) {
            let records = &self.records[&shard.shard_id];
            let last = records.iter().map(|r| {
                first_end
                    .get(r.sequence_number.as_str())
                    .copied()
                    .unwrap_or(Nanos::MAX)
            });
            let at = last.max().unwrap_or(0);
            let shard: ShardId = shard.shard_id.parse().unwrap();
            let epochs = looks
                .iter()
                .filter(|l| l.at <= at)
                .flat_map(|l| &l.shards)
                .filter(|s| s.0 == shard);
            let epoch = epochs.map(|s| s.1).max().unwrap_or(0);
            let lanes = vec![records.last().map(|r| of(&r.sequence_number))];
            let progress = Some(Progress {
                lanes,
                finished: true,
            });
            let stored = Event::Stored {
                number: 0,
                shard: shard.clone(),
                epoch,
                progress,
                discards: vec![],
            };
            events.push((at, stored));
            finished.insert(shard, at);
        }
        finished
    }
}

fn add_looks(events: &mut Vec<(Nanos, Event)>, looks: &[Look], finished: &BTreeMap<ShardId, Nanos>) {
    for (n, look) in looks.iter().enumerate() {
        let open = look
            .shards
            .iter()
            .filter(|(shard, ..)| finished.get(shard).is_none_or(|at| look.at < *at));
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

fn nanos(time: Option<&prost_types::Timestamp>) -> Nanos {
    let time = time.unwrap();
    time.seconds as u128 * 1_000_000_000 + time.nanos as u128
}
