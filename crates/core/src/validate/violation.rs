//! One broken rule, and all of them.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

/// Longest value that is repeated to the caller, in characters.
const MAX_VALUE_CHARS: usize = 128;

/// One rule that a value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the API, in snake case, e.g. `process.init_timeout`.
    pub field: &'static str,
    /// The refused value, shortened to 128 characters.
    pub value: String,
    /// What is allowed, in words.
    pub allowed: String,
    /// The whole sentence; AWS's own where it is known (semantics 2.3).
    pub message: String,
}

impl Violation {
    /// A rule of ours, or one of which AWS's words are not known.
    pub(super) fn own(field: &'static str, value: impl Display, allowed: impl Into<String>) -> Self {
        let (value, allowed) = (shortened(&value), allowed.into());
        let message = format!("{field} '{value}' is not valid: {allowed}");
        Self {
            field,
            value,
            allowed,
            message,
        }
    }

    /// A rule for which AWS has a sentence.
    pub(super) fn aws(
        field: &'static str,
        value: impl Display,
        allowed: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field,
            value: shortened(&value),
            allowed: allowed.into(),
            message: message.into(),
        }
    }

    /// A range of AWS's model; `member` is AWS's name of the field. None if `value` is inside.
    pub(super) fn outside_model(
        field: &'static str,
        member: &str,
        value: i64,
        allowed: &RangeInclusive<i64>,
    ) -> Option<Self> {
        let (relation, bound) = beyond(value, allowed)?;
        let message = format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
             Member must have value {relation} than or equal to {bound}"
        );
        Some(Self::aws(field, value, between(allowed, ""), message))
    }

    /// A range of ours; `unit` as in `3 s`. None if `value` is inside.
    pub(super) fn outside(
        field: &'static str,
        value: u32,
        allowed: &RangeInclusive<i64>,
        unit: &str,
    ) -> Option<Self> {
        beyond(value.into(), allowed)?;
        Some(Self::own(field, value, between(allowed, unit)))
    }
}

/// Which bound a value breaks.
fn beyond(value: i64, allowed: &RangeInclusive<i64>) -> Option<(&'static str, i64)> {
    match value {
        v if v < *allowed.start() => Some(("greater", *allowed.start())),
        v if v > *allowed.end() => Some(("less", *allowed.end())),
        _ => None,
    }
}

fn between(allowed: &RangeInclusive<i64>, unit: &str) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    format!("{} to {}{space}{unit}", allowed.start(), allowed.end())
}

fn shortened(value: &impl Display) -> String {
    value.to_string().chars().take(MAX_VALUE_CHARS).collect()
}

/// All rules that a request breaks; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// An error if there is any.
    pub(super) fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    pub(super) fn add(&mut self, violation: Violation) {
        self.0.push(violation);
    }
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, more: I) {
        self.0.extend(more);
    }
}

impl Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { "; " }, violation.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
