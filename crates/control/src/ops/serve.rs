//! Listening, serving, and stopping.

use super::connection::{self, Services};
use super::{MetricsSource, Probes};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long to wait when the system refuses a connection, e.g. because it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers may take to finish when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How to serve.
#[derive(Clone, Copy, Debug)]
pub struct OpsOptions {
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub addr: SocketAddr,
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The address can be reached from outside.
    #[error(
        "{0} is not a loopback address: the operations port has no authentication yet, so it is served on this machine \
         only; use 127.0.0.1 or [::1]"
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
    /// Its thread cannot be started.
    #[error("the operations port's thread cannot be started: {0}")]
    Thread(io::Error),
}

/// A server that listens. It stops when this is dropped.
#[derive(Debug)]
pub struct OpsServer {
    addr: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl OpsServer {
    /// Listens and serves.
    ///
    /// # Errors
    /// Any [`OpsError`]; then nothing was started.
    pub fn start(
        options: OpsOptions,
        probes: Probes,
        metrics: Arc<dyn MetricsSource>,
    ) -> Result<Self, OpsError> {
        let addr = options.addr;
        if !addr.ip().is_loopback() {
            return Err(OpsError::NotLoopback(addr));
        }
        let bind = |source| OpsError::Bind { addr, source };
        let listener = std::net::TcpListener::bind(addr).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let local = listener.local_addr().map_err(bind)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(OpsError::Thread)?;
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(bind)?;
        drop(entered);
        let stop = CancellationToken::new();
        let (services, stopped) = (Arc::new(Services { probes, metrics }), stop.clone());
        let thread = std::thread::Builder::new()
            .name("operations".to_owned())
            .spawn(move || run(runtime, listener, &services, &stopped))
            .map_err(OpsError::Thread)?;
        Ok(Self {
            addr: local,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for OpsServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the operations port's thread panicked");
        }
    }
}

fn run(runtime: Runtime, listener: TcpListener, services: &Arc<Services>, stop: &CancellationToken) {
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept(&listener, services, &mut connections, stop) => {}
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, ended).await;
    });
    runtime.shutdown_timeout(Duration::ZERO);
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
                tracing::warn!(%error, "a connection to the operations port could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}
