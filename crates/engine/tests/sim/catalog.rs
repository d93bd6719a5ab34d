//! The catalog: changes that fail, changes of which nobody knows, and watches that miss some.

use crate::operator::short;
use crate::world::{Port, World};
use async_trait::async_trait;
use futures::StreamExt;
use futures::channel::oneshot;
use futures::future::pending;
use futures::stream::{self, BoxStream};
use millstream_ports::{Catalog, CatalogError, CatalogEvent, Change, ListPage, Resource, WatchEnd};
use millstream_types::{Function, FunctionName, Mapping, MappingId, MappingName, Namespace};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct CatalogState {
    pub(crate) revision: u64,
    pub(crate) mappings: BTreeMap<String, Mapping>,
    pub(crate) functions: BTreeMap<String, Function>,
    events: Vec<CatalogEvent>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl CatalogState {
    fn tell(&mut self, change: Change) {
        let revision = self.revision;
        self.events.push(CatalogEvent { revision, change });
        for waiter in self.waiting.drain(..) {
            let _gone = waiter.send(());
        }
    }

    /// A new process of the node watches anew.
    pub(crate) fn forget_process(&mut self) {
        self.waiting.clear();
    }

    pub(crate) fn put_function(&mut self, mut function: Function) {
        self.revision += 1;
        function.revision = self.revision;
        self.functions.insert(function.name.to_string(), function.clone());
        self.tell(Change::Put(Resource::Function(function)));
    }
}

fn missing(kind: &'static str, name: &str) -> CatalogError {
    let name = name.to_owned();
    CatalogError::NotFound { kind, name }
}

fn unavailable() -> CatalogError {
    CatalogError::Unavailable("so it is simulated".to_owned())
}

impl World {
    /// Stores a mapping, if its revision is the one that is there.
    pub(crate) fn put_mapping(&mut self, mut mapping: Mapping) -> Result<Mapping, CatalogError> {
        let name = mapping.name.to_string();
        let actual = self.catalog.mappings.get(&name).map(|m| m.revision);
        match actual {
            Some(_) if mapping.revision == 0 => {
                return Err(CatalogError::AlreadyExists {
                    kind: "mapping",
                    name,
                });
            }
            Some(actual) if mapping.revision != actual => {
                let (kind, expected) = ("mapping", mapping.revision);
                return Err(CatalogError::Conflict {
                    kind,
                    name,
                    expected,
                    actual,
                });
            }
            None if mapping.revision != 0 => return Err(missing("mapping", &name)),
            _ => {}
        }
        self.catalog.revision += 1;
        mapping.revision = self.catalog.revision;
        self.write(&format!(
            "{}: {:?}, generation {}",
            short(&mapping.name),
            mapping.desired,
            mapping.generation
        ));
        if actual.is_none() {
            self.made(&mapping);
        }
        self.catalog.mappings.insert(name, mapping.clone());
        self.catalog.tell(Change::Put(Resource::Mapping(mapping.clone())));
        Ok(mapping)
    }

    fn remove_mapping(&mut self, name: &MappingName, id: MappingId) -> Result<(), CatalogError> {
        let is_it = |m: &&Mapping| m.id == id;
        let old = self.catalog.mappings.get(name.as_str()).filter(is_it).cloned();
        let old = old.ok_or_else(|| missing("mapping", name.as_str()))?;
        self.catalog.mappings.remove(name.as_str());
        self.catalog.revision += 1;
        self.write(&format!("{}: removed", short(name)));
        self.removed(&old);
        self.catalog.tell(Change::Removed(Resource::Mapping(old)));
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct SimCatalog(pub(crate) Port);

impl SimCatalog {
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&CatalogState) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let read = self.0.call(|w| {
            let down = w.outage.store > w.now.mono;
            match down || w.trouble(w.plan.faults.store) {
                true => Err(unavailable()),
                false => look(&w.catalog),
            }
        });
        read.await
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut World) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let changed = self.0.call(|w| {
            let down = w.outage.store > w.now.mono;
            if !down && !w.trouble(w.plan.faults.store) {
                return change(w);
            }
            w.seen("catalog change of unknown outcome");
            if w.rng.per_mille(500) {
                drop(change(w));
            }
            Err(unavailable())
        });
        changed.await
    }
}

