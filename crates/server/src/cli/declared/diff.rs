//! `millstream diff`.

use super::check::{Planned, plan_all};
use super::files::FileArgs;
use crate::cli::error::{CliError, exit};
use crate::cli::session::{Session, SessionArgs};
use crate::manifest::{Action, Settings, document};
use clap::Args;
use similar::TextDiff;

pub(crate) const HELP: &str = "\
Shows what `millstream apply` would change, as the server would carry it out, in the form of `diff -u`.

Exit codes: 0 nothing would change, 1 something would, 2 it could not be told.";

/// Everything behind `millstream diff`.
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    files: FileArgs,
}

/// Runs the command; its exit code.
///
/// # Errors
/// What it could not do; whatever that is, the program then ends with 2.
pub(crate) async fn run(args: DiffArgs) -> Result<u8, CliError> {
    let objects = args.files.read(args.session.namespace())?;
    let mut session = Session::open(&args.session).await?;
    let mut differs = false;
    for planned in plan_all(&session, objects, true).await? {
        let id = planned.object.id.clone();
        for note in &planned.plan.notes {
            session.screen.note(&format!("warning: {id}: {note}"));
        }
        let text = difference(&planned)?;
        if !text.is_empty() {
            differs = true;
            session.screen.bytes(text.as_bytes())?;
        }
    }
    Ok(if differs { exit::FAILED } else { 0 })
}

/// The change of an object as text; empty if there is none.
fn difference(planned: &Planned) -> Result<String, CliError> {
    let (is, then) = planned.settings()?;
    let is = (planned.plan.action != Action::Create).then_some(is);
    Ok(unified(planned, is.as_ref(), &then))
}

fn unified(planned: &Planned, is: Option<&Settings>, then: &Settings) -> String {
    let id = &planned.object.id;
    let text = |settings: &Settings| document(id.kind, &id.namespace, &id.name, settings, None).to_yaml();
    let (is, then) = (is.map(text).unwrap_or_default(), text(then));
    TextDiff::from_lines(&is, &then)
        .unified_diff()
        .header(&format!("live/{id}"), &format!("file/{id}"))
        .to_string()
}
