//! Mappings: create, get, list, update, pause, resume, delete, inspect.

use super::admission::{self, Admission};
use super::error::{self, ManageError};
use super::patch::Notes;
use super::resolve::{Resolved, settle_function};
use super::{Listed, Manager, MappingPatch, observed, patch};
use crate::view::{Live, MappingInspection, MappingView};
use millstream_ports::CatalogError;
use millstream_types::{
    Applied, Desired, DestinationArn, Mapping, MappingId, MappingName, MappingSpec, Namespace, SourceArn,
    StartPin, StartingPosition, Tags, Wall,
};
use std::time::Duration;

/// How many mappings are looked at in one go.
const SCAN: usize = 500;
/// How often a change is tried again when another came between, before the caller is told.
const CHANGE_TRIES: usize = 5;

/// A mapping to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMapping {
    /// Whose it is to be.
    pub namespace: Namespace,
    /// What it is to be called; its id if none is given.
    pub name: Option<MappingName>,
    /// Its settings.
    pub spec: MappingSpec,
    /// Makes the call repeatable; 1 to 64 visible ASCII characters.
    pub request_id: Option<String>,
    /// Whether it is to start paused: nothing runs before it is resumed.
    pub paused: bool,
    /// What of this is applied from a file.
    pub applied: Applied,
    /// What its owner notes on it.
    pub tags: Tags,
}

impl Manager {
    /// Makes a mapping and starts it; what is put to the source after the answer is not missed. With
    /// `validate_only` everything is checked and nothing is made. A repeated call with the same request id and
    /// content returns the mapping that the first one made.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] with all broken rules, or if function, source or destination do not exist;
    /// [`ManageError::AlreadyExists`] if the name is taken, or source and function are mapped already.
    pub async fn create_mapping(
        &self,
        mut new: NewMapping,
        validate_only: bool,
    ) -> Result<MappingView, ManageError> {
        let now = self.ports.clock.now().wall;
        let mut broken: Vec<_> = admission::check_request_id(new.request_id.as_deref())
            .into_iter()
            .collect();
        broken.extend(self.check_mapping(&new.spec));
        error::all(broken)?;
        // Before the question what exists already: a function has several names.
        let function = self.resolve(&new.namespace, &new.spec.function).await;
        if let Ok(found) = &function {
            new.spec.function = found.function.clone();
        }
        let _admission = self.admission.lock().await;
        let existing = self
            .all_mappings(&new.namespace, |m| admission::concerns(&new, m))
            .await?;
        // A call that is repeated gets its answer though the function may be gone since.
        if let Admission::Repeated(made) = admission::mapping(&new, &existing)? {
            return Ok(self.view(made));
        }
        let start = self.admit_references(&new, function).await?;
        let mapping = self.first_version(new, start, now);
        if validate_only {
            return Ok(self.preview(mapping));
        }
        Ok(self.view(self.ports.catalog.put_mapping(mapping).await?))
    }

    /// Checks that what a new mapping names exists, and makes its start concrete.
    async fn admit_references(
        &self,
        new: &NewMapping,
        function: Result<Resolved, ManageError>,
    ) -> Result<Option<StartPin>, ManageError> {
        let (namespace, spec) = (&new.namespace, &new.spec);
        let mut broken = Vec::new();
        let function = error::note(function, &mut broken)?;
        if let Some(destination) = &spec.on_failure {
            error::note(
                self.require_destination(namespace, destination).await,
                &mut broken,
            )?;
        }
        let source = match spec.starting_position {
            None => self
                .require_queue(namespace, &spec.source, function.map(|f| f.timeout))
                .await
                .map(|()| None),
            Some(start) => self
                .require_stream(namespace, &spec.source, start)
                .await
                .map(Some),
        };
        let start = error::note(source, &mut broken)?;
        error::all(broken)?;
        Ok(start.flatten())
    }

    /// The stream exists; where reading starts in it.
    async fn require_stream(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
        start: StartingPosition,
    ) -> Result<StartPin, ManageError> {
        let of_source = |e| error::of_source(&e, arn.as_str());
        let source = self
            .ports
            .sources
            .stream(namespace, arn)
            .await
            .map_err(of_source)?;
        source.pin(start).await.map_err(of_source)
    }

    /// The queue exists, and hides messages for as long as the function may run, if that is known.
    pub(super) async fn require_queue(
        &self,
        namespace: &Namespace,
        arn: &SourceArn,
        timeout: Option<Duration>,
    ) -> Result<(), ManageError> {
        let of_source = |e| error::of_source(&e, arn.as_str());
        let queue = self
            .ports
            .sources
            .queue(namespace, arn)
            .await
            .map_err(of_source)?;
        let hidden = queue.attributes().await.map_err(of_source)?.visibility_timeout;
        let Some(timeout) = timeout else { return Ok(()) };
        Ok(millstream_core::validate::visibility(hidden, timeout)?)
    }

