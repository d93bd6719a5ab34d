//! The port's view of a function's server.

use super::answer::{Head, failed, head};
use super::broken::{broken_off, disconnected, unanswered};
use super::connect::Endpoint;
use super::idle::Idle;
use super::link::{Link, Post};
use super::{HttpOptions, Tls};
use crate::body::{self, Read};
use crate::event::{Event, since_epoch_ms};
use crate::places::{Places, closed};
use async_trait::async_trait;
use bytes::BytesMut;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Response, Uri};
use millstream_ports::{Body, Invoker, PoolStatus};
use millstream_types::invocation::{FunctionError, MAX_RESPONSE};
use millstream_types::net::host_address;
use millstream_types::{Function, HttpTarget, Invocation, Outcome};
use rustls::pki_types::ServerName;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How much of the body of a failure is told.
const EXCERPT: usize = 1_024;
/// The body of a failure is read up to this much, so that its connection can be used again; and for so long.
const MAX_FAILURE_BODY: usize = 64 * 1024;
const FAILURE_BODY_WAIT: Duration = Duration::from_secs(1);
const AGENT: HeaderValue = HeaderValue::from_static(concat!("millstream/", env!("CARGO_PKG_VERSION")));

/// Invokes one function by POSTs to its server.
pub(crate) struct HttpInvoker {
    endpoint: Endpoint,
    /// `Host`.
    authority: HeaderValue,
    /// Path and query.
    path: Uri,
    places: Places,
    idle: Arc<Idle>,
    closing: CancellationToken,
}

/// What came of one exchange.
enum Exchange {
    /// The attempt has ended.
    Ended(Outcome),
    /// The connection was of no use: it had been closed by the server since it was used last, as far as one can tell.
    Stale {
        /// Whether the server may have got the whole request all the same.
        given: bool,
    },
}

