//! `millstream function …`.

mod invoke;
mod settings;
mod verbs;

pub(crate) use settings::Settings;
pub(crate) use verbs::{COLUMNS, row};

use super::error::CliError;
use super::session::{Session, SessionArgs};
use clap::{Args, Subcommand};

/// Everything behind `millstream function`.
#[derive(Args, Debug)]
pub(crate) struct FunctionArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Register a program that speaks the Lambda Runtime API, or a server that takes events by POST.
    #[command(
        after_help = "Examples:\n  millstream function create totals --timeout 30s -- python3 totals.py\n  \
                            millstream function create bill --url http://127.0.0.1:8080/events"
    )]
    Create(verbs::Create),
    /// Show functions by name.
    Get(verbs::Get),
    /// Show all functions of the namespace.
    #[command(visible_alias = "ls")]
    List(verbs::List),
    /// Change settings; the rest stays as it is.
    Update(verbs::Update),
    /// Run invocations in new processes from now on, e.g. of a changed program; what runs ends in the old ones.
    Restart(verbs::Restart),
    /// Remove functions; mappings that use them wait.
    Delete(verbs::Delete),
    /// Call a function once and print what it returns.
    Invoke(invoke::Invoke),
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: FunctionArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    match args.verb {
        Verb::Create(verb) => verb.run(&mut session).await,
        Verb::Get(verb) => verb.run(&mut session).await,
        Verb::List(verb) => verb.run(&mut session).await,
        Verb::Update(verb) => verb.run(&mut session).await,
        Verb::Restart(verb) => verb.run(&mut session).await,
        Verb::Delete(verb) => verb.run(&mut session).await,
        Verb::Invoke(verb) => verb.run(&mut session).await,
    }
}
