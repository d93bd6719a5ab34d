//! Records that are pushed (enhanced fan-out): a consumer that AWS's client registers with kinesis-local, mapped by AWS's
//! client. Its account is the one of the built-in broker; the connection says that it is not there.

use crate::foreign::python;
use crate::kinesis_local::KinesisLocal;
use crate::server::{Server, Settings};
use crate::sqs_real::{create_events_function, make};
use crate::wait::{SOON, until};
use serde_json::{Value, json as value};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

const ACCOUNT: &str = "000000000000";
const RECORDS: usize = 40;

/// Does something with AWS's client; see `tests/python/streams.py`.
async fn aws(server: &Server, kinesis: &KinesisLocal, arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/streams.py"))
        .args(arguments)
        .env("AWS_ENDPOINT_URL_KINESIS", &kinesis.url)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", server.dir())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(3 * SOON, command.output())
        .await
        .expect("it takes too long")
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let out = String::from_utf8_lossy(&output.stdout);
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn settings(url: &str) -> Settings {
    let connections = format!(
        "[{{match: 'arn:aws:kinesis:*:{ACCOUNT}:stream/pushed*', endpoint_url: '{url}', credentials: 'env:THERE'}}]"
    );
    let variables = [
        ("MILLSTREAM_CONNECTIONS", connections.as_str()),
        ("THERE_ACCESS_KEY_ID", "any"),
        ("THERE_SECRET_ACCESS_KEY", "any"),
    ];
    Settings {
        env: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_is_pushed_to_a_consumer_whatever_its_account() {
    let kinesis = KinesisLocal::start_as(ACCOUNT).await;
    let mut server = Server::start_with(settings(&kinesis.url)).await;
    let journal = server.dir().join("events");
    create_events_function(&server.client(), &journal).await;
    let stream = aws(&server, &kinesis, &["stream", "pushed", "2"]).await;
    let stream = stream[0].as_str().unwrap().to_owned();
    assert!(stream.contains(ACCOUNT), "{stream}");
    let consumer = aws(&server, &kinesis, &["consumer", &stream, "mill"]).await;
    let consumer = consumer[0].as_str().unwrap().to_owned();
    let made = make(&server, &consumer, "events").await;
    assert_eq!(made["arn"], value!(consumer), "{made}");

    let payloads: Vec<String> = (0..RECORDS).map(|n| format!("k{}:{n}", n % 7)).collect();
    let mut wanted = BTreeSet::new();
    // The second half comes to a server that was killed in between.
    for half in payloads.chunks(RECORDS / 2) {
        let mut arguments = vec!["records", "pushed"];
        arguments.extend(half.iter().map(String::as_str));
        let put = aws(&server, &kinesis, &arguments).await;
        wanted.extend(put.iter().map(|p| p["sequence"].as_str().unwrap().to_owned()));
        until("all records to be pushed", 2 * SOON, async || {
            let text = std::fs::read_to_string(&journal).unwrap_or_default();
            let events = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut found = BTreeSet::new();
            for event in events {
                for record in event["Records"].as_array().unwrap() {
                    assert_eq!(record["eventSourceARN"], value!(consumer));
                    found.insert(record["kinesis"]["sequenceNumber"].as_str().unwrap().to_owned());
                }
            }
            (found == wanted).then_some(())
        })
        .await;
        server.kill9().await;
        server.restart().await;
    }
}
