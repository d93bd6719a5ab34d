//! The difference between what is declared and what is there, made to vanish.

use crate::assembly::Assembly;
use crate::error::StartError;
use crate::mapping::MappingSettings;
use millstream_engine::manage::{
    FunctionPatch, ManageError, Manager, MappingPatch, NewFunction, NewMapping, TargetPatch,
};
use millstream_ports::{QueueError, Queues, StreamChange, StreamError, Streams};
use millstream_types::ids::InvalidName;
use millstream_types::{
    Applied, FunctionName, FunctionSpec, MappingName, MappingSpec, Namespace, QueueName, QueueSpec,
    StreamName, StreamSpec, Tags, Target,
};
use std::time::Duration;

/// Limits of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionSettings {
    /// Longest run of one invocation, 1 ms to 900 s; default 3 s. A closure's future is dropped then, and a
    /// server's connection closed.
    pub timeout: Duration,
    /// Most invocations at once, 1 to 1,000; default 10.
    pub concurrency: u32,
}

impl Default for FunctionSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            concurrency: 10,
        }
    }
}

/// What there is to be, with names checked.
pub(crate) struct Declared {
    pub(crate) namespace: Namespace,
    functions: Vec<(FunctionName, FunctionSpec)>,
    streams: Vec<(StreamName, StreamSpec)>,
    queues: Vec<(QueueName, Option<QueueSpec>)>,
    mappings: Vec<(MappingName, MappingSpec)>,
}

/// The name, or none with the problem noted.
pub(crate) fn checked<T>(name: Result<T, InvalidName>, problems: &mut Vec<String>) -> Option<T> {
    name.map_err(|e| problems.push(e.to_string())).ok()
}

fn unique<T: PartialEq + std::fmt::Display, S>(
    what: &str,
    name: &T,
    there: &[(T, S)],
    problems: &mut Vec<String>,
) -> bool {
    let unique = there.iter().all(|(n, _)| n != name);
    if !unique {
        problems.push(format!("{what} {name} is declared twice"));
    }
    unique
}

impl Declared {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            functions: Vec::new(),
            streams: Vec::new(),
            queues: Vec::new(),
            mappings: Vec::new(),
        }
    }

    pub(crate) fn function(
        &mut self,
        name: &str,
        target: Target,
        settings: FunctionSettings,
        problems: &mut Vec<String>,
    ) -> Option<FunctionName> {
        let name = checked(FunctionName::new(name), problems)?;
        let spec = FunctionSpec {
            target,
            timeout_ms: u32::try_from(settings.timeout.as_millis()).unwrap_or(u32::MAX),
            concurrency: settings.concurrency,
        };
        unique("function", &name, &self.functions, problems)
            .then(|| self.functions.push((name.clone(), spec)))?;
        Some(name)
    }

    pub(crate) fn stream(&mut self, name: &str, spec: StreamSpec, problems: &mut Vec<String>) {
        let Some(name) = checked(StreamName::new(name), problems) else {
            return;
        };
        if unique("stream", &name, &self.streams, problems) {
            self.streams.push((name, spec));
        }
    }

    /// Without settings: the defaults, and what exists stays as it is.
    pub(crate) fn queue(&mut self, name: &str, spec: Option<QueueSpec>, problems: &mut Vec<String>) {
        let Some(name) = checked(QueueName::new(name), problems) else {
            return;
        };
        if unique("queue", &name, &self.queues, problems) {
            self.queues.push((name, spec));
        }
    }

    pub(crate) fn mapping(&mut self, name: &str, settings: &MappingSettings, problems: &mut Vec<String>) {
        let spec = settings.spec(name, problems);
        let Some(name) = checked(MappingName::new(name), problems) else {
            return;
        };
        if unique("mapping", &name, &self.mappings, problems) {
            self.mappings.extend(spec.map(|spec| (name, spec)));
        }
    }

    /// Makes what is missing and changes what differs: first what mappings need, then the mappings.
    pub(crate) async fn apply(&self, assembly: &Assembly) -> Result<(), StartError> {
        let (manager, streams) = (assembly.manager(), assembly.streams());
        for (name, spec) in &self.streams {
            let made = stream(&*streams, &self.namespace, name, spec).await;
            made.map_err(|source| StartError::Stream {
                name: name.to_string(),
                source,
            })?;
        }
        let queues = assembly.queues();
        for (name, spec) in &self.queues {
            let made = queue(&*queues, &self.namespace, name, spec.as_ref()).await;
            made.map_err(|source| StartError::Queue {
                name: name.to_string(),
                source,
            })?;
        }
        for (name, spec) in &self.functions {
            let made = function(&manager, &self.namespace, name, spec).await;
            made.map_err(|source| StartError::Function {
                name: name.to_string(),
                source,
            })?;
        }
        for (name, spec) in &self.mappings {
            let made = mapping(&manager, &self.namespace, name, spec).await;
            made.map_err(|source| StartError::Mapping {
                name: name.to_string(),
                source,
            })?;
        }
        Ok(())
    }
}

