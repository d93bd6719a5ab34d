//! Drives one shard machine by hand: a stream and a journal in memory, a function that is a closure, and time
//! that jumps to the next deadline.

use bytes::Bytes;
use millstream_core::filter::{Scratch, Screen, Screened};
use millstream_core::route::route_page;
use millstream_core::shard::{
    Action, AttemptReport, AttemptToken, CommitOrder, Cursor, PageIn, ReadOrder, ShardConfig, ShardMachine,
    StopReason,
};
use millstream_core::verdict::{verdict, window_verdict};
use millstream_ports::Credit;
use millstream_testkit::{JournalState, StreamState, Write};
use millstream_types::commit::CommitOutcome;
use millstream_types::durable::Discard;
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{
    FunctionName, Incarnation, Lease, MappingId, MappingSpec, Mark, Mono, Namespace, Now, Outcome, Position,
    Record, RequestId, Seq, ShardId, SourceArn, StartingPosition, Wall, WindowEnvelope,
};
use std::collections::VecDeque;
use std::time::Duration;

/// When every run begins.
pub const BEGIN: Wall = Wall(1_700_000_000_000);
const NO_END: u32 = 20_000;

/// One attempt as the function saw it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub token: AttemptToken,
    pub request: RequestId,
    pub attempt: u32,
    pub records: Vec<Record>,
    /// Milliseconds since the run began.
    pub at: u64,
    pub waited: Option<Duration>,
    pub window: Option<WindowEnvelope>,
}

impl Sent {
    /// The numbers of its records.
    pub fn numbers(&self) -> Vec<u64> {
        self.records.iter().map(|r| number(r.mark)).collect()
    }
}

/// What a closure says of an attempt; none leaves it in flight.
pub type Function = Box<dyn FnMut(&Sent) -> Option<Outcome>>;

pub struct Rig {
    pub machine: ShardMachine,
    pub stream: StreamState,
    pub shard: ShardId,
    pub journal: JournalState,
    pub now: Now,
    pub sent: Vec<Sent>,
    pub commits: Vec<CommitOrder>,
    pub reads: Vec<ReadOrder>,
    pub stopped: Option<StopReason>,
    /// How commits end, in order; well when this is used up.
    pub outcomes: VecDeque<CommitOutcome>,
    /// Leaves commits unanswered in `waiting_commits`.
    pub hold_commits: bool,
    pub waiting_commits: Vec<CommitOrder>,
    pub hanging: Vec<Sent>,
    /// Lets no attempt start, and counts in `turned_away` those that wanted to.
    pub hold_attempts: bool,
    pub turned_away: usize,
    /// Leaves reads of the main cursor unanswered while a lane catches up.
    pub main_reads_last: bool,
    /// Pages hold a single record.
    pub one_record_per_read: bool,
    /// Whether the source can be read; if not, nothing is told of it.
    pub readable: bool,
    caught_up: Option<u64>,
    /// What is let through, if not everything.
    pub screen: Option<Screen>,
    /// Answers so many reads with pages of another generation.
    pub foreign_pages: usize,
    function: Function,
    config: ShardConfig,
    lease: Lease,
    actions: Vec<Action>,
    waiting_reads: Vec<ReadOrder>,
    acquired: u128,
}

impl Rig {
    /// A machine at the start of an empty stream of one shard.
    pub fn new(spec: MappingSpec, function: impl FnMut(&Sent) -> Option<Outcome> + 'static) -> Self {
        Self::with(config(&spec, 1), function)
    }

