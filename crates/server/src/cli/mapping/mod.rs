//! `millstream mapping …`.

mod describe;
mod describe_queue;
mod operation;
mod settings;
mod show;
mod verbs;
mod wait;
mod wait_queue;
mod watch;

pub(crate) use settings::Settings;
pub(crate) use show::{COLUMNS, row};

use super::error::CliError;
use super::session::{Session, SessionArgs};
use clap::{Args, Subcommand};

/// Everything behind `millstream mapping`.
#[derive(Args, Debug)]
pub(crate) struct MappingArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Connect a stream or queue to a function.
    Create(verbs::Create),
    /// Show mappings by name.
    Get(verbs::Get),
    /// Show all mappings of the namespace.
    #[command(visible_alias = "ls")]
    List(verbs::List),
    /// Show the inside of a mapping: shards, leases, positions, lag, and what each lane works on; or of a queue's, its
    /// concurrency, and what each slot works on or waits for.
    #[command(visible_alias = "inspect")]
    Describe(describe::Describe),
    /// Change settings; the rest stays as it is.
    Update(verbs::Update),
    /// Start nothing new; the position is kept.
    Pause(verbs::Named),
    /// Go on where it was paused.
    Resume(verbs::Named),
    /// Let what runs end, then forget the mapping and its position.
    Delete(verbs::Delete),
    /// Wait until mappings have reached a state; for scripts.
    Wait(wait::Wait),
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: MappingArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    match args.verb {
        Verb::Create(verb) => verb.run(&mut session).await,
        Verb::Get(verb) => verb.run(&mut session).await,
        Verb::List(verb) => verb.run(&mut session).await,
        Verb::Describe(verb) => verb.run(&mut session).await,
        Verb::Update(verb) => verb.run(&mut session).await,
        Verb::Pause(verb) => verb.pause(&mut session).await,
        Verb::Resume(verb) => verb.resume(&mut session).await,
        Verb::Delete(verb) => verb.run(&mut session).await,
        Verb::Wait(verb) => verb.run(&mut session).await,
    }
}
