//! The port's view of a function of Lambda.

use super::bounded::BoundAnswers;
use super::find::{self, Known};
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
use millstream_ports::{Body, FindError, FindFunction, InvokeFactory, Invoker, PoolStatus};
use millstream_types::invocation::MAX_RESPONSE;
use millstream_types::lambda::LambdaName;
use millstream_types::{
    FoundFunction, Function, Invocation, LambdaFunction, Outcome, Payload, Target, TraceContext,
};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

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

    /// How what is named so is reached, or why it is not.
    fn config(&self, given: &str) -> Result<SdkConfig, String> {
        let named =
            LambdaName::parse(given).ok_or_else(|| format!("'{given}' names no function of AWS Lambda"))?;
        let config = self.connector.config_of(&named.arn(), named.region);
        config.map_err(|e| format!("{given} of AWS Lambda is not served: {e}"))
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
        let of_function = |why| format!("function {}: {why}", function.name);
        let config = self.config(&target.function).map_err(of_function)?;
        let invoker = LambdaInvoker::new(&config, &target.function, self.start_wait);
        Ok(Arc::new(invoker))
    }

    fn lambda(&self, function: &LambdaFunction) -> Result<Arc<dyn Invoker>, String> {
        let config = self.config(&function.given)?;
        let invoker = LambdaInvoker::new(&config, &function.given, self.start_wait);
        Ok(Arc::new(LambdaInvoker {
            known: Some(Known::of(function)),
            ..invoker
        }))
    }
}

#[async_trait]
impl FindFunction for LambdaFunctions {
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        let named = LambdaName::parse(given)
            .ok_or_else(|| FindError::NotFound(format!("'{given}' names no function")))?;
        let config = self
            .connector
            .config_of(&named.arn(), named.region)
            .map_err(find::unserved)?;
        // Boxed: the SDK's futures are large.
        Box::pin(find::look(&Client::new(&config), given, named.qualifier)).await
    }
}

/// Invokes one function. How many invocations run at once is not its concern.
struct LambdaInvoker {
    client: Client,
    /// As it was given.
    function: String,
    start_wait: Duration,
    /// What Lambda told of it, where its timeout is not set here.
    known: Option<Known>,
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
            known: None,
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
        let (mut request, started) = (pin!(request.send()), Instant::now());
        let mut given = given;
        loop {
            let ended = match timeout_at(started + given + self.start_wait, &mut request).await {
                Ok(ended) => ended,
                Err(_elapsed) => tokio::select! {
                    biased;
                    ended = &mut request => ended,
                    longer = self.longer_than(given) => match longer {
                        Some(longer) => {
                            given = longer;
                            continue;
                        }
                        None => return Outcome::Timeout { after: given },
                    },
                },
            };
            return match ended {
                Ok(answer) => outcome::of_answer(answer, given),
                Err(error) => outcome::of_error(&error),
            };
        }
    }

    /// The function's timeout, if its owner has made it longer than this since it was asked for.
    async fn longer_than(&self, given: Duration) -> Option<Duration> {
        let known = self.known.as_ref()?;
        known.ask_again(&self.client, &self.function).await;
        Some(known.timeout()).filter(|timeout| *timeout > given)
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
        let given = self.known.as_ref().map_or(invocation.timeout, Known::timeout);
        // Boxed: the SDK's futures are large.
        Box::pin(self.call(event.into(), trace, given)).await
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    /// There is nothing behind it.
    async fn close(&self) {}
}
