//! The server: composes engine and front door, and stops them in order.
//!
//! Stages of a stop, under one deadline: the front doors say NOT_SERVING, end watches and refuse new calls;
//! running invocations end and their progress is stored; function processes end; the database closes; the last spans
//! are exported, within a deadline of their own. The operations port answers until then. A second signal ends the
//! process at once, as a crash would: nothing acknowledged is lost.

mod logging;
mod notify;
mod ops;
mod signals;

use crate::config::ServerConfig;
use millstream::{Assembly, AssemblyOptions, InProcess, Shutdown, StartError};
use millstream_control::aws::{AccessKeys, AwsOptions, AwsServeError, AwsServer};
use millstream_control::ops::OpsError;
use millstream_control::{BoundServer, ControlOptions, ControlServices, ServeError, serve};
use millstream_telemetry::export::{ExportError, Exporter};
use ops::Operations;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time that calls may take to finish after the stop began, whatever the drain timeout.
const CALLS_DRAIN: Duration = Duration::from_secs(10);
/// Longest time that the last spans may take to be exported.
const SPANS_DRAIN: Duration = Duration::from_secs(3);
/// What tests set to make the engine fail at named places.
const FAILPOINTS: &str = "MILLSTREAM_FAILPOINTS";

/// Why the server did not run, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The runtime or the signal handlers cannot be made.
    #[error("the server's runtime cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The front door did not open.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The AWS API did not open.
    #[error("AWS API: {0}")]
    Aws(#[from] AwsServeError),
    /// The keys of the AWS API cannot be read.
    #[error("{0}")]
    AwsKeys(String),
    /// The operations port did not open.
    #[error("operations port: {0}")]
    Ops(#[from] OpsError),
    /// Spans cannot be exported as the environment asks.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Fail points were set that cannot be.
    #[error("{FAILPOINTS}: {0}")]
    Failpoints(String),
}

/// How the server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Everything that ran has ended and is stored.
    Drained,
    /// The drain deadline passed; what still ran will be tried again by the next start.
    Deadline,
}

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listening {
    /// The gRPC API.
    pub(crate) grpc: SocketAddr,
    /// The AWS-compatible API, unless switched off.
    pub(crate) aws: Option<SocketAddr>,
    /// Probes and metrics, unless switched off.
    pub(crate) ops: Option<SocketAddr>,
}

/// What goes on in the server's process besides.
pub(crate) struct Beside<F> {
    /// Where log lines go besides standard error.
    pub(crate) log: Option<logging::Log>,
    /// Called once every mapping has been taken up and calls are served. When what it returns ends, the server stops;
    /// when the server stops, it is dropped.
    pub(crate) task: F,
}

