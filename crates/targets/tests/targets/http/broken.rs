//! Connections that end where they should not.

use super::server::{Server, request, say};
use super::{event, event_of, failure, invoker, returned, try_invoker, unreachable};
use millstream_targets::{HttpOptions, HttpReach};
use millstream_types::invocation::FunctionErrorKind::{Disconnected, Garbage};
use std::net::TcpListener;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A URL at which nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[tokio::test]
async fn who_cannot_be_connected_to_is_unreachable() {
    let refused = unreachable(invoker(&nowhere()).invoke(event("{}")).await);
    assert!(refused.contains("refused"), "{refused}");
    let unknown = invoker("http://no-such-host.invalid:1234/")
        .invoke(event("{}"))
        .await;
    let unknown = unreachable(unknown);
    assert!(
        unknown.contains("no-such-host.invalid:1234: its name"),
        "{unknown}"
    );
    let only_public = HttpOptions {
        reach: HttpReach::PublicOnly,
        ..HttpOptions::default()
    };
    let server = Server::start(|_, _| async {}).await;
    let url = format!("http://localhost:{}/", server.addr.port());
    let checked = try_invoker(&url, only_public).unwrap().invoke(event("{}")).await;
    let checked = unreachable(checked);
    assert!(checked.contains("is not a public address"), "{checked}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn who_does_not_take_the_connection_is_unreachable() {
    // Nobody accepts, and the queue of a backlog of 0 is full after one: further connections hang.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(addr).await.unwrap();
    let options = HttpOptions {
        connect_wait: Duration::from_millis(200),
        ..HttpOptions::default()
    };
    let outcome = try_invoker(&format!("http://{addr}/"), options)
        .unwrap()
        .invoke(event("{}"))
        .await;
    let reason = unreachable(outcome);
    assert!(reason.contains("within"), "{reason}");
}

#[tokio::test]
async fn who_closes_before_the_request_is_sent_is_unreachable() {
    // More than both ends' buffers take: it cannot all have been sent.
    let server = Server::start(|mut stream, _| async move {
        let mut some = [0; 1_000];
        stream.read_exact(&mut some).await.unwrap();
    })
    .await;
    let outcome = invoker(&server.url("/")).invoke(event_of(64 << 20)).await;
    let reason = unreachable(outcome);
    assert!(reason.contains("before it had the request"), "{reason}");
}

#[tokio::test]
async fn who_closes_once_the_request_is_sent_has_failed() {
    for (what, said, place) in [
        ("nothing", "", "without an answer"),
        ("half a status line", "HTTP/1.", "within the head"),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-le", "within the head"),
        (
            "no body",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n",
            "within its answer",
        ),
        (
            "half a body",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnu",
            "within its answer",
        ),
        (
            "half a chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nnu",
            "within its answer",
        ),
        (
            "no last chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nnull\r\n",
            "within its answer",
        ),
    ] {
        let server = Server::start(move |mut stream, _| async move {
            request(&mut stream).await;
            say(&mut stream, said).await;
        })
        .await;
        let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
        let error = failure(outcome, Disconnected, "Http.Disconnected");
        assert!(error.message.contains(place), "{what}: {}", error.message);
        assert_eq!(
            server.accepted(),
            1,
            "{what}: a new connection is not tried again"
        );
    }
}

#[tokio::test]
async fn who_resets_once_the_request_is_sent_has_failed() {
    let server = Server::start(|stream, _| async move {
        // Closed with unread data: the kernel sends a reset.
        stream.readable().await.unwrap();
    })
    .await;
    let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
    failure(outcome, Disconnected, "Http.Disconnected");
}

#[tokio::test]
async fn who_does_not_speak_http_has_failed() {
    for said in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\0\0\u{12}\u{4}\0\0\0\0\0\0\u{3}\0\0\0d\0\u{4}\0\0\u{ff}",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Server::start(move |mut stream, _| async move {
            request(&mut stream).await;
            say(&mut stream, said).await;
            request(&mut stream).await;
        })
        .await;
        let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
        failure(outcome, Garbage, "Http.InvalidAnswer");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let server = Server::start(|mut stream, _| async move {
        request(&mut stream).await;
        say(&mut stream, "HTTP/1.0 200 OK\r\n\r\nnull").await;
    })
    .await;
    let invoker = invoker(&server.url("/"));
    for connections in 1..=3 {
        assert_eq!(invoker.invoke(event("{}")).await, returned("null"));
        assert_eq!(server.accepted(), connections);
    }
}
