//! What a lane does next, once nothing of it is in flight.

use super::batch::{Cut, CutRule, cut, window_end};
use super::head::{Head, Phase};
use super::lane::Lane;
use super::machine::{Action, AttemptOrder, AttemptToken, Mode, ShardMachine};
use crate::event::EventShape;
use millstream_types::durable::DiscardCondition;
use millstream_types::invocation::RecordRange;
use millstream_types::{Mono, Now, Record, Wall};
use std::time::Duration;

impl ShardMachine {
    /// Takes the next batch if there is none, and sends the current part if its time has come.
    pub(super) fn step(&mut self, lane: usize, now: Now, out: &mut Vec<Action>) {
        // Each round finishes, gates or sends something; the bound only guards against a mistake here.
        for _ in 0..64 {
            let batch_size = self.config.batch_size;
            let free = |l: &&Lane| !l.gated && !l.is_ahead(batch_size);
            let Some(l) = self.lanes.get(lane).filter(free) else {
                return;
            };
            let phase = l.head.as_ref().map(|h| h.phase);
            let went_on = match phase {
                None => self.take_batch(lane, now),
                Some(Phase::Waiting) => self.try_part(lane, now, out),
                Some(_) => false,
            };
            if !went_on {
                return;
            }
        }
    }

    fn take_batch(&mut self, lane: usize, now: Now) -> bool {
        let (rule, window) = (self.cut_rule(now.wall), self.config.window);
        let (at_end, through) = (self.cursors.at_end, self.cursors.read_through);
        let Some(l) = self.lanes.get_mut(lane) else {
            return false;
        };
        if l.restoring.is_some() {
            return restore(l, at_end, through, now, &mut self.ids);
        }
        if l.empty_after == Some(0) {
            l.empty_after = None;
            l.head = Some(Head::empty(&mut self.ids));
            return true;
        }
        let more_may_come = (!at_end || l.lagging.is_some()) && l.empty_after.is_none();
        let n = match cut(&l.waiting, &rule, l.empty_after) {
            Cut::Nothing => return false,
            Cut::Full(n) => n,
            Cut::Underfilled(n) if !more_may_come => n,
            Cut::Underfilled(n) if now.mono >= window_end(l.idle_since, l.waiting_since, window) => n,
            Cut::Underfilled(_) => return false,
        };
        let waited = now.mono.since(l.waiting_since);
        let taken = l.take(n, now.mono);
        let carried = taken.first().and_then(|w| w.carried);
        let records = taken
            .into_iter()
            .map(|w| (w.entry.record, w.entry.encoded_len))
            .collect();
        let mut head = Head::new(records, &mut self.ids);
        head.waited = Some(waited);
        if let (Some(part), Some(current)) =
            (carried.and_then(|c| self.carried.segment(c)), head.current_mut())
        {
            current.attempts = part.attempts;
            current.last_response.clone_from(&part.last_response);
            current.not_before = part.not_before.map(|at| (now.mono_at(at), at));
            head.troubled = part.attempts > 0;
        }
        l.head = Some(head);
        true
    }

    /// Discards, waits or sends; true if there may be more to do at once.
    fn try_part(&mut self, lane: usize, now: Now, out: &mut Vec<Action>) -> bool {
        let limit = self.config.limits.event_bytes;
        let rule = self.cut_rule(now.wall);
        let Some(head) = self.lanes.get_mut(lane).and_then(|l| l.head.as_mut()) else {
            return false;
        };
        let Some(current) = head.current() else {
            return false;
        };
        let old = |r: &&Record| rule.expired_before.is_some_and(|t| r.arrival < t);
        let expired = head.slice(current.range.clone()).iter().take_while(old).count();
        if expired > 0 {
            self.expire(lane, expired, now);
            return true;
        }
        if current.not_before.is_some_and(|(at, _)| at > now.mono) {
            return false;
        }
        let commas = current.len().saturating_sub(1);
        if EventShape::ENVELOPE_LEN + head.bytes_of(&current.range) + commas > limit {
            self.fail_oversized(lane, now);
            return true;
        }
        self.attempts += 1;
        let token = AttemptToken {
            lane: lane as u8,
            serial: self.attempts,
        };
        let order = AttemptOrder {
            token,
            request_id: current.request_id,
            attempt: current.attempts + 1,
            batch: RecordRange {
                all: head.records.clone(),
                range: current.range.clone(),
            },
            waited: head.waited.take(),
        };
        head.phase = Phase::InFlight(token.serial);
        self.counters.attempts += 1;
        out.push(Action::Invoke(order));
        false
    }

