//! The catalog in memory.

use super::rows::{Entry, conflict, not_found};
use super::watch::{Changes, watch};
use crate::codec::{Damaged, StoreError};
use crate::db::Db;
use crate::rows::read_rows;
use crate::schema::{Key, Range};
use futures::stream::BoxStream;
use millstream_ports::{CatalogError, CatalogEvent, Change, ListPage, Resource, WatchEnd};
use millstream_types::{Function, Mapping, Namespace};
use std::collections::BTreeMap;
use std::ops::Bound;

/// By namespace and name.
pub(super) type Table<E> = BTreeMap<(Namespace, <E as Entry>::Name), E>;

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) mappings: Table<Mapping>,
    pub(super) functions: Table<Function>,
}

#[derive(Debug)]
pub(super) struct State {
    tables: Tables,
    changes: Changes,
    /// A change of which only the disk knows whether it was made. There is none after it until that is settled.
    in_doubt: Option<CatalogEvent>,
}

impl State {
    pub(super) fn load(db: &Db) -> Result<Self, StoreError> {
        let tables = Tables {
            mappings: load_table(db)?,
            functions: load_table(db)?,
        };
        Ok(Self {
            tables,
            changes: Changes::new(stored_revision(db)?),
            in_doubt: None,
        })
    }

    pub(super) fn revision(&self) -> u64 {
        self.changes.revision()
    }

    pub(super) fn get<E: Entry>(&self, namespace: &Namespace, name: &E::Name) -> Result<&E, CatalogError> {
        let entry = E::table(&self.tables).get(&(namespace.clone(), name.clone()));
        entry.ok_or_else(|| not_found::<E>(name))
    }

    /// Whether `entry` may replace what is there.
    pub(super) fn may_put<E: Entry>(&self, entry: &E) -> Result<(), CatalogError> {
        match (self.get::<E>(entry.namespace(), entry.name()), entry.revision()) {
            (Err(_), 0) => Ok(()),
            (Err(e), _) => Err(e),
            (Ok(_), 0) => Err(CatalogError::AlreadyExists {
                kind: E::KIND,
                name: entry.name().to_string(),
            }),
            (Ok(actual), expected) if actual.revision() != expected => Err(conflict(actual, expected)),
            (Ok(_), _) => Ok(()),
        }
    }

    /// A page of one namespace after a name, or of all namespaces from the start.
    pub(super) fn page<E: Entry>(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&E::Name>,
        limit: usize,
    ) -> ListPage<E> {
        let start = match (namespace, after) {
            (Some(namespace), Some(name)) => Some((namespace.clone(), name.clone())),
            _ => None,
        };
        let start = start.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = E::table(&self.tables).range((start, Bound::Unbounded));
        let mut rows = rows
            .map(|(_, entry)| entry)
            .filter(|entry| namespace.is_none_or(|n| n == entry.namespace()));
        let items = rows.by_ref().take(limit).cloned().collect();
        ListPage {
            items,
            more: rows.next().is_some(),
            revision: self.revision(),
        }
    }

    /// The change is written: shows it.
    pub(super) fn show(&mut self, event: CatalogEvent) {
        match &event.change {
            Change::Put(Resource::Mapping(mapping)) => put(&mut self.tables, mapping.clone()),
            Change::Put(Resource::Function(function)) => put(&mut self.tables, function.clone()),
            Change::Removed(Resource::Mapping(mapping)) => remove(&mut self.tables, mapping),
            Change::Removed(Resource::Function(function)) => remove(&mut self.tables, function),
        }
        self.changes.add(event);
    }

    /// Nobody knows whether the change is written.
    pub(super) fn doubt(&mut self, event: CatalogEvent) {
        self.in_doubt = Some(event);
    }

    /// Looks whether a change in doubt was made: its revision is then the stored one.
    pub(super) fn settle_doubt(&mut self, db: &Db) -> Result<(), StoreError> {
        let Some(event) = &self.in_doubt else {
            return Ok(());
        };
        let made = stored_revision(db)? == event.revision;
        if let Some(event) = self.in_doubt.take().filter(|_| made) {
            self.show(event);
        }
        Ok(())
    }

    pub(super) fn watch(&self, from: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>> {
        watch(&self.changes, from)
    }
}

fn put<E: Entry>(tables: &mut Tables, entry: E) {
    E::table_mut(tables).insert((entry.namespace().clone(), entry.name().clone()), entry);
}

fn remove<E: Entry>(tables: &mut Tables, entry: &E) {
    E::table_mut(tables).remove(&(entry.namespace().clone(), entry.name().clone()));
}

fn load_table<E: Entry>(db: &Db) -> Result<Table<E>, StoreError> {
    let rows = read_rows(db, &Range::table(E::TABLE), usize::MAX, |row| {
        let entry: E = serde_json::from_slice(row.value).map_err(|e| Damaged::at(row.raw, e.to_string()))?;
        Ok(((entry.namespace().clone(), entry.name().clone()), entry))
    })?;
    Ok(rows.into_iter().collect())
}

fn stored_revision(db: &Db) -> Result<u64, StoreError> {
    let key = Key::CatalogRevision.encode();
    let Some(value) = db.get(&key)? else { return Ok(0) };
    let revision = std::str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok());
    revision.ok_or_else(|| Damaged::at(&key, "no decimal number").into())
}
