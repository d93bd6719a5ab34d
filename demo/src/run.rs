//! The demo from start to end.

use crate::check::{self, Check};
use crate::client::Client;
use crate::error::DemoError;
use crate::flights::{self, Flight};
use crate::place::Place;
use crate::producer::{Producer, Receipt};
use crate::progress::Progress;
use crate::scene::{self, FAILURES, FUNCTIONS};
use crate::server::Server;
use crate::summary::{self, Summary};
use crate::watch::Watcher;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many records the producer may be ahead of the slower mapping. Enough to fill every batch, little enough that
/// the crash in the middle of the puts is in the middle of the work.
const AHEAD: u64 = 20_000;

/// How long after the start of a put the server is killed: most puts are under way by then.
const KILL_DELAY: Duration = Duration::from_millis(3);

/// Runs the demo. With `keep` the server is left up.
///
/// # Errors
/// What made it impossible to go on. Checks that fail are no error but an answer.
pub(crate) async fn run(keep: bool) -> Result<Vec<Check>, DemoError> {
    let began = Instant::now();
    let place = Place::prepare()?;
    let flights = Arc::new(flights::load(&place.flights)?);
    let cancelled = flights.iter().filter(|flight| flight.is_cancelled()).count();
    println!(
        "{} flights of 2013 from New York, {cancelled} of them cancelled.",
        flights.len()
    );

    let mut server = Server::new(place.server.clone(), &place.dir)?;
    let client = Client::new(server.address)?;
    let took = server.start(&client).await?;
    println!(
        "The server answers at {} after {} ms.",
        server.address,
        took.as_millis()
    );
    scene::set(&client, &place.functions(), &place.out(), &place.thrown()).await?;
    println!("Two functions are mapped to one stream of 4 shards, 4 lanes each, in batches of up to 100.");

    let receipts = work(&mut server, &client, &flights, cancelled).await?;
    println!(
        "Everything was processed after {} s. Checking against the file ...",
        began.elapsed().as_secs()
    );

    let checks = check_everything(&place, &client, &flights, &receipts).await?;
    show(&checks);
    let mut rows = Vec::new();
    for name in FUNCTIONS {
        rows.push((name, Summary::of(&client.ledger(name).await?)));
    }
    print!("\n{}", summary::table(&rows));
    println!("(p50, p99: from a batch's newest record's append to its first invocation)\n");
    finish(keep, server, &place, checks.iter().all(Check::passed)).await?;
    println!("{} s in all.", began.elapsed().as_secs());
    Ok(checks)
}

/// Puts everything, kills the server in the middle, and waits until all is done. Returns the receipts.
async fn work(
    server: &mut Server,
    client: &Client,
    flights: &Arc<Vec<Flight>>,
    cancelled: usize,
) -> Result<Vec<Receipt>, DemoError> {
    let (all, documents) = (flights.len() as u64, (cancelled * FUNCTIONS.len()) as u64);
    let watcher = Watcher::start(client.clone());
    let progress = Progress::start(all, documents, watcher.subscribe());
    let mut producer = Producer::new(client.clone(), Arc::clone(flights)).await?;

    put_until(flights.len() / 2, &mut producer, &watcher, &progress).await?;
    // Whether this put succeeds, fails or is stored without an answer is anybody's guess; all three must be right.
    let (put, killed) = tokio::join!(producer.put_next(), async {
        tokio::time::sleep(KILL_DELAY).await;
        server.kill().await
    });
    killed?;
    let answered = if put.is_ok() {
        "had just been answered"
    } else {
        "was not answered"
    };
    progress.say(&format!(
        "kill -9 of the server after {} flights; the put under way {answered}.",
        producer.stored()
    ));
    let took = server.start(client).await?;
    let found = producer.recover().await?;
    let took = took.as_millis();
    progress.say(&format!(
        "The server is back after {took} ms; {found} flights were stored without an answer."
    ));

    put_until(flights.len(), &mut producer, &watcher, &progress).await?;
    watcher.until(|look| look.is_done(all, documents)).await?;
    Ok(producer.into_receipts())
}

async fn put_until(
    end: usize,
    producer: &mut Producer,
    watcher: &Watcher,
    progress: &Progress,
) -> Result<(), DemoError> {
    while producer.stored() < end {
        watcher
            .until(|look| look.worst_lag().is_some_and(|lag| lag < AHEAD))
            .await?;
        producer.put_next().await?;
        progress.stored(producer.stored());
    }
    Ok(())
}

async fn check_everything(
    place: &Place,
    client: &Client,
    flights: &[Flight],
    receipts: &[Receipt],
) -> Result<Vec<Check>, DemoError> {
    let mut documents = Vec::new();
    for shard in client.stream(FAILURES).await?.shards {
        for record in client.read_shard(FAILURES, &shard.shard_id, None).await? {
            let document = check::parse_document(&record.data);
            documents.push(document.map_err(|what| DemoError::Flights { line: 0, what })?);
        }
    }
    let mut checks = Vec::new();
    for (name, log) in FUNCTIONS.into_iter().zip(["rust.log", "python.log"]) {
        let path = place.out().join(log);
        let text = std::fs::read_to_string(&path).map_err(DemoError::file(path))?;
        let lines = check::parse_log(&text).map_err(|what| DemoError::Flights { line: 0, what })?;
        let (firsts, repeats) = check::first_successes(&lines, flights.len());
        let (processed, thrown) = (firsts.len(), place.thrown_by(name));
        println!(
            "{name}: threw {thrown} times; {processed} flights processed, {repeats} of them again after the crash."
        );
        checks.push(check::check_sums(name, flights, &firsts));
        checks.push(check::check_order(name, &firsts));
        checks.push(check::check_receipts(name, receipts, &firsts));
        checks.push(check::check_failures(name, flights, receipts, &documents));
    }
    Ok(checks)
}

fn show(checks: &[Check]) {
    for check in checks {
        println!(
            "  {}  {}",
            if check.passed() { "ok    " } else { "FAILED" },
            check.what
        );
        let (shown, more) = check.shown();
        for problem in shown {
            println!("            {problem}");
        }
        if more > 0 {
            println!("            and {more} more");
        }
    }
}

/// Stops the server and removes the run's files, unless they are to be looked at.
async fn finish(keep: bool, mut server: Server, place: &Place, passed: bool) -> Result<(), DemoError> {
    if keep {
        if let Some(pid) = server.keep() {
            place.remember(pid)?;
            invite(&server, place, pid);
        }
        return Ok(());
    }
    let status = server.stop().await?;
    println!("The server stopped on SIGTERM with {status}.");
    if passed {
        place.clear()?;
    } else {
        println!("What the run left behind is in {}.", place.dir.display());
    }
    Ok(())
}

/// Five commands to try on the server that is left up.
fn invite(server: &Server, place: &Place, pid: u32) {
    println!("The server is left up (stop it with `kill {pid}`). To try:");
    println!(
        "  export MILLSTREAM_SERVER={} PATH={}:$PATH",
        server.address,
        place.bin_dir().display()
    );
    for command in [
        "millstream mapping list",
        "millstream mapping inspect rust-delays",
        "millstream stream read failed-flights --limit 3",
        "millstream discard list python-delays --limit 5",
        "millstream stream put flights --key N14228 '{\"n\":336776,\"tail\":\"N14228\",\"arr_delay\":3,\"dep_time\":1200}'",
    ] {
        println!("  {command}");
    }
}
