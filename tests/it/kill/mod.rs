//! `kill -9` at random moments under load, and a judgement of everything that is left.
//!
//! A producer puts all the time and repeats what failed; an operator pauses, resumes, splits and merges; an observer
//! looks at the inside of the mapping; the function writes down what it gets. Beside the stream a standard and a FIFO
//! queue are sent to and mapped (`queues`), and the stream has two more mappings: one with filters and a queue as failure
//! destination, one with tumbling windows (`beside`). The server is killed again and again,
//! log-uniformly between 20 ms and 5 s after its start, sometimes once more while it recovers. When all is quiet,
//! what everybody noted is put into one order and judged by the checkers that the simulation uses.
//!
//! `MILLSTREAM_KILLS` sets the number of kills, `MILLSTREAM_SEED` repeats the chances of a run (not its timing).

mod beside;
mod events;
mod judge;
mod observer;
mod operator;
mod producer;
mod queues;

use crate::client::{Client, mapping, on_failure, test_function};
use crate::server::Server;
use crate::wait::until;
use judge::Evidence;
use millstream_api::v1;
use millstream_testkit::Rng;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::sleep;

const STREAM: &str = "orders";
const FAILURES: &str = "failures";
const MAPPING: &str = "totals";
const FUNCTION: &str = "test";
const SHARDS: i32 = 3;
const FACTOR: i32 = 4;
const BATCH: i32 = 20;
const RETRIES: i32 = 1;
/// Before and after the function's work, in ms: kills find work half done, and work done that the server knows
/// nothing of.
const LINGER: &str = "3";
const DEFAULT_KILLS: u64 = 20;
/// Much longer than any batch takes: here nothing is to time out.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(120);
/// The load is bounded, so this is too.
const QUIET_WITHIN: Duration = Duration::from_secs(180);

/// Nanoseconds since the Unix epoch: the clock that test, function and server share.
type Nanos = u128;

fn now() -> Nanos {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos()
}

/// How everybody reaches the server while it lives: none while it does not.
type Lives = watch::Receiver<Option<Client>>;

/// The server's clients, once it lives.
async fn alive(lives: &mut Lives) -> Client {
    lives.wait_for(Option::is_some).await.unwrap().clone().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_disordered_by_kills() {
    let kills = from_env("MILLSTREAM_KILLS").unwrap_or(DEFAULT_KILLS);
    let seed = from_env("MILLSTREAM_SEED").unwrap_or_else(|| now() as u64 & 0xffff_ffff);
    println!("kill loop: {kills} kills, MILLSTREAM_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut server = Server::start().await;
    set_up(&server).await;

    let (life, lives) = watch::channel(Some(server.client()));
    let (stop, stopping) = watch::channel(false);
    let producer = tokio::spawn(producer::run(
        Rng::new(rng.next_u64()),
        lives.clone(),
        stopping.clone(),
    ));
    let operator = tokio::spawn(operator::run(
        Rng::new(rng.next_u64()),
        lives.clone(),
        stopping.clone(),
    ));
    let observer = tokio::spawn(observer::run(lives.clone(), stopping.clone()));
    let queues = queues::KINDS.map(|kind| kind.run(&mut rng, &lives, &stopping));
    let lost = kill_again_and_again(&mut server, kills, &mut rng, &life).await;
    stop.send(true).unwrap();
    let (put, pauses) = (producer.await.unwrap(), operator.await.unwrap());
    let [standard, fifo] = queues;
    let sent = [standard.finish().await, fifo.finish().await];
    let mut seen = observer.await.unwrap();

    let client = server.client();
    seen.push(quiet(&client).await);
    let evidence = Evidence::gather(&client, &server.dir().join("calls")).await;
    evidence.judge(&put, &pauses, &seen, &lost);
    beside::judge(&client, &server, &evidence.records, &lost).await;
    for run in &sent {
        run.judge(&client, &server, &lost).await;
    }
    server.terminate().await;
}

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

async fn set_up(server: &Server) {
    let client = server.client();
    client.create_stream(STREAM, SHARDS).await;
    client.create_stream(FAILURES, 1).await;
    let mut command = test_function(&server.dir().join("calls"), "seq");
    command.push(LINGER.to_owned());
    client
        .create_function(FUNCTION, &command, FUNCTION_TIMEOUT, SHARDS * FACTOR * 2)
        .await;
    let settings = v1::Mapping {
        batch_size: Some(BATCH),
        parallelization_factor: Some(FACTOR),
        bisect_batch_on_function_error: Some(true),
        maximum_retry_attempts: Some(RETRIES),
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        destination_config: on_failure(FAILURES),
        ..mapping(STREAM, FUNCTION)
    };
    client.create_mapping(MAPPING, settings).await;
    beside::set_up(server, &client).await;
    for kind in queues::KINDS {
        kind.set_up(server, &client).await;
    }
}

/// Returns when the memory of each life was surely gone, and leaves the server running.
async fn kill_again_and_again(
    server: &mut Server,
    kills: u64,
    rng: &mut Rng,
    life: &watch::Sender<Option<Client>>,
) -> Vec<Nanos> {
    let mut lost = Vec::new();
    for kill in 1..=kills {
        let after = Duration::from_secs_f64(rng.log_uniform(0.020, 5.0));
        let end = sleep(after);
        tokio::pin!(end);
        if life.borrow().is_none() {
            tokio::select! {
                () = server.ready() => drop(life.send(Some(server.client()))),
                () = &mut end => {}
            }
        }
        end.await;
        server.kill9().await;
        life.send_replace(None);
        lost.push(now());
        println!("kill {kill}: {after:?} after the start");
        server.spawn();
        if rng.per_mille(100) {
            let after = Duration::from_secs_f64(rng.log_uniform(0.002, 0.100));
            sleep(after).await;
            server.kill9().await;
            lost.push(now());
            println!("kill {kill}: again {after:?} after the restart");
            server.spawn();
        }
    }
    server.ready().await;
    life.send_replace(Some(server.client()));
    lost
}

/// Waits until every record is finished and every document delivered; the last look at the mapping.
async fn quiet(client: &Client) -> observer::Look {
    let (inspection, stream) = until("the mapping to be idle", QUIET_WITHIN, async || {
        let (stream, inspection) = (
            client.stream(STREAM).await.ok()?,
            client.inspect(MAPPING).await.ok()?,
        );
        is_idle(&stream, &inspection).then_some((inspection, stream))
    })
    .await;
    until("every failure document to arrive", QUIET_WITHIN, async || {
        let documents = client
            .stream(FAILURES)
            .await
            .ok()?
            .shards
            .iter()
            .map(|s| s.record_count)
            .sum::<i64>();
        (documents as usize >= client.given_up(MAPPING).await.len()).then_some(())
    })
    .await;
    assert!(
        stream.shards.iter().any(|s| s.close_time.is_some()),
        "no shard was ever split"
    );
    observer::Look::at(now(), &inspection)
}

fn is_idle(stream: &v1::Stream, inspection: &v1::MappingInspection) -> bool {
    stream.shards.iter().all(|shard| {
        let Some(seen) = inspection.shards.iter().find(|s| s.shard_id == shard.shard_id) else {
            return false;
        };
        if shard.close_time.is_some() {
            return seen.activity() == v1::ShardActivity::Finished;
        }
        let idle = seen
            .lanes
            .iter()
            .all(|l| l.batch.is_none() && l.buffered_records == 0 && !l.lagging);
        seen.activity() == v1::ShardActivity::Running
            && idle
            && seen.read_through >= shard.newest_sequence_number
    })
}
