//! Follows mappings: what is, then every change, through lost connections and missed changes.

use super::show;
use crate::cli::error::CliError;
use crate::cli::names::short;
use crate::cli::output::{Format, Table, to_json, to_yaml};
use crate::cli::session::Session;
use millstream_api::v1;
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::{Code, Request, Status, Streaming};
use v1::WatchMappingsResponse;
use v1::watch_mappings_response::Event;

/// The server sends a heartbeat every 15 s; after three missed ones the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(45);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What was shown, so that a new snapshot shows only what differs.
#[derive(Default)]
pub(super) struct Seen {
    names: Option<Vec<String>>,
    shown: BTreeMap<String, v1::Mapping>,
    /// Names of the running snapshot; none outside of one.
    snapshot: Option<Vec<String>>,
}

impl Seen {
    pub(super) fn of(names: Option<Vec<String>>) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// A new watch begins, with a snapshot.
    pub(super) fn begin(&mut self) {
        self.snapshot = Some(Vec::new());
    }

    /// The events that are to be shown now.
    pub(super) fn take(&mut self, event: Event) -> Vec<Event> {
        match event {
            Event::Heartbeat(_) => Vec::new(),
            Event::Updated(mapping) if self.wanted(&mapping.name) => {
                if let Some(names) = &mut self.snapshot {
                    names.push(mapping.name.clone());
                }
                if self.shown.insert(mapping.name.clone(), mapping.clone()).as_ref() == Some(&mapping) {
                    return Vec::new();
                }
                vec![Event::Updated(mapping)]
            }
            Event::Removed(gone) if self.shown.remove(&gone.name).is_some() => vec![Event::Removed(gone)],
            Event::Updated(_) | Event::Removed(_) => Vec::new(),
            Event::SnapshotEnd(_) => {
                let there = self.snapshot.take().unwrap_or_default();
                let gone: Vec<_> = self
                    .shown
                    .keys()
                    .filter(|name| !there.contains(name))
                    .cloned()
                    .collect();
                let mut events = Vec::new();
                for name in gone {
                    let uid = self.shown.remove(&name).map(|m| m.uid).unwrap_or_default();
                    events.push(Event::Removed(v1::MappingRemoved { name, uid }));
                }
                events
            }
        }
    }

    /// Whether nothing can come any more: all mappings asked for by name are gone.
    pub(super) fn finished(&self) -> bool {
        self.names.is_some() && self.snapshot.is_none() && self.shown.is_empty()
    }

    fn wanted(&self, name: &String) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// Follows the mappings of these names, or all.
///
/// # Errors
/// If the server refuses, or output fails; a lost connection is made again.
pub(crate) async fn run(session: &mut Session, names: Option<Vec<String>>) -> Result<(), CliError> {
    let mut seen = Seen::of(names);
    let mut view = View::new(session.screen.format());
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = match watch(session).await {
            Ok(stream) => {
                pause = FIRST_PAUSE;
                seen.begin();
                follow(session, stream, &mut seen, &mut view).await?
            }
            Err(status) => Some(status),
        };
        match ended {
            None => return Ok(()),
            Some(status) if status.code() == Code::Aborted => {
                session.screen.note("changes were missed: showing what differs");
            }
            Some(status) if status.code() == Code::Unavailable => {
                // Once per loss, not per try.
                if pause == FIRST_PAUSE {
                    session
                        .screen
                        .note(&format!("connection lost ({}): trying again", status.message()));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Some(status) => return Err(status.into()),
        }
    }
}

async fn watch(session: &Session) -> Result<Streaming<WatchMappingsResponse>, Status> {
    let request = Request::new(v1::WatchMappingsRequest {
        parent: session.parent(),
    });
    match tokio::time::timeout(SILENCE, session.mappings().watch_mappings(request)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::unavailable("no answer")),
    }
}

/// Shows events until the stream ends; how it ended, or none if nothing can come any more.
async fn follow(
    session: &mut Session,
    mut stream: Streaming<WatchMappingsResponse>,
    seen: &mut Seen,
    view: &mut View,
) -> Result<Option<Status>, CliError> {
    loop {
        let event = match tokio::time::timeout(SILENCE, stream.message()).await {
            Err(_) => return Ok(Some(Status::unavailable("no heartbeat"))),
            Ok(Err(status)) => return Ok(Some(status)),
            Ok(Ok(None)) => return Ok(Some(Status::unavailable("the server ended the watch"))),
            Ok(Ok(Some(message))) => message.event,
        };
        let snapshot_ended = matches!(event, Some(Event::SnapshotEnd(_)));
        for event in event.into_iter().flat_map(|e| seen.take(e)) {
            view.show(session, event)?;
        }
        if snapshot_ended {
            view.flush(session)?;
        }
        if seen.finished() {
            return Ok(None);
        }
    }
}

/// Rows are held back until the first snapshot is whole, so that its columns fit.
struct View {
    table: Table,
    format: Format,
    open: bool,
    /// The last row of each mapping, without its age: what looks the same is not shown again.
    last: BTreeMap<String, Vec<String>>,
}

impl View {
    fn new(format: Format) -> Self {
        let mut table = Table::new(show::COLUMNS, format == Format::Wide);
        table.reserve("STATE", "RESUMING".len());
        table.reserve("DONE", 8);
        Self {
            table,
            format,
            open: false,
            last: BTreeMap::new(),
        }
    }

