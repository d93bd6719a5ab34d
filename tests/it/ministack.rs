//! A server that speaks AWS's protocols and that nobody here wrote: ministack, from Python's index. What is in its queues
//! is put there by AWS's own client.

use crate::foreign::python;
use crate::server::Settings;
use crate::wait::{SOON, until};
use millstream_testkit::servers;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Whose queues these are: not the account of the built-in broker. The server takes the access key for it.
pub(crate) const ACCOUNT: &str = "123456789012";

/// A server on a free port of loopback; it goes with this.
pub(crate) struct Ministack {
    child: Child,
    /// `http://IP:PORT`.
    pub(crate) url: String,
    dir: TempDir,
}

impl Ministack {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started, or does not listen soon.
    pub(crate) async fn start() -> Self {
        for _ in 0..5 {
            if let Some(started) = Self::try_start().await {
                return started;
            }
        }
        panic!("ministack does not start");
    }

    async fn try_start() -> Option<Self> {
        // Somebody else may take the port before it does; then it is started again.
        let (port, dir) = (servers::free_port(), TempDir::new().unwrap());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = File::create(dir.path().join("log")).unwrap();
        let mut child = Command::from(servers::ministack(port, dir.path()))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let listens = until("ministack to listen or to end", SOON, async || {
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

    /// A server of ours that finds the queues here.
    pub(crate) fn settings(&self) -> Settings {
        self.settings_through(&[("*", &*self.url)])
    }

    /// The same, with an endpoint of its own for each of these queues.
    pub(crate) fn settings_through(&self, queues: &[(&str, &str)]) -> Settings {
        let connection = |(queue, url): &(&str, &str)| {
            format!(
                "{{match: 'arn:aws:sqs:*:{ACCOUNT}:{queue}', endpoint_url: '{url}', credentials: 'env:QUEUES'}}"
            )
        };
        let connections: Vec<String> = queues.iter().map(connection).collect();
        let connections = format!("[{}]", connections.join(", "));
        let variables = [
            ("MILLSTREAM_CONNECTIONS", connections.as_str()),
            ("QUEUES_ACCESS_KEY_ID", ACCOUNT),
            ("QUEUES_SECRET_ACCESS_KEY", "secret"),
        ];
        Settings {
            env: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
            ..Settings::default()
        }
    }

    /// A server of ours that finds everything of the account here: queues, topics, functions, and buckets.
    pub(crate) fn settings_of_all(&self) -> Settings {
        let url = &self.url;
        let connections = format!(
            "[{{match: 'arn:aws:*:{ACCOUNT}:*', endpoint_url: '{url}', credentials: 'env:QUEUES'}}, \
             {{match: 'arn:aws:s3:::*', region: us-east-1, endpoint_url: '{url}', credentials: 'env:QUEUES'}}, \
             {{match: 'arn:aws:lambda:*', region: us-east-1, endpoint_url: '{url}', credentials: 'env:QUEUES'}}]"
        );
        let mut settings = self.settings();
        settings.env[0].1 = connections;
        settings
    }

    /// Does something to a queue with AWS's client; what was said of it. See `tests/python/sqs.py`.
    ///
    /// # Panics
    /// If it fails, with all that it said.
    pub(crate) async fn sqs(&self, arguments: &[&str]) -> Vec<Value> {
        Self::run(self.command(arguments), arguments).await
    }

    /// Makes or reads what else there is, with AWS's clients; what was said. See `tests/python/aws_things.py`.
    ///
    /// # Panics
    /// If it fails, with all that it said.
    pub(crate) async fn things(&self, arguments: &[&str]) -> Vec<Value> {
        Self::run(self.script("aws_things.py", arguments), arguments).await
    }

    async fn run(mut command: Command, arguments: &[&str]) -> Vec<Value> {
        let output = command.output();
        let output = timeout(3 * SOON, output)
            .await
            .expect("it takes too long")
            .unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o).into_owned());
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{out}\n{err}",
            output.status
        );
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The same, yet to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.script("sqs.py", arguments)
    }

    fn script(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(python());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script))
            .args([&self.url, ACCOUNT])
            .args(arguments)
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// How many messages are visible, hidden, delayed.
    pub(crate) async fn depth(&self, queue: &str) -> [u64; 3] {
        let said = self.sqs(&["depth", queue]).await;
        serde_json::from_value(said[0].clone()).unwrap()
    }

    /// Waits until a queue is empty.
    pub(crate) async fn empty(&self, queue: &str) {
        until("the queue to be empty", 4 * SOON, async || {
            let empty = self.depth(queue).await == [0; 3];
            if !empty {
                // Each look starts a program.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            empty.then_some(())
        })
        .await;
    }

    /// Sends a signal to all of it.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("ministack has ended");
        killpg(Pid::from_raw(id.cast_signed()), signal).unwrap();
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            // Gone already is as good.
            let _ = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- ministack ---\n{log}\n---");
        }
    }
}

/// The ARN of a queue here.
pub(crate) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}")
}
