//! Binding, serving, and stopping in order: not ready, watches end, calls finish, a deadline for all of it.

use crate::guard::{Guard, Limits};
use crate::{ControlServices, incoming, services};
use millstream_api::{FILE_DESCRIPTOR_SET, v1};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// The services whose health is told, besides the server's own (the empty name).
const SERVICES: [&str; 6] = [
    v1::mapping_service_server::SERVICE_NAME,
    v1::function_service_server::SERVICE_NAME,
    v1::stream_service_server::SERVICE_NAME,
    v1::queue_service_server::SERVICE_NAME,
    v1::ledger_service_server::SERVICE_NAME,
    v1::discard_service_server::SERVICE_NAME,
];

/// How to serve.
#[derive(Clone, Debug)]
pub struct ControlOptions {
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub addr: SocketAddr,
    /// How much to take on at once.
    pub limits: Limits,
    /// How long calls may take to finish after the shutdown began; what runs then is cut off. Default 10 s.
    pub drain: Duration,
}

impl ControlOptions {
    /// The defaults for this address.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            limits: Limits::default(),
            drain: Duration::from_secs(10),
        }
    }
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from outside.
    #[error(
        "{0} is not a loopback address: this API has no authentication yet, so it is served on this machine only; \
         use 127.0.0.1 or [::1], and a tunnel to reach it from elsewhere"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The descriptors for reflection are damaged: a fault of the build.
    #[error("the API's descriptors cannot be read: {0}")]
    Reflection(String),
    /// The server ended by an error.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The server's task ended by a panic.
    #[error("the gRPC server ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A server that listens. It runs until the token it was given is cancelled, whether or not this is kept.
#[derive(Debug)]
#[must_use = "wait for it to stop, so that calls can finish"]
pub struct BoundServer {
    addr: SocketAddr,
    task: JoinHandle<Result<(), ServeError>>,
}

impl BoundServer {
    /// Where it listens, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resolves when it has stopped: after the token was cancelled and calls have finished or were cut off.
    ///
    /// # Errors
    /// [`ServeError::Transport`] or [`ServeError::Task`], if it stopped by itself.
    pub async fn stopped(self) -> Result<(), ServeError> {
        self.task.await?
    }
}

/// Listens, and then serves until `shutdown` is cancelled.
///
/// # Errors
/// [`ServeError::NotLoopback`] or [`ServeError::Bind`]; then nothing was started.
pub async fn serve(
    options: ControlOptions,
    services: ControlServices,
    shutdown: CancellationToken,
) -> Result<BoundServer, ServeError> {
    let ControlOptions { addr, limits, drain } = options;
    if !addr.ip().is_loopback() {
        return Err(ServeError::NotLoopback(addr));
    }
    let bind = |source| ServeError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;

    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, true).await;
    let routes = add_reflection(services::routes(services).add_service(health_service))?;
    let (ending, cut) = (CancellationToken::new(), CancellationToken::new());
    let guard = Guard::new(routes.prepare(), &limits, ending.clone());
    let connections = incoming::connections(listener, limits.connections, cut.clone());
    let stopping = shutdown.clone();
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .serve_with_incoming_shutdown(guard, connections, async move {
            stopping.cancelled().await;
            // In this order, so that whoever watches health is told why its watch ends.
            set_health(&health, false).await;
            ending.cancel();
        });
    let task = tokio::spawn(run(server, shutdown, drain, cut));
    Ok(BoundServer { addr: local, task })
}

/// Runs the server; when it does not stop within `drain` of the shutdown, cuts its connections.
async fn run(
    server: impl Future<Output = Result<(), tonic::transport::Error>>,
    shutdown: CancellationToken,
    drain: Duration,
    cut: CancellationToken,
) -> Result<(), ServeError> {
    let mut server = std::pin::pin!(server);
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = overdue => tracing::warn!(?drain, "gRPC calls did not finish in time and are cut off"),
    }
    cut.cancel();
    Ok(server.await?)
}

async fn set_health(reporter: &HealthReporter, serving: bool) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    for name in SERVICES.into_iter().chain([""]) {
        reporter
            .set_service_status(name, if serving { Serving } else { NotServing })
            .await;
    }
}

/// Both versions of reflection: older clients know only `v1alpha`.
fn add_reflection(routes: Routes) -> Result<Routes, ServeError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let failed = |e: tonic_reflection::server::Error| ServeError::Reflection(e.to_string());
    let v1 = builder().build_v1().map_err(failed)?;
    let v1alpha = builder().build_v1alpha().map_err(failed)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}
