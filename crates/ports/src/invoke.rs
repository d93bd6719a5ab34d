//! Functions as the engine calls them.

use async_trait::async_trait;
use millstream_types::{FoundFunction, Function, Invocation, LambdaFunction, Outcome};
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

    /// An invoker for a function of AWS Lambda that is not registered here. It keeps to the time that Lambda gives the
    /// function, whatever the timeout of an invocation. Asks nobody yet.
    ///
    /// # Errors
    /// As [`InvokeFactory::invoker`]; the default serves none.
    fn lambda(&self, function: &LambdaFunction) -> Result<Arc<dyn Invoker>, String> {
        Err(format!(
            "function {} is of AWS Lambda, which this program does not reach",
            function.given
        ))
    }
}

/// Looks for functions that are not registered here.
#[async_trait]
pub trait FindFunction: Send + Sync + 'static {
    /// Asks AWS Lambda about the function of this name, in any form that Lambda takes.
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError>;
}

/// Why a function was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No connection leads to where it would be; which ARN was looked for.
    #[error("no connection serves {0}")]
    NotServed(String),
    /// Lambda does not have it, or not this version or alias.
    #[error("{0}")]
    NotFound(String),
    /// Lambda does not tell us of it, or it can not be called as it is.
    #[error("{0}")]
    Refused(String),
    /// Lambda does not answer now.
    #[error("{0}")]
    Unavailable(String),
}
