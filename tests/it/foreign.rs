//! Clients that we did not write: Python's grpcio with stubs generated from `proto/`, and grpcurl over reflection.

use crate::client::test_function;
use crate::server::Server;
use crate::wait::SOON;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// The Python of the tests.
///
/// # Panics
/// If nobody named one.
pub(crate) fn python() -> PathBuf {
    let path = std::env::var_os("MILLSTREAM_PYTHON").map(PathBuf::from);
    path.expect("MILLSTREAM_PYTHON names no Python: run `make test`, or eval \"$(make -s env)\" first")
}

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../proto")
        .canonicalize()
        .unwrap()
}

/// Runs a program to its end; what it printed.
///
/// # Panics
/// If it fails, with all that it said.
async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(3 * SOON, output)
        .await
        .expect("it takes too long")
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o).into_owned());
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out
}

#[tokio::test]
async fn python_stubs_create_pause_resume_update_and_inspect_a_mapping() {
    let server = Server::start().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/mapping_client.py");
    let function = test_function(&server.dir().join("journal"), "id");
    run(Command::new(python())
        .arg(script)
        .arg(proto())
        .arg(server.address())
        .args(function))
    .await;
}

#[tokio::test]
async fn grpcurl_lists_describes_and_calls_through_reflection() {
    let server = Server::start().await;
    let address = server.address();
    let grpcurl = python().with_file_name("grpcurl");
    let call = async |args: &[&str]| {
        let mut command = Command::new(&grpcurl);
        command.arg("-plaintext");
        // `-d` and its text come before the address, what is asked for behind it.
        let (options, what) = args.split_at(args.len() - 1);
        run(command.args(options).arg(&address).args(what)).await
    };
    let services = call(&["list"]).await;
    for service in [
        "MappingService",
        "FunctionService",
        "StreamService",
        "QueueService",
        "LedgerService",
        "DiscardService",
    ] {
        assert!(
            services.lines().any(|l| l == format!("millstream.v1.{service}")),
            "{services}"
        );
    }
    let described = {
        let mut command = Command::new(&grpcurl);
        run(command.args(["-plaintext", &address, "describe", "millstream.v1.Mapping"])).await
    };
    assert!(described.contains("parallelization_factor"), "{described}");
    let create = r#"{"parent": "namespaces/default", "stream_id": "curl", "stream": {"shard_count": 3}}"#;
    let made = call(&["-d", create, "millstream.v1.StreamService/CreateStream"]).await;
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["arn"], "arn:aws:kinesis:us-east-1:000000000000:stream/curl");
    assert_eq!(made["shards"].as_array().map(Vec::len), Some(3), "{made}");
    let health = call(&["-d", "{}", "grpc.health.v1.Health/Check"]).await;
    assert!(health.contains("SERVING"), "{health}");
    let create = r#"{"parent": "namespaces/default", "queue_id": "curl", "queue": {"delay_seconds": 0}}"#;
    let made = call(&["-d", create, "millstream.v1.QueueService/CreateQueue"]).await;
    assert!(made.contains("arn:aws:sqs:us-east-1:000000000000:curl"), "{made}");
    let send = r#"{"queue": "namespaces/default/queues/curl", "messages": [{"body": "hi", "attributes": {"n": {"data_type": "Number", "string_value": "7"}}}]}"#;
    call(&["-d", send, "millstream.v1.QueueService/SendMessages"]).await;
    let receive =
        r#"{"queue": "namespaces/default/queues/curl", "max_messages": 10, "wait_time_seconds": 20}"#;
    let got = call(&["-d", receive, "millstream.v1.QueueService/ReceiveMessages"]).await;
    let got: serde_json::Value = serde_json::from_str(&got).unwrap();
    let message = &got["messages"][0];
    assert_eq!(message["body"], "hi", "{got}");
    assert_eq!(message["attributes"]["n"]["stringValue"], "7", "{got}");
    let receipt = message["receiptHandle"].as_str().unwrap();
    let delete =
        format!(r#"{{"queue": "namespaces/default/queues/curl", "receipt_handles": ["{receipt}"]}}"#);
    call(&["-d", &delete, "millstream.v1.QueueService/DeleteMessages"]).await;
    let left = r#"{"name": "namespaces/default/queues/curl"}"#;
    let left = call(&["-d", left, "millstream.v1.QueueService/GetQueue"]).await;
    assert!(!left.contains("oldestMessageSeconds"), "it is empty: {left}");
}
