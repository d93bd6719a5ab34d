//! The durable list of what users registered.

use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_types::{Function, FunctionName, Mapping, MappingId, MappingName, Namespace};

/// Why the catalog refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No such thing.
    #[error("{kind} {name} does not exist")]
    NotFound {
        /// `mapping` or `function`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// There is one already.
    #[error("{kind} {name} already exists")]
    AlreadyExists {
        /// `mapping` or `function`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It was changed since the caller looked.
    #[error("{kind} {name} was changed meanwhile: it has revision {actual}, not {expected}")]
    Conflict {
        /// `mapping` or `function`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the caller had seen.
        expected: u64,
        /// What is.
        actual: u64,
    },
    /// The store has an error; whether the change was made is not known.
    #[error("the catalog cannot be used now: {0}")]
    Unavailable(String),
}

/// One thing in the catalog.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// A mapping.
    Mapping(Mapping),
    /// A function.
    Function(Function),
}

/// What happened to a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is new or was changed, and is now this.
    Put(Resource),
    /// It was removed; this is what it was last.
    Removed(Resource),
}

/// A change and its place among all changes.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEvent {
    /// Grows by one with every change of the catalog.
    pub revision: u64,
    /// What happened.
    pub change: Change,
}

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// The watcher was too slow, or asks for changes no longer kept: list again, and watch from there.
    #[error("changes up to revision {0} were missed: list again")]
    Lagged(u64),
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct ListPage<T> {
    /// In the order of their names.
    pub items: Vec<T>,
    /// Whether there are more after the last.
    pub more: bool,
    /// The catalog's revision that the page shows.
    pub revision: u64,
}

/// The mappings and functions that users registered. Every change is synced before it is answered.
///
/// `put_*` takes the new version with `revision` as the caller last saw it, 0 for a new one; it fails with
/// [`CatalogError::Conflict`] or [`CatalogError::AlreadyExists`] if that is not so, and returns the version
/// with its new revision.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Adds or changes a mapping.
    async fn put_mapping(&self, mapping: Mapping) -> Result<Mapping, CatalogError>;
    /// One mapping by its name.
    async fn mapping(&self, namespace: &Namespace, name: &MappingName) -> Result<Mapping, CatalogError>;
    /// The mappings of a namespace, or of all (`None`) ordered by namespace and name.
    async fn mappings(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&MappingName>,
        limit: usize,
    ) -> Result<ListPage<Mapping>, CatalogError>;
    /// Removes a mapping for good, if it still has this id.
    async fn remove_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        id: MappingId,
    ) -> Result<(), CatalogError>;

    /// Adds or changes a function.
    async fn put_function(&self, function: Function) -> Result<Function, CatalogError>;
    /// One function by its name.
    async fn function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function, CatalogError>;
    /// The functions of a namespace, or of all (`None`).
    async fn functions(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<ListPage<Function>, CatalogError>;
    /// Removes a function, if its revision is `expected` or that is `None`.
    async fn remove_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        expected: Option<u64>,
    ) -> Result<(), CatalogError>;

    /// The revision of the newest change.
    fn revision(&self) -> u64;

    /// All changes after `from`, as they happen.
    fn watch(&self, from: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>>;
}