    fn expire(&mut self, lane: usize, n: usize, now: Now) {
        let condition = DiscardCondition::RecordAgeExceeded;
        let Some(head) = self.lanes.get_mut(lane).and_then(|l| l.head.as_mut()) else {
            return;
        };
        let Some(current) = head.current().cloned() else {
            return;
        };
        let range = if n == current.len() {
            head.pop()
        } else {
            head.shorten(n, &mut self.ids)
        };
        self.give_up(lane, &current, range, condition, now);
    }

    fn cut_rule(&self, now: Wall) -> CutRule {
        let before = |age: Duration| {
            Wall(
                now.0
                    .saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            )
        };
        CutRule {
            batch_size: self.config.batch_size,
            event_bytes: self.config.limits.event_bytes,
            expired_before: self.config.max_age.map(before),
        }
    }

    /// When to call [`ShardMachine::on_tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        if self.mode != Mode::Running {
            return None;
        }
        if let Some(until) = self.held.filter(|until| *until > self.now.mono) {
            return Some(until);
        }
        self.lanes.iter().filter_map(|l| self.lane_deadline(l)).min()
    }

    fn lane_deadline(&self, lane: &Lane) -> Option<Mono> {
        // A batch that is being restored waits for records, and a lane that is ahead for a commit, not for a time.
        if lane.gated || lane.restoring.is_some() || lane.is_ahead(self.config.batch_size) {
            return None;
        }
        let expiry = |r: &Record| {
            let age = self.config.max_age?;
            // A millisecond more: a record exactly as old as allowed is still tried.
            Some(
                self.now
                    .mono_at(r.arrival.plus(age).plus(Duration::from_millis(1))),
            )
        };
        let (at, first) = match &lane.head {
            Some(head) if head.phase == Phase::Waiting => {
                let current = head.current()?;
                (
                    current.not_before.map(|n| n.0),
                    head.slice(current.range.clone()).first(),
                )
            }
            Some(_) => return None,
            None => {
                let first = &lane.waiting.front()?.entry.record;
                (
                    Some(window_end(
                        lane.idle_since,
                        lane.waiting_since,
                        self.config.window,
                    )),
                    Some(first),
                )
            }
        };
        at.into_iter().chain(first.and_then(expiry)).min()
    }
}

/// Puts a stored batch together again once all its records were read.
fn restore(
    lane: &mut Lane,
    at_end: bool,
    through: Option<millstream_types::Mark>,
    now: Now,
    ids: &mut crate::ids::IdSource,
) -> bool {
    let Some(stored) = lane.restoring.as_ref() else {
        return false;
    };
    let last = stored.segments.first().and_then(|s| s.last);
    let complete = lane.taken_through(through) >= last || (at_end && lane.lagging.is_none());
    if !complete {
        return false;
    }
    let n = lane
        .waiting
        .iter()
        .take_while(|w| Some(w.entry.record.mark) <= last)
        .count();
    let stored = lane.restoring.take();
    let records = lane
        .take(n, now.mono)
        .into_iter()
        .map(|w| (w.entry.record, w.entry.encoded_len))
        .collect();
    lane.head = stored.and_then(|stored| Head::restore(records, &stored, now, ids));
    true
}
