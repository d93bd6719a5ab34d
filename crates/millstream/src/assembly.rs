//! The composition root: opens store, broker and targets, and starts the engine over them; stops them in order.

use crate::error::StartError;
use crate::metrics::Metrics;
use crate::routed::{Elsewhere, Routed};
use crate::system::{SystemClock, SystemEntropy};
use millstream_broker::Broker;
use millstream_engine::manage::{Manager, ManagerPorts};
use millstream_engine::{DeliveryPolicy, Node, NodeOptions, NodePorts, Shutdown};
use millstream_ports::{Clock, Queues, Streams};
use millstream_store::{
    CatalogStore, Db, DbOptions, DiscardStore, Journal, JournalOptions, KeepDiscards, LedgerStore, OpenError,
    OutboxStore, Swept,
};
use millstream_targets::{Factory, HttpOptions, InProcess, PoolOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often, and after which pauses, a database is tried again that somebody else has open: 2 seconds in all.
const OPEN_TRIES: u32 = 40;
const OPEN_PAUSE: Duration = Duration::from_millis(50);
/// How often discards are swept. Bounds are days and gigabytes.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// How an engine with its own broker is put together.
#[derive(Clone, Debug)]
pub struct AssemblyOptions {
    /// Where everything durable lives; made if it is missing. One process at a time.
    pub data_dir: PathBuf,
    /// Most bytes of records read ahead, over all mappings; default 256 MiB.
    pub byte_budget: usize,
    /// Free bytes of the disk below which puts are refused: this or 5 % of the file system, whichever is less;
    /// default 256 MiB.
    pub free_floor_bytes: u64,
    /// Memory for blocks read from disk; default 256 MiB.
    pub block_cache_bytes: usize,
    /// Memory for data on its way to a table file, of which up to three exist; default 64 MiB.
    pub write_buffer_bytes: usize,
    /// How much of what was given up is kept; default 14 days, and 1 GiB a mapping.
    pub keep_discards: KeepDiscards,
    /// For how long the delivery of a failure document is tried before it counts as failed; default a day.
    pub delivery: DeliveryPolicy,
    /// How pools of function processes behave.
    pub pools: PoolOptions,
    /// How http functions are reached.
    pub http: HttpOptions,
    /// Which ARNs are reached where, and as whom; none by default. All others are looked for in the built-in broker.
    #[cfg(feature = "aws")]
    pub connections: millstream_sources::Connections,
}

impl AssemblyOptions {
    /// The defaults, in this directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let db = DbOptions::default();
        Self {
            data_dir: data_dir.into(),
            byte_budget: NodeOptions::default().byte_budget,
            free_floor_bytes: db.free_floor_bytes,
            block_cache_bytes: db.block_cache_bytes,
            write_buffer_bytes: db.write_buffer_bytes,
            keep_discards: KeepDiscards::default(),
            delivery: DeliveryPolicy::default(),
            pools: PoolOptions::default(),
            http: HttpOptions::default(),
            #[cfg(feature = "aws")]
            connections: millstream_sources::Connections::default(),
        }
    }

    fn db(&self) -> DbOptions {
        DbOptions {
            free_floor_bytes: self.free_floor_bytes,
            block_cache_bytes: self.block_cache_bytes,
            write_buffer_bytes: self.write_buffer_bytes,
            ..DbOptions::default()
        }
    }
}

/// A running engine over its own store and broker.
///
/// Dropped without [`Assembly::drain`] it ends as if the process had died, but for what is queued for the disk.
pub struct Assembly {
    // Fields are dropped in this order: what runs, then what it runs on.
    _sweeper: Sweeper,
    node: Node,
    manager: Manager,
    sources: Arc<Routed>,
    broker: Broker,
    db: Db,
}

