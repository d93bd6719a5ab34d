//! Reading runs of rows, off the runtime's threads.

use crate::codec::{Damaged, StoreError, Stored, decode};
use crate::db::Db;
use crate::schema::{Key, Range};
use millstream_ports::JournalError;
use std::ops::ControlFlow;

/// One row while it is read.
pub(crate) struct Row<'a> {
    /// The key.
    pub(crate) key: Key,
    /// The key as stored.
    pub(crate) raw: &'a [u8],
    /// The value as stored.
    pub(crate) value: &'a [u8],
}

impl Row<'_> {
    /// The value.
    pub(crate) fn decode<T: Stored>(&self) -> Result<T, Damaged> {
        decode(self.raw, self.value)
    }
}

/// The first `limit` rows of `range`, each through `f`.
pub(crate) fn read_rows<T>(
    db: &Db,
    range: &Range,
    limit: usize,
    mut f: impl FnMut(Row<'_>) -> Result<T, Damaged>,
) -> Result<Vec<T>, StoreError> {
    let (mut rows, mut damaged) = (Vec::new(), None);
    if limit == 0 {
        return Ok(rows);
    }
    db.scan(range, |raw, value| {
        let key = Key::decode(raw).map_err(|e| Damaged::at(raw, e.to_string()));
        match key.and_then(|key| f(Row { key, raw, value })) {
            Ok(row) => rows.push(row),
            Err(e) => damaged = Some(e),
        }
        if damaged.is_some() || rows.len() == limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    match damaged {
        Some(e) => Err(e.into()),
        None => Ok(rows),
    }
}

/// Runs a read that may touch the disk often on a thread for such things.
pub(crate) async fn off_runtime<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, JournalError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result.map_err(JournalError::from),
        Err(e) => Err(JournalError::Unavailable(e.to_string())),
    }
}
