//! The port's view of a function of Lambda.

use super::bounded::BoundAnswers;
use super::outcome;
use crate::connection::Connector;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use millstream_ports::{Body, InvokeFactory, Invoker, PoolStatus};
use millstream_types::invocation::MAX_RESPONSE;
use millstream_types::lambda::LambdaName;
use millstream_types::{Function, Invocation, Outcome, Payload, Target, TraceContext};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Beyond the function's timeout, how long an answer may take: Lambda gives a runtime so long to start.
const START_WAIT: Duration = Duration::from_secs(10);
const TRACE_ID: &str = "x-amzn-trace-id";

/// Makes invokers of functions of Lambda, each over the connection that serves it.
#[derive(Clone, Debug)]
pub struct LambdaFunctions {
    connector: Arc<Connector>,
    start_wait: Duration,
}

impl LambdaFunctions {
    /// Functions over these connections.
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            start_wait: START_WAIT,
        }
    }

    /// Waits so long for an answer beyond the function's timeout; ten seconds if nothing is said.
    #[must_use]
    pub fn with_start_wait(self, start_wait: Duration) -> Self {
        Self { start_wait, ..self }
    }
}

impl InvokeFactory for LambdaFunctions {
    fn invoker(&self, function: &Function) -> Result<Arc<dyn Invoker>, String> {
        let Target::Lambda(target) = &function.spec.target else {
            return Err(format!("function {} is not of AWS Lambda", function.name));
        };
        let named = LambdaName::parse(&target.function)
            .ok_or_else(|| format!("'{}' names no function of AWS Lambda", target.function))?;
        let config = self.connector.config_of(&named.arn(), named.region);
        let config = config.map_err(|e| {
            format!(
                "function {}: {} of AWS Lambda is not served: {e}",
                function.name, target.function
            )
        })?;
        Ok(Arc::new(LambdaInvoker::new(
            &config,
            &target.function,
            self.start_wait,
        )))
    }
}

/// Invokes one function. How many invocations run at once is not its concern.
struct LambdaInvoker {
    client: Client,
    /// As it was given.
    function: String,
    start_wait: Duration,
}

impl LambdaInvoker {
    /// Calls nobody yet.
    fn new(config: &SdkConfig, function: &str, start_wait: Duration) -> Self {
        let connect = config.timeout_config().and_then(TimeoutConfig::connect_timeout);
        let mut timeouts = TimeoutConfig::builder()
            .disable_read_timeout()
            .disable_operation_timeout()
            .disable_operation_attempt_timeout();
        timeouts.set_connect_timeout(connect);
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            // Each invocation has a time of its own, and nothing comes before a function has returned.
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(BoundAnswers {
                max: MAX_RESPONSE as u64,
            })
            .build();
        Self {
            client: Client::from_conf(config),
            function: function.to_owned(),
            start_wait,
        }
    }

    async fn call(&self, event: Vec<u8>, trace: Option<String>, given: Duration) -> Outcome {
        let request = self
            .client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::RequestResponse)
            .payload(Blob::new(event))
            .customize()
            .mutate_request(move |request| {
                if let Some(trace) = &trace {
                    request.headers_mut().insert(TRACE_ID, trace.clone());
                }
            });
        match timeout(given + self.start_wait, request.send()).await {
            Ok(Ok(answer)) => outcome::of_answer(answer, given),
            Ok(Err(error)) => outcome::of_error(&error),
            Err(_elapsed) => Outcome::Timeout { after: given },
        }
    }
}

#[async_trait]
impl Invoker for LambdaInvoker {
    fn body(&self) -> Body {
        Body::Json
    }

    /// May take as much longer than the function's timeout as Lambda gives a runtime to start.
    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let Payload::Json(event) = invocation.payload else {
            return Outcome::Unreachable {
                reason: "Lambda takes the batch as JSON, and was given another form".to_owned(),
            };
        };
        let trace = invocation.trace.as_ref().and_then(TraceContext::amazon_trace_id);
        // Boxed: the SDK's futures are large.
        Box::pin(self.call(event.into(), trace, invocation.timeout)).await
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    /// There is nothing behind it.
    async fn close(&self) {}
}
