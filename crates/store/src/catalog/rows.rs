//! What mappings and functions have in common, and how they are stored: as JSON, so that an operator can read
//! them with a RocksDB tool.

use super::state::Table;
use crate::schema::{self, Key};
use bytes::Bytes;
use millstream_ports::{CatalogError, Resource};
use millstream_types::{Function, FunctionName, Mapping, MappingName, Namespace};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// A thing in the catalog.
pub(super) trait Entry: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What names it within its namespace.
    type Name: Clone + Ord + Display + Send + Sync;
    /// In errors.
    const KIND: &'static str;
    /// Where it is stored.
    const TABLE: schema::Table;

    fn namespace(&self) -> &Namespace;
    fn name(&self) -> &Self::Name;
    fn revision(&self) -> u64;
    fn with_revision(self, revision: u64) -> Self;
    fn key(&self) -> Key;
    fn resource(self) -> Resource;
    fn table(tables: &super::state::Tables) -> &Table<Self>;
    fn table_mut(tables: &mut super::state::Tables) -> &mut Table<Self>;
}

macro_rules! entry {
    ($entry:ident, $name:ident, $kind:literal, $table:ident, $rows:ident) => {
        impl Entry for $entry {
            type Name = $name;
            const KIND: &'static str = $kind;
            const TABLE: schema::Table = schema::Table::$table;

            fn namespace(&self) -> &Namespace {
                &self.namespace
            }
            fn name(&self) -> &$name {
                &self.name
            }
            fn revision(&self) -> u64 {
                self.revision
            }
            fn with_revision(self, revision: u64) -> Self {
                Self { revision, ..self }
            }
            fn key(&self) -> Key {
                Key::$table {
                    namespace: self.namespace.clone(),
                    name: self.name.clone(),
                }
            }
            fn resource(self) -> Resource {
                Resource::$entry(self)
            }
            fn table(tables: &super::state::Tables) -> &Table<Self> {
                &tables.$rows
            }
            fn table_mut(tables: &mut super::state::Tables) -> &mut Table<Self> {
                &mut tables.$rows
            }
        }
    };
}

entry!(Mapping, MappingName, "mapping", CatalogMapping, mappings);
entry!(Function, FunctionName, "function", CatalogFunction, functions);

pub(super) fn key(resource: &Resource) -> Key {
    match resource {
        Resource::Mapping(mapping) => mapping.key(),
        Resource::Function(function) => function.key(),
    }
}

pub(super) fn row(resource: &Resource) -> Result<(Key, Bytes), serde_json::Error> {
    let value = match resource {
        Resource::Mapping(mapping) => serde_json::to_vec(mapping)?,
        Resource::Function(function) => serde_json::to_vec(function)?,
    };
    Ok((key(resource), value.into()))
}

pub(super) fn not_found<E: Entry>(name: &E::Name) -> CatalogError {
    CatalogError::NotFound {
        kind: E::KIND,
        name: name.to_string(),
    }
}

pub(super) fn conflict<E: Entry>(actual: &E, expected: u64) -> CatalogError {
    CatalogError::Conflict {
        kind: E::KIND,
        name: actual.name().to_string(),
        expected,
        actual: actual.revision(),
    }
}
