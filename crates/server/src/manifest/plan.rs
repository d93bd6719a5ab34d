//! What applying an object does, and who owns which setting. Pure.
//!
//! Next to the settings of a resource the server keeps what was applied last: each setting with its value. Apply owns a
//! setting that still has the value it was applied with. From that follows everything:
//!
//! | the file | before | then |
//! |---|---|---|
//! | sets it | has that value | nothing |
//! | sets it | has another value | it is set; with a note if it was applied before and somebody else changed it since |
//! | does not set it | was applied, is unchanged | it goes back to its default |
//! | does not set it | was applied, somebody else changed it since | it stays, with a note |
//! | does not set it | was never applied | it stays |
//!
//! Whatever the file sets is noted as applied from then on, also where it was so before.

use super::kind::{Field, Kind, Settings};
use super::read::{Object, Problem};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A resource as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    pub(crate) settings: Settings,
    /// What was applied last, by path.
    pub(crate) applied: BTreeMap<String, Value>,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// There is none: make it.
    Create,
    /// Change settings.
    Configure,
    /// No setting changes; at most it is noted that they are applied.
    Keep,
}

/// How an object is applied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) action: Action,
    /// What an update names, besides the note of what is applied.
    pub(crate) mask: Vec<&'static str>,
    /// The values of what is created or named by the mask; what is named and has none goes back to its default.
    pub(crate) values: Settings,
    /// Whether what is applied has to be noted.
    pub(crate) note_applied: bool,
    /// What somebody should know.
    pub(crate) notes: Vec<Note>,
}

/// Something that whoever applies should know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    /// Somebody else changed what had been applied, and the file overwrites it.
    Overwritten {
        path: &'static str,
        applied: Value,
        live: Option<Value>,
        file: Value,
    },
    /// Somebody else changed what had been applied, and the file has no opinion any more.
    Left {
        path: &'static str,
        applied: Value,
        live: Option<Value>,
    },
    /// It is no longer in the file, and cannot be changed.
    Fixed { path: &'static str, live: Option<Value> },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overwritten {
                path,
                applied,
                live,
                file,
            } => {
                let (was, is) = (shown(Some(applied)), shown(live.as_ref()));
                write!(f, "{path} was changed by somebody else, from {was} to {is}; ")?;
                if file == applied {
                    write!(f, "the file sets it back to {was}")
                } else {
                    write!(f, "the file sets it to {}", shown(Some(file)))
                }
            }
            Self::Left { path, applied, live } => write!(
                f,
                "{path} is no longer in the file, but was changed by somebody else, from {} to {}: it stays",
                shown(Some(applied)),
                shown(live.as_ref())
            ),
            Self::Fixed { path, live } => write!(
                f,
                "{path} is no longer in the file, but is fixed at creation: it stays {}",
                shown(live.as_ref())
            ),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) => format!("'{}'", super::tree::Tree::from(value).shown()),
    }
}

impl Plan {
    /// Settings as they will be, as far as that is known here: what goes back to its default is left out.
    pub(crate) fn expected(&self, kind: Kind, live: &Settings) -> Settings {
        let named = |field: &Field| self.mask.iter().any(|mask| covers(mask, field));
        let mut settings = live.clone();
        for field in kind.fields().iter().filter(|f| named(f)) {
            settings.remove(field.path);
        }
        settings.extend(self.values.iter().map(|(k, v)| (*k, v.clone())));
        settings
    }
}

/// Whether an update that names `mask` sets `field`.
fn covers(mask: &str, field: &Field) -> bool {
    field.mask == mask
        || field
            .path
            .strip_prefix(mask)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Decides how `object` is applied to what there is.
///
/// # Errors
/// If it would change what is fixed at creation; all such settings.
pub(crate) fn plan(object: &Object, live: Option<&Live>) -> Result<Plan, Vec<Problem>> {
    let file = &object.settings;
    let Some(live) = live else {
        return Ok(Plan {
            action: Action::Create,
            mask: Vec::new(),
            values: with_path(object.id.kind, file.clone()),
            note_applied: true,
            notes: Vec::new(),
        });
    };
    let mut merge = Merge {
        object,
        live,
        problems: Vec::new(),
        notes: Vec::new(),
        mask: Vec::new(),
    };
    let switched = merge.target();
    for field in object.id.kind.fields() {
        if !switched.is_some_and(|to| is_target(field.path, to)) {
            merge.field(field, switched.is_some());
        }
    }
    merge.done(switched)
}

struct Merge<'a> {
    object: &'a Object,
    live: &'a Live,
    problems: Vec<Problem>,
    notes: Vec<Note>,
    mask: Vec<&'static str>,
}

