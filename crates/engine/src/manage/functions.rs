//! Functions: create, get, list, update, delete.

use super::admission::{self, Admission};
use super::error::{self, ManageError};
use super::{FunctionPatch, Listed, Manager, patch};
use millstream_ports::{CatalogError, PoolStatus};
use millstream_types::{Applied, Function, FunctionName, FunctionSpec, Namespace, Tags};

/// How often a change is tried again when another came between, before the caller is told.
const CHANGE_TRIES: usize = 5;

/// A function to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFunction {
    /// Whose it is to be.
    pub namespace: Namespace,
    /// What it is to be called.
    pub name: FunctionName,
    /// Its settings.
    pub spec: FunctionSpec,
    /// Makes the call repeatable; 1 to 64 visible ASCII characters.
    pub request_id: Option<String>,
    /// What of `spec` is applied from a file.
    pub applied: Applied,
    /// What its owner notes on it.
    pub tags: Tags,
}

/// A function as configured and what runs behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionView {
    /// What is configured.
    pub function: Function,
    /// What runs.
    pub pool: PoolStatus,
}

impl Manager {
    /// Registers a function; nothing starts before it is first called. A repeated call with the same request id
    /// and content returns what the first one made.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] with all broken rules; [`ManageError::AlreadyExists`]; or the catalog's.
    pub async fn create_function(
        &self,
        new: NewFunction,
        validate_only: bool,
    ) -> Result<FunctionView, ManageError> {
        let mut broken: Vec<_> = admission::check_request_id(new.request_id.as_deref())
            .into_iter()
            .collect();
        broken.extend(self.check_function(&new.spec));
        error::all(broken)?;
        let existing = match self.ports.catalog.function(&new.namespace, &new.name).await {
            Ok(function) => Some(function),
            Err(CatalogError::NotFound { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        if let Admission::Repeated(made) = admission::function(&new, existing.as_ref())? {
            return Ok(self.function_view(made));
        }
        let now = self.ports.clock.now().wall;
        let function = Function {
            namespace: new.namespace,
            name: new.name,
            spec: new.spec,
            generation: 1,
            revision: 0,
            created: now,
            modified: now,
            request_id: new.request_id,
            applied: new.applied,
            tags: new.tags,
        };
        if validate_only {
            return Ok(self.function_view(function));
        }
        Ok(self.function_view(self.ports.catalog.put_function(function).await?))
    }

    /// One function.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the catalog's.
    pub async fn function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
    ) -> Result<FunctionView, ManageError> {
        Ok(self.function_view(self.ports.catalog.function(namespace, name).await?))
    }

    /// The functions of a namespace by name, at most `limit`, after `after`.
    ///
    /// # Errors
    /// The catalog's.
    pub async fn functions(
        &self,
        namespace: &Namespace,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<Listed<FunctionView>, ManageError> {
        let page = self
            .ports
            .catalog
            .functions(Some(namespace), after, limit)
            .await?;
        Ok(Listed {
            items: page.items.into_iter().map(|f| self.function_view(f)).collect(),
            more: page.more,
        })
    }

    /// Changes the settings that `patch` names; see [`Manager::update_mapping`].
    ///
    /// # Errors
    /// [`ManageError::Invalid`] with all broken rules; [`ManageError::Conflict`] if `expected` is not the newest
    /// revision; or the catalog's.
    pub async fn update_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        patch: &FunctionPatch,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<FunctionView, ManageError> {
        let mut last = CatalogError::NotFound {
            kind: "function",
            name: name.to_string(),
        };
        for _ in 0..CHANGE_TRIES {
            let old = self.current_function(namespace, name, expected).await?;
            let spec = patch.apply(&old.spec)?;
            error::all(self.check_function(&spec))?;
            let now = self.ports.clock.now().wall;
            let next = match patch::next_function(&old, spec, patch.notes(), now) {
                None => return Ok(self.function_view(old)),
                Some(next) if validate_only => return Ok(self.function_view(next)),
                Some(next) => next,
            };
            match self.ports.catalog.put_function(next).await {
                Err(e @ CatalogError::Conflict { .. }) if expected.is_none() => last = e,
                other => return Ok(self.function_view(other?)),
            }
        }
        Err(last.into())
    }

    /// Lets new invocations run in new processes, as after a change of settings; what runs ends in the old ones.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], [`ManageError::Conflict`] if `expected` is not the newest revision; or the
    /// catalog's.
    pub async fn restart_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        expected: Option<u64>,
    ) -> Result<FunctionView, ManageError> {
        let mut last = CatalogError::NotFound {
            kind: "function",
            name: name.to_string(),
        };
        for _ in 0..CHANGE_TRIES {
            let old = self.current_function(namespace, name, expected).await?;
            let next = patch::restarted(&old, self.ports.clock.now().wall);
            match self.ports.catalog.put_function(next).await {
                Err(e @ CatalogError::Conflict { .. }) if expected.is_none() => last = e,
                other => return Ok(self.function_view(other?)),
            }
        }
        Err(last.into())
    }

    /// Removes a function. Mappings that use it stay and show that it is missing, as with AWS (semantics 3).
    ///
    /// # Errors
    /// [`ManageError::NotFound`], [`ManageError::Conflict`], or the catalog's.
    pub async fn delete_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<(), ManageError> {
        if validate_only {
            return self.current_function(namespace, name, expected).await.map(drop);
        }
        Ok(self
            .ports
            .catalog
            .remove_function(namespace, name, expected)
            .await?)
    }

    async fn current_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        expected: Option<u64>,
    ) -> Result<Function, ManageError> {
        let function = self.ports.catalog.function(namespace, name).await?;
        match expected {
            Some(expected) if expected != function.revision => Err(ManageError::Conflict {
                kind: "function",
                name: name.to_string(),
                expected,
                actual: function.revision,
            }),
            _ => Ok(function),
        }
    }

    fn function_view(&self, function: Function) -> FunctionView {
        let pool = self.ports.live.pool(&function.namespace, &function.name);
        FunctionView { function, pool }
    }
}
