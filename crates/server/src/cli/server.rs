//! `millstream server`.

use super::config::ConfigFlags;
use super::error::{CliError, exit};
use super::output::{Format, Screen};
use crate::server::{self, Beside, Listening, RunError, Stopped};
use clap::Args;
use millstream::StartError;

/// Everything behind `millstream server`.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    flags: ConfigFlags,
}

/// Runs the server until it is stopped; its exit code. When it is ready, a line for each of its ports is printed for
/// programs to read: `listening aws=ADDR` and `listening ops=ADDR`, unless they are off, and last `listening grpc=ADDR`.
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
    let announce = move |listening: Listening| {
        let aws = listening.aws.map(|addr| format!("listening aws={addr}"));
        let ops = listening.ops.map(|addr| format!("listening ops={addr}"));
        for line in aws
            .into_iter()
            .chain(ops)
            .chain([format!("listening grpc={}", listening.grpc)])
        {
            // A server whose output nobody reads runs all the same.
            drop(screen.line(&line));
        }
        std::future::pending::<()>()
    };
    let beside = Beside {
        log: None,
        task: announce,
    };
    match server::run(&config, beside) {
        Ok((Stopped::Drained, _)) => Ok(0),
        Ok((Stopped::Deadline, _)) => Ok(exit::TIMEOUT),
        Err(e) => Err(CliError::failed("SERVER", e.to_string(), next(&e))),
    }
}

/// What to do about it.
pub(super) fn next(e: &RunError) -> &'static str {
    match e {
        RunError::Engine(StartError::Open(_)) => "another directory is named by --data-dir",
        RunError::Engine(StartError::Connections(_)) => {
            "set what the connections refer to: `millstream config reference` describes the key"
        }
        RunError::Ops(_) => {
            "another address is named by --ops-addr; port 0 takes a free one, and off leaves it out"
        }
        RunError::Aws(_) => {
            "another address is named by --aws-addr; port 0 takes a free one, and off leaves it out"
        }
        RunError::AwsKeys(_) => {
            "correct what --aws-keys names: ID:SECRET, one a line; without it no signature is looked at"
        }
        RunError::Export(_) => {
            "correct the OTEL_… variables: docs/telemetry.md; OTEL_SDK_DISABLED=true leaves it out"
        }
        RunError::Serve(_) => "another address is named by --grpc-addr; port 0 takes a free one",
        RunError::Failpoints(_) => "unset it: it is for tests only",
        _ => "the log above has the details",
    }
}
