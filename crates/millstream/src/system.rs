//! The composition root: the one place that names the adapters, in the order in which they start and stop.

use crate::clock::{SystemClock, SystemEntropy};
use millstream_broker::Broker;
use millstream_engine::manage::{Manager, ManagerPorts};
use millstream_engine::{Node, NodeOptions, NodePorts, Shutdown};
use millstream_ports::{Clock, Entropy, Streams};
use millstream_store::{
    CatalogStore, Db, DbOptions, DiscardStore, Health, Journal, JournalOptions, LedgerStore, OutboxStore,
};
use millstream_targets::{Factory, InProcess, PoolOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How a system runs.
#[derive(Clone, Debug)]
pub struct SystemOptions {
    /// Where everything durable is kept; made if missing. One process at a time.
    pub data_dir: PathBuf,
    /// The database.
    pub db: DbOptions,
    /// The engine.
    pub node: NodeOptions,
    /// Progress and history.
    pub journal: JournalOptions,
    /// Pools of function processes.
    pub pools: PoolOptions,
}

impl SystemOptions {
    /// The defaults, with everything kept in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            db: DbOptions::default(),
            node: NodeOptions::default(),
            journal: JournalOptions::default(),
            pools: PoolOptions::default(),
        }
    }
}

/// Why a system did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("the data directory {path} cannot be made: {source}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] millstream_store::OpenError),
    /// The catalog cannot be read.
    #[error("the catalog cannot be read: {0}")]
    Catalog(#[from] millstream_store::StoreError),
    /// The streams cannot be read.
    #[error(transparent)]
    Streams(#[from] millstream_broker::OpenError),
    /// The operating system refuses something that every start needs.
    #[error("the operating system refuses a thread or randomness: {0}")]
    System(#[from] std::io::Error),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] millstream_engine::StartError),
}

/// A running node with its own durable streams.
pub struct System {
    db: Db,
    broker: Arc<Broker>,
    node: Option<Node>,
    manager: Manager,
}

impl System {
    /// Opens what is durable, then starts the engine: every mapping goes on where it was.
    ///
    /// # Errors
    /// Any [`StartError`]; then nothing runs.
    pub async fn start(options: SystemOptions, in_process: Arc<InProcess>) -> Result<Self, StartError> {
        let SystemOptions { data_dir, db, node, journal, pools } = options;
        std::fs::create_dir_all(&data_dir)
            .map_err(|source| StartError::DataDir { path: data_dir.clone(), source })?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new()?);
        let factory = Arc::new(Factory::new(in_process, pools)?);
        let opening = tokio::task::spawn_blocking(move || Db::open(&data_dir, db));
        let db = opening.await.map_err(std::io::Error::other)??;
        let catalog = Arc::new(CatalogStore::open(db.clone())?);
        let broker = Arc::new(Broker::open(db.clone(), clock.clone()).await?);
        let outbox = OutboxStore::new(db.clone());
        let journal = Arc::new(Journal::new(db.clone(), &outbox, journal));
        let ports = NodePorts {
            clock: clock.clone(),
            entropy: entropy.clone(),
            catalog: catalog.clone(),
            journal,
            sources: broker.clone(),
            destinations: broker.clone(),
            outbox: Arc::new(outbox),
            functions: factory,
        };
        let node = Node::start(node, ports).await?;
        let manager = Manager::new(ManagerPorts {
            catalog,
            sources: broker.clone(),
            destinations: broker.clone(),
            clock,
            entropy,
            live: node.live(),
            ledger: Arc::new(LedgerStore::new(db.clone())),
            discards: Arc::new(DiscardStore::new(db.clone())),
        });
        Ok(Self { db, broker, node: Some(node), manager })
    }

    /// Mappings, functions, history.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.manager.clone()
    }

    /// The durable streams.
    #[must_use]
    pub fn streams(&self) -> Arc<dyn Streams> {
        self.broker.clone()
    }

    /// Whether the database works, as it changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.db.health()
    }

    /// Stops in order: the engine lets what runs end within `deadline`, function processes end, the store is
    /// synced and closed last.
    pub async fn shutdown(mut self, deadline: Duration) -> Shutdown {
        let stopped = match self.node.take() {
            Some(node) => node.shutdown(deadline).await,
            None => Shutdown::Drained,
        };
        self.db.close().await;
        stopped
    }
}
