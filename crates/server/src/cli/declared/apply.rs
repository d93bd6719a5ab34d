//! `millstream apply`.

use super::check::{Planned, plan_all, plan_one};
use super::files::FileArgs;
use super::{invalid, resource, show};
use crate::cli::error::CliError;
use crate::cli::session::{Session, SessionArgs};
use crate::manifest::{Action, Kind, ObjectId, Tree, document};
use clap::{Args, ValueEnum};
use tonic::{Code, Status};

/// How often an object is looked at again when somebody else changes it at the same time.
const TRIES: usize = 5;

pub(crate) const HELP: &str = "\
A document declares one object:

    apiVersion: millstream/v1
    kind: Mapping            # or Stream, Function, Queue
    metadata:
      name: totals
      namespace: default     # default: that of -n
    spec:
      stream: orders         # short for source_arn; queue: … for queues
      function: totals
      starting_position: TRIM_HORIZON
      batch_size: 500
      paused: false

Settings are named as in the API; `millstream get KIND NAME -o yaml` shows all of them, and what it shows can be applied.
Objects may come in any order. Everything is checked before anything is changed; applying twice changes nothing.

Who owns a setting: apply owns what it set, as long as nobody else changes it. Like `kubectl apply` by default,
  - what a file sets is set; if somebody else has changed it since it was last applied, with a warning that names the
    setting, its old and its new value. `millstream diff` shows both beforehand. There are no conflicts to be forced;
  - what was applied and is no longer in the file goes back to its default, unless somebody else has changed it since:
    then it stays, with a warning;
  - what a file never set is left alone, whoever set it.
The server keeps what was applied with the object, so it does not matter who applies from where.
A relative working_dir counts from the file. A new process function gets the server's PATH unless it says otherwise.

Exit codes: 0 done, 2 something is wrong with the files (then nothing was changed); others as for all commands.";

/// Everything behind `millstream apply`.
#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    files: FileArgs,
    /// Change nothing: `server` has the server check everything, `client` only compares.
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_value = "none", default_missing_value = "server")]
    dry_run: DryRun,
}

/// Whether anything is changed, and who checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// It is changed.
    None,
    /// The server checks.
    Server,
    /// Nobody but this program checks.
    Client,
}

impl DryRun {
    /// What is said behind each line.
    pub(super) fn remark(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Server => " (server dry run)",
            Self::Client => " (dry run)",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: ApplyArgs) -> Result<(), CliError> {
    let objects = args.files.read(args.session.namespace())?;
    let mut session = Session::open(&args.session).await?;
    let planned = plan_all(&session, objects, args.dry_run != DryRun::Client).await?;
    let mut documents = Vec::new();
    for one in planned {
        let done = match args.dry_run {
            DryRun::None => carry_out(&session, one).await?,
            _ => Done::unchanged(&one)?,
        };
        done.tell(&mut session, args.dry_run.remark())?;
        documents.push(done.document);
    }
    show::documents(&mut session, documents)
}

/// What came of an object.
pub(super) struct Done {
    id: ObjectId,
    word: &'static str,
    notes: Vec<String>,
    document: Tree,
}

impl Done {
    /// Nothing is carried out: this is what would come of it.
    fn unchanged(planned: &Planned) -> Result<Self, CliError> {
        let document = match (&planned.would, &planned.found) {
            (Some(resource), _) => resource.document()?,
            (None, Some(found)) if !planned.calls() => found.document()?,
            _ => {
                let (_, then) = planned.settings()?;
                let id = &planned.object.id;
                document(id.kind, &id.namespace, &id.name, &then, None)
            }
        };
        Ok(Self::of(planned, document))
    }

    fn of(planned: &Planned, document: Tree) -> Self {
        Self {
            id: planned.object.id.clone(),
            word: word(planned.plan.action),
            notes: planned.plan.notes.iter().map(ToString::to_string).collect(),
            document,
        }
    }

    /// One line, if lines are wanted, and what somebody should know.
    pub(super) fn tell(&self, session: &mut Session, remark: &str) -> Result<(), CliError> {
        for note in &self.notes {
            session.screen.note(&format!("warning: {}: {note}", self.id));
        }
        show::outcome(session, &self.id, self.word, remark)
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Configure => "configured",
        Action::Keep => "unchanged",
    }
}

/// Makes or changes one object. If somebody else changes it at the same time, it is looked at again.
///
/// # Errors
/// What could not be done.
pub(super) async fn carry_out(session: &Session, planned: Planned) -> Result<Done, CliError> {
    let mut planned = planned;
    for _ in 0..TRIES {
        if !planned.calls()
            && let Some(found) = &planned.found
        {
            let document = found.document()?;
            return Ok(Done::of(&planned, document));
        }
        let change = planned.change(false);
        let answer = match planned.plan.action {
            Action::Create => resource::create(session, change).await,
            Action::Configure | Action::Keep => resource::update(session, change).await,
        };
        match answer {
            Ok(made) => {
                let document = made.document()?;
                return Ok(Done::of(&planned, document));
            }
            Err(status) if is_race(&planned, &status) => {}
            Err(status) => return Err(failed(&planned.object.id, &status)),
        }
        planned = plan_one(session, planned.object)
            .await?
            .map_err(|problems| invalid(&problems))?;
    }
    Err(failed(
        &planned.object.id,
        &Status::aborted("others change it all the time"),
    ))
}

/// Whether somebody else made, changed or removed it in the meantime.
fn is_race(planned: &Planned, status: &Status) -> bool {
    match planned.found {
        None => status.code() == Code::AlreadyExists && planned.object.id.kind != Kind::Mapping,
        Some(_) => matches!(status.code(), Code::Aborted | Code::NotFound),
    }
}

/// An error of the server, with the object it is about.
pub(super) fn failed(id: &ObjectId, status: &Status) -> CliError {
    let (code, details) = (status.code(), status.details().to_vec());
    let message = format!("{id}: {}", status.message());
    Status::with_details(code, message, details.into()).into()
}
