//! The mappings and functions that users registered.
//!
//! All of it is in memory, read at the start; a change is written and synced first and then shown. Changes are
//! made one at a time, and each is shown by the writer thread itself, so that memory follows the disk also
//! if nobody waits for the answer any more.

mod rows;
mod state;
mod watch;

use crate::codec::StoreError;
use crate::db::{Applied, Batch, Db};
use crate::schema::Key;
use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_ports::{Catalog, CatalogError, CatalogEvent, Change, Durability, ListPage, WatchEnd};
use millstream_types::{Function, FunctionName, Mapping, MappingId, MappingName, Namespace};
use rows::Entry;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The catalog of one node. Clones are handles of the same one; there must be one per database.
#[derive(Clone, Debug)]
pub struct CatalogStore {
    db: Db,
    state: Arc<Mutex<State>>,
    /// Held from the decision on a change until it is shown.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl CatalogStore {
    /// Reads the catalog from `db`.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub fn open(db: Db) -> Result<Self, StoreError> {
        let state = Arc::new(Mutex::new(State::load(&db)?));
        Ok(Self {
            db,
            state,
            turn: Arc::default(),
        })
    }

    /// Makes the change that `decide` derives from the present state and its own revision.
    async fn change<T: Send>(
        &self,
        decide: impl FnOnce(&State, u64) -> Result<(T, Change), CatalogError> + Send,
    ) -> Result<T, CatalogError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let written = {
            let state = self.state()?;
            let revision = state.revision() + 1;
            let (answer, change) = decide(&state, revision)?;
            let event = CatalogEvent { revision, change };
            let mut batch = batch(&event)?;
            let shown = Arc::clone(&self.state);
            batch.then(move |applied| {
                let mut state = shown.lock().unwrap_or_else(PoisonError::into_inner);
                match applied {
                    Applied::Yes => state.show(event),
                    Applied::Maybe => state.doubt(event),
                }
                drop(state);
                drop(turn);
            });
            (answer, self.db.write(batch, Durability::Synced))
        };
        written
            .1
            .await
            .map_err(|e| CatalogError::Unavailable(e.to_string()))?;
        Ok(written.0)
    }

    async fn put<E: Entry>(&self, entry: E) -> Result<E, CatalogError> {
        self.change(|state, revision| {
            state.may_put(&entry)?;
            let entry = entry.with_revision(revision);
            Ok((entry.clone(), Change::Put(entry.resource())))
        })
        .await
    }

    fn one<E: Entry>(&self, namespace: &Namespace, name: &E::Name) -> Result<E, CatalogError> {
        self.state()?.get::<E>(namespace, name).cloned()
    }

    fn page<E: Entry>(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&E::Name>,
        limit: usize,
    ) -> Result<ListPage<E>, CatalogError> {
        Ok(self.state()?.page(namespace, after, limit))
    }

    /// The state, once it is known whether a change in doubt was made.
    fn state(&self) -> Result<MutexGuard<'_, State>, CatalogError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .settle_doubt(&self.db)
            .map_err(|e| CatalogError::Unavailable(e.to_string()))?;
        Ok(state)
    }
}

/// The rows that a change writes.
fn batch(event: &CatalogEvent) -> Result<Batch, CatalogError> {
    let mut batch = Batch::new();
    match &event.change {
        Change::Put(resource) => {
            let (key, value) = rows::row(resource).map_err(|e| CatalogError::Unavailable(e.to_string()))?;
            batch.put(&key, value);
        }
        Change::Removed(resource) => {
            batch.delete(&rows::key(resource));
        }
    }
    batch.put(&Key::CatalogRevision, event.revision.to_string());
    Ok(batch)
}

#[async_trait]
impl Catalog for CatalogStore {
    async fn put_mapping(&self, mapping: Mapping) -> Result<Mapping, CatalogError> {
        self.put(mapping).await
    }

    async fn mapping(&self, namespace: &Namespace, name: &MappingName) -> Result<Mapping, CatalogError> {
        self.one(namespace, name)
    }

    async fn mappings(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&MappingName>,
        limit: usize,
    ) -> Result<ListPage<Mapping>, CatalogError> {
        self.page(namespace, after, limit)
    }

    async fn remove_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        id: MappingId,
    ) -> Result<(), CatalogError> {
        self.change(|state, _| {
            let mapping = state.get::<Mapping>(namespace, name)?.clone();
            if mapping.id != id {
                return Err(rows::not_found::<Mapping>(name));
            }
            Ok(((), Change::Removed(mapping.resource())))
        })
        .await
    }

    async fn put_function(&self, function: Function) -> Result<Function, CatalogError> {
        self.put(function).await
    }

    async fn function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function, CatalogError> {
        self.one(namespace, name)
    }

    async fn functions(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<ListPage<Function>, CatalogError> {
        self.page(namespace, after, limit)
    }

    async fn remove_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        expected: Option<u64>,
    ) -> Result<(), CatalogError> {
        self.change(|state, _| {
            let function = state.get::<Function>(namespace, name)?.clone();
            match expected {
                Some(expected) if expected != function.revision => Err(rows::conflict(&function, expected)),
                _ => Ok(((), Change::Removed(function.resource()))),
            }
        })
        .await
    }

    fn revision(&self) -> u64 {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .revision()
    }

    fn watch(&self, from: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .watch(from)
    }
}
