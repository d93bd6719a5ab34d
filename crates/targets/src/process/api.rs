//! The Lambda Runtime API of one process, on a loopback listener of its own.
//!
//! `/next` is held open while there is no work: the runtimes exit on any other answer. Nagle's algorithm is
//! off: with it every invocation of some runtimes waits 40 ms for a delayed acknowledgement.

use super::finish::Finish;
use super::protocol::{Handover, Next};
use super::run::Process;
use crate::body::{self, Read};
use crate::event::{Event, since_epoch_ms};
use bytes::Bytes;
use futures::FutureExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use millstream_types::Outcome;
use millstream_types::invocation::{FunctionError, FunctionErrorKind, MAX_RESPONSE};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that one process may hold at once; more are closed at once.
const MAX_CONNECTIONS: usize = 16;
/// How long a request that ends early may be explained by the end of the process.
const EXIT_EXPLAINS: Duration = Duration::from_millis(500);
/// How long accepting rests after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How much of a body that is too long is read all the same, so that the process gets its answer.
const MAX_SWALLOWED: u64 = 64 * 1024 * 1024;
const PREFIX: &str = "/2018-06-01/runtime/";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

type Reply = Response<Full<Bytes>>;

/// The listener and connections of one process.
#[derive(Clone)]
pub(super) struct Connections {
    process: Arc<Process>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    /// The process has ended: nothing new is waited for.
    ended: CancellationToken,
    /// Patience is over.
    cut: CancellationToken,
}

impl Connections {
    /// Serves `listener` for `process` until [`Connections::end`].
    pub(super) fn serve(listener: TcpListener, process: Arc<Process>) -> Self {
        let all = Self {
            process,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let accepting = all.clone();
        all.tasks.spawn(async move { accepting.accept(listener).await });
        all
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.take(stream),
                    // Out of descriptors, most likely; trying at once would only burn time.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                () = self.ended.cancelled() => break,
            }
        }
        // What the process connected before it ended counts, and is there already.
        while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
            self.take(stream);
        }
    }

    fn take(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let (process, cut, tasks) = (Arc::clone(&self.process), self.cut.clone(), self.tasks.clone());
        self.tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = connection(stream, process, tasks) => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// For a process that has ended: lets its connections be read to their ends for at most `patience`, so
    /// that an answer it sent just before counts, then cuts them.
    pub(super) async fn end(self, patience: Duration) {
        self.ended.cancel();
        self.tasks.close();
        let _ = timeout(patience, self.tasks.wait()).await;
        self.cut.cancel();
    }
}

async fn connection(stream: TcpStream, process: Arc<Process>, tasks: TaskTracker) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch Nagle's algorithm off");
    }
    let service = service_fn(|request: Request<Incoming>| {
        // What is posted is taken even if its sender has gone; who asked for work and has gone gets none.
        let goes_on = (request.method() == Method::POST).then(|| tasks.clone());
        Finish::new(handle(Arc::clone(&process), request), goes_on)
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    let served = server
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    match served {
        Err(error) if error.is_parse() => process.broken(&format!("sent what is not HTTP/1.1: {error}")),
        Err(error) => broken_off(&process, &error).await,
        Ok(()) => {}
    }
}

/// A request ended in its middle. If the process is ending, its end tells more than this; if it tries again, no
/// harm is done.
async fn broken_off(process: &Process, error: &hyper::Error) {
    let request = process.running();
    tokio::time::sleep(EXIT_EXPLAINS).await;
    if request.is_some() && request == process.running() {
        process.broken(&format!("broke off a request: {error}"));
    }
}

async fn handle(process: Arc<Process>, request: Request<Incoming>) -> Result<Reply, Infallible> {
    // Borrowed from a cheap clone, as the body is taken out of the request below.
    let uri = request.uri().clone();
    let route = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let get = request.method() == Method::GET;
    let post = request.method() == Method::POST;
    Ok(match route.split_once('/') {
        Some(("invocation", "next")) if get => next(&process).await,
        Some(("init", "error")) if post => init_error(&process, request).await,
        Some(("invocation", rest)) if post => match rest.split_once('/') {
            Some((id, "response")) => answer(&process, id, request, true).await,
            Some((id, "error")) => answer(&process, id, request, false).await,
            _ => unknown(&process, &request),
        },
        _ => unknown(&process, &request),
    })
}

async fn next(process: &Arc<Process>) -> Reply {
    let handover = match process.next() {
        Next::Now(handover) => Some(handover),
        Next::Wait(handed) => handed.await.ok(),
        Next::Never => None,
        Next::Refused => {
            process.broken("asked for work before it had answered");
            return refusal(
                StatusCode::FORBIDDEN,
                "InvalidStateTransition",
                "the invocation is not answered yet",
            );
        }
    };
    match handover {
        Some(Handover { event, deadline }) => {
            process.output().begin(event.request_id);
            give(&event, deadline)
        }
        // Ended when the process or its connection ends; any answer would make a runtime exit with an error.
        None => std::future::pending().await,
    }
}

fn give(event: &Event, deadline: Instant) -> Reply {
    let mut reply = Response::new(Full::new(event.body.clone()));
    *reply.headers_mut() = event.runtime_headers(since_epoch_ms(deadline));
    reply
}

/// `/response` (`returned`) and `/error`.
async fn answer(process: &Arc<Process>, id: &str, request: Request<Incoming>, returned: bool) -> Reply {
    if !process.expects(id) {
        return wrong_request(process);
    }
    let (head, body) = request.into_parts();
    let outcome = match body::read(body, MAX_RESPONSE, MAX_SWALLOWED).await {
        Ok(Read::Whole(bytes, trailers)) => match (returned, streamed_error(trailers.as_ref())) {
            (true, None) => Outcome::Response(bytes),
            (true, Some(error)) => Outcome::FunctionError(error),
            (false, _) => Outcome::FunctionError(reported(FunctionErrorKind::Raised, &head.headers, &bytes)),
        },
        Ok(Read::TooLarge(length)) => Outcome::FunctionError(FunctionError::response_too_large(length)),
        Err(error) => {
            broken_off(process, &error).await;
            return refusal(StatusCode::BAD_REQUEST, "InvalidBody", "the body is not complete");
        }
    };
    let too_large =
        matches!(&outcome, Outcome::FunctionError(e) if e.kind == FunctionErrorKind::ResponseTooLarge);
    if !process.answer(id, outcome) {
        return wrong_request(process);
    }
    if too_large {
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            "the response is too large",
        );
    }
    accepted()
}

