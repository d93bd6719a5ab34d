//! Calling a function once, by hand.

use super::Manager;
use super::error::ManageError;
use crate::view::InvokeResult;
use bytes::Bytes;
use millstream_ports::Body;
use millstream_types::function::function_arn;
use millstream_types::invocation::RecordRange;
use millstream_types::{FunctionName, Invocation, Namespace, Payload, RequestId};
use std::sync::Arc;
use std::time::Duration;

impl Manager {
    /// Calls a function once with this event and waits for what comes of it, for at most the function's timeout
    /// or `at_most`, whichever is shorter. An empty payload stands for the event `{}`, or for no records where
    /// the function takes records.
    ///
    /// # Errors
    /// [`ManageError::NotFound`]; [`ManageError::Precondition`] if the function cannot be called from here, or
    /// takes records and was given JSON. A failure of the function is an answer, not an error.
    pub async fn invoke_function(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        payload: Bytes,
        at_most: Duration,
    ) -> Result<InvokeResult, ManageError> {
        let function = self.ports.catalog.function(namespace, name).await?;
        let invoker = self
            .ports
            .live
            .invoker(namespace, name)
            .await
            .map_err(|message| ManageError::Precondition {
                reason: "FUNCTION_NOT_SERVED",
                message,
            })?;
        let payload = match invoker.body() {
            Body::Json if payload.is_empty() => Payload::Json(Bytes::from_static(b"{}")),
            Body::Json => Payload::Json(payload),
            Body::Records if payload.is_empty() => Payload::Records(RecordRange {
                all: Arc::from([]),
                range: 0..0,
            }),
            Body::Records => return Err(takes_records(name)),
        };
        let request_id = RequestId::from_random(self.ports.entropy.next_u128());
        let invocation = Invocation {
            function_arn: function_arn(name).into(),
            payload,
            window: None,
            request_id,
            attempt: 1,
            timeout: Duration::from_millis(function.spec.timeout_ms.into()).min(at_most),
            trace: None,
            idempotency_key: format!("invoke/{request_id}").into(),
            mapping: None,
            lease: None,
        };
        let started = self.ports.clock.now().mono;
        let outcome = invoker.invoke(invocation).await;
        let took = self.ports.clock.now().mono.since(started);
        Ok(InvokeResult {
            request_id,
            outcome,
            duration_ms: took.as_millis().try_into().unwrap_or(u64::MAX),
        })
    }
}

fn takes_records(name: &FunctionName) -> ManageError {
    ManageError::Precondition {
        reason: "FUNCTION_TAKES_RECORDS",
        message: format!(
            "function {name} takes records, not JSON: put a record to a stream that is mapped to it, send a message to a \
             queue that is, or call it with an empty payload"
        ),
    }
}