    /// The same with settings of its own.
    pub fn with(config: ShardConfig, function: impl FnMut(&Sent) -> Option<Outcome> + 'static) -> Self {
        let stream = StreamState::new("orders", 1);
        let shard = config.identity.shard.clone();
        let mut journal = JournalState::default();
        let (lease, _) = journal.acquire(mapping(), &shard, Incarnation::from_bits(1));
        let now = Now {
            wall: BEGIN,
            mono: Mono(0),
        };
        let machine = ShardMachine::new(config.clone(), Position::Trim, None, 1, now);
        Self {
            machine,
            stream,
            shard,
            journal,
            now,
            sent: Vec::new(),
            commits: Vec::new(),
            reads: Vec::new(),
            stopped: None,
            outcomes: VecDeque::new(),
            hold_commits: false,
            waiting_commits: Vec::new(),
            hanging: Vec::new(),
            hold_attempts: false,
            turned_away: 0,
            main_reads_last: false,
            one_record_per_read: false,
            readable: true,
            caught_up: None,
            screen: None,
            foreign_pages: 0,
            function: Box::new(function),
            config,
            lease,
            actions: Vec::new(),
            waiting_reads: Vec::new(),
            acquired: 1,
        }
    }

    /// Puts `n` records, one key each, and runs until nothing more happens.
    pub fn feed(&mut self, n: usize) -> &mut Self {
        for _ in 0..n {
            self.put("k", b"x");
        }
        self.run()
    }

    /// Puts `n` records and runs for so long.
    pub fn feed_for(&mut self, n: usize, time: Duration) -> &mut Self {
        for _ in 0..n {
            self.put("k", b"x");
        }
        self.run_for(time)
    }

    /// Puts one record without running.
    pub fn put(&mut self, key: &str, data: &[u8]) -> u64 {
        number(self.stream.put(key.as_bytes(), data, self.now.wall).1)
    }

    /// Puts one record that arrives so many ms after the run began, without running.
    pub fn put_at(&mut self, ms: u64) -> u64 {
        number(self.stream.put(b"k", b"x", Wall(BEGIN.0 + ms)).1)
    }

    /// Runs until nothing more happens: no work, no deadline.
    pub fn run(&mut self) -> &mut Self {
        self.run_to(None)
    }

    /// Runs for so long, and no longer.
    pub fn run_for(&mut self, time: Duration) -> &mut Self {
        let end = self.now.mono.plus(time);
        self.run_to(Some(end));
        self.sleep_to(end);
        self
    }

    fn run_to(&mut self, end: Option<Mono>) -> &mut Self {
        if self.reads.is_empty() {
            self.machine.start(self.now, &mut self.actions);
        }
        for _ in 0..NO_END {
            if self.work() {
                continue;
            }
            match self.machine.deadline() {
                Some(at) if end.is_none_or(|end| at <= end) => {
                    self.sleep_to(at.max(self.now.mono));
                    self.machine.on_tick(self.now, &mut self.actions);
                }
                _ => return self,
            }
        }
        panic!(
            "does not come to rest: last {:?}",
            self.sent.last().map(Sent::numbers)
        );
    }

    fn sleep_to(&mut self, at: Mono) {
        self.now = Now {
            wall: BEGIN.plus(at.since(Mono(0))),
            mono: at,
        };
    }

