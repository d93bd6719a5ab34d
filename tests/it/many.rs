//! Two hundred mappings on one node: a hundred streams, fifty standard and fifty FIFO queues. All work, and after a
//! restart all go on.

use crate::client::{Client, entry, mapping, mapping_of_queue, message, test_function};
use crate::function::{Call, calls};
use crate::server::Server;
use crate::wait::until;
use millstream_api::v1;
use std::collections::BTreeSet;
use std::time::Duration;

const STREAMS: usize = 100;
const STANDARD: usize = 50;
const FIFO: usize = 50;
const WITHIN: Duration = Duration::from_secs(120);

fn sources() -> impl Iterator<Item = String> {
    let streams = (0..STREAMS).map(|n| format!("s{n}"));
    let standard = (0..STANDARD).map(|n| format!("q{n}"));
    streams
        .chain(standard)
        .chain((0..FIFO).map(|n| format!("f{n}.fifo")))
}

fn is_stream(source: &str) -> bool {
    source.starts_with('s')
}

async fn set_up(client: &Client) {
    for source in sources() {
        let settings = if is_stream(&source) {
            client.create_stream(&source, 1).await;
            mapping(&source, "all")
        } else {
            client.create_queue(&source, v1::Queue::default()).await;
            mapping_of_queue(&source, "all")
        };
        client.create_mapping(&source.replace('.', "-"), settings).await;
    }
}

/// One record or message to each source.
async fn feed(client: &Client, round: u32) {
    for source in sources() {
        let payload = format!("{source}/{round}");
        if is_stream(&source) {
            client.put(&source, vec![entry("key", payload)]).await;
            continue;
        }
        let mut one = message(&payload);
        if source.ends_with(".fifo") {
            (one.message_group_id, one.message_deduplication_id) = ("group".to_owned(), payload);
        }
        let results = client.send(&source, vec![one]).await.unwrap();
        assert_eq!(results[0].error_code, "", "{results:?}");
    }
}

fn done(call: &Call) -> Vec<String> {
    call.done().into_iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_mappings_work_and_go_on_after_a_restart() {
    let mut server = Server::start().await;
    let client = server.client();
    let journal = server.dir().join("calls");
    let command = test_function(&journal, "id");
    client
        .create_function("all", &command, Duration::from_secs(20), 4)
        .await;
    set_up(&client).await;
    for round in 0..2 {
        feed(&server.client(), round).await;
        let want: BTreeSet<String> = sources().map(|source| format!("{source}/{round}")).collect();
        until("every mapping to have called the function", WITHIN, async || {
            let done: BTreeSet<String> = calls(&journal).iter().flat_map(done).collect();
            want.is_subset(&done).then_some(())
        })
        .await;
        if round == 0 {
            server.kill9().await;
            server.spawn();
            server.ready().await;
        }
    }
    for source in sources().filter(|source| !is_stream(source)) {
        let queue = server.client().queue(&source).await.unwrap();
        let depth = queue.depth.unwrap_or_default();
        assert_eq!(depth.visible_messages, 0, "{source}");
    }
    println!("{} MiB resident", server.resident_bytes() >> 20);
    server.terminate().await;
}
