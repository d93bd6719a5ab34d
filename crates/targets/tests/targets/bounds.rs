//! What a function may use: processes, time without work, environment, privileges, descriptors.

use crate::rig::{alive, factory, function, invoke, pool, process, response, until};
use futures::future::join_all;
use millstream_ports::InvokeFactory;
use millstream_targets::{Factory, InProcess, PoolOptions};
use millstream_types::{Outcome, Target};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_invocations_over_four_processes() {
    let pool = pool(4);
    let dir = tempfile::tempdir().unwrap();
    // 50 at once would be refused after a second; as with an engine, 4 lanes bring one after the other.
    let lanes = (0..4).map(|lane| {
        let (pool, dir) = (Arc::clone(&pool), dir.path().to_owned());
        async move {
            let mut seen = Vec::new();
            for _ in 0..if lane < 2 { 13 } else { 12 } {
                seen.push(response(
                    invoke(&*pool, json!({"do": "overlap", "dir": dir, "seconds": 0.05})).await,
                ));
            }
            seen
        }
    });
    let seen: Vec<Value> = join_all(lanes).await.into_iter().flatten().collect();
    assert_eq!(seen.len(), 50);
    let pids: BTreeSet<u64> = seen.iter().filter_map(|v| v["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 4);
    let most = seen.iter().filter_map(|v| v["most"].as_u64()).max().unwrap();
    assert!((2..=4).contains(&most), "{most} at once");
    assert_eq!(
        pool.status().started,
        4,
        "a process that has just answered is used again"
    );
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_is_throttled_never_started() {
    let pool = pool(2);
    let dir = tempfile::tempdir().unwrap();
    let calls = (0..20).map(|_| {
        let (pool, dir) = (Arc::clone(&pool), dir.path().to_owned());
        async move { invoke(&*pool, json!({"do": "overlap", "dir": dir, "seconds": 0.4})).await }
    });
    let outcomes = join_all(calls).await;
    let throttled = outcomes
        .iter()
        .filter(|o| matches!(o, Outcome::Throttled { retry_after: None }))
        .count();
    let answers: Vec<Value> = outcomes
        .into_iter()
        .filter(|o| !matches!(o, Outcome::Throttled { .. }))
        .map(response)
        .collect();
    assert!(
        throttled > 0 && answers.len() >= 2,
        "{throttled} throttled, {} answered",
        answers.len()
    );
    assert!(answers.iter().all(|v| v["most"].as_u64().unwrap() <= 2));
    assert_eq!(pool.status().started, 2);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn surplus_idle_processes_end_and_one_stays() {
    let options = PoolOptions {
        idle_after: Duration::from_millis(300),
        ..PoolOptions::default()
    };
    let factory = Factory::new(Arc::new(InProcess::new()), options).unwrap();
    let pool = factory
        .invoker(&function(Target::Process(process("")), 3))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let calls = (0..3).map(|_| {
        invoke(
            &*pool,
            json!({"do": "overlap", "dir": dir.path(), "seconds": 0.3}),
        )
    });
    let pids: Vec<u64> = join_all(calls)
        .await
        .into_iter()
        .filter_map(|o| response(o)["pid"].as_u64())
        .collect();
    assert_eq!(pids.len(), 3);
    until("one is left", || pool.status().processes == 1).await;
    let left = pids
        .iter()
        .filter(|pid| alive(u32::try_from(**pid).unwrap()))
        .count();
    assert_eq!(left, 1);
    let again = response(invoke(&*pool, json!({})).await)["pid"].as_u64().unwrap();
    assert!(pids.contains(&again));
    assert_eq!(pool.status().crashed, 0, "they were asked to end");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_exactly_the_allow_list() {
    let mut target = process("");
    target.env.insert("MINE".to_owned(), "yes".to_owned());
    let pool = factory().invoker(&function(Target::Process(target), 1)).unwrap();
    let seen = response(invoke(&*pool, json!({"do": "env"})).await);
    assert_eq!(seen["cwd"], "/");
    let names: Vec<&str> = seen["env"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = vec![
        "AWS_DEFAULT_REGION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "INIT",
        "LAMBDA_TASK_ROOT",
        "LC_CTYPE", // Python itself sets it where there is no locale (PEP 538)
        "MINE",
        "PATH",
        "TZ",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_a_group_of_its_own_without_privileges_or_our_descriptors() {
    let pool = pool(1);
    let seen = response(invoke(&*pool, json!({"do": "limits"})).await);
    assert_eq!(seen["sid"], seen["pid"]);
    assert_eq!(seen["pgid"], seen["pid"]);
    assert_eq!(seen["no_new_privs"], "1");
    assert_eq!(seen["core"], json!([0, 0]));
    assert!(seen["files"][1].as_u64().unwrap() <= 1_024);
    // stdin, stdout, stderr, its connection, and the directory it lists.
    assert!(seen["fds"].as_array().unwrap().len() <= 5, "{}", seen["fds"]);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_died_while_idle_is_replaced_unnoticed() {
    let pool = pool(1);
    for _ in 0..5 {
        let pid = response(invoke(&*pool, json!({})).await)["pid"].as_u64().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        // Idle when it died, not called while it does: until it is reaped it may still be handed an invocation.
        while nix::sys::signal::kill(pid, None).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        tokio::task::yield_now().await;
    }
    response(invoke(&*pool, json!({})).await);
    pool.close().await;
    assert_eq!(pool.status().crashed, 5);
}
