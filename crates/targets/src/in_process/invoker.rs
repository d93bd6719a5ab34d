//! Runs a closure as a task of its own: a panic ends the task only, a timeout drops the closure's future.

use super::{CallContext, Handler};
use crate::text::function_error;
use async_trait::async_trait;
use millstream_ports::{Body, Invoker, PoolStatus};
use millstream_types::invocation::FunctionErrorKind;
use millstream_types::{FunctionSpec, Invocation, Outcome};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long an invocation waits for a free place before it is refused.
const CAPACITY_WAIT: Duration = Duration::from_secs(1);
/// How long a closure that blocks its thread may go on after its deadline before the attempt is given up.
const BLOCKED_GRACE: Duration = Duration::from_secs(1);

/// Calls one registered closure.
pub(crate) struct ClosureInvoker {
    handler: Arc<dyn Handler>,
    places: Arc<Semaphore>,
    running: Arc<AtomicU32>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// A place and its share of the count, given back when the closure has really ended.
struct Place {
    _permit: OwnedSemaphorePermit,
    running: Arc<AtomicU32>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClosureInvoker {
    pub(crate) fn new(handler: Arc<dyn Handler>, spec: &FunctionSpec) -> Self {
        Self {
            handler,
            places: Arc::new(Semaphore::new(spec.concurrency.max(1) as usize)),
            running: Arc::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    async fn place(&self) -> Result<Place, Outcome> {
        match timeout(CAPACITY_WAIT, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => {
                self.running.fetch_add(1, Ordering::Relaxed);
                Ok(Place {
                    _permit: permit,
                    running: Arc::clone(&self.running),
                })
            }
            Ok(Err(_closed)) => Err(closed()),
            Err(_elapsed) => Err(Outcome::Throttled { retry_after: None }),
        }
    }
}

#[async_trait]
impl Invoker for ClosureInvoker {
    fn body(&self) -> Body {
        self.handler.body()
    }

    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let place = match self.place().await {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        let limit = invocation.timeout;
        let context = CallContext::new(&invocation, std::time::Instant::now());
        let (handler, closing) = (Arc::clone(&self.handler), self.closing.clone());
        let mut task = self.tasks.spawn(async move {
            let _place = place;
            // The closure itself is called inside the task too: it may panic before its first await.
            let call = async { handler.call(invocation.payload, context).await };
            tokio::select! {
                ended = timeout(limit, call) => ended.unwrap_or(Outcome::Timeout { after: limit }),
                () = closing.cancelled() => closed(),
            }
        });
        match timeout(limit.saturating_add(BLOCKED_GRACE), &mut task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) if ended.is_panic() => panicked(ended.into_panic().as_ref()),
            Ok(Err(_aborted)) => closed(),
            Err(_elapsed) => {
                tracing::warn!("a closure blocks its thread beyond its timeout and cannot be stopped");
                task.abort();
                Outcome::Timeout { after: limit }
            }
        }
    }

    fn status(&self) -> PoolStatus {
        PoolStatus {
            in_flight: self.running.load(Ordering::Relaxed),
            ..PoolStatus::default()
        }
    }

    async fn close(&self) {
        self.places.close();
        self.closing.cancel();
        self.tasks.close();
        if timeout(BLOCKED_GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("closed with a closure that blocks its thread still running");
        }
    }
}

fn closed() -> Outcome {
    Outcome::Unreachable {
        reason: "the function is being closed or changed".to_owned(),
    }
}

fn panicked(payload: &(dyn Any + Send)) -> Outcome {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the panic carried no text");
    Outcome::FunctionError(function_error(FunctionErrorKind::Crashed, "Panic", text))
}
