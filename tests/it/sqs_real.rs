//! Mappings of queues that are not ours: of a server that speaks SQS' protocol (ministack), sent to with AWS's own client.

use crate::cli::{fails, ok};
use crate::client::{Client, NAMESPACE, test_function};
use crate::foreign::python;
use crate::function::{Call, calls};
use crate::ministack::{ACCOUNT, Ministack, arn};
use crate::server::{Server, Settings};
use crate::wait::{SOON, until};
use millstream_api::v1;
use nix::sys::signal::Signal;
use serde_json::{Value, json as value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The queues' visibility timeout in s; the function's timeout is no longer.
const VISIBILITY: &str = "20";
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A queue that is gone is looked for at first every 10 seconds, then ever less often, up to every 75.
const FOUND_AGAIN: Duration = Duration::from_secs(180);

/// A server of ours beside one of queues, with the test function.
struct Scene {
    server: Server,
    client: Client,
    sqs: Ministack,
    journal: PathBuf,
}

impl Scene {
    async fn set() -> Self {
        let sqs = Ministack::start().await;
        let settings = sqs.settings();
        Self::with(sqs, settings).await
    }

    async fn with(sqs: Ministack, settings: Settings) -> Self {
        let server = Server::start_with(settings).await;
        let (client, journal) = (server.client(), server.dir().join("calls"));
        let command = test_function(&journal, "id");
        client.create_function("f", &command, FUNCTION_TIMEOUT, 4).await;
        Self {
            server,
            client,
            sqs,
            journal,
        }
    }

    async fn queue(&self, name: &str) {
        self.sqs.sqs(&["create", name, VISIBILITY]).await;
    }

    async fn map(&self, queue: &str, name: &str) {
        self.map_to("f", queue, name).await;
    }

    async fn map_to(&self, function: &str, queue: &str, name: &str) {
        let mapping = v1::Mapping {
            source_arn: arn(queue),
            function: function.to_owned(),
            function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
            ..Default::default()
        };
        self.client.create_mapping(name, mapping).await;
    }

    /// Waits until so many different records are done, and for the calls that did it.
    async fn done(&self, records: usize) -> Vec<Call> {
        until("the messages to be done", FOUND_AGAIN, async || {
            let calls = calls(&self.journal);
            let done: BTreeSet<&String> = calls.iter().flat_map(Call::done).collect();
            (done.len() >= records).then_some(calls)
        })
        .await
    }

    /// Waits until a mapping says so, or no more, that its source cannot be read; what it says.
    async fn unavailable(&self, mapping: &str, is: bool) -> String {
        until("the condition of the mapping", FOUND_AGAIN, async || {
            let mapping = self.client.mapping(mapping).await.ok()?;
            let mut found = mapping
                .conditions
                .into_iter()
                .filter(|c| c.r#type == "SourceUnavailable");
            match found.next() {
                Some(condition) if is => Some(condition.message),
                None if !is => Some(mapping.last_processing_result),
                _ => None,
            }
        })
        .await
    }

    async fn make(&self, arn: &str, function: &str) -> Value {
        make(&self.server, arn, function).await
    }
}

/// Asks the AWS-shaped door for a mapping, with AWS's own client.
pub(crate) async fn make(server: &Server, arn: &str, function: &str) -> Value {
    let mut make = Command::new(python());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/aws_make.py");
    make.arg(script)
        .args([arn, function])
        .env(
            "AWS_ENDPOINT_URL_LAMBDA",
            format!("http://{}", server.aws_address()),
        )
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", server.dir())
        .kill_on_drop(true);
    let output = timeout(3 * SOON, make.output())
        .await
        .expect("it takes too long")
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_handled_once_and_deleted_and_groups_keep_their_order() {
    let scene = Scene::set().await;
    scene.queue("jobs").await;
    scene.queue("jobs.fifo").await;
    scene.map("jobs", "standard").await;
    let source = arn("jobs.fifo");
    let create = [
        "mapping",
        "create",
        "fifo",
        "--source-arn",
        &source,
        "--function",
        "f",
    ];
    ok(&scene.server, &create).await;
    let texts: Vec<String> = (0..60).map(|n| format!("s{n}")).collect();
    let grouped: Vec<String> = (0..60)
        .map(|n| format!("{}{:03}", ["a", "b", "c"][n % 3], n))
        .collect();
    for (queue, texts) in [("jobs", &texts), ("jobs.fifo", &grouped)] {
        let send = ["bodies", queue]
            .into_iter()
            .chain(texts.iter().map(String::as_str));
        scene.sqs.sqs(&send.collect::<Vec<_>>()).await;
    }
    let calls = scene.done(120).await;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in calls.iter().flat_map(|call| &call.records) {
        *times.entry(record).or_default() += 1;
        if !record.starts_with('s') {
            groups.entry(&record[..1]).or_default().push(record);
        }
    }
    let all: BTreeSet<&str> = texts.iter().chain(&grouped).map(String::as_str).collect();
    assert_eq!(times.keys().copied().collect::<BTreeSet<_>>(), all);
    assert!(times.values().all(|n| *n == 1), "{times:?}");
    for (group, records) in groups {
        assert!(records.is_sorted() && records.len() == 20, "{group}: {records:?}");
    }
    scene.sqs.empty("jobs").await;
    scene.sqs.empty("jobs.fifo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_have_all_members_of_awss_events() {
    let scene = Scene::set().await;
    let journal = scene.server.dir().join("events");
    create_events_function(&scene.client, &journal).await;
    for queue in ["jobs", "jobs.fifo"] {
        scene.queue(queue).await;
        let made = scene.make(&arn(queue), "events").await;
        assert_eq!(made["arn"], value!(arn(queue)), "{made}");
        let said = &scene.sqs.sqs(&["full", queue]).await[0];
        let event = until("the event", 2 * SOON, async || {
            let text = std::fs::read_to_string(&journal).unwrap_or_default();
            let mut events = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            events.find(|event| event["Records"][0]["eventSourceARN"] == value!(arn(queue)))
        })
        .await;
        let record = event["Records"][0].clone();
        let is_time = |name: &str| {
            let text = record["attributes"][name].as_str().unwrap();
            assert!(
                text.len() == 13 && text.bytes().all(|c| c.is_ascii_digit()),
                "{name}: {text}"
            );
            text.to_owned()
        };
        let mut attributes = value!({
            "ApproximateReceiveCount": "1",
            "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "SentTimestamp": is_time("SentTimestamp"),
            "SenderId": ACCOUNT,
            "ApproximateFirstReceiveTimestamp": is_time("ApproximateFirstReceiveTimestamp"),
        });
        if queue == "jobs.fifo" {
            attributes["SequenceNumber"] = said["SequenceNumber"].clone();
            attributes["MessageGroupId"] = value!("group");
            attributes["MessageDeduplicationId"] = value!("once");
        }
        let attribute = |kind: &str, name: &str, text: &str| value!({name: text, "stringListValues": [], "binaryListValues": [], "dataType": kind});
        let want = value!({"Records": [{
            "messageId": said["MessageId"],
            "receiptHandle": record["receiptHandle"],
            "body": "{\"text\": \"ä\"}",
            "attributes": attributes,
            "messageAttributes": {
                "n": attribute("Number", "stringValue", "12.5"),
                "s": attribute("String.label", "stringValue", "text"),
                "b": attribute("Binary", "binaryValue", "AP8="),
            },
            "md5OfMessageAttributes": said["MD5OfMessageAttributes"],
            "md5OfBody": said["MD5OfMessageBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": arn(queue),
            "awsRegion": "us-east-1",
        }]});
        assert!(record["receiptHandle"].is_string());
        assert_eq!(event, want);
    }
}

/// A function of Python that writes down every event, as it came.
pub(crate) async fn create_events_function(client: &Client, journal: &Path) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let handler = ["-m", "awslambdaric", "events_app.handler"].map(str::to_owned);
    let variables = [
        ("JOURNAL", text(journal)),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ];
    let target = v1::ProcessTarget {
        command: std::iter::once(text(&python())).chain(handler).collect(),
        working_dir: text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("python")),
        env: variables.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        init_timeout: Some(SOON.try_into().unwrap()),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: "events".to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(target)),
            timeout: Some(FUNCTION_TIMEOUT.try_into().unwrap()),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.functions.clone().create_function(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_reference_the_default_chain_is_asked_for_credentials_and_for_nothing_else() {
    let sqs = Ministack::start().await;
    let connections = format!("[{{match: '{}', endpoint_url: '{}'}}]", arn("*"), sqs.url);
    let variables = [
        ("MILLSTREAM_CONNECTIONS", connections.as_str()),
        ("AWS_ACCESS_KEY_ID", ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9"),
        ("AWS_REGION", "nowhere-1"),
    ];
    let settings = Settings {
        env: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        ..Settings::default()
    };
    let scene = Scene::with(sqs, settings).await;
    scene.queue("jobs").await;
    scene.map("jobs", "m").await;
    scene.sqs.sqs(&["bodies", "jobs", "a"]).await;
    scene.done(1).await;
    scene.sqs.empty("jobs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_partial_response_lists_comes_again_and_the_rest_does_not() {
    let scene = Scene::set().await;
    scene.sqs.sqs(&["create", "jobs", "10"]).await;
    let flag = scene.server.dir().join("flag");
    let failing = format!("b report {}", flag.display());
    scene.sqs.sqs(&["bodies", "jobs", "a", &failing, "c"]).await;
    scene.map("jobs", "m").await;
    scene.done(2).await;
    std::fs::write(flag, "").unwrap();
    let calls = scene.done(3).await;
    let times = |id: &str| {
        calls
            .iter()
            .filter(|call| call.records.iter().any(|r| r == id))
            .count()
    };
    assert_eq!((times("a"), times("c")), (1, 1), "{calls:?}");
    assert!(times("b") >= 2, "{calls:?}");
    scene.sqs.empty("jobs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_mapped_is_refused_at_every_door_in_awss_words() {
    let scene = Scene::set().await;
    scene.sqs.sqs(&["create", "short", "9"]).await;
    let short = "Queue visibility timeout: 9 seconds is less than Function timeout: 10 seconds";
    let missing = "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
                   Message: The specified queue does not exist.";
    let elsewhere = "arn:aws:sqs:us-east-1:999999999999:jobs".to_owned();
    let unserved = "no connection serves arn:aws:sqs:us-east-1:999999999999:jobs: add one to `connections`";
    for (source, text) in [
        (arn("short"), short),
        (arn("none"), missing),
        (elsewhere, unserved),
    ] {
        let refused = scene.make(&source, "f").await;
        assert_eq!(refused["code"], "InvalidParameterValueException", "{refused}");
        assert!(refused["message"].as_str().unwrap().contains(text), "{refused}");
        let create = [
            "mapping",
            "create",
            "m",
            "--source-arn",
            &source,
            "--function",
            "f",
        ];
        let (_, said) = fails(&scene.server, &create).await;
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&said).contains(text), "{said}");
    }
    // The same as soon as the queue allows it.
    scene.sqs.sqs(&["change", "short", "VisibilityTimeout=10"]).await;
    until("the mapping to be made", SOON, async || {
        scene.make(&arn("short"), "f").await["uuid"]
            .is_string()
            .then_some(())
    })
    .await;
}

/// As AWS has it: messages of a queue are for whoever receives them first, and one function may have a queue once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_one_queue_share_its_messages_and_none_has_it_twice() {
    let scene = Scene::set().await;
    let journals = ["one", "other"].map(|function| scene.server.dir().join(function));
    for queue in ["jobs", "jobs.fifo"] {
        scene.queue(queue).await;
    }
    for (function, journal) in ["one", "other"].into_iter().zip(&journals) {
        let mut command = test_function(journal, "id");
        // Slower than the queue, so that neither takes everything.
        command.push("50".to_owned());
        scene
            .client
            .create_function(function, &command, FUNCTION_TIMEOUT, 2)
            .await;
        scene
            .map_to(function, "jobs", &format!("{function}-standard"))
            .await;
        scene
            .map_to(function, "jobs.fifo", &format!("{function}-fifo"))
            .await;
    }
    let refused = scene.make(&arn("jobs"), "one").await;
    assert_eq!(refused["code"], "ResourceConflictException", "{refused}");
    let mut sent = BTreeSet::new();
    for (queue, groups) in [("jobs", "s"), ("jobs.fifo", "abcdefgh")] {
        let shared = until("both to get messages", FOUND_AGAIN, async || {
            let texts = (0..40).map(|n| {
                let (group, n) = (n % groups.len(), sent.len() + n);
                format!("{}{n:05}", &groups[group..=group])
            });
            let texts: Vec<String> = texts.collect();
            let send = ["bodies", queue]
                .into_iter()
                .chain(texts.iter().map(String::as_str));
            scene.sqs.sqs(&send.collect::<Vec<_>>()).await;
            sent.extend(texts);
            scene.sqs.empty(queue).await;
            let is_of = |record: &String| groups.contains(&record[..1]);
            let got = |journal| calls(journal).iter().any(|call| call.records.iter().any(is_of));
            journals.iter().all(|journal| got(journal)).then_some(())
        });
        shared.await;
    }
    let mut all: Vec<Call> = journals.iter().flat_map(|journal| calls(journal)).collect();
    all.sort_by_key(|call| call.began);
    let handled: Vec<&String> = all.iter().flat_map(Call::done).collect();
    assert_eq!(handled.len(), sent.len(), "each by one function, once");
    assert_eq!(handled.iter().copied().cloned().collect::<BTreeSet<_>>(), sent);
    for group in "abcdefgh".chars() {
        let of_group = handled.iter().filter(|record| record.starts_with(group));
        assert!(of_group.is_sorted(), "group {group}: {handled:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_and_made_again_is_found_again() {
    let scene = Scene::set().await;
    scene.queue("jobs").await;
    scene.map("jobs", "m").await;
    scene.sqs.sqs(&["bodies", "jobs", "a"]).await;
    scene.done(1).await;
    scene.sqs.sqs(&["delete", "jobs"]).await;
    let told = scene.unavailable("m", true).await;
    assert!(told.contains("The specified queue does not exist."), "{told}");
    scene.queue("jobs").await;
    scene.sqs.sqs(&["bodies", "jobs", "b"]).await;
    scene.done(2).await;
    scene.unavailable("m", false).await;
    scene.sqs.empty("jobs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_queues_that_hangs_is_told_and_used_again() {
    let scene = Scene::set().await;
    scene.queue("jobs").await;
    scene.map("jobs", "m").await;
    scene.sqs.sqs(&["bodies", "jobs", "a"]).await;
    scene.done(1).await;
    scene.sqs.signal(Signal::SIGSTOP);
    let told = scene.unavailable("m", true).await;
    println!("told: {told}");
    scene.sqs.signal(Signal::SIGCONT);
    scene.unavailable("m", false).await;
    scene.sqs.sqs(&["bodies", "jobs", "b", "c"]).await;
    let calls = scene.done(3).await;
    let records: BTreeSet<_> = calls.iter().flat_map(|c| c.records.clone()).collect();
    assert_eq!(records.len(), 3, "{calls:?}");
    scene.sqs.empty("jobs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_mapping_has_one_long_poll_on_its_way() {
    let scene = Scene::set().await;
    for queue in ["jobs", "jobs.fifo"] {
        scene.queue(queue).await;
        scene
            .map(queue, if queue == "jobs" { "standard" } else { "fifo" })
            .await;
    }
    let inspected = async |mapping: &str| {
        let queue = scene
            .client
            .inspect(mapping)
            .await
            .unwrap()
            .queue
            .unwrap_or_default();
        let polls = queue.counters.unwrap_or_default().empty_receives;
        (queue.requests_last_hour, polls, queue.slots.len())
    };
    for mapping in ["standard", "fifo"] {
        // The second empty answer: whatever began with more polls has come down.
        let before = until("an empty poll", 2 * SOON, async || {
            Some(inspected(mapping).await).filter(|(_, polls, _)| *polls >= 1)
        })
        .await;
        let after = until("another empty poll", 2 * SOON, async || {
            Some(inspected(mapping).await).filter(|(_, polls, _)| *polls > before.1)
        })
        .await;
        println!(
            "{mapping}: {} requests while one poll of 20 s went by, {} at once",
            after.0 - before.0,
            after.2
        );
        assert_eq!(
            after.0 - before.0,
            after.1 - before.1,
            "one request for each poll"
        );
        assert_eq!(after.2, 1, "one at a time");
    }
}
