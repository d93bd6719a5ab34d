//! What mappings of sources that are not ours ask of them while nothing happens, counted before the components.

use crate::client::test_function;
use crate::ministack::arn;
use crate::proxy::{Counts, Proxy, Rates, Weather};
use crate::server::Settings;
use crate::streams_real::Scene;
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const OBSERVED: Duration = Duration::from_secs(20);
const SHARDS: u32 = 64;
/// Reads of a shard in a second: AWS's quota of Kinesis, and what Lambda makes of a table's stream.
const READS: [(&str, u32); 2] = [("kinesis", 5), ("dynamodb", 4)];

/// The requests of one source, with what that makes in a minute and an hour.
fn print(source: &str, counts: &Counts, took: Duration) {
    let per_minute = counts.total() as f64 * 60.0 / took.as_secs_f64();
    println!(
        "idle {source}: {per_minute:.1} requests/min, {:.0} requests/h, {:?} in {took:.0?}",
        per_minute * 60.0,
        counts.requests
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_source_is_asked_within_its_quotas() {
    // Rates do not matter: the weather stays calm.
    let before = async |url: &str| Proxy::before(url, 0, Rates::ROUGH).await;
    let mut scene = Scene::set_behind(async |[kinesis, tables]| {
        let [queues, fifo] = [before(tables).await, before(tables).await];
        vec![before(kinesis).await, before(tables).await, queues, fifo]
    })
    .await;
    let queues = [("standard", "jobs"), ("fifo", "jobs.fifo")];
    through(
        scene.server.settings(),
        &scene.proxies[2..],
        queues.map(|(_, queue)| queue),
    );
    scene.server.terminate().await;
    scene.server.restart().await;
    let client = scene.server.client();
    let stream = scene.make(&["stream", "orders", &SHARDS.to_string()]).await;
    let table = scene.make(&["table", "items"]).await;
    scene.map("kinesis", &stream, v1::Mapping::default()).await;
    scene.map("dynamodb", &table, v1::Mapping::default()).await;
    let command = test_function(&scene.journal("queues"), "id");
    client.create_function("f", &command, SOON / 6, 2).await;
    for (name, queue) in queues {
        scene.tables.sqs(&["create", queue, "20"]).await;
        let mapping = v1::Mapping {
            source_arn: arn(queue),
            function: "f".to_owned(),
            ..Default::default()
        };
        client.create_mapping(name, mapping).await;
    }
    let proxies = &scene.proxies;
    for (proxy, operation) in
        proxies
            .iter()
            .zip(["GetRecords", "GetRecords", "ReceiveMessage", "ReceiveMessage"])
    {
        until("a first look at the source", SOON, async || {
            proxy.counts().requests.contains_key(operation).then_some(())
        })
        .await;
    }
    proxies.iter().for_each(Proxy::count_anew);
    let began = Instant::now();
    sleep(OBSERVED).await;
    let took = began.elapsed();
    let counts: Vec<Counts> = proxies.iter().map(Proxy::counts).collect();
    for ((source, quota), (shards, counts)) in READS.into_iter().zip([SHARDS, 1].into_iter().zip(&counts)) {
        print(&format!("{source}, {shards} shard(s)"), counts, took);
        let most = f64::from(quota * shards) * (took.as_secs_f64() + 1.0);
        let reads = counts.requests.get("GetRecords").copied().unwrap_or(0);
        assert!(
            reads as f64 <= most,
            "{source}: {reads} reads, at most {most} are allowed"
        );
    }
    for ((name, _), counts) in queues.iter().zip(&counts[2..]) {
        print(&format!("sqs {name}"), counts, took);
        let most = counts.most_outstanding.get("ReceiveMessage");
        assert_eq!(most, Some(&1), "{name}: one long poll at a time");
    }
    // So that no long poll has to be waited for.
    proxies.iter().for_each(|proxy| proxy.set(Weather::CutOff));
    scene.server.terminate().await;
}

/// Finds queues behind these proxies, and everything else where it was.
fn through(settings: &mut Settings, proxies: &[Proxy], queues: [&str; 2]) {
    let connections = proxies.iter().zip(queues).map(|(proxy, queue)| {
        let (arn, url) = (arn(queue), &proxy.url);
        format!("{{match: '{arn}', endpoint_url: '{url}', credentials: 'env:THERE'}}, ")
    });
    let more: String = connections.collect();
    let (_, value) = &mut settings.env[0];
    *value = format!("[{more}{}", value.trim_start_matches('['));
}
