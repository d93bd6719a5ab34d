//! The binary `millstream`: the server, and the command line that talks to one.

mod cli;
mod config;
mod manifest;
mod server;
mod units;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
