//! From a verdict to what becomes of the batch: done, suffix, split, retry, discard (semantics 7 and 8).

use super::cursors::Quarantined;
use super::head::{Phase, Segment};
use super::machine::{AttemptReport, ShardMachine};
use super::windows::of_discard;
use crate::backoff::{retry_delay, throttle_delay};
use crate::failure_document::failure_document;
use crate::mutant::{self, Mutant};
use crate::verdict::{Verdict, without_state};
use bytes::Bytes;
use millstream_types::durable::{AttemptResult, Discard, DiscardCondition, LedgerEntry, OutboxEntry};
use millstream_types::{Now, ResponseContext, Wall};
use std::ops::Range;
use std::time::Duration;

/// How a batch that can never be sent fails (semantics 4.9).
const TOO_LARGE: &str = "PayloadTooLarge";

/// What is known of a failed attempt.
struct Failure {
    response: Option<ResponseContext>,
    error: String,
}

impl ShardMachine {
    pub(super) fn judge(&mut self, lane: usize, report: AttemptReport, now: Now) {
        let Some(l) = self.lanes.get_mut(lane) else { return };
        l.idle_since = now.mono;
        let Some(head) = l.head.as_mut() else { return };
        let Some(sent) = head.current().cloned() else {
            return;
        };
        head.phase = Phase::Waiting;
        let started = report.started;
        let in_window = self.windows.as_ref().is_some_and(|w| w.open().is_some());
        let progress = match report.verdict {
            Verdict::Done => true,
            Verdict::FailedFrom { index, .. } => index > 0,
            Verdict::Failed { .. } | Verdict::Throttled { .. } => false,
        };
        let verdict = if in_window && progress && report.state.is_none() {
            without_state()
        } else {
            report.verdict
        };
        let state = report.state;
        match verdict {
            Verdict::Done => self.done(lane, &sent, state, started, now),
            Verdict::FailedFrom { index, .. } if index > 0 && index < sent.len() => {
                self.partly_done(lane, &sent, index, started, now);
                self.keep_state(lane, state);
            }
            Verdict::FailedFrom { response, .. } => {
                let error = "BatchItemFailures".to_owned();
                let response = Some(response);
                self.failed(lane, &sent, Failure { response, error }, started, now);
            }
            Verdict::Failed { response, error } => {
                self.failed(lane, &sent, Failure { response, error }, started, now);
            }
            Verdict::Throttled { retry_after } => self.throttled(lane, &sent, retry_after, started, now),
        }
    }

    fn done(&mut self, lane: usize, sent: &Segment, state: Option<Bytes>, started: Wall, now: Now) {
        self.last_attempt_failed = Some(false);
        self.counters.records_done += sent.len() as u64;
        self.enter(lane, sent, AttemptResult::Done, sent.len(), started, now, None);
        let range = self.head_mut(lane).map_or(0..0, super::head::Head::pop);
        self.finish(lane, range);
        if sent.len() == 0 {
            self.close_window();
        } else {
            self.keep_state(lane, state);
        }
        self.commits.note();
    }

    fn partly_done(&mut self, lane: usize, sent: &Segment, index: usize, started: Wall, now: Now) {
        self.last_attempt_failed = Some(false);
        self.counters.failures += 1;
        self.counters.records_done += index as u64;
        self.enter(lane, sent, AttemptResult::Partial, index, started, now, None);
        let short = mutant::on(Mutant::PartialWrongSuffix) && index + 1 < sent.len();
        let index = index + usize::from(short);
        let ids = &mut self.ids;
        let range = self
            .lanes
            .get_mut(lane)
            .and_then(|l| l.head.as_mut())
            .map_or(0..0, |h| h.suffix(index, ids));
        self.finish(lane, range);
        self.commits.note();
    }

    /// The state of the window is now that of the records just finished. One that is too long ends the window before
    /// the lane goes on.
    fn keep_state(&mut self, lane: usize, state: Option<Bytes>) {
        let (Some(windows), Some(state)) = (self.windows.as_mut(), state) else {
            return;
        };
        if windows.keep(state, self.config.limits.state_bytes)
            && let Some(head) = self.lanes.get_mut(lane).and_then(|l| l.head.as_mut())
        {
            head.interrupt(&mut self.ids);
        }
    }

    /// The last invocation of the open window is finished.
    fn close_window(&mut self) {
        if let Some(windows) = self.windows.as_mut() {
            windows.close();
        }
        self.windows.take_if(|w| w.end_now());
    }

