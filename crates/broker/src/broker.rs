//! The broker of one node: which streams there are.

use crate::meta::{ShardMeta, StreamMeta};
use crate::put::Budget;
use crate::queue::Registry;
use crate::recovery;
use crate::retention::{self, Trimmed};
use crate::rows::{self, RowError};
use crate::stream::{Host, LoadError, Stream};
use millstream_ports::{Clock, Entropy, ShardDescription, StreamDescription, StreamError};
use millstream_store::{Batch, Db, DiskFull, Durability};
use millstream_types::{Namespace, StreamName, StreamSpec};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

/// Durable streams and queues on a node's database. Clones are handles of the same broker; when the last goes, its
/// background work ends.
#[derive(Clone)]
pub struct Broker {
    pub(crate) inner: Arc<Inner>,
    _tasks: Arc<[AbortOnDrop; 3]>,
}

pub(crate) struct Inner {
    pub(crate) host: Host,
    pub(crate) budget: Budget,
    pub(crate) queues: Arc<Registry>,
    streams: RwLock<BTreeMap<(Namespace, StreamName), Arc<Stream>>>,
    /// The id of the next stream; held while one is made.
    next_id: Mutex<u64>,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why the broker cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the streams and queues cannot be read: {0}")]
pub struct OpenError(#[source] pub RowError);

impl Broker {
    /// Reads which streams and queues there are, and begins to remove what falls out of retention, once a minute. One
    /// whose stored description is damaged is left out and reported; the others work.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn open(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, OpenError> {
        let host = Host {
            db,
            clock,
            doubts: Arc::new(Notify::new()),
        };
        let budget = Budget::new();
        let loading = tokio::task::spawn_blocking({
            let (host, budget) = (host.clone(), budget.clone());
            move || {
                let (db, clock, doubts) = (host.db.clone(), host.clock.clone(), host.doubts.clone());
                let queues = Registry::load((db, clock), entropy, budget, doubts)?;
                let (streams, next_id) = load_all(&host)?;
                Ok((streams, next_id, queues))
            }
        });
        let interrupted = |e: tokio::task::JoinError| {
            OpenError(RowError::Damaged {
                what: "streams".into(),
                why: format!("reading was interrupted: {e}"),
            })
        };
        let (streams, next_id, queues) = loading.await.map_err(interrupted)?.map_err(OpenError)?;
        let (streams, next_id) = (RwLock::new(streams), Mutex::new(next_id));
        let inner = Arc::new(Inner {
            host: host.clone(),
            budget,
            queues,
            streams,
            next_id,
        });
        let alarms = Registry::run_alarms(inner.queues.host.alarms.clone(), host.clock.clone());
        let alarms = tokio::spawn(alarms);
        let retention = tokio::spawn(retention::run(Arc::downgrade(&inner), host.clock));
        let recovery = tokio::spawn(recovery::run(
            Arc::downgrade(&inner),
            host.doubts,
            host.db.health(),
        ));
        Ok(Self {
            inner,
            _tasks: Arc::new([retention, recovery, alarms].map(AbortOnDrop)),
        })
    }

    /// The queues.
    pub(crate) fn queues(&self) -> &Arc<Registry> {
        &self.inner.queues
    }

    /// Removes what is out of retention now, in all streams and queues; what the background task does every minute.
    pub async fn trim(&self) -> Trimmed {
        self.inner.trim().await
    }
}

type Streams = BTreeMap<(Namespace, StreamName), Arc<Stream>>;

fn load_all(host: &Host) -> Result<(Streams, u64), RowError> {
    let mut streams = BTreeMap::new();
    let mut next_id = rows::next_id(&host.db)?;
    for (namespace, name) in rows::names(&host.db)? {
        match load_one(host, &namespace, &name) {
            Ok(Some(stream)) => {
                next_id = next_id.max(stream.view().meta.row.id + 1);
                streams.insert((namespace, name), Arc::new(stream));
            }
            Ok(None) => {}
            Err(LoadError::Rows(RowError::Read(e)) | LoadError::Log(crate::log::LogError::Read(e))) => {
                return Err(e.into());
            }
            Err(e) => tracing::error!(%namespace, stream = %name, error = %e, "a stream is left out"),
        }
    }
    Ok((streams, next_id))
}

fn load_one(host: &Host, namespace: &Namespace, name: &StreamName) -> Result<Option<Stream>, LoadError> {
    let Some(meta) = rows::load(&host.db, namespace, name)? else {
        return Ok(None);
    };
    Stream::load((namespace.clone(), name.clone()), host.clone(), meta).map(Some)
}

impl Inner {
    /// A stream that exists.
    pub(crate) fn stream(
        &self,
        namespace: &Namespace,
        name: &StreamName,
    ) -> Result<Arc<Stream>, StreamError> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let found = streams.get(&(namespace.clone(), name.clone())).map(Arc::clone);
        found
            .filter(|s| !s.view().gone)
            .ok_or_else(|| StreamError::NotFound(name.clone()))
    }

