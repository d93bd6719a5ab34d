//! Servers that nobody here wrote, and that speak AWS's protocols: how they are started for a test.
//!
//! Each reads its standard input and ends when that is closed: a server goes with whoever started it, however that ends. Set-up
//! installs them, and the environment says where (`scripts/setup.sh`); that one is missing is an error, never a reason to leave
//! a test out.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// ministack has no such option of its own.
const WITH_ITS_INPUT: &str = "import os, sys, threading\n\
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n\
    sys.argv = ['ministack']\n\
    from importlib.metadata import entry_points\n\
    [entry.load()() for entry in entry_points(group='console_scripts', name='ministack')]\n";

/// ministack on `port` of loopback, with what it writes in `dir`: SQS, DynamoDB and its streams, and more.
///
/// # Panics
/// If it is not installed.
#[must_use]
pub fn ministack(port: u16, dir: &Path) -> Command {
    let mut command = Command::new(installed("MILLSTREAM_SERVERS_PYTHON"));
    command
        .args(["-c", WITH_ITS_INPUT])
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("S3_DATA_DIR", dir)
        .env("LOG_LEVEL", "WARNING")
        .current_dir(dir)
        .stdin(Stdio::piped());
    command
}

/// kinesis-local on `port` of loopback, with changes of streams that take effect at once. It wants `tls_port` too.
///
/// # Panics
/// If it is not installed.
#[must_use]
pub fn kinesis_local(port: u16, tls_port: u16, dir: &Path) -> Command {
    let home = installed("MILLSTREAM_KINESIS_LOCAL");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let mut command = Command::new("node");
    for change in [
        "CREATE_STREAM",
        "SPLIT_SHARD",
        "MERGE_SHARDS",
        "UPDATE_SHARD_COUNT",
    ] {
        command.env(format!("{change}_DURATION"), "1ms");
    }
    command
        .arg("-r")
        .arg(scripts.join("node/loopback.cjs"))
        .arg(home.join("main.js"))
        .env("KINESIS_MOCK_CERT_PATH", home.join("server.json"))
        .env("KINESIS_MOCK_PLAIN_PORT", port.to_string())
        .env("KINESIS_MOCK_TLS_PORT", tls_port.to_string())
        .env("SHARD_LIMIT", "1000")
        .env("LOG_LEVEL", "ERROR")
        .current_dir(dir)
        .stdin(Stdio::piped());
    command
}

/// A port of loopback that is free now. Somebody else may take it before a server does; then that ends at once, and is to be
/// started again on another.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.unwrap_or_else(|e| panic!("no port is free: {e}")).port()
}

fn installed(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.filter(|path| path.exists()).unwrap_or_else(|| {
        panic!(
            "${variable} names nothing that is there: run `make test`, or `make setup`, then eval \"$(make -s env)\""
        )
    })
}
