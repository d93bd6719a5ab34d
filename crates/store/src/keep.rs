//! How long discards are kept: by age, and by the bytes of their mapping. The oldest go first, never one whose document
//! is still on its way.

use crate::codec::{Damaged, StoreError};
use crate::db::{Batch, Db};
use crate::mailroom::{DiscardStore, OutboxStore};
use crate::rows::{off_runtime, read_rows};
use crate::schema::{Key, Range, Table};
use millstream_ports::{Durability, JournalError};
use millstream_types::ids::DiscardId;
use millstream_types::{MappingId, Wall};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows that are looked at before the thread is given back.
const STEP: usize = 256;

/// How much of what was given up is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepDiscards {
    /// No longer than this after they were given up.
    pub max_age: Duration,
    /// Of each mapping no more bytes than this, as stored.
    pub max_bytes_per_mapping: u64,
}

impl Default for KeepDiscards {
    /// 14 days, as the longest retention of SQS, and 1 GiB.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(14 * 24 * 60 * 60),
            max_bytes_per_mapping: 1 << 30,
        }
    }
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Discards removed because they were too old.
    pub too_old: u64,
    /// Discards removed because their mapping had too many bytes of them.
    pub too_many: u64,
    /// Discards that would have been removed, but for their document, which is still on its way.
    pub waiting: u64,
}

/// A discard without its content.
struct Found {
    mapping: MappingId,
    at: Wall,
    id: DiscardId,
    bytes: u64,
}

impl DiscardStore {
    /// Removes what is beyond the bounds at `now`.
    ///
    /// # Errors
    /// Any [`JournalError`]; what was removed by then stays removed.
    pub async fn sweep(&self, keep: KeepDiscards, now: Wall) -> Result<Swept, JournalError> {
        let mut totals: BTreeMap<MappingId, u64> = BTreeMap::new();
        let mut after = None;
        while let Some(page) = self.step(after.take()).await? {
            for found in &page {
                *totals.entry(found.mapping).or_default() += found.bytes;
            }
            after = page.into_iter().last();
        }
        let oldest = u64::try_from(keep.max_age.as_millis()).unwrap_or(u64::MAX);
        let oldest = Wall(now.0.saturating_sub(oldest));
        let mut swept = Swept::default();
        let mut after = None;
        while let Some(page) = self.step(after.take()).await? {
            let mut beyond = Vec::new();
            for found in &page {
                let total = totals.entry(found.mapping).or_default();
                let (is_old, is_much) = (found.at < oldest, *total > keep.max_bytes_per_mapping);
                if is_old || is_much {
                    beyond.push((found, is_old));
                    *total = total.saturating_sub(found.bytes);
                }
            }
            self.remove(&beyond, &mut swept).await?;
            after = page.into_iter().last();
        }
        Ok(swept)
    }

    /// The next discards in the order of their keys: by mapping, oldest first. None behind the last.
    async fn step(&self, after: Option<Found>) -> Result<Option<Vec<Found>>, JournalError> {
        let db = self.db().clone();
        let all = Range::table(Table::Discard);
        let range = match after.map(|Found { mapping, at, id, .. }| Key::Discard { mapping, at, id }) {
            Some(key) => all.after(&key),
            None => all,
        };
        let page = off_runtime(move || {
            read_rows(&db, &range, STEP, |row| match row.key {
                Key::Discard { mapping, at, id } => Ok(Found {
                    mapping,
                    at,
                    id,
                    bytes: (row.raw.len() + row.value.len()) as u64,
                }),
                _ => Err(Damaged::at(row.raw, "not in this table")),
            })
        })
        .await?;
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    async fn remove(&self, beyond: &[(&Found, bool)], swept: &mut Swept) -> Result<(), JournalError> {
        let mut batch = Batch::new();
        let mut removed = false;
        for (found, is_old) in beyond {
            if waits(self.db(), found.id)? {
                swept.waiting += 1;
                continue;
            }
            match is_old {
                true => swept.too_old += 1,
                false => swept.too_many += 1,
            }
            let (mapping, at, id) = (found.mapping, found.at, found.id);
            batch.delete(&Key::Discard { mapping, at, id });
            batch.delete(&Key::DiscardById { id });
            batch.delete(&Key::Delivery { discard: id });
            removed = true;
        }
        if !removed {
            return Ok(());
        }
        let written = self.db().write(batch, Durability::Written).await;
        written.map_err(|e| JournalError::Unavailable(e.to_string()))
    }
}

fn waits(db: &Db, id: DiscardId) -> Result<bool, StoreError> {
    Ok(db.get(&OutboxStore::key(id).encode())?.is_some())
}
