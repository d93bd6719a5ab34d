//! A node over in-memory ports, with a clock that jumps from one deadline to the next.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use millstream_engine::manage::{Manager, ManagerPorts};
use millstream_engine::view::{Live, MappingStatus};
use millstream_engine::{Node, NodeOptions, NodePorts, Shutdown};
use millstream_ports::{
    Catalog, CatalogError, CatalogEvent, Change, DeliverError, Delivery, Destination, Destinations, ListPage,
    Resource, WatchEnd,
};
use millstream_testkit::{ManualClock, MemoryJournal, MemoryStream, ScriptedFunction, SeededEntropy};
use millstream_types::durable::OutboxEntry;
use millstream_types::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

/// Everything of a node that outlives it, so that a test can start another on the same state.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) journal: MemoryJournal,
    pub(crate) stream: MemoryStream,
    pub(crate) function: ScriptedFunction,
    pub(crate) mailbox: Mailbox,
}

impl World {
    pub(crate) fn new(shards: u32, function: ScriptedFunction) -> Self {
        let stream = MemoryStream::new("orders", shards);
        stream.set_time(Wall(1_000_000));
        Self {
            clock: Arc::new(ManualClock::at(Wall(1_000_000))),
            catalog: Arc::new(MemoryCatalog::default()),
            journal: MemoryJournal::default(),
            stream,
            function,
            mailbox: Mailbox::default(),
        }
    }

    pub(crate) async fn node(&self) -> Running {
        self.node_with(NodeOptions::default()).await
    }

    pub(crate) async fn node_with(&self, options: NodeOptions) -> Running {
        let ports = NodePorts {
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
            catalog: self.catalog.clone(),
            journal: Arc::new(self.journal.clone()),
            ledger: Arc::new(self.journal.clone()),
            sources: Arc::new(self.stream.clone()),
            destinations: Arc::new(self.mailbox.clone()),
            outbox: Arc::new(self.journal.clone()),
            functions: Arc::new(self.function.clone()),
        };
        let node = Node::start(options, ports).await.unwrap();
        let clock = self.clock.clone();
        let ticking = tokio::spawn(async move {
            loop {
                // Lets everything that can run do so, then moves towards whatever is waited for next.
                tokio::time::sleep(Duration::from_millis(2)).await;
                clock.advance_towards_next(Duration::from_secs(10));
            }
        });
        Running {
            live: node.live(),
            node: Some(node),
            ticking,
        }
    }

    pub(crate) fn register(&self, name: &str) {
        let spec = FunctionSpec {
            target: Target::InProcess,
            timeout_ms: 3000,
            concurrency: 10,
        };
        self.catalog.put(Resource::Function(Function {
            namespace: Namespace::default(),
            name: FunctionName::new(name).unwrap(),
            spec,
            generation: 1,
            revision: 0,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        }));
    }

    /// Maps the stream to `function`, with AWS's defaults and what `change` makes of them.
    pub(crate) fn map(&self, name: &str, function: &str, change: impl FnOnce(&mut MappingSpec)) -> Mapping {
        let source = SourceArn::local_stream(&StreamName::new("orders").unwrap());
        let mut spec = MappingSpec::stream(
            source,
            FunctionName::new(function).unwrap(),
            StartingPosition::TrimHorizon,
        );
        change(&mut spec);
        let shards = self
            .stream
            .change(|s, _| s.infos().into_iter().map(|i| i.id).collect());
        let mapping = Mapping {
            namespace: Namespace::default(),
            name: MappingName::new(name).unwrap(),
            id: MappingId::from_random(name.bytes().fold(1, |n, b| n * 31 + u128::from(b))),
            spec,
            desired: Desired::Running,
            start: Some(StartPin {
                position: Position::Trim,
                shards,
            }),
            generation: 1,
            revision: 0,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        };
        self.change(mapping, |_| {})
    }

    pub(crate) fn change(&self, mut mapping: Mapping, change: impl FnOnce(&mut Mapping)) -> Mapping {
        if mapping.revision > 0 {
            mapping.generation += 1;
        }
        change(&mut mapping);
        match self.catalog.put(Resource::Mapping(mapping)) {
            Resource::Mapping(m) => m,
            Resource::Function(_) => unreachable!(),
        }
    }

