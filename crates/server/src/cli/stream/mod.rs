//! `millstream stream …`.

mod lines;
mod put;
mod read;
mod verbs;

pub(crate) use verbs::{COLUMNS, row};

use super::error::CliError;
use super::session::{Session, SessionArgs};
use clap::{Args, Subcommand};

/// Everything behind `millstream stream`.
#[derive(Args, Debug)]
pub(crate) struct StreamArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Make a durable stream.
    Create(verbs::Create),
    /// Show streams with their shards.
    Get(verbs::Get),
    /// Show all streams of the namespace.
    #[command(visible_alias = "ls")]
    List(verbs::List),
    /// Change how long records are kept.
    Update(verbs::Update),
    /// Remove streams with all their records.
    Delete(verbs::Delete),
    /// Put records, from the command line, a file or standard input.
    #[command(after_help = put::EXAMPLES)]
    Put(put::Put),
    /// Read records without any effect.
    Read(read::Read),
    /// Close a shard and open two in its place.
    Split(verbs::Split),
    /// Close two neighbouring shards and open one in their place.
    Merge(verbs::Merge),
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: StreamArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    match args.verb {
        Verb::Create(verb) => verb.run(&mut session).await,
        Verb::Get(verb) => verb.run(&mut session).await,
        Verb::List(verb) => verb.run(&mut session).await,
        Verb::Update(verb) => verb.run(&mut session).await,
        Verb::Delete(verb) => verb.run(&mut session).await,
        Verb::Put(verb) => verb.run(&mut session).await,
        Verb::Read(verb) => verb.run(&mut session).await,
        Verb::Split(verb) => verb.run(&mut session).await,
        Verb::Merge(verb) => verb.run(&mut session).await,
    }
}
