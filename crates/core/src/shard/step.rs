//! What a lane does next, once nothing of it is in flight.

use super::batch::{Cut, CutRule, cut, window_end};
use super::head::{Head, Phase, Segment};
use super::lane::Lane;
use super::machine::{Action, AttemptOrder, AttemptToken, Mode, ShardMachine};
use super::windows::Windows;
use crate::event::EventShape;
use millstream_types::durable::DiscardCondition;
use millstream_types::invocation::RecordRange;
use millstream_types::{Mono, Now, Record, Wall};
use std::time::Duration;

/// Whether the open tumbling window has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WindowEnds {
    /// No, or there is none.
    No,
    /// Its last invocation is the next thing this lane does.
    Here,
    /// Another lane has to end it first.
    Elsewhere,
}

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
        let window = self.config.window;
        let (at_end, through) = (self.cursors.at_end, self.cursors.read_through);
        let Some(l) = self.lanes.get_mut(lane) else {
            return false;
        };
        if l.restoring.is_some() {
            return restore(l, at_end, through, now, &mut self.ids);
        }
        match self.window_ends(lane, now.wall) {
            WindowEnds::No => {}
            WindowEnds::Elsewhere => return false,
            WindowEnds::Here => {
                let head = Head::empty(&mut self.ids);
                if let Some(l) = self.lanes.get_mut(lane) {
                    l.head = Some(head);
                }
                return true;
            }
        }
        let rule = self.cut_rule(lane, now.wall);
        let Some(l) = self.lanes.get_mut(lane) else {
            return false;
        };
        let more_may_come = !at_end || l.lagging.is_some();
        let n = match cut(&l.waiting, &rule) {
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

    /// Discards, cuts, waits or sends; true if there may be more to do at once.
    fn try_part(&mut self, lane: usize, now: Now, out: &mut Vec<Action>) -> bool {
        let Some(head) = self.lanes.get(lane).and_then(|l| l.head.as_ref()) else {
            return false;
        };
        let Some(current) = head.current() else {
            return false;
        };
        let records = head.slice(current.range.clone());
        if let Some(expired) = self.expired(current, records, now.wall) {
            self.expire(lane, expired, now);
            return true;
        }
        if current.not_before.is_some_and(|(at, _)| at > now.mono) {
            return false;
        }
        if self.cut_at_window(lane) {
            return true;
        }
        if let Some(fit) = self.too_large(lane) {
            self.make_fit(lane, fit, now);
            return true;
        }
        self.send(lane, out);
        false
    }

    fn send(&mut self, lane: usize, out: &mut Vec<Action>) {
        let Some(l) = self.lanes.get_mut(lane) else { return };
        let after = l.done_through;
        let Some(head) = l.head.as_mut() else { return };
        let Some(current) = head.current() else { return };
        let last = current.len() == 0;
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
            window: self.windows.as_ref().and_then(|w| w.envelope(last)),
            after,
        };
        head.phase = Phase::InFlight(token.serial);
        self.counters.attempts += 1;
        out.push(Action::Invoke(order));
    }

    /// How many of the first records are too old to be tried; none if there is nothing to give up. What ends a window
    /// is as old as the end of its window, and is offered at least once.
    fn expired(&self, part: &Segment, records: &[Record], now: Wall) -> Option<usize> {
        let before = self.expired_before(now)?;
        if records.is_empty() {
            let end = self.windows.as_ref()?.open()?.end;
            return (part.was_offered() && end < before).then_some(0);
        }
        let expired = records.iter().take_while(|r| r.arrival < before).count();
        (expired > 0).then_some(expired)
    }

    /// Opens the window of the current part, once the one before has ended. What of it belongs to a later one becomes a
    /// part of its own: windows may have been switched on since the batch was made. True if there is more to do first.
    fn cut_at_window(&mut self, lane: usize) -> bool {
        let (Some(windows), Some(head)) = (
            self.windows.as_mut(),
            self.lanes.get_mut(lane).and_then(|l| l.head.as_mut()),
        ) else {
            return false;
        };
        let Some(range) = head.current().map(|s| s.range.clone()) else {
            return false;
        };
        let records = head.slice(range);
        let Some(first) = records.first() else {
            return false;
        };
        if windows.open().is_some_and(|w| w.is_over(first.arrival)) {
            head.interrupt(&mut self.ids);
            return true;
        }
        let end = windows.enter(first.arrival);
        let n = records.iter().take_while(|r| r.arrival < end).count();
        let mixed = n > 0 && n < records.len();
        if mixed {
            head.cut(n, &mut self.ids);
        }
        mixed
    }

    /// How many of its first records fit into an event, if the current part does not.
    fn too_large(&self, lane: usize) -> Option<usize> {
        let head = self.lanes.get(lane)?.head.as_ref()?;
        let range = head.current()?.range.clone();
        let open = self.windows.as_ref().and_then(|w| w.open());
        let around = open.map_or(EventShape::ENVELOPE_LEN, |w| w.around(&self.config.shape));
        let limit = self.config.limits.event_bytes;
        let fits = |n: usize| {
            let part = range.start..range.start + n;
            around + head.bytes_of(&part) + n.saturating_sub(1) <= limit
        };
        // What has no records fits: a longer state was not taken.
        let n = range.len();
        (n > 0 && !fits(n)).then(|| (0..n).rev().find(|n| fits(*n)).unwrap_or(0))
    }

    /// The current part does not fit into an event, but for its first `n` records: beside a state that grew after it
    /// was cut less has room than before.
    fn make_fit(&mut self, lane: usize, n: usize, now: Now) {
        let Some(head) = self.lanes.get_mut(lane).and_then(|l| l.head.as_mut()) else {
            return;
        };
        let len = head.current().map_or(0, Segment::len);
        if len > 1 {
            head.cut(n.max(1), &mut self.ids);
        } else if self.windows.as_mut().is_some_and(Windows::make_room) {
            head.interrupt(&mut self.ids);
        } else {
            self.fail_oversized(lane, now);
        }
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

    fn cut_rule(&self, lane: usize, now: Wall) -> CutRule {
        let first = self.lanes.get(lane).and_then(|l| l.waiting.front());
        let first = first.map(|w| w.entry.record.arrival);
        let window = self.windows.as_ref().zip(first).map(|(w, first)| w.of(first));
        CutRule {
            batch_size: self.config.batch_size,
            event_bytes: self.config.limits.event_bytes,
            expired_before: self.expired_before(now),
            around: window
                .as_ref()
                .map_or(EventShape::ENVELOPE_LEN, |w| w.around(&self.config.shape)),
            window_end: window.map(|w| w.end),
        }
    }

    /// What arrived before this is too old to be tried.
    fn expired_before(&self, now: Wall) -> Option<Wall> {
        let age = self.config.max_age?;
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Some(Wall(now.0.saturating_sub(age)))
    }

    /// Whether the open window ends before this lane, which has no batch, takes another (semantics 11).
    fn window_ends(&self, lane: usize, now: Wall) -> WindowEnds {
        let Some((windows, open)) = self.windows.as_ref().and_then(|w| Some((w, w.open()?))) else {
            return WindowEnds::No;
        };
        // Windows have one lane. If there are more, they were just switched off.
        if lane > 0 {
            return WindowEnds::Elsewhere;
        }
        let Some(l) = self.lanes.get(lane) else {
            return WindowEnds::No;
        };
        let ends = windows.end_now()
            || open.early
            || match l.waiting.front() {
                Some(first) => open.is_over(first.entry.record.arrival),
                None if l.lagging.is_some() => false,
                None => self.cursors.at_end || self.idle_close().is_some_and(|at| at <= now),
            };
        if ends { WindowEnds::Here } else { WindowEnds::No }
    }

    /// When the open window ends if no record comes; none while one may be on its way.
    fn idle_close(&self) -> Option<Wall> {
        let l = self.lanes.first()?;
        let quiet = l.is_idle() && l.lagging.is_none() && self.cursors.caught_up;
        self.windows.as_ref()?.idle_close().filter(|_| quiet)
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
        let free = |l: &Lane| !l.gated && !l.is_ahead(self.config.batch_size);
        let idle_close = self.idle_close().filter(|_| self.lanes.first().is_some_and(free));
        // While a window is open, other lanes than its own wait for its end, not for a time.
        let open = self.windows.as_ref().is_some_and(|w| w.open().is_some());
        let own = if open { 1 } else { self.lanes.len() };
        let lanes = self.lanes.iter().take(own).filter_map(|l| self.lane_deadline(l));
        lanes.chain(idle_close.map(|at| self.now.mono_at(at))).min()
    }

    fn lane_deadline(&self, lane: &Lane) -> Option<Mono> {
        // A batch that is being restored waits for records, and a lane that is ahead for a commit, not for a time.
        if lane.gated || lane.restoring.is_some() || lane.is_ahead(self.config.batch_size) {
            return None;
        }
        let expiry = |arrival: Wall| {
            let age = self.config.max_age?;
            // A millisecond more: a record exactly as old as allowed is still tried.
            Some(self.now.mono_at(arrival.plus(age).plus(Duration::from_millis(1))))
        };
        let (at, first) = match &lane.head {
            Some(head) if head.phase == Phase::Waiting => {
                let current = head.current()?;
                let ended = self.windows.as_ref().and_then(|w| w.open()).map(|w| w.end);
                (
                    current.not_before.map(|n| n.0),
                    match head.slice(current.range.clone()).first() {
                        Some(first) => Some(first.arrival),
                        None => ended.filter(|_| current.was_offered()),
                    },
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
                    Some(first.arrival),
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
