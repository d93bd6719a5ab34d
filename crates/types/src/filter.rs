//! Which records of a source a mapping wants.

use serde::{Deserialize, Serialize};

/// Most filters of a mapping (semantics, section 2).
pub const MAX_FILTERS: usize = 5;
/// Longest pattern, in characters (semantics, section 2).
pub const MAX_PATTERN_CHARS: usize = 4_096;

/// The filters of a mapping (`FilterCriteria`, semantics section 13). Without a filter every record is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterCriteria {
    /// The patterns, at most 5 of at most 4,096 characters; a record is wanted if it matches one of them.
    pub filters: Vec<String>,
    /// Whether patterns may use operators that Lambda does not have: `wildcard`, `cidr`, and `anything-but` of another
    /// operator. Refused without filters.
    #[serde(default)]
    pub extended: bool,
    /// What becomes of a record that matches none.
    #[serde(default)]
    pub on_unmatched: OnUnmatched,
}

impl FilterCriteria {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of a record that matches no filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnmatched {
    /// As AWS does it: it is done. A message is deleted, the position of a stream moves on.
    #[default]
    Drop,
    /// Standard queues only. It is left alone: hidden until its visibility timeout ends, then received again, by this
    /// mapping or another consumer, until it matches, is too old, or moves to the dead-letter queue of its queue.
    Keep,
    /// It is done, and kept as a discard, with its payload. A message is deleted once that is stored.
    Quarantine,
}
