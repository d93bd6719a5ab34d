//! Functions as HTTP servers: every answer, every way in which there is none, what is sent and what is kept.

mod answers;
mod broken;
mod connections;
mod foreign;
mod places;
mod server;
mod tls;

use crate::rig::{function, invocation};
use bytes::Bytes;
use millstream_ports::{InvokeFactory, Invoker};
use millstream_targets::{Factory, HttpOptions, InProcess, PoolOptions};
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{HttpTarget, Invocation, Outcome, Payload, Target};
use std::sync::Arc;
use std::time::Duration;

/// What makes invokers by these options.
fn factory(options: HttpOptions) -> Factory {
    Factory::new(Arc::new(InProcess::new()), PoolOptions::default())
        .unwrap()
        .with_http(options)
}

/// The invoker of the function at `url`, or why there is none.
fn try_invoker(url: &str, options: HttpOptions) -> Result<Arc<dyn Invoker>, String> {
    let target = Target::Http(HttpTarget { url: url.to_owned() });
    factory(options).invoker(&function(target, 4))
}

/// The invoker of the function at `url`.
fn invoker(url: &str) -> Arc<dyn Invoker> {
    try_invoker(url, HttpOptions::default()).unwrap()
}

fn event(body: &'static str) -> Invocation {
    invocation(Payload::Json(Bytes::from_static(body.as_bytes())))
}

/// An event of so many bytes.
fn event_of(length: usize) -> Invocation {
    invocation(Payload::Json(Bytes::from(vec![b' '; length])))
}

/// An event with so little time.
fn hurried() -> Invocation {
    Invocation {
        timeout: Duration::from_millis(300),
        ..event("{}")
    }
}

fn returned(text: &str) -> Outcome {
    Outcome::Response(Bytes::copy_from_slice(text.as_bytes()))
}

/// The function's error, which must be of this kind and type.
#[track_caller]
fn failure(outcome: Outcome, kind: FunctionErrorKind, error_type: &str) -> FunctionError {
    match outcome {
        Outcome::FunctionError(error) if error.kind == kind && error.error_type == error_type => error,
        other => panic!("not {kind:?} {error_type}: {other:?}"),
    }
}

/// Why the function was not reached.
#[track_caller]
fn unreachable(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unreachable { reason } => reason,
        other => panic!("not unreachable: {other:?}"),
    }
}
