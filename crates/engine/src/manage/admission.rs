//! Whether a new mapping or function may be made, given what exists. Pure.

use super::error::{ManageError, Violation, violation};
use super::{NewFunction, NewMapping};
use millstream_types::{Desired, Function, FunctionRef, Mapping, SourceArn};

/// Longest id of a request, in characters.
const MAX_REQUEST_ID: usize = 64;

/// What a create has to do.
#[derive(Debug, PartialEq)]
pub(super) enum Admission<T> {
    /// Make it.
    New,
    /// Nothing: an earlier call with the same request id made this.
    Repeated(T),
}

/// The rule of a request id, which every create checks: 1 to 64 visible ASCII characters. For callers that want to
/// report it together with their own.
#[must_use]
pub fn check_request_id(id: Option<&str>) -> Option<Violation> {
    let id = id?;
    let ok = !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(|c| c.is_ascii_graphic());
    (!ok).then(|| {
        let allowed = "1 to 64 visible ASCII characters";
        violation(
            "request_id",
            id,
            allowed,
            &format!("request_id '{id}' is not valid: {allowed}"),
        )
    })
}

/// Whether `existing` could matter to the admission of `new`; keeps the scan of a large catalog small.
pub(super) fn concerns(new: &NewMapping, existing: &Mapping) -> bool {
    let repeated = new.request_id.is_some() && new.request_id == existing.request_id;
    let named = new.name.as_ref() == Some(&existing.name);
    repeated || named || maps(existing, &new.spec.source, &new.spec.function)
}

/// Whether `mapping` connects these two, and is to go on doing so.
pub(super) fn maps(mapping: &Mapping, source: &SourceArn, function: &FunctionRef) -> bool {
    mapping.desired != Desired::Deleted
        && mapping.spec.source == *source
        && mapping.spec.function.is_same(function)
}

/// Decides about a new mapping. `existing` holds at least what [`concerns`] it.
pub(super) fn mapping(new: &NewMapping, existing: &[Mapping]) -> Result<Admission<Mapping>, ManageError> {
    if let Some(id) = &new.request_id
        && let Some(made) = existing.iter().find(|m| m.request_id.as_ref() == Some(id))
    {
        return if is_repetition(new, made) {
            Ok(Admission::Repeated(made.clone()))
        } else {
            Err(reused_request_id(id, "mapping", made.name.as_str()))
        };
    }
    if let Some(taken) = existing.iter().find(|m| Some(&m.name) == new.name.as_ref()) {
        return Err(name_taken(taken));
    }
    match existing
        .iter()
        .find(|m| maps(m, &new.spec.source, &new.spec.function))
    {
        Some(other) => Err(duplicate(other)),
        None => Ok(Admission::New),
    }
}

/// A repetition has the content of the call that made the mapping. After the first change only what is fixed can
/// still be compared.
fn is_repetition(new: &NewMapping, made: &Mapping) -> bool {
    let same_name = match &new.name {
        Some(name) => *name == made.name,
        None => made.name.as_str() == made.id.to_string(),
    };
    let same_start =
        new.spec.source == made.spec.source && new.spec.starting_position == made.spec.starting_position;
    let paused = made.desired == Desired::Paused;
    // What is known of the function by now is not of the call.
    let mut spec = new.spec.clone();
    if spec.function.as_str() == made.spec.function.as_str() {
        spec.function = made.spec.function.clone();
    }
    same_name && same_start && (made.generation > 1 || (spec == made.spec && new.paused == paused))
}

/// Decides about a new function.
pub(super) fn function(
    new: &NewFunction,
    existing: Option<&Function>,
) -> Result<Admission<Function>, ManageError> {
    let Some(made) = existing else {
        return Ok(Admission::New);
    };
    match &new.request_id {
        Some(id) if made.request_id.as_ref() == Some(id) => {
            if made.generation > 1 || made.spec == new.spec {
                Ok(Admission::Repeated(made.clone()))
            } else {
                Err(reused_request_id(id, "function", made.name.as_str()))
            }
        }
        _ => Err(ManageError::AlreadyExists {
            kind: "function",
            name: made.name.to_string(),
            message: format!("function {} already exists", made.name),
        }),
    }
}

fn reused_request_id(id: &str, kind: &str, name: &str) -> ManageError {
    let allowed = "an id that was not used with other content";
    let message = format!("request_id '{id}' was used before with other content: it made {kind} {name}");
    ManageError::violation("request_id", id, allowed, &message)
}

fn name_taken(taken: &Mapping) -> ManageError {
    let message = if taken.desired == Desired::Deleted {
        format!(
            "mapping {} is still being deleted: try again when it is gone",
            taken.name
        )
    } else {
        format!("mapping {} already exists", taken.name)
    };
    ManageError::AlreadyExists {
        kind: "mapping",
        name: taken.name.to_string(),
        message,
    }
}

/// AWS's words, spaces included (semantics 2.3).
pub(super) fn duplicate(other: &Mapping) -> ManageError {
    let (arn, function, id) = (&other.spec.source, &other.spec.function, other.id);
    let message = if arn.kind().is_queue() {
        format!(
            "An event source mapping with SQS arn (\" {arn} \") and function (\" {function} \") already exists. \
             Please update or delete the existing mapping with UUID {id}"
        )
    } else {
        format!(
            "The event source arn (\" {arn} \") and function (\" {function} \") provided mapping already exists. \
             Please update or delete the existing mapping with UUID {id}"
        )
    };
    ManageError::AlreadyExists {
        kind: "mapping",
        name: other.name.to_string(),
        message,
    }
}