    /// Does one thing that can be done now; false if there is none.
    pub fn work(&mut self) -> bool {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Read(order) => {
                    self.reads.push(order);
                    self.waiting_reads.push(order);
                }
                Action::Commit(order) => {
                    self.commits.push(order.clone());
                    self.waiting_commits.push(order);
                }
                Action::Invoke(order) if self.hold_attempts => {
                    self.turned_away += 1;
                    self.machine.on_held(order.token, self.now, &mut self.actions);
                }
                Action::Invoke(order) => {
                    let records = order.batch.as_slice().to_vec();
                    let at = self.now.wall.0 - BEGIN.0;
                    let (token, request, attempt) = (order.token, order.request_id, order.attempt);
                    let sent = Sent {
                        token,
                        request,
                        attempt,
                        records,
                        at,
                        waited: order.waited,
                        window: order.window,
                    };
                    self.sent.push(sent.clone());
                    self.hanging.push(sent);
                }
                Action::Stopped(reason) => self.stopped = Some(reason),
            }
        }
        self.answer_commit() || self.answer_read() || self.answer_attempt()
    }

    fn answer_commit(&mut self) -> bool {
        if self.hold_commits || self.waiting_commits.is_empty() {
            return false;
        }
        let order = self.waiting_commits.remove(0);
        let mut outcome = self.outcomes.pop_front().unwrap_or(CommitOutcome::Committed);
        if outcome == CommitOutcome::Committed
            && self.journal.write(&self.lease, order.commit) == Write::Rejected
        {
            outcome = CommitOutcome::Rejected;
        }
        self.machine
            .on_commit(order.token, outcome, self.now, &mut self.actions);
        true
    }

    fn answer_read(&mut self) -> bool {
        for at in 0..self.waiting_reads.len() {
            let order = self.waiting_reads[at];
            if self.main_reads_last && order.cursor == Cursor::Main && self.machine.snapshot().lagging {
                continue;
            }
            let credit = Credit {
                records: if self.one_record_per_read {
                    1
                } else {
                    order.records
                },
                bytes: order.bytes,
            };
            let page = self.stream.read(&self.shard, order.from, credit).unwrap();
            let tip = page.records.is_empty() && order.cursor == Cursor::CatchUp;
            if page.records.is_empty() && !page.end && !tip {
                // A reader that waits tells once that it has seen all there is.
                if self.readable && self.caught_up != Some(order.serial) {
                    self.caught_up = Some(order.serial);
                    let lag = page.lag;
                    self.machine
                        .on_lag(lag.millis, lag.records, self.now, &mut self.actions);
                    return true;
                }
                continue;
            }
            self.waiting_reads.remove(at);
            let screened = self.screened(page.records);
            let routed = route_page(screened.matched, self.config.lanes, &self.config.shape);
            let foreign = self.foreign_pages > 0;
            self.foreign_pages -= usize::from(foreign);
            let page = PageIn {
                cursor: order.cursor,
                serial: order.serial,
                lanes: routed.lanes,
                through: page.through,
                end: page.end,
                tip,
                lag_ms: page.lag.millis,
                lag_records: page.lag.records,
                generation: self.config.generation + u64::from(foreign),
                filtered: screened.filtered,
                quarantined: screened.quarantined,
            };
            self.machine.on_page(page, self.now, &mut self.actions);
            return true;
        }
        false
    }

    fn screened(&self, records: Vec<Record>) -> Screened {
        match &self.screen {
            Some(screen) => screen.page(records, &mut Scratch::default()),
            None => Screened {
                matched: records,
                ..Screened::default()
            },
        }
    }

    /// Other filters take effect, as they do in life: everything drains, another owner goes on from what is stored.
    pub fn change_filters(&mut self, spec: &MappingSpec) -> &mut Self {
        self.drain();
        self.filter_by(spec);
        self.config.generation += 1;
        self.restart(None)
    }

    /// Lets through what these settings want.
    pub fn filter_by(&mut self, spec: &MappingSpec) {
        self.screen = Screen::of(spec, &self.shard, self.config.shape.clone()).unwrap();
    }

    fn answer_attempt(&mut self) -> bool {
        for at in 0..self.hanging.len() {
            let sent = self.hanging[at].clone();
            if let Some(outcome) = (self.function)(&sent) {
                self.hanging.remove(at);
                self.end(&sent, outcome);
                return true;
            }
        }
        false
    }

    /// Ends an attempt that was left in flight.
    pub fn release(&mut self, at: usize, outcome: Outcome) {
        let sent = self.hanging.remove(at);
        self.end(&sent, outcome);
    }

    fn end(&mut self, sent: &Sent, outcome: Outcome) {
        let (verdict, state) = match &sent.window {
            None => (verdict(&outcome, &sent.records, true), None),
            Some(_) => window_verdict(&outcome, &sent.records, true, self.config.limits.event_bytes),
        };
        let report = AttemptReport {
            token: sent.token,
            verdict,
            started: Wall(BEGIN.0 + sent.at),
            state,
        };
        self.machine.on_attempt(report, self.now, &mut self.actions);
    }

    /// Asks the machine to drain.
    pub fn drain(&mut self) -> &mut Self {
        self.machine.drain(self.now, &mut self.actions);
        self.run()
    }

    /// The process ends without a word; another takes the shard over, with other settings if asked.
    pub fn restart(&mut self, lanes: Option<u8>) -> &mut Self {
        self.restart_with(|config| {
            if let Some(lanes) = lanes {
                config.lanes = lanes;
                config.generation += 1;
            }
        })
    }

    /// The same with other settings.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut ShardConfig)) -> &mut Self {
        self.acquired += 1;
        change(&mut self.config);
        let (lease, record) =
            self.journal
                .acquire(mapping(), &self.shard, Incarnation::from_bits(self.acquired));
        self.lease = lease;
        self.machine = ShardMachine::new(
            self.config.clone(),
            Position::Trim,
            record,
            self.acquired,
            self.now,
        );
        self.stopped = None;
        self.caught_up = None;
        self.actions.clear();
        self.hanging.clear();
        self.waiting_commits.clear();
        self.waiting_reads.clear();
        self.machine.start(self.now, &mut self.actions);
        self
    }

    /// The batches that were sent, by the numbers of their records.
    pub fn batches(&self) -> Vec<Vec<u64>> {
        self.sent.iter().map(Sent::numbers).collect()
    }

    /// What is stored as given up.
    pub fn discards(&self) -> Vec<&Discard> {
        self.journal.discards().collect()
    }

    /// First and last record, count and condition of what is stored as given up.
    pub fn discarded(&self) -> Vec<(u64, u64, u32, &'static str)> {
        let of = |d: &&Discard| {
            (
                d.first.map_or(0, number),
                d.last.map_or(0, number),
                d.invoke_count,
                d.condition.as_str(),
            )
        };
        self.discards().iter().map(of).collect()
    }

    /// How many reads the catch-up cursor made.
    pub fn catch_up_reads(&self) -> usize {
        self.reads.iter().filter(|r| r.cursor == Cursor::CatchUp).count()
    }

    /// Up to where the machine says that all is finished.
    pub fn checkpoint(&self) -> Option<u64> {
        self.machine.watermark().map(number)
    }
}

