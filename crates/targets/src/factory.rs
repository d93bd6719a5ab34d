//! Chooses the invoker for a function's target.

use crate::in_process::{ClosureInvoker, InProcess};
use crate::process::{Plan, PoolOptions, ProcessInvoker, Spawner};
use millstream_ports::{InvokeFactory, Invoker};
use millstream_types::{Function, Target};
use std::io;
use std::sync::Arc;

/// Makes invokers for every target that this program can serve.
///
/// All child processes are started by one thread that lives as long as the factory and the invokers made by
/// it; when that thread ends, however it ends, the kernel kills the processes.
pub struct Factory {
    in_process: Arc<InProcess>,
    spawner: Spawner,
    options: PoolOptions,
}

impl Factory {
    /// A factory that serves the closures of `in_process`, and processes.
    ///
    /// # Errors
    /// If the thread that starts processes cannot be made.
    pub fn new(in_process: Arc<InProcess>, options: PoolOptions) -> io::Result<Self> {
        Ok(Self {
            in_process,
            spawner: Spawner::start()?,
            options,
        })
    }
}

impl InvokeFactory for Factory {
    fn invoker(&self, function: &Function) -> Result<Arc<dyn Invoker>, String> {
        match &function.spec.target {
            Target::InProcess => {
                let handler = self.in_process.find(&function.namespace, &function.name).ok_or_else(|| {
                    format!(
                        "function {}/{} has the target in-process, but this program registered no closure under \
                         that name; register it before the engine starts, or give the function another target",
                        function.namespace, function.name
                    )
                })?;
                Ok(Arc::new(ClosureInvoker::new(handler, &function.spec)))
            }
            Target::Process(target) => {
                let plan = Plan::new(function, target)?;
                Ok(Arc::new(ProcessInvoker::new(
                    plan,
                    self.spawner.clone(),
                    self.options.clone(),
                )))
            }
        }
    }
}
