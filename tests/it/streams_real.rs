//! Mappings of streams that are not ours: kinesis-local, and DynamoDB's of ministack, written to with AWS's own client.

use crate::client::test_function;
use crate::disturb::unavailable;
use crate::foreign::python;
use crate::function::{Call, calls};
use crate::kinesis_local::KinesisLocal;
use crate::ministack::{ACCOUNT, Ministack};
use crate::proxy::Proxy;
use crate::server::{Server, Settings};
use crate::streams_kill::judge;
use crate::wait::{SOON, until};
use millstream_api::v1;
use nix::sys::signal::Signal;
use serde_json::{Value, json as value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A source that is gone is looked for ever less often.
const FOUND_AGAIN: Duration = Duration::from_secs(180);

/// A server of ours beside those of streams.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) kinesis: KinesisLocal,
    pub(crate) tables: Ministack,
    /// Before both of these, if there are any.
    pub(crate) proxies: Vec<Proxy>,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        Self::set_behind(async |_| Vec::new()).await
    }

    /// With what is to stand before the components, made for their URLs.
    pub(crate) async fn set_behind(proxies: impl AsyncFnOnce([&str; 2]) -> Vec<Proxy>) -> Self {
        let (kinesis, tables) = (KinesisLocal::start().await, Ministack::start().await);
        let direct = [&*kinesis.url, &*tables.url];
        let proxies = proxies(direct).await;
        let urls = [0, 1].map(|n| proxies.get(n).map_or(direct[n], |proxy| &*proxy.url));
        let server = Server::start_with(settings(urls)).await;
        Self {
            server,
            kinesis,
            tables,
            proxies,
        }
    }

    /// Does something with AWS's client; see `tests/python/streams.py`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(python());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/streams.py"))
            .args(arguments)
            .env("AWS_ENDPOINT_URL_KINESIS", &self.kinesis.url)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.tables.url)
            .env("AWS_ENDPOINT_URL_DYNAMODBSTREAMS", &self.tables.url)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", self.server.dir())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn aws(&self, arguments: &[&str]) -> Vec<Value> {
        let output = timeout(3 * SOON, self.command(arguments).output());
        let output = output.await.expect("it takes too long").unwrap();
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

    /// Makes a stream or a table; the stream's ARN.
    pub(crate) async fn make(&self, arguments: &[&str]) -> String {
        let said = self.aws(arguments).await;
        said[0].as_str().unwrap().to_owned()
    }

    pub(crate) fn journal(&self, name: &str) -> PathBuf {
        self.server.dir().join(format!("calls-{name}"))
    }

    /// Maps a stream to a function of its own that writes down what it gets.
    pub(crate) async fn map(&self, name: &str, source_arn: &str, settings: v1::Mapping) {
        self.map_slow(name, source_arn, settings, "0").await;
    }

    /// To one that takes `linger` ms before and after its work.
    pub(crate) async fn map_slow(&self, name: &str, source_arn: &str, settings: v1::Mapping, linger: &str) {
        let client = self.server.client();
        let mut command = test_function(&self.journal(name), "id");
        command.push(linger.to_owned());
        client.create_function(name, &command, FUNCTION_TIMEOUT, 40).await;
        let mapping = v1::Mapping {
            source_arn: source_arn.to_owned(),
            function: name.to_owned(),
            starting_position: v1::StartingPosition::TrimHorizon.into(),
            ..settings
        };
        client.create_mapping(name, mapping).await;
    }

    /// Waits until all of these are done.
    pub(crate) async fn done(&self, name: &str, wanted: &BTreeSet<String>) -> Vec<Call> {
        let journal = self.journal(name);
        until("all records to be done", 4 * FOUND_AGAIN, async || {
            sleep(Duration::from_millis(500)).await;
            let calls = calls(&journal);
            let done: BTreeSet<&String> = calls.iter().flat_map(Call::done).collect();
            wanted.iter().all(|id| done.contains(id)).then_some(calls)
        })
        .await
    }
}