async fn init_error(process: &Arc<Process>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let bytes = match body::read(body, MAX_RESPONSE, MAX_SWALLOWED).await {
        Ok(Read::Whole(bytes, _)) => bytes,
        Ok(Read::TooLarge(_)) | Err(_) => Bytes::new(),
    };
    if !process.init_error(reported(FunctionErrorKind::Init, &head.headers, &bytes)) {
        process.broken("reported a failed start after it had asked for work");
        return refusal(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the runtime has started already",
        );
    }
    accepted()
}

/// What an `/error` body says.
fn reported(kind: FunctionErrorKind, headers: &HeaderMap, body: &[u8]) -> FunctionError {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Report {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    let report: Report = serde_json::from_slice(body).unwrap_or_default();
    let from_header = || {
        headers
            .get(ERROR_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let error_type = report
        .error_type
        .or_else(from_header)
        .unwrap_or_else(|| "Unknown".to_owned());
    let message = report
        .error_message
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    FunctionError::new(kind, &error_type, &message)
}

/// A response that was streamed may end with an error in its trailers.
fn streamed_error(trailers: Option<&HeaderMap>) -> Option<FunctionError> {
    let error_type = trailers?.get(ERROR_TYPE)?.to_str().unwrap_or("Unknown");
    Some(FunctionError::new(
        FunctionErrorKind::Raised,
        error_type,
        "the function failed while it streamed its response",
    ))
}

fn unknown(process: &Process, request: &Request<Incoming>) -> Reply {
    process.broken(&format!(
        "called {} {}, which is not part of its API",
        request.method(),
        request.uri().path()
    ));
    refusal(
        StatusCode::NOT_FOUND,
        "NotFound",
        "this is not part of the Runtime API",
    )
}

fn wrong_request(process: &Process) -> Reply {
    process.broken("answered a request that it had not been given or had answered already");
    refusal(
        StatusCode::BAD_REQUEST,
        "InvalidRequestID",
        "this request is not in progress",
    )
}

fn accepted() -> Reply {
    json(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}"))
}

fn refusal(status: StatusCode, error_type: &'static str, message: &'static str) -> Reply {
    // Both texts are constants without characters that JSON would have to escape.
    json(
        status,
        Bytes::from(format!(
            "{{\"errorType\":\"{error_type}\",\"errorMessage\":\"{message}\"}}"
        )),
    )
}

fn json(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_reports_are_read_as_the_runtimes_write_them() {
        let mut headers = HeaderMap::new();
        headers.insert(ERROR_TYPE, HeaderValue::from_static("Header.Type"));
        for (body, error_type, message) in [
            (
                r#"{"errorType":"ValueError","errorMessage":"no","stackTrace":["a"]}"#,
                "ValueError",
                "no",
            ),
            (r#"{"errorMessage":"no"}"#, "Header.Type", "no"),
            ("plain text", "Header.Type", "plain text"),
        ] {
            let error = reported(FunctionErrorKind::Raised, &headers, body.as_bytes());
            assert_eq!(
                (error.error_type.as_str(), error.message.as_str()),
                (error_type, message)
            );
        }
        assert_eq!(
            reported(FunctionErrorKind::Init, &HeaderMap::new(), b"").error_type,
            "Unknown"
        );
    }
}
