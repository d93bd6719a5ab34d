//! Fakes of the ports, small enough to be right by reading them.

use crate::manage::{Manager, ManagerPorts, NewFunction, NewMapping};
use crate::view::{Counters, Lagged, Live, MappingStatus, ShardInspection};
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use millstream_core::mapping_state::MappingState;
use millstream_ports::*;
use millstream_testkit::NoLambda;
use millstream_types::durable::{DeliveryState, Discard, LedgerEntry, OutboxEntry, QueueAttempt};
use millstream_types::ids::DiscardId;
use millstream_types::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// A manager with handles on everything under it. The stream `orders`, the stream `failures` and the function `f`
/// exist.
pub(super) struct World {
    pub(super) manager: Manager,
    pub(super) catalog: Arc<FakeCatalog>,
    pub(super) outside: Arc<Outside>,
    pub(super) live: Arc<FakeLive>,
}

impl World {
    pub(super) async fn new() -> Self {
        let catalog = Arc::new(FakeCatalog::default());
        let outside = Arc::new(Outside::default());
        let live = Arc::new(FakeLive::default());
        let manager = Manager::new(ManagerPorts {
            catalog: catalog.clone(),
            sources: outside.clone(),
            destinations: outside.clone(),
            lambda: outside.clone(),
            clock: Arc::new(Fixed),
            entropy: Arc::new(Counting::default()),
            live: live.clone(),
            ledger: outside.clone(),
            discards: outside.clone(),
        });
        manager.create_function(new_function("f"), false).await.unwrap();
        Self {
            manager,
            catalog,
            outside,
            live,
        }
    }
}

pub(super) const NOW: Wall = Wall(1_700_000_000_000);

pub(super) fn namespace() -> Namespace {
    Namespace::default()
}

pub(super) fn name(text: &str) -> MappingName {
    MappingName::new(text).unwrap()
}

