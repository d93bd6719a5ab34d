//! The setting `connections` of the built binary: what keeps it from starting, and what it is told by.

use crate::cli::{fails, ok, text};
use crate::client::test_function;
use crate::server::{Server, Settings, binary};
use crate::wait::SOON;
use millstream_api::v1;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// Runs the binary to its end, in an empty directory, without settings of whoever runs the tests.
async fn run(arguments: &[&str]) -> Output {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MILLSTREAM_"))
    {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    timeout(SOON, command.output())
        .await
        .expect("it takes too long")
        .unwrap()
}

/// What it says when it ends at once, in one line.
async fn refused(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    assert!(!output.status.success(), "{arguments:?}");
    let said = text(&output.stderr);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

const PORTS: [&str; 6] = [
    "--grpc-addr",
    "127.0.0.1:0",
    "--aws-addr",
    "off",
    "--ops-addr",
    "off",
];

#[tokio::test]
async fn dev_keeps_to_this_machine_unless_it_is_told_otherwise() {
    for list in [
        "[{match: 'arn:aws:sqs:*'}]",
        "[{match: 'arn:aws:sqs:*', endpoint_url: 'http://10.0.0.1:4566'}]",
    ] {
        let dev = [&["dev", "--connections", list][..], &PORTS, &["--", "true"]].concat();
        let said = refused(&dev).await;
        assert!(
            said.contains("connections lead away from this machine: arn:aws:sqs:*"),
            "{said}"
        );
        assert!(said.contains("--allow-remote"), "{said}");
    }
}

#[tokio::test]
async fn credentials_that_are_not_there_keep_the_server_from_starting() {
    let list =
        "[{match: 'arn:a*', credentials: 'env:NOT_SET'}, {match: 'arn:b*', credentials: 'file:none#p'}]";
    let said = refused(&[&["server", "--connections", list][..], &PORTS].concat()).await;
    let missing =
        "connections[0].credentials: $NOT_SET_ACCESS_KEY_ID and $NOT_SET_SECRET_ACCESS_KEY is not set";
    assert!(said.contains(missing), "{said}");
    assert!(
        said.contains("connections[1].credentials: none cannot be read"),
        "{said}"
    );
}

#[tokio::test]
async fn every_problem_is_told_at_once_and_a_key_is_never_repeated() {
    let list = "[{match: sqs, region: 'EU'}, {endpoint_url: 'localhost'}, {match: 'arn:*', credentials: 'AKIA:hunter2'}]";
    let said = refused(&["config", "check", "--connections", list]).await;
    for part in [
        "connections[0].match: 'sqs' is not valid",
        "connections[0].region: 'EU' is not valid",
        "connections[1].match is missing",
        "connections[1].endpoint_url: 'localhost' is not valid",
        "connections[2].credentials: what is set is no reference",
    ] {
        assert!(said.contains(part), "{said}\nwanted {part}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let printed = run(&[
        "config",
        "print",
        "--connections",
        "[{match: 'arn:*', credentials: 'env:ORDERS'}]",
    ])
    .await;
    assert!(text(&printed.stdout).contains("env:ORDERS"), "{printed:?}");
}

#[tokio::test]
async fn what_a_connection_fits_is_not_the_brokers_and_all_else_is() {
    let list = "[{match: 'arn:aws:sqs:*:000000000000:emulated-*', endpoint_url: 'http://127.0.0.1:9', credentials: 'env:KEYS'}]";
    let mut settings = Settings::flags(&["--connections", list]);
    settings.env = ["KEYS_ACCESS_KEY_ID", "KEYS_SECRET_ACCESS_KEY"]
        .map(|name| (name.to_owned(), "any".to_owned()))
        .to_vec();
    let server = Server::start_with(settings).await;
    let client = server.client();
    let command = test_function(&server.dir().join("calls"), "id");
    client.create_function("f", &command, SOON / 4, 1).await;
    for queue in ["emulated-jobs", "jobs"] {
        client.create_queue(queue, v1::Queue::default()).await;
    }
    let create = |queue| ["mapping", "create", "m", "--queue", queue, "--function", "f"];
    let (_, said) = fails(&server, &create("emulated-jobs")).await;
    assert!(said.contains("GetQueueUrl"), "{said}");
    ok(&server, &create("jobs")).await;
}