    fn show(&mut self, session: &mut Session, event: Event) -> Result<(), CliError> {
        match self.format {
            Format::Json => session
                .screen
                .line(&to_json(&WatchMappingsResponse { event: Some(event) }, false)?),
            Format::Yaml => session
                .screen
                .line(&to_yaml(&WatchMappingsResponse { event: Some(event) })?),
            Format::Name => session.screen.line(name(&event)),
            Format::Table | Format::Wide => {
                match &event {
                    Event::Updated(mapping) => self.updated(mapping),
                    Event::Removed(gone) => self
                        .table
                        .row([short(&gone.name).to_owned(), "DELETED".to_owned()]),
                    Event::SnapshotEnd(_) | Event::Heartbeat(_) => {}
                }
                if self.open {
                    session.screen.rows(&mut self.table)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn updated(&mut self, mapping: &v1::Mapping) {
        let row = show::row(mapping);
        let mut look = row.clone();
        look.truncate(if self.format == Format::Wide {
            row.len()
        } else {
            show::COLUMNS.narrow.len()
        });
        look.remove(show::AGE);
        if self.last.insert(mapping.name.clone(), look.clone()) != Some(look) {
            self.table.row(row);
        }
    }

    fn flush(&mut self, session: &mut Session) -> Result<(), CliError> {
        if self.open || !self.format.is_table() {
            return Ok(());
        }
        self.open = true;
        session.screen.line(&self.table.head_line())?;
        session.screen.rows(&mut self.table)
    }
}

fn name(event: &Event) -> &str {
    match event {
        Event::Updated(mapping) => &mapping.name,
        Event::Removed(gone) => &gone.name,
        Event::SnapshotEnd(_) | Event::Heartbeat(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::mapping;
    use super::*;
    use v1::MappingState::{Active, Paused};

    fn up(name: &str, state: v1::MappingState) -> Event {
        Event::Updated(mapping(name, state))
    }

    fn names(events: &[Event]) -> Vec<&str> {
        events.iter().map(|e| short(name(e))).collect()
    }

    fn end() -> Event {
        Event::SnapshotEnd(v1::SnapshotEnd {})
    }

    #[test]
    fn a_new_snapshot_shows_only_what_differs() {
        let mut seen = Seen::of(None);
        seen.begin();
        assert_eq!(names(&seen.take(up("a", Active))), ["a"]);
        assert_eq!(names(&seen.take(up("b", Active))), ["b"]);
        assert_eq!(names(&seen.take(up("c", Active))), ["c"]);
        assert!(seen.take(end()).is_empty());
        assert!(seen.take(Event::Heartbeat(v1::Heartbeat {})).is_empty());
        seen.begin();
        assert!(seen.take(up("a", Active)).is_empty());
        assert_eq!(names(&seen.take(up("b", Paused))), ["b"]);
        let gone = seen.take(end());
        assert_eq!(names(&gone), ["c"]);
        assert!(matches!(gone[0], Event::Removed(_)));
        assert!(!seen.finished());
    }

    #[test]
    fn a_watch_of_names_ignores_others_and_ends_with_them() {
        let mut seen = Seen::of(Some(vec!["namespaces/default/mappings/a".to_owned()]));
        seen.begin();
        assert_eq!(names(&seen.take(up("a", Active))), ["a"]);
        assert!(seen.take(up("b", Active)).is_empty());
        assert!(!seen.finished());
        seen.take(end());
        assert!(!seen.finished());
        let gone = v1::MappingRemoved {
            name: "namespaces/default/mappings/a".to_owned(),
            uid: String::new(),
        };
        assert_eq!(names(&seen.take(Event::Removed(gone))), ["a"]);
        assert!(seen.finished());
    }
}
