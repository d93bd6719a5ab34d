//! Functions and failure destinations that are not ours: of a server that speaks the protocols of Lambda, SQS, SNS and S3
//! (ministack), made and read with AWS's own clients.

use crate::cli::{fails, json, ok};
use crate::ministack::{ACCOUNT, Ministack};
use crate::server::Server;
use crate::wait::{SOON, until};
use serde_json::{Value, json as value};
use std::path::PathBuf;

/// A server of ours beside the other, where the function `orders` is, with the alias `live`.
struct Scene {
    server: Server,
    aws: Ministack,
    notes: PathBuf,
}

impl Scene {
    async fn set() -> Self {
        let aws = Ministack::start().await;
        let server = Server::start_with(aws.settings_of_all()).await;
        let notes = server.dir().join("notes");
        aws.things(&["function", "orders", "2", notes.to_str().unwrap()])
            .await;
        Self { server, aws, notes }
    }

    async fn run(&self, line: &str) -> String {
        ok(&self.server, &line.split(' ').collect::<Vec<_>>()).await
    }

    /// What the function noted: as what it was called, and the event.
    fn noted(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(&self.notes).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
}

/// What Lambda answers to a call, as its users see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_of_lambda_answers_fails_times_out_and_is_throttled() {
    let scene = Scene::set().await;
    let server = &scene.server;
    let arn = function_arn("orders");
    scene
        .run(&format!(
            "function create whole --lambda {arn}:live --timeout 10s"
        ))
        .await;
    scene.run("function create named --lambda orders:1").await;
    let shown = json(server, &["function", "get", "whole"]).await;
    assert_eq!(shown["lambda"], value!({"function": format!("{arn}:live")}));
    let table = scene.run("function list").await;
    assert!(table.contains("lambda orders:1"), "{table}");