impl Assembly {
    /// Opens everything, takes up every mapping of the catalog, and returns when each has been taken up. The
    /// closures of `in_process` must be registered before, or the mappings that use them wait for the next start.
    ///
    /// Must be called within a tokio runtime of several threads.
    ///
    /// # Errors
    /// Any [`StartError`] that is not about declarations.
    pub async fn start(options: AssemblyOptions, in_process: Arc<InProcess>) -> Result<Self, StartError> {
        let clock = Arc::new(SystemClock::default());
        let entropy = Arc::new(SystemEntropy::new()?);
        let functions = Factory::new(in_process, options.pools.clone())
            .map_err(StartError::Thread)?
            .with_http(options.http.clone());
        let elsewhere = Elsewhere::of(&options)?;
        let functions = elsewhere.functions(functions);
        let node = NodeOptions {
            byte_budget: options.byte_budget,
            delivery: options.delivery,
        };
        let keep = options.keep_discards;
        let (db, catalog) = open(options).await?;
        let broker = Broker::open(db.clone(), clock.clone(), entropy.clone()).await?;
        let sources = Arc::new(Routed::new(broker.clone(), elsewhere));
        let outbox = OutboxStore::new(db.clone());
        let journal = Arc::new(Journal::new(db.clone(), &outbox, JournalOptions::default()));
        let ports = NodePorts {
            clock: clock.clone(),
            entropy: entropy.clone(),
            catalog: Arc::new(catalog.clone()),
            journal: journal.clone(),
            ledger: journal,
            sources: sources.clone(),
            destinations: sources.clone(),
            outbox: Arc::new(outbox),
            functions: Arc::new(functions),
        };
        let node = Node::start(node, ports).await?;
        let discards = DiscardStore::new(db.clone());
        let sweeper = Sweeper(tokio::spawn(sweep(discards.clone(), keep, clock.clone())));
        let manager = Manager::new(ManagerPorts {
            catalog: Arc::new(catalog),
            sources: sources.clone(),
            destinations: sources.clone(),
            lambda: sources.clone(),
            clock,
            entropy,
            live: node.live(),
            ledger: Arc::new(LedgerStore::new(db.clone())),
            discards: Arc::new(discards),
        });
        Ok(Self {
            _sweeper: sweeper,
            node,
            manager,
            sources,
            broker,
            db,
        })
    }

    /// Mappings, functions and history.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.manager.clone()
    }

    /// The streams of the built-in broker.
    #[must_use]
    pub fn streams(&self) -> Arc<dyn Streams> {
        Arc::new(self.broker.clone())
    }

    /// The queues of the built-in broker.
    #[must_use]
    pub fn queues(&self) -> Arc<dyn Queues> {
        Arc::new(self.broker.clone())
    }

    /// What it tells of itself; of every shard besides every mapping, if `per_shard`.
    #[must_use]
    pub fn metrics(&self, per_shard: bool) -> Metrics {
        Metrics::new(self.node.metrics(per_shard), self.db.clone())
    }

    /// Starts nothing more, lets running attempts end within `deadline`, ends function processes, stores all
    /// progress, and closes the database last. Whatever still uses [`Assembly::streams`] or
    /// [`Assembly::queues`] fails from then on.
    pub async fn drain(self, deadline: Duration) -> Shutdown {
        let Self {
            _sweeper: sweeper,
            node,
            manager,
            sources,
            broker,
            db,
        } = self;
        drop(sweeper);
        let began = Instant::now();
        let ended = node.shutdown(deadline).await;
        sources.close(deadline.saturating_sub(began.elapsed())).await;
        drop((manager, sources, broker));
        db.close().await;
        ended
    }
}

/// Ends the sweeps with what they sweep.
struct Sweeper(tokio::task::JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Removes discards beyond the bounds: at the start, and once an hour.
async fn sweep(discards: DiscardStore, keep: KeepDiscards, clock: Arc<SystemClock>) {
    loop {
        match discards.sweep(keep, clock.now().wall).await {
            Ok(swept) if swept == Swept::default() => {}
            Ok(swept) => tracing::info!(
                too_old = swept.too_old,
                too_many = swept.too_many,
                waiting = swept.waiting,
                "discards beyond their bounds were removed, but for those whose document is on its way"
            ),
            Err(error) => tracing::warn!(%error, "discards cannot be swept now"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Opening reads the disk, perhaps for seconds after a crash: off the runtime's threads. A database in use is
/// tried again for a moment: its owner may be just ending, as after a [`Assembly`] of this process was dropped.
async fn open(options: AssemblyOptions) -> Result<(Db, CatalogStore), StartError> {
    let path = options.data_dir.join("db");
    let mut patience = OPEN_TRIES;
    loop {
        let (path, db_options) = (path.clone(), options.db());
        let opening = tokio::task::spawn_blocking(move || {
            let db = Db::open(&path, db_options)?;
            let catalog = CatalogStore::open(db.clone()).map_err(StartError::Catalog)?;
            Ok((db, catalog))
        });
        match opening
            .await
            .map_err(|e| StartError::Interrupted(e.to_string()))?
        {
            Err(StartError::Open(OpenError::InUse { .. })) if patience > 0 => patience -= 1,
            other => return other,
        }
        tokio::time::sleep(OPEN_PAUSE).await;
    }
}
