//! Chores of this repository that are programs rather than scripts.
//!
//! `tidy` checks the rules that hold the architecture together and that no compiler lint can express; it is part
//! of `.ci/run`. It reads files and `cargo metadata`, and changes nothing. `sim` runs the simulation of the engine
//! over other seeds than the tests do.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- tidy
       cargo run -p xtask -- sim --seeds A..B   (the seeds from A up to, and without, B)
       cargo run -p xtask -- sim --seed N       (one seed, with all its events)
       cargo run -p xtask -- sim --mutants      (the known bugs that it is to find)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => run_tidy(),
        ["sim", "--seeds", seeds] => run_sim("every_invariant", Some(("MILLSTREAM_SEEDS", seeds)), &[]),
        ["sim", "--seed", seed] => run_sim("every_invariant", Some(("MILLSTREAM_SEED", seed)), &[]),
        ["sim", "--mutants"] => run_sim("every_known_bug", None, &["--features", "mutants"]),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs one test of the engine's simulation and shows what it tells.
fn run_sim(test: &str, set: Option<(&str, &str)>, features: &[&str]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.args(["test", "--locked", "-p", "millstream-engine", "--test", "sim"]);
    command.args(features).args(["--", "--nocapture", test]);
    command.envs(set);
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the simulation could not be run: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_tidy() -> ExitCode {
    match tidy::check_repository() {
        Ok(findings) if findings.is_empty() => {
            println!("tidy: nothing to say");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            for finding in &findings {
                println!("{finding}");
            }
            println!("tidy: {} finding(s)", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy could not look: {error}");
            ExitCode::from(2)
        }
    }
}