/// A server of ours that finds the streams there.
fn settings([kinesis, tables]: [&str; 2]) -> Settings {
    let connections = format!(
        "[{{match: 'arn:aws:kinesis:*:{ACCOUNT}:*', endpoint_url: '{kinesis}', credentials: 'env:THERE'}}, \
         {{match: 'arn:aws:*:*:{ACCOUNT}:*', endpoint_url: '{tables}', credentials: 'env:THERE'}}]"
    );
    let variables = [
        ("MILLSTREAM_CONNECTIONS", connections.as_str()),
        ("THERE_ACCESS_KEY_ID", ACCOUNT),
        ("THERE_SECRET_ACCESS_KEY", "secret"),
    ];
    Settings {
        env: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_streams_that_hangs_is_told_and_used_again() {
    let scene = Scene::set().await;
    let stream = scene.make(&["stream", "orders", "2"]).await;
    let table = scene.make(&["table", "items"]).await;
    scene.map("kinesis", &stream, v1::Mapping::default()).await;
    scene.map("dynamodb", &table, v1::Mapping::default()).await;
    scene.aws(&["records", "orders", "a:0", "b:0"]).await;
    scene.aws(&["changes", "items", "2", "2"]).await;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    scene.done("kinesis", &ids(&["a:0", "b:0"])).await;
    scene.done("dynamodb", &ids(&["i0:0", "i1:0"])).await;
    scene.kinesis.signal(Signal::SIGSTOP);
    scene.tables.signal(Signal::SIGSTOP);
    for name in ["kinesis", "dynamodb"] {
        unavailable(&scene.server.client(), name, true).await;
    }
    scene.kinesis.signal(Signal::SIGCONT);
    scene.tables.signal(Signal::SIGCONT);
    for name in ["kinesis", "dynamodb"] {
        unavailable(&scene.server.client(), name, false).await;
    }
    scene.aws(&["records", "orders", "a:1", "b:1"]).await;
    scene.aws(&["changes", "items", "4", "2"]).await;
    let calls = scene.done("kinesis", &ids(&["a:0", "b:0", "a:1", "b:1"])).await;
    judge("kinesis", &ids(&["a:0", "b:0", "a:1", "b:1"]), &calls);
    scene
        .done("dynamodb", &ids(&["i0:0", "i1:0", "i0:1", "i1:1"]))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_mappings_of_one_stream_each_get_all_of_it() {
    let scene = Scene::set().await;
    let stream = scene.make(&["stream", "orders", "3"]).await;
    scene.map("one", &stream, v1::Mapping::default()).await;
    scene.map("other", &stream, v1::Mapping::default()).await;
    let said = scene.aws(&["flood", "orders", "300", "30"]).await;
    let sent: BTreeSet<String> = said
        .iter()
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect();
    for name in ["one", "other"] {
        judge(name, &sent, &scene.done(name, &sent).await);
    }
}

/// One function of Python, mapped by AWS's own client to a source of each kind, gets events with all of AWS's members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_all_four_kinds_have_all_members_of_awss_events() {
    let scene = Scene::set().await;
    let journal = scene.server.dir().join("events");
    crate::sqs_real::create_events_function(&scene.server.client(), &journal).await;
    let stream = scene.make(&["stream", "orders", "1"]).await;
    let table = scene.make(&["table", "items"]).await;
    let queues = ["jobs", "jobs.fifo"].map(crate::ministack::arn);
    for queue in ["jobs", "jobs.fifo"] {
        scene.tables.sqs(&["create", queue, "20"]).await;
    }
    for arn in [&stream, &table, &queues[0], &queues[1]] {
        let made = crate::sqs_real::make(&scene.server, arn, "events").await;
        assert_eq!(made["arn"], value!(arn), "{made}");
    }
    let put = &scene.aws(&["records", "orders", "k\u{e4}:text"]).await[0];
    scene.aws(&["rich", "items"]).await;
    for queue in ["jobs", "jobs.fifo"] {
        scene.tables.sqs(&["full", queue]).await;
    }
    let events = until("the events", FOUND_AGAIN, async || {
        sleep(Duration::from_millis(200)).await;
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let records: Vec<Value> = events
            .iter()
            .flat_map(|e| e["Records"].as_array().cloned().unwrap_or_default())
            .collect();
        (records.len() >= 6).then_some(records)
    })
    .await;
    let of = |arn: &str| -> Vec<Value> {
        let is = |r: &&Value| r["eventSourceARN"] == value!(arn);
        events.iter().filter(is).cloned().collect()
    };
    kinesis_member_by_member(&of(&stream), &stream, put);
    changes_member_by_member(&of(&table), &table);
    for queue in &queues {
        // Their members are compared in `sqs_real::events_have_all_members_of_awss_events`.
        assert_eq!(of(queue).len(), 1);
        assert_eq!(of(queue)[0]["eventSource"], "aws:sqs");
    }
}

fn kinesis_member_by_member(records: &[Value], arn: &str, put: &Value) {
    let [record] = records else { panic!("{records:?}") };
    let at = &record["kinesis"]["approximateArrivalTimestamp"];
    assert!(at.as_f64().is_some_and(|at| at > 1.7e9), "{at}");
    let (shard, sequence) = (put["shard"].as_str().unwrap(), put["sequence"].as_str().unwrap());
    assert_eq!(
        record,
        &value!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "k\u{e4}",
                "sequenceNumber": sequence,
                "data": "a8OkOnRleHQ=",
                "approximateArrivalTimestamp": at,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{shard}:{sequence}"),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": record["invokeIdentityArn"],
            "awsRegion": "us-east-1",
            "eventSourceARN": arn,
        })
    );
    assert!(record["invokeIdentityArn"].is_string());
}

