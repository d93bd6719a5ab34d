//! Every way in which an attempt can end is told apart.

use crate::rig::{alive, error, event, factory, function, invoke, pool, process, response, until};
use millstream_ports::InvokeFactory;
use millstream_types::invocation::FunctionErrorKind::{
    Crashed, Exited, Garbage, Init, InitTimeout, Raised, ResponseTooLarge,
};
use millstream_types::{Outcome, ProcessTarget, Target, TraceContext};
use serde_json::json;
use std::time::Duration;

fn started_by(target: ProcessTarget) -> std::sync::Arc<dyn millstream_ports::Invoker> {
    factory().invoker(&function(Target::Process(target), 2)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_a_response() {
    let pool = pool(2);
    let first = response(invoke(&*pool, json!({"n": 1})).await);
    assert_eq!(first["event"], json!({"n": 1}));
    let second = response(invoke(&*pool, json!({"do": "chunked"})).await);
    assert_eq!(second, json!({"a": 1}));
    let third = response(invoke(&*pool, json!({"n": 3})).await);
    assert_eq!(third["pid"], first["pid"], "the process is used again");
    let status = pool.status();
    assert_eq!(
        (status.processes, status.started, status.crashed, status.in_flight),
        (1, 1, 0, 0)
    );
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_gets_the_headers_it_needs() {
    let pool = pool(1);
    let mut invocation = event(&json!({"do": "headers"}));
    invocation.trace = Some(TraceContext {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        tracestate: None,
    });
    let before = std::time::SystemTime::now();
    let headers = response(pool.invoke(invocation.clone()).await);
    assert_eq!(
        headers["lambda-runtime-aws-request-id"],
        invocation.request_id.to_string()
    );
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        &*invocation.function_arn
    );
    let trace = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
    assert_eq!(headers["lambda-runtime-trace-id"], trace);
    assert_eq!(headers["millstream-attempt"], "3");
    assert_eq!(headers["millstream-lease-epoch"], "7");
    let deadline: u64 = headers["lambda-runtime-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let before = before.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(
        u128::from(deadline) >= before.as_millis() + 10_000,
        "the deadline is the start plus the timeout"
    );
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_during_an_invocation() {
    for (what, kind, error_type, part) in [
        ("raise", Raised, "ValueError", "no such thing"),
        (
            "exit",
            Exited,
            "Runtime.ExitError",
            "exit status 3; last output: about to exit",
        ),
        (
            "kill",
            Crashed,
            "Runtime.ExitError",
            "signal SIGSEGV; last output: about to die",
        ),
        ("not-http", Garbage, "Runtime.ProtocolError", "not HTTP/1.1"),
        (
            "wrong-path",
            Garbage,
            "Runtime.ProtocolError",
            "/2018-06-01/runtime/nonsense",
        ),
        (
            "other-request",
            Garbage,
            "Runtime.ProtocolError",
            "not been given",
        ),
        (
            "next-again",
            Garbage,
            "Runtime.ProtocolError",
            "before it had answered",
        ),
        ("broken-body", Garbage, "Runtime.ProtocolError", "broke off"),
        ("bad-chunk", Garbage, "Runtime.ProtocolError", "the runtime"),
    ] {
        let pool = pool(1);
        let before = response(invoke(&*pool, json!({})).await)["pid"].as_u64();
        let outcome = invoke(&*pool, json!({"do": what})).await;
        assert!(
            matches!(&outcome, Outcome::FunctionError(e) if e.kind == kind),
            "{what}: {outcome:?}"
        );
        let failed = error(outcome, kind);
        assert_eq!(failed.error_type, error_type, "{what}");
        assert!(failed.message.contains(part), "{what}: {}", failed.message);
        let pid = u32::try_from(before.unwrap()).unwrap();
        assert_eq!(
            alive(pid),
            kind == Raised,
            "{what}: only an error told by the runtime leaves it running"
        );
        let after = response(invoke(&*pool, json!({})).await)["pid"].as_u64();
        assert_eq!(after == before, kind == Raised, "{what}");
        let unasked = u64::from(matches!(kind, Exited | Crashed));
        assert_eq!(pool.status().crashed, unasked, "{what}");
        pool.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_start() {
    let mut missing = process("");
    missing.command = vec!["/nonexistent/bootstrap".to_owned()];
    let mut nowhere = process("");
    nowhere.working_dir = Some("/nonexistent".to_owned());
    let mut hanging = process("hang");
    hanging.init_timeout_ms = 300;
    for (target, kind, error_type, part) in [
        (
            process("exit"),
            Init,
            "Runtime.ExitError",
            "exit status 7 before it asked for work; last output: cannot start",
        ),
        (
            process("error"),
            Init,
            "Runtime.ImportModuleError",
            "no module named x",
        ),
        (
            process("garbage"),
            Garbage,
            "Runtime.ProtocolError",
            "not HTTP/1.1",
        ),
        (hanging, InitTimeout, "Runtime.InitTimeout", "within 300ms"),
        (
            missing,
            Init,
            "Runtime.InvalidEntrypoint",
            "cannot start /nonexistent/bootstrap",
        ),
        (nowhere, Init, "Runtime.InvalidEntrypoint", "No such file"),
    ] {
        let pool = started_by(target);
        let failed = error(invoke(&*pool, json!({})).await, kind);
        assert_eq!(failed.error_type, error_type);
        assert!(failed.message.contains(part), "{}", failed.message);
        // The next start has to wait: that is no failure of the batch.
        match invoke(&*pool, json!({})).await {
            Outcome::Throttled {
                retry_after: Some(wait),
            } => assert!(wait <= Duration::from_millis(200)),
            other => panic!("{error_type}: {other:?}"),
        }
        assert_eq!(pool.status().processes, 0, "{error_type}");
        pool.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_the_whole_group_before_it_is_told() {
    let pool = pool(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("grandchild");
    response(invoke(&*pool, json!({})).await); // started, so that only the invocation is timed
    let mut invocation = event(&json!({"do": "grandchild", "file": file}));
    invocation.timeout = Duration::from_secs(2);
    assert_eq!(
        pool.invoke(invocation).await,
        Outcome::Timeout {
            after: Duration::from_secs(2)
        }
    );
    let grandchild: u32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    until("the grandchild is gone", || !alive(grandchild)).await;
    response(invoke(&*pool, json!({})).await);
    let status = pool.status();
    assert_eq!((status.processes, status.started, status.crashed), (1, 2, 0));
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_bounded_and_the_process_goes_on() {
    let pool = pool(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("status");
    let status = || std::fs::read_to_string(&file).unwrap_or_default();
    let large = |bytes: u64| json!({"do": "large", "bytes": bytes, "file": file});
    match invoke(&*pool, large(6_291_556)).await {
        Outcome::Response(bytes) => assert_eq!(bytes.len(), 6_291_556),
        other => panic!("{other:?}"),
    }
    until("the runtime saw 202", || status() == "202").await;
    let failed = error(invoke(&*pool, large(6_291_557)).await, ResponseTooLarge);
    assert!(failed.message.contains("6291557"), "{}", failed.message);
    until("the runtime saw 413", || status() == "413").await;
    error(invoke(&*pool, large(30_000_000)).await, ResponseTooLarge);
    response(invoke(&*pool, json!({})).await);
    assert_eq!(pool.status().started, 1);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_ends_the_process_but_not_what_it_had_answered() {
    let pool = pool(1);
    let first = response(invoke(&*pool, json!({"do": "twice"})).await)["pid"].as_u64();
    let pid = u32::try_from(first.unwrap()).unwrap();
    until("the process is ended", || !alive(pid)).await;
    // Whether or not this was already queued for that process, it runs, and in another.
    let second = response(invoke(&*pool, json!({})).await)["pid"].as_u64();
    assert_ne!(first, second);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_right_after_the_answer_fails_nothing() {
    let pool = pool(1);
    for _ in 0..10 {
        response(invoke(&*pool, json!({"do": "answer-and-exit"})).await);
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_everything() {
    let pool = pool(2);
    let pid = response(invoke(&*pool, json!({})).await)["pid"].as_u64().unwrap();
    let hanging = {
        let pool = std::sync::Arc::clone(&pool);
        tokio::spawn(async move { invoke(&*pool, json!({"do": "hang"})).await })
    };
    until("it hangs", || pool.status().in_flight == 1).await;
    pool.close().await;
    assert!(!alive(u32::try_from(pid).unwrap()), "closed means gone");
    assert!(matches!(hanging.await.unwrap(), Outcome::Unreachable { .. }));
    assert!(matches!(
        invoke(&*pool, json!({})).await,
        Outcome::Unreachable { .. }
    ));
    let status = pool.status();
    assert_eq!((status.processes, status.in_flight, status.crashed), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_nobody_awaits_ends_and_frees_its_process() {
    let pool = pool(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("go");
    let first = response(invoke(&*pool, json!({})).await)["pid"].clone();
    let abandoned = {
        let (pool, file) = (std::sync::Arc::clone(&pool), file.clone());
        tokio::spawn(async move { invoke(&*pool, json!({"do": "wait-for", "file": file})).await })
    };
    until("it runs", || pool.status().in_flight == 1).await;
    abandoned.abort();
    assert!(matches!(
        invoke(&*pool, json!({})).await,
        Outcome::Throttled { retry_after: None }
    ));
    std::fs::write(&file, "").unwrap();
    until("it has ended", || pool.status().in_flight == 0).await;
    assert_eq!(response(invoke(&*pool, json!({})).await)["pid"], first);
    pool.close().await;
}
