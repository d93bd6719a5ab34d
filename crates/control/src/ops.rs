//! The operations port: plain HTTP for probes and for Prometheus.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process works; 503 with what is stuck: starting it again may help |
//! | `/readyz` | 200 while it takes work; 503 with why not: it starts, it stops, or its database is being opened again |
//! | `/metrics` | the metrics, as Prometheus' text |
//!
//! It runs on a thread and a runtime of its own, so that it answers when the rest of the process does not.

mod connection;
mod probes;
mod serve;

pub use probes::{Heart, Probes};
pub use serve::{OpsError, OpsOptions, OpsServer};

use futures::future::BoxFuture;

/// Where metrics come from.
pub trait MetricsSource: Send + Sync + 'static {
    /// All metrics of this moment, as Prometheus' text. Answers within a few seconds.
    fn scrape(&self) -> BoxFuture<'_, String>;
}
