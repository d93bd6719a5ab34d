//! The AWS-compatible API over TCP, with a client that writes its requests by hand.

use crate::fakes::{ORDERS, World};
use millstream_control::aws::{AccessKeys, AwsOptions, AwsServeError, AwsServer};
use millstream_types::Outcome;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

fn options(addr: [u8; 4]) -> AwsOptions {
    AwsOptions {
        addr: SocketAddr::from((addr, 0)),
        hosts: Vec::new(),
        keys: AccessKeys::default(),
        drain: Duration::from_secs(1),
    }
}

async fn start(world: &World) -> AwsServer {
    let server = AwsServer::start(
        options([127, 0, 0, 1]),
        world.manager.clone(),
        world.shutdown.clone(),
    );
    server.await.unwrap()
}

/// Status, head and body of an answer.
async fn call(server: &AwsServer, method: &str, path: &str, body: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (
        status,
        head.to_ascii_lowercase(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

/// Makes a mapping; its path.
async fn make(server: &AwsServer, function: &str) -> String {
    let body = json!({"EventSourceArn": ORDERS, "FunctionName": function, "StartingPosition": "LATEST"});
    let (status, _, made) = call(server, "POST", MAPPINGS, &body.to_string()).await;
    assert_eq!(status, 202, "{made}");
    format!("{MAPPINGS}/{}", made["UUID"].as_str().unwrap())
}

/// What names a function of Lambda is kept as it was given, and shown as the function's own ARN.
#[tokio::test]
async fn a_function_of_lambda_is_shown_and_listed_by_its_own_arn() {
    let world = World::start().await;
    world.make_function("f").await;
    let server = start(&world).await;
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:bill:live";
    let path = make(&server, "bill:live").await;
    let (status, _, shown) = call(&server, "GET", &path, "").await;
    assert_eq!((status, &shown["FunctionArn"]), (200, &json!(arn)));
    for (asked, found) in [
        ("bill:live", 1),
        (arn, 1),
        ("123456789012:function:bill:live", 1),
        ("bill", 0),
        ("f", 0),
    ] {
        let asked = asked.replace(':', "%3A");
        let (_, _, list) = call(&server, "GET", &format!("{MAPPINGS}?FunctionName={asked}"), "").await;
        let listed = list["EventSourceMappings"].as_array().map(Vec::len);
        assert_eq!(listed, Some(found), "{asked}: {list}");
    }
    let body = json!({"EventSourceArn": ORDERS, "FunctionName": arn, "StartingPosition": "LATEST"});
    let (status, _, refused) = call(&server, "POST", MAPPINGS, &body.to_string()).await;
    assert_eq!(status, 409, "{refused}");
    let body = json!({"EventSourceArn": ORDERS, "FunctionName": "bill:old", "StartingPosition": "LATEST"});
    let (status, _, refused) = call(&server, "POST", MAPPINGS, &body.to_string()).await;
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(
        status == 400 && message.starts_with("Function does not exist"),
        "{status}: {refused}"
    );
}

#[tokio::test]
async fn what_is_not_settled_is_in_use() {
    let world = World::start().await;
    world.make_function("f").await;
    let server = start(&world).await;
    let path = make(&server, "f").await;
    let (status, _, changed) = call(&server, "PUT", &path, r#"{"BatchSize":7}"#).await;
    assert_eq!((status, &changed["State"]), (202, &json!("Updating")));
    for (method, body, verb) in [("PUT", r#"{"BatchSize":8}"#, "update"), ("DELETE", "", "delete")] {
        let (status, head, refused) = call(&server, method, &path, body).await;
        let message = format!("Cannot {verb} the event source mapping because it is in use.");
        assert_eq!(
            (status, refused),
            (400, json!({"Type": "User", "Message": message}))
        );
        assert!(
            head.contains("x-amzn-errortype: resourceinuseexception"),
            "{head}"
        );
    }
    let (status, _, shown) = call(&server, "GET", &path, "").await;
    assert_eq!((status, &shown["BatchSize"]), (200, &json!(7)));
}

#[tokio::test]
async fn a_mapping_that_grpc_named_is_found_by_its_uuid() {
    let world = World::start().await;
    let made = world.make_mapping("named").await;
    let server = start(&world).await;
    let (status, _, shown) = call(&server, "GET", &format!("{MAPPINGS}/{}", made.uid), "").await;
    assert_eq!((status, &shown["UUID"]), (200, &json!(made.uid)));
    assert_eq!(
        call(&server, "GET", &format!("{MAPPINGS}/named"), "").await.0,
        404
    );
    let (_, _, listed) = call(&server, "GET", &format!("{MAPPINGS}/?FunctionName=named"), "").await;
    assert_eq!(listed["EventSourceMappings"][0]["UUID"], json!(made.uid));
    let (status, _, deleted) = call(&server, "DELETE", &format!("{MAPPINGS}/{}", made.uid), "").await;
    assert_eq!((status, &deleted["State"]), (202, &json!("Deleting")));
}

#[tokio::test]
async fn a_function_is_invoked_and_what_comes_of_it_is_told() {
    let world = World::start().await;
    world.make_function("f").await;
    let server = start(&world).await;
    let path = "/2015-03-31/functions/f/invocations";
    *world.live.outcome.lock().unwrap() = Some(Outcome::Response("[1]".into()));
    let (status, head, body) = call(&server, "POST", path, "{}").await;
    assert_eq!((status, body), (200, json!([1])));
    assert!(
        head.contains("x-amz-executed-version: $latest") && !head.contains("x-amz-function-error"),
        "{head}"
    );
    let after = Duration::from_secs(3);
    *world.live.outcome.lock().unwrap() = Some(Outcome::Timeout { after });
    let (status, head, body) = call(&server, "POST", path, "{}").await;
    assert_eq!(
        (status, &body["errorMessage"]),
        (200, &json!("Task timed out after 3.00 seconds"))
    );
    assert!(head.contains("x-amz-function-error: unhandled"), "{head}");
    *world.live.outcome.lock().unwrap() = Some(Outcome::Throttled {
        retry_after: Some(after),
    });
    let (status, head, body) = call(&server, "POST", path, "{}").await;
    assert_eq!((status, &body["retryAfterSeconds"]), (429, &json!("3")));
    assert!(head.contains("retry-after: 3"), "{head}");
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_stops() {
    let world = World::start().await;
    let outside = AwsServer::start(
        options([0, 0, 0, 0]),
        world.manager.clone(),
        CancellationToken::new(),
    )
    .await;
    assert!(matches!(outside, Err(AwsServeError::NotLoopback(_))));
    let server = start(&world).await;
    let addr = server.local_addr();
    let mut idle = TcpStream::connect(addr).await.unwrap();
    world.shutdown.cancel();
    server.stopped().await;
    assert!(TcpStream::connect(addr).await.is_err());
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
}
