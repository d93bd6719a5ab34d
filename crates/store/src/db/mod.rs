//! The database of one node.
//!
//! [`Db`] is a cheap handle. Writes go to one thread that makes one RocksDB batch of what waits (group commit)
//! and is the only one that ever writes, so their order is the order of the calls. Reads go straight to RocksDB.
//! After an I/O error RocksDB refuses writes for good, also when the cause is gone; the thread then closes and
//! opens the database again (design, section 4), which is why every access goes through one swappable [`Cell`].

mod batch;
mod cell;
mod errors;
mod faults;
mod open;
mod options;
mod queue;
mod space;
mod stats;
mod view;
mod writer;

pub use batch::{Applied, Batch, Guard};
pub use errors::{DiskFull, GuardedError, NotApplied, OpenError, ReadError, WriteError};
pub use faults::{Faults, Hold};
pub use options::DbOptions;
pub use space::FreeSpace;
pub use stats::{DbBacklog, DbStats};

use crate::schema::Range;
use bytes::Bytes;
use cell::Cell;
use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_ports::Durability;
use queue::{Queue, Request};
use space::Space;
use stats::Counters;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// Whether the database can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Healthy,
    /// It had an I/O error and is being opened again; reads are refused, writes wait or are refused.
    Reopening {
        /// Since when.
        since: Instant,
        /// The newest error.
        error: String,
    },
    /// It was closed.
    Closed,
}

/// What the handle and the writer thread share.
#[derive(Debug)]
struct Shared {
    cell: Cell,
    queue: Queue,
    health: watch::Sender<Health>,
    counters: Counters,
    faults: Faults,
}