impl HttpInvoker {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Why the function's URL cannot be called from here, and what to do.
    pub(crate) fn new(
        function: &Function,
        target: &HttpTarget,
        options: &HttpOptions,
        tls: &Tls,
    ) -> Result<Self, String> {
        let why = |text: &dyn Display| format!("function {}: {text}", function.name);
        let uri: Uri = target
            .url
            .parse()
            .map_err(|error| why(&format_args!("its URL is none: {error}")))?;
        let authority = uri.authority().ok_or_else(|| why(&"its URL has no host"))?;
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if let Some(address) = host_address(host) {
            options.reach.check(address).map_err(|refused| why(&refused))?;
        }
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let name = ServerName::try_from(bare.clone());
                let name =
                    name.map_err(|_| why(&format_args!("'{bare}' cannot be the name of a certificate")))?;
                Some((tls.connector().map_err(|error| why(&error))?, name))
            }
            _ => return Err(why(&"its URL is neither http nor https")),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}");
        let no_header = |_| why(&"its URL has a host that no header can carry");
        Ok(Self {
            endpoint: Endpoint {
                host: bare,
                port: authority
                    .port_u16()
                    .unwrap_or(if tls.is_some() { 443 } else { 80 }),
                tls,
                reach: options.reach,
                wait: options.connect_wait,
            },
            authority: HeaderValue::from_str(authority.as_str()).map_err(no_header)?,
            path: path
                .parse()
                .map_err(|error| why(&format_args!("its path is none: {error}")))?,
            places: Places::new(function.spec.concurrency),
            idle: Arc::default(),
            closing: CancellationToken::new(),
        })
    }

    /// One attempt: on a connection that was kept, else on a new one.
    async fn call(&self, event: &Event) -> Outcome {
        let kept = self.idle.take().await;
        let mut deadline = Instant::now() + event.timeout;
        let mut given_before = false;
        if let Some(link) = kept {
            match self.exchange(link, event, deadline).await {
                Exchange::Ended(outcome) => return outcome,
                Exchange::Stale { given } => given_before = given,
            }
        }
        let link = match self.endpoint.connect().await {
            Ok(link) => link,
            // Perhaps it was the request that ended the server: this must not go on without counting.
            Err(reason) if given_before => {
                return disconnected(&format!(
                    "closed the connection without an answer, and then: {reason}"
                ));
            }
            Err(reason) => return Outcome::Unreachable { reason },
        };
        if !given_before {
            deadline = Instant::now() + event.timeout; // connecting is not the function's time
        }
        match self.exchange(link, event, deadline).await {
            Exchange::Ended(outcome) => outcome,
            Exchange::Stale { .. } => disconnected("closed a new connection"), // only used ones are stale
        }
    }

    async fn exchange(&self, mut link: Link, event: &Event, deadline: Instant) -> Exchange {
        let used = link.used();
        let length = event.body.len();
        let answering = timeout_at(deadline.into(), link.send(self.post(event, deadline), length));
        let answer = match answering.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(broken)) if used && !broken.answered => return Exchange::Stale { given: broken.given },
            Ok(Err(broken)) => return Exchange::Ended(unanswered(&broken, length)),
            Err(_elapsed) => return Exchange::Ended(late(event)),
        };
        Exchange::Ended(match head(&answer, SystemTime::now()) {
            Head::Returned => self.returned(link, answer, event, deadline).await,
            Head::Throttled { retry_after } => {
                self.excerpt(link, answer).await;
                Outcome::Throttled { retry_after }
            }
            Head::Failed { error_type, message } => {
                let excerpt = self.excerpt(link, answer).await;
                failed(&error_type, &message, &excerpt)
            }
        })
    }

    async fn returned(
        &self,
        link: Link,
        answer: Response<Incoming>,
        event: &Event,
        deadline: Instant,
    ) -> Outcome {
        match timeout_at(deadline.into(), body::read(answer.into_body(), MAX_RESPONSE, 0)).await {
            Ok(Ok(Read::Whole(response, _))) => {
                self.idle.keep(link);
                Outcome::Response(response)
            }
            Ok(Ok(Read::TooLarge(length))) => {
                Outcome::FunctionError(FunctionError::response_too_large(length))
            }
            Ok(Err(error)) => broken_off(&error),
            Err(_elapsed) => late(event),
        }
    }

    /// The beginning of the body of an answer whose status says all that counts.
    async fn excerpt(&self, link: Link, answer: Response<Incoming>) -> BytesMut {
        let mut excerpt = BytesMut::new();
        let mut body = answer.into_body();
        let reading = async {
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                let Some(data) = frame.data_ref() else { continue };
                length += data.len();
                let room = EXCERPT - excerpt.len();
                excerpt.extend_from_slice(data.get(..room).unwrap_or(data));
                if length > MAX_FAILURE_BODY {
                    return false;
                }
            }
            true
        };
        if timeout(FAILURE_BODY_WAIT, reading).await == Ok(true) {
            self.idle.keep(link);
        }
        excerpt
    }

    fn post(&self, event: &Event, deadline: Instant) -> Post {
        let mut post = Post::new(Full::new(event.body.clone()));
        *post.method_mut() = Method::POST;
        *post.uri_mut() = self.path.clone();
        *post.headers_mut() = event.request_headers(since_epoch_ms(deadline));
        post.headers_mut().insert(HOST, self.authority.clone());
        post.headers_mut().insert(USER_AGENT, AGENT);
        post
    }
}

impl Drop for HttpInvoker {
    fn drop(&mut self) {
        self.idle.close();
    }
}

#[async_trait]
impl Invoker for HttpInvoker {
    fn body(&self) -> Body {
        Body::Json
    }

    /// May take some seconds more than the function's timeout: for a place, and for a connection.
    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let Some(event) = Event::new(invocation) else {
            return Outcome::Unreachable {
                reason: "a server takes the batch as JSON, and was given another form".to_owned(),
            };
        };
        let _place = match self.places.take().await {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        tokio::select! {
            outcome = self.call(&event) => outcome,
            () = self.closing.cancelled() => closed(),
        }
    }

    fn status(&self) -> PoolStatus {
        PoolStatus {
            in_flight: self.places.taken(),
            ..PoolStatus::default()
        }
    }

    async fn close(&self) {
        self.places.close();
        self.closing.cancel();
        self.idle.close();
    }
}

fn late(event: &Event) -> Outcome {
    Outcome::Timeout { after: event.timeout }
}
