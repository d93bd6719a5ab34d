//! One stream in memory, and how its description is changed and recovered.
//!
//! A change is decided on the newest view, written, and only then published; one at a time, under `admin`. A
//! write whose outcome is unknown puts the stream in doubt: nothing is appended or changed until
//! [`Stream::recover`] has read what is on disk and fenced, with a synced write, every offset that was given out.

use crate::log::{Log, LogError};
use crate::meta::{Floor, StreamMeta};
use crate::rows::{self, RowError};
use crate::shard::Shard;
use crate::view::View;
use millstream_ports::{Clock, StreamError};
use millstream_store::{Batch, Db, Durability, WriteError};
use millstream_types::{Namespace, StreamName, Wall};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};

/// The right to change a stream's description.
pub(crate) type Admin<'a> = MutexGuard<'a, ()>;

/// What all streams of a broker work with.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    /// Told whenever a stream falls into doubt.
    pub(crate) doubts: Arc<Notify>,
}

/// A stream. Outlives its deletion for those who hold it.
pub(crate) struct Stream {
    pub(crate) namespace: Namespace,
    pub(crate) name: StreamName,
    pub(crate) host: Host,
    view: watch::Sender<Arc<View>>,
    admin: Mutex<()>,
    in_doubt: AtomicBool,
}

/// Why a stream cannot be read from disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Rows(#[from] RowError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<LoadError> for StreamError {
    fn from(e: LoadError) -> Self {
        Self::Unavailable(e.to_string())
    }
}

impl Stream {
    /// A stream as it is on disk.
    pub(crate) fn load(
        (namespace, name): (Namespace, StreamName),
        host: Host,
        meta: StreamMeta,
    ) -> Result<Self, LoadError> {
        let mut shards = BTreeMap::new();
        for shard in &meta.shards {
            let stored = stored_floor(&host.db, meta.row.id, shard.index)?;
            shards.insert(shard.index, Arc::new(Shard::new(shard, stored)));
        }
        let view = watch::Sender::new(Arc::new(View::new(meta, shards, 0)));
        Ok(Self {
            namespace,
            name,
            host,
            view,
            admin: Mutex::new(()),
            in_doubt: AtomicBool::new(false),
        })
    }

    /// The stream as it is now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The stream as it is now, or that it is gone.
    pub(crate) fn present(&self) -> Result<Arc<View>, StreamError> {
        let view = self.view();
        if view.gone {
            Err(StreamError::NotFound(self.name.clone()))
        } else {
            Ok(view)
        }
    }

    /// The stream as it is now and as it will be. Also moves when the stream falls into doubt.
    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    pub(crate) fn now(&self) -> Wall {
        self.host.clock.now().wall
    }

    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    /// The records of a shard.
    pub(crate) fn log(&self, shard: u32) -> Log {
        Log {
            db: self.host.db.clone(),
            stream: self.view.borrow().meta.row.id,
            shard,
        }
    }

