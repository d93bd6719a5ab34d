//! Connections that are kept, and those that were kept too long.

use super::server::{Seen, Server, request, say};
use super::{event, failure, invoker, returned};
use crate::rig::until;
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use millstream_types::Outcome;
use millstream_types::invocation::FunctionErrorKind::{Disconnected, Raised};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn calls_in_a_row_share_a_connection() {
    let server = Server::hyper(|request| {
        let status = match &request.body()[..] {
            b"busy" => StatusCode::TOO_MANY_REQUESTS,
            b"bad" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        };
        let body = Full::new(Bytes::from_static(b"ok"));
        Response::builder().status(status).body(body).unwrap()
    })
    .await;
    let invoker = invoker(&server.url("/"));
    for _ in 0..20 {
        assert_eq!(invoker.invoke(event("{}")).await, returned("ok"));
        assert_eq!(
            invoker.invoke(event("busy")).await,
            Outcome::Throttled { retry_after: None }
        );
        failure(invoker.invoke(event("bad")).await, Raised, "Http.500");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn calls_at_once_have_a_connection_each_and_no_more() {
    let server = Server::hyper(|_| Response::new(Full::new(Bytes::from_static(b"ok")))).await;
    let invoker = invoker(&server.url("/"));
    for _ in 0..10 {
        for outcome in join_all((0..4).map(|_| invoker.invoke(event("{}")))).await {
            assert_eq!(outcome, returned("ok"));
        }
    }
    assert!((1..=4).contains(&server.accepted()), "{}", server.accepted());
}

#[tokio::test]
async fn a_connection_that_its_server_closed_is_replaced() {
    for said in [
        OK,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let server = Server::start(move |mut stream, _| async move {
            request(&mut stream).await;
            say(&mut stream, said).await;
        })
        .await;
        let invoker = invoker(&server.url("/"));
        for calls in 1..=10 {
            assert_eq!(invoker.invoke(event("{}")).await, returned("ok"));
            assert_eq!(server.accepted(), calls);
        }
    }
}

/// Keeps its first connection for one request; answers none of the second, and is then as `after` says.
async fn closes_on_the_second_request(requests: &Seen<(usize, Vec<u8>)>) -> Server {
    let requests = Arc::clone(requests);
    Server::start(move |mut stream, number| {
        let requests = Arc::clone(&requests);
        async move {
            while let Some(seen) = request(&mut stream).await {
                let of_this = {
                    let mut all = requests.lock().unwrap();
                    all.push((number, seen));
                    all.iter().filter(|(n, _)| *n == number).count()
                };
                if number == 1 && of_this == 2 {
                    return; // as if it had been closed before the request came
                }
                say(&mut stream, OK).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_request_that_met_the_close_of_a_kept_connection_is_sent_again_unchanged() {
    let requests = Seen::default();
    let server = closes_on_the_second_request(&requests).await;
    let invoker = invoker(&server.url("/"));
    for body in [r#"{"n":1}"#, r#"{"n":2}"#] {
        assert_eq!(invoker.invoke(event(body)).await, returned("ok"), "{body}");
    }
    let seen = requests.lock().unwrap();
    let connections: Vec<usize> = seen.iter().map(|(n, _)| *n).collect();
    assert_eq!(connections, [1, 1, 2]);
    assert_eq!(seen[1].1, seen[2].1, "the same request, headers included");
}

#[tokio::test]
async fn it_is_sent_again_once_only() {
    // Every connection takes one request well and dies of the next; new ones die of the first.
    let served = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&served);
    let server = Server::start(move |mut stream, number| {
        let served = Arc::clone(&counted);
        async move {
            while request(&mut stream).await.is_some() {
                if served.fetch_add(1, Ordering::SeqCst) > 0 {
                    return;
                }
                assert_eq!(number, 1);
                say(&mut stream, OK).await;
            }
        }
    })
    .await;
    let invoker = invoker(&server.url("/"));
    assert_eq!(invoker.invoke(event("{}")).await, returned("ok"));
    failure(
        invoker.invoke(event("{}")).await,
        Disconnected,
        "Http.Disconnected",
    );
    assert_eq!((served.load(Ordering::SeqCst), server.accepted()), (3, 2));
}

#[tokio::test]
async fn a_request_that_may_have_ended_the_server_counts() {
    // The second request is read whole, and then the server is gone: nothing accepts any more.
    let gone = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&gone);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        say(&mut stream, OK).await;
        request(&mut stream).await;
        drop(listener);
        seen.store(true, Ordering::SeqCst);
    });
    let invoker = invoker(&format!("http://{addr}/"));
    assert_eq!(invoker.invoke(event("{}")).await, returned("ok"));
    let error = failure(
        invoker.invoke(event("{}")).await,
        Disconnected,
        "Http.Disconnected",
    );
    assert!(error.message.contains("refused"), "{}", error.message);
    assert!(gone.load(Ordering::SeqCst));
    super::unreachable(invoker.invoke(event("{}")).await);
}

#[tokio::test]
async fn closing_closes_what_was_kept() {
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    let server = Server::start(move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            while request(&mut stream).await.is_some() {
                say(&mut stream, OK).await;
            }
            seen.store(true, Ordering::SeqCst);
        }
    })
    .await;
    let invoker = invoker(&server.url("/"));
    assert_eq!(invoker.invoke(event("{}")).await, returned("ok"));
    assert!(!ended.load(Ordering::SeqCst));
    invoker.close().await;
    until("the kept connection is closed", || ended.load(Ordering::SeqCst)).await;
    super::unreachable(invoker.invoke(event("{}")).await);
}
