//! A server that speaks Kinesis' protocol and that nobody here wrote: kinesis-local, from Node's index.

use crate::ministack::ACCOUNT;
use crate::wait::{SOON, until};
use millstream_testkit::servers;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A server on a free port of loopback; it goes with this.
pub(crate) struct KinesisLocal {
    child: Child,
    /// `http://IP:PORT`.
    pub(crate) url: String,
    dir: TempDir,
}

impl KinesisLocal {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started, or does not listen soon.
    pub(crate) async fn start() -> Self {
        Self::start_as(ACCOUNT).await
    }

    /// Starts one whose streams are of this account.
    ///
    /// # Panics
    /// As [`KinesisLocal::start`].
    pub(crate) async fn start_as(account: &str) -> Self {
        for _ in 0..5 {
            if let Some(started) = Self::try_start(account).await {
                return started;
            }
        }
        panic!("kinesis-local does not start");
    }

    async fn try_start(account: &str) -> Option<Self> {
        // Somebody else may take a port before it does; then it is started again.
        let (port, tls_port) = (servers::free_port(), servers::free_port());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let dir = TempDir::new().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut child = Command::from(servers::kinesis_local(port, tls_port, dir.path()))
            .env("AWS_ACCOUNT_ID", account)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("node is there: run `make setup`");
        let listens = until("kinesis-local to listen or to end", 2 * SOON, async || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            TcpStream::connect(address).await.is_ok().then_some(true)
        })
        .await;
        listens.then_some(Self {
            child,
            url: format!("http://{address}"),
            dir,
        })
    }

    /// Sends a signal to all of it.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("kinesis-local has ended");
        killpg(Pid::from_raw(id.cast_signed()), signal).unwrap();
    }
}

impl Drop for KinesisLocal {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            // Gone already is as good.
            let _ = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- kinesis-local ---\n{log}\n---");
        }
    }
}
