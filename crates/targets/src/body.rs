//! Reads what a function sends, whole and bounded.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;

/// A body up to this length is copied, so that it does not pin the connection's read buffer.
const SMALL: usize = 4 * 1024;

/// A body that was read to its end.
#[derive(Debug)]
pub(crate) enum Read {
    /// All of it, and its trailers.
    Whole(Bytes, Option<HeaderMap>),
    /// It is longer than allowed: at least this many bytes.
    TooLarge(u64),
}

/// Reads a body of at most `max` bytes. Beyond that it is still read, and dropped, up to `swallow` bytes in all, so
/// that its sender gets an answer rather than a broken connection; a declared length beyond both is not even begun.
///
/// # Errors
/// If the connection breaks or the body is not well formed.
pub(crate) async fn read(mut body: Incoming, max: usize, swallow: u64) -> Result<Read, hyper::Error> {
    let declared = body.size_hint().lower();
    if declared > swallow.max(max as u64) {
        return Ok(Read::TooLarge(declared));
    }
    let declared = usize::try_from(declared).unwrap_or(usize::MAX).min(max);
    let (mut whole, mut trailers, mut length) = (Parts::default(), None, 0_u64);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                length += data.len() as u64;
                if length <= max as u64 {
                    whole.push(data, declared);
                } else {
                    whole = Parts::default();
                    if length > swallow {
                        break;
                    }
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    if length > max as u64 {
        Ok(Read::TooLarge(length))
    } else {
        Ok(Read::Whole(whole.join(), trailers))
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
