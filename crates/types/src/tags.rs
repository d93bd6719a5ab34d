//! Tags: names and values that people give to mappings and functions. Nothing here reads meaning into them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most tags of one resource (AWS).
pub const MAX_TAGS: usize = 50;
/// Longest name, in characters.
const MAX_KEY: usize = 128;
/// Longest value, in characters.
const MAX_VALUE: usize = 256;

/// The tags of a resource, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, String>);

/// Why something is not a set of tags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// Too many.
    #[error("{0} tags: at most {MAX_TAGS} are allowed")]
    Count(usize),
    /// A name that no tag can have.
    #[error(
        "the tag '{0}': a name has 1 to {MAX_KEY} letters, digits, blanks and _.:/=+-@, and does not begin with 'aws:'"
    )]
    Key(String),
    /// A value that no tag can have.
    #[error("the value of tag '{0}': at most {MAX_VALUE} letters, digits, blanks and _.:/=+-@ are allowed")]
    Value(String),
}

impl Tags {
    /// Checks and takes tags.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn new(tags: BTreeMap<String, String>) -> Result<Self, InvalidTags> {
        if tags.len() > MAX_TAGS {
            return Err(InvalidTags::Count(tags.len()));
        }
        for (key, value) in &tags {
            let reserved = key.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("aws:"));
            if key.is_empty() || reserved || !is_text(key, MAX_KEY) {
                return Err(InvalidTags::Key(key.chars().take(MAX_KEY).collect()));
            }
            if !is_text(value, MAX_VALUE) {
                return Err(InvalidTags::Value(key.clone()));
            }
        }
        Ok(Self(tags))
    }

    /// Value by name.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_text(text: &str, most: usize) -> bool {
    let allowed = |c: char| {
        c.is_alphabetic()
            || c.is_numeric()
            || (c.is_whitespace() && !c.is_control())
            || "_.:/=+-@".contains(c)
    };
    text.chars().count() <= most && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Tags, InvalidTags> {
        let owned = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Tags::new(owned.collect())
    }

    #[test]
    fn tags_are_checked() {
        let long = |n: usize| "ä".repeat(n);
        for (key, value, ok) in [
            ("team", "a b_c.d:/=+-@1", true),
            ("Straße", "", true),
            ("", "x", false),
            ("aws:x", "x", false),
            ("AWS:x", "x", false),
            ("awsome", "x", true),
            ("a\nb", "x", false),
            ("a*", "x", false),
            ("a", "x*", false),
            (&long(128), &long(256), true),
            (&long(129), "", false),
            ("a", &long(257), false),
        ] {
            assert_eq!(of(&[(key, value)]).is_ok(), ok, "{key}={value}");
        }
        let many = |n: usize| Tags::new((0..n).map(|i| (format!("t{i}"), String::new())).collect());
        assert!(many(50).is_ok());
        assert_eq!(many(51), Err(InvalidTags::Count(51)));
    }
}
