//! One broken rule, and all of them.

use std::fmt;

/// One rule that a value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the API, in snake case, e.g. `process.init_timeout_ms`.
    pub field: &'static str,
    /// The refused value, shortened to 128 characters.
    pub value: String,
    /// What is allowed, in words.
    pub allowed: String,
    /// The whole sentence; AWS's own where it is known.
    pub message: String,
}

/// All rules that a request breaks; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, v) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { "; " }, v.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
