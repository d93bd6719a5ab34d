//! Reads what a process posts, whole and bounded.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;

/// Beyond the limit the body is still read, and dropped, up to this much, so that the process gets its answer
/// rather than a broken connection.
const MAX_SWALLOWED: u64 = 64 * 1024 * 1024;
/// A body up to this length is copied, so that it does not pin the connection's read buffer.
const SMALL: usize = 4 * 1024;

/// A body that was read to its end.
#[derive(Debug)]
pub(super) enum Posted {
    /// All of it, and its trailers.
    Whole(Bytes, Option<HeaderMap>),
    /// It is longer than allowed: at least this many bytes.
    TooLarge(u64),
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
/// If the connection breaks or the body is not well formed.
pub(super) async fn read(mut body: Incoming, max: usize) -> Result<Posted, hyper::Error> {
    let declared = usize::try_from(body.size_hint().lower())
        .unwrap_or(usize::MAX)
        .min(max);
    let (mut whole, mut trailers, mut length) = (Parts::default(), None, 0_u64);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                length += data.len() as u64;
                if length <= max as u64 {
                    whole.push(data, declared);
                } else {
                    whole = Parts::default();
                    if length > MAX_SWALLOWED {
                        break;
                    }
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    if length > max as u64 {
        Ok(Posted::TooLarge(length))
    } else {
        Ok(Posted::Whole(whole.join(), trailers))
    }
}

/// One piece as it came, several joined.
#[derive(Default)]
struct Parts {
    first: Bytes,
    joined: BytesMut,
}

impl Parts {
    fn push(&mut self, data: Bytes, expected: usize) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = data;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(expected.max(self.first.len() + data.len()));
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&data);
    }

    fn join(self) -> Bytes {
        if !self.joined.is_empty() {
            self.joined.freeze()
        } else if self.first.len() <= SMALL {
            Bytes::copy_from_slice(&self.first)
        } else {
            self.first
        }
    }
}
