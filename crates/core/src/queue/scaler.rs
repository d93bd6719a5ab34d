//! How many batches may be in flight at once (semantics, section 10).
//!
//! Minute by minute from the start, of a standard queue with a backlog: 5, 305, 605, 905, 1,205, 1,250; or up to
//! `MaximumConcurrency` where that is less. A minute counts as one with a backlog if every batch that was allowed was in
//! use at once and no receive has come back empty since.
//!
//! - **Idle.** A minute without a backlog takes 300 away again, down to what that minute used and to 5.
//! - **Throttles** show how much the function can take: each halves the limit, but not below what runs at that
//!   moment. It then grows by at most its own size a minute, up to the usual 300, so that a function of three does not
//!   get three hundred batches to refuse.
//! - **Errors.** Five failed attempts in a row without a success between them halve it, down to one; each success
//!   gives one back up to 5. Not where the function reports single messages (AWS's rule), and not for FIFO queues,
//!   where it would make a group wait for the failures of another.
//! - **FIFO** queues do not ramp: their groups are what bounds them.

use millstream_types::Mono;
use std::time::Duration;

/// Batches at the start, and what remains without a backlog.
const BASE: usize = 5;
/// What a minute adds or takes.
const STEP: usize = 300;
/// Most batches.
const MOST: usize = 1_250;
/// Failed attempts in a row that make it back off.
const ERRORS_IN_A_ROW: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// Why the limit is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScaleReason {
    /// Grows by up to 300 a minute while there is a backlog.
    Ramp,
    /// What the mapping's owner allows.
    MaximumConcurrency,
    /// 1,250, which is the most.
    Most,
    /// The function failed several times in a row.
    Errors,
    /// The function, or the way to it, has no more capacity.
    Throttles,
    /// There is no backlog.
    Idle,
}

impl ScaleReason {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ramp => "ramp: up to 300 more each minute",
            Self::MaximumConcurrency => "maximum_concurrency",
            Self::Most => "the most there is",
            Self::Errors => "errors: the function failed several times in a row",
            Self::Throttles => "throttles: the function has no more capacity",
            Self::Idle => "idle: no backlog",
        }
    }
}

/// Decides the limit.
#[derive(Clone, Debug)]
pub(super) struct Scaler {
    base: usize,
    cap: usize,
    capped_by_owner: bool,
    counts_errors: bool,
    limit: usize,
    /// What the next minute with a backlog adds.
    step: usize,
    /// When the current minute began.
    minute: Mono,
    /// Failed attempts since the last success.
    streak: u32,
    /// Every batch allowed was in use, and no receive was empty since.
    backlog: bool,
    /// Most batches at once in this minute.
    peak: usize,
    /// Whether this minute had a throttle or a row of errors.
    troubled: bool,
    why: ScaleReason,
}

impl Scaler {
    pub(super) fn new(fifo: bool, maximum: Option<usize>, reports: bool, now: Mono) -> Self {
        let cap = maximum.unwrap_or(MOST).clamp(1, MOST);
        let base = if fifo { cap } else { BASE.min(cap) };
        Self {
            base,
            cap,
            capped_by_owner: maximum.is_some(),
            counts_errors: !fifo && !reports,
            limit: base,
            step: STEP,
            minute: now,
            streak: 0,
            backlog: false,
            peak: 0,
            troubled: false,
            why: ScaleReason::Ramp,
        }
    }

    /// Batches that may be in flight at once, at least 1.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn reason(&self) -> ScaleReason {
        match self.why {
            _ if self.limit < self.cap => self.why,
            _ if self.capped_by_owner => ScaleReason::MaximumConcurrency,
            _ => ScaleReason::Most,
        }
    }

    /// So many batches are in flight now.
    pub(super) fn on_batches(&mut self, batches: usize) {
        self.peak = self.peak.max(batches);
        self.backlog |= batches >= self.limit;
    }

    /// The queue had nothing.
    pub(super) fn on_empty(&mut self) {
        self.backlog = false;
    }

    pub(super) fn on_success(&mut self) {
        self.streak = 0;
        if self.why == ScaleReason::Errors && self.limit < self.base {
            self.limit += 1;
        }
    }

    pub(super) fn on_failure(&mut self) {
        if !self.counts_errors {
            return;
        }
        self.streak += 1;
        if self.streak >= ERRORS_IN_A_ROW {
            self.streak = 0;
            self.back_off(self.limit / 2, ScaleReason::Errors);
        }
    }

    /// There was no capacity for one more than `running`.
    pub(super) fn on_throttle(&mut self, running: usize) {
        // Short attempts may all have ended by the time the refusal arrives: never more than halved at once.
        self.back_off(running.max(self.limit / 2), ScaleReason::Throttles);
    }

    fn back_off(&mut self, to: usize, why: ScaleReason) {
        self.limit = to.clamp(1, self.limit);
        self.step = self.limit.min(STEP);
        self.troubled = true;
        self.backlog = false;
        self.why = why;
    }

    /// Takes note of the time; `batches` are in flight now.
    pub(super) fn advance(&mut self, now: Mono, batches: usize) {
        let minutes = now.since(self.minute).as_secs() / MINUTE.as_secs();
        // More of them cannot change anything: all limits are reached long before.
        for _ in 0..minutes.min(32) {
            self.end_minute();
            self.peak = batches;
            self.on_batches(batches);
        }
        let passed = Duration::from_secs(minutes * MINUTE.as_secs());
        self.minute = self.minute.plus(passed);
    }

    fn end_minute(&mut self) {
        let (backlog, troubled) = (self.backlog, self.troubled);
        self.backlog = false;
        self.troubled = false;
        if troubled {
            return;
        }
        if backlog {
            self.limit = (self.limit + self.step).min(self.cap);
            self.why = ScaleReason::Ramp;
        } else if self.limit < self.base {
            self.limit = (self.limit + self.step).min(self.base);
        } else {
            let less = self.limit.saturating_sub(STEP).max(self.base).max(self.peak);
            if less < self.limit {
                self.why = ScaleReason::Idle;
            }
            self.limit = less.min(self.limit);
        }
        self.step = (self.step * 2).min(STEP);
    }

    /// When the limit may grow though nothing happens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        (self.backlog && self.limit < self.cap).then(|| self.minute.plus(MINUTE))
    }
}