/// The database. Clones are handles of the same one; when the last goes, what is queued is written, synced and
/// the database closed, for which the drop waits.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    space: Space,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Db {
    /// Opens the database in the directory `path`, making it if there is none, and starts the writer thread.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process, or another handle of this one, has it open;
    /// [`OpenError::NewerFormat`] if a newer version of the program wrote it; else what RocksDB says.
    pub fn open(path: &Path, mut options: DbOptions) -> Result<Self, OpenError> {
        let io = |e: std::io::Error| OpenError::Io {
            path: path.to_owned(),
            why: e.to_string(),
        };
        std::fs::create_dir_all(path).map_err(io)?;
        let space = Space::new(path, options.free_floor_bytes, options.faults.clone());
        let floor = space.get(0, || 0).map_err(io)?.floor;
        options.write_buffer_bytes = open::write_buffer(options.write_buffer_bytes, floor);
        let cell = Cell::open(path, &options)?;
        let shared = Arc::new(Shared {
            cell,
            queue: Queue::new(options.queue_bytes, options.queue_requests),
            health: watch::Sender::new(Health::Healthy),
            counters: Counters::default(),
            faults: options.faults,
        });
        let thread = writer::spawn(Arc::clone(&shared), options.sync_interval).map_err(io)?;
        Ok(Self(Arc::new(Inner {
            shared,
            space,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Writes `batch`, all or nothing. It is queued before this returns, whether or not the future is polled,
    /// and batches are applied in the order of the calls.
    ///
    /// The queue is bounded by [`DbOptions::queue_bytes`] and [`DbOptions::queue_requests`]: beyond them the
    /// batch is refused at once ([`NotApplied::Overloaded`]); who can wait awaits [`Db::ready`] before.
    pub fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'static, Result<(), WriteError>> {
        self.write_guarded(Guard::none(), batch, durability)
            .map(|answer| match answer {
                Ok(()) => Ok(()),
                // Without a guard there is nothing to reject.
                Err(GuardedError::Rejected) => Err(WriteError::NotWritten(NotApplied::Fenced)),
                Err(GuardedError::NotWritten(e)) => Err(WriteError::NotWritten(e)),
                Err(GuardedError::Unknown(e)) => Err(WriteError::Unknown(e)),
            })
            .boxed()
    }

    /// Like [`Db::write`], but only if `guard` holds when the batch's turn comes, with all earlier batches
    /// applied.
    pub fn write_guarded(
        &self,
        guard: Guard,
        batch: Batch,
        durability: Durability,
    ) -> BoxFuture<'static, Result<(), GuardedError>> {
        let (answer, answered) = oneshot::channel();
        let request = Request::new(guard, batch, durability, answer);
        if let Err(e) = self.0.shared.queue.push(request) {
            return futures::future::ready(Err(GuardedError::NotWritten(e))).boxed();
        }
        answered
            .map(|answer| {
                answer.unwrap_or_else(|_| Err(GuardedError::Unknown("the writer thread ended".into())))
            })
            .boxed()
    }

    /// Resolves when the queue is at most half full.
    pub async fn ready(&self) {
        self.0.shared.queue.ready().await;
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// Any [`ReadError`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        self.0.shared.cell.get(key)
    }

    /// Calls `f` with the keys and values of `range` in order until it breaks. All are of one moment. `f` must be
    /// quick: a reopen of the database waits for it.
    ///
    /// # Errors
    /// Any [`ReadError`]; what was seen until then is right.
    pub fn scan(
        &self,
        range: &Range,
        f: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.0.shared.cell.scan(range, cell::From::Start, f)
    }

    /// Like [`Db::scan`], but in the opposite order, from the end.
    ///
    /// # Errors
    /// As [`Db::scan`].
    pub fn scan_back(
        &self,
        range: &Range,
        f: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.0.shared.cell.scan(range, cell::From::End, f)
    }

    /// Like [`Db::scan`], but starts at the last key of `range` that is not after `key`; at the range's start if
    /// there is none. Finds the batch that holds a record in one step.
    ///
    /// # Errors
    /// As [`Db::scan`].
    pub fn scan_from_floor(
        &self,
        range: &Range,
        key: &[u8],
        f: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.0.shared.cell.scan(range, cell::From::Floor(key), f)
    }

    /// The first key of `range` with its value.
    ///
    /// # Errors
    /// As [`Db::scan`].
    pub fn first(&self, range: &Range) -> Result<Option<(Bytes, Bytes)>, ReadError> {
        let mut found = None;
        self.scan(range, take_one(&mut found))?;
        Ok(found)
    }

    /// The last key of `range` with its value.
    ///
    /// # Errors
    /// As [`Db::scan`].
    pub fn last(&self, range: &Range) -> Result<Option<(Bytes, Bytes)>, ReadError> {
        let mut found = None;
        self.scan_back(range, take_one(&mut found))?;
        Ok(found)
    }

    /// Free bytes of the file system without those that wait to be written, and the reserve below which puts are to
    /// be refused. At most 100 ms old, and of this moment near the reserve.
    ///
    /// # Errors
    /// If the file system does not say.
    pub fn free_space(&self) -> Result<FreeSpace, std::io::Error> {
        let Shared { cell, queue, .. } = &*self.0.shared;
        self.0.space.get(queue.bytes(), || cell.pending_compaction())
    }

    /// Whether there is room for new data. Checkpoints and deletes need not ask (design, section 4).
    ///
    /// # Errors
    /// [`DiskFull`] if less than the reserve is free.
    pub fn check_room(&self) -> Result<(), DiskFull> {
        let Shared { cell, queue, .. } = &*self.0.shared;
        self.0
            .space
            .check_room(queue.bytes(), || cell.pending_compaction())
    }

    /// Whether the database can be used, and its changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.shared.health.subscribe()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> DbStats {
        self.0.shared.counters.snapshot()
    }

    /// What waits to be written.
    #[must_use]
    pub fn backlog(&self) -> DbBacklog {
        let (requests, bytes) = self.0.shared.queue.waiting();
        let busy = self.0.shared.counters.busy();
        DbBacklog {
            requests,
            bytes,
            busy,
        }
    }

    /// Writes and syncs what is queued and closes the database; every handle's calls are refused from now on.
    /// While the disk has an error, what is queued is answered as not written.
    pub async fn close(&self) {
        self.0.shared.queue.close();
        let mut health = self.health();
        // The sender lives as long as `self`.
        let _ = health.wait_for(|health| *health == Health::Closed).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A callback of a batch may hold the last handle: the thread cannot wait for itself.
        let thread = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread of the database panicked");
        }
    }
}

fn take_one(found: &mut Option<(Bytes, Bytes)>) -> impl FnMut(&[u8], &[u8]) -> ControlFlow<()> + '_ {
    |key, value| {
        *found = Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        ControlFlow::Break(())
    }
}
