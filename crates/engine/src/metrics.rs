//! What a running engine tells of itself: collected when somebody asks, from counts that are kept anyway.

use crate::board::{About, Measured, Reading};
use crate::context::Context;
use crate::meter::{End, Operation};
use futures::future::join_all;
use millstream_core::mapping_state::MappingState;
use millstream_core::shard::ShardLag;
use millstream_ports::{QueueDepth, QueueSource};
use millstream_telemetry::metrics::Scrape;
use millstream_telemetry::names::metric;
use millstream_types::{ShardId, Wall};
use std::sync::Arc;
use std::time::Duration;

/// A queue that takes longer to tell how much is in it is not waited for.
const DEPTH_WITHIN: Duration = Duration::from_secs(2);

/// The metrics of a node. Works on after the node has stopped, with the last values.
#[derive(Clone)]
pub struct NodeMetrics {
    context: Arc<Context>,
    per_shard: bool,
}

impl NodeMetrics {
    pub(crate) fn new(context: Arc<Context>, per_shard: bool) -> Self {
        Self { context, per_shard }
    }

    /// Adds what is known now. Asks queues how much is in them, and waits a moment for those that do not answer.
    pub async fn collect(&self, scrape: &mut Scrape) {
        let (used, limit) = self.context.budget.use_and_limit();
        scrape.count(&metric::BUFFER_BYTES, &[], used as u64);
        scrape.count(&metric::BUFFER_LIMIT_BYTES, &[], limit as u64);
        self.functions(scrape);
        let measured = self.context.board.measured();
        let depths = join_all(measured.iter().map(|m| self.depth(m.queue.as_ref()))).await;
        let now = self.context.now().wall;
        for (measured, depth) in measured.iter().zip(depths) {
            mapping(scrape, measured);
            if measured.about.source.kind().is_queue() {
                queue(scrape, measured, depth);
            } else {
                stream(scrape, measured, now, self.per_shard);
            }
        }
    }

    async fn depth(&self, queue: Option<&Arc<dyn QueueSource>>) -> Option<QueueDepth> {
        let clock = &self.context.ports.clock;
        let late = clock.sleep_until(clock.now().mono.plus(DEPTH_WITHIN));
        tokio::select! {
            biased;
            depth = queue?.depth() => depth.ok(),
            () = late => None,
        }
    }

    fn functions(&self, scrape: &mut Scrape) {
        for ((namespace, function), status) in self.context.pools.statuses() {
            let labels = [namespace.as_str(), function.as_str()];
            for (metric, value) in [
                (&metric::FUNCTION_PROCESSES, u64::from(status.processes)),
                (&metric::FUNCTION_IN_FLIGHT, u64::from(status.in_flight)),
                (&metric::FUNCTION_STARTS, status.started),
                (&metric::FUNCTION_CRASHES, status.crashed),
            ] {
                scrape.count(metric, &labels, value);
            }
        }
    }
}

impl About {
    fn labels(&self) -> [&str; 4] {
        [
            self.namespace.as_str(),
            self.name.as_str(),
            self.source.as_str(),
            self.function.as_str(),
        ]
    }
}

/// The labels of a mapping, and one more.
fn with<'a>([a, b, c, d]: [&'a str; 4], last: &'a str) -> [&'a str; 5] {
    [a, b, c, d, last]
}

fn state(state: MappingState) -> &'static str {
    match state {
        MappingState::Creating => "creating",
        MappingState::Active => "active",
        MappingState::Pausing => "pausing",
        MappingState::Paused => "paused",
        MappingState::Resuming => "resuming",
        MappingState::Updating => "updating",
        MappingState::Deleting => "deleting",
    }
}

/// What mappings of streams and of queues have in common.
fn mapping(scrape: &mut Scrape, measured: &Measured) {
    let (labels, meter, totals) = (measured.about.labels(), &measured.meter, &measured.totals);
    scrape.count(&metric::MAPPING_STATE, &with(labels, state(measured.state)), 1);
    let buffered = measured.shards.iter().map(|(_, r)| r.buffered_bytes).sum();
    for (metric, value) in [
        (&metric::BUFFERED_BYTES, buffered),
        (&metric::IN_FLIGHT, meter.in_flight.get()),
        (&metric::RETRIES, meter.retries.get()),
        (&metric::RECORDS_READ, totals.counters.records_read),
        (&metric::RECORDS_DONE, totals.counters.records_done),
        (&metric::AWS_POLLED, totals.counters.records_read),
        (&metric::AWS_FILTERED, totals.counters.records_filtered),
        (&metric::AWS_INVOKED, meter.invoked.get()),
        (&metric::AWS_FAILED, meter.failed.get()),
    ] {
        scrape.count(metric, &labels, value);
    }
    for (pattern, n) in meter.patterns() {
        scrape.count(&metric::FILTERED, &with(labels, pattern), n);
    }
    for (end, word) in End::ALL {
        scrape.count(&metric::ATTEMPTS, &with(labels, word), meter.ends(end).get());
    }
    scrape.histogram(&metric::ATTEMPT_SECONDS, &labels, &meter.seconds);
    scrape.histogram(&metric::BATCH_RECORDS, &labels, &meter.records);
    scrape.histogram(&metric::BATCH_WAIT, &labels, &meter.wait);
}

