//! The server: ministack, from Python's index, on a free port of loopback.

use millstream_ports::{QueueSource, Sources};
use millstream_sources::{AwsSources, ConnectionSettings, Connections, Connector};
use millstream_testkit::servers;
use millstream_types::{Namespace, SourceArn};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Whose queues these are. The server takes the access key for it.
pub(crate) const ACCOUNT: &str = "123456789012";
/// How long a start may take on a busy machine, in steps.
const STEPS: u32 = 600;
const STEP: Duration = Duration::from_millis(100);

/// A running server; it goes with this.
pub(crate) struct Ministack {
    child: Child,
    pub(crate) address: SocketAddr,
    dir: TempDir,
}

impl Ministack {
    pub(crate) fn start() -> Self {
        // Somebody else may take the port before it does; then it is started again.
        (0..5)
            .find_map(|_| Self::try_start())
            .expect("ministack does not start")
    }

    fn try_start() -> Option<Self> {
        let (port, dir) = (servers::free_port(), TempDir::new().unwrap());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let child = servers::ministack(port, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut started = Self { child, address, dir };
        for _ in 0..STEPS {
            if started.child.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(address).is_ok() {
                return Some(started);
            }
            std::thread::sleep(STEP);
        }
        None
    }

    /// Sources that find the queues of this server.
    pub(crate) fn sources(&self) -> AwsSources {
        let settings = ConnectionSettings {
            pattern: format!("arn:aws:sqs:*:{ACCOUNT}:*"),
            endpoint_url: Some(format!("http://{}", self.address)),
            credentials: Some(self.keys()),
            ..ConnectionSettings::default()
        };
        AwsSources::new(Connections::read(&[settings]).unwrap())
    }

    /// Where credentials are.
    fn keys(&self) -> String {
        let keys = self.dir.path().join("keys");
        let text = format!("[queues]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = secret\n");
        std::fs::write(&keys, text).unwrap();
        format!("file:{}#queues", keys.display())
    }

    /// Connections to all that is here: of the account, and its buckets.
    pub(crate) fn everything(&self) -> Arc<Connector> {
        let settings = ["arn:aws:s3:::*".to_owned(), format!("arn:aws:*:{ACCOUNT}:*")].map(|pattern| {
            ConnectionSettings {
                pattern,
                region: Some("us-east-1".to_owned()),
                endpoint_url: Some(format!("http://{}", self.address)),
                credentials: Some(self.keys()),
            }
        });
        Arc::new(Connector::new(Connections::read(&settings).unwrap()))
    }

    /// AWS's own client, as users have it.
    pub(crate) fn client(&self) -> aws_sdk_sqs::Client {
        let arn: SourceArn = arn("any");
        let config = self.sources().connector().config(&arn).unwrap();
        aws_sdk_sqs::Client::new(&config)
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn arn(queue: &str) -> SourceArn {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}")
        .parse()
        .unwrap()
}

pub(crate) async fn queue(sources: &AwsSources, name: &str) -> Arc<dyn QueueSource> {
    sources.queue(&Namespace::default(), &arn(name)).await.unwrap()
}
