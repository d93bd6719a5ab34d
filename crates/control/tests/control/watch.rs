//! Watches over the wire, and what ends them.

use crate::fakes::{World, active, reason};
use millstream_api::v1;
use millstream_api::v1::watch_mappings_response::Event;
use std::time::Duration;
use tonic::{Code, Status, Streaming};
use tonic_health::ServingStatus;

async fn watch(w: &World) -> Streaming<v1::WatchMappingsResponse> {
    let request = v1::WatchMappingsRequest {
        parent: "namespaces/default".into(),
    };
    w.mappings().watch_mappings(request).await.unwrap().into_inner()
}

async fn next(watch: &mut Streaming<v1::WatchMappingsResponse>) -> Result<Event, Status> {
    watch
        .message()
        .await
        .map(|m| m.expect("a watch ends with a status").event.unwrap())
}

/// Reads up to the end of the snapshot and returns the names in it.
async fn snapshot(watch: &mut Streaming<v1::WatchMappingsResponse>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        match next(watch).await.unwrap() {
            Event::Updated(m) => names.push(m.name),
            Event::SnapshotEnd(_) => return names,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_watch_shows_what_is_and_what_happens() {
    let w = World::start().await;
    w.make_mapping("m").await;
    let mut seen = watch(&w).await;
    assert_eq!(snapshot(&mut seen).await, ["namespaces/default/mappings/m"]);
    w.make_mapping("n").await;
    let Event::Updated(n) = next(&mut seen).await.unwrap() else {
        panic!()
    };
    assert_eq!(n.name, "namespaces/default/mappings/n");
    let gone = millstream_types::MappingName::new("n").unwrap();
    let id = n.uid.parse().unwrap();
    millstream_ports::Catalog::remove_mapping(&*w.catalog, &Default::default(), &gone, id)
        .await
        .unwrap();
    let Event::Removed(removed) = next(&mut seen).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        removed,
        v1::MappingRemoved {
            name: n.name,
            uid: n.uid
        }
    );
}

#[tokio::test]
async fn a_slow_watcher_is_told_to_resync() {
    let w = World::start().await;
    let id = w.make_mapping("m").await.uid.parse().unwrap();
    let mut seen = watch(&w).await;
    snapshot(&mut seen).await;
    // The test runs on one thread: the server reads none of these before all are sent, and the channel holds four.
    for _ in 0..10 {
        w.live.changes.send((id, active(1))).unwrap();
    }
    let status = loop {
        if let Err(status) = next(&mut seen).await {
            break status;
        }
    };
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "RESYNC")
    );
    assert_eq!(
        snapshot(&mut watch(&w).await).await.len(),
        1,
        "and a new watch starts anew"
    );
}

#[tokio::test]
async fn watches_end_at_shutdown_and_do_not_delay_it() {
    // Without the watches' own end this would wait for the drain, which is longer than any test runs.
    let w = World::with(|o| o.drain = Duration::from_secs(3_600)).await;
    let mut seen = watch(&w).await;
    snapshot(&mut seen).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(w.channel.clone());
    let request = tonic_health::pb::HealthCheckRequest {
        service: String::new(),
    };
    let mut health = health.watch(request).await.unwrap().into_inner();
    let serving = |message: Option<tonic_health::pb::HealthCheckResponse>| {
        message.expect("a watch ends with a status").status == ServingStatus::Serving as i32
    };
    assert!(serving(health.message().await.unwrap()));
    w.shutdown.cancel();
    let status = next(&mut seen).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "SHUTTING_DOWN")
    );
    assert!(
        !serving(health.message().await.unwrap()),
        "it is told before it ends"
    );
    assert_eq!(health.message().await.unwrap_err().code(), Code::Unavailable);
    w.server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_finish_is_cut_off_at_the_end_of_the_drain() {
    let w = World::with(|o| o.drain = Duration::from_millis(1)).await;
    w.make_function("f").await;
    w.live.hangs.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut client = w.functions();
    let request = v1::InvokeFunctionRequest {
        name: "namespaces/default/functions/f".into(),
        ..Default::default()
    };
    let call = tokio::spawn(async move { client.invoke_function(request).await });
    w.live.called.notified().await;
    w.shutdown.cancel();
    w.server.stopped().await.unwrap();
    assert!(call.await.unwrap().is_err());
}
