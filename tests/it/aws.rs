//! Clients of AWS, unmodified, at the AWS-compatible API: boto3, the AWS CLI, and raw requests.

use crate::client::{NAMESPACE, entry, queue_arn, stream_arn, test_function};
use crate::foreign::python;
use crate::function::calls;
use crate::server::{Server, Settings};
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

const KEY: &str = "AKIDMILLSTREAM";
const SECRET: &str = "a/secret+of=tests";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// A server with the stream, the queues and the functions that the scripts know.
async fn stage(settings: Settings) -> Server {
    let server = Server::start_with(settings).await;
    let client = server.client();
    client.create_stream("orders", 1).await;
    client.create_queue("jobs", v1::Queue::default()).await;
    client.create_queue("jobs.fifo", v1::Queue::default()).await;
    let command = test_function(&server.dir().join("journal"), "id");
    for (name, seconds) in [("f", 3), ("g", 3), ("slow", 60)] {
        let timeout = Duration::from_secs(seconds);
        client.create_function(name, &command, timeout, 2).await;
    }
    server
}

/// What a client of AWS finds in its environment, and nothing of whoever runs the tests.
fn client_of(server: &Server, program: &Path) -> Command {
    let url = format!("http://{}", server.aws_address());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ENDPOINT_URL_LAMBDA", &url)
        .env("AWS_ENDPOINT_URL_STS", &url)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", "whatever")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env("HOME", server.dir())
        .current_dir(server.dir());
    command
}

/// Runs a program to its end; what it printed.
///
/// # Panics
/// If it fails, with all that it said.
async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(4 * SOON, output)
        .await
        .expect("it takes too long")
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o).into_owned());
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_makes_changes_lists_tags_and_deletes_mappings() {
    let server = stage(Settings::default()).await;
    run(client_of(&server, &python()).arg(script("aws_client.py"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aws_cli_makes_changes_lists_tags_and_deletes_mappings() {
    let server = stage(Settings::default()).await;
    let cli = python().with_file_name("aws");
    run(client_of(&server, Path::new("bash"))
        .arg(script("aws_cli.sh"))
        .arg(cli))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_awss_status_exception_and_words() {
    let server = stage(Settings::default()).await;
    let mut command = client_of(&server, &python());
    let checked = run(command.arg(script("aws_errors.py")).arg(server.aws_address())).await;
    let checked: u32 = checked.trim().parse().unwrap();
    assert!(checked > 70, "{checked} rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_signed_with_a_key_of_the_server_or_refused() {
    let mut settings = Settings::flags(&["--aws-keys", "env:TEST_KEYS"]);
    let keys = format!("AKIDOTHER:another-secret,{KEY}:{SECRET}");
    settings.env.push(("TEST_KEYS".to_owned(), keys));
    let server = stage(settings).await;
    let mut command = client_of(&server, &python());
    let address = server.aws_address();
    run(command
        .arg(script("aws_signed.py"))
        .arg(address)
        .args([KEY, SECRET]))
    .await;
    let logged = server.logged();
    assert!(
        !logged.contains(SECRET) && !logged.contains("another-secret"),
        "{logged}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mappings_that_boto3_made_deliver_records_and_messages() {
    let server = stage(Settings::default()).await;
    let client = server.client();
    let code = format!(
        "import boto3\naws = boto3.client('lambda')\n\
         aws.create_event_source_mapping(EventSourceArn='{}', FunctionName='f', StartingPosition='LATEST', BatchSize=2)\n\
         aws.create_event_source_mapping(EventSourceArn='{}', FunctionName='f', ProvisionedPollerConfig={{'MinimumPollers': 2}})\n",
        stream_arn("orders"),
        queue_arn("jobs")
    );
    run(client_of(&server, &python()).args(["-c", &code])).await;
    let entries = (0..5).map(|n| entry("k", format!("r{n}"))).collect();
    client.put("orders", entries).await;
    let messages = (0..5).map(|n| crate::client::message(format!("m{n}"))).collect();
    client.send("jobs", messages).await.unwrap();
    let journals = server.dir().join("journal");
    let wanted: Vec<String> = ["r", "m"]
        .iter()
        .flat_map(|kind| (0..5).map(move |n| format!("{kind}{n}")))
        .collect();
    until("every record and message to be delivered", SOON, async || {
        let calls = calls(&journals);
        let seen: Vec<&String> = calls.iter().flat_map(|call| &call.records).collect();
        wanted.iter().all(|id| seen.contains(&id)).then_some(())
    })
    .await;
}

/// Sends bytes, and reads until the server closes: the status line, and all of it.
async fn exchange(server: &Server, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.aws_address()).await.unwrap();
    // The server may answer and close before it has read all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {answer}")), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_in_browsers_and_other_hosts_are_not_served() {
    let server = stage(Settings::flags(&["--aws-hosts", "millstream"])).await;
    let list = "GET /2015-03-31/event-source-mappings HTTP/1.1\r\nConnection: close\r\n";
    for (headers, status) in [
        ("Host: 127.0.0.1\r\n", 200),
        ("Host: localhost:7401\r\n", 200),
        ("Host: millstream:7401\r\n", 200),
        ("Host: rebound.example\r\n", 403),
        ("", 403),
        ("Host: localhost\r\nOrigin: http://localhost:7401\r\n", 403),
        ("Host: localhost\r\nOrigin: null\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let (found, answer) = exchange(&server, &format!("{list}{headers}\r\n")).await;
        assert_eq!(found, status, "{headers}: {answer}");
        assert!(
            !answer.to_ascii_lowercase().contains("access-control-"),
            "{answer}"
        );
    }
    let post = |kind: &str| {
        format!(
            "POST /2015-03-31/event-source-mappings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    assert_eq!(exchange(&server, &post("text/plain")).await.0, 415);
    assert_eq!(exchange(&server, &post("application/json")).await.0, 400);
    let large = "POST /2015-03-31/event-source-mappings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n";
    let (status, _) = exchange(&server, &format!("{large}{}", " ".repeat(1_100_000))).await;
    assert_eq!(status, 413);
    let head = format!("{list}Host: localhost\r\nX: {}\r\n\r\n", "y".repeat(64 * 1024));
    assert_eq!(exchange(&server, &head).await.0, 431);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_of_its_clients_is_printed() {
    let server = Server::start_with(Settings::flags(&["--aws-addr", "off"])).await;
    let output = server.cli(&["env", "--aws-addr", "127.0.0.1:7501"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    for service in ["LAMBDA", "STS"] {
        let line = format!("export AWS_ENDPOINT_URL_{service}=http://127.0.0.1:7501");
        assert!(text.lines().any(|l| l == line), "{text}");
    }
    assert_eq!(
        server.cli(&["env", "--aws-addr", "off"]).await.status.code(),
        Some(2)
    );
    let listed = v1::ListMappingsRequest {
        parent: NAMESPACE.to_owned(),
        ..Default::default()
    };
    let mut mappings = server.client().mappings;
    assert!(
        mappings
            .list_mappings(listed)
            .await
            .unwrap()
            .into_inner()
            .mappings
            .is_empty()
    );
}
