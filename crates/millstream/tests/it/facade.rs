//! What the builder promises: made if missing, changed if different, kept otherwise.

use millstream::manage::{ManageError, MappingState};
use millstream::types::{Desired, MappingName, Namespace, StreamName};
use millstream::{Batch, Builder, Millstream, PutFailed, Response, Shutdown, StartError, StreamError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Seen = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn declare(dir: &Path, seen: &Seen) -> Builder {
    let seen = seen.clone();
    Millstream::builder()
        .data_dir(dir)
        .stream("orders", 2)
        .function("collect", move |batch: Batch| {
            let seen = seen.clone();
            async move {
                let mut seen = seen.lock().unwrap();
                for record in batch.records() {
                    let key = String::from_utf8(record.partition_key.to_vec()).unwrap();
                    seen.entry(key)
                        .or_default()
                        .push(String::from_utf8(record.data.to_vec()).unwrap());
                }
                Ok::<_, std::io::Error>(())
            }
        })
}

fn records(from: u32, to: u32) -> impl Iterator<Item = (String, String)> {
    (from..to).map(|n| (format!("key-{}", n % 7), n.to_string()))
}

async fn idle(running: &millstream::Running, mapping: &str) {
    tokio::time::timeout(Duration::from_secs(60), running.wait_until_idle(mapping))
        .await
        .unwrap()
        .unwrap();
}

fn name() -> MappingName {
    MappingName::new("m").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_handled_in_order_per_key_across_a_restart_and_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let start = |batch: u32, factor: u8| {
        declare(dir.path(), &seen)
            .mapping("m", move |m| {
                m.stream("orders")
                    .function("collect")
                    .batch_size(batch)
                    .parallelization_factor(factor)
            })
            .start()
    };
    let running = start(10, 4).await.unwrap();
    let first = running
        .manager()
        .mapping(running.namespace(), &name())
        .await
        .unwrap()
        .mapping;
    let answers = running.put_many("orders", records(0, 1_200)).await.unwrap();
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1_200);
    idle(&running, "m").await;
    assert_eq!(running.shutdown().await, Shutdown::Drained);

    let running = start(50, 2).await.unwrap();
    running.put_many("orders", records(1_200, 1_400)).await.unwrap();
    idle(&running, "m").await;
    let second = running
        .manager()
        .mapping(running.namespace(), &name())
        .await
        .unwrap()
        .mapping;
    assert_eq!(
        (second.id, second.spec.batch_size, second.generation),
        (first.id, 50, first.generation + 1)
    );
    running.shutdown().await;

    let seen = seen.lock().unwrap();
    for (key, got) in seen.iter() {
        let want: Vec<String> = records(0, 1_400)
            .filter(|(k, _)| k == key)
            .map(|(_, data)| data)
            .collect();
        assert_eq!(*got, want, "{key}");
    }
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 1_400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_while_nothing_ran_is_handled_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let running = declare(dir.path(), &seen).start().await.unwrap();
    running.put("orders", "k", "before").await.unwrap();
    drop(running);
    let running = declare(dir.path(), &seen)
        .mapping("m", |m| m.stream("orders").function("collect"))
        .start()
        .await
        .unwrap();
    idle(&running, "m").await;
    running.shutdown().await;
    assert_eq!(seen.lock().unwrap()["k"], ["before"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_from_its_answer_on() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let running = declare(dir.path(), &seen)
        .mapping("m", |m| m.stream("orders").function("collect"))
        .start()
        .await
        .unwrap();
    let (manager, namespace) = (running.manager(), running.namespace());
    let count = || seen.lock().unwrap().values().map(Vec::len).sum::<usize>();
    for round in 0..20 {
        manager.pause_mapping(namespace, &name(), None).await.unwrap();
        running
            .put_many("orders", records(round * 7, round * 7 + 7))
            .await
            .unwrap();
        let paused = async {
            while manager.mapping(namespace, &name()).await.unwrap().status.state != MappingState::Paused {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), paused)
            .await
            .unwrap();
        assert_eq!(
            count(),
            round as usize * 7,
            "a record put behind the answer was handled"
        );
        manager.resume_mapping(namespace, &name(), None).await.unwrap();
        idle(&running, "m").await;
        assert_eq!(count(), round as usize * 7 + 7);
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_mapping_stays_paused_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let start = || {
        declare(dir.path(), &seen)
            .mapping("m", |m| m.stream("orders").function("collect"))
            .start()
    };
    let running = start().await.unwrap();
    running
        .manager()
        .pause_mapping(running.namespace(), &name(), None)
        .await
        .unwrap();
    running.shutdown().await;
    let running = start().await.unwrap();
    running.put("orders", "k", "v").await.unwrap();
    let view = running
        .manager()
        .mapping(running.namespace(), &name())
        .await
        .unwrap();
    assert_eq!(view.mapping.desired, Desired::Paused);
    assert_ne!(view.status.state, MappingState::Active);
    assert!(seen.lock().unwrap().is_empty());
    running
        .manager()
        .resume_mapping(running.namespace(), &name(), None)
        .await
        .unwrap();
    idle(&running, "m").await;
    assert_eq!(seen.lock().unwrap()["k"], ["v"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_record_ends_in_the_failure_stream_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let running = Millstream::builder()
        .data_dir(dir.path())
        .stream("in", 1)
        .stream("failed", 1)
        .function("refuse-odd", |batch: Batch| async move {
            let odd = batch.records().iter().position(|r| r.data.as_ref() == b"odd");
            Ok::<_, std::io::Error>(odd.map_or_else(Response::done, |at| Response::failed_at([at])))
        })
        .mapping("m", |m| {
            m.stream("in")
                .function("refuse-odd")
                .report_batch_item_failures(true)
                .bisect_on_error(true)
                .max_retry_attempts(0)
                .on_failure("failed")
        })
        .start()
        .await
        .unwrap();
    running
        .put_many("in", ["a", "odd", "b"].map(|data| ("k", data)))
        .await
        .unwrap();
    idle(&running, "m").await;
    let status = running
        .manager()
        .mapping(running.namespace(), &name())
        .await
        .unwrap()
        .status;
    assert_eq!(
        (status.counters.records_done, status.counters.records_discarded),
        (2, 1)
    );
    let failed = StreamName::new("failed").unwrap();
    let arrived = async {
        while running
            .streams()
            .describe(running.namespace(), &failed)
            .await
            .unwrap()
            .shards[0]
            .records
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived)
        .await
        .unwrap();
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Seen::default();
    let mapped = |stream: &'static str, batch: u32| {
        declare(dir.path(), &seen)
            .stream("other", 1)
            .mapping("m", move |m| {
                m.stream(stream).function("collect").batch_size(batch)
            })
    };
    let Err(
        e @ StartError::Mapping {
            source: ManageError::Invalid(_),
            ..
        },
    ) = mapped("orders", 0).start().await
    else {
        panic!("a batch of no records was accepted")
    };
    assert!(e.to_string().starts_with("mapping m: "), "{e}");

    let running = mapped("orders", 10).start().await.unwrap();
    let Err(StartError::Open(e)) = mapped("orders", 10).start().await else {
        panic!("opened twice")
    };
    assert!(e.to_string().contains("another process uses the database"), "{e}");
    let e = running.put("nowhere", "k", "v").await.unwrap_err();
    assert!(matches!(e, PutFailed::Stream(StreamError::NotFound(_))), "{e}");
    assert!(matches!(
        running.put("a b", "k", "v").await,
        Err(PutFailed::Name(_))
    ));
    assert!(matches!(
        running.put("orders", "", "v").await,
        Err(PutFailed::Record(_))
    ));
    assert_eq!(running.namespace(), &Namespace::default());
    running.shutdown().await;

    let Err(e @ StartError::Mapping { .. }) = mapped("other", 10).start().await else {
        panic!("the stream of a mapping was changed")
    };
    assert!(e.to_string().contains("declare one under a new name"), "{e}");
}
