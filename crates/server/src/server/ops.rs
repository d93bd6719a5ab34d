//! What the operations port tells: this process as a whole.

use crate::config::ServerConfig;
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream::{Assembly, Health};
use millstream_control::ops::{Heart, MetricsSource, OpsError, OpsOptions, OpsServer, Probes};
use millstream_telemetry::export::Exporter;
use millstream_telemetry::metrics::Scrape;
use millstream_telemetry::names::metric;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A writer that has been at one group for so long, with a database that is not being opened again, hangs on its disk.
const WRITER_STUCK_AFTER: Duration = Duration::from_secs(60);

/// The port, from before the database is opened until after it is closed.
pub(super) struct Operations {
    pub(super) probes: Probes,
    metrics: Arc<Metrics>,
    server: Option<OpsServer>,
    _heart: Heart,
}

struct Metrics {
    exporter: Option<Arc<Exporter>>,
    assembly: OnceLock<millstream::Metrics>,
}

impl MetricsSource for Metrics {
    fn scrape(&self) -> BoxFuture<'_, String> {
        async {
            let mut scrape = Scrape::default();
            scrape.count(&metric::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
            if let Some(exporter) = &self.exporter {
                exporter.collect(&mut scrape);
            }
            if let Some(assembly) = self.assembly.get() {
                assembly.collect(&mut scrape).await;
            }
            scrape.text()
        }
        .boxed()
    }
}

impl Operations {
    /// Listens, unless the settings say not to.
    ///
    /// # Errors
    /// Any [`OpsError`].
    pub(super) fn start(config: &ServerConfig, exporter: Option<Arc<Exporter>>) -> Result<Self, OpsError> {
        let (probes, heart) = (Probes::default(), Heart::start());
        probes.alive_while(heart.check());
        let metrics = Arc::new(Metrics {
            exporter,
            assembly: OnceLock::new(),
        });
        let open = |addr| OpsServer::start(OpsOptions { addr }, probes.clone(), metrics.clone());
        let server = config.ops_addr.map(open).transpose()?;
        Ok(Self {
            server,
            probes,
            metrics,
            _heart: heart,
        })
    }

    /// Where it listens, if it does.
    pub(super) fn local_addr(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(OpsServer::local_addr)
    }

    /// The engine is there: from now on it is told of, too.
    pub(super) fn watch(&self, assembly: &Assembly, config: &ServerConfig) {
        let metrics = assembly.metrics(config.metrics_per_shard);
        let (store, writer) = (metrics.clone(), metrics.clone());
        self.probes.ready_while(move || match store.health() {
            Health::Reopening { error, .. } => Err(format!("the database is being opened again: {error}")),
            Health::Healthy | Health::Closed => Ok(()),
        });
        self.probes.alive_while(move || match writer.writer_busy() {
            Some(busy) if busy >= WRITER_STUCK_AFTER && writer.health() == Health::Healthy => {
                Err(format!("a write has taken {} s so far", busy.as_secs()))
            }
            _ => Ok(()),
        });
        // Watched once.
        let _ = self.metrics.assembly.set(metrics);
    }
}
