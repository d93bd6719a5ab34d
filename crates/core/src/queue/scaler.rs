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
//! - **Provisioned pollers** (section 12) have ten batches each: it begins with those of the fewest pollers, goes up to
//!   those of the most, and takes 1,000 steps a minute instead of 300.

use crate::mutant::{self, Mutant};
use millstream_types::Mono;
use std::time::Duration;

/// Batches at the start, and what remains without a backlog.
const BASE: usize = 5;
/// What a minute adds or takes.
const STEP: usize = 300;
/// The same with provisioned pollers.
const PROVISIONED_STEP: usize = 1_000;
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
    /// Provisioned pollers: grows by up to 1,000 a minute while there is a backlog.
    ProvisionedRamp,
    /// All pollers that the mapping's owner allows.
    MaximumPollers,
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
            Self::ProvisionedRamp => "provisioned pollers: up to 1000 more each minute",
            Self::MaximumPollers => "provisioned_poller_config.maximum_pollers",
        }
    }
}

/// Batches of the fewest and the most provisioned pollers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provisioned {
    pub(super) fewest: usize,
    pub(super) most: usize,
}

/// Decides the limit.
#[derive(Clone, Debug)]
pub(super) struct Scaler {
    base: usize,
    cap: usize,
    capped_by_owner: bool,
    provisioned: bool,
    counts_errors: bool,
    limit: usize,
    /// What the next minute with a backlog adds.
    step: usize,
    /// What a minute adds or takes at the most.
    most_step: usize,
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
        let more = usize::from(mutant::on(Mutant::ConcurrencyOffByOne));
        let cap = maximum.map_or(MOST, |most| most + more).clamp(1, MOST);
        let base = if fifo { cap } else { BASE.min(cap) };
        Self {
            base,
            cap,
            capped_by_owner: maximum.is_some(),
            provisioned: false,
            counts_errors: !fifo && !reports,
            limit: base,
            step: STEP,
            most_step: STEP,
            minute: now,
            streak: 0,
            backlog: false,
            peak: 0,
            troubled: false,
            why: ScaleReason::Ramp,
        }
    }

    /// The same with provisioned pollers.
    pub(super) fn provisioned(fifo: bool, batches: Provisioned, reports: bool, now: Mono) -> Self {
        let most = batches.most.max(1);
        let base = if fifo { most } else { batches.fewest.clamp(1, most) };
        Self {
            base,
            cap: most,
            provisioned: true,
            limit: base,
            step: PROVISIONED_STEP,
            most_step: PROVISIONED_STEP,
            ..Self::new(fifo, None, reports, now)
        }
    }

    /// Batches that may be in flight at once, at least 1.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn reason(&self) -> ScaleReason {
        match self.why {
            ScaleReason::Ramp if self.provisioned && self.limit < self.cap => ScaleReason::ProvisionedRamp,
            _ if self.limit < self.cap => self.why,
            _ if self.provisioned => ScaleReason::MaximumPollers,
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
        self.step = self.limit.min(self.most_step);
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
            let less = self
                .limit
                .saturating_sub(self.most_step)
                .max(self.base)
                .max(self.peak);
            if less < self.limit {
                self.why = ScaleReason::Idle;
            }
            self.limit = less.min(self.limit);
        }
        self.step = (self.step * 2).min(self.most_step);
    }

    /// When the limit may grow though nothing happens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        (self.backlog && self.limit < self.cap).then(|| self.minute.plus(MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    /// The limit at the end of each minute, of a queue whose every allowed batch is always in use.
    fn ramp(scaler: &mut Scaler, from: u64, minutes: u64) -> Vec<usize> {
        (from..=from + minutes)
            .map(|minute| {
                let in_use = scaler.limit();
                scaler.advance(at(60 * minute), in_use);
                scaler.on_batches(scaler.limit());
                scaler.limit()
            })
            .collect()
    }

    #[test]
    fn minute_by_minute() {
        let cases: [(&str, bool, Option<usize>, &[usize]); 7] = [
            ("standard", false, None, &[5, 305, 605, 905, 1205, 1250, 1250]),
            ("maximum 2", false, Some(2), &[2, 2, 2]),
            ("maximum 5", false, Some(5), &[5, 5]),
            ("maximum 100", false, Some(100), &[5, 100, 100]),
            ("maximum 1,000", false, Some(1_000), &[5, 305, 605, 905, 1_000]),
            ("fifo", true, None, &[1_250, 1_250]),
            ("fifo, maximum 10", true, Some(10), &[10, 10]),
        ];
        for (what, fifo, maximum, expect) in cases {
            let mut scaler = Scaler::new(fifo, maximum, false, at(0));
            assert_eq!(ramp(&mut scaler, 0, expect.len() as u64 - 1), expect, "{what}");
        }
    }

    #[test]
    fn provisioned_pollers_minute_by_minute() {
        type Row = (&'static str, bool, (usize, usize), &'static [usize]);
        let cases: [Row; 5] = [
            ("the defaults", false, (20, 2_000), &[20, 1_020, 2_000, 2_000]),
            ("5 to 50 pollers", false, (50, 500), &[50, 500, 500]),
            ("as few as most", false, (30, 30), &[30, 30]),
            (
                "all there are",
                false,
                (2_000, 20_000),
                &[2_000, 3_000, 4_000, 5_000],
            ),
            ("fifo", true, (20, 2_000), &[2_000, 2_000]),
        ];
        for (what, fifo, (fewest, most), expect) in cases {
            let mut scaler = Scaler::provisioned(fifo, Provisioned { fewest, most }, false, at(0));
            assert_eq!(ramp(&mut scaler, 0, expect.len() as u64 - 1), expect, "{what}");
        }
    }

    #[test]
    fn provisioned_pollers_give_back_down_to_the_fewest() {
        let batches = Provisioned {
            fewest: 20,
            most: 2_000,
        };
        let mut scaler = Scaler::provisioned(false, batches, false, at(0));
        assert_eq!(scaler.reason(), ScaleReason::ProvisionedRamp);
        ramp(&mut scaler, 0, 2);
        assert_eq!(scaler.reason(), ScaleReason::MaximumPollers);
        scaler.on_empty();
        let idle: Vec<usize> = [(3, 0), (4, 0), (5, 0)]
            .map(|(minute, in_use)| {
                scaler.advance(at(60 * minute), in_use);
                scaler.limit()
            })
            .into();
        assert_eq!(
            idle,
            [2_000, 1_000, 20],
            "what a minute used counts, then 1,000 a minute"
        );
        assert_eq!(scaler.reason(), ScaleReason::Idle);
        (0..5).for_each(|_| scaler.on_failure());
        assert_eq!((scaler.limit(), scaler.reason()), (10, ScaleReason::Errors));
        scaler.on_throttle(3);
        assert_eq!((scaler.limit(), scaler.reason()), (5, ScaleReason::Throttles));
    }

    #[test]
    fn it_grows_on_the_minute_and_not_before() {
        let mut scaler = Scaler::new(false, None, false, at(100));
        assert_eq!(scaler.deadline(), None, "nothing is in use");
        scaler.on_batches(5);
        assert_eq!(scaler.deadline(), Some(at(160)));
        scaler.advance(Mono(at(160).0 - 1), 5);
        assert_eq!(scaler.limit(), 5);
        scaler.advance(at(160), 5);
        assert_eq!(
            (scaler.limit(), scaler.deadline()),
            (305, None),
            "5 of 305 are no backlog"
        );
    }

    #[test]
    fn without_a_backlog_it_stays_and_goes_back() {
        let mut scaler = Scaler::new(false, None, false, at(0));
        scaler.on_batches(4);
        scaler.advance(at(60), 4);
        assert_eq!(scaler.limit(), 5, "4 of 5");
        scaler.on_batches(5);
        scaler.on_empty();
        scaler.advance(at(120), 5);
        assert_eq!(scaler.limit(), 5, "a receive came back empty");
        assert_eq!(ramp(&mut scaler, 2, 3), [5, 305, 605, 905]);
        scaler.on_empty();
        let idle: Vec<usize> = [(6, 700), (7, 0), (8, 0), (9, 0), (10, 0)]
            .map(|(minute, in_use)| {
                scaler.advance(at(60 * minute), in_use);
                scaler.limit()
            })
            .into();
        assert_eq!(
            idle,
            [905, 700, 400, 100, 5],
            "not below what a minute used, nor below 5"
        );
        assert_eq!(scaler.reason(), ScaleReason::Idle);
    }

    #[test]
    fn a_long_time_without_input_counts_minute_by_minute() {
        let mut scaler = Scaler::new(false, None, false, at(0));
        ramp(&mut scaler, 0, 5);
        scaler.on_empty();
        scaler.advance(at(36_000), 0);
        assert_eq!(scaler.limit(), 5);
        scaler.on_batches(5);
        scaler.advance(at(36_059), 5);
        assert_eq!(scaler.limit(), 5);
        scaler.advance(at(36_060), 5);
        assert_eq!(scaler.limit(), 305);
    }

    #[test]
    fn a_throttle_shows_the_capacity_and_growth_is_careful_after_it() {
        let mut scaler = Scaler::new(false, None, false, at(0));
        ramp(&mut scaler, 0, 1);
        for expect in [152, 76, 38, 19, 10, 10] {
            scaler.on_throttle(10);
            assert_eq!(scaler.limit(), expect);
        }
        assert_eq!(scaler.reason(), ScaleReason::Throttles);
        let limits = ramp(&mut scaler, 2, 7);
        assert_eq!(
            limits,
            [10, 20, 40, 80, 160, 320, 620, 920],
            "a minute with a throttle does not count"
        );
    }

    #[test]
    fn a_throttle_never_leaves_nothing_nor_raises_anything() {
        let mut scaler = Scaler::new(false, Some(3), false, at(0));
        scaler.on_throttle(50);
        assert_eq!(scaler.limit(), 3);
        for _ in 0..5 {
            scaler.on_throttle(0);
        }
        assert_eq!(scaler.limit(), 1);
        assert_eq!(ramp(&mut scaler, 1, 3), [1, 2, 3, 3]);
        assert_eq!(scaler.reason(), ScaleReason::MaximumConcurrency);
    }

    #[test]
    fn repeated_errors_halve_it_and_success_gives_back() {
        let fail = |scaler: &mut Scaler, n: u32| (0..n).for_each(|_| scaler.on_failure());
        let mut scaler = Scaler::new(false, None, false, at(0));
        fail(&mut scaler, 4);
        scaler.on_success();
        fail(&mut scaler, 4);
        assert_eq!(scaler.limit(), 5, "not in a row");
        fail(&mut scaler, 1);
        assert_eq!((scaler.limit(), scaler.reason()), (2, ScaleReason::Errors));
        fail(&mut scaler, 15);
        assert_eq!(scaler.limit(), 1);
        scaler.on_success();
        assert_eq!(scaler.limit(), 2);
        (0..9).for_each(|_| scaler.on_success());
        assert_eq!(scaler.limit(), 5);
    }

    #[test]
    fn errors_do_not_count_with_reports_or_in_fifo_queues() {
        for (fifo, reports, expect) in [(false, true, 5), (true, false, 1_250), (true, true, 1_250)] {
            let mut scaler = Scaler::new(fifo, None, reports, at(0));
            (0..100).for_each(|_| scaler.on_failure());
            assert_eq!(scaler.limit(), expect, "fifo {fifo}, reports {reports}");
        }
    }
}
