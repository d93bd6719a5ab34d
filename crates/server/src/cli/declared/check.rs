//! Everything is checked before anything is changed: each object is compared with what there is, and the server checks
//! what would be done.

use super::invalid;
use super::resource::{self, Change, Resource};
use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::manifest::{self, Action, Kind, Live, Object, ObjectId, Plan, Problem, Settings};
use std::collections::BTreeMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// An object with what there is and what is to be done.
pub(crate) struct Planned {
    pub(crate) object: Object,
    pub(crate) found: Option<Resource>,
    pub(crate) plan: Plan,
    /// What the server says that would come of it; none if nothing would change, if it was not asked, or if it could
    /// not tell because something else has to be made first.
    pub(crate) would: Option<Resource>,
}

impl Planned {
    /// The call that carries it out.
    pub(crate) fn change(&self, validate_only: bool) -> Change<'_> {
        Change {
            id: &self.object.id,
            etag: self.found.as_ref().map_or("", Resource::etag),
            mask: &self.plan.mask,
            values: &self.plan.values,
            applied: &self.object.settings,
            validate_only,
        }
    }

    /// Whether the call would do anything.
    pub(crate) fn calls(&self) -> bool {
        self.plan.action != Action::Keep || self.plan.note_applied
    }

    /// What goes back to a default that it has already is no change: only the note of it is left to be done.
    fn settle(&mut self) -> Result<(), CliError> {
        let (live, then) = self.settings()?;
        if self.plan.action == Action::Configure && live == then {
            self.plan.action = Action::Keep;
            self.plan.mask.clear();
        }
        Ok(())
    }

    /// The settings as they are, and as they will be as far as that is known.
    pub(crate) fn settings(&self) -> Result<(Settings, Settings), CliError> {
        let live = self.found.as_ref().map(Resource::live).transpose()?;
        let live = live.unwrap_or_default().settings;
        let then = match &self.would {
            Some(would) => would.live()?.settings,
            None => self.plan.expected(self.object.id.kind, &live),
        };
        Ok((live, then))
    }
}

/// Compares one object with what there is.
///
/// # Errors
/// If the server cannot be asked. The inner result: what cannot be changed.
pub(crate) async fn plan_one(
    session: &Session,
    object: Object,
) -> Result<Result<Planned, Vec<Problem>>, CliError> {
    let found = match resource::get(session, &object.id).await {
        // There can be nothing of this name.
        Err(CliError::Status(status)) if status.code() == Code::InvalidArgument => {
            return judge(&object, &status, &[]).map(Err);
        }
        found => found?,
    };
    let live: Option<Live> = found.as_ref().map(Resource::live).transpose()?;
    Ok(manifest::plan(&object, live.as_ref()).map(|plan| Planned {
        object,
        found,
        plan,
        would: None,
    }))
}

/// Compares all objects with what there is and, if `validate`, has the server check what would be done.
///
/// # Errors
/// If the server cannot be asked; or everything that is wrong.
pub(crate) async fn plan_all(
    session: &Session,
    objects: Vec<Object>,
    validate: bool,
) -> Result<Vec<Planned>, CliError> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for object in objects {
        match plan_one(session, object).await? {
            Ok(planned) => all.push(planned),
            Err(found) => problems.extend(found),
        }
    }
    if validate {
        let new: Vec<ObjectId> = all
            .iter()
            .filter(|p| p.plan.action == Action::Create)
            .map(|p| p.object.id.clone())
            .collect();
        let objects: Vec<Object> = all.iter().map(|p| p.object.clone()).collect();
        problems.extend(manifest::rings(&objects, |id| new.contains(id)));
        let becoming = Becoming::of(&all)?;
        for planned in all.iter_mut().filter(|p| p.calls()) {
            validate_one(session, planned, &becoming, &mut problems).await?;
        }
    }
    if problems.is_empty() {
        Ok(all)
    } else {
        Err(invalid(&problems))
    }
}

/// The settings of every object that is applied, as they will be.
struct Becoming(BTreeMap<ObjectId, Settings>);

impl Becoming {
    fn of(all: &[Planned]) -> Result<Self, CliError> {
        let settings = all.iter().map(|p| {
            let (_, then) = p.settings()?;
            Ok((p.object.id.clone(), then))
        });
        settings.collect::<Result<_, CliError>>().map(Self)
    }
}

/// Has the server check one object. What it says about things that are applied with it is not taken: they are not yet
/// as they will be. What it would check about them is checked here.
async fn validate_one(
    session: &Session,
    planned: &mut Planned,
    becoming: &Becoming,
    problems: &mut Vec<Problem>,
) -> Result<(), CliError> {
    let change = planned.change(true);
    let answer = match planned.plan.action {
        Action::Create => resource::create(session, change).await,
        Action::Configure | Action::Keep => resource::update(session, change).await,
    };
    let references = planned.object.references();
    let ours: Vec<&str> = references
        .iter()
        .filter(|r| becoming.0.contains_key(&r.to))
        .map(|r| r.path)
        .collect();
    match answer {
        Ok(would) => {
            planned.would = Some(would);
            planned.settle()?;
        }
        Err(status) => problems.extend(judge(&planned.object, &status, &ours)?),
    }
    let renamed = planned.plan.action == Action::Create || planned.plan.mask.contains(&"function");
    if planned.object.id.kind == Kind::Mapping && renamed && !ours.is_empty() {
        problems.extend(visibility(session, planned, becoming).await?);
    }
    Ok(())
}

