//! The server under demonstration: the built binary as a child process that is started, killed and started again.

use crate::client::{Client, NAMESPACE};
use crate::error::DemoError;
use millstream_api::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a server may take to stop when asked.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A server, running or not. Dropping it kills the process, unless it was told to [`Server::keep`] it.
#[derive(Debug)]
pub(crate) struct Server {
    binary: PathBuf,
    data_dir: PathBuf,
    log: PathBuf,
    pub(crate) address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// A server on a free port of the loopback interface, not yet started. Everything it writes is below `dir`.
    pub(crate) fn new(binary: PathBuf, dir: &Path) -> Result<Self, DemoError> {
        // Taken and given back: the server binds it again in a moment, and once more after the crash.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = free.map_err(DemoError::file("a free port on 127.0.0.1"))?;
        Ok(Self {
            binary,
            data_dir: dir.join("data"),
            log: dir.join("server.log"),
            address,
            child: None,
        })
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn start(&mut self, client: &Client) -> Result<Duration, DemoError> {
        let began = Instant::now();
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(DemoError::file(&self.log))?;
        let errors = log.try_clone().map_err(DemoError::file(&self.log))?;
        let child = Command::new(&self.binary)
            .arg("server")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--grpc-addr", &self.address.to_string()])
            .args(["--ops-addr", "127.0.0.1:0", "--aws-addr", "off"])
            .stdout(log)
            .stderr(errors)
            .process_group(0) // Ctrl-C is ours to handle: it must not reach the server before we do
            .spawn()
            .map_err(DemoError::file(&self.binary))?;
        self.child = Some(child);
        while !answers(client).await {
            if let Some(status) = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten())
            {
                return Err(self.failure(format!("ended at once ({status})")));
            }
            if began.elapsed() > START_LIMIT {
                return Err(self.failure(format!("did not answer within {} s", START_LIMIT.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(began.elapsed())
    }

    /// `kill -9`, and waits until the process is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), DemoError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        child
            .kill()
            .await
            .map_err(|error| self.failure(format!("could not be killed ({error})")))
    }

    /// Asks the process to stop and waits until it has.
    pub(crate) async fn stop(&mut self) -> Result<ExitStatus, DemoError> {
        let Some(mut child) = self.child.take() else {
            return Err(self.failure("does not run".to_owned()));
        };
        if let Some(pid) = child.id() {
            let pid = Pid::from_raw(pid.cast_signed());
            kill(pid, Signal::SIGTERM).map_err(|error| self.failure(format!("took no signal ({error})")))?;
        }
        let Ok(status) = tokio::time::timeout(STOP_LIMIT, child.wait()).await else {
            self.child = Some(child);
            return Err(self.failure(format!(
                "did not stop within {} s of SIGTERM",
                STOP_LIMIT.as_secs()
            )));
        };
        status.map_err(|error| self.failure(format!("could not be waited for ({error})")))
    }

    /// Leaves the process running beyond the life of this program; its id.
    pub(crate) fn keep(&mut self) -> Option<u32> {
        self.child.take().and_then(|child| child.id())
    }

    fn failure(&self, what: String) -> DemoError {
        DemoError::Server {
            what,
            log: self.log.clone(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is as good.
            let _ = child.start_kill();
        }
    }
}

async fn answers(client: &Client) -> bool {
    let request = v1::ListStreamsRequest {
        parent: NAMESPACE.to_owned(),
        ..Default::default()
    };
    client.streams.clone().list_streams(request).await.is_ok()
}
