//! `millstream server`.

use super::config::ConfigFlags;
use super::error::{CliError, exit};
use super::output::{Format, Screen};
use crate::server::{self, RunError, Stopped};
use clap::Args;
use millstream::StartError;

/// Everything behind `millstream server`.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    flags: ConfigFlags,
}

/// Runs the server until it is stopped; its exit code. When it is ready, one line is printed for programs to read:
/// `listening grpc=ADDR`.
///
/// # Errors
/// If it cannot start, or ends by itself.
pub(crate) fn run(args: ServerArgs) -> Result<u8, CliError> {
    let (resolved, config) = args.flags.read()?;
    let mut screen = Screen::new(Format::Table, false);
    resolved
        .suspicious
        .iter()
        .for_each(|warning| screen.note(&format!("warning: {warning}")));
    let announce = move |addr| {
        // A server whose output nobody reads runs all the same.
        drop(screen.line(&format!("listening grpc={addr}")));
    };
    match server::run(&config, announce) {
        Ok(Stopped::Drained) => Ok(0),
        Ok(Stopped::Deadline) => Ok(exit::TIMEOUT),
        Err(e) => Err(CliError::failed("SERVER", e.to_string(), next(&e))),
    }
}

fn next(e: &RunError) -> &'static str {
    match e {
        RunError::Engine(StartError::Open(_)) => "another directory is named by --data-dir",
        RunError::Serve(_) => "another address is named by --grpc-addr; port 0 takes a free one",
        RunError::Failpoints(_) => "unset it: it is for tests only",
        _ => "the log above has the details",
    }
}