/// The rule between a mapping and its queue and function where at least one of these is applied with it.
async fn visibility(
    session: &Session,
    planned: &Planned,
    becoming: &Becoming,
) -> Result<Option<Problem>, CliError> {
    let mut ends = (None, None);
    for reference in planned.object.references() {
        let settings = match becoming.0.get(&reference.to) {
            Some(settings) => settings.clone(),
            None => match resource::get(session, &reference.to).await? {
                Some(found) => found.live()?.settings,
                // The server has told.
                None => return Ok(None),
            },
        };
        match (reference.path, reference.to.kind) {
            ("source_arn", Kind::Queue) => ends.0 = Some(settings),
            ("function", Kind::Function) => ends.1 = Some(settings),
            _ => {}
        }
    }
    Ok(match ends {
        (Some(queue), Some(function)) => manifest::visibility(&planned.object, &queue, &function),
        _ => None,
    })
}

/// What a refusal says about an object; nothing about the settings `ours`.
///
/// # Errors
/// The status itself, if it says nothing about the object.
pub(super) fn judge(object: &Object, status: &Status, ours: &[&str]) -> Result<Vec<Problem>, CliError> {
    let details = status.get_error_details();
    let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    if violations.is_empty() {
        return match status.code() {
            Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition => {
                Ok(vec![object.problem("", status.message())])
            }
            _ => Err(status.clone().into()),
        };
    }
    let prefix = format!("{}.", object.id.kind.word());
    let id = format!("{}_id", object.id.kind.word());
    let problem = |field: &str, description: &str| {
        let path = field.strip_prefix(&prefix).unwrap_or(field);
        let shown = if field == id || field == "name" {
            "metadata.name".to_owned()
        } else {
            format!("spec.{path}")
        };
        let text = match description.strip_prefix(field) {
            Some(rest) => format!("{shown}{rest}"),
            None => format!("{shown}: {description}"),
        };
        object.problem(path, text)
    };
    let told = violations.iter().filter(|v| {
        let path = v.field.strip_prefix(&prefix).unwrap_or(&v.field);
        // A part of a reference may be named by what it is part of.
        !ours
            .iter()
            .any(|o| *o == path || (!path.is_empty() && o.starts_with(&format!("{path}."))))
    });
    Ok(told.map(|v| problem(&v.field, &v.description)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Place, Source};
    use std::path::Path;
    use tonic_types::ErrorDetails;

    fn mapping() -> Object {
        let text = "apiVersion: millstream/v1\nkind: Mapping\nmetadata: {name: m}\nspec:\n  stream: s\n  function: f\n  \
                    batch_size: 5\n";
        let source = Source {
            file: "x.yaml",
            base: Path::new("/"),
            text,
            namespace: "default",
        };
        let mut problems = Vec::new();
        let object = manifest::read(source, &mut problems).pop().unwrap();
        assert!(problems.is_empty());
        object
    }

    fn refused(violations: &[(&str, &str)]) -> Status {
        let mut details = ErrorDetails::new();
        for (field, text) in violations {
            details.add_bad_request_violation(*field, *text);
        }
        Status::with_error_details(Code::InvalidArgument, "refused", details)
    }

    #[test]
    fn refusals_are_told_in_the_words_of_the_file() {
        let status = refused(&[
            ("mapping.batch_size", "mapping.batch_size '5' is not valid: more"),
            ("mapping.function", "Function does not exist"),
            ("mapping_id", "mapping name 'M' is not valid"),
        ]);
        let texts = |ours: &[&str]| -> Vec<String> {
            let problems = judge(&mapping(), &status, ours).unwrap();
            problems.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            texts(&[]),
            [
                "x.yaml:7: mapping/m: spec.batch_size '5' is not valid: more",
                "x.yaml:6: mapping/m: spec.function: Function does not exist",
                "x.yaml:1: mapping/m: metadata.name: mapping name 'M' is not valid",
            ]
        );
        assert_eq!(texts(&["function"]).len(), 2);
    }

    #[test]
    fn only_what_is_said_about_the_object_is_a_problem() {
        let taken = judge(&mapping(), &Status::already_exists("there is one"), &[]).unwrap();
        let place = Place {
            file: "x.yaml".to_owned(),
            line: 1,
        };
        assert_eq!(
            (taken[0].text.as_str(), &taken[0].place),
            ("there is one", &place)
        );
        assert!(judge(&mapping(), &Status::unavailable("gone"), &[]).is_err());
    }
}
