//! The servers under test, one of each for all tests of this program, on free ports of the loopback interface.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use futures::future::BoxFuture;
use millstream_ports::Clock;
use millstream_testkit::servers;
pub(crate) use millstream_testkit::servers::free_port;
use millstream_types::{Mono, Now, Wall};
use std::path::PathBuf;
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

/// kinesis-local.
pub(crate) async fn kinesis() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let command = |port: u16| servers::kinesis_local(port, free_port(), &directory());
    SERVER.get_or_init(|| start(command)).await
}

/// ministack, for DynamoDB and its streams, and for what Kinesis pushes.
pub(crate) async fn ministack() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let command = |port: u16| servers::ministack(port, &directory());
    SERVER.get_or_init(|| start(command)).await
}

/// Starts what `command` says for a port, on another one if that was taken meanwhile.
async fn start(command: impl Fn(u16) -> Command) -> Server {
    for _ in 0..STARTS {
        let port = free_port();
        let mut process = command(port)
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

fn directory() -> PathBuf {
    env!("CARGO_TARGET_TMPDIR").into()
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