async fn stream(
    streams: &dyn Streams,
    namespace: &Namespace,
    name: &StreamName,
    spec: &StreamSpec,
) -> Result<(), StreamError> {
    match streams.describe(namespace, name).await {
        Err(StreamError::NotFound(_)) => streams
            .create(namespace, name, spec.clone(), false)
            .await
            .map(drop),
        Ok(_) => {
            let change = StreamChange {
                retention_hours: Some(spec.retention_hours),
                applied: None,
            };
            streams.set(namespace, name, change, None, false).await.map(drop)
        }
        Err(e) => Err(e),
    }
}

async fn queue(
    queues: &dyn Queues,
    namespace: &Namespace,
    name: &QueueName,
    spec: Option<&QueueSpec>,
) -> Result<(), QueueError> {
    match (queues.describe(namespace, name).await, spec) {
        (Err(QueueError::NotFound(_)), spec) => {
            let spec = spec.cloned().unwrap_or_default();
            queues.create(namespace, name, spec, false).await.map(drop)
        }
        (Ok(found), Some(spec)) if found.spec != *spec => queues
            .set(namespace, name, spec.clone(), None, false)
            .await
            .map(drop),
        (found, _) => found.map(drop),
    }
}

async fn function(
    manager: &Manager,
    namespace: &Namespace,
    name: &FunctionName,
    spec: &FunctionSpec,
) -> Result<(), ManageError> {
    let patch = FunctionPatch {
        target: Some(TargetPatch::Replace(spec.target.clone())),
        timeout_ms: Some(spec.timeout_ms),
        concurrency: Some(spec.concurrency),
        applied: None,
        tags: None,
    };
    match manager
        .update_function(namespace, name, &patch, None, false)
        .await
    {
        Err(ManageError::NotFound { .. }) => {
            let (namespace, name, spec) = (namespace.clone(), name.clone(), spec.clone());
            manager
                .create_function(
                    NewFunction {
                        namespace,
                        name,
                        spec,
                        request_id: None,
                        applied: Applied::default(),
                        tags: Tags::default(),
                    },
                    false,
                )
                .await
                .map(drop)
        }
        updated => updated.map(drop),
    }
}

async fn mapping(
    manager: &Manager,
    namespace: &Namespace,
    name: &MappingName,
    spec: &MappingSpec,
) -> Result<(), ManageError> {
    match manager
        .update_mapping(namespace, name, &patch(spec), None, false)
        .await
    {
        Err(ManageError::NotFound { .. }) => {
            let new = NewMapping {
                namespace: namespace.clone(),
                name: Some(name.clone()),
                spec: spec.clone(),
                request_id: None,
                paused: false,
                applied: Applied::default(),
                tags: Tags::default(),
            };
            manager.create_mapping(new, false).await.map(drop)
        }
        updated => updated.map(drop),
    }
}

/// Every setting, but for the start: one that exists goes on where it stood.
fn patch(spec: &MappingSpec) -> MappingPatch {
    MappingPatch {
        source: Some(spec.source.clone()),
        starting_position: None,
        function: Some(spec.function.clone()),
        batch_size: Some(Some(spec.batch_size)),
        batching_window_seconds: Some(spec.batching_window_seconds),
        parallelization_factor: Some(spec.parallelization_factor),
        bisect_on_error: Some(spec.bisect_on_error),
        max_retry_attempts: Some(spec.max_retry_attempts),
        max_record_age_seconds: Some(spec.max_record_age_seconds),
        report_batch_item_failures: Some(spec.report_batch_item_failures),
        on_failure: Some(spec.on_failure.clone()),
        maximum_concurrency: Some(spec.maximum_concurrency),
        tumbling_window_seconds: Some(spec.tumbling_window_seconds),
        filters: Some(spec.filter_criteria.filters.clone()),
        extended_filters: Some(spec.filter_criteria.extended),
        on_unmatched: Some(spec.filter_criteria.on_unmatched),
        provisioned_pollers: Some(spec.provisioned_pollers),
        event_count_metrics: Some(spec.event_count_metrics),
        paused: None,
        applied: None,
        tags: None,
    }
}
