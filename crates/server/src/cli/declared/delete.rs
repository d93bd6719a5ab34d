//! `millstream delete`.

use super::apply::failed;
use super::files::FileArgs;
use super::{resource, show};
use crate::cli::confirm::Confirm;
use crate::cli::error::{CliError, exit};
use crate::cli::output::count;
use crate::cli::session::{Session, SessionArgs};
use crate::manifest::{Kind, Object, ObjectId};
use crate::units;
use clap::Args;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;

/// How long to wait between looks at a mapping that ends.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) const HELP: &str = "\
Objects go in the reverse of the order in which they are applied: mappings first, and what they need after they are gone.
Only kind, namespace and name of the documents count, but the documents must be valid.

Exit codes: 0 all are gone, 3 some did not exist (the others are gone), 124 a mapping did not end in time.";

/// Everything behind `millstream delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    files: FileArgs,
    /// What does not exist is as good as deleted.
    #[arg(long)]
    ignore_not_found: bool,
    /// How long a mapping may take to let its invocations end.
    #[arg(long, value_parser = units::duration, value_name = "DURATION", default_value = "5m")]
    timeout: Duration,
    /// Only say what would be deleted.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: DeleteArgs) -> Result<(), CliError> {
    let objects = args.files.read(args.session.namespace())?;
    let mut session = Session::open(&args.session).await?;
    if !args.dry_run {
        args.confirm.ask(&format!(
            "delete {} of {} with all they hold",
            count(objects.len(), "object"),
            args.files.names().join(", ")
        ))?;
    }
    let mut missing = Vec::new();
    let (mappings, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .rev()
        .partition(|o| o.id.kind == Kind::Mapping);
    let mut ending = Vec::new();
    for object in &mappings {
        if one(&session, object, args.dry_run).await? {
            ending.push(&object.id);
        } else {
            missing.push(object.id.to_string());
        }
    }
    let until = Instant::now() + args.timeout;
    for id in ending {
        if !args.dry_run {
            gone(&session, id, until).await?;
        }
        told(&mut session, id, args.dry_run)?;
    }
    for object in &others {
        if one(&session, object, args.dry_run).await? {
            told(&mut session, &object.id, args.dry_run)?;
        } else {
            missing.push(object.id.to_string());
        }
    }
    if missing.is_empty() || args.ignore_not_found {
        return Ok(());
    }
    Err(CliError::Other {
        code: exit::NOT_FOUND,
        reason: "NOT_FOUND",
        message: format!("{} did not exist", missing.join(", ")),
        next: "take that as success with --ignore-not-found; another namespace is named by -n".to_owned(),
    })
}

/// Deletes an object, or begins to; whether there was one.
async fn one(session: &Session, object: &Object, dry_run: bool) -> Result<bool, CliError> {
    if dry_run {
        return Ok(resource::get(session, &object.id).await?.is_some());
    }
    match resource::delete(session, &object.id).await {
        Ok(()) => Ok(true),
        Err(status) if status.code() == Code::NotFound => Ok(false),
        Err(status) => Err(failed(&object.id, &status)),
    }
}

fn told(session: &mut Session, id: &ObjectId, dry_run: bool) -> Result<(), CliError> {
    let remark = if dry_run { " (dry run)" } else { "" };
    show::outcome(session, id, "deleted", remark)
}

/// Waits until a mapping is gone.
async fn gone(session: &Session, id: &ObjectId, until: Instant) -> Result<(), CliError> {
    while resource::get(session, id).await?.is_some() {
        if Instant::now() >= until {
            return Err(CliError::timeout(
                format!("{id} still lets its invocations end; nothing that it needs was deleted"),
                "repeat the command, or raise --timeout",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
