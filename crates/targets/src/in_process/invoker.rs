//! Runs a closure as a task of its own: a panic ends the task only, a timeout drops the closure's future.

use super::{CallContext, Handler};
use crate::places::{Places, closed};
use async_trait::async_trait;
use millstream_ports::{Body, Invoker, PoolStatus};
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{FunctionSpec, Invocation, Outcome};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a closure that blocks its thread may go on after its deadline before the attempt is given up.
const BLOCKED_GRACE: Duration = Duration::from_secs(1);

/// Calls one registered closure.
pub(crate) struct ClosureInvoker {
    handler: Arc<dyn Handler>,
    places: Places,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl ClosureInvoker {
    pub(crate) fn new(handler: Arc<dyn Handler>, spec: &FunctionSpec) -> Self {
        Self {
            handler,
            places: Places::new(spec.concurrency),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

#[async_trait]
impl Invoker for ClosureInvoker {
    fn body(&self) -> Body {
        self.handler.body()
    }

    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let place = match self.places.take().await {
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
            in_flight: self.places.taken(),
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

fn panicked(payload: &(dyn Any + Send)) -> Outcome {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the panic carried no text");
    Outcome::FunctionError(FunctionError::new(FunctionErrorKind::Crashed, "Panic", text))
}