    /// Payloads of all records that calls of this mapping carried, in the order of the calls.
    pub(crate) fn seen(&self, mapping: MappingId) -> Vec<String> {
        let calls = self.function.calls();
        let of = |i: &&Invocation| i.lease.as_ref().is_some_and(|l| l.mapping == mapping);
        let records = |i: &Invocation| match &i.payload {
            Payload::Records(r) => r.as_slice().to_vec(),
            Payload::Json(_) | Payload::Messages(_) => panic!("asked for records"),
        };
        let text = |r: Record| String::from_utf8(r.data.to_vec()).unwrap();
        calls.iter().filter(of).flat_map(records).map(text).collect()
    }
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) live: Arc<dyn Live>,
    node: Option<Node>,
    ticking: tokio::task::JoinHandle<()>,
}

impl Running {
    /// What front doors call.
    pub(crate) fn manager(&self, world: &World) -> Manager {
        Manager::new(ManagerPorts {
            catalog: world.catalog.clone(),
            sources: Arc::new(world.stream.clone()),
            destinations: Arc::new(world.mailbox.clone()),
            lambda: Arc::new(millstream_testkit::NoLambda),
            clock: world.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(8)),
            live: self.live.clone(),
            ledger: Arc::new(world.journal.clone()),
            discards: Arc::new(world.journal.clone()),
        })
    }

    pub(crate) async fn stop(mut self) -> Shutdown {
        self.node
            .take()
            .unwrap()
            .shutdown(Duration::from_secs(100_000))
            .await
    }

    pub(crate) async fn until(&self, mapping: MappingId, what: &str, test: impl Fn(&MappingStatus) -> bool) {
        let status = || self.live.status(mapping);
        eventually(what, || {
            test(&status())
                .then_some(())
                .ok_or_else(|| format!("{:?}", status()))
        })
        .await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

/// Looks again and again until the test holds; fails with what was seen last.
pub(crate) async fn eventually<T>(what: &str, look: impl Fn() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..5000 {
        match look() {
            Ok(value) => return value,
            Err(seen) => last = seen,
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never happened: {what}; last seen: {last}");
}

/// A catalog in memory.
pub(crate) struct MemoryCatalog {
    state: Mutex<State>,
    events: broadcast::Sender<CatalogEvent>,
}

#[derive(Default)]
struct State {
    revision: u64,
    mappings: BTreeMap<String, Mapping>,
    functions: BTreeMap<String, Function>,
    /// What watchers are not told yet, while they are to hear nothing.
    untold: Option<Vec<CatalogEvent>>,
}

impl State {
    fn tell(&mut self, events: &broadcast::Sender<CatalogEvent>, event: CatalogEvent) {
        match &mut self.untold {
            Some(untold) => untold.push(event),
            None => drop(events.send(event)),
        }
    }
}

impl Default for MemoryCatalog {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            events: broadcast::channel(1000).0,
        }
    }
}

impl MemoryCatalog {
    pub(crate) fn put(&self, mut resource: Resource) -> Resource {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        let revision = state.revision;
        match &mut resource {
            Resource::Mapping(m) => {
                m.revision = revision;
                state.mappings.insert(m.name.to_string(), m.clone());
            }
            Resource::Function(f) => {
                f.revision = revision;
                state.functions.insert(f.name.to_string(), f.clone());
            }
        }
        let change = Change::Put(resource.clone());
        state.tell(&self.events, CatalogEvent { revision, change });
        resource
    }

    /// Until [`MemoryCatalog::unmute`] no watcher hears of any change.
    pub(crate) fn mute(&self) {
        self.state.lock().unwrap().untold.get_or_insert_default();
    }

    /// Watchers hear of everything that they missed, in order.
    pub(crate) fn unmute(&self) {
        let mut state = self.state.lock().unwrap();
        for event in state.untold.take().unwrap_or_default() {
            state.tell(&self.events, event);
        }
    }

    pub(crate) fn has(&self, name: &MappingName) -> bool {
        self.state.lock().unwrap().mappings.contains_key(name.as_str())
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn put_mapping(&self, mapping: Mapping) -> Result<Mapping, CatalogError> {
        match self.put(Resource::Mapping(mapping)) {
            Resource::Mapping(m) => Ok(m),
            Resource::Function(_) => unreachable!(),
        }
    }

    async fn mapping(&self, _: &Namespace, name: &MappingName) -> Result<Mapping, CatalogError> {
        let missing = || CatalogError::NotFound {
            kind: "mapping",
            name: name.to_string(),
        };
        self.state
            .lock()
            .unwrap()
            .mappings
            .get(name.as_str())
            .cloned()
            .ok_or_else(missing)
    }

    async fn mappings(
        &self,
        _: Option<&Namespace>,
        _: Option<&MappingName>,
        _: usize,
    ) -> Result<ListPage<Mapping>, CatalogError> {
        let state = self.state.lock().unwrap();
        Ok(ListPage {
            items: state.mappings.values().cloned().collect(),
            more: false,
            revision: state.revision,
        })
    }

    async fn remove_mapping(
        &self,
        _: &Namespace,
        name: &MappingName,
        _: MappingId,
    ) -> Result<(), CatalogError> {
        let mut state = self.state.lock().unwrap();
        let missing = || CatalogError::NotFound {
            kind: "mapping",
            name: name.to_string(),
        };
        let old = state.mappings.remove(name.as_str()).ok_or_else(missing)?;
        state.revision += 1;
        let change = Change::Removed(Resource::Mapping(old));
        let revision = state.revision;
        state.tell(&self.events, CatalogEvent { revision, change });
        Ok(())
    }

    async fn put_function(&self, _: Function) -> Result<Function, CatalogError> {
        unimplemented!("tests use `put`")
    }

    async fn function(&self, _: &Namespace, _: &FunctionName) -> Result<Function, CatalogError> {
        unimplemented!("the engine does not ask")
    }

    async fn functions(
        &self,
        _: Option<&Namespace>,
        _: Option<&FunctionName>,
        _: usize,
    ) -> Result<ListPage<Function>, CatalogError> {
        let state = self.state.lock().unwrap();
        Ok(ListPage {
            items: state.functions.values().cloned().collect(),
            more: false,
            revision: state.revision,
        })
    }

    async fn remove_function(
        &self,
        _: &Namespace,
        _: &FunctionName,
        _: Option<u64>,
    ) -> Result<(), CatalogError> {
        unimplemented!("no test removes one")
    }

    fn revision(&self) -> u64 {
        self.state.lock().unwrap().revision
    }

    fn watch(&self, from: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>> {
        let state = self.state.lock().unwrap();
        let missed = (state.revision != from).then_some(Err(WatchEnd::Lagged(state.revision)));
        let events = tokio_stream::wrappers::BroadcastStream::new(self.events.subscribe());
        let events = events.map(|e| e.map_err(|_| WatchEnd::Lagged(0)));
        futures::stream::iter(missed).chain(events).boxed()
    }
}

/// Takes failure documents; can be told to refuse some first.
#[derive(Clone, Default)]
pub(crate) struct Mailbox {
    shared: Arc<Mutex<(u32, Vec<OutboxEntry>)>>,
}

impl Mailbox {
    pub(crate) fn refuse(&self, times: u32) {
        self.shared.lock().unwrap().0 = times;
    }

    pub(crate) fn delivered(&self) -> Vec<OutboxEntry> {
        self.shared.lock().unwrap().1.clone()
    }
}

#[async_trait]
impl Destinations for Mailbox {
    async fn destination(
        &self,
        _: &Namespace,
        _: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Destination for Mailbox {
    async fn deliver(&self, entry: &OutboxEntry) -> Result<Delivery, DeliverError> {
        let mut shared = self.shared.lock().unwrap();
        if shared.0 > 0 {
            shared.0 -= 1;
            let destination = entry.destination.to_string();
            return Err(DeliverError::Unavailable {
                destination,
                why: "told to".to_owned(),
            });
        }
        shared.1.push(entry.clone());
        Ok(Delivery::Delivered)
    }
}
