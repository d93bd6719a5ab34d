//! Records that were given up, and the documents about them that are on their way.

use crate::codec::{Damaged, StoreError, decode, encode};
use crate::db::{Batch, Db};
use crate::rows::{off_runtime, read_rows};
use crate::schema::{Key, Range, Table};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_ports::{Discards, Durability, JournalError, Outbox};
use millstream_types::durable::{DeliveryEnd, DeliveryState, Discard, OutboxEntry};
use millstream_types::ids::DiscardId;
use millstream_types::{MappingId, Namespace, Wall};
use std::sync::Arc;
use tokio::sync::Notify;

/// The outbox of one node. Clones are handles of the same one.
///
/// A destination inside this database settles by itself, exactly once: it writes the document with
/// `Guard::none().exists(&OutboxStore::key(id))` and a delete of that key in the same batch.
#[derive(Clone, Debug)]
pub struct OutboxStore {
    db: Db,
    added: Arc<Notify>,
}

impl OutboxStore {
    /// The outbox in `db`.
    #[must_use]
    pub fn new(db: Db) -> Self {
        let added = Arc::new(Notify::new());
        // Documents of an earlier run may wait.
        added.notify_one();
        Self { db, added }
    }

    /// Where the document about a discard lies.
    #[must_use]
    pub fn key(discard: DiscardId) -> Key {
        Key::Outbox { discard }
    }

    /// Tells of new documents once `batch` may be written.
    pub(crate) fn announce(&self, batch: &mut Batch) {
        let added = Arc::clone(&self.added);
        batch.then(move |_| added.notify_one());
    }
}

#[async_trait]
impl Outbox for OutboxStore {
    async fn pending(
        &self,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, JournalError> {
        let db = self.db.clone();
        let range = match after {
            Some(discard) => Range::table(Table::Outbox).after(&Self::key(discard)),
            None => Range::table(Table::Outbox),
        };
        off_runtime(move || read_rows(&db, &range, limit, |row| row.decode())).await
    }

    async fn settle(&self, discard: DiscardId) -> Result<(), JournalError> {
        let mut batch = Batch::new();
        batch.delete(&Self::key(discard));
        let written = self.db.write(batch, Durability::Written).await;
        written.map_err(|e| JournalError::Unavailable(e.to_string()))
    }

    async fn state(&self, discard: DiscardId) -> Result<DeliveryState, JournalError> {
        Ok(noted(&self.db, discard)?.unwrap_or_default())
    }

    async fn note(&self, discard: DiscardId, state: &DeliveryState) -> Result<(), JournalError> {
        let unavailable = |e: String| JournalError::Unavailable(e);
        let mut batch = Batch::new();
        batch.put(
            &Key::Delivery { discard },
            encode(state).map_err(|e| unavailable(e.to_string()))?,
        );
        if state.end.is_some() {
            batch.delete(&Self::key(discard));
        }
        let written = self.db.write(batch, Durability::Written).await;
        written.map_err(|e| unavailable(e.to_string()))
    }

    async fn payload(&self, discard: DiscardId) -> Result<Option<Bytes>, JournalError> {
        let db = self.db.clone();
        off_runtime(move || Ok(stored(&db, discard)?.map(|discard| discard.payload))).await
    }

    async fn added(&self) {
        self.added.notified().await;
    }
}

fn noted(db: &Db, discard: DiscardId) -> Result<Option<DeliveryState>, StoreError> {
    let key = Key::Delivery { discard }.encode();
    match db.get(&key)? {
        Some(value) => Ok(Some(decode(&key, &value)?)),
        None => Ok(None),
    }
}

/// The discards of one node. Clones are handles of the same ones.
#[derive(Clone, Debug)]
pub struct DiscardStore {
    db: Db,
}

impl DiscardStore {
    /// The discards in `db`.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }
}

/// Where a discard lies.
fn place(db: &Db, id: DiscardId) -> Result<Option<Key>, StoreError> {
    let key = Key::DiscardById { id }.encode();
    match db.get(&key)? {
        Some(value) => {
            let (mapping, at): (MappingId, Wall) = decode(&key, &value)?;
            Ok(Some(Key::Discard { mapping, at, id }))
        }
        None => Ok(None),
    }
}

fn stored(db: &Db, id: DiscardId) -> Result<Option<Discard>, StoreError> {
    let Some(key) = place(db, id)?.map(|key| key.encode()) else {
        return Ok(None);
    };
    let value = db
        .get(&key)?
        .ok_or_else(|| Damaged::at(&key, "the index names it, but it is not there"))?;
    Ok(Some(decode(&key, &value)?))
}

#[async_trait]
impl Discards for DiscardStore {
    async fn list(
        &self,
        mapping: MappingId,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<Discard>, JournalError> {
        let db = self.db.clone();
        off_runtime(move || {
            let all = Range::mapping(Table::Discard, mapping);
            let range = match after.map(|id| place(&db, id)).transpose()? {
                Some(Some(key)) => all.after(&key),
                // The discard is gone since: start anew rather than end early.
                Some(None) | None => all,
            };
            read_rows(&db, &range, limit, |row| row.decode())
        })
        .await
    }

    async fn get(&self, namespace: &Namespace, id: DiscardId) -> Result<Option<Discard>, JournalError> {
        let (db, namespace) = (self.db.clone(), namespace.clone());
        off_runtime(move || Ok(stored(&db, id)?.filter(|discard| discard.namespace == namespace))).await
    }

    async fn delivery(&self, id: DiscardId) -> Result<Option<DeliveryState>, JournalError> {
        let db = self.db.clone();
        off_runtime(move || {
            let waits = db.get(&OutboxStore::key(id).encode())?.is_some();
            let noted = noted(&db, id)?;
            Ok(match noted {
                None => waits.then(DeliveryState::default),
                // It settled itself, and a crash came before that was noted.
                Some(state) if state.end.is_none() && !waits => Some(DeliveryState {
                    end: Some(DeliveryEnd::Delivered),
                    ..state
                }),
                noted => noted,
            })
        })
        .await
    }
}