    fn failed(&mut self, lane: usize, sent: &Segment, failure: Failure, started: Wall, now: Now) {
        let Failure { response, error } = failure;
        self.last_attempt_failed = Some(true);
        self.counters.failures += 1;
        if self.config.bisect && sent.len() > 1 {
            self.counters.splits += 1;
            self.enter(lane, sent, AttemptResult::Split, 0, started, now, Some(error));
            let ids = &mut self.ids;
            if let Some(head) = self.lanes.get_mut(lane).and_then(|l| l.head.as_mut()) {
                head.split(ids);
            }
            self.gate(lane);
            return;
        }
        let attempts = sent.attempts.saturating_add(1);
        let mut spent = sent.clone();
        spent.attempts = attempts;
        spent.last_response = response;
        if self
            .config
            .max_retries
            .is_some_and(|most| attempts > most + u32::from(mutant::on(Mutant::RetryTooMany)))
        {
            self.enter(
                lane,
                sent,
                AttemptResult::Discarded,
                sent.len(),
                started,
                now,
                Some(error),
            );
            let range = self.head_mut(lane).map_or(0..0, super::head::Head::pop);
            self.give_up(lane, &spent, range, DiscardCondition::RetryAttemptsExhausted, now);
            return;
        }
        self.enter(
            lane,
            sent,
            AttemptResult::Retry,
            0,
            started,
            now,
            Some(error.clone()),
        );
        let delay = retry_delay(attempts, self.ids.jitter());
        spent.not_before = Some((now.mono.plus(delay), now.wall.plus(delay)));
        spent.last_error = Some(error);
        spent.throttles = 0;
        self.put_back(lane, spent);
        self.gate(lane);
    }

    fn throttled(&mut self, lane: usize, sent: &Segment, asked: Option<Duration>, started: Wall, now: Now) {
        self.counters.throttles += 1;
        let mut held = sent.clone();
        held.throttles = held.throttles.saturating_add(1);
        held.attempts += u32::from(mutant::on(Mutant::ThrottleSpendsAttempt));
        let delay = throttle_delay(held.throttles, asked, self.ids.jitter());
        held.not_before = Some((now.mono.plus(delay), now.wall.plus(delay)));
        if held.throttles == 1 {
            // Only the first of a run: a long outage must not flood the history.
            self.enter(lane, sent, AttemptResult::Throttled, 0, started, now, None);
            self.commits.note();
        }
        if let Some(current) = self.head_mut(lane).and_then(|h| h.current_mut()) {
            *current = held;
        }
    }

    /// A single record that does not fit into an event spends its attempts without being sent.
    pub(super) fn fail_oversized(&mut self, lane: usize, now: Now) {
        let Some(sent) = self.head_mut(lane).and_then(|h| h.current().cloned()) else {
            return;
        };
        let failure = Failure {
            response: None,
            error: TOO_LARGE.to_owned(),
        };
        self.failed(lane, &sent, failure, now.wall, now);
    }

    fn put_back(&mut self, lane: usize, part: Segment) {
        if let Some(head) = self.head_mut(lane) {
            head.troubled = true;
            if let Some(current) = head.current_mut() {
                *current = part;
            }
        }
    }

    fn head_mut(&mut self, lane: usize) -> Option<&mut super::head::Head> {
        self.lanes.get_mut(lane)?.head.as_mut()
    }

    fn gate(&mut self, lane: usize) {
        if let Some(l) = self.lanes.get_mut(lane) {
            l.gated = true;
            if let Some(head) = l.head.as_mut() {
                head.phase = Phase::Committing;
            }
        }
        self.commits.gate(lane);
    }

    /// The records of the range, the earliest unfinished ones of the lane, are finished.
    fn finish(&mut self, lane: usize, range: Range<usize>) {
        let Some(l) = self.lanes.get_mut(lane) else { return };
        l.hold = false;
        // A batch without records counts as one: its repetition is an invocation, too.
        l.unstored += range.len().max(1);
        let Some(head) = l.head.as_ref() else { return };
        l.done_through = head.slice(range).last().map(|r| r.mark).max(l.done_through);
        if head.stack.is_empty() {
            l.head = None;
        }
    }