pub(super) fn function(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

pub(super) fn stream_arn(text: &str) -> SourceArn {
    SourceArn::local_stream(&StreamName::new(text).unwrap())
}

pub(super) fn spec() -> MappingSpec {
    MappingSpec::stream(stream_arn("orders"), function("f"), StartingPosition::TrimHorizon)
}

/// The fields that an error refuses.
pub(super) fn fields(e: &crate::manage::ManageError) -> Vec<&str> {
    match e {
        crate::manage::ManageError::Invalid(v) => v.0.iter().map(|v| v.field).collect(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn new_mapping(text: &str) -> NewMapping {
    NewMapping {
        namespace: namespace(),
        name: Some(name(text)),
        spec: spec(),
        request_id: None,
        paused: false,
        applied: Default::default(),
        tags: Default::default(),
    }
}

pub(super) fn new_function(text: &str) -> NewFunction {
    let spec = FunctionSpec {
        target: Target::InProcess,
        timeout_ms: 3_000,
        concurrency: 10,
    };
    NewFunction {
        namespace: namespace(),
        name: function(text),
        spec,
        request_id: None,
        applied: Default::default(),
        tags: Default::default(),
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Now {
        Now {
            wall: NOW,
            mono: Mono(0),
        }
    }
    fn sleep_until(&self, _: Mono) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

/// A catalog in memory. `conflicts` makes that many puts fail as if another change had come between.
pub(super) struct FakeCatalog {
    rows: Mutex<(BTreeMap<String, Mapping>, BTreeMap<String, Function>)>,
    revision: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) puts: AtomicU64,
    pub(super) events: broadcast::Sender<CatalogEvent>,
}

impl Default for FakeCatalog {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            revision: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            puts: AtomicU64::new(0),
            events: broadcast::channel(16).0,
        }
    }
}

impl FakeCatalog {
    fn told(&self, change: Change) -> u64 {
        let revision = self.revision.fetch_add(1, SeqCst) + 1;
        let change = match change {
            Change::Put(Resource::Mapping(m)) => Change::Put(Resource::Mapping(Mapping { revision, ..m })),
            other => other,
        };
        drop(self.events.send(CatalogEvent { revision, change }));
        revision
    }

    fn check(&self, kind: &'static str, name: &str, has: Option<u64>, saw: u64) -> Result<(), CatalogError> {
        self.puts.fetch_add(1, SeqCst);
        let (name, failing) = (name.to_owned(), self.conflicts.load(SeqCst));
        if failing > 0 {
            self.conflicts.store(failing - 1, SeqCst);
            return Err(CatalogError::Conflict {
                kind,
                name,
                expected: saw,
                actual: saw + 1,
            });
        }
        match has {
            Some(_) if saw == 0 => Err(CatalogError::AlreadyExists { kind, name }),
            Some(actual) if actual != saw => Err(CatalogError::Conflict {
                kind,
                name,
                expected: saw,
                actual,
            }),
            _ => Ok(()),
        }
    }
}

fn page<T>(all: impl Iterator<Item = T>, limit: usize, revision: u64) -> ListPage<T> {
    let mut items: Vec<T> = all.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    ListPage {
        items,
        more,
        revision,
    }
}

#[async_trait]
impl Catalog for FakeCatalog {
    async fn put_mapping(&self, mapping: Mapping) -> Result<Mapping, CatalogError> {
        let has = self
            .rows
            .lock()
            .unwrap()
            .0
            .get(mapping.name.as_str())
            .map(|m| m.revision);
        self.check("mapping", mapping.name.as_str(), has, mapping.revision)?;
        let revision = self.told(Change::Put(Resource::Mapping(mapping.clone())));
        let mapping = Mapping { revision, ..mapping };
        self.rows
            .lock()
            .unwrap()
            .0
            .insert(mapping.name.to_string(), mapping.clone());
        Ok(mapping)
    }

    async fn mapping(&self, _: &Namespace, name: &MappingName) -> Result<Mapping, CatalogError> {
        let found = self.rows.lock().unwrap().0.get(name.as_str()).cloned();
        found.ok_or(CatalogError::NotFound {
            kind: "mapping",
            name: name.to_string(),
        })
    }

    async fn mappings(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&MappingName>,
        limit: usize,
    ) -> Result<ListPage<Mapping>, CatalogError> {
        let rows = self.rows.lock().unwrap();
        let wanted = rows
            .0
            .values()
            .filter(|m| namespace.is_none_or(|n| *n == m.namespace));
        let behind = wanted.filter(|m| after.is_none_or(|a| m.name > *a)).cloned();
        Ok(page(behind, limit, self.revision()))
    }

    async fn remove_mapping(
        &self,
        _: &Namespace,
        name: &MappingName,
        _: MappingId,
    ) -> Result<(), CatalogError> {
        let gone = self.rows.lock().unwrap().0.remove(name.as_str());
        let gone = gone.ok_or(CatalogError::NotFound {
            kind: "mapping",
            name: name.to_string(),
        })?;
        self.told(Change::Removed(Resource::Mapping(gone)));
        Ok(())
    }

    async fn put_function(&self, function: Function) -> Result<Function, CatalogError> {
        let has = self
            .rows
            .lock()
            .unwrap()
            .1
            .get(function.name.as_str())
            .map(|f| f.revision);
        self.check("function", function.name.as_str(), has, function.revision)?;
        let revision = self.told(Change::Put(Resource::Function(function.clone())));
        let function = Function { revision, ..function };
        self.rows
            .lock()
            .unwrap()
            .1
            .insert(function.name.to_string(), function.clone());
        Ok(function)
    }

    async fn function(&self, _: &Namespace, name: &FunctionName) -> Result<Function, CatalogError> {
        let found = self.rows.lock().unwrap().1.get(name.as_str()).cloned();
        found.ok_or(CatalogError::NotFound {
            kind: "function",
            name: name.to_string(),
        })
    }

    async fn functions(
        &self,
        _: Option<&Namespace>,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<ListPage<Function>, CatalogError> {
        let rows = self.rows.lock().unwrap();
        let behind = rows
            .1
            .values()
            .filter(|f| after.is_none_or(|a| f.name > *a))
            .cloned();
        Ok(page(behind, limit, self.revision()))
    }

    async fn remove_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        expected: Option<u64>,
    ) -> Result<(), CatalogError> {
        let actual = self.function(namespace, name).await?.revision;
        if let Some(expected) = expected.filter(|e| *e != actual) {
            return Err(CatalogError::Conflict {
                kind: "function",
                name: name.to_string(),
                expected,
                actual,
            });
        }
        self.rows.lock().unwrap().1.remove(name.as_str());
        Ok(())
    }

    fn revision(&self) -> u64 {
        self.revision.load(SeqCst)
    }

    fn watch(&self, _: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>> {
        subscribe(&self.events)
            .map(|e| e.map_err(WatchEnd::Lagged))
            .boxed()
    }
}

/// A broadcast channel as a stream; a lost item is an error that carries the number of lost ones.
fn subscribe<T: Clone + Send + 'static>(from: &broadcast::Sender<T>) -> BoxStream<'static, Result<T, u64>> {
    let next = |mut events: broadcast::Receiver<T>| async move {
        match events.recv().await {
            Ok(event) => Some((Ok(event), events)),
            Err(broadcast::error::RecvError::Lagged(n)) => Some((Err(n), events)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    };
    stream::unfold(from.subscribe(), next).boxed()
}

/// What is around the engine: two streams, a history.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) ledger: Mutex<Vec<LedgerEntry>>,
    pub(super) attempts: Mutex<Vec<QueueAttempt>>,
    pub(super) discards: Mutex<Vec<Discard>>,
    pub(super) largest_chunk: AtomicU64,
    /// Makes the source fail in this way.
    pub(super) source_fails: Mutex<Option<SourceError>>,
    /// What Lambda answers about functions, by the name that is asked for; no connection serves others.
    pub(super) lambda: Mutex<BTreeMap<String, Result<FoundFunction, FindError>>>,
}

#[async_trait]
impl FindFunction for Outside {
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        let known = self.lambda.lock().unwrap().get(given).cloned();
        match known {
            Some(answer) => answer,
            None => NoLambda.find(given).await,
        }
    }
}

#[async_trait]
impl Sources for Outside {
    async fn stream(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn StreamSource>, SourceError> {
        if let Some(e) = self.source_fails.lock().unwrap().clone() {
            return Err(e);
        }
        match arn.resource_name() {
            "orders" => Ok(Arc::new(Orders)),
            _ => Err(SourceError::NotFound(arn.to_string())),
        }
    }

    async fn queue(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn QueueSource>, SourceError> {
        Err(SourceError::NoSuchQueue { arn: arn.to_string() })
    }
}

struct Orders;

#[async_trait]
impl StreamSource for Orders {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        Ok(Vec::new())
    }
    async fn pin(&self, start: StartingPosition) -> Result<StartPin, SourceError> {
        let position = match start {
            StartingPosition::TrimHorizon => Position::Trim,
            StartingPosition::Latest => Position::Timestamp(Wall(77)),
            StartingPosition::AtTimestamp(at) => Position::Timestamp(at),
        };
        Ok(StartPin {
            position,
            shards: vec![ShardId::new("shardId-000000000000").unwrap()],
        })
    }
    async fn open(&self, _: &ShardId, _: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        Err(SourceError::Unavailable("not here".into()))
    }
    async fn shards_changed(&self) {
        std::future::pending().await
    }
}

#[async_trait]
impl Destinations for Outside {
    async fn destination(
        &self,
        _: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        match arn.resource_name() {
            "failures" => Ok(Arc::new(Nowhere)),
            _ => Err(DeliverError::Refused {
                destination: arn.to_string(),
                why: "no such stream".into(),
            }),
        }
    }
}

struct Nowhere;

#[async_trait]
impl Destination for Nowhere {
    async fn deliver(&self, _: &OutboxEntry) -> Result<Delivery, DeliverError> {
        Ok(Delivery::Settled)
    }
}

#[async_trait]
impl LedgerRead for Outside {
    async fn read(&self, query: LedgerQuery) -> Result<LedgerPage, JournalError> {
        let from = query.after.map_or(0, |a| usize::from(a[0]));
        let all = self.ledger.lock().unwrap();
        let entries: Vec<_> = all.iter().skip(from).take(query.limit).cloned().collect();
        let next = from + entries.len();
        Ok(LedgerPage {
            entries,
            attempts: self.attempts.lock().unwrap().clone(),
            next: (next < all.len()).then(|| vec![u8::try_from(next).unwrap()]),
        })
    }
}

#[async_trait]
impl Discards for Outside {
    async fn list(
        &self,
        mapping: MappingId,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<Vec<Discard>, JournalError> {
        self.largest_chunk.fetch_max(limit as u64, SeqCst);
        let all = self.discards.lock().unwrap();
        let own = all
            .iter()
            .filter(|d| d.mapping == mapping && after.is_none_or(|a| d.id > a));
        Ok(own.take(limit).cloned().collect())
    }

    async fn get(&self, namespace: &Namespace, id: DiscardId) -> Result<Option<Discard>, JournalError> {
        let all = self.discards.lock().unwrap();
        Ok(all
            .iter()
            .find(|d| d.id == id && d.namespace == *namespace)
            .cloned())
    }

    async fn delivery(&self, _: DiscardId) -> Result<Option<DeliveryState>, JournalError> {
        Ok(None)
    }
}

/// What runs, as far as the tests say.
pub(super) struct FakeLive {
    pub(super) states: Mutex<BTreeMap<MappingId, MappingStatus>>,
    pub(super) changes: broadcast::Sender<(MappingId, MappingStatus)>,
    pub(super) invoker: Mutex<Option<Arc<dyn Invoker>>>,
    /// Revision and what is wanted of every version that was announced.
    pub(super) announced: Mutex<Vec<(u64, Desired)>>,
}

impl Default for FakeLive {
    fn default() -> Self {
        Self {
            states: Mutex::default(),
            changes: broadcast::channel(4).0,
            invoker: Mutex::default(),
            announced: Mutex::default(),
        }
    }
}

pub(super) fn status(state: MappingState, observed_generation: u64) -> MappingStatus {
    MappingStatus {
        state,
        observed_generation,
        conditions: Vec::new(),
        last_processing_result: "No records processed".into(),
        counters: Counters::default(),
    }
}

#[async_trait]
impl Live for FakeLive {
    fn status(&self, mapping: MappingId) -> MappingStatus {
        let known = self.states.lock().unwrap().get(&mapping).cloned();
        known.unwrap_or_else(|| status(MappingState::Creating, 0))
    }
    fn announce(&self, mapping: &Mapping) {
        self.announced
            .lock()
            .unwrap()
            .push((mapping.revision, mapping.desired));
    }
    async fn shards(&self, _: MappingId) -> Vec<ShardInspection> {
        Vec::new()
    }
    fn status_changes(&self) -> BoxStream<'static, Result<(MappingId, MappingStatus), Lagged>> {
        subscribe(&self.changes).map(|c| c.map_err(|_| Lagged)).boxed()
    }
    async fn invoker(&self, _: &Namespace, function: &FunctionName) -> Result<Arc<dyn Invoker>, String> {
        let invoker = self.invoker.lock().unwrap().clone();
        invoker.ok_or_else(|| format!("no closure is registered under {function}"))
    }
    fn pool(&self, _: &Namespace, _: &FunctionName) -> PoolStatus {
        PoolStatus {
            processes: 2,
            ..PoolStatus::default()
        }
    }
}

/// An invoker that answers with what it got.
pub(super) struct Echo(pub(super) Body);

#[async_trait]
impl Invoker for Echo {
    fn body(&self) -> Body {
        self.0
    }
    async fn invoke(&self, invocation: Invocation) -> Outcome {
        match invocation.payload {
            Payload::Json(json) => {
                let seen = format!(
                    "{}ms:{}",
                    invocation.timeout.as_millis(),
                    String::from_utf8_lossy(&json)
                );
                Outcome::Response(seen.into())
            }
            Payload::Records(range) => {
                Outcome::Response(format!("{} records", range.as_slice().len()).into())
            }
            Payload::Messages(messages) => Outcome::Response(format!("{} messages", messages.len()).into()),
        }
    }
    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }
    async fn close(&self) {}
}
