//! Functions over the wire.

use crate::fakes::{World, fields, reason};
use bytes::Bytes;
use millstream_api::v1;
use millstream_types::Outcome;
use tonic::Code;

const F: &str = "namespaces/default/functions/f";

#[tokio::test]
async fn a_function_lives() {
    let w = World::start().await;
    let mut client = w.functions();
    let made = w.make_function("f").await;
    assert_eq!(
        (
            made.name.as_str(),
            made.timeout.unwrap().seconds,
            made.concurrency
        ),
        (F, 3, Some(10))
    );
    let change = v1::Function {
        name: F.into(),
        concurrency: Some(2),
        ..Default::default()
    };
    let update = v1::UpdateFunctionRequest {
        function: Some(change),
        ..Default::default()
    };
    assert_eq!(
        client
            .update_function(update)
            .await
            .unwrap()
            .into_inner()
            .concurrency,
        Some(2)
    );
    let parent = || "namespaces/default".to_owned();
    let list = v1::ListFunctionsRequest {
        parent: parent(),
        ..Default::default()
    };
    assert_eq!(
        client
            .list_functions(list)
            .await
            .unwrap()
            .into_inner()
            .functions
            .len(),
        1
    );
    let delete = v1::DeleteFunctionRequest {
        name: F.into(),
        ..Default::default()
    };
    client.delete_function(delete).await.unwrap();
    let gone = client
        .get_function(v1::GetFunctionRequest { name: F.into() })
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);

    let nothing = v1::CreateFunctionRequest {
        parent: parent(),
        function_id: "no name".into(),
        function: Some(v1::Function {
            concurrency: Some(0),
            ..Default::default()
        }),
        ..Default::default()
    };
    let refused = client.create_function(nothing).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        ["function_id", "function.target", "function.concurrency"]
    );
}

#[tokio::test]
async fn a_call_by_hand() {
    let w = World::start().await;
    w.make_function("f").await;
    let mut client = w.functions();
    let call = |payload: &'static [u8]| v1::InvokeFunctionRequest {
        name: F.into(),
        payload: Bytes::from_static(payload),
    };
    let unserved = client.invoke_function(call(b"{}")).await.unwrap_err();
    assert_eq!(
        (unserved.code(), reason(&unserved).as_str()),
        (Code::FailedPrecondition, "FUNCTION_NOT_SERVED")
    );

    *w.live.outcome.lock().unwrap() = Some(Outcome::Response(Bytes::from_static(b"42")));
    let answer = client.invoke_function(call(b"{}")).await.unwrap().into_inner();
    let expected = v1::invoke_function_response::Outcome::Payload(Bytes::from_static(b"42"));
    assert_eq!(answer.outcome, Some(expected));
    assert_eq!(
        fields(&client.invoke_function(call(b"{")).await.unwrap_err()),
        ["payload"]
    );

    *w.live.outcome.lock().unwrap() = Some(Outcome::Throttled { retry_after: None });
    let busy = client.invoke_function(call(b"{}")).await.unwrap_err();
    assert_eq!(
        (busy.code(), reason(&busy).as_str()),
        (Code::Unavailable, "FUNCTION_THROTTLED")
    );
}

#[tokio::test]
async fn a_restart_is_a_new_generation_of_the_same_settings() {
    let w = World::start().await;
    let made = w.make_function("f").await;
    let restart = |etag: &str| v1::RestartFunctionRequest {
        name: F.into(),
        etag: etag.into(),
    };
    let stale = w.functions().restart_function(restart("99")).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    let now = w
        .functions()
        .restart_function(restart(&made.etag))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (now.generation, now.timeout, now.target),
        (2, made.timeout, made.target)
    );
}
