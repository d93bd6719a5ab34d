//! Functions and invocations for the tests.

use bytes::Bytes;
use millstream_ports::{InvokeFactory, Invoker};
use millstream_targets::{Factory, InProcess, PoolOptions};
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{
    Epoch, Function, FunctionName, FunctionSpec, Incarnation, Invocation, Lease, MappingId, Namespace,
    Outcome, Payload, ProcessTarget, RequestId, ShardId, Target, Wall,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A function of the given target, with 10 seconds per invocation.
pub(crate) fn function(target: Target, concurrency: u32) -> Function {
    Function {
        namespace: Namespace::default(),
        name: FunctionName::new("tested").unwrap(),
        spec: FunctionSpec {
            target,
            timeout_ms: 10_000,
            concurrency,
        },
        generation: 1,
        revision: 1,
        created: Wall(0),
        modified: Wall(0),
        request_id: None,
        applied: Default::default(),
        tags: Default::default(),
    }
}

/// Python itself: what is called `python3` may be a script that changes the environment first.
pub(crate) fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let say = "import sys; print(sys.executable, end='')";
        let said = std::process::Command::new("python3")
            .args(["-c", say])
            .output()
            .unwrap();
        String::from_utf8(said.stdout).unwrap()
    })
}

/// The test function as a process target, started as `init` says.
pub(crate) fn process(init: &str) -> ProcessTarget {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions/function.py");
    ProcessTarget {
        command: vec![python().to_owned(), script.to_str().unwrap().to_owned()],
        working_dir: Some("/".to_owned()),
        env: BTreeMap::from([("INIT".to_owned(), init.to_owned())]),
        env_pass: vec!["PATH".to_owned()],
        init_timeout_ms: 20_000,
        memory_mb: 128,
    }
}

/// A factory with short waits for idle processes, and no closures.
pub(crate) fn factory() -> Factory {
    let options = PoolOptions {
        stop_grace: Duration::from_millis(500),
        ..PoolOptions::default()
    };
    Factory::new(Arc::new(InProcess::new()), options).unwrap()
}

/// The test function with at most `concurrency` processes.
pub(crate) fn pool(concurrency: u32) -> Arc<dyn Invoker> {
    factory()
        .invoker(&function(Target::Process(process("")), concurrency))
        .unwrap()
}

/// An invocation with this payload and 10 seconds.
pub(crate) fn invocation(payload: Payload) -> Invocation {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    Invocation {
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:tested".into(),
        payload,
        window: None,
        request_id: RequestId::from_random(u128::from(n) << 64),
        attempt: 3,
        timeout: Duration::from_secs(10),
        trace: None,
        idempotency_key: "mapping/shard/1-2".into(),
        mapping: Some(MappingId::from_random(1)),
        lease: Some(Lease {
            mapping: MappingId::from_random(1),
            shard: ShardId::new("shardId-000000000000").unwrap(),
            epoch: Epoch(7),
            incarnation: Incarnation::from_random(2),
        }),
    }
}

/// An invocation with this JSON event.
pub(crate) fn event(event: &Value) -> Invocation {
    invocation(Payload::Json(Bytes::from(event.to_string())))
}

/// Invokes with this event.
pub(crate) async fn invoke(invoker: &dyn Invoker, json: Value) -> Outcome {
    invoker.invoke(event(&json)).await
}

/// The response, which must be JSON.
#[track_caller]
pub(crate) fn response(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Response(bytes) => serde_json::from_slice(&bytes).unwrap(),
        other => panic!("no response: {other:?}"),
    }
}

/// The error, which must be of this kind.
#[track_caller]
pub(crate) fn error(outcome: Outcome, kind: FunctionErrorKind) -> FunctionError {
    match outcome {
        Outcome::FunctionError(error) if error.kind == kind => error,
        other => panic!("not {kind:?}: {other:?}"),
    }
}

/// Whether a process exists and is not a zombie.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Waits for something that must become true, and fails after half a minute.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
