//! Functions as the engine calls them.

use async_trait::async_trait;
use millstream_types::{Function, Invocation, Outcome};
use std::sync::Arc;

/// In which form a target wants a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The Lambda event as JSON.
    Json,
    /// The records themselves, or the messages of a queue.
    Records,
}

/// Calls one function.
#[async_trait]
pub trait Invoker: Send + Sync + 'static {
    /// In which form [`Invoker::invoke`] wants its payload.
    fn body(&self) -> Body;

    /// Runs one attempt to its end. Answers within the invocation's timeout plus a few seconds of its own;
    /// without capacity it answers [`Outcome::Throttled`] rather than wait for long. When the future is
    /// dropped the attempt may still run to its end, unobserved.
    async fn invoke(&self, invocation: Invocation) -> Outcome;

    /// What runs behind it.
    fn status(&self) -> PoolStatus;

    /// Stops what runs behind it; invocations that still run end as [`Outcome::Unreachable`].
    async fn close(&self);
}

/// What runs behind an invoker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Processes alive, or 0 where there are none.
    pub processes: u32,
    /// Invocations that run.
    pub in_flight: u32,
    /// Processes started so far.
    pub started: u64,
    /// Processes that ended without being asked.
    pub crashed: u64,
}

/// Makes invokers.
pub trait InvokeFactory: Send + Sync + 'static {
    /// An invoker for the function as it is set now. Starts nothing yet.
    ///
    /// # Errors
    /// If the function's target cannot be served here; the text says why and what to do.
    fn invoker(&self, function: &Function) -> Result<Arc<dyn Invoker>, String>;
}
