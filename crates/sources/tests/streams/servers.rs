//! The servers under test, one of each for all tests of this program, on free ports of the loopback interface.
//!
//! A server ends with this program, however that ends: it reads its standard input and exits when that is closed.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use futures::future::BoxFuture;
use millstream_ports::Clock;
use millstream_types::{Mono, Now, Wall};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// How often a server that ends at once is started.
const STARTS: usize = 5;
/// A server that does not come up within this time is an error.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    pub(crate) port: u16,
    _process: Child,
}

/// kinesis-local, with changes that take effect at once.
pub(crate) async fn kinesis() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let command = |port: u16| {
        let home = required("MILLSTREAM_KINESIS_LOCAL");
        let mut command = Command::new("node");
        command
            .arg("-r")
            .arg(repository().join("scripts/node/loopback.cjs"))
            .arg(home.join("main.js"))
            .env("KINESIS_MOCK_CERT_PATH", home.join("server.json"))
            .env("KINESIS_MOCK_PLAIN_PORT", port.to_string())
            .env("KINESIS_MOCK_TLS_PORT", free_port().to_string())
            .env("SHARD_LIMIT", "1000")
            .env("LOG_LEVEL", "ERROR");
        for change in [
            "CREATE_STREAM",
            "SPLIT_SHARD",
            "MERGE_SHARDS",
            "UPDATE_SHARD_COUNT",
        ] {
            command.env(format!("{change}_DURATION"), "1ms");
        }
        command
    };
    SERVER.get_or_init(|| start(command)).await
}

/// ministack, for DynamoDB and its streams, and for what Kinesis pushes.
pub(crate) async fn ministack() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    const RUN: &str = "import os, sys, threading\n\
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n\
        sys.argv = ['ministack']\n\
        from importlib.metadata import entry_points\n\
        [entry.load()() for entry in entry_points(group='console_scripts', name='ministack')]\n";
    let command = |port: u16| {
        let mut command = Command::new(required("MILLSTREAM_SERVERS_PYTHON"));
        command
            .args(["-c", RUN])
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("S3_DATA_DIR", env!("CARGO_TARGET_TMPDIR"))
            .env("LOG_LEVEL", "ERROR");
        command
    };
    SERVER.get_or_init(|| start(command)).await
}

/// Starts what `command` says for a port, on another one if that was taken meanwhile.
async fn start(command: impl Fn(u16) -> Command) -> Server {
    for _ in 0..STARTS {
        let port = free_port();
        let mut process = command(port)
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server's program is there");
        let until = Instant::now() + STARTS_WITHIN;
        while process.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Server {
                    endpoint: format!("http://127.0.0.1:{port}"),
                    port,
                    _process: process,
                };
            }
            assert!(
                Instant::now() < until,
                "a server does not come up: {:?}",
                command(port)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("a server ends as soon as it starts: {:?}", command(0));
}

/// What set-up installed; its absence is an error, never a reason to leave the test out.
fn required(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    value
        .unwrap_or_else(|| {
            panic!("{variable} is not set: run scripts/setup.sh, then eval \"$(scripts/setup.sh env)\"")
        })
        .into()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// How the SDK reaches a server of tests.
pub(crate) async fn config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .load()
        .await
}

/// The machine's clock.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(RealClock)
}

struct RealClock;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for RealClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Now {
            wall: Wall(wall.as_millis().try_into().unwrap()),
            mono: Mono(START.elapsed().as_nanos().try_into().unwrap()),
        }
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let wait = at.since(self.now().mono);
        Box::pin(tokio::time::sleep(wait))
    }
}