    /// Discards a range that was just taken off the head; the lane waits until that is stored, so that nothing
    /// behind it can succeed before.
    pub(super) fn give_up(
        &mut self,
        lane: usize,
        part: &Segment,
        range: Range<usize>,
        condition: DiscardCondition,
        now: Now,
    ) {
        if condition == DiscardCondition::RecordAgeExceeded {
            let expired = Segment {
                range: range.clone(),
                ..part.clone()
            };
            self.enter(
                lane,
                &expired,
                AttemptResult::Expired,
                range.len(),
                now.wall,
                now,
                None,
            );
        }
        self.counters.records_discarded += range.len() as u64;
        if let Some(discard) = self.discard(lane, part, range.clone(), condition, now) {
            let document = self.document(&discard);
            self.commits.add_discard(discard, document);
        }
        let empty = range.is_empty();
        self.finish(lane, range);
        if empty {
            self.close_window();
        }
        self.gate(lane);
    }

    fn discard(
        &mut self,
        lane: usize,
        part: &Segment,
        range: Range<usize>,
        condition: DiscardCondition,
        now: Now,
    ) -> Option<Discard> {
        let id = self.ids.discard(now.wall);
        let window = self.windows.as_ref().and_then(|w| w.envelope(range.is_empty()));
        let records = self.lanes.get(lane)?.head.as_ref()?.slice(range);
        let (first, last) = (records.first(), records.last());
        let mut payload = Vec::new();
        self.config.shape.encode(records, window.as_ref(), &mut payload);
        let identity = &self.config.identity;
        Some(Discard {
            id,
            namespace: identity.namespace.clone(),
            mapping: identity.mapping,
            shard: identity.shard.clone(),
            condition,
            request_id: part.request_id,
            invoke_count: part.attempts.max(1),
            response: part.last_response.clone(),
            first: first.map(|r| r.mark),
            last: last.map(|r| r.mark),
            first_arrival: first.map(|r| r.arrival),
            last_arrival: last.map(|r| r.arrival),
            records: records.len() as u32,
            at: now.wall,
            function_arn: identity.function_arn.clone(),
            source_arn: identity.source.as_str().to_owned(),
            payload: Bytes::from(payload),
            window: window.as_ref().map(of_discard),
        })
    }

    /// Keeps records that matched no filter. They are stored with the position behind them, by the same commit; what a
    /// crash reads again was not stored. Read again for another reason (a change of the number of lanes), they are kept
    /// again: rather twice than not at all.
    pub(super) fn quarantine(&mut self, records: Quarantined, now: Now) {
        let (id, request_id) = (self.ids.discard(now.wall), self.ids.request());
        let identity = &self.config.identity;
        let discard = Discard {
            id,
            namespace: identity.namespace.clone(),
            mapping: identity.mapping,
            shard: identity.shard.clone(),
            condition: DiscardCondition::FilteredOut,
            request_id,
            invoke_count: 0,
            response: None,
            first: Some(records.first.0),
            last: Some(records.last.0),
            records: records.records,
            first_arrival: Some(records.first.1),
            last_arrival: Some(records.last.1),
            at: now.wall,
            function_arn: identity.function_arn.clone(),
            source_arn: identity.source.as_str().to_owned(),
            payload: records.payload,
            window: None,
        };
        self.commits.add_discard(discard, None);
        self.commits.note();
    }

    fn document(&self, discard: &Discard) -> Option<OutboxEntry> {
        let identity = &self.config.identity;
        Some(OutboxEntry {
            discard: discard.id,
            namespace: identity.namespace.clone(),
            mapping: identity.mapping,
            destination: identity.on_failure.clone()?,
            partition_key: identity.shard.to_string(),
            document: failure_document(discard),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one row of history, from one place")]
    fn enter(
        &mut self,
        lane: usize,
        sent: &Segment,
        result: AttemptResult,
        finished: usize,
        started: Wall,
        now: Now,
        error: Option<String>,
    ) {
        let Some(head) = self.lanes.get(lane).and_then(|l| l.head.as_ref()) else {
            return;
        };
        let records = head.slice(sent.range.clone());
        let (first, last) = (records.first(), records.last());
        let entry = LedgerEntry {
            mapping: self.config.identity.mapping,
            shard: self.config.identity.shard.clone(),
            lane: lane as u8,
            request_id: sent.request_id,
            attempt: sent.attempts + 1,
            first: first.map(|r| r.mark),
            last: last.map(|r| r.mark),
            records: records.len() as u32,
            finished: finished as u32,
            result,
            started,
            ended: now.wall,
            age_ms: last.map_or(0, |r| started.0.saturating_sub(r.arrival.0)),
            error,
        };
        self.commits.add_ledger(entry);
    }
}