    fn first_version(&self, new: NewMapping, start: Option<StartPin>, now: Wall) -> Mapping {
        let id = MappingId::from_random(self.ports.entropy.next_u128());
        Mapping {
            namespace: new.namespace,
            name: new.name.unwrap_or_else(|| id_as_name(id)),
            id,
            spec: new.spec,
            desired: if new.paused {
                Desired::Paused
            } else {
                Desired::Running
            },
            start,
            generation: 1,
            revision: 0,
            created: now,
            modified: now,
            request_id: new.request_id,
            applied: new.applied,
            tags: new.tags,
        }
    }

    /// One mapping.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the catalog's.
    pub async fn mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
    ) -> Result<MappingView, ManageError> {
        Ok(self.view(self.ports.catalog.mapping(namespace, name).await?))
    }

    /// The mapping with this id. Mappings that were made without a name have their id as their name and are found at
    /// once; for others all of the namespace are looked at.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the catalog's.
    pub async fn mapping_by_id(
        &self,
        namespace: &Namespace,
        id: MappingId,
    ) -> Result<MappingView, ManageError> {
        match self.ports.catalog.mapping(namespace, &id_as_name(id)).await {
            Ok(found) if found.id == id => return Ok(self.view(found)),
            Ok(_) | Err(CatalogError::NotFound { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        let mut found = self.all_mappings(namespace, |m| m.id == id).await?;
        let missing = || ManageError::NotFound {
            kind: "mapping",
            name: id.to_string(),
        };
        found.pop().map(|m| self.view(m)).ok_or_else(missing)
    }

    /// The mappings of a namespace by name, at most `limit`, after `after`.
    ///
    /// # Errors
    /// The catalog's.
    pub async fn mappings(
        &self,
        namespace: &Namespace,
        after: Option<&MappingName>,
        limit: usize,
    ) -> Result<Listed<MappingView>, ManageError> {
        let page = self.ports.catalog.mappings(Some(namespace), after, limit).await?;
        Ok(Listed {
            items: page.items.into_iter().map(|m| self.view(m)).collect(),
            more: page.more,
        })
    }

    /// Changes the settings that `patch` names. Without `expected` it is tried again, a few times, when another
    /// change came between. A change to what is there already makes no new version.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] with all broken rules, or if a newly named function or destination does not
    /// exist; [`ManageError::AlreadyExists`] if another mapping connects source and new function;
    /// [`ManageError::Conflict`] if `expected` is not the newest revision; [`ManageError::Precondition`] while
    /// it is being deleted.
    pub async fn update_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        patch: &MappingPatch,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<MappingView, ManageError> {
        let named = match &patch.function {
            Some(asked) => {
                // A mapping that is not there is told first.
                self.current(namespace, name, expected).await?;
                Some(self.resolve(namespace, asked).await)
            }
            None => None,
        };
        let _admission = self.admission.lock().await;
        let mut last = None;
        for _ in 0..CHANGE_TRIES {
            let old = self.current(namespace, name, expected).await?;
            if old.desired == Desired::Deleted {
                return Err(ManageError::deleting(name));
            }
            let mut spec = patch.apply(&old.spec);
            let timeout = settle_function(&old.spec, &mut spec, named.as_ref());
            self.admit_update(&old, &spec, timeout).await?;
            let wanted = (spec, patch.desired(old.desired));
            let now = self.ports.clock.now().wall;
            let next = match patch::next_mapping(&old, wanted, patch.notes(), now) {
                None => return Ok(self.view(old)),
                Some(next) if validate_only => {
                    // The caller learns how it stands, too.
                    drop(self.view(old));
                    return Ok(self.preview(next));
                }
                Some(next) => next,
            };
            match self.ports.catalog.put_mapping(next).await {
                Err(e @ CatalogError::Conflict { .. }) if expected.is_none() => last = Some(e),
                other => return Ok(self.view(other?)),
            }
        }
        Err(last.map_or_else(|| ManageError::deleting(name), Into::into))
    }

    /// Checks a change; what it does not touch is not checked again (semantics 2.2).
    async fn admit_update(
        &self,
        old: &Mapping,
        new: &MappingSpec,
        timeout: Result<Duration, ManageError>,
    ) -> Result<(), ManageError> {
        millstream_core::validate::update(&old.spec, new)?;
        let mut broken = Vec::new();
        if new.function != old.spec.function {
            let fits = self.check_timeout(&old.namespace, &new.source, timeout);
            error::note(fits.await, &mut broken)?;
            let twins = self
                .all_mappings(&old.namespace, |m| {
                    m.id != old.id && admission::maps(m, &new.source, &new.function)
                })
                .await?;
            if let Some(twin) = twins.first() {
                return Err(admission::duplicate(twin));
            }
        }
        if let Some(destination) = &new.on_failure
            && new.on_failure != old.spec.on_failure
        {
            let found = self.require_destination(&old.namespace, destination).await;
            error::note(found, &mut broken)?;
        }
        error::all(broken)
    }

    /// Pauses a mapping: durable when this returns, and from then on no attempt starts. What runs goes on until it ends;
    /// [`MappingState::Paused`](super::MappingState::Paused) says that it has. Pausing twice is no error.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], [`ManageError::Conflict`], [`ManageError::Precondition`] while it is being
    /// deleted, or the catalog's.
    pub async fn pause_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        expected: Option<u64>,
    ) -> Result<MappingView, ManageError> {
        self.set_desired(namespace, name, expected, Desired::Paused).await
    }

    /// Lets a paused mapping go on where it stood. Resuming a running mapping is no error.
    ///
    /// # Errors
    /// As [`Manager::pause_mapping`].
    pub async fn resume_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        expected: Option<u64>,
    ) -> Result<MappingView, ManageError> {
        self.set_desired(namespace, name, expected, Desired::Running)
            .await
    }

    /// Marks a mapping for removal: durable when this returns, and from then on no attempt starts. The engine removes
    /// it when nothing runs any more. Repeating it until then is no error.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], [`ManageError::Conflict`], or the catalog's.
    pub async fn delete_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<MappingView, ManageError> {
        if validate_only {
            return Ok(self.view(self.current(namespace, name, expected).await?));
        }
        self.set_desired(namespace, name, expected, Desired::Deleted)
            .await
    }

    async fn set_desired(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        expected: Option<u64>,
        desired: Desired,
    ) -> Result<MappingView, ManageError> {
        let mut last = None;
        for _ in 0..CHANGE_TRIES {
            let old = self.current(namespace, name, expected).await?;
            if old.desired == Desired::Deleted && desired != Desired::Deleted {
                return Err(ManageError::deleting(name));
            }
            let (now, wanted) = (self.ports.clock.now().wall, (old.spec.clone(), desired));
            let Some(next) = patch::next_mapping(&old, wanted, Notes::default(), now) else {
                return Ok(self.view(old));
            };
            match self.ports.catalog.put_mapping(next).await {
                Err(e @ CatalogError::Conflict { .. }) if expected.is_none() => last = Some(e),
                other => return Ok(self.view(other?)),
            }
        }
        Err(last.map_or_else(|| ManageError::deleting(name), Into::into))
    }

    /// The inside of a mapping, now.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the catalog's.
    pub async fn inspect_mapping(
        &self,
        namespace: &Namespace,
        name: &MappingName,
    ) -> Result<MappingInspection, ManageError> {
        let mapping = self.ports.catalog.mapping(namespace, name).await?;
        let mut shards = self.ports.live.shards(mapping.id).await;
        let mut queue = None;
        if mapping.spec.source.kind().is_queue() {
            queue = shards.drain(..).find_map(|s| s.queue).map(|q| *q);
        }
        let MappingView { mapping, status } = self.view(mapping);
        Ok(MappingInspection {
            mapping,
            status,
            shards,
            queue,
        })
    }

    /// The newest version, which must be the expected one if one is.
    async fn current(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        expected: Option<u64>,
    ) -> Result<Mapping, ManageError> {
        let mapping = self.ports.catalog.mapping(namespace, name).await?;
        match expected {
            Some(expected) if expected != mapping.revision => Err(ManageError::Conflict {
                kind: "mapping",
                name: name.to_string(),
                expected,
                actual: mapping.revision,
            }),
            _ => Ok(mapping),
        }
    }

    pub(super) fn view(&self, mapping: Mapping) -> MappingView {
        show(&*self.ports.live, mapping)
    }

    /// A mapping as it would be: nobody may rely on it.
    fn preview(&self, mapping: Mapping) -> MappingView {
        let status = self.ports.live.status(mapping.id);
        observed::view(mapping, status)
    }

    /// All mappings of a namespace that `wanted` says yes to.
    pub(super) async fn all_mappings(
        &self,
        namespace: &Namespace,
        wanted: impl Fn(&Mapping) -> bool + Send,
    ) -> Result<Vec<Mapping>, ManageError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .ports
                .catalog
                .mappings(Some(namespace), after.as_ref(), SCAN)
                .await?;
            after = page.items.last().map(|m| m.name.clone());
            found.extend(page.items.into_iter().filter(&wanted));
            if !page.more || after.is_none() {
                return Ok(found);
            }
        }
    }

    async fn require_destination(
        &self,
        namespace: &Namespace,
        arn: &DestinationArn,
    ) -> Result<(), ManageError> {
        let found = self.ports.destinations.destination(namespace, arn).await;
        found
            .map(drop)
            .map_err(|e| error::of_destination(&e, arn.as_str()))
    }
}

/// A mapping as it is told to somebody. What is told to be paused or removed starts nothing from here on, whether or
/// not the engine has heard of it.
pub(super) fn show(live: &dyn Live, mapping: Mapping) -> MappingView {
    if mapping.desired != Desired::Running {
        live.announce(&mapping);
    }
    let status = live.status(mapping.id);
    observed::view(mapping, status)
}

/// The text of an id is always a valid name.
fn id_as_name(id: MappingId) -> MappingName {
    MappingName::new(id.to_string()).unwrap_or_else(|e| unreachable!("{e}"))
}
