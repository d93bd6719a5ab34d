//! The demo from start to end.

use crate::check::{self, Check};
use crate::client::Client;
use crate::error::DemoError;
use crate::feed::{Fed, Feed};
use crate::flights::{self, Flight};
use crate::place::Place;
use crate::progress::Progress;
use crate::queue::QUEUES;
use crate::queue::check::{Evidence, Remains};
use crate::queue::figures::{self, Figures};
use crate::queue::scene::{RECEIVES, VISIBILITY_SECONDS};
use crate::queue::{self, log};
use crate::scene::{self, FAILURES, FUNCTIONS};
use crate::server::Server;
use crate::summary::{self, Summary};
use crate::watch::{Goal, Put, Watcher};
use std::sync::Arc;
use std::time::Instant;

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
    scene::set(&client, &place.functions(), &place.functions_of_queues()).await?;
    println!("Two functions are mapped to one stream of 4 shards, 4 lanes each, in batches of up to 100.");
    let goal = goal(&flights, cancelled);
    println!(
        "January's {} arrivals go to a standard queue, its {} departures to a FIFO queue, each with a function.",
        goal.messages[0], goal.messages[1]
    );

    let fed = work(&mut server, &client, &flights, &goal).await?;
    println!(
        "Everything was processed after {} s. Checking against the file ...",
        began.elapsed().as_secs()
    );

    let mut checks = check_streams(&place, &client, &flights, &fed).await?;
    let (of_queues, figures) = check_queues(&place, &client, &flights, &fed).await?;
    checks.extend(of_queues);
    show(&checks);
    show_figures(&client, &figures).await?;
    finish(keep, server, &place, checks.iter().all(Check::passed)).await?;
    println!("{} s in all.", began.elapsed().as_secs());
    Ok(checks)
}

fn goal(flights: &[Flight], cancelled: usize) -> Goal {
    Goal {
        flights: flights.len() as u64,
        documents: (cancelled * FUNCTIONS.len()) as u64,
        messages: QUEUES.map(|scene| scene.messages(flights).len() as u64),
        refused: QUEUES.map(|scene| scene.refused(flights) as u64),
    }
}

/// Puts everything, kills the server in the middle, and waits until all is done. Returns the receipts.
async fn work(
    server: &mut Server,
    client: &Client,
    flights: &Arc<Vec<Flight>>,
    goal: &Goal,
) -> Result<Fed, DemoError> {
    let put = Arc::new(Put::default());
    let watcher = Watcher::start(client.clone(), Arc::clone(&put));
    let progress = Progress::start(goal, watcher.subscribe());
    let mut feed = Feed::new(client, flights, put).await?;

    feed.until(flights.len() / 2, &watcher).await?;
    let answered = if feed.through_kill(server).await? {
        "had just been answered"
    } else {
        "was not answered"
    };
    let [arrivals, departures] = feed.sent();
    progress.say(&format!(
        "kill -9 of the server after {} flights, {arrivals} arrivals and {departures} departures; the put under way \
         {answered}.",
        feed.stored()
    ));
    let took = server.start(client).await?;
    let found = feed.recover().await?;
    let took = took.as_millis();
    progress.say(&format!(
        "The server is back after {took} ms; {found} flights were stored without an answer. Messages that were in \
         flight come again {VISIBILITY_SECONDS} s after they were received."
    ));

    feed.until(flights.len(), &watcher).await?;
    watcher.until(|look| look.is_done(goal)).await?;
    Ok(feed.into_fed())
}

async fn check_streams(
    place: &Place,
    client: &Client,
    flights: &[Flight],
    fed: &Fed,
) -> Result<Vec<Check>, DemoError> {
    let mut documents = Vec::new();
    for shard in client.stream(FAILURES).await?.shards {
        for record in client.read_shard(FAILURES, &shard.shard_id, None).await? {
            let document = check::parse_document(&record.data);
            documents.push(document.map_err(|what| DemoError::Flights { line: 0, what })?);
        }
    }
    let receipts = &fed.receipts;
    let mut checks = Vec::new();
    for (name, log) in FUNCTIONS.into_iter().zip(["rust.log", "python.log"]) {
        let text = read_log(place, log)?;
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

/// The checks of both queues, and a row for each.
async fn check_queues(
    place: &Place,
    client: &Client,
    flights: &[Flight],
    fed: &Fed,
) -> Result<(Vec<Check>, Vec<(&'static str, Figures)>), DemoError> {
    let (mut checks, mut rows) = (Vec::new(), Vec::new());
    for (scene, sent) in QUEUES.iter().zip(&fed.sent) {
        let text = read_log(place, scene.log)?;
        let lines = log::parse(&text).map_err(|what| DemoError::Flights { line: 0, what })?;
        let remains = Remains {
            queue: client.queue(scene.queue).await?,
            dead: client.peek(scene.dead_letters).await?,
        };
        checks.extend(queue::check::all(&Evidence {
            scene,
            flights,
            sent,
            lines: &lines,
            remains: &remains,
        }));
        rows.push((scene.function, Figures::of(&lines, remains.dead.len())));
    }
    Ok((checks, rows))
}

fn read_log(place: &Place, name: &str) -> Result<String, DemoError> {
    let path = place.out().join(name);
    std::fs::read_to_string(&path).map_err(DemoError::file(path))
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

/// What every mapping did, as two tables.
async fn show_figures(client: &Client, of_queues: &[(&str, Figures)]) -> Result<(), DemoError> {
    let mut rows = Vec::new();
    for name in FUNCTIONS {
        rows.push((name, Summary::of(&client.ledger(name).await?)));
    }
    print!("\n{}", summary::table(&rows));
    println!("(p50, p99: from a batch's newest record's append to its first invocation)\n");
    print!("{}", figures::table(of_queues));
    let blocked = VISIBILITY_SECONDS * RECEIVES;
    println!(
        "(p50, p99: from a message's send to its function; a refused departure holds up its destination for {blocked} s.\n\
         \x20The crash left behind: sends that were not answered, messages received again, and messages processed again)\n"
    );
    Ok(())
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

/// Commands to try on the server that is left up.
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
        "millstream queue list",
        "millstream queue peek departures-dead.fifo --limit 3",
        "millstream stream put flights --key N14228 '{\"n\":336776,\"tail\":\"N14228\",\"arr_delay\":3,\"dep_time\":1200}'",
    ] {
        println!("  {command}");
    }
}