fn page<T: Clone>(of: &BTreeMap<String, T>, after: Option<&str>, limit: usize, revision: u64) -> ListPage<T> {
    let mut left = of
        .iter()
        .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
    let items = left.by_ref().take(limit).map(|(_, item)| item.clone()).collect();
    ListPage {
        items,
        more: left.next().is_some(),
        revision,
    }
}

#[async_trait]
impl Catalog for SimCatalog {
    async fn put_mapping(&self, mapping: Mapping) -> Result<Mapping, CatalogError> {
        self.change(move |w| w.put_mapping(mapping)).await
    }

    async fn mapping(&self, _: &Namespace, name: &MappingName) -> Result<Mapping, CatalogError> {
        let name = name.clone();
        self.read(move |c| {
            let found = c.mappings.get(name.as_str()).cloned();
            found.ok_or_else(|| missing("mapping", name.as_str()))
        })
        .await
    }

    async fn mappings(
        &self,
        _: Option<&Namespace>,
        after: Option<&MappingName>,
        limit: usize,
    ) -> Result<ListPage<Mapping>, CatalogError> {
        let after = after.cloned();
        self.read(move |c| {
            let after = after.as_ref().map(MappingName::as_str);
            Ok(page(&c.mappings, after, limit, c.revision))
        })
        .await
    }

    async fn remove_mapping(
        &self,
        _: &Namespace,
        name: &MappingName,
        id: MappingId,
    ) -> Result<(), CatalogError> {
        let name = name.clone();
        self.change(move |w| w.remove_mapping(&name, id)).await
    }

    async fn put_function(&self, _: Function) -> Result<Function, CatalogError> {
        Err(unavailable())
    }

    async fn function(&self, _: &Namespace, name: &FunctionName) -> Result<Function, CatalogError> {
        let name = name.clone();
        self.read(move |c| {
            let found = c.functions.get(name.as_str()).cloned();
            found.ok_or_else(|| missing("function", name.as_str()))
        })
        .await
    }

    async fn functions(
        &self,
        _: Option<&Namespace>,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<ListPage<Function>, CatalogError> {
        let after = after.cloned();
        self.read(move |c| {
            let after = after.as_ref().map(FunctionName::as_str);
            Ok(page(&c.functions, after, limit, c.revision))
        })
        .await
    }

    async fn remove_function(
        &self,
        _: &Namespace,
        _: &FunctionName,
        _: Option<u64>,
    ) -> Result<(), CatalogError> {
        Err(unavailable())
    }

    fn revision(&self) -> u64 {
        self.0.sim.with(|w| w.catalog.revision)
    }

    fn watch(&self, from: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>> {
        stream::unfold((self.0.clone(), from), |(port, from)| async move {
            let event = next_event(&port, from).await;
            let from = event.as_ref().map_or(from, |e| e.revision);
            Some((event, (port, from)))
        })
        .boxed()
    }
}

async fn next_event(port: &Port, from: u64) -> Result<CatalogEvent, WatchEnd> {
    loop {
        let next = port.with(|w| {
            if let Some(event) = w.catalog.events.iter().find(|e| e.revision > from).cloned() {
                if w.trouble(w.plan.faults.lag) {
                    w.seen("watch that lagged");
                    return Ok(Err(WatchEnd::Lagged(w.catalog.revision)));
                }
                return Ok(Ok((event, w.way())));
            }
            let (tx, rx) = oneshot::channel();
            w.catalog.waiting.push(tx);
            Err(rx)
        });
        match next {
            Some(Ok(Ok((event, way)))) => {
                port.sleep(way).await;
                return Ok(event);
            }
            Some(Ok(Err(lagged))) => return Err(lagged),
            Some(Err(woken)) => drop(woken.await),
            None => pending().await,
        }
    }
}