    /// The streams of a namespace after a name, in order.
    pub(crate) fn streams_of(
        &self,
        namespace: &Namespace,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Vec<Arc<Stream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let mine = streams
            .iter()
            .filter(|((of, _), stream)| of == namespace && !stream.view().gone);
        let later = mine.filter(|((_, name), _)| after.is_none_or(|after| name > after));
        later.take(limit).map(|(_, stream)| Arc::clone(stream)).collect()
    }

    /// All streams.
    pub(crate) fn all_streams(&self) -> Vec<Arc<Stream>> {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(Arc::clone)
            .collect()
    }

    fn enter(&self, stream: Stream) -> Arc<Stream> {
        let stream = Arc::new(stream);
        let key = (stream.namespace.clone(), stream.name.clone());
        self.streams
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::clone(&stream));
        stream
    }

    /// Forgets a stream that was deleted.
    pub(crate) fn forget(&self, stream: &Arc<Stream>) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let key = (stream.namespace.clone(), stream.name.clone());
        if streams.get(&key).is_some_and(|known| Arc::ptr_eq(known, stream)) {
            streams.remove(&key);
        }
    }

    /// The stream that would be made.
    pub(crate) fn preview(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        spec: StreamSpec,
    ) -> Result<StreamDescription, StreamError> {
        if self.stream(namespace, name).is_ok() {
            return Err(StreamError::AlreadyExists(name.clone()));
        }
        self.check_room()?;
        let meta = StreamMeta::new(0, spec, self.host.clock.now().wall);
        let empty = |shard: &ShardMeta| ShardDescription {
            info: shard.info(),
            oldest: None,
            newest: None,
            records: 0,
        };
        Ok(StreamDescription {
            namespace: namespace.clone(),
            name: name.clone(),
            created: meta.row.created,
            revision: 0,
            shards: meta.shards.iter().map(empty).collect(),
            spec: meta.row.spec,
        })
    }

    fn check_room(&self) -> Result<(), StreamError> {
        self.host
            .db
            .check_room()
            .map_err(|DiskFull { free, floor }| StreamError::DiskFull { free, floor })
    }

    /// Makes a stream, synced before it returns. If it cannot be told whether it was made, a repetition finds it.
    pub(crate) async fn create(
        &self,
        namespace: Namespace,
        name: StreamName,
        spec: StreamSpec,
    ) -> Result<Arc<Stream>, StreamError> {
        let mut next_id = self.next_id.lock().await;
        if self.stream(&namespace, &name).is_ok() {
            return Err(StreamError::AlreadyExists(name));
        }
        if let Some(stream) = load_one(&self.host, &namespace, &name)? {
            self.enter(stream);
            return Err(StreamError::AlreadyExists(name));
        }
        self.check_room()?;
        let meta = StreamMeta::new(*next_id, spec, self.host.clock.now().wall);
        // Whatever becomes of this stream, no other gets its id.
        *next_id += 1;
        let mut batch = Batch::new();
        rows::put_changes(&mut batch, (&namespace, &name), None, &meta).map_err(LoadError::from)?;
        rows::put_next_id(&mut batch, *next_id);
        let written = self.host.db.write(batch, Durability::Synced).await;
        written.map_err(|e| StreamError::Unavailable(e.to_string()))?;
        let stream = Stream::load((namespace, name), self.host.clone(), meta)?;
        Ok(self.enter(stream))
    }
}
