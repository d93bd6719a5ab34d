//! A server elsewhere as the function of a mapping.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use millstream::{HttpReach, Millstream, Shutdown, StartError};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as the server saw it: attempt, idempotency key, sequence numbers.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    attempt: String,
    key: String,
    ids: Vec<String>,
}

/// Answers the `n`-th request as `answer` says.
async fn server<F>(answer: F) -> (String, Arc<Mutex<Vec<Seen>>>)
where
    F: Fn(usize, &Seen) -> (StatusCode, String) + Send + Sync + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let (all, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
    let seen = all.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answer) = (seen.clone(), answer.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, answer) = (seen.clone(), answer.clone());
                async move {
                    let text = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
                    let (attempt, key) = (text("millstream-attempt"), text("idempotency-key"));
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let event: Value = serde_json::from_slice(&body).unwrap();
                    let id = |r: &Value| r["kinesis"]["sequenceNumber"].as_str().unwrap().to_owned();
                    let ids = event["Records"].as_array().unwrap().iter().map(id).collect();
                    let one = Seen { attempt, key, ids };
                    let n = {
                        let mut all = seen.lock().unwrap();
                        all.push(one.clone());
                        all.len()
                    };
                    let (status, body) = answer(n, &one);
                    let answer = Response::builder()
                        .status(status)
                        .body(Full::new(Bytes::from(body)));
                    Ok::<_, Infallible>(answer.unwrap())
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (url, all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_handled_by_a_server_elsewhere() {
    // The first batch of three is refused for want of capacity, then fails, then fails from its second record on.
    let (url, seen) = server(|n, seen| match n {
        1 => (StatusCode::SERVICE_UNAVAILABLE, "busy".to_owned()),
        2 => (StatusCode::INTERNAL_SERVER_ERROR, "boom".to_owned()),
        3 => {
            let failed = format!(
                r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#,
                seen.ids[1]
            );
            (StatusCode::OK, failed)
        }
        _ => (StatusCode::OK, String::new()),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let declare = || {
        Millstream::builder()
            .data_dir(dir.path())
            .stream("orders", 1)
            .http_function("bill", &url)
    };
    let running = declare().start().await.unwrap();
    let records = (0..3).map(|n| ("key", n.to_string()));
    let receipts = running.put_many("orders", records).await.unwrap();
    let ids: Vec<String> = receipts.into_iter().map(|r| r.unwrap().seq.to_string()).collect();
    running.shutdown().await;

    let running = declare()
        .mapping("billing", |m| {
            m.stream("orders")
                .function("bill")
                .report_batch_item_failures(true)
        })
        .start()
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(60), running.wait_until_idle("billing"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(running.shutdown().await, Shutdown::Drained);

    let seen = seen.lock().unwrap();
    let attempts: Vec<(&str, &[String])> = seen.iter().map(|s| (s.attempt.as_str(), &s.ids[..])).collect();
    let all = &ids[..];
    // The 503 cost no attempt, the 500 did; what was reported comes again from there on, as a batch of its own.
    assert_eq!(attempts[..3], [("1", all), ("1", all), ("2", all)]);
    assert_eq!(attempts[3].1, &ids[1..]);
    assert_eq!(attempts.len(), 4);
    assert!(seen[..3].iter().all(|s| s.key == seen[0].key), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_breaks_the_rules_is_told_and_one_that_may_not_be_called_waits() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Millstream::builder()
        .data_dir(dir.path())
        .http_function("bill", "http://169.254.169.254/")
        .start()
        .await;
    let Err(StartError::Function { source, .. }) = refused else {
        panic!()
    };
    assert!(source.to_string().contains("link-local"), "{source}");

    let running = Millstream::builder()
        .data_dir(dir.path())
        .options(|options| options.http.reach = HttpReach::PublicOnly)
        .http_function("bill", "http://127.0.0.1:9/")
        .start()
        .await
        .unwrap();
    let name = "bill".parse().unwrap();
    let call = async || {
        let called = running
            .manager()
            .invoke_function(running.namespace(), &name, Bytes::new(), Duration::from_secs(9))
            .await;
        called.unwrap_err().to_string()
    };
    // A function that was just declared is taken up a moment later.
    let taken_up = async {
        loop {
            let why = call().await;
            if !why.contains("does not exist") {
                return why;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let why = tokio::time::timeout(Duration::from_secs(60), taken_up)
        .await
        .unwrap();
    assert!(why.contains("127.0.0.1 is not a public address"), "{why}");
    running.shutdown().await;
}