    for (name, called) in [("whole", format!("{arn}:live")), ("named", format!("{arn}:1"))] {
        let before = scene.noted().len();
        let out = ok(server, &["function", "invoke", name, "-p", r#"{"do":"well"}"#]).await;
        assert_eq!(out.trim(), r#"{"batchItemFailures": []}"#);
        assert_eq!(scene.noted()[before..], [(called, value!({"do": "well"}))]);
    }
    for (event, parts) in [
        (r#"{"do":"bad"}"#, &["RAISED: boom"][..]),
        (
            r#"{"do":"sleep"}"#,
            &["TIMEOUT", "Task timed out after 2.00 seconds"],
        ),
        (
            r#"{"do":"long"}"#,
            &["RESPONSE_TOO_LARGE", "Function.ResponseSizeTooLarge"],
        ),
    ] {
        let (code, said) = fails(server, &["function", "invoke", "whole", "-p", event]).await;
        assert!(
            code != 0 && parts.iter().all(|part| said.contains(part)),
            "{event}: {said}"
        );
    }
    let longest = ok(
        server,
        &["function", "invoke", "whole", "-p", r#"{"do":"longest"}"#],
    )
    .await;
    assert_eq!(longest.trim_end().len(), 6_291_556);

    scene.aws.things(&["limit", "orders", "0"]).await;
    // The server limits a function by its name, and not by its alias.
    scene.run("function create plain --lambda orders").await;
    let (_, said) = fails(server, &["function", "invoke", "plain"]).await;
    assert!(said.contains("no capacity now"), "{said}");
    scene.run("function create gone --lambda nothing").await;
    let (_, said) = fails(server, &["function", "invoke", "gone"]).await;
    assert!(
        said.contains("the function does not exist: ResourceNotFoundException"),
        "{said}"
    );
}

/// A throttle is no attempt: nothing is given up though there is no retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_waits_for_a_function_that_is_throttled() {
    let scene = Scene::set().await;
    scene.aws.things(&["limit", "orders", "0"]).await;
    for line in [
        "stream create s",
        "function create f --lambda orders",
        "mapping create m --stream s --function f --from trim --max-retries 0",
        "stream put s --key a well",
    ] {
        scene.run(line).await;
    }
    until("the mapping to be throttled", SOON, async || {
        let shown = scene.run("mapping describe m").await;
        let throttled = shown.contains(" throttled;") && !shown.contains(" 0 throttled;");
        throttled.then_some(())
    })
    .await;
    scene.aws.things(&["limit", "orders", "none"]).await;
    scene.run("mapping wait m --for idle").await;
    let noted = scene.noted();
    assert_eq!(noted.len(), 1, "{noted:?}");
    let given_up = scene.server.client().given_up("m").await;
    assert!(given_up.is_empty(), "{given_up:?}");
}

/// Functions that are not registered here, by the names that Lambda takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_names_a_function_of_lambda_that_is_not_registered() {
    let scene = Scene::set().await;
    let server = &scene.server;
    let arn = function_arn("orders");
    scene.run("stream create s").await;
    let refused = async |line: &str, part: &str| {
        let (code, said) = fails(server, &line.split(' ').collect::<Vec<_>>()).await;
        assert!(code != 0 && said.contains(part), "{line}: {said}");
    };
    for name in ["nothing", "orders:dead", &function_arn("nothing")] {
        let line = format!("mapping create m --stream s --from trim --function {name}");
        refused(&line, "Function does not exist: GetFunctionConfiguration").await;
    }
    // Its timeout is two seconds.
    scene.run("queue create hasty --visibility-timeout 1s").await;
    refused(
        "mapping create m --queue hasty --function orders:live",
        "Queue visibility timeout: 1 seconds is less than Function timeout: 2 seconds",
    )
    .await;

    let whole = format!("{arn}:live");
    let names = [("bare", "orders"), ("version", "orders:1"), ("whole", &whole)];
    for (mapping, function) in names {
        let line = format!(
            "mapping create {mapping} --stream s --function {function} --from trim --max-retries 0 --paused"
        );
        scene.run(&line).await;
        let shown = json(server, &["mapping", "get", mapping]).await;
        assert_eq!(shown["function"], function);
        let qualifier = function.strip_prefix(&arn).unwrap_or(function).split_once(':');
        let expected = qualifier.map_or(arn.clone(), |(_, q)| format!("{arn}:{q}"));
        assert_eq!(shown["function_arn"], expected);
        let told = scene.run(&format!("mapping describe {mapping}")).await;
        assert!(told.contains(&expected), "{told}");
    }
    let again = format!("mapping create again --stream s --from trim --function {arn}");
    refused(&again, "provided mapping already exists").await;
    scene.run("stream put s --key a well").await;
    for (mapping, function) in names {
        let before = scene.noted().len();
        scene.run(&format!("mapping resume {mapping}")).await;
        scene.run(&format!("mapping wait {mapping} --for idle")).await;
        let noted = scene.noted();
        assert_eq!(noted.len(), before + 1, "{mapping}: {noted:?}");
        let (called, event) = &noted[before];
        let qualifier = function.strip_prefix(&arn).unwrap_or(function).split_once(':');
        let expected = qualifier.map_or(arn.clone(), |(_, q)| format!("{arn}:{q}"));
        assert_eq!(*called, expected);
        assert_eq!(
            event["Records"][0]["invokeIdentityArn"],
            "arn:aws:iam::123456789012:role/orders"
        );
    }
    scene.run("stream put s --key a bad").await;
    let given_up = until("the record to be given up", SOON, async || {
        server.client().given_up("whole").await.into_iter().next()
    })
    .await;
    assert_eq!(given_up.function_arn, whole);
}

/// One record that fails, told to a queue, a topic and a bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_of_lambda_cannot_do_is_told_to_a_queue_a_topic_and_a_bucket() {
    let scene = Scene::set().await;
    let aws = &scene.aws;
    let dead = aws.things(&["queue", "dead"]).await;
    let heard = aws.things(&["queue", "heard"]).await;
    let topic = aws.things(&["topic", "failed", heard[0].as_str().unwrap()]).await;
    let bucket = aws.things(&["bucket", "failed-orders"]).await;
    scene.run("stream create s").await;
    let mut ids = Vec::new();
    for (name, destination) in [("queue", &dead), ("topic", &topic), ("bucket", &bucket)] {
        let destination = destination[0].as_str().unwrap();
        scene
            .run(&format!(
                "function create {name} --lambda orders:live --timeout 10s"
            ))
            .await;
        scene
            .run(&format!(
                "mapping create {name} --stream s --function {name} --from trim --max-retries 0 --on-failure {destination}"
            ))
            .await;
        let made = json(&scene.server, &["mapping", "get", name]).await;
        ids.push(made["uid"].as_str().unwrap().to_owned());
    }
    scene.run("stream put s --key a well").await;
    scene.run("mapping wait queue --for idle").await;
    scene.run("stream put s --key a bad").await;

    let queued = aws.things(&["bodies", "dead"]).await;
    let published = aws.things(&["bodies", "heard"]).await;
    let stored = aws.things(&["objects", "failed-orders"]).await;
    assert_eq!((queued.len(), published.len(), stored.len()), (1, 1, 1));
    told("queue", queued[0].as_str().unwrap(), None);
    told("topic", published[0].as_str().unwrap(), None);
    let [key, kind, text] = [0, 1, 2].map(|n| stored[0][n].as_str().unwrap());
    assert_eq!(kind, "application/octet-stream");
    let bad = scene
        .noted()
        .into_iter()
        .map(|(_, event)| event)
        .find(|event| event["Records"][0]["kinesis"]["data"] == "YmFk");
    let document = told("bucket", text, bad);
    let at = document["timestamp"].as_str().unwrap();
    let (day, time) = (&at[..10], at[11..19].replace(':', "."));
    let [year, month, date] = [&day[..4], &day[5..7], &day[8..]];
    let id = &ids[2];
    let start = format!("aws/lambda/{id}/shardId-000000000000/{year}/{month}/{date}/{day}T{time}-");
    let random = key
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{key}, wanted {start}…"));
    assert_eq!(random.len(), 36, "{key}");
}

/// Checks a failure document member by member, as section 9 of the semantics has them, in that order; what it is.
fn told(function: &str, text: &str, payload: Option<Value>) -> Value {
    let mut document: Value = serde_json::from_str(text).unwrap();
    let whole = document.clone();
    let names = [
        "requestContext",
        "requestId",
        "functionArn",
        "condition",
        "approximateInvokeCount",
        "responseContext",
        "statusCode",
        "executedVersion",
        "functionError",
        "version",
        "payload",
        "timestamp",
        "KinesisBatchInfo",
        "shardId",
        "startSequenceNumber",
        "endSequenceNumber",
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
        "batchSize",
        "streamArn",
    ];
    let places: Vec<usize> = names
        .iter()
        .filter(|name| payload.is_some() || **name != "payload")
        .map(|name| {
            text.find(&format!("\"{name}\":"))
                .unwrap_or_else(|| panic!("no {name} in {text}"))
        })
        .collect();
    assert!(places.is_sorted(), "{text}");
    let mut take = |path: &str| {
        let taken = document
            .pointer_mut(path)
            .unwrap_or_else(|| panic!("no {path} in {text}"));
        taken.take().as_str().map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(take("/requestContext/requestId").len(), 36);
    for path in [
        "/timestamp",
        "/KinesisBatchInfo/approximateArrivalOfFirstRecord",
        "/KinesisBatchInfo/approximateArrivalOfLastRecord",
    ] {
        let time = take(path);
        assert!(
            time.len() == "2026-01-01T00:00:00.123Z".len() && time.ends_with('Z'),
            "{time}"
        );
    }
    let [first, last] = [
        "/KinesisBatchInfo/startSequenceNumber",
        "/KinesisBatchInfo/endSequenceNumber",
    ]
    .map(&mut take);
    assert_eq!((first.len(), &first), (56, &last));
    if let Some(payload) = payload {
        let carried: Value = serde_json::from_str(&take("/payload")).unwrap();
        assert_eq!(carried, payload, "the event is carried as it was sent");
        document.as_object_mut().unwrap().remove("payload");
    }
    assert_eq!(
        document,
        value!({
            "requestContext": {
                "requestId": null,
                "functionArn": format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 1
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": null,
            "KinesisBatchInfo": {
                "shardId": "shardId-000000000000",
                "startSequenceNumber": null,
                "endSequenceNumber": null,
                "approximateArrivalOfFirstRecord": null,
                "approximateArrivalOfLastRecord": null,
                "batchSize": 1,
                "streamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"
            }
        })
    );
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_cannot_take_documents_are_refused_at_creation() {
    let scene = Scene::set().await;
    for line in ["stream create s", "function create f --lambda orders"] {
        scene.run(line).await;
    }
    for (destination, part) in [
        (
            format!("arn:aws:sqs:us-east-1:{ACCOUNT}:nothing"),
            "The specified queue does not exist",
        ),
        (format!("arn:aws:sns:us-east-1:{ACCOUNT}:nothing"), "NotFound"),
        ("arn:aws:s3:::nothing-here".to_owned(), "there is no such bucket"),
        (
            format!("arn:aws:sqs:us-east-1:{ACCOUNT}:dead.fifo"),
            "not a FIFO queue",
        ),
        (
            format!("arn:aws:sns:us-east-1:{ACCOUNT}:dead.fifo"),
            "not a FIFO topic",
        ),
        (
            "arn:aws:sns:us-east-1:999999999999:failed".to_owned(),
            "no connection serves",
        ),
        (
            format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/dead"),
            "not a stream elsewhere",
        ),
        (
            format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"),
            "not an ARN of a failure destination",
        ),
    ] {
        let line = format!("mapping create m --stream s --function f --from trim --on-failure {destination}");
        let (code, said) = fails(&scene.server, &line.split(' ').collect::<Vec<_>>()).await;
        assert!(code != 0 && said.contains(part), "{destination}: {said}");
    }
}
