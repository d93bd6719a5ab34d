//! A durable stream mapped to a closure, in one program. Run it twice: the second run goes on after the first.
//!
//! `cargo run -p millstream --example embedding -- /tmp/visits`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use millstream::{Batch, BoxError, Millstream};
use std::sync::{Arc, Mutex};

/// What this run has seen, in the order in which it came.
type Seen = Arc<Mutex<Vec<String>>>;

/// The function: gets up to 100 records at a time, in order per key. An `Err` would bring them again.
async fn collect(batch: Batch, seen: Seen) -> Result<(), BoxError> {
    for record in batch.records() {
        let (guest, visit) = (
            str::from_utf8(&record.partition_key)?,
            str::from_utf8(&record.data)?,
        );
        seen.lock()
            .map_err(|_| "poisoned")?
            .push(format!("{guest}: {visit}"));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let dir = std::env::args().nth(1).ok_or("name a directory for the data")?;
    let seen = Seen::default();
    let for_function = seen.clone();

    let running = Millstream::builder()
        .data_dir(dir)
        .stream("visits", 2)
        .function("collect", move |batch| collect(batch, for_function.clone()))
        .mapping("visits-to-collect", |m| m.stream("visits").function("collect"))
        .start()
        .await?;

    // What is acknowledged is on disk: a crash from here on loses nothing.
    let stream = running
        .streams()
        .describe(running.namespace(), &"visits".parse()?)
        .await?;
    let before: u64 = stream.shards.iter().map(|shard| shard.records).sum();
    for n in before..before + 10 {
        let guest = ["ada", "grace", "edsger"][n as usize % 3];
        running.put("visits", guest, format!("visit {n}")).await?;
    }
    running.wait_until_idle("visits-to-collect").await?;
    running.shutdown().await;

    let mut seen = seen.lock().map_err(|_| "poisoned")?;
    seen.sort_by_key(|line| line.split(':').next().map(str::to_owned)); // stable: the order per guest stays
    println!("{before} records were there; this run saw {}", seen.len());
    println!("{}", seen.join("\n"));
    Ok(())
}
