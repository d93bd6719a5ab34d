//! HTTP requests of the exporter, on the process's runtime.
//!
//! The exporter runs on a thread of its own without a runtime, and OpenTelemetry's client for hyper needs one: each
//! request is a task of the runtime, and the exporter's thread waits for it.

use super::flow::Flow;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

#[derive(Debug)]
pub(super) struct OnRuntime {
    runtime: Handle,
    client: HyperClient,
    flow: Arc<Flow>,
}

impl OnRuntime {
    /// On the runtime that this is called in.
    pub(super) fn new(timeout: Duration, flow: Arc<Flow>) -> Self {
        Self {
            runtime: Handle::current(),
            client: HyperClient::with_default_connector(timeout, None),
            flow,
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        let result = sent.await.unwrap_or_else(|e| Err(e.into()));
        // The exporter tells of no more than a "network error".
        result.inspect_err(|e| self.flow.note_cause(with_causes(&**e)))
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}
