//! The scene: two streams, two functions, and two independent mappings of the same stream.

use crate::client::{Client, NAMESPACE};
use crate::error::DemoError;
use millstream_api::v1;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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

/// A function: how it is started, and where it writes.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) working_dir: PathBuf,
}

/// Makes everything on a server that has nothing yet. `out` is where the functions write, `thrown` where they
/// remember what they threw for.
pub(crate) async fn set(
    client: &Client,
    functions: &[Function],
    out: &Path,
    thrown: &Path,
) -> Result<(), DemoError> {
    let source = create_stream(client, FLIGHTS, SHARDS).await?;
    let failures = create_stream(client, FAILURES, 1).await?;
    for function in functions {
        create_function(client, function, out, thrown).await?;
        create_mapping(client, function.name, &source.arn, &failures.arn).await?;
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

async fn create_function(
    client: &Client,
    function: &Function,
    out: &Path,
    thrown: &Path,
) -> Result<(), DemoError> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let process = v1::ProcessTarget {
        command: function.command.clone(),
        working_dir: text(&function.working_dir),
        env: HashMap::from([
            ("DELAYS_OUT_DIR".to_owned(), text(out)),
            ("DELAYS_THROW_DIR".to_owned(), text(thrown)),
        ]),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: function.name.to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(process)),
            concurrency: Some(SHARDS * FACTOR), // a process for every lane: nothing is ever throttled
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = client.functions.clone().create_function(request).await;
    answer.map(|_| ()).map_err(DemoError::call("CreateFunction"))
}

async fn create_mapping(
    client: &Client,
    function: &str,
    source: &str,
    failures: &str,
) -> Result<(), DemoError> {
    let request = v1::CreateMappingRequest {
        parent: NAMESPACE.to_owned(),
        mapping_id: function.to_owned(),
        mapping: Some(mapping(function, source, failures)),
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
