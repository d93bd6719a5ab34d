//! The demo: every flight that left New York in 2013, put in time order on a durable stream and mapped to two
//! unmodified Lambda functions; besides, January's arrivals on a standard queue and January's departures on a FIFO
//! queue, mapped to two more; with a `kill -9` of the server in the middle and an exact check at the end.
//!
//! It is a client like any other: it starts the built server and then talks gRPC only.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demo talks to whoever watches it"
)]

mod check;
mod client;
mod error;
mod feed;
mod flights;
mod place;
mod producer;
mod progress;
mod queue;
mod run;
mod scene;
mod server;
mod summary;
mod watch;

use check::Check;
use error::DemoError;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let keep = std::env::var("KEEP").is_ok_and(|value| value == "1");
    let ended = tokio::select! {
        ended = run::run(keep) => ended,
        _ = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
    };
    match ended {
        Ok(checks) if checks.iter().all(Check::passed) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::from(2)
        }
    }
}
