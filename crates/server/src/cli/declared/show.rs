//! What the verbs on files print.

use crate::cli::error::CliError;
use crate::cli::output::Format;
use crate::cli::session::Session;
use crate::manifest::{API_VERSION, ObjectId, Tree};

/// What came of one object, on a line, where lines are wanted.
///
/// # Errors
/// If nobody reads any more.
pub(super) fn outcome(
    session: &mut Session,
    id: &ObjectId,
    word: &str,
    remark: &str,
) -> Result<(), CliError> {
    match session.screen.format() {
        Format::Table | Format::Wide => session.screen.line(&format!("{id} {word}{remark}")),
        Format::Name => session.screen.line(&id.to_string()),
        Format::Json | Format::Yaml => Ok(()),
    }
}

/// Documents, where documents are wanted: in YAML one after the other, in JSON as one list if there are several.
///
/// # Errors
/// If nobody reads any more.
pub(super) fn documents(session: &mut Session, documents: Vec<Tree>) -> Result<(), CliError> {
    match session.screen.format() {
        Format::Yaml => documents.iter().try_for_each(|document| {
            session
                .screen
                .bytes(format!("---\n{}", document.to_yaml()).as_bytes())
        }),
        Format::Json => {
            let one = match <[Tree; 1]>::try_from(documents) {
                Ok([one]) => one,
                Err(several) => list(several),
            };
            let json = serde_json::to_string_pretty(&one).map_err(std::io::Error::other)?;
            session.screen.line(&json)
        }
        Format::Table | Format::Wide | Format::Name => Ok(()),
    }
}

fn list(items: Vec<Tree>) -> Tree {
    let mut list = Tree::Map(Vec::new());
    list.set("apiVersion", Tree::text(API_VERSION));
    list.set("kind", Tree::text("List"));
    list.set("items", Tree::List(items));
    list
}
