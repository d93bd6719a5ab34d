//! How many invocations a server gets at once.

use super::server::{Server, request, say};
use super::{event, invoker, returned, unreachable};
use crate::rig::until;
use futures::future::join_all;
use millstream_types::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

#[tokio::test]
async fn concurrency_is_bounded_and_the_rest_throttled() {
    let (now, most, go) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Semaphore::new(0)),
    );
    let (seen, gate) = (Arc::clone(&most), Arc::clone(&go));
    let server = Server::start(move |mut stream, _| {
        let (now, most, go) = (Arc::clone(&now), Arc::clone(&seen), Arc::clone(&gate));
        async move {
            while request(&mut stream).await.is_some() {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                go.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let invoker = invoker(&server.url("/"));
    let calls = tokio::spawn({
        let invoker = Arc::clone(&invoker);
        async move { join_all((0..4).map(|_| invoker.invoke(event("{}")))).await }
    });
    until("four run", || most.load(Ordering::SeqCst) == 4).await;
    assert_eq!(invoker.status().in_flight, 4);
    let fifth = invoker.invoke(event("{}")).await;
    assert_eq!(fifth, Outcome::Throttled { retry_after: None });
    go.add_permits(4);
    assert!(
        calls
            .await
            .unwrap()
            .iter()
            .all(|outcome| *outcome == returned("ok"))
    );
    assert_eq!((most.load(Ordering::SeqCst), invoker.status().in_flight), (4, 0));
}

#[tokio::test]
async fn closing_ends_what_runs() {
    let server = Server::start(|mut stream, _| async move {
        request(&mut stream).await;
        request(&mut stream).await; // until the client goes
    })
    .await;
    let invoker = invoker(&server.url("/"));
    let running = tokio::spawn({
        let invoker = Arc::clone(&invoker);
        async move { invoker.invoke(event("{}")).await }
    });
    until("it runs", || server.accepted() == 1).await;
    invoker.close().await;
    let reason = unreachable(running.await.unwrap());
    assert!(reason.contains("closed"), "{reason}");
}
