//! Functions through the manager.

use super::fakes::*;
use crate::manage::{FunctionPatch, ManageError, NewFunction};
use bytes::Bytes;
use millstream_ports::Body;
use millstream_types::{FunctionSpec, Outcome, Target};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_function_lives() {
    let w = World::new().await;
    let (ns, f) = (namespace(), function("f"));
    let view = w.manager.function(&ns, &f).await.unwrap();
    assert_eq!((view.function.generation, view.pool.processes), (1, 2));

    let patch = FunctionPatch {
        timeout_ms: Some(9_000),
        ..Default::default()
    };
    let stale = Some(view.function.revision + 1);
    let e = w
        .manager
        .update_function(&ns, &f, &patch, stale, false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::Conflict { .. }), "{e:?}");
    let now = w
        .manager
        .update_function(&ns, &f, &patch, None, false)
        .await
        .unwrap();
    assert_eq!(
        (now.function.generation, now.function.spec.timeout_ms),
        (2, 9_000)
    );

    assert_eq!(w.manager.functions(&ns, None, 10).await.unwrap().items.len(), 1);
    w.manager.delete_function(&ns, &f, None, true).await.unwrap();
    w.manager
        .delete_function(&ns, &f, Some(now.function.revision), false)
        .await
        .unwrap();
    assert!(matches!(
        w.manager.function(&ns, &f).await,
        Err(ManageError::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_function_that_a_mapping_uses_can_go() {
    let w = World::new().await;
    w.manager.create_mapping(new_mapping("m"), false).await.unwrap();
    w.manager
        .delete_function(&namespace(), &function("f"), None, false)
        .await
        .unwrap();
    assert!(w.manager.mapping(&namespace(), &name("m")).await.is_ok());
}

#[tokio::test]
async fn broken_rules_and_repetitions() {
    let w = World::new().await;
    let bad = FunctionSpec {
        target: Target::InProcess,
        timeout_ms: 0,
        concurrency: 0,
    };
    let new = NewFunction {
        spec: bad,
        ..new_function("g")
    };
    let ManageError::Invalid(v) = w.manager.create_function(new, false).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(v.0.len(), 2, "{v}");

    let new = NewFunction {
        request_id: Some("r".into()),
        ..new_function("g")
    };
    assert_eq!(
        w.manager
            .create_function(new.clone(), true)
            .await
            .unwrap()
            .function
            .revision,
        0
    );
    let first = w.manager.create_function(new.clone(), false).await.unwrap();
    assert_eq!(w.manager.create_function(new, false).await.unwrap(), first);
    let e = w
        .manager
        .create_function(new_function("g"), false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::AlreadyExists { .. }), "{e:?}");
}

#[tokio::test]
async fn a_call_by_hand() {
    let w = World::new().await;
    let (ns, f) = (namespace(), function("f"));
    let minute = Duration::from_secs(60);
    let call = |payload: &'static str, at_most| {
        w.manager
            .invoke_function(&ns, &f, Bytes::from_static(payload.as_bytes()), at_most)
    };
    let e = call("1", minute).await.unwrap_err();
    assert!(
        matches!(
            e,
            ManageError::Precondition {
                reason: "FUNCTION_NOT_SERVED",
                ..
            }
        ),
        "{e:?}"
    );

    *w.live.invoker.lock().unwrap() = Some(Arc::new(Echo(Body::Json)));
    for (payload, at_most, expected) in [
        ("1", minute, "3000ms:1"),
        ("", minute, "3000ms:{}"),
        ("2", Duration::from_secs(1), "1000ms:2"),
    ] {
        let result = call(payload, at_most).await.unwrap();
        assert_eq!(result.outcome, Outcome::Response(expected.into()));
    }

    *w.live.invoker.lock().unwrap() = Some(Arc::new(Echo(Body::Records)));
    assert_eq!(
        call("", minute).await.unwrap().outcome,
        Outcome::Response("0 records".into())
    );
    let e = call("{}", minute).await.unwrap_err();
    assert!(
        matches!(
            e,
            ManageError::Precondition {
                reason: "FUNCTION_TAKES_RECORDS",
                ..
            }
        ),
        "{e:?}"
    );
}
