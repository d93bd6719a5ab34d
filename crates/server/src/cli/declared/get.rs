//! `millstream get`.

use super::resource::{self, Resource};
use super::show;
use crate::cli::error::{CliError, exit};
use crate::cli::output::{Columns, Format, Table};
use crate::cli::session::{Session, SessionArgs};
use crate::cli::{function, mapping, queue, stream};
use crate::manifest::{Kind, ObjectId};
use clap::Args;

pub(crate) const HELP: &str = "\
Examples:
    millstream get mappings
    millstream get mapping totals -o yaml        # can be applied again as it is: `status` is ignored
    millstream get stream/orders queue/jobs -o json
    millstream get all -o yaml > everything.yaml";

/// Everything behind `millstream get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    session: SessionArgs,
    /// A kind (stream, function, queue, mapping) and names, or kinds with names like stream/orders, or `all`.
    #[arg(required = true, value_name = "KIND [NAME...] | KIND/NAME...")]
    what: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// All of these kinds.
    All(Vec<Kind>),
    /// These, by kind and name.
    Named(Vec<(Kind, String)>),
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub(crate) async fn run(args: GetArgs) -> Result<(), CliError> {
    let wanted = wanted(&args.what)?;
    let mut session = Session::open(&args.session).await?;
    let resources = match wanted {
        Wanted::All(kinds) => {
            let mut all = Vec::new();
            for kind in kinds {
                all.extend(resource::list(&session, kind).await?);
            }
            all
        }
        Wanted::Named(names) => named(&session, names).await?,
    };
    match session.screen.format() {
        Format::Table | Format::Wide => tables(&mut session, &resources),
        Format::Name => {
            let mut lines = resources.iter().map(|r| r.id().to_string());
            lines.try_for_each(|line| session.screen.line(&line))
        }
        Format::Json | Format::Yaml => {
            let documents = resources.iter().map(Resource::document);
            let documents = documents.collect::<Result<_, _>>()?;
            show::documents(&mut session, documents)
        }
    }
}

fn wanted(what: &[String]) -> Result<Wanted, CliError> {
    let unknown = |text: &str| {
        CliError::usage(
            format!("'{text}' is no kind: stream, function, queue, mapping, or all"),
            "see `millstream get --help`",
        )
    };
    match what {
        [all] if all == "all" => Ok(Wanted::All(Kind::ALL.to_vec())),
        [kinds] if !kinds.contains('/') => kinds
            .split(',')
            .map(|kind| Kind::parse(kind).ok_or_else(|| unknown(kind)))
            .collect::<Result<_, _>>()
            .map(Wanted::All),
        [kind, names @ ..] if !kind.contains('/') => {
            let kind = Kind::parse(kind).ok_or_else(|| unknown(kind))?;
            Ok(Wanted::Named(names.iter().map(|n| (kind, n.clone())).collect()))
        }
        names => names
            .iter()
            .map(|text| match text.split_once('/') {
                // What noun verbs print with -o name.
                Some(("namespaces", _)) | None => Err(unknown(text)),
                Some((kind, name)) => {
                    let kind = Kind::parse(kind).ok_or_else(|| unknown(kind))?;
                    Ok((kind, name.to_owned()))
                }
            })
            .collect::<Result<_, _>>()
            .map(Wanted::Named),
    }
}

async fn named(session: &Session, names: Vec<(Kind, String)>) -> Result<Vec<Resource>, CliError> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (kind, name) in names {
        let id = ObjectId {
            kind,
            namespace: session.namespace().to_owned(),
            name,
        };
        match resource::get(session, &id).await? {
            Some(resource) => found.push(resource),
            None => missing.push(id.to_string()),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let verb = if missing.len() == 1 { "does" } else { "do" };
    Err(CliError::Other {
        code: exit::NOT_FOUND,
        reason: "NOT_FOUND",
        message: format!("{} {verb} not exist", missing.join(", ")),
        next: "see what there is with `millstream get all`; another namespace is named by -n".to_owned(),
    })
}

/// One table per kind.
fn tables(session: &mut Session, resources: &[Resource]) -> Result<(), CliError> {
    let mut first = true;
    for kind in Kind::ALL {
        let mut table = Table::new(columns(kind), session.screen.format() == Format::Wide);
        let rows = resources.iter().filter(|r| r.kind() == kind).map(row);
        let count = rows.map(|row| table.row(row)).count();
        if count > 0 {
            if !std::mem::take(&mut first) {
                session.screen.line("")?;
            }
            session.screen.table(&mut table)?;
        }
    }
    if first {
        session.screen.note("nothing found");
    }
    Ok(())
}

fn columns(kind: Kind) -> Columns {
    match kind {
        Kind::Stream => stream::COLUMNS,
        Kind::Function => function::COLUMNS,
        Kind::Queue => queue::COLUMNS,
        Kind::Mapping => mapping::COLUMNS,
    }
}

fn row(resource: &Resource) -> Vec<String> {
    match resource {
        Resource::Stream(s) => stream::row(s),
        Resource::Function(f) => function::row(f),
        Resource::Queue(q) => queue::row(q),
        Resource::Mapping(m) => mapping::row(m),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted() {
        let named = |pairs: &[(Kind, &str)]| {
            Some(Wanted::Named(
                pairs.iter().map(|(k, n)| (*k, (*n).to_owned())).collect(),
            ))
        };
        for (line, want) in [
            ("all", Some(Wanted::All(Kind::ALL.to_vec()))),
            ("streams", Some(Wanted::All(vec![Kind::Stream]))),
            ("q,m", Some(Wanted::All(vec![Kind::Queue, Kind::Mapping]))),
            (
                "mapping a b",
                named(&[(Kind::Mapping, "a"), (Kind::Mapping, "b")]),
            ),
            (
                "stream/a queue/b.fifo",
                named(&[(Kind::Stream, "a"), (Kind::Queue, "b.fifo")]),
            ),
            ("things", None),
            ("stream/a b", None),
            ("things/a", None),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(wanted(&words).ok(), want, "{line}");
        }
    }
}
