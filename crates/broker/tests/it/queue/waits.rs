//! Long polls: woken by what they wait for, one at a time.

use super::rig::{Rig, bodies, ns, queue};
use millstream_ports::{QueueError, Queues, ReceiveOptions};
use millstream_types::Message;
use std::time::Duration;
use tokio::task::JoinHandle;

type Receiving = JoinHandle<Result<Vec<Message>, QueueError>>;

fn wait(rig: &Rig, name: &'static str, seconds: u64) -> Receiving {
    let broker = rig.broker.clone();
    tokio::spawn(async move {
        let options = ReceiveOptions {
            max: 10,
            wait: Some(Duration::from_secs(seconds)),
            ..ReceiveOptions::default()
        };
        broker.receive(&ns(), &queue(name), options).await
    })
}

/// Lets spawned receives come to their wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_wakes_one_receive() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let receives: Vec<_> = (0..3).map(|_| wait(&rig, "q", 20)).collect();
    settle().await;
    rig.send("q", &["a"]).await;
    settle().await;
    let done = receives.iter().filter(|r| r.is_finished()).count();
    assert_eq!(done, 1);
    rig.send("q", &["b"]).await;
    rig.send("q", &["c"]).await;
    let mut all = Vec::new();
    for receive in receives {
        let got = receive.await.unwrap().unwrap();
        all.push(super::rig::body(&got[0]).to_owned());
    }
    all.sort();
    assert_eq!(all, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_wait_ends_with_nothing() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let receive = wait(&rig, "q", 20);
    settle().await;
    rig.advance(19);
    settle().await;
    assert!(!receive.is_finished());
    rig.advance(1);
    assert!(receive.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn the_queue_says_how_long_to_wait_unless_the_receive_does() {
    let rig = Rig::new().await;
    let spec = millstream_types::QueueSpec {
        receive_wait_seconds: 5,
        ..millstream_types::QueueSpec::default()
    };
    rig.create("q", spec).await;
    let broker = rig.broker.clone();
    let receive = tokio::spawn(async move {
        let options = ReceiveOptions {
            max: 1,
            ..ReceiveOptions::default()
        };
        broker.receive(&ns(), &queue("q"), options).await
    });
    settle().await;
    assert!(!receive.is_finished());
    rig.advance(5);
    assert!(receive.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_receive_is_woken_when_a_message_comes_back_or_its_delay_ends() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.plain("q.fifo").await;
    rig.send("q", &["a"]).await;
    rig.send_fifo("q.fifo", &["g:a", "g:b"]).await;
    rig.receive("q", 1).await;
    let held = rig.receive("q.fifo", 1).await;
    let (plain, fifo) = (wait(&rig, "q", 20), wait(&rig, "q.fifo", 20));
    settle().await;
    rig.advance(15);
    settle().await;
    rig.delete("q.fifo", &[&held[0]]).await;
    assert_eq!(bodies(&fifo.await.unwrap().unwrap()), ["b"]);
    assert!(!plain.is_finished());
    let plain_again = plain;
    rig.advance(5);
    assert!(
        plain_again.await.unwrap().unwrap().is_empty(),
        "20 s are over before 30 s"
    );
    let plain = wait(&rig, "q", 20);
    settle().await;
    rig.advance(10);
    assert_eq!(bodies(&plain.await.unwrap().unwrap()), ["a"]);
}

#[tokio::test]
async fn a_wait_that_is_given_up_takes_nothing() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let (gone, other) = (wait(&rig, "q", 20), wait(&rig, "q", 20));
    settle().await;
    gone.abort();
    settle().await;
    rig.send("q", &["a"]).await;
    assert_eq!(bodies(&other.await.unwrap().unwrap()), ["a"]);
}

#[tokio::test]
async fn a_wait_at_a_deleted_queue_ends() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let receive = wait(&rig, "q", 20);
    settle().await;
    rig.broker.delete(&ns(), &queue("q"), None).await.unwrap();
    assert!(matches!(receive.await.unwrap(), Err(QueueError::NotFound(_))));
}
