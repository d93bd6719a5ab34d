//! Which queues there are.

use super::alarm::{self, Alarms};
use super::meta::QueueRow;
use super::{Queue, QueueHost, rows};
use crate::put::Budget;
use crate::rows::RowError;
use millstream_ports::{Clock, Entropy, QueueDepth, QueueDescription, QueueError};
use millstream_store::schema::Key;
use millstream_store::{Batch, Db, DiskFull, Durability};
use millstream_types::{Namespace, QueueName, QueueSpec};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, Notify};

type Queues = BTreeMap<(Namespace, QueueName), Arc<Queue>>;

/// The queues of a broker.
pub(crate) struct Registry {
    pub(crate) host: QueueHost,
    queues: RwLock<Queues>,
    /// The id of the next queue; held while one is made.
    next_id: Mutex<u64>,
}

impl Registry {
    /// Reads all queues. One whose stored data is damaged is left out and reported.
    pub(crate) fn load(
        (db, clock): (Db, Arc<dyn Clock>),
        entropy: Arc<dyn Entropy>,
        budget: Budget,
        doubts: Arc<Notify>,
    ) -> Result<Arc<Self>, RowError> {
        let mut next_id = rows::next_id(&db)?;
        let names = rows::names(&db)?;
        let registry = Arc::new_cyclic(|registry| Self {
            host: QueueHost {
                db,
                clock,
                entropy,
                budget,
                alarms: Arc::default(),
                doubts,
                registry: registry.clone(),
            },
            queues: RwLock::default(),
            next_id: Mutex::new(next_id),
        });
        for (namespace, name) in names {
            match registry.load_one(&namespace, &name) {
                Ok(Some(queue)) => next_id = next_id.max(queue.id + 1),
                Ok(None) => {}
                Err(RowError::Read(e)) => return Err(e.into()),
                Err(e) => tracing::error!(%namespace, queue = %name, error = %e, "a queue is left out"),
            }
        }
        if let Ok(mut id) = registry.next_id.try_lock() {
            *id = next_id;
        }
        Ok(registry)
    }

    /// The task that wakes queues.
    pub(crate) async fn run_alarms(alarms: Arc<Alarms>, clock: Arc<dyn Clock>) {
        alarm::run(alarms, clock).await;
    }

    fn load_one(&self, namespace: &Namespace, name: &QueueName) -> Result<Option<Arc<Queue>>, RowError> {
        let Some(row) = rows::load(&self.host.db, namespace, name)? else {
            return Ok(None);
        };
        let queue = Queue::load((namespace.clone(), name.clone()), self.host.clone(), row)?;
        self.enter(&queue);
        Ok(Some(queue))
    }

    fn enter(&self, queue: &Arc<Queue>) {
        let key = (queue.namespace.clone(), queue.name.clone());
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.insert(key, Arc::clone(queue));
    }

    /// A queue that exists.
    pub(crate) fn queue(&self, namespace: &Namespace, name: &QueueName) -> Result<Arc<Queue>, QueueError> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let found = queues.get(&(namespace.clone(), name.clone())).map(Arc::clone);
        found
            .filter(|queue| !queue.is_gone())
            .ok_or_else(|| QueueError::NotFound(name.clone()))
    }

    /// All queues.
    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.values().map(Arc::clone).collect()
    }

    /// The queues of a namespace after a name, in order.
    pub(crate) fn of(
        &self,
        namespace: &Namespace,
        after: Option<&QueueName>,
        limit: usize,
    ) -> Vec<Arc<Queue>> {
        let all = self.all().into_iter();
        let mine = all.filter(|queue| queue.namespace == *namespace && !queue.is_gone());
        let later = mine.filter(|queue| after.is_none_or(|after| queue.name > *after));
        later.take(limit).collect()
    }

    /// Forgets a queue that was deleted.
    pub(crate) fn forget(&self, queue: &Arc<Queue>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let key = (queue.namespace.clone(), queue.name.clone());
        if queues.get(&key).is_some_and(|known| Arc::ptr_eq(known, queue)) {
            queues.remove(&key);
        }
    }

    /// The queue that would be made.
    pub(crate) fn would_create(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
    ) -> Result<QueueDescription, QueueError> {
        if self.queue(namespace, name).is_ok() {
            return Err(QueueError::AlreadyExists(name.clone()));
        }
        let now = self.host.clock.now().wall;
        Ok(QueueDescription {
            namespace: namespace.clone(),
            name: name.clone(),
            spec,
            created: now,
            modified: now,
            revision: 0,
            depth: QueueDepth::default(),
            dead_letter_sources: Vec::new(),
        })
    }

    /// Makes a queue, synced before it returns. If it cannot be told whether it was made, a repetition finds it.
    pub(crate) async fn create(
        &self,
        namespace: Namespace,
        name: QueueName,
        spec: QueueSpec,
    ) -> Result<Arc<Queue>, QueueError> {
        let mut next_id = self.next_id.lock().await;
        let unavailable = |e: RowError| QueueError::Unavailable(e.to_string());
        if self.queue(&namespace, &name).is_ok()
            || self.load_one(&namespace, &name).map_err(unavailable)?.is_some()
        {
            return Err(QueueError::AlreadyExists(name));
        }
        let room = self.host.db.check_room();
        room.map_err(|DiskFull { free, floor }| QueueError::DiskFull { free, floor })?;
        let now = self.host.clock.now().wall;
        let row = QueueRow {
            id: *next_id,
            spec,
            created: now,
            modified: now,
            revision: 1,
        };
        // Whatever becomes of this queue, no other gets its id.
        *next_id += 1;
        let mut batch = Batch::new();
        rows::put(&mut batch, (&namespace, &name), &row).map_err(unavailable)?;
        batch.put(&Key::QueueNextId, next_id.to_string().into_bytes());
        let written = self.host.db.write(batch, Durability::Synced).await;
        written.map_err(|e| QueueError::Unavailable(e.to_string()))?;
        let queue = Queue::load((namespace, name), self.host.clone(), row).map_err(unavailable)?;
        self.enter(&queue);
        Ok(queue)
    }
}