    /// Waits for the right to change the stream, and for the end of any doubt.
    pub(crate) async fn admin(&self) -> Result<Admin<'_>, StreamError> {
        let admin = self.admin.lock().await;
        self.recover_locked(&admin).await?;
        self.present()?;
        Ok(admin)
    }

    /// Stores the change to `new`, with what else is in `batch`, and makes it the stream's view.
    pub(crate) async fn commit(
        &self,
        admin: &Admin<'_>,
        mut batch: Batch,
        new: StreamMeta,
        durability: Durability,
    ) -> Result<Arc<View>, StreamError> {
        let old = self.present()?;
        rows::put_changes(&mut batch, (&self.namespace, &self.name), Some(&old.meta), &new)
            .map_err(LoadError::from)?;
        match self.host.db.write(batch, durability).await {
            Ok(()) => Ok(self.publish(new, false)),
            Err(e) => {
                self.resolve(admin, e, |view| {
                    view.meta.row.revision == new.row.revision && !view.gone
                })
                .await?;
                Ok(self.view())
            }
        }
    }

    /// Removes the stream with all its records. Its shards must take no more records.
    pub(crate) async fn remove(&self, admin: &Admin<'_>) -> Result<(), StreamError> {
        let mut batch = Batch::new();
        rows::delete_all(&mut batch, (&self.namespace, &self.name), self.view().meta.row.id);
        match self.host.db.write(batch, Durability::Synced).await {
            Ok(()) => {
                self.publish_end();
                Ok(())
            }
            Err(e) => self.resolve(admin, e, |view| view.gone).await,
        }
    }

    /// After a failed write: finds out what is on disk, and whether the change `is_done` all the same.
    async fn resolve(
        &self,
        admin: &Admin<'_>,
        error: WriteError,
        is_done: impl Fn(&View) -> bool,
    ) -> Result<(), StreamError> {
        self.set_doubt();
        match self.recover_locked(admin).await {
            Ok(()) if matches!(error, WriteError::Unknown(_)) && is_done(&self.view()) => Ok(()),
            _ => Err(StreamError::Unavailable(error.to_string())),
        }
    }

    /// Ends the doubt about what was written, if there is any.
    pub(crate) async fn recover(&self) -> Result<(), StreamError> {
        let admin = self.admin.lock().await;
        self.recover_locked(&admin).await
    }

    /// [`Stream::recover`] for who has the right to change the stream.
    pub(crate) async fn recover_locked(&self, _admin: &Admin<'_>) -> Result<(), StreamError> {
        if !self.in_doubt() && !self.view().shards().any(|s| s.is_doubtful()) {
            return Ok(());
        }
        // The writer opens the database again before it takes the next request: what is read behind this one
        // includes whatever of the failed write reached the log.
        let reopened = self.host.db.write(Batch::new(), Durability::Synced).await;
        reopened.map_err(|e| StreamError::Unavailable(e.to_string()))?;
        let stored = rows::load(&self.host.db, &self.namespace, &self.name).map_err(LoadError::from)?;
        let id = self.view.borrow().meta.row.id;
        let Some(mut meta) = stored.filter(|meta| meta.row.id == id) else {
            self.publish_end();
            return Ok(());
        };
        let view = self.view();
        for shard in meta.shards.iter_mut().filter(|s| s.closed.is_none()) {
            let given = view.shard(shard.index).map(|s| s.next()).unwrap_or_default();
            let stored = stored_floor(&self.host.db, id, shard.index).map_err(LoadError::from)?;
            shard.floor = shard.floor.max(given).max(stored);
        }
        let mut batch = Batch::new();
        rows::put_changes(&mut batch, (&self.namespace, &self.name), None, &meta).map_err(LoadError::from)?;
        let written = self.host.db.write(batch, Durability::Synced).await;
        written.map_err(|e| StreamError::Unavailable(e.to_string()))?;
        tracing::info!(namespace = %self.namespace, stream = %self.name, "a stream recovered from a failed write");
        self.in_doubt.store(false, Ordering::Release);
        self.publish(meta, true);
        Ok(())
    }

    /// Something that was to be written may or may not be on disk. Wakes those who wait for the outcome.
    pub(crate) fn set_doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
        self.view.send_modify(|_| ());
        self.host.doubts.notify_one();
    }

    fn publish(&self, meta: StreamMeta, certain: bool) -> Arc<View> {
        let old = self.view();
        let mut shards = BTreeMap::new();
        for shard in &meta.shards {
            let known = match old.shard(shard.index) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Shard::new(shard, Floor::default())),
            };
            known.adopt(shard, certain);
            shards.insert(shard.index, known);
        }
        for shard in old.shards().filter(|s| !shards.contains_key(&s.index)) {
            shard.end(false);
        }
        let same = |a: &StreamMeta, b: &StreamMeta| a.row.revision == b.row.revision;
        let shard_set = old.shard_set + u64::from(!same(&old.meta, &meta));
        let view = Arc::new(View::new(meta, shards, shard_set));
        self.view.send_replace(Arc::clone(&view));
        view
    }

    fn publish_end(&self) {
        let old = self.view();
        for shard in old.shards() {
            shard.end(true);
        }
        self.in_doubt.store(false, Ordering::Release);
        self.view.send_replace(Arc::new(old.ended()));
    }
}

/// The place after the last record of a shard on disk.
fn stored_floor(db: &Db, stream: u64, shard: u32) -> Result<Floor, LogError> {
    let last = Log {
        db: db.clone(),
        stream,
        shard,
    }
    .last(u64::MAX)?;
    Ok(last
        .map(|last| Floor {
            offset: last.end,
            arrival: last.arrival,
        })
        .unwrap_or_default())
}

/// Runs a change to its end even if its caller goes away: half a change would block the stream.
pub(crate) async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T, StreamError>> + Send + 'static,
) -> Result<T, StreamError> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(e) => Err(StreamError::Unavailable(format!(
            "the change was interrupted: {e}"
        ))),
    }
}
