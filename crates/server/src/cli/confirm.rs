//! Asks before something is destroyed.

use super::error::CliError;
use clap::Args;
use std::io::{IsTerminal, Write};

/// The option of every verb that destroys something.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Confirm {
    /// Do not ask; needed where no terminal is there to answer.
    #[arg(short, long)]
    yes: bool,
}

impl Confirm {
    /// Goes on only if the user agrees to `deed`, e.g. `delete stream orders`.
    ///
    /// # Errors
    /// If the user does not, or cannot be asked.
    #[allow(clippy::print_stderr)] // a question is no output; clippy cannot see that this is the CLI
    pub(crate) fn ask(self, deed: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(CliError::usage(
                format!("to {deed} without a terminal needs --yes"),
                "repeat with --yes",
            ));
        }
        eprint!("{deed}? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(CliError::failed("CANCELLED", format!("did not {deed}"), ""))
    }
}
