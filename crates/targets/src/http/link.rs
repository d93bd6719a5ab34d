//! One connection to a function's server.

use super::metered::{Meter, Metered};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Longest status line and headers of an answer together, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Memory for what was read and is not taken yet.
const READ_BUFFER: usize = 64 * 1024;
/// How long a connection that was kept may take to be ready: it only has to notice that its last answer is over.
const READY_WAIT: Duration = Duration::from_millis(100);

/// A request as it is sent.
pub(super) type Post = Request<Full<Bytes>>;

/// A connection that one request at a time can use. Closed when it is dropped, whatever runs on it.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    meter: Arc<Meter>,
    driver: AbortHandle,
    born: Instant,
    used: bool,
    /// The request sent last: what had been written before it, and the length of its body.
    last: (u64, u64),
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why a request got no answer.
pub(super) struct Broken {
    pub(super) error: hyper::Error,
    /// Whether the server may have got the whole request.
    pub(super) given: bool,
    /// Whether a byte of an answer came.
    pub(super) answered: bool,
    /// Bytes of the request that were taken for sending, its headers included.
    pub(super) sent: u64,
}

impl Link {
    /// A new connection over `stream`.
    ///
    /// # Errors
    /// If the stream cannot be used.
    pub(super) async fn new<T>(stream: T) -> Result<Self, hyper::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let meter = Arc::new(Meter::default());
        let io = TokioIo::new(Metered::new(stream, Arc::clone(&meter)));
        let (sender, connection) = Builder::new()
            .max_header_size(MAX_HEAD)
            .max_buf_size(READ_BUFFER)
            .handshake(io)
            .await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a function's server ended");
            }
        });
        Ok(Self {
            sender,
            meter,
            driver: driver.abort_handle(),
            born: Instant::now(),
            used: false,
            last: (0, 0),
        })
    }

    /// When it was made.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Whether an answer came over it before.
    pub(super) fn used(&self) -> bool {
        self.used
    }

    /// Whether it is known to be closed.
    pub(super) fn closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether it can take a request now, as far as this side knows.
    pub(super) async fn ready(&mut self) -> bool {
        matches!(timeout(READY_WAIT, self.sender.ready()).await, Ok(Ok(())))
    }

    /// Sends a request with a body of `length` bytes, and waits for the head of the answer.
    ///
    /// # Errors
    /// What broke.
    pub(super) async fn send(&mut self, post: Post, length: usize) -> Result<Response<Incoming>, Broken> {
        let (read, written) = self.meter.now();
        self.last = (written, length as u64);
        let error = match self.sender.try_send_request(post).await {
            Ok(response) => {
                self.used = true;
                return Ok(response);
            }
            Err(error) => error,
        };
        let (read_now, written_now) = self.meter.now();
        Err(Broken {
            given: error.message().is_none() && self.whole(),
            answered: read_now > read,
            sent: written_now - written,
            error: error.into_error(),
        })
    }

    /// Whether the request sent last was taken for sending to its end. Exact to the length of its headers, which
    /// are not told apart here: in doubt it was.
    pub(super) fn whole(&self) -> bool {
        let (begun, length) = self.last;
        let sent = self.meter.now().1 - begun;
        sent > 0 && sent >= length
    }
}
