//! How a deep queue is drained: `cargo run --release -p millstream-broker --example deep_queue [MESSAGES]`.
//!
//! Sends a million messages (200 bytes, ten a call) to a standard queue, and again to a FIFO queue of a hundred thousand
//! groups; then eight consumers receive and delete until it is empty. Prints how fast each tenth went and what memory
//! the process holds. What counts is the ratio of the last tenth to the first, in one run: a queue must not become
//! slower by what lies in it or was deleted from it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for a person at a terminal"
)]

use millstream_broker::Broker;
use millstream_ports::{Clock, Queues, ReceiveOptions, SendEntry};
use millstream_store::{Db, DbOptions};
use millstream_testkit::SeededEntropy;
use millstream_types::message::MessageAttributes;
use millstream_types::{Mono, Namespace, Now, QueueName, QueueSpec, Wall};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

const SENDERS: usize = 32;
const CONSUMERS: usize = 8;
const GROUPS: usize = 100_000;
const PADDING: usize = 190;

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Now {
            wall: Wall(wall.as_millis() as u64),
            mono: Mono(self.0.elapsed().as_nanos() as u64),
        }
    }

    fn sleep_until(&self, at: Mono) -> futures::future::BoxFuture<'static, ()> {
        let left = at.since(self.now().mono);
        Box::pin(tokio::time::sleep(left))
    }
}

#[tokio::main]
async fn main() {
    let messages: usize = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    // Small caches, so that memory that grows with a queue would be seen.
    let options = DbOptions {
        block_cache_bytes: 16 << 20,
        write_buffer_bytes: 16 << 20,
        ..DbOptions::default()
    };
    let db = Db::open(dir.path(), options).unwrap();
    let clock = Arc::new(SystemClock(Instant::now()));
    let broker = Broker::open(db, clock, Arc::new(SeededEntropy::new(1)))
        .await
        .unwrap();
    for name in ["deep", "deep.fifo"] {
        measure(&broker, name, messages).await;
    }
}

async fn measure(broker: &Broker, name: &str, messages: usize) {
    let (namespace, queue) = (Namespace::default(), QueueName::new(name).unwrap());
    let spec = QueueSpec {
        visibility_timeout_seconds: 600,
        ..QueueSpec::default()
    };
    broker.create(&namespace, &queue, spec, false).await.unwrap();
    let before = resident();
    let began = Instant::now();
    send(broker, &queue, messages).await;
    let sent = began.elapsed();
    println!(
        "{name}: {messages} messages sent in {sent:.1?}, {:.0}/s; resident {} MiB, {} MiB before",
        messages as f64 / sent.as_secs_f64(),
        resident() >> 20,
        before >> 20
    );
    let tenths = drain(broker, &queue, messages).await;
    for (n, (rate, resident)) in tenths.iter().enumerate() {
        println!(
            "{name}: tenth {:>2}: {rate:>8.0} messages/s, resident {} MiB",
            n + 1,
            resident >> 20
        );
    }
    let (first, last) = (tenths[0].0, tenths[tenths.len() - 1].0);
    println!("{name}: last tenth to first: {:.2}", last / first);
}

async fn send(broker: &Broker, queue: &QueueName, messages: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let senders = (0..SENDERS).map(|_| {
        let (broker, queue, next) = (broker.clone(), queue.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let first = next.fetch_add(10, Ordering::Relaxed);
                if first >= messages {
                    return;
                }
                let entries = (first..first + 10).map(|n| entry(&queue, n)).collect();
                let answers = broker.send(&Namespace::default(), &queue, entries).await.unwrap();
                assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

fn entry(queue: &QueueName, n: usize) -> SendEntry {
    let fifo = queue.is_fifo();
    SendEntry {
        body: format!("{n:010}{}", "x".repeat(PADDING)).into(),
        attributes: MessageAttributes::new(),
        delay: None,
        group: fifo.then(|| format!("group-{}", n % GROUPS)),
        deduplication: fifo.then(|| n.to_string()),
        trace_header: None,
        trace: None,
    }
}

/// The rate of each tenth, and the memory behind it.
async fn drain(broker: &Broker, queue: &QueueName, messages: usize) -> Vec<(f64, u64)> {
    let done = Arc::new(AtomicUsize::new(0));
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|_| {
            let (broker, queue, done) = (broker.clone(), queue.clone(), Arc::clone(&done));
            tokio::spawn(async move { consume(&broker, &queue, &done, messages).await })
        })
        .collect();
    let (mut tenths, mut began) = (Vec::new(), Instant::now());
    while tenths.len() < 10 {
        let goal = messages / 10 * (tenths.len() + 1);
        while done.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let rate = (messages / 10) as f64 / began.elapsed().as_secs_f64();
        tenths.push((rate, resident()));
        began = Instant::now();
    }
    for consumer in consumers {
        consumer.await.unwrap();
    }
    tenths
}

async fn consume(broker: &Broker, queue: &QueueName, done: &AtomicUsize, messages: usize) {
    let namespace = Namespace::default();
    while done.load(Ordering::Relaxed) < messages {
        let options = ReceiveOptions {
            max: 10,
            wait: Some(Duration::from_secs(1)),
            ..ReceiveOptions::default()
        };
        let got = broker.receive(&namespace, queue, options).await.unwrap();
        if got.is_empty() {
            continue;
        }
        let receipts: Vec<_> = got.iter().map(|message| message.receipt.clone()).collect();
        let answers = broker
            .delete_messages(&namespace, queue, &receipts)
            .await
            .unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        done.fetch_add(got.len(), Ordering::Relaxed);
    }
}

/// Bytes of memory that the process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
