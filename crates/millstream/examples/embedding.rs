//! A durable stream mapped to a closure, in one program. Run it twice: the second run goes on after the first.
//!
//! ```text
//! cargo run -p millstream --example embedding -- /tmp/counter
//! ```

use millstream::{Batch, Millstream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("name a directory for the data")?;

    // What this run has seen, by key. The closure is called with up to 100 records at a time, in order per key.
    let seen = Arc::new(Mutex::new(BTreeMap::<String, Vec<String>>::new()));
    let collect = {
        let seen = seen.clone();
        move |batch: Batch| {
            let seen = seen.clone();
            async move {
                for record in batch.records() {
                    let key = String::from_utf8(record.partition_key.to_vec())?;
                    let visit = String::from_utf8(record.data.to_vec())?;
                    seen.lock()
                        .map_err(|_| "poisoned")?
                        .entry(key)
                        .or_default()
                        .push(visit);
                }
                Ok::<_, millstream::BoxError>(())
            }
        }
    };

    let running = Millstream::builder()
        .data_dir(dir)
        .stream("visits", 2)
        .function("collect", collect)
        .mapping("visits-to-collect", |m| {
            m.stream("visits").function("collect").parallelization_factor(4)
        })
        .start()
        .await?;

    // Acknowledged means on disk: a crash from here on loses nothing.
    let before = running
        .streams()
        .describe(running.namespace(), &"visits".parse()?)
        .await?;
    let already: u64 = before.shards.iter().map(|shard| shard.records).sum();
    for n in already..already + 10 {
        let guest = ["ada", "grace", "edsger"][n as usize % 3];
        running.put("visits", guest, format!("visit {n}")).await?;
    }
    running.wait_until_idle("visits-to-collect").await?;
    running.shutdown().await;

    let seen = seen.lock().map_err(|_| "poisoned")?;
    println!(
        "there were {already} records; this run saw {}",
        seen.values().map(Vec::len).sum::<usize>()
    );
    for (guest, visits) in seen.iter() {
        println!("{guest}: {}", visits.join(", "));
    }
    Ok(())
}
