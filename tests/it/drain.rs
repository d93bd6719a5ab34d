//! SIGTERM: what runs may end, nothing is done twice afterwards; a deadline and a second signal end the wait.

use crate::client::{Client, entry, mapping, test_function};
use crate::function::calls;
use crate::server::{Server, Settings};
use crate::wait::{SOON, until};
use millstream_api::v1;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const RECORDS: usize = 6_000;
const KEYS: usize = 30;

async fn set_up(server: &Server) -> Client {
    let client = server.client();
    client.create_stream("orders", 2).await;
    let mut command = test_function(&server.dir().join("calls"), "id");
    // Milliseconds before and after the work: a stop always finds some under way.
    command.push("3".to_owned());
    client
        .create_function("work", &command, Duration::from_secs(60), 8)
        .await;
    let settings = v1::Mapping {
        batch_size: Some(5),
        parallelization_factor: Some(4),
        ..mapping("orders", "work")
    };
    client.create_mapping("work", settings).await;
    client
}

fn successes(journal: &Path) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    for id in calls(journal).iter().flat_map(|c| c.done()) {
        *times.entry(id.parse().unwrap()).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_work_repeats_nothing() {
    let mut server = Server::start().await;
    let client = set_up(&server).await;
    let journal = server.dir().join("calls");
    let records = (0..RECORDS).map(|id| entry(&format!("key-{}", id % KEYS), id.to_string()));
    client.put("orders", records.collect()).await;
    let mut stopped_in_the_middle = 0;
    for stop in 1..=5 {
        until("some work to be done", SOON, async || {
            (successes(&journal).len() > (stop * RECORDS / 20)).then_some(())
        })
        .await;
        server.terminate().await;
        let done = successes(&journal).len();
        stopped_in_the_middle += usize::from(done < RECORDS);
        server.restart().await;
    }
    assert!(
        stopped_in_the_middle > 0,
        "all work was done before the first stop"
    );
    until("everything to be done", SOON, async || {
        (successes(&journal).len() == RECORDS).then_some(())
    })
    .await;
    server.terminate().await;
    let again: Vec<_> = successes(&journal)
        .into_iter()
        .filter(|(_, times)| *times > 1)
        .collect();
    assert!(
        again.is_empty(),
        "{} records were done again: {again:?}",
        again.len()
    );
}

/// A server with a function that does not return, and runs.
async fn hanging(flags: &[&str]) -> Server {
    let server = Server::start_with(Settings::flags(flags)).await;
    let client = set_up(&server).await;
    let flag = server.dir().join("flag");
    client
        .put("orders", vec![entry("key", format!("0 hang {}", flag.display()))])
        .await;
    let journal = server.dir().join("calls");
    until("the function to hang", SOON, async || {
        (journal.exists() && calls(&journal).len() == 1).then_some(())
    })
    .await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_invocation_is_waited_for() {
    let mut server = hanging(&[]).await;
    server.signal(Signal::SIGTERM);
    until("the stop to begin", SOON, async || {
        server.logged().contains("stopping").then_some(())
    })
    .await;
    std::fs::write(server.dir().join("flag"), "").unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    server.restart().await;
    let client = server.client();
    until("the record to be done", SOON, async || {
        let shards = client.inspect("work").await.ok()?.shards;
        shards
            .iter()
            .any(|s| s.lanes.iter().any(|l| !l.done_through.is_empty()))
            .then_some(())
    })
    .await;
    assert_eq!(
        calls(&server.dir().join("calls")).len(),
        1,
        "it is not done again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_ends_the_wait_and_the_record_comes_again() {
    let mut server = hanging(&["--drain-timeout", "500ms"]).await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().await.code(), Some(124));
    std::fs::write(server.dir().join("flag"), "").unwrap();
    server.restart().await;
    let journal = server.dir().join("calls");
    until("the record to be done", SOON, async || {
        (successes(&journal).len() == 1).then_some(())
    })
    .await;
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        // So long that only the second signal can explain the end.
        let mut server = hanging(&["--drain-timeout", "1h"]).await;
        server.signal(signal);
        until("the stop to begin", SOON, async || {
            server.logged().contains("stopping").then_some(())
        })
        .await;
        server.signal(signal);
        assert_eq!(server.ended().await.code(), Some(code));
    }
}