pub fn mapping() -> MappingId {
    MappingId::from_bits(42)
}

pub fn arn() -> SourceArn {
    "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
        .parse()
        .unwrap()
}

/// A mapping's settings: AWS's defaults, changed as the test likes.
pub fn spec(change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    let mut spec = MappingSpec::stream(
        arn(),
        FunctionName::new("f").unwrap(),
        StartingPosition::TrimHorizon,
    );
    spec.report_batch_item_failures = true;
    change(&mut spec);
    spec
}

pub fn config(spec: &MappingSpec, generation: u64) -> ShardConfig {
    let shard = ShardId::new("shardId-000000000000").unwrap();
    ShardConfig::new(generation, Namespace::default(), mapping(), spec, shard)
}

pub fn number(mark: Mark) -> u64 {
    mark.to_string().parse().unwrap()
}

pub fn mark(n: u64) -> Mark {
    Mark::of(Seq::from_u128(n.into()))
}

pub fn ok() -> Outcome {
    Outcome::Response(Bytes::from_static(b"{}"))
}

pub fn raised() -> Outcome {
    Outcome::FunctionError(FunctionError {
        kind: FunctionErrorKind::Raised,
        error_type: "ValueError".to_owned(),
        message: String::new(),
    })
}

pub fn throttled() -> Outcome {
    Outcome::Throttled { retry_after: None }
}

pub fn always(outcome: Outcome) -> impl FnMut(&Sent) -> Option<Outcome> {
    move |_| Some(outcome.clone())
}

/// Throws whenever the batch holds one of `bad`.
pub fn raise_on(bad: &'static [u64]) -> impl FnMut(&Sent) -> Option<Outcome> {
    move |sent| {
        Some(if sent.numbers().iter().any(|n| bad.contains(n)) {
            raised()
        } else {
            ok()
        })
    }
}

/// Reports those of `bad` that the batch holds.
pub fn report_on(bad: &'static [u64]) -> impl FnMut(&Sent) -> Option<Outcome> {
    move |sent| {
        let failed: Vec<Mark> = sent
            .records
            .iter()
            .map(|r| r.mark)
            .filter(|m| bad.contains(&number(*m)))
            .collect();
        Some(if failed.is_empty() {
            ok()
        } else {
            millstream_testkit::report_of(&failed)
        })
    }
}
