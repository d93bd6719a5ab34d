//! Chooses the invoker for a function's target.

use crate::http::{HttpInvoker, HttpOptions, Tls};
use crate::in_process::{ClosureInvoker, InProcess};
use crate::limited::Limited;
use crate::process::{Plan, PoolOptions, ProcessInvoker, Spawner};
use millstream_ports::{InvokeFactory, Invoker};
use millstream_types::{Function, LambdaFunction, Target};
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
    http: HttpOptions,
    tls: Tls,
    lambda: Option<Arc<dyn InvokeFactory>>,
}

impl Factory {
    /// A factory that serves the closures of `in_process`, processes, and servers by the default options.
    ///
    /// # Errors
    /// If the thread that starts processes cannot be made.
    pub fn new(in_process: Arc<InProcess>, options: PoolOptions) -> io::Result<Self> {
        Ok(Self {
            in_process,
            spawner: Spawner::start()?,
            options,
            http: HttpOptions::default(),
            tls: Tls::default(),
            lambda: None,
        })
    }

    /// Reaches http functions as `http` says.
    #[must_use]
    pub fn with_http(self, http: HttpOptions) -> Self {
        let tls = Tls::new(http.ca_file.clone());
        Self { http, tls, ..self }
    }

    /// Serves functions of Lambda with the invokers of `lambda`, which need not look at how many run at once.
    #[must_use]
    pub fn with_lambda(self, lambda: Arc<dyn InvokeFactory>) -> Self {
        Self {
            lambda: Some(lambda),
            ..self
        }
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
            Target::Http(target) => {
                let invoker = HttpInvoker::new(function, target, &self.http, &self.tls)?;
                Ok(Arc::new(invoker))
            }
            Target::Lambda(target) => {
                let lambda = self.lambda.as_ref().ok_or_else(|| {
                    format!(
                        "function {} is {} of AWS Lambda, which this program was built without: build it with the \
                         feature `aws`, or give the function another target",
                        function.name, target.function
                    )
                })?;
                let invoker = lambda.invoker(function)?;
                Ok(Arc::new(Limited::new(invoker, function.spec.concurrency)))
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

    fn lambda(&self, function: &LambdaFunction) -> Result<Arc<dyn Invoker>, String> {
        let lambda = self.lambda.as_ref().ok_or_else(|| {
            format!(
                "function {} is of AWS Lambda, which this program was built without: build it with the feature `aws`, or \
                 let the mapping name a registered function",
                function.given
            )
        })?;
        // How many run at once is for the mapping and Lambda to limit.
        lambda.lambda(function)
    }
}
