//! The server under test: the built binary as a child process that is started, killed, stopped, started again.

use crate::client::Client;
use crate::wait::SOON;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many lines of the server's log a failed test shows.
const SHOWN_LINES: usize = 60;

/// The binary under test.
///
/// # Panics
/// If it is not there, with what to run.
pub(crate) fn binary() -> PathBuf {
    let path = std::env::var_os("MILLSTREAM_BIN").map_or_else(beside_tests, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run `make test`, or build it with `cargo build -p millstream-server`, or name one by \
         MILLSTREAM_BIN",
        path.display()
    );
    path
}

/// Tests are in `deps/` of the directory that has the binaries.
fn beside_tests() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("millstream")
}

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Flags behind those that every test needs.
    pub(crate) flags: Vec<String>,
    /// Variables besides the tests' own.
    pub(crate) env: Vec<(String, String)>,
    /// Where its data is; none for its own directory.
    pub(crate) data_dir: Option<PathBuf>,
}

impl Settings {
    /// With these flags.
    pub(crate) fn flags(flags: &[&str]) -> Self {
        Self {
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            ..Self::default()
        }
    }
}

/// A server, running or not. Its directory goes with it, and so does its process.
pub(crate) struct Server {
    settings: Settings,
    dir: TempDir,
    child: Option<Child>,
    address: watch::Receiver<Option<String>>,
    ops_address: watch::Receiver<Option<String>>,
    aws_address: watch::Receiver<Option<String>>,
}

impl Server {
    /// Runs and answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// Runs with these settings and answers.
    pub(crate) async fn start_with(settings: Settings) -> Self {
        let mut server = Self::new(settings);
        server.restart().await;
        server
    }

    /// Not yet running.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            dir: TempDir::new().unwrap(),
            child: None,
            address: watch::channel(None).1,
            ops_address: watch::channel(None).1,
            aws_address: watch::channel(None).1,
        }
    }

    /// The next start has these settings.
    pub(crate) fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// A directory of the test's own, gone with the server.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the process and waits until it is ready.
    pub(crate) async fn restart(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let data = self
            .settings
            .data_dir
            .clone()
            .unwrap_or_else(|| self.dir.path().join("data"));
        let mut child = self
            .command()
            .arg("server")
            .args(["--grpc-addr", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(&self.settings.flags)
            // A variable, so that a flag of the test's own wins.
            .env("MILLSTREAM_OPS_ADDR", "127.0.0.1:0")
            .env("MILLSTREAM_AWS_ADDR", "127.0.0.1:0")
            .envs(self.settings.env.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let ((tell, address), (tell_ops, ops_address)) = (watch::channel(None), watch::channel(None));
        let (tell_aws, aws_address) = watch::channel(None);
        let tell = [
            ("listening grpc=", tell),
            ("listening ops=", tell_ops),
            ("listening aws=", tell_aws),
        ];
        tokio::spawn(read_addresses(child.stdout.take().unwrap(), tell));
        self.child = Some(child);
        self.address = address;
        self.ops_address = ops_address;
        self.aws_address = aws_address;
    }

    /// Waits for the line that says that the server is ready.
    ///
    /// # Panics
    /// If the process ends instead, or takes too long.
    pub(crate) async fn ready(&mut self) {
        let told = timeout(SOON, self.address.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => panic!("the server ended before it was ready"),
            Err(_) => panic!("the server was not ready within {SOON:?}"),
        }
    }

    /// Clients of the server as it runs now.
    ///
    /// # Panics
    /// If it is not ready.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address())
    }

    /// `IP:PORT`.
    ///
    /// # Panics
    /// If it is not ready.
    pub(crate) fn address(&self) -> String {
        self.address.borrow().clone().expect("the server is not ready")
    }

    /// `IP:PORT` of the operations port.
    ///
    /// # Panics
    /// If the server is not ready, or was told not to have one.
    pub(crate) fn ops_address(&self) -> String {
        self.ops_address
            .borrow()
            .clone()
            .expect("there is no operations port")
    }

    /// `IP:PORT` of the AWS-compatible API.
    ///
    /// # Panics
    /// If the server is not ready, or was told not to have one.
    pub(crate) fn aws_address(&self) -> String {
        self.aws_address.borrow().clone().expect("there is no AWS API")
    }

    /// The process.
    ///
    /// # Panics
    /// If it does not run.
    pub(crate) fn pid(&self) -> Pid {
        let id = self
            .child
            .as_ref()
            .and_then(Child::id)
            .expect("the server does not run");
        Pid::from_raw(id.cast_signed())
    }

    /// `kill -9`; the process is gone when this returns.
    pub(crate) async fn kill9(&mut self) {
        let mut child = self.child.take().expect("the server does not run");
        child.kill().await.unwrap();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// If it does not.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server does not run");
        match timeout(SOON, child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => {
                self.child = Some(child);
                panic!("the server did not end within {SOON:?}")
            }
        }
    }

    /// SIGTERM, and an orderly end.
    ///
    /// # Panics
    /// If it ends otherwise than with code 0.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "SIGTERM: {status}");
    }

    /// What the server has logged in all its lives.
    pub(crate) fn logged(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// Bytes of memory the process holds now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib << 10
    }

    /// Runs the command line against this server.
    pub(crate) async fn cli(&self, args: &[&str]) -> Output {
        let run = self
            .command()
            .args(args)
            .env("MILLSTREAM_SERVER", self.address())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output();
        timeout(SOON, run)
            .await
            .expect("the command line took too long")
            .unwrap()
    }

    /// The binary, without settings of whoever runs the tests.
    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        let ours = |name: &std::ffi::OsStr| {
            let name = name.to_string_lossy();
            name.starts_with("MILLSTREAM_") || name.starts_with("OTEL_")
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command.kill_on_drop(true);
        command
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }
}

impl Drop for Server {
    /// Functions die with the process (it asked the kernel for that); whatever else is in its group is killed.
    fn drop(&mut self) {
        if let Some(id) = self.child.as_ref().and_then(Child::id) {
            // Gone already is as good.
            let _ = nix::sys::signal::killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
        }
        if std::thread::panicking() {
            let logged = self.logged();
            let lines: Vec<&str> = logged.lines().collect();
            let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("--- the server's log, its end ---\n{tail}\n---");
        }
    }
}

/// Tells the addresses once they are printed, and reads on so that the server never waits for a reader.
async fn read_addresses(stdout: ChildStdout, tell: [(&str, watch::Sender<Option<String>>); 3]) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        for (prefix, tell) in &tell {
            if let Some(address) = line.strip_prefix(prefix) {
                // Nobody has to be interested.
                let _ = tell.send(Some(address.trim().to_owned()));
            }
        }
    }
}