fn stream(scrape: &mut Scrape, measured: &Measured, now: Wall, per_shard: bool) {
    let (labels, meter, totals) = (measured.about.labels(), &measured.meter, &measured.totals);
    for (metric, value) in [
        (&metric::MAPPING_SHARDS, measured.shards.len() as u64),
        (&metric::RECORDS_DISCARDED, totals.counters.records_discarded),
        (&metric::SPLITS, totals.counters.splits),
        (&metric::AWS_DROPPED, totals.dropped),
        (&metric::AWS_DELIVERED, meter.delivered.get()),
        (&metric::UNDELIVERABLE, meter.undeliverable.get()),
    ] {
        scrape.count(metric, &labels, value);
    }
    scrape.histogram(&metric::AWS_ITERATOR_AGE, &labels, &meter.age);
    requests(scrape, measured, &Operation::STREAM);
    let (records, age) = behind(&measured.shards, now);
    scrape.known(&metric::LAG_RECORDS, &labels, records);
    seconds(scrape, &metric::LAG_SECONDS, &labels, age);
    if per_shard {
        for (shard, reading) in &measured.shards {
            let labels = with(labels, shard.as_str());
            let lag = reading.lag.unwrap_or_default();
            scrape.known(&metric::SHARD_LAG_RECORDS, &labels, lag.records);
            seconds(scrape, &metric::SHARD_LAG_SECONDS, &labels, lag.age_ms(now));
        }
    }
}

/// Records and age in ms, over all shards that are worked on; none if there is none, or one does not know.
fn behind(shards: &[(ShardId, Reading)], now: Wall) -> (Option<u64>, Option<u64>) {
    let lags = || shards.iter().map(|(_, reading)| reading.lag.unwrap_or_default());
    if shards.is_empty() {
        return (None, None);
    }
    let records = lags().map(|lag: ShardLag| lag.records).sum();
    let age = lags().map(|lag| lag.age_ms(now)).collect::<Option<Vec<u64>>>();
    (records, age.and_then(|ages| ages.into_iter().max()))
}

fn queue(scrape: &mut Scrape, measured: &Measured, depth: Option<QueueDepth>) {
    let labels = measured.about.labels();
    scrape.count(&metric::AWS_DELETED, &labels, measured.totals.deleted);
    requests(scrape, measured, &Operation::QUEUE);
    let Some(depth) = depth else { return };
    scrape.count(&metric::QUEUE_VISIBLE, &labels, depth.visible);
    scrape.count(&metric::QUEUE_HIDDEN, &labels, depth.in_flight);
    scrape.count(&metric::QUEUE_DELAYED, &labels, depth.delayed);
    let empty = depth.visible + depth.in_flight + depth.delayed == 0;
    let oldest = depth.oldest.or(empty.then_some(Duration::ZERO));
    if let Some(oldest) = oldest {
        scrape.add(&metric::LAG_SECONDS, &labels, oldest.as_secs_f64());
    }
}

fn requests(scrape: &mut Scrape, measured: &Measured, operations: &[(Operation, &str)]) {
    for (operation, word) in operations {
        let labels = with(measured.about.labels(), word);
        scrape.count(
            &metric::REQUESTS,
            &labels,
            measured.meter.requests(*operation).get(),
        );
    }
}

fn seconds(scrape: &mut Scrape, metric: &metric::Metric, labels: &[&str], ms: Option<u64>) {
    if let Some(ms) = ms {
        scrape.add(metric, labels, Duration::from_millis(ms).as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(n: u8, lag: Option<ShardLag>) -> (ShardId, Reading) {
        let reading = Reading {
            lag,
            ..Reading::default()
        };
        (ShardId::new(format!("s{n}")).unwrap(), reading)
    }

    #[test]
    fn what_one_shard_does_not_know_is_not_known_of_all() {
        let lag = |records, lag_ms, oldest: Option<u64>| {
            Some(ShardLag {
                lag_ms,
                oldest_unfinished: oldest.map(Wall),
                records,
            })
        };
        let known = lag(Some(3), Some(0), None);
        let old = lag(Some(4), Some(10), Some(9_000));
        for (shards, expected) in [
            (vec![], (None, None)),
            (vec![shard(1, known)], (Some(3), Some(0))),
            (vec![shard(1, known), shard(2, old)], (Some(7), Some(1_000))),
            (vec![shard(1, known), shard(2, None)], (None, None)),
            (vec![shard(1, lag(None, Some(5), None))], (None, Some(5))),
        ] {
            assert_eq!(behind(&shards, Wall(10_000)), expected, "{shards:?}");
        }
    }
}
