//! One connection: small requests, answered one after the other, and not for ever.

use super::{MetricsSource, Probes};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use millstream_telemetry::metrics;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Most bytes of a request's head.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// How long a request's head may take, waiting for it included.
const HEADER_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection lives; who scrapes connects again.
const LONGEST_CONNECTION: Duration = Duration::from_secs(600);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What connections are served with.
pub(super) struct Services {
    pub(super) probes: Probes,
    pub(super) metrics: Arc<dyn MetricsSource>,
}

type Answer = Response<Full<Bytes>>;

/// Serves a connection to its end; once `stop` is cancelled, to the end of the answer that is under way.
pub(super) async fn serve(stream: TcpStream, services: Arc<Services>, stop: CancellationToken) {
    // Without it small answers wait for acknowledgements; a failure costs only latency.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request: Request<Incoming>| {
        let services = services.clone();
        async move { Ok::<_, Infallible>(within(answer(&request, &services)).await) }
    });
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_WITHIN)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = async {
        // Whoever breaks off hears no more.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    };
    let _ = timeout(LONGEST_CONNECTION, served).await;
}

async fn within(answer: impl Future<Output = Answer>) -> Answer {
    let late = |_| text(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long\n");
    timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(late)
}

async fn answer(request: &Request<Incoming>, services: &Services) -> Answer {
    let known = matches!(request.uri().path(), "/livez" | "/readyz" | "/metrics");
    if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/livez" => probe(services.probes.is_alive()),
        "/readyz" => probe(services.probes.is_ready()),
        "/metrics" => {
            let mut answer = text(StatusCode::OK, services.metrics.scrape().await);
            let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n"),
    }
}

fn probe(result: Result<(), String>) -> Answer {
    match result {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
