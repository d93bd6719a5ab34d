//! Fields that are refused, collected so that a caller learns of all of them at once.

use crate::status::{self, Reason};
use millstream_engine::manage::Violation;
use tonic::Status;
use tonic_types::FieldViolation;

/// One refused field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its path in the request, e.g. `mapping.batch_size`.
    pub(crate) field: String,
    /// The whole sentence.
    pub(crate) message: String,
}

impl Refusal {
    /// In this API's own words; a long value is shortened.
    pub(crate) fn new(
        field: impl Into<String>,
        value: impl std::fmt::Display,
        allowed: impl AsRef<str>,
    ) -> Self {
        let (field, allowed) = (field.into(), allowed.as_ref());
        let value: String = value.to_string().chars().take(128).collect();
        let message = format!("{field} '{value}' is not valid: {allowed}");
        Self { field, message }
    }

    /// A field that must be set and is not.
    pub(crate) fn missing(field: impl Into<String>, what: &str) -> Self {
        let field = field.into();
        Self {
            message: format!("{field} is required: {what}"),
            field,
        }
    }
}

/// All refused fields of a request, none to begin with.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<Refusal>);

impl Refusals {
    pub(crate) fn add(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    /// The value, or none and a refusal more.
    pub(crate) fn take<T>(&mut self, result: Result<T, Refusal>) -> Option<T> {
        result.map_err(|r| self.add(r)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the rules of the domain say besides, except about fields that are refused already: those stand for
    /// values that could not be read.
    pub(crate) fn merge(&mut self, prefix: &str, violations: Vec<Violation>) {
        for v in violations {
            let field = path(prefix, v.field);
            if !self.0.iter().any(|r| r.field == field) {
                let message = explained(&field, &v);
                self.add(Refusal { field, message });
            }
        }
    }

    /// An error, if anything was refused.
    pub(crate) fn check(self) -> Result<(), Status> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_status())
        }
    }

    /// The error that names every field.
    pub(crate) fn into_status(self) -> Status {
        let message = self
            .0
            .iter()
            .map(|r| r.message.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        let fields: Vec<_> = self
            .0
            .into_iter()
            .map(|r| FieldViolation::new(r.field, r.message))
            .collect();
        status::with(Reason::InvalidField, &message, &[], |details| {
            details.set_bad_request(fields);
        })
    }

    #[cfg(test)]
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.0.iter().map(|r| r.field.as_str()).collect()
    }
}

impl From<Refusal> for Status {
    fn from(r: Refusal) -> Status {
        Refusals(vec![r]).into_status()
    }
}

/// The sentence of a rule; AWS's about patterns, which names neither what is refused nor what is allowed, with both.
fn explained(field: &str, v: &Violation) -> String {
    let Violation {
        value,
        allowed,
        message,
        ..
    } = v;
    if !v.field.ends_with("].pattern") || message.contains(v.field) {
        return message.clone();
    }
    format!("{message} {field} '{value}' is not valid: {allowed}")
}

/// Where a field of the domain is in a request: settings are inside of the resource, `request_id` beside it.
pub(crate) fn path(prefix: &str, field: &str) -> String {
    if field == "request_id" {
        field.to_owned()
    } else {
        format!("{prefix}{field}")
    }
}
