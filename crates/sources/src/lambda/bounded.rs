//! Answers are read up to a limit: the SDK reads a payload whole before it shows any of it.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer is longer than allowed: at least this many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is longer than allowed: {0} bytes or more")]
pub(super) struct TooLong(pub(super) u64);

impl TooLong {
    /// The one that is the cause of `error`, or the cause of its cause.
    pub(super) fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        causes(error).find_map(|e| e.downcast_ref::<Self>().copied())
    }
}

/// The error, its cause, the cause of its cause.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

/// Bounds the body of every answer of one client.
#[derive(Debug)]
pub(super) struct BoundAnswers {
    /// Most bytes.
    pub(super) max: u64,
}

#[dyn_dispatch_hint]
impl Intercept for BoundAnswers {
    fn name(&self) -> &'static str {
        "BoundAnswers"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let (left, max) = (self.max, self.max);
        let inner = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Bounded { inner, left, max });
        Ok(())
    }
}

/// A body that ends with an error where it is too long. A declared length beyond the limit is not even begun.
struct Bounded {
    inner: SdkBody,
    left: u64,
    max: u64,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let least = Body::size_hint(&self.inner).lower();
        if least > self.left {
            let read = self.max - self.left;
            self.inner = SdkBody::empty();
            return Poll::Ready(Some(Err(TooLong(read + least).into())));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let length = data.len() as u64;
            if length > self.left {
                let read = self.max - self.left + length;
                self.inner = SdkBody::empty();
                return Poll::Ready(Some(Err(TooLong(read).into())));
            }
            self.left -= length;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
