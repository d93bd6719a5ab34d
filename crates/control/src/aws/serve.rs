//! Listening, serving, and stopping.

use super::connection;
use super::keys::AccessKeys;
use millstream_engine::manage::Manager;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// Invocations at once; their payloads have up to 6 MiB.
const INVOCATIONS: usize = 32;
/// How long to wait when the system refuses a connection, e.g. because it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How to serve.
#[derive(Clone, Debug)]
pub struct AwsOptions {
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub addr: SocketAddr,
    /// Names by which requests may call this server in their header `Host`, besides those of loopback.
    pub hosts: Vec<String>,
    /// The keys that requests must be signed with; none: signatures are not looked at.
    pub keys: AccessKeys,
    /// How long calls may take to finish after the shutdown began; what runs then is cut off.
    pub drain: Duration,
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum AwsServeError {
    /// The address can be reached from outside.
    #[error(
        "{0} is not a loopback address: the AWS API has no TLS, so it is served on this machine only; use 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What connections are served with.
pub(super) struct Services {
    pub(super) manager: Manager,
    pub(super) hosts: Vec<String>,
    pub(super) keys: AccessKeys,
    pub(super) invocations: Semaphore,
}

/// A server that listens. It runs until the token it was given is cancelled, whether or not this is kept.
#[derive(Debug)]
#[must_use = "wait for it to stop, so that calls can finish"]
pub struct AwsServer {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl AwsServer {
    /// Listens, and then serves until `shutdown` is cancelled.
    ///
    /// # Errors
    /// Any [`AwsServeError`]; then nothing was started.
    pub async fn start(
        options: AwsOptions,
        manager: Manager,
        shutdown: CancellationToken,
    ) -> Result<Self, AwsServeError> {
        let AwsOptions {
            addr,
            hosts,
            keys,
            drain,
        } = options;
        if !addr.ip().is_loopback() {
            return Err(AwsServeError::NotLoopback(addr));
        }
        let bind = |source| AwsServeError::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(bind)?;
        let local = listener.local_addr().map_err(bind)?;
        let services = Arc::new(Services {
            manager,
            hosts,
            keys,
            invocations: Semaphore::new(INVOCATIONS),
        });
        let task = tokio::spawn(run(listener, services, shutdown, drain));
        Ok(Self { addr: local, task })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resolves when it has stopped: after the token was cancelled and calls have finished or were cut off.
    pub async fn stopped(self) {
        if self.task.await.is_err() {
            tracing::error!("the AWS API's task panicked");
        }
    }
}

async fn run(listener: TcpListener, services: Arc<Services>, stop: CancellationToken, drain: Duration) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept(&listener, &services, &mut connections, &stop) => {}
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, ended).await.is_err() {
        tracing::warn!(
            ?drain,
            "calls of the AWS API did not finish in time and are cut off"
        );
    }
}

async fn accept(
    listener: &TcpListener,
    services: &Arc<Services>,
    connections: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let (services, stop) = (services.clone(), stop.clone());
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(async move {
                connection::serve(stream, services, stop).await;
                drop(permit);
            })),
            Err(error) => {
                tracing::warn!(%error, "a connection to the AWS API could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}
