//! What stands before every call: how many run at once, and how long each may take.
//!
//! Calls fall into classes, because they cost differently. A call beyond its class's limit is refused at once
//! (load shedding: an answer now is worth more than a queue), except for calls with large messages, which wait:
//! their memory is the limit, and their clients want throughput. A permit is held until the answer is sent.

use crate::status::{self, Reason};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};

/// How long a call may take if its caller says nothing.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// The same for a call that waits for messages: the longest wait, and the time of any other call.
const POLL_DEADLINE: Duration = Duration::from_secs(30);
/// How long a call may take at most.
const MAX_DEADLINE: Duration = Duration::from_secs(60);
/// The same for calls of functions: their longest timeout, and time to answer.
const MAX_INVOKE_DEADLINE: Duration = Duration::from_secs(910);

/// How much the server takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Streams per connection, as HTTP/2 tells clients.
    pub streams_per_connection: u32,
    /// Calls with small messages.
    pub calls: usize,
    /// Calls that put or read records, or send or look at messages; more wait within their deadline. Each may hold
    /// 12 MiB.
    pub bulk_calls: usize,
    /// Calls that wait for messages. Each may hold 3 MiB.
    pub polls: usize,
    /// Calls of functions by hand. Each may hold 12 MiB.
    pub invocations: usize,
    /// Calls that stay open: watches and reflection.
    pub watches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            streams_per_connection: 200,
            calls: 1_000,
            bulk_calls: 64,
            polls: 256,
            invocations: 64,
            watches: 200,
        }
    }
}

/// When the call must have been answered; in the extensions of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Call,
    Bulk,
    Poll,
    Invocation,
    Watch,
}

impl Class {
    fn of(path: &str) -> Self {
        match path {
            "/millstream.v1.StreamService/PutRecords"
            | "/millstream.v1.StreamService/ReadRecords"
            | "/millstream.v1.QueueService/SendMessages"
            | "/millstream.v1.QueueService/PeekMessages"
            | "/millstream.v1.DiscardService/GetDiscard" => Self::Bulk,
            "/millstream.v1.QueueService/ReceiveMessages" => Self::Poll,
            "/millstream.v1.FunctionService/InvokeFunction" => Self::Invocation,
            "/millstream.v1.MappingService/WatchMappings" | "/grpc.health.v1.Health/Watch" => Self::Watch,
            path if path.starts_with("/grpc.reflection.") => Self::Watch,
            _ => Self::Call,
        }
    }

    /// How long the call may take, given what its caller asked for.
    fn time_limit(self, asked: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Call | Self::Bulk => Some(asked.unwrap_or(DEFAULT_DEADLINE).min(MAX_DEADLINE)),
            Self::Poll => Some(asked.unwrap_or(POLL_DEADLINE).min(MAX_DEADLINE)),
            Self::Invocation => Some(asked.unwrap_or(MAX_INVOKE_DEADLINE).min(MAX_INVOKE_DEADLINE)),
            Self::Watch => asked,
        }
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit. What cannot be read counts as not said.
fn asked_timeout(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3_600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

struct Shared {
    calls: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
    polls: Arc<Semaphore>,
    invocations: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    ending: CancellationToken,
}

/// The services behind their limits.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Guard<S> {
    /// `ending` ends the calls that would stay open.
    pub(crate) fn new(inner: S, limits: &Limits, ending: CancellationToken) -> Self {
        let permits = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        let shared = Shared {
            calls: permits(limits.calls),
            bulk: permits(limits.bulk_calls),
            polls: permits(limits.polls),
            invocations: permits(limits.invocations),
            watches: permits(limits.watches),
            ending,
        };
        Self {
            inner,
            shared: Arc::new(shared),
        }
    }
}

impl Shared {
    async fn admit(&self, class: Class) -> Result<OwnedSemaphorePermit, Status> {
        let permits = match class {
            Class::Bulk => {
                let waited = self.bulk.clone().acquire_owned().await;
                return waited.map_err(|_| status::shutting_down());
            }
            Class::Call => &self.calls,
            Class::Poll => &self.polls,
            Class::Invocation => &self.invocations,
            Class::Watch => &self.watches,
        };
        permits.clone().try_acquire_owned().map_err(|_| {
            status::retry(
                Reason::Overloaded,
                "too many calls of this kind are running: try again",
                None,
            )
        })
    }
}

impl<S> Service<http::Request<Body>> for Guard<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let class = Class::of(request.uri().path());
        let deadline = class
            .time_limit(asked_timeout(request.headers()))
            .map(|limit| Instant::now() + limit);
        if let Some(at) = deadline {
            request.extensions_mut().insert(Deadline(at));
        }
        // The clone stays; what was polled ready is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let shared = self.shared.clone();
        Box::pin(async move {
            let work = async {
                let permit = match shared.admit(class).await {
                    Ok(permit) => permit,
                    Err(refused) => return Ok(refused.into_http()),
                };
                let ends = (class == Class::Watch).then(|| shared.ending.clone());
                let answer = inner.call(request);
                let answer = if class == Class::Poll {
                    unless_ending(answer, &shared.ending).await
                } else {
                    answer.await
                };
                answer.map(|response| response.map(|body| Guarded::wrap(body, permit, ends)))
            };
            let Some(at) = deadline else { return work.await };
            match tokio::time::timeout_at(at, work).await {
                Ok(answer) => answer,
                Err(_) => Ok(late().into_http()),
            }
        })
    }
}

