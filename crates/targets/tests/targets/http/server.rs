//! Servers on loopback ports: one of hyper that answers by the rules, one that does with each connection what a test
//! says.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A server; gone, with its port and connections, when it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// Runs `connection` for each connection, told its number from 1.
    pub(crate) async fn start<F, Fut>(connection: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            addr: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            stop: CancellationToken::new(),
        };
        let (accepted, stop) = (Arc::clone(&server.accepted), server.stop.clone());
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = stop.cancelled() => return,
                };
                let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
                let (serving, stop) = (connection(stream, number), stop.clone());
                tokio::spawn(async move {
                    tokio::select! { () = serving => {}, () = stop.cancelled() => {} }
                });
            }
        });
        server
    }

    /// A server of hyper that answers each request as `answer` says.
    pub(crate) async fn hyper<F>(answer: F) -> Self
    where
        F: Fn(&Request<Bytes>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    {
        let answer = Arc::new(answer);
        Self::start(move |stream, _| {
            let answer = Arc::clone(&answer);
            async move { serve(TokioIo::new(stream), answer).await }
        })
        .await
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

/// Serves one connection, whatever it runs over.
pub(crate) async fn serve<T, F>(io: T, answer: Arc<F>)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    F: Fn(&Request<Bytes>) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(answer(&Request::from_parts(head, body)))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(io, service)
        .await;
    drop(served); // a client may end it in its middle
}

/// Reads a request to its end, as far as its `Content-Length` says; none if the connection ends before it begins.
pub(crate) async fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if all.len() >= end + 4 + length {
                return Some(all);
            }
        }
        if stream.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    }
}

/// Writes, whatever becomes of it.
pub(crate) async fn say(stream: &mut TcpStream, text: impl AsRef<[u8]>) {
    let written = stream.write_all(text.as_ref()).await;
    drop(written);
}

/// Collects what is seen.
pub(crate) type Seen<T> = Arc<Mutex<Vec<T>>>;
