//! The operations port over TCP, with a client that writes its requests by hand.

use futures::FutureExt;
use futures::future::BoxFuture;
use millstream_control::ops::{Heart, MetricsSource, OpsError, OpsOptions, OpsServer, Probes};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Fixed;

impl MetricsSource for Fixed {
    fn scrape(&self) -> BoxFuture<'_, String> {
        async { "millstream_build_info 1\n".to_owned() }.boxed()
    }
}

fn start(probes: &Probes) -> OpsServer {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    OpsServer::start(OpsOptions { addr }, probes.clone(), Arc::new(Fixed)).unwrap()
}

/// Sends bytes, and reads until the server closes.
async fn exchange(server: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // The server may answer and close before it has read all of it.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(server: &OpsServer, path: &str) -> (u16, String) {
    request(server, "GET", path).await
}

async fn request(server: &OpsServer, method: &str, path: &str) -> (u16, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = exchange(server.local_addr(), request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_follow_the_life_of_the_process() {
    let (probes, stuck) = (Probes::default(), Arc::new(AtomicBool::new(false)));
    let broken = stuck.clone();
    probes.alive_while(move || match broken.load(Ordering::Relaxed) {
        true => Err("the writer is stuck".to_owned()),
        false => Ok(()),
    });
    let heart = Heart::start();
    probes.alive_while(heart.check());
    let server = start(&probes);
    assert_eq!(get(&server, "/livez").await, answer(200, "ok\n"));
    assert_eq!(get(&server, "/readyz").await, answer(503, "starting\n"));
    probes.ready();
    assert_eq!(get(&server, "/readyz").await, answer(200, "ok\n"));
    stuck.store(true, Ordering::Relaxed);
    assert_eq!(get(&server, "/livez").await, answer(503, "the writer is stuck\n"));
    probes.draining();
    assert_eq!(get(&server, "/readyz").await, answer(503, "draining\n"));
    assert_eq!(
        get(&server, "/metrics").await,
        answer(200, "millstream_build_info 1\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_there_is_served() {
    let server = start(&Probes::default());
    assert_eq!(get(&server, "/").await.0, 404);
    assert_eq!(request(&server, "HEAD", "/livez").await, answer(200, ""));
    assert_eq!(
        request(&server, "POST", "/metrics").await,
        answer(405, "GET or HEAD\n")
    );
    let huge = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let refused = exchange(server.local_addr(), huge.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    let garbage = exchange(server.local_addr(), b"\x16\x03\x01 hello\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_though_a_connection_is_idle() {
    let server = start(&Probes::default());
    let addr = server.local_addr();
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answered = [0; 12];
    idle.read_exact(&mut answered).await.unwrap();
    assert_eq!(&answered, b"HTTP/1.1 200");
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_on_loopback_and_on_free_ports_only() {
    let probes = Probes::default();
    let open = move |addr: SocketAddr| OpsServer::start(OpsOptions { addr }, probes.clone(), Arc::new(Fixed));
    let outside = open(SocketAddr::from(([0, 0, 0, 0], 0)));
    assert!(matches!(outside, Err(OpsError::NotLoopback(_))));
    tokio::task::spawn_blocking(move || {
        let first = open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let second = open(first.local_addr());
        assert!(matches!(second, Err(OpsError::Bind { .. })));
    })
    .await
    .unwrap();
}
