//! The port's view of a pool of processes.

use super::command::Plan;
use super::pool::{Pool, PoolOptions};
use super::spawner::Spawner;
use crate::event::Event;
use async_trait::async_trait;
use millstream_ports::{Body, Invoker, PoolStatus};
use millstream_types::{Invocation, Outcome};
use std::sync::Arc;

/// Invokes one function on its processes. Dropped without [`Invoker::close`], it has them ended all the same.
pub(crate) struct ProcessInvoker {
    pool: Arc<Pool>,
}

impl ProcessInvoker {
    /// A pool without processes.
    pub(crate) fn new(plan: Plan, spawner: Spawner, options: PoolOptions) -> Self {
        Self {
            pool: Pool::new(plan, spawner, options),
        }
    }
}

impl Drop for ProcessInvoker {
    fn drop(&mut self) {
        self.pool.cancel();
    }
}

#[async_trait]
impl Invoker for ProcessInvoker {
    fn body(&self) -> Body {
        Body::Json
    }

    /// May take the function's init timeout on top when a process has to be started first.
    async fn invoke(&self, invocation: Invocation) -> Outcome {
        match Event::new(invocation) {
            Some(event) => self.pool.run(Arc::new(event)).await,
            None => Outcome::Unreachable {
                reason: "a process takes the batch as JSON, and was given another form".to_owned(),
            },
        }
    }

    fn status(&self) -> PoolStatus {
        self.pool.status()
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
