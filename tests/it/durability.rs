//! Durability is seen, not assumed: the server's own system calls, and disks that fail or are full (design,
//! section 4: what waits for the disk).

use crate::client::{Client, entry, mapping, stream_name, test_function};
use crate::function;
use crate::server::Server;
use crate::strace::{Strace, acknowledged_after_sync, syncs};
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const STREAM: &str = "orders";
const WRITERS: usize = 64;

/// Puts one record; where it went, or why it was not stored.
async fn put_one(client: &Client, key: &str, payload: &str) -> Result<v1::PutRecordsResult, String> {
    let request = v1::PutRecordsRequest {
        stream: stream_name(STREAM),
        records: vec![entry(key, payload)],
    };
    let answer = client
        .streams
        .clone()
        .put_records(request)
        .await
        .map_err(|e| e.to_string())?
        .into_inner();
    let result = answer.results.into_iter().next().unwrap();
    match result.error_code.as_str() {
        "" => Ok(result),
        code => Err(format!("{code}: {}", result.error_message)),
    }
}

#[tokio::test]
async fn no_put_is_acknowledged_before_the_sync_that_follows_its_write() {
    let server = Server::start().await;
    let client = server.client();
    client.create_stream(STREAM, 2).await;
    let calls = "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fdatasync,fsync";
    let strace = Strace::attach(server.pid(), server.dir(), &["-e", calls]).await;
    let mut puts = Vec::new();
    for n in 0..100 {
        let payload = format!("payload-{n:05}");
        let result = put_one(&client, &format!("key-{n}"), &payload).await.unwrap();
        puts.push((payload, result.sequence_number));
    }
    let trace = strace.detach().await;
    for (payload, sequence) in puts {
        acknowledged_after_sync(&trace, &payload, &sequence).unwrap();
    }
}

#[tokio::test]
async fn writers_share_syncs() {
    const EACH: usize = 20;
    let server = Server::start().await;
    let client = server.client();
    client.create_stream(STREAM, 4).await;
    // An attached strace slows every call of the server, syncs less than others: a disk of 10 ms makes up for it.
    let slow_disk = [
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        "inject=fdatasync:delay_enter=10000",
    ];
    let strace = Strace::attach(server.pid(), server.dir(), &slow_disk).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = client.clone();
        writers.spawn(async move {
            for n in 0..EACH {
                put_one(&client, &format!("key-{writer}"), &format!("{writer}-{n}"))
                    .await
                    .unwrap();
            }
        });
    }
    writers.join_all().await;
    let syncs = syncs(&strace.detach().await);
    let puts = WRITERS * EACH;
    assert!(syncs > 0 && syncs * 4 < puts, "{syncs} syncs for {puts} puts");
}

/// Puts until told to stop; what was acknowledged.
async fn put_until(client: Client, writer: usize, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut known = Acknowledged::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let payload = format!("{writer}-{n}");
        match put_one(&client, &format!("key-{writer}"), &payload).await {
            Ok(_) => known.payloads.push(payload),
            Err(why) => known.refused.push(why),
        }
    }
    known
}

#[derive(Default)]
struct Acknowledged {
    payloads: Vec<String>,
    refused: Vec<String>,
}