impl Merge<'_> {
    /// What the target of a function becomes if it becomes another: then it is replaced as a whole.
    fn target(&self) -> Option<&'static str> {
        let of = |settings: &Settings| {
            let root = settings.keys().find_map(|path| target_root(path));
            root.filter(|_| self.object.id.kind == Kind::Function)
        };
        let (file, live) = (of(&self.object.settings), of(&self.live.settings));
        file.filter(|_| file != live)
    }

    fn field(&mut self, field: &'static Field, switched: bool) {
        let path = field.path;
        if switched && target_root(path).is_some() {
            // Goes with the old target.
            return;
        }
        let file = self.object.settings.get(path);
        let live = self.live.settings.get(path);
        let applied = self.live.applied.get(path);
        let drifted = self.drifted(field);
        match (file, applied) {
            (Some(file), _) if Some(file) == live => {}
            (Some(file), _) if field.fixed => {
                let text = format!(
                    "spec.{path} {} is not valid: fixed at creation, to {}; delete it first, or apply it under another name",
                    shown(Some(file)),
                    shown(live)
                );
                self.problems.push(self.object.problem(path, text));
            }
            (Some(file), applied) => {
                if let Some(applied) = applied.filter(|_| drifted) {
                    self.notes.push(Note::Overwritten {
                        path,
                        applied: applied.clone(),
                        live: live.cloned(),
                        file: file.clone(),
                    });
                }
                self.change(field.mask);
            }
            (None, None) => {}
            (None, Some(applied)) if drifted => self.notes.push(Note::Left {
                path,
                applied: applied.clone(),
                live: live.cloned(),
            }),
            // Goes with the others.
            (None, Some(_)) if self.together(field).any(|f| self.drifted(f)) => {}
            (None, Some(_)) if field.fixed => self.notes.push(Note::Fixed {
                path,
                live: live.cloned(),
            }),
            // As it is for whoever does not say.
            (None, Some(_)) if path == ENV_PASS && live == self.usual_env_pass().as_ref() => {}
            (None, Some(_)) => self.change(field.mask),
        }
    }

    /// What a process function takes over if its file does not say.
    fn usual_env_pass(&self) -> Option<Value> {
        let settings = [&self.object.settings, &self.live.settings];
        usual_env_pass(settings.into_iter().find_map(|s| s.get(ENV)))
    }

    /// Whether somebody else changed it since it was applied.
    fn drifted(&self, field: &Field) -> bool {
        let applied = self.live.applied.get(field.path);
        applied.is_some() && applied != self.live.settings.get(field.path)
    }

    /// The settings that can only be changed together with it.
    fn together(&self, field: &Field) -> impl Iterator<Item = &'static Field> {
        let mask = field.mask;
        self.object
            .id
            .kind
            .fields()
            .iter()
            .filter(move |f| f.mask == mask)
    }

    fn change(&mut self, mask: &'static str) {
        if !self.mask.contains(&mask) {
            self.mask.push(mask);
        }
    }

    fn done(mut self, switched: Option<&'static str>) -> Result<Plan, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        if let Some(target) = switched {
            self.change(target);
        }
        let mut values = self.values(switched.is_some());
        if switched == Some("process") {
            values = with_path(Kind::Function, values);
        }
        let applied = self.object.settings.iter().map(|(k, v)| (*k, v));
        let before = self.live.applied.iter().map(|(k, v)| (k.as_str(), v));
        Ok(Plan {
            action: if self.mask.is_empty() {
                Action::Keep
            } else {
                Action::Configure
            },
            note_applied: !applied.eq(before),
            values,
            mask: self.mask,
            notes: self.notes,
        })
    }

    /// The values of everything that the mask names: where several settings share a path of the mask, those that do
    /// not change are sent as they are.
    fn values(&self, switched: bool) -> Settings {
        let mut values = Settings::new();
        let fields = self.object.id.kind.fields().iter();
        for field in fields.filter(|f| self.mask.iter().any(|mask| covers(mask, f))) {
            let (file, live) = (
                self.object.settings.get(field.path),
                self.live.settings.get(field.path),
            );
            let owned = self.live.applied.get(field.path);
            let kept = live.filter(|live| owned != Some(live) && !switched && field.mask != field.path);
            values.extend(file.or(kept).map(|value| (field.path, value.clone())));
        }
        if self.mask.contains(&ENV_PASS)
            && let Some(usual) = self.usual_env_pass()
        {
            // Its default is that of new processes, not the API's.
            values.entry(ENV_PASS).or_insert(usual);
        }
        values
    }
}

const ENV: &str = "process.env";
const ENV_PASS: &str = "process.env_pass";

/// A new process finds its program where the server finds programs, unless the file says otherwise.
fn with_path(kind: Kind, mut settings: Settings) -> Settings {
    if kind == Kind::Function
        && settings.contains_key("process.command")
        && let Some(usual) = usual_env_pass(settings.get(ENV))
    {
        settings.entry(ENV_PASS).or_insert(usual);
    }
    settings
}

/// What a process with this environment takes over from the server's if nobody says otherwise.
fn usual_env_pass(env: Option<&Value>) -> Option<Value> {
    let has_path = env.is_some_and(|env| env.get("PATH").is_some());
    (!has_path).then(|| Value::from(vec!["PATH"]))
}

const TARGETS: [&str; 4] = ["process", "http", "lambda", "in_process"];

fn is_target(path: &str, target: &str) -> bool {
    target_root(path) == Some(target)
}

fn target_root(path: &str) -> Option<&'static str> {
    let root = path.split('.').next()?;
    TARGETS.into_iter().find(|t| *t == root)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
