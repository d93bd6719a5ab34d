//! A future that is finished even if nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::task::TaskTracker;

/// Runs in place; dropped before its end, it goes on as a task if it was told where. For taking an answer of a process that closes
/// its connection, or ends, without waiting for the reply: the HTTP server then drops the handler, although
/// all of the answer has been read.
pub(super) struct Finish<F: Future<Output: Send> + Send + 'static> {
    future: Option<Pin<Box<F>>>,
    goes_on: Option<TaskTracker>,
}

impl<F: Future<Output: Send> + Send + 'static> Finish<F> {
    /// Goes on in `goes_on` if it must; without, it ends when it is dropped.
    pub(super) fn new(future: F, goes_on: Option<TaskTracker>) -> Self {
        Self {
            future: Some(Box::pin(future)),
            goes_on,
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finish<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.future else {
            return Poll::Pending;
        };
        let polled = future.as_mut().poll(cx);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finish<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take()
            && let Some(tasks) = &self.goes_on
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tasks.spawn(future);
        }
    }
}