/// Runs writers while `trouble` lasts and until puts work again; what they know.
async fn put_through(server: &Server, trouble: impl AsyncFnOnce()) -> Acknowledged {
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        writers.spawn(put_until(server.client(), writer, Arc::clone(&stop)));
    }
    trouble().await;
    until("a put that works again", SOON, async || {
        put_one(&server.client(), "key-again", "again").await.ok()
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Acknowledged::default();
    for known in writers.join_all().await {
        all.payloads.extend(known.payloads);
        all.refused.extend(known.refused);
    }
    all
}

/// Every payload in the stream, with repetitions.
async fn stored(client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for shard in client.stream(STREAM).await.unwrap().shards {
        let records = client.read_shard(STREAM, &shard.shard_id).await;
        all.extend(
            records
                .into_iter()
                .map(|r| String::from_utf8(r.data.to_vec()).unwrap()),
        );
    }
    all
}

/// What was acknowledged and is not in the stream.
async fn missing(client: &Client, known: &Acknowledged) -> Vec<String> {
    let stored: BTreeSet<String> = stored(client).await.into_iter().collect();
    known
        .payloads
        .iter()
        .filter(|p| !stored.contains(*p))
        .cloned()
        .collect()
}

/// A mapping to the test function, which writes to `journal` under the server's directory.
async fn map(server: &Server) -> std::path::PathBuf {
    let journal = server.dir().join("journal");
    let client = server.client();
    client
        .create_function("f", &test_function(&journal, "id"), Duration::from_secs(10), 2)
        .await;
    client
        .create_mapping(
            "m",
            v1::Mapping {
                parallelization_factor: Some(4),
                ..mapping(STREAM, "f")
            },
        )
        .await;
    journal
}

/// Waits until the function has finished all of these.
async fn all_processed(journal: &std::path::Path, known: &Acknowledged) {
    let left = || {
        let calls = function::calls(journal);
        let done: BTreeSet<&String> = calls.iter().flat_map(function::Call::done).collect();
        known.payloads.iter().filter(|p| !done.contains(p)).count()
    };
    until(
        "all acknowledged records in the function's journal",
        SOON,
        async || (left() == 0).then_some(()),
    )
    .await;
}

#[tokio::test]
async fn a_sync_that_fails_loses_nothing_acknowledged_is_reported_and_heals() {
    let mut server = Server::start().await;
    server.client().create_stream(STREAM, 2).await;
    let journal = map(&server).await;
    let (pid, dir) = (server.pid(), server.dir().to_owned());
    let known = put_through(&server, async || {
        // The counter is per thread, so these are the next three syncs of whichever thread syncs.
        let inject = [
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:error=EIO:when=1..3",
        ];
        let strace = Strace::attach(pid, &dir, &inject).await;
        let failed = async || server.logged().contains("Input/output error").then_some(());
        until("the failed sync in the log", SOON, failed).await;
        strace.detach().await;
    })
    .await;
    assert!(!known.refused.is_empty(), "no writer heard of the failed sync");
    assert!(
        known.refused.iter().all(|why| why.starts_with("UNAVAILABLE")),
        "{:?}",
        known.refused
    );
    assert!(known.payloads.len() > 8, "{} puts", known.payloads.len());
    assert_eq!(server.pid(), pid, "the same process goes on");
    assert_eq!(missing(&server.client(), &known).await, [""; 0]);
    all_processed(&journal, &known).await;

    server.kill9().await;
    server.restart().await;
    assert_eq!(missing(&server.client(), &known).await, [""; 0], "after kill -9");
}

/// A call whose owner had to stop still runs in its process; nobody may call with its records meanwhile (I4).
#[tokio::test]
async fn nothing_is_called_twice_at_once_when_a_commit_may_or_may_not_be_stored() {
    let server = Server::start().await;
    let client = server.client();
    client.create_stream(STREAM, 1).await;
    let (journal, go) = (server.dir().join("journal"), server.dir().join("go"));
    client
        .create_function("f", &test_function(&journal, "id"), SOON, 4)
        .await;
    client
        .create_mapping(
            "m",
            v1::Mapping {
                parallelization_factor: Some(4),
                ..mapping(STREAM, "f")
            },
        )
        .await;
    // One key hangs; the others fail, and what they count is committed.
    put_one(&client, "key-hangs", &format!("hangs hang {}", go.display()))
        .await
        .unwrap();
    let calls = || {
        function::calls(&journal)
            .into_iter()
            .filter(|c| c.records.contains(&"hangs".to_owned()))
            .collect::<Vec<_>>()
    };
    until("the call that hangs", SOON, async || {
        (calls().len() == 1).then_some(())
    })
    .await;
    for n in 0..20 {
        put_one(
            &client,
            &format!("key-{n}"),
            &format!("{n} throw {}", go.display()),
        )
        .await
        .unwrap();
    }
    let inject = [
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        "inject=fdatasync:error=EIO:when=1",
    ];
    let strace = Strace::attach(server.pid(), server.dir(), &inject).await;
    until("the failed sync in the log", SOON, async || {
        server.logged().contains("Input/output error").then_some(())
    })
    .await;
    strace.detach().await;
    // The owner has to stop, and waits for its call. Time for a next owner that does not wait:
    tokio::time::sleep(Duration::from_secs(2)).await;
    std::fs::File::create(&go).unwrap();
    let calls = until("the record done by the next owner", SOON, async || {
        let calls = calls();
        let done = calls.last().is_some_and(|c| c.epoch > 1 && c.ended.is_some());
        done.then_some(calls)
    })
    .await;
    for pair in calls.windows(2) {
        let ended = pair[0].ended.as_ref().map(|(at, _)| *at);
        assert!(ended.is_some_and(|at| at <= pair[1].began), "{calls:?}");
    }
}
