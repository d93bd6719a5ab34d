//! The one place where the RocksDB database is held, so that it can be closed and opened again under all users.

use super::errors::{OpenError, ReadError};
use super::options::DbOptions;
use super::{Faults, open};
use crate::schema::Range;
use bytes::Bytes;
use rocksdb::{DB, ErrorKind, ReadOptions, WriteBatch, WriteOptions, properties};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// The database, or its absence while it is opened again.
pub(super) struct Cell {
    path: PathBuf,
    settings: rocksdb::Options,
    faults: Faults,
    db: RwLock<Option<DB>>,
}

/// Where a scan starts and in which direction it goes.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// Forward from the start of the range.
    Start,
    /// Forward from the last key not after this one.
    Floor(&'a [u8]),
    /// Backward from the end of the range.
    End,
}

impl Cell {
    pub(super) fn open(path: &Path, options: &DbOptions) -> Result<Self, OpenError> {
        let settings = open::settings(options);
        let db = open::open(path, &settings)?;
        Ok(Self {
            path: path.to_owned(),
            settings,
            faults: options.faults.clone(),
            db: RwLock::new(Some(db)),
        })
    }

    /// Closes the database and opens it again. Waits for reads that run.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        self.close();
        if let Some(why) = self.faults.open() {
            return Err(OpenError::Io {
                path: self.path.clone(),
                why,
            });
        }
        let db = open::open(&self.path, &self.settings)?;
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = Some(db);
        Ok(())
    }

    pub(super) fn close(&self) {
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        let held = self.read();
        let db = held.as_ref().ok_or(ReadError::NotOpen)?;
        db.get(key).map(|value| value.map(Bytes::from)).map_err(io)
    }

    pub(super) fn scan(
        &self,
        range: &Range,
        from: From<'_>,
        mut f: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let held = self.read();
        let db = held.as_ref().ok_or(ReadError::NotOpen)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut bounds = ReadOptions::default();
        bounds.set_iterate_lower_bound(range.from.as_slice());
        bounds.set_iterate_upper_bound(range.to.as_slice());
        let mut rows = db.raw_iterator_opt(bounds);
        match from {
            From::Start => rows.seek_to_first(),
            From::End => rows.seek_to_last(),
            From::Floor(key) => {
                rows.seek_for_prev(key);
                if !rows.valid() && rows.status().is_ok() {
                    rows.seek_to_first();
                }
            }
        }
        while let Some((key, value)) = rows.item() {
            if f(key, value).is_break() {
                return Ok(());
            }
            match from {
                From::Start | From::Floor(_) => rows.next(),
                From::End => rows.prev(),
            }
        }
        rows.status().map_err(io)
    }

    /// Writes `batch`. With `no_slowdown` set it may answer `false`: nothing is written, as RocksDB wants writers to
    /// wait.
    pub(super) fn try_write(&self, batch: WriteBatch, options: &WriteOptions) -> Result<bool, String> {
        self.with(|db| match db.write_opt(batch, options) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::Incomplete => Ok(false),
            Err(e) => Err(e),
        })
    }

    /// How many bytes compaction is behind, as RocksDB estimates; 0 if it does not say.
    pub(super) fn pending_compaction(&self) -> u64 {
        let pending = self.with(|db| db.property_int_value(properties::ESTIMATE_PENDING_COMPACTION_BYTES));
        pending.ok().flatten().unwrap_or(0)
    }

    /// Runs `f` on the database, for the writer thread.
    pub(super) fn with<T>(&self, f: impl FnOnce(&DB) -> Result<T, rocksdb::Error>) -> Result<T, String> {
        match self.read().as_ref() {
            Some(db) => f(db).map_err(rocksdb::Error::into_string),
            None => Err(ReadError::NotOpen.to_string()),
        }
    }

    // A reader that panicked left the database as it was: the poison means nothing.
    fn read(&self) -> RwLockReadGuard<'_, Option<DB>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn io(e: rocksdb::Error) -> ReadError {
    ReadError::Io(e.into_string())
}
