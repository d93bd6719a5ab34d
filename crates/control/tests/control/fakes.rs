//! A server on a free port over fakes, and clients of it.

use crate::fake_queues::{FakeQueues, FakeSource};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use millstream_api::v1::discard_service_client::DiscardServiceClient;
use millstream_api::v1::function_service_client::FunctionServiceClient;
use millstream_api::v1::ledger_service_client::LedgerServiceClient;
use millstream_api::v1::mapping_service_client::MappingServiceClient;
use millstream_api::v1::queue_service_client::QueueServiceClient;
use millstream_api::v1::stream_service_client::StreamServiceClient;
use millstream_api::{MAX_PAYLOAD_MESSAGE_BYTES, v1};
use millstream_control::{BoundServer, ControlOptions, ControlServices, serve};
use millstream_engine::manage::{Manager, ManagerPorts, MappingState};
use millstream_engine::view::{Counters, Lagged, Live, MappingStatus, ShardInspection};
use millstream_ports::*;
use millstream_types::durable::{DeliveryState, Discard, LedgerEntry, QueueAttempt};
use millstream_types::ids::DiscardId;
use millstream_types::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

pub(crate) const ORDERS: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";

/// A running server.
pub(crate) struct World {
    pub(crate) server: BoundServer,
    pub(crate) shutdown: CancellationToken,
    pub(crate) channel: Channel,
    pub(crate) live: Arc<FakeLive>,
    pub(crate) catalog: Arc<FakeCatalog>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) broker: Arc<FakeQueues>,
    pub(crate) manager: Manager,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ControlOptions)) -> Self {
        let (live, catalog, outside) = (
            Arc::new(FakeLive::default()),
            Arc::new(FakeCatalog::default()),
            Arc::new(Outside::default()),
        );
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
        let broker = Arc::new(FakeQueues::default());
        let shutdown = CancellationToken::new();
        let mut options = ControlOptions::new("127.0.0.1:0".parse().unwrap());
        change(&mut options);
        let services = ControlServices {
            manager: manager.clone(),
            streams: outside.clone(),
            queues: broker.clone(),
        };
        let server = serve(options, services, shutdown.clone()).await.unwrap();
        let endpoint = Channel::from_shared(format!("http://{}", server.local_addr())).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self {
            server,
            shutdown,
            channel,
            live,
            catalog,
            outside,
            broker,
            manager,
        }
    }

    pub(crate) fn mappings(&self) -> MappingServiceClient<Channel> {
        MappingServiceClient::new(self.channel.clone())
    }

    pub(crate) fn functions(&self) -> FunctionServiceClient<Channel> {
        FunctionServiceClient::new(self.channel.clone())
    }

    pub(crate) fn streams(&self) -> StreamServiceClient<Channel> {
        StreamServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX)
    }

    pub(crate) fn queues(&self) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.channel.clone()).max_encoding_message_size(usize::MAX)
    }

    pub(crate) fn ledger(&self) -> LedgerServiceClient<Channel> {
        LedgerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn discards(&self) -> DiscardServiceClient<Channel> {
        DiscardServiceClient::new(self.channel.clone())
    }

    /// The in-process function `id`.
    pub(crate) async fn make_function(&self, id: &str) -> v1::Function {
        let target = Some(v1::function::Target::InProcess(v1::InProcessTarget {}));
        let request = v1::CreateFunctionRequest {
            parent: "namespaces/default".into(),
            function_id: id.into(),
            function: Some(v1::Function {
                target,
                ..v1::Function::default()
            }),
            ..Default::default()
        };
        self.functions()
            .create_function(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// The mapping `id` of `orders` to a new function of the same name.
    pub(crate) async fn make_mapping(&self, id: &str) -> v1::Mapping {
        self.make_function(id).await;
        self.mappings()
            .create_mapping(new_mapping(id))
            .await
            .unwrap()
            .into_inner()
    }
}

pub(crate) fn new_mapping(id: &str) -> v1::CreateMappingRequest {
    v1::CreateMappingRequest {
        parent: "namespaces/default".into(),
        mapping_id: id.into(),
        mapping: Some(v1::Mapping {
            source_arn: ORDERS.into(),
            function: id.into(),
            starting_position: v1::StartingPosition::TrimHorizon.into(),
            ..v1::Mapping::default()
        }),
        ..Default::default()
    }
}

/// The refused fields of an error.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status
        .get_details_bad_request()
        .unwrap_or_else(|| panic!("no field: {status:?}"));
    details.field_violations.into_iter().map(|v| v.field).collect()
}

/// The reason of an error.
pub(crate) fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no reason: {status:?}"))
        .reason
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Now {
        Now {
            wall: Wall(1_700_000_000_000),
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

/// A catalog in memory, of one namespace.
pub(crate) struct FakeCatalog {
    mappings: Mutex<BTreeMap<MappingName, Mapping>>,
    functions: Mutex<BTreeMap<FunctionName, Function>>,
    revision: AtomicU64,
    events: broadcast::Sender<CatalogEvent>,
}

impl Default for FakeCatalog {
    fn default() -> Self {
        let (mappings, functions) = Default::default();
        Self {
            mappings,
            functions,
            revision: AtomicU64::new(0),
            events: broadcast::channel(64).0,
        }
    }
}

fn not_found(kind: &'static str, name: &impl ToString) -> CatalogError {
    CatalogError::NotFound {
        kind,
        name: name.to_string(),
    }
}

fn check(kind: &'static str, name: &str, has: Option<u64>, expected: u64) -> Result<(), CatalogError> {
    let name = name.to_owned();
    match has {
        Some(_) if expected == 0 => Err(CatalogError::AlreadyExists { kind, name }),
        Some(actual) if actual != expected => Err(CatalogError::Conflict {
            kind,
            name,
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

fn page<K: Ord + Clone, V: Clone>(rows: &BTreeMap<K, V>, after: Option<&K>, limit: usize) -> ListPage<V> {
    let behind = rows.iter().filter(|(k, _)| after.is_none_or(|a| *k > a));
    let mut items: Vec<V> = behind.map(|(_, v)| v.clone()).take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    ListPage {
        items,
        more,
        revision: 0,
    }
}

#[async_trait]
impl Catalog for FakeCatalog {
    async fn put_mapping(&self, mapping: Mapping) -> Result<Mapping, CatalogError> {
        let mut rows = self.mappings.lock().unwrap();
        let has = rows.get(&mapping.name).map(|m| m.revision);
        check("mapping", mapping.name.as_str(), has, mapping.revision)?;
        let revision = self.revision.fetch_add(1, SeqCst) + 1;
        let mapping = Mapping { revision, ..mapping };
        rows.insert(mapping.name.clone(), mapping.clone());
        drop(self.events.send(CatalogEvent {
            revision,
            change: Change::Put(Resource::Mapping(mapping.clone())),
        }));
        Ok(mapping)
    }
    async fn mapping(&self, _: &Namespace, name: &MappingName) -> Result<Mapping, CatalogError> {
        self.mappings
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .ok_or_else(|| not_found("mapping", name))
    }
    async fn mappings(
        &self,
        _: Option<&Namespace>,
        after: Option<&MappingName>,
        limit: usize,
    ) -> Result<ListPage<Mapping>, CatalogError> {
        Ok(page(&self.mappings.lock().unwrap(), after, limit))
    }
    async fn remove_mapping(
        &self,
        _: &Namespace,
        name: &MappingName,
        _: MappingId,
    ) -> Result<(), CatalogError> {
        let gone = self
            .mappings
            .lock()
            .unwrap()
            .remove(name)
            .ok_or_else(|| not_found("mapping", name))?;
        let revision = self.revision.fetch_add(1, SeqCst) + 1;
        drop(self.events.send(CatalogEvent {
            revision,
            change: Change::Removed(Resource::Mapping(gone)),
        }));
        Ok(())
    }
    async fn put_function(&self, function: Function) -> Result<Function, CatalogError> {
        let mut rows = self.functions.lock().unwrap();
        let has = rows.get(&function.name).map(|f| f.revision);
        check("function", function.name.as_str(), has, function.revision)?;
        let function = Function {
            revision: self.revision.fetch_add(1, SeqCst) + 1,
            ..function
        };
        rows.insert(function.name.clone(), function.clone());
        Ok(function)
    }
    async fn function(&self, _: &Namespace, name: &FunctionName) -> Result<Function, CatalogError> {
        self.functions
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .ok_or_else(|| not_found("function", name))
    }
    async fn functions(
        &self,
        _: Option<&Namespace>,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Result<ListPage<Function>, CatalogError> {
        Ok(page(&self.functions.lock().unwrap(), after, limit))
    }
    async fn remove_function(
        &self,
        _: &Namespace,
        name: &FunctionName,
        _: Option<u64>,
    ) -> Result<(), CatalogError> {
        self.functions
            .lock()
            .unwrap()
            .remove(name)
            .map(drop)
            .ok_or_else(|| not_found("function", name))
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

/// What runs: every mapping is active, the one invoker is `invoker`.
pub(crate) struct FakeLive {
    pub(crate) shards: Mutex<Vec<ShardInspection>>,
    pub(crate) changes: broadcast::Sender<(MappingId, MappingStatus)>,
    pub(crate) outcome: Mutex<Option<Outcome>>,
    /// Makes functions never answer; `called` tells that one was called.
    pub(crate) hangs: AtomicBool,
    pub(crate) called: Arc<Notify>,
}

impl Default for FakeLive {
    fn default() -> Self {
        Self {
            shards: Mutex::default(),
            changes: broadcast::channel(4).0,
            outcome: Mutex::default(),
            hangs: AtomicBool::new(false),
            called: Arc::default(),
        }
    }
}

pub(crate) fn active(observed_generation: u64) -> MappingStatus {
    MappingStatus {
        state: MappingState::Active,
        observed_generation,
        conditions: Vec::new(),
        last_processing_result: "No records processed".into(),
        counters: Counters::default(),
    }
}

#[async_trait]
impl Live for FakeLive {
    fn status(&self, _: MappingId) -> MappingStatus {
        active(1)
    }
    fn announce(&self, _: &Mapping) {}
    async fn shards(&self, _: MappingId) -> Vec<ShardInspection> {
        self.shards.lock().unwrap().clone()
    }
    fn status_changes(&self) -> BoxStream<'static, Result<(MappingId, MappingStatus), Lagged>> {
        subscribe(&self.changes).map(|c| c.map_err(|_| Lagged)).boxed()
    }
    async fn invoker(&self, _: &Namespace, function: &FunctionName) -> Result<Arc<dyn Invoker>, String> {
        if self.hangs.load(SeqCst) {
            return Ok(Arc::new(Hangs(self.called.clone())));
        }
        let outcome = self.outcome.lock().unwrap().clone();
        outcome
            .map(|o| Arc::new(Answers(o)) as _)
            .ok_or_else(|| format!("no closure is registered under {function}"))
    }
    fn pool(&self, _: &Namespace, _: &FunctionName) -> PoolStatus {
        PoolStatus::default()
    }
}

struct Answers(Outcome);

#[async_trait]
impl Invoker for Answers {
    fn body(&self) -> Body {
        Body::Json
    }
    async fn invoke(&self, _: Invocation) -> Outcome {
        self.0.clone()
    }
    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }
    async fn close(&self) {}
}

struct Hangs(Arc<Notify>);

#[async_trait]
impl Invoker for Hangs {
    fn body(&self) -> Body {
        Body::Json
    }
    async fn invoke(&self, _: Invocation) -> Outcome {
        self.0.notify_one();
        std::future::pending().await
    }
    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }
    async fn close(&self) {}
}

/// One stream, `orders`, with one shard; and a history.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) records: Mutex<Vec<Record>>,
    pub(crate) disk_full: Mutex<bool>,
    pub(crate) ledger: Mutex<Vec<LedgerEntry>>,
    pub(crate) attempts: Mutex<Vec<QueueAttempt>>,
    pub(crate) discards: Mutex<Vec<Discard>>,
}

pub(crate) const SHARD: &str = "shardId-000000000000";

#[async_trait]
impl Sources for Outside {
    async fn stream(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn StreamSource>, SourceError> {
        if arn.as_str() == ORDERS {
            Ok(Arc::new(Orders))
        } else {
            Err(SourceError::NotFound(arn.to_string()))
        }
    }

    async fn queue(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn QueueSource>, SourceError> {
        match arn.resource_name() {
            "work" | "work.fifo" => Ok(Arc::new(FakeSource(arn.as_str().ends_with(".fifo")))),
            _ => Err(SourceError::NoSuchQueue { arn: arn.to_string() }),
        }
    }
}

struct Orders;

#[async_trait]
impl StreamSource for Orders {
    async fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        Ok(Vec::new())
    }
    async fn pin(&self, _: StartingPosition) -> Result<StartPin, SourceError> {
        Ok(StartPin {
            position: Position::Trim,
            shards: Vec::new(),
        })
    }
    async fn open(&self, _: &ShardId, _: Position) -> Result<Box<dyn ShardReader>, SourceError> {
        Err(SourceError::Unavailable("not here".into()))
    }
    async fn shards_changed(&self) {
        std::future::pending().await
    }
}

/// One function of Lambda, with the alias `live`.
#[async_trait]
impl FindFunction for Outside {
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:bill:live";
        if given != "bill:live" && given != arn {
            return Err(FindError::NotServed(given.to_owned()));
        }
        Ok(FoundFunction {
            arn: arn.into(),
            role: None,
            timeout_ms: 3_000,
        })
    }
}

#[async_trait]
impl Destinations for Outside {
    async fn destination(
        &self,
        _: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        if arn.resource_name() == "dead" {
            return Ok(Arc::new(Dead));
        }
        Err(DeliverError::Refused {
            destination: arn.to_string(),
            why: "no such stream or queue".into(),
        })
    }
}

struct Dead;

#[async_trait]
impl Destination for Dead {
    async fn deliver(&self, _: &durable::OutboxEntry) -> Result<Delivery, DeliverError> {
        Ok(Delivery::Delivered)
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
        _: MappingId,
        after: Option<DiscardId>,
        n: usize,
    ) -> Result<Vec<Discard>, JournalError> {
        let all = self.discards.lock().unwrap();
        Ok(all
            .iter()
            .filter(|d| after.is_none_or(|a| d.id > a))
            .take(n)
            .cloned()
            .collect())
    }
    async fn get(&self, _: &Namespace, id: DiscardId) -> Result<Option<Discard>, JournalError> {
        Ok(self.discards.lock().unwrap().iter().find(|d| d.id == id).cloned())
    }
    async fn delivery(&self, _: DiscardId) -> Result<Option<DeliveryState>, JournalError> {
        Ok(Some(DeliveryState {
            attempts: 2,
            first_attempt: Wall(1_000),
            last_attempt: Wall(5_000),
            error: "down".to_owned(),
            end: None,
        }))
    }
}

impl Outside {
    /// The one stream, or an error for any other.
    fn describe_now(&self, name: &StreamName) -> Result<StreamDescription, StreamError> {
        if name.as_str() != "orders" {
            return Err(StreamError::NotFound(name.clone()));
        }
        let records = self.records.lock().unwrap();
        let info = ShardInfo {
            id: ShardId::new(SHARD).unwrap(),
            parent: None,
            adjacent_parent: None,
            hash_range: (0, u128::MAX),
            closed: None,
        };
        let (oldest, newest) = (
            records.first().map(|r| r.mark.seq),
            records.last().map(|r| r.mark.seq),
        );
        Ok(StreamDescription {
            namespace: Namespace::default(),
            name: name.clone(),
            spec: StreamSpec::default(),
            created: Wall(0),
            revision: 1,
            shards: vec![ShardDescription {
                info,
                oldest,
                newest,
                records: records.len() as u64,
            }],
        })
    }
}

#[async_trait]
impl Streams for Outside {
    async fn create(
        &self,
        _: &Namespace,
        name: &StreamName,
        spec: StreamSpec,
        validate_only: bool,
    ) -> Result<StreamDescription, StreamError> {
        match (name.as_str(), spec.shards) {
            ("orders", 1..) => Err(StreamError::AlreadyExists(name.clone())),
            (_, 1..) if validate_only => Ok(StreamDescription {
                namespace: Namespace::default(),
                name: name.clone(),
                spec,
                created: Wall(0),
                revision: 0,
                shards: Vec::new(),
            }),
            _ => Err(StreamError::Invalid {
                field: "shards",
                value: "0".into(),
                allowed: "1 to 256".into(),
            }),
        }
    }
    async fn describe(&self, _: &Namespace, name: &StreamName) -> Result<StreamDescription, StreamError> {
        self.describe_now(name)
    }
    async fn list(
        &self,
        _: &Namespace,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamDescription>, StreamError> {
        let orders = self.describe_now(&StreamName::new("orders").unwrap())?;
        let named = |n: usize| StreamDescription {
            name: StreamName::new(format!("s{n}")).unwrap(),
            ..orders.clone()
        };
        let all = (1..=3).map(named);
        Ok(all
            .filter(|s| after.is_none_or(|a| s.name > *a))
            .take(limit)
            .collect())
    }
    async fn set(
        &self,
        _: &Namespace,
        name: &StreamName,
        change: StreamChange,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<StreamDescription, StreamError> {
        let now = self.describe_now(name)?;
        if let Some(expected) = expected.filter(|e| *e != now.revision) {
            return Err(StreamError::Conflict {
                stream: name.clone(),
                expected,
                actual: now.revision,
            });
        }
        Ok(StreamDescription {
            spec: change.apply(&now.spec),
            revision: if validate_only { now.revision } else { 2 },
            ..now
        })
    }
    async fn delete(&self, _: &Namespace, name: &StreamName, _: Option<u64>) -> Result<(), StreamError> {
        self.describe_now(name).map(drop)
    }
    async fn split(
        &self,
        _: &Namespace,
        name: &StreamName,
        _: &ShardId,
        _: Option<u128>,
    ) -> Result<StreamDescription, StreamError> {
        self.describe_now(name)
    }
    async fn merge(
        &self,
        _: &Namespace,
        _: &StreamName,
        _: &ShardId,
        _: &ShardId,
    ) -> Result<StreamDescription, StreamError> {
        Err(StreamError::Precondition(
            "the ranges of the shards do not touch".into(),
        ))
    }
    async fn put(
        &self,
        _: &Namespace,
        _: &StreamName,
        entries: Vec<PutEntry>,
    ) -> Result<Vec<Result<PutReceipt, PutError>>, StreamError> {
        if *self.disk_full.lock().unwrap() {
            return Err(StreamError::DiskFull { free: 1, floor: 2 });
        }
        let mut records = self.records.lock().unwrap();
        let mut put = |e: PutEntry| {
            let seq = Seq::from_u128(records.len() as u128 + 1);
            let (partition_key, data, trace) = (Bytes::from(e.partition_key), e.data, e.trace);
            records.push(Record {
                mark: Mark::of(seq),
                arrival: Wall(1_000),
                partition_key,
                data,
                trace,
            });
            Ok(PutReceipt {
                shard: ShardId::new(SHARD).unwrap(),
                seq,
            })
        };
        Ok(entries.into_iter().map(&mut put).collect())
    }
    async fn read_page(
        &self,
        _: &Namespace,
        _: &StreamName,
        _: &ShardId,
        from: Position,
        limit: usize,
    ) -> Result<(Vec<ReadRecord>, Position), StreamError> {
        let records = self.records.lock().unwrap();
        let wanted = |r: &&Record| match from {
            Position::Trim | Position::Timestamp(_) => true,
            Position::At(m) => r.mark >= m,
            Position::After(m) => r.mark > m,
            Position::End => false,
        };
        let found: Vec<_> = records.iter().filter(wanted).take(limit).cloned().collect();
        let next = found.last().map_or(from, |r| Position::After(r.mark));
        Ok((found, next))
    }
}
