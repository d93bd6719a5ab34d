//! The metrics of an engine with its store.

use millstream_engine::NodeMetrics;
use millstream_store::{Db, Health};
use millstream_telemetry::metrics::Scrape;
use millstream_telemetry::names::metric;
use std::time::Duration;

/// Tells what an [`crate::Assembly`] does. Works on after its drain, with the last values.
#[derive(Clone)]
pub struct Metrics {
    node: NodeMetrics,
    db: Db,
}

impl Metrics {
    pub(crate) fn new(node: NodeMetrics, db: Db) -> Self {
        Self { node, db }
    }

    /// Adds what is known now. Within a few seconds: queues that do not say how much is in them are not waited for.
    pub async fn collect(&self, scrape: &mut Scrape) {
        self.node.collect(scrape).await;
        self.collect_store(scrape);
    }

    /// Whether the database can be used.
    #[must_use]
    pub fn health(&self) -> Health {
        self.db.health().borrow().clone()
    }

    /// How long the database's writer has been at what it does now; none if it waits for work.
    #[must_use]
    pub fn writer_busy(&self) -> Option<Duration> {
        self.db.backlog().busy
    }

    fn collect_store(&self, scrape: &mut Scrape) {
        let (stats, backlog) = (self.db.stats(), self.db.backlog());
        let healthy = self.health() == Health::Healthy;
        for (metric, value) in [
            (&metric::STORE_HEALTHY, u64::from(healthy)),
            (&metric::STORE_QUEUE_REQUESTS, backlog.requests as u64),
            (&metric::STORE_QUEUE_BYTES, backlog.bytes),
            (&metric::STORE_WRITES, stats.batches),
            (&metric::STORE_GROUPS, stats.groups),
            (&metric::STORE_SYNCS, stats.syncs),
            (&metric::STORE_REOPENS, stats.reopens),
        ] {
            scrape.count(metric, &[], value);
        }
        scrape.add(&metric::STORE_GROUP_SECONDS, &[], stats.group_time.as_secs_f64());
        if let Ok(space) = self.db.free_space() {
            scrape.count(&metric::STORE_FREE_BYTES, &[], space.free);
            scrape.count(&metric::STORE_FLOOR_BYTES, &[], space.floor);
        }
    }
}
