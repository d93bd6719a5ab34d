//! Queues of the facade: declared, sent to, handled by closures.

use millstream::manage::ManageError;
use millstream::{
    Batch, BoxError, Millstream, NewMessage, QueueSpec, Redrive, Response, SendFailed, Shutdown, StartError,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Seen = Arc<Mutex<Vec<String>>>;

async fn idle(running: &millstream::Running, mapping: &str) {
    tokio::time::timeout(Duration::from_secs(60), running.wait_until_idle(mapping))
        .await
        .unwrap()
        .unwrap();
}

/// Collects the bodies of messages.
async fn collect(batch: Batch, seen: Seen) -> Result<(), BoxError> {
    for message in batch.messages() {
        seen.lock().unwrap().push(message.text()?.to_owned());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_handled_once_each_and_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let start = || {
        let seen = seen.clone();
        Millstream::builder()
            .data_dir(dir.path())
            .queue("jobs")
            .function("work", move |batch| collect(batch, seen.clone()))
            .mapping("working", |m| {
                m.queue("jobs").function("work").maximum_concurrency(2)
            })
            .start()
    };
    let running = start().await.unwrap();
    running.send("jobs", "first").await.unwrap();
    let sent = running
        .send_many("jobs", (0..25).map(|n| n.to_string()))
        .await
        .unwrap();
    assert_eq!(sent.iter().filter(|answer| answer.is_ok()).count(), 25);
    idle(&running, "working").await;
    assert_eq!(running.shutdown().await, Shutdown::Drained);

    let running = start().await.unwrap();
    running.send("jobs", String::from("last")).await.unwrap();
    idle(&running, "working").await;
    running.shutdown().await;

    let mut all = seen.lock().unwrap().clone();
    all.sort();
    let mut expected: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    expected.extend(["first".to_owned(), "last".to_owned()]);
    expected.sort();
    assert_eq!(all, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_comes_again_alone_and_ends_in_the_dead_letter_queue() {
    let dir = tempfile::tempdir().unwrap();
    let counts = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let (for_work, dead) = (counts.clone(), Seen::default());
    let for_dead = dead.clone();
    let running = Millstream::builder()
        .data_dir(dir.path())
        .queue("dead")
        .queue_with(
            "jobs",
            QueueSpec {
                visibility_timeout_seconds: 1,
                redrive: Some(Redrive {
                    dead_letter_queue: "dead".parse().unwrap(),
                    max_receive_count: 2,
                }),
                ..QueueSpec::default()
            },
        )
        .function("work", move |batch: Batch| {
            let counts = for_work.clone();
            async move {
                for message in batch.messages() {
                    let body = message.text()?.to_owned();
                    if body == "bad" {
                        batch.fail(message);
                    }
                    assert_eq!(message.attribute("kind"), Some("job"));
                    *counts.lock().unwrap().entry(body).or_default() += 1;
                }
                Ok::<_, BoxError>(())
            }
        })
        .function_settings(millstream::FunctionSettings {
            timeout: Duration::from_secs(1),
            ..Default::default()
        })
        .function("bury", move |batch| collect(batch, for_dead.clone()))
        .mapping("working", |m| {
            m.queue("jobs").function("work").report_batch_item_failures(true)
        })
        .mapping("burying", |m| m.queue("dead").function("bury"))
        .start()
        .await
        .unwrap();
    let jobs = ["good", "bad", "fine"].map(|body| NewMessage::new(body).attribute("kind", "job"));
    assert!(
        running
            .send_many("jobs", jobs)
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    idle(&running, "working").await;
    idle(&running, "burying").await;
    running.shutdown().await;
    let expected = [("bad", 2), ("fine", 1), ("good", 1)].map(|(body, n)| (body.to_owned(), n));
    assert_eq!(*counts.lock().unwrap(), BTreeMap::from(expected));
    assert_eq!(*dead.lock().unwrap(), ["bad"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_a_fifo_queue_stays_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let for_work = seen.clone();
    let running = Millstream::builder()
        .data_dir(dir.path())
        .queue_with(
            "jobs.fifo",
            QueueSpec {
                content_based_deduplication: true,
                ..QueueSpec::default()
            },
        )
        .function("work", move |batch: Batch| {
            let seen = for_work.clone();
            async move {
                for message in batch.messages() {
                    let group = message.group().unwrap_or_default();
                    seen.lock().unwrap().push(format!("{group} {}", message.text()?));
                }
                Ok::<_, BoxError>(Response::done())
            }
        })
        .mapping("working", |m| m.queue("jobs.fifo").function("work").batch_size(3))
        .start()
        .await
        .unwrap();
    let refused = running.send("jobs.fifo", "no group").await;
    assert!(matches!(refused, Err(SendFailed::Message(_))), "{refused:?}");
    let messages = (10..40).map(|n| NewMessage::new(n.to_string()).group(["a", "b"][n % 2]));
    running.send_many("jobs.fifo", messages).await.unwrap();
    idle(&running, "working").await;
    running.shutdown().await;
    let seen = seen.lock().unwrap();
    for (group, rest) in [("a ", 0), ("b ", 1)] {
        let got: Vec<&str> = seen.iter().filter_map(|s| s.strip_prefix(group)).collect();
        let expected: Vec<String> = (10..40)
            .filter(|n| n % 2 == rest)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(got, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_streams_are_refused_for_queues() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Millstream::builder()
        .data_dir(dir.path())
        .queue("jobs")
        .function("work", |_batch: Batch| async { Ok::<_, BoxError>(()) })
        .mapping("working", |m| {
            m.queue("jobs")
                .function("work")
                .from_latest()
                .bisect_on_error(true)
        })
        .start()
        .await;
    let Err(StartError::Mapping {
        source: ManageError::Invalid(broken),
        ..
    }) = refused
    else {
        panic!()
    };
    assert_eq!(broken.0.len(), 2, "{broken}");
}