fn changes_member_by_member(records: &[Value], arn: &str) {
    let rich = value!({
        "item": {"S": "one"}, "text": {"S": "ä \"quoted\" \u{2028}"}, "number": {"N": "123.45"},
        "large": {"N": "12345678901234567890123456789012345678"}, "bytes": {"B": "AP8="}, "yes": {"BOOL": true},
        "nothing": {"NULL": true}, "texts": {"SS": ["a", "b"]}, "numbers": {"NS": ["1", "2.5"]},
        "blobs": {"BS": ["AA==", "AQ=="]},
        "list": {"L": [{"N": "1"}, {"M": {"deep": {"L": [{"B": "Ag=="}]}}}]}, "map": {"M": {"a": {"S": "b"}}},
    });
    let poor = value!({"item": {"S": "one"}});
    let names: Vec<&Value> = records.iter().map(|r| &r["eventName"]).collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"], "{records:?}");
    let images = [
        (Some(&rich), None),
        (Some(&poor), Some(&rich)),
        (None, Some(&poor)),
    ];
    for (record, (new, old)) in records.iter().zip(images) {
        let change = &record["dynamodb"];
        let mut want = value!({
            "ApproximateCreationDateTime": change["ApproximateCreationDateTime"],
            "Keys": {"item": {"S": "one"}},
            "SequenceNumber": change["SequenceNumber"],
            "SizeBytes": change["SizeBytes"],
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        });
        for (name, image) in [("NewImage", new), ("OldImage", old)] {
            if let Some(image) = image {
                want[name] = normalized(image);
            }
        }
        let mut found = change.clone();
        for name in ["NewImage", "OldImage"] {
            if let Some(image) = found.get_mut(name) {
                *image = normalized(image);
            }
        }
        assert_eq!(found, want);
        assert!(change["ApproximateCreationDateTime"].is_number(), "{change}");
        assert!(change["SequenceNumber"].is_string(), "{change}");
        let mut around = record.clone();
        around["dynamodb"] = Value::Null;
        assert_eq!(
            around,
            value!({
                "eventID": record["eventID"], "eventName": record["eventName"], "eventVersion": "1.1",
                "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "dynamodb": null, "eventSourceARN": arn,
            })
        );
    }
}

/// Sets have no order, and the server may write a number in another way.
fn normalized(image: &Value) -> Value {
    let mut image = image.clone();
    for name in ["texts", "numbers", "blobs"] {
        let Some(set) = image.get_mut(name).and_then(Value::as_object_mut) else {
            continue;
        };
        for members in set.values_mut() {
            let mut sorted: Vec<Value> = members.as_array().cloned().unwrap_or_default();
            sorted.sort_by_key(|v| v.as_str().map(str::to_owned));
            *members = sorted.into();
        }
    }
    if image["number"]["N"] == "123.450" {
        image["number"]["N"] = value!("123.45");
    }
    image
}
