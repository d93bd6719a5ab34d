//! I9: no batch is tried more often than allowed, and a restart does not forget how often it was.

use super::{Check, History, Invariant};
use crate::log::{CallResult, Event, Given};
use millstream_types::durable::DiscardCondition;
use millstream_types::{Mark, RequestId, ShardId};
use std::collections::BTreeMap;

/// First records, and how often their parts failed.
type FailedParts = Vec<(Mark, u32)>;

#[derive(Debug, Default)]
pub(super) struct Retries {
    max_retries: Option<u32>,
    requests: BTreeMap<RequestId, Request>,
    calls: BTreeMap<u64, RequestId>,
    /// Per shard, write by write: the parts that failed, by their first record, and how often.
    stored: BTreeMap<ShardId, Vec<(u64, FailedParts)>>,
}

#[derive(Debug)]
struct Request {
    shard: ShardId,
    attempt: u32,
    /// How often this attempt may still start: more than once only if a loss, or a lack of capacity, came between.
    may_start: u32,
}

impl Check for Retries {
    fn invariant(&self) -> Invariant {
        Invariant::Retries
    }

    fn observe(&mut self, _history: &History, event: &Event) -> Result<(), String> {
        match event {
            Event::Configured { max_retries } => self.max_retries = *max_retries,
            Event::Started {
                call,
                shard,
                request,
                attempt,
                marks,
            } => {
                self.calls.insert(*call, *request);
                self.counted(shard, marks.first(), *attempt)?;
                return self.started(shard, *request, *attempt);
            }
            Event::Ended {
                call,
                result: CallResult::NotRun,
            } => {
                let request = self.calls.get(call).and_then(|r| self.requests.get_mut(r));
                request.into_iter().for_each(|r| r.may_start += 1);
            }
            Event::Lost { shard, kept } => {
                let hit = |r: &&mut Request| shard.as_ref().is_none_or(|s| *s == r.shard);
                self.requests
                    .values_mut()
                    .filter(hit)
                    .for_each(|r| r.may_start += 1);
                if let Some(kept) = kept {
                    self.stored
                        .values_mut()
                        .for_each(|writes| writes.retain(|w| w.0 <= *kept));
                }
            }
            Event::Counted {
                number,
                shard,
                failed,
            } => {
                self.stored
                    .entry(shard.clone())
                    .or_default()
                    .push((*number, failed.clone()));
            }
            Event::Stored { discards, .. } => {
                return discards.iter().try_for_each(|d| self.given_up(d));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Retries {
    fn started(&mut self, shard: &ShardId, id: RequestId, attempt: u32) -> Result<(), String> {
        if attempt == 0
            || self
                .max_retries
                .is_some_and(|most| attempt > most.saturating_add(1))
        {
            return Err(format!(
                "request {id}: attempt {attempt} with at most {:?} retries",
                self.max_retries
            ));
        }
        let fresh = || Request {
            shard: shard.clone(),
            attempt,
            may_start: 1,
        };
        let request = self.requests.entry(id).or_insert_with(fresh);
        if attempt < request.attempt {
            return Err(format!(
                "request {id}: attempt {attempt} after attempt {}: a count was lost",
                request.attempt
            ));
        }
        if attempt > request.attempt {
            *request = Request {
                may_start: 1,
                attempt,
                shard: shard.clone(),
            };
        }
        if request.may_start == 0 {
            return Err(format!(
                "request {id}: attempt {attempt} was made twice, and counted once"
            ));
        }
        request.may_start -= 1;
        Ok(())
    }

    /// A part goes on counting from what was stored last.
    fn counted(&self, shard: &ShardId, first: Option<&Mark>, attempt: u32) -> Result<(), String> {
        let newest = self.stored.get(shard).and_then(|writes| writes.last());
        let part = newest.and_then(|w| w.1.iter().find(|(mark, _)| Some(mark) == first));
        match part {
            Some((mark, attempts)) if attempt <= *attempts => Err(format!(
                "{shard}: attempt {attempt} of the part from {mark}, of which {attempts} are stored as failed"
            )),
            _ => Ok(()),
        }
    }

    fn given_up(&self, given: &Given) -> Result<(), String> {
        if given.condition != DiscardCondition::RetryAttemptsExhausted {
            return Ok(());
        }
        let Some(most) = self.max_retries else {
            return Err(format!(
                "discard {} for spent retries, of which there is no limit",
                given.id
            ));
        };
        if given.invoke_count != most.saturating_add(1) {
            return Err(format!(
                "discard {} after {} attempts instead of {}",
                given.id,
                given.invoke_count,
                most + 1
            ));
        }
        Ok(())
    }
}
