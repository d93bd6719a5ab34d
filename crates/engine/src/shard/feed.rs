//! The poll task of one cursor: reads within credit, filters, routes to lanes, hands pages to the consumer.
//!
//! Filtering and hashing happen here, so that the consumer handles pages and never single records. A source that
//! fails is tried again for ever, visibly.

use super::consumer::ShardMsg;
use crate::budget::Reservation;
use crate::context::Context;
use crate::meter::{Meter, Operation};
use crate::task::Owned;
use futures::FutureExt;
use millstream_core::event::EventShape;
use millstream_core::filter::{Scratch, Screen, Screened};
use millstream_core::mutant::{self, Mutant};
use millstream_core::restart::{RestartPolicy, Restarts};
use millstream_core::route::route_page;
use millstream_core::shard::{Cursor, PageIn, ReadOrder};
use millstream_ports::{Credit, Lag, Page, ShardReader, SourceError, StreamSource};
use millstream_types::{Position, Record, ShardId};
use ractor::ActorRef;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A poll task and the way to give it orders.
pub(super) struct Feed {
    orders: mpsc::Sender<ReadOrder>,
    _task: Owned,
}

/// What a poll task needs.
#[derive(Clone)]
pub(super) struct FeedArgs {
    pub(super) context: Arc<Context>,
    pub(super) source: Arc<dyn StreamSource>,
    pub(super) shard: ShardId,
    pub(super) lanes: u8,
    pub(super) shape: Arc<EventShape>,
    /// The mapping's filters, if it has any, and the generation they are of.
    pub(super) screen: Option<Arc<Screen>>,
    pub(super) generation: u64,
    pub(super) meter: Arc<Meter>,
    pub(super) consumer: ActorRef<ShardMsg>,
}

impl Feed {
    pub(super) fn start(args: FeedArgs) -> Self {
        // The machine has one order per cursor under way.
        let (orders, inbox) = mpsc::channel(1);
        Self {
            orders,
            _task: Owned::spawn(run(args, inbox)),
        }
    }

    /// False if the task is gone.
    pub(super) fn order(&self, order: ReadOrder) -> bool {
        self.orders.try_send(order).is_ok()
    }
}

/// What a read came to.
enum Fetched {
    /// Something new, with the memory it takes; or, for the catch-up cursor, that nothing is left.
    Page(Box<Page>, Reservation, bool),
    /// All there is has been read.
    NothingYet(Lag),
}

struct Reading {
    args: FeedArgs,
    reader: Option<(Box<dyn ShardReader>, Position)>,
    troubled: bool,
    scratch: Scratch,
}

async fn run(args: FeedArgs, mut inbox: mpsc::Receiver<ReadOrder>) {
    let mut reading = Reading {
        args,
        reader: None,
        troubled: false,
        scratch: Scratch::default(),
    };
    while let Some(order) = inbox.recv().await {
        let (page, reservation, tip) = reading.fetch(&order).await;
        let consumer = reading.args.consumer.clone();
        if let Some(gap) = page.gap {
            let _ = consumer.cast(ShardMsg::Gap(gap));
        }
        let screened = reading.screen(page.records, order.cursor);
        let routed = route_page(screened.matched, reading.args.lanes, &reading.args.shape);
        let page = PageIn {
            cursor: order.cursor,
            serial: order.serial,
            lanes: routed.lanes,
            through: page.through,
            end: page.end,
            tip,
            lag_ms: page.lag.millis,
            lag_records: page.lag.records,
            generation: reading.args.generation,
            filtered: screened.filtered,
            quarantined: screened.quarantined,
        };
        if consumer.cast(ShardMsg::Page(page, reservation)).is_err() {
            return;
        }
    }
}

impl Reading {
    /// What of a page is wanted. The main cursor, which reads every record once, counts.
    fn screen(&mut self, records: Vec<Record>, cursor: Cursor) -> Screened {
        let screen = self
            .args
            .screen
            .as_ref()
            .filter(|_| !mutant::on(Mutant::FilterIgnored));
        let Some(screen) = screen else {
            return Screened {
                matched: records,
                ..Screened::default()
            };
        };
        let screened = screen.page(records, &mut self.scratch);
        if cursor == Cursor::Main {
            self.args.meter.screened(&screened.by_pattern, screened.filtered);
        }
        screened
    }

    /// The next page that says anything new.
    async fn fetch(&mut self, order: &ReadOrder) -> (Page, Reservation, bool) {
        let clock = self.args.context.ports.clock.clone();
        let mut restarts = Restarts::new(RestartPolicy::default(), clock.now().mono);
        loop {
            // A reader that panics is thrown away; the machine still waits for its page.
            let attempt = AssertUnwindSafe(self.attempt(order)).catch_unwind().await;
            match attempt.unwrap_or_else(|_| Err(SourceError::Unavailable("the reader panicked".to_owned())))
            {
                Ok(Fetched::Page(page, reservation, tip)) => {
                    self.report(None);
                    return (*page, reservation, tip);
                }
                Ok(Fetched::NothingYet(lag)) => {
                    self.report(None);
                    let _ = self.args.consumer.cast(ShardMsg::CaughtUp(lag));
                    if let Some((reader, _)) = self.reader.as_mut() {
                        reader.wait().await;
                    }
                }
                Err(error @ SourceError::NoSuchShard { .. }) => return self.lost_shard(&error),
                Err(error) => {
                    self.report(Some(error.to_string()));
                    let again = restarts.on_failure(clock.now().mono, self.args.context.jitter());
                    clock.sleep_until(again).await;
                }
            }
        }
    }

    /// One read.
    async fn attempt(&mut self, order: &ReadOrder) -> Result<Fetched, SourceError> {
        let (mut reader, at) = match self.reader.take().filter(|(_, at)| *at == order.from) {
            Some(open) => open,
            None => (
                self.args.source.open(&self.args.shard, order.from).await?,
                order.from,
            ),
        };
        let reservation = self.args.context.budget.reserve(order.bytes).await;
        self.args.meter.requested(Operation::Read);
        let page = reader
            .next(Credit {
                records: order.records,
                bytes: order.bytes,
            })
            .await;
        let page = page.inspect_err(|e| {
            tracing::debug!(shard = %self.args.shard, error = %e, "read failed");
        })?;
        let next = page.through.map_or(at, Position::After);
        let nothing_new = page.records.is_empty() && !page.end && page.gap.is_none() && next == at;
        self.reader = Some((reader, next));
        // The catch-up cursor must hear that nothing is left; the main cursor waits for more.
        let tip = nothing_new && order.cursor == Cursor::CatchUp;
        if nothing_new && !tip {
            return Ok(Fetched::NothingYet(page.lag));
        }
        Ok(Fetched::Page(Box::new(page), reservation, tip))
    }

    /// All of the shard's records fell out of retention: that is its end.
    fn lost_shard(&mut self, error: &SourceError) -> (Page, Reservation, bool) {
        self.report(Some(error.to_string()));
        let page = Page {
            end: true,
            ..Page::default()
        };
        (page, Reservation::none(&self.args.context.budget), false)
    }

    fn report(&mut self, trouble: Option<String>) {
        if trouble.is_some() || self.troubled {
            self.troubled = trouble.is_some();
            let _ = self.args.consumer.cast(ShardMsg::Source(trouble));
        }
    }
}
