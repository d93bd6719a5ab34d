//! What was applied to a resource from a file: kept beside its settings, so that the next file can be told from what
//! others changed meanwhile.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most settings that can be noted.
const MAX_SETTINGS: usize = 64;
/// Longest path of a setting.
const MAX_PATH: usize = 128;
/// Most bytes of all values together: a function's command and environment, however they are escaped.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The settings that were applied last, by path, each with its value as JSON.
///
/// Stored in the same change as the settings themselves, and otherwise left alone: what follows from it is decided by
/// who applies. A change by anybody else does not touch it, so a setting that has another value than noted here was
/// changed by somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Applied(BTreeMap<String, String>);

/// Why something cannot be noted as applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApplied {
    /// Too many settings.
    #[error("{0} settings: at most {MAX_SETTINGS} are allowed")]
    Count(usize),
    /// A path that no setting can have.
    #[error("the path '{0}': 1 to {MAX_PATH} lower-case letters, digits, underscores and dots are allowed")]
    Path(String),
    /// Too many bytes.
    #[error("{0} bytes of values: at most {MAX_BYTES} are allowed")]
    Bytes(usize),
}

impl Applied {
    /// Checks and takes what was applied.
    ///
    /// # Errors
    /// If there is too much of it, or a path is none.
    pub fn new(settings: BTreeMap<String, String>) -> Result<Self, InvalidApplied> {
        if settings.len() > MAX_SETTINGS {
            return Err(InvalidApplied::Count(settings.len()));
        }
        if let Some(path) = settings.keys().find(|path| !is_path(path)) {
            return Err(InvalidApplied::Path(path.chars().take(MAX_PATH).collect()));
        }
        let bytes = settings.values().map(String::len).sum();
        if bytes > MAX_BYTES {
            return Err(InvalidApplied::Bytes(bytes));
        }
        Ok(Self(settings))
    }

    /// By path, the value as JSON.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether nothing was ever applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_path(text: &str) -> bool {
    let ok = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'.';
    !text.is_empty() && text.len() <= MAX_PATH && text.bytes().all(ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Applied, InvalidApplied> {
        Applied::new(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        assert!(of(&[("batch_size", "50"), ("process.env", "{}")]).is_ok());
        assert!(matches!(of(&[("", "1")]), Err(InvalidApplied::Path(_))));
        assert!(matches!(of(&[("batchSize", "1")]), Err(InvalidApplied::Path(_))));
        assert!(matches!(
            of(&[(&"a".repeat(129), "1")]),
            Err(InvalidApplied::Path(_))
        ));
        let large = "x".repeat(MAX_BYTES / 2 + 1);
        assert!(of(&[("a", &large)]).is_ok());
        assert!(matches!(
            of(&[("a", &large), ("b", &large)]),
            Err(InvalidApplied::Bytes(_))
        ));
        let many: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "1")).collect();
        assert!(of(&many[..64]).is_ok());
        assert_eq!(of(&many), Err(InvalidApplied::Count(65)));
    }

    #[test]
    fn it_is_stored_as_a_plain_table() {
        let applied = of(&[("batch_size", "50")]).unwrap();
        let json = serde_json::to_string(&applied).unwrap();
        assert_eq!(json, r#"{"batch_size":"50"}"#);
        assert_eq!(serde_json::from_str::<Applied>(&json).unwrap(), applied);
    }
}
