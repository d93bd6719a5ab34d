//! `millstream queue …`.

mod entry;
mod message;
mod receive;
mod send;
mod settings;
mod settle;
mod show;
mod verbs;

pub(crate) use entry::attribute;
pub(crate) use show::{COLUMNS, row};

use super::error::CliError;
use super::session::{Session, SessionArgs};
use clap::{Args, Subcommand};

/// Most messages of one call.
const MAX_MESSAGES: usize = 10;

/// Everything behind `millstream queue`.
#[derive(Args, Debug)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Make a durable queue; a FIFO queue if its name ends with .fifo.
    Create(verbs::Create),
    /// Show queues by name.
    Get(verbs::Get),
    /// Show all queues of the namespace.
    #[command(visible_alias = "ls")]
    List(verbs::List),
    /// Show all about a queue: its settings, and about how much is in it.
    Describe(verbs::Describe),
    /// Change settings; the rest stays as it is.
    Update(verbs::Update),
    /// Remove queues with all their messages.
    Delete(verbs::Delete),
    /// Remove all messages of queues, hidden ones too; the queues stay.
    Purge(verbs::Purge),
    /// Send messages, from the command line, a file or standard input.
    #[command(after_help = send::EXAMPLES)]
    Send(send::Send),
    /// Receive messages by hand; they stay hidden for the visibility timeout. To process a queue, create a mapping.
    #[command(after_help = receive::EXAMPLES)]
    Receive(receive::Receive),
    /// Look at messages in the order in which they were sent, without receiving them.
    Peek(receive::Peek),
    /// Delete received messages.
    #[command(visible_alias = "delete-message")]
    DeleteMessages(settle::DeleteMessages),
    /// Change for how long received messages stay hidden, counted from now; 0 shows them at once.
    #[command(visible_alias = "change-message-visibility")]
    ChangeVisibility(settle::ChangeVisibility),
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: QueueArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    match args.verb {
        Verb::Create(verb) => verb.run(&mut session).await,
        Verb::Get(verb) => verb.run(&mut session).await,
        Verb::List(verb) => verb.run(&mut session).await,
        Verb::Describe(verb) => verb.run(&mut session).await,
        Verb::Update(verb) => verb.run(&mut session).await,
        Verb::Delete(verb) => verb.run(&mut session).await,
        Verb::Purge(verb) => verb.run(&mut session).await,
        Verb::Send(verb) => verb.run(&mut session).await,
        Verb::Receive(verb) => verb.run(&mut session).await,
        Verb::Peek(verb) => verb.run(&mut session).await,
        Verb::DeleteMessages(verb) => verb.run(&mut session).await,
        Verb::ChangeVisibility(verb) => verb.run(&mut session).await,
    }
}
