//! `millstream completion SHELL`.

use super::error::CliError;
use super::output::{Format, Screen};
use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

/// The shells that are served.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // their names say it
enum Wanted {
    Bash,
    Zsh,
    Fish,
}

/// Everything behind `millstream completion`.
#[derive(Args, Debug)]
pub(crate) struct CompletionArgs {
    /// For which shell.
    shell: Wanted,
}

/// Prints the script.
///
/// # Errors
/// If nobody reads it.
pub(crate) fn run(args: &CompletionArgs, mut command: Command) -> Result<(), CliError> {
    let shell = match args.shell {
        Wanted::Bash => Shell::Bash,
        Wanted::Zsh => Shell::Zsh,
        Wanted::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut command, "millstream", &mut script);
    Screen::new(Format::Table, false).bytes(&script)
}