/// Runs until a signal or the end of the task beside it stops it; with what that task ended with, if it did.
///
/// # Errors
/// Any [`RunError`].
pub(crate) fn run<T, G>(
    config: &ServerConfig,
    beside: Beside<T>,
) -> Result<(Stopped, Option<G::Output>), RunError>
where
    T: FnOnce(Listening) -> G,
    G: Future,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exporter = {
        let _runtime = runtime.enter();
        Exporter::start(&config.traces, env!("CARGO_PKG_VERSION"))?.map(Arc::new)
    };
    logging::init(config, exporter.as_deref(), beside.log);
    if let Ok(text) = std::env::var(FAILPOINTS) {
        millstream::failpoint::configure(&text).map_err(RunError::Failpoints)?;
    }
    let ended = runtime.block_on(serve_until_stopped(config, exporter.clone(), beside.task));
    if let Some(exporter) = exporter {
        exporter.shutdown(SPANS_DRAIN);
    }
    // Blocking tasks may still hang on a dead disk; nothing durable depends on them.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn serve_until_stopped<G: Future>(
    config: &ServerConfig,
    exporter: Option<Arc<Exporter>>,
    task: impl FnOnce(Listening) -> G,
) -> Result<(Stopped, Option<G::Output>), RunError> {
    let stop = signals::watch()?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, data_dir = %config.data_dir.display(), pid = std::process::id(), "starting");
    config
        .traces
        .unused
        .iter()
        .for_each(|unused| tracing::warn!("{unused}"));
    let aws_keys = config.aws_keys.load().map_err(RunError::AwsKeys)?;
    let operations = Operations::start(config, exporter)?;
    let assembly = Assembly::start(assembly_options(config), Arc::new(InProcess::new())).await?;
    operations.watch(&assembly, config);
    let closing = CancellationToken::new();
    let (server, aws) = match open_doors(config, &assembly, aws_keys, &closing).await {
        Ok(doors) => doors,
        Err(e) => {
            closing.cancel();
            assembly.drain(config.drain_timeout).await;
            return Err(e);
        }
    };
    let listening = Listening {
        grpc: server.local_addr(),
        aws: aws.as_ref().map(AwsServer::local_addr),
        ops: operations.local_addr(),
    };
    let shown = |addr: Option<SocketAddr>| addr.map(tracing::field::display);
    tracing::info!(grpc = %listening.grpc, aws = shown(listening.aws), ops = shown(listening.ops), "ready");
    operations.probes.ready();
    let mut task = Box::pin(task(listening));
    notify::tell(notify::State::Ready);
    let mut served = tokio::spawn(server.stopped());
    let (ended, result) = tokio::select! {
        result = &mut task => (None, Some(result)),
        signal = stop => {
            tracing::info!(signal = ?signal.ok(), "stopping; a second signal ends at once");
            (None, None)
        }
        ended = &mut served => {
            tracing::error!("the gRPC server ended by itself; stopping");
            (Some(flat(ended)), None)
        }
    };
    drop(task);
    operations.probes.draining();
    notify::tell(notify::State::Stopping);
    closing.cancel();
    let calls = async {
        if let Some(aws) = aws {
            aws.stopped().await;
        }
        match ended {
            Some(ended) => ended,
            None => flat(served.await),
        }
    };
    let (served, drained) = tokio::join!(calls, assembly.drain(config.drain_timeout));
    served?;
    Ok((tell(drained, config), result))
}

/// The front door's end, whether it failed or its task did.
fn flat(ended: Result<Result<(), ServeError>, tokio::task::JoinError>) -> Result<(), ServeError> {
    ended.map_err(ServeError::from)?
}

fn assembly_options(config: &ServerConfig) -> AssemblyOptions {
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut options = AssemblyOptions::new(&config.data_dir);
    options.byte_budget = bytes(config.byte_budget);
    options.free_floor_bytes = config.free_floor;
    options.block_cache_bytes = bytes(config.block_cache);
    options.write_buffer_bytes = bytes(config.write_buffer);
    options.http.reach = config.http_targets;
    options.http.ca_file.clone_from(&config.http_ca_file);
    #[cfg(feature = "aws")]
    options.connections.clone_from(&config.connections);
    options
}

async fn open_doors(
    config: &ServerConfig,
    assembly: &Assembly,
    keys: AccessKeys,
    closing: &CancellationToken,
) -> Result<(BoundServer, Option<AwsServer>), RunError> {
    let server = open_grpc(config, assembly, closing.clone()).await?;
    let Some(addr) = config.aws_addr else {
        return Ok((server, None));
    };
    let options = AwsOptions {
        addr,
        hosts: config.aws_hosts.clone(),
        keys,
        drain: config.drain_timeout.min(CALLS_DRAIN),
    };
    let aws = AwsServer::start(options, assembly.manager(), closing.clone()).await?;
    Ok((server, Some(aws)))
}

async fn open_grpc(
    config: &ServerConfig,
    assembly: &Assembly,
    closing: CancellationToken,
) -> Result<BoundServer, ServeError> {
    let mut options = ControlOptions::new(config.grpc_addr);
    options.drain = config.drain_timeout.min(CALLS_DRAIN);
    let services = ControlServices {
        manager: assembly.manager(),
        streams: assembly.streams(),
        queues: assembly.queues(),
    };
    serve(options, services, closing).await
}

fn tell(drained: Shutdown, config: &ServerConfig) -> Stopped {
    match drained {
        Shutdown::Drained => {
            tracing::info!("stopped; everything that ran has ended and is stored");
            Stopped::Drained
        }
        Shutdown::Forced => {
            tracing::warn!(
                drain_timeout = ?config.drain_timeout,
                "stopped at the deadline; what still ran is tried again by the next start"
            );
            Stopped::Deadline
        }
    }
}