/// What a call answers that waits for something to happen, or that the server ends: then it is dropped, as if its
/// caller had gone away.
async fn unless_ending(
    answer: impl Future<Output = Result<http::Response<Body>, Infallible>>,
    ending: &CancellationToken,
) -> Result<http::Response<Body>, Infallible> {
    tokio::select! {
        biased;
        answer = answer => answer,
        () = ending.cancelled() => Ok(status::shutting_down().into_http()),
    }
}

fn late() -> Status {
    let message = "the call took longer than its deadline: whether it had an effect is not known";
    status::plain(Reason::DeadlineExceeded, message)
}

/// An answer that holds its permit, and that ends with the server if it would stay open.
struct Guarded {
    inner: Body,
    _permit: OwnedSemaphorePermit,
    ends: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ended: bool,
}

impl Guarded {
    fn wrap(inner: Body, permit: OwnedSemaphorePermit, ends: Option<CancellationToken>) -> Body {
        let ends = ends.map(|token| Box::pin(token.cancelled_owned()));
        Body::new(Self {
            inner,
            _permit: permit,
            ends,
            ended: false,
        })
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // What is there is sent first, e.g. the last word of a health watch; the drain bounds how long.
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if frame.is_pending()
            && let Some(ends) = &mut self.ends
            && ends.as_mut().poll(cx).is_ready()
        {
            self.ended = true;
            let mut trailers = http::HeaderMap::new();
            let written = status::shutting_down().add_header(&mut trailers);
            return Poll::Ready(Some(written.map(|()| Frame::trailers(trailers))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1x", None),
            ("-1S", None),
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(asked_timeout(&headers), expected, "{text}");
        }
        assert_eq!(asked_timeout(&http::HeaderMap::new()), None);
    }

    #[test]
    fn every_call_but_a_watch_has_a_time_limit() {
        let s = Duration::from_secs;
        for (class, asked, expected) in [
            (Class::Call, None, Some(s(10))),
            (Class::Call, Some(s(3)), Some(s(3))),
            (Class::Call, Some(s(600)), Some(s(60))),
            (Class::Bulk, Some(s(600)), Some(s(60))),
            (Class::Poll, None, Some(s(30))),
            (Class::Poll, Some(s(5)), Some(s(5))),
            (Class::Poll, Some(s(600)), Some(s(60))),
            (Class::Invocation, None, Some(s(910))),
            (Class::Invocation, Some(s(300)), Some(s(300))),
            (Class::Invocation, Some(s(3_600)), Some(s(910))),
            (Class::Watch, None, None),
            (Class::Watch, Some(s(3)), Some(s(3))),
        ] {
            assert_eq!(class.time_limit(asked), expected, "{class:?} {asked:?}");
        }
    }

    /// Every path that is named here exists in the API; a renamed method would lose its class silently.
    #[test]
    fn classes_name_methods_that_exist() {
        use millstream_api::FILE_DESCRIPTOR_SET;
        use prost::Message as _;
        let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut seen = std::collections::BTreeMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let class = Class::of(&path);
                    assert!(
                        class == Class::Watch || !method.server_streaming(),
                        "{path} streams without a limit"
                    );
                    *seen.entry(format!("{class:?}")).or_insert(0) += 1;
                }
            }
        }
        let named = ["Bulk", "Poll", "Invocation", "Watch"].map(|class| seen[class]);
        assert_eq!(named, [5, 1, 1, 1]);
    }

    #[tokio::test]
    async fn bulk_calls_wait_and_others_are_shed() {
        let limits = Limits {
            calls: 1,
            bulk_calls: 1,
            polls: 1,
            invocations: 1,
            watches: 1,
            ..Limits::default()
        };
        let guard = Guard::new((), &limits, CancellationToken::new());
        for class in [Class::Call, Class::Poll, Class::Invocation, Class::Watch] {
            let held = guard.shared.admit(class).await.unwrap();
            assert_eq!(
                guard.shared.admit(class).await.unwrap_err().code(),
                tonic::Code::ResourceExhausted
            );
            drop(held);
            assert!(guard.shared.admit(class).await.is_ok());
        }
        let held = guard.shared.admit(Class::Bulk).await.unwrap();
        let mut second = Box::pin(guard.shared.admit(Class::Bulk));
        assert!(futures::poll!(&mut second).is_pending());
        drop(held);
        assert!(second.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_answers_is_ended_at_its_deadline() {
        #[derive(Clone)]
        struct Hangs;
        impl Service<http::Request<Body>> for Hangs {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = std::future::Pending<Result<Self::Response, Infallible>>;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }
            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                assert!(request.extensions().get::<Deadline>().is_some());
                std::future::pending()
            }
        }
        let mut guard = Guard::new(Hangs, &Limits::default(), CancellationToken::new());
        let answer = guard.call(http::Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "4");
    }
}
