//! The scene: two streams, two functions, and two independent mappings of the same stream; and two queues, each with a
//! function and a mapping of its own.

use crate::client::{Client, NAMESPACE};
use crate::error::DemoError;
use crate::queue::{self, QUEUES};
use millstream_api::v1;
use std::path::PathBuf;

/// The stream of flights.
pub(crate) const FLIGHTS: &str = "flights";

/// The stream that takes the documents about records the functions refused.
pub(crate) const FAILURES: &str = "failed-flights";

/// The names of the functions, and of the mappings that call them.
pub(crate) const FUNCTIONS: [&str; 2] = ["rust-delays", "python-delays"];

/// Shards of the stream of flights.
const SHARDS: i32 = 4;

/// Lanes per shard.
const FACTOR: i32 = 4;

/// A function: how it is started, and what it is told in its environment.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) working_dir: PathBuf,
    pub(crate) env: Vec<(&'static str, String)>,
}

/// Makes everything on a server that has nothing yet: `functions` for the stream, `of_queues` for the queues.
pub(crate) async fn set(
    client: &Client,
    functions: &[Function],
    of_queues: &[Function; QUEUES.len()],
) -> Result<(), DemoError> {
    let source = create_stream(client, FLIGHTS, SHARDS).await?;
    let failures = create_stream(client, FAILURES, 1).await?;
    for function in functions {
        // A process for every lane: nothing is ever throttled.
        create_function(client, function, SHARDS * FACTOR, None).await?;
        let mapping = mapping(function.name, &source.arn, &failures.arn);
        create_mapping(client, function.name, mapping).await?;
    }
    for (scene, function) in QUEUES.iter().zip(of_queues) {
        queue::scene::set(client, scene, function).await?;
    }
    Ok(())
}

async fn create_stream(client: &Client, id: &str, shards: i32) -> Result<v1::Stream, DemoError> {
    let request = v1::CreateStreamRequest {
        parent: NAMESPACE.to_owned(),
        stream_id: id.to_owned(),
        stream: Some(v1::Stream {
            shard_count: Some(shards),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = client.streams.clone().create_stream(request).await;
    Ok(answer.map_err(DemoError::call("CreateStream"))?.into_inner())
}

/// Registers a function with at most `concurrency` processes.
pub(crate) async fn create_function(
    client: &Client,
    function: &Function,
    concurrency: i32,
    timeout: Option<prost_types::Duration>,
) -> Result<(), DemoError> {
    let env = function.env.iter();
    let process = v1::ProcessTarget {
        command: function.command.clone(),
        working_dir: function.working_dir.to_string_lossy().into_owned(),
        env: env
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: function.name.to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(process)),
            concurrency: Some(concurrency),
            timeout,
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = client.functions.clone().create_function(request).await;
    answer.map(|_| ()).map_err(DemoError::call("CreateFunction"))
}

/// Creates a mapping, which starts it.
pub(crate) async fn create_mapping(client: &Client, id: &str, mapping: v1::Mapping) -> Result<(), DemoError> {
    let request = v1::CreateMappingRequest {
        parent: NAMESPACE.to_owned(),
        mapping_id: id.to_owned(),
        mapping: Some(mapping),
        ..Default::default()
    };
    let answer = client.mappings.clone().create_mapping(request).await;
    answer.map(|_| ()).map_err(DemoError::call("CreateMapping"))
}

/// Bisect and partial responses find each refused flight; without retries it is given up at once.
fn mapping(function: &str, source: &str, failures: &str) -> v1::Mapping {
    v1::Mapping {
        source_arn: source.to_owned(),
        function: function.to_owned(),
        starting_position: v1::StartingPosition::TrimHorizon.into(),
        batch_size: Some(100),
        parallelization_factor: Some(FACTOR),
        bisect_batch_on_function_error: Some(true),
        maximum_retry_attempts: Some(0),
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        destination_config: Some(v1::DestinationConfig {
            on_failure: Some(v1::OnFailure {
                destination: failures.to_owned(),
            }),
        }),
        ..Default::default()
    }
}
