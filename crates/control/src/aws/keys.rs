//! The access keys that requests must be signed with, if any are configured.

use std::collections::BTreeMap;
use std::fmt;

/// Access keys: id and secret. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccessKeys(BTreeMap<String, String>);

/// Why a text holds no access keys. Repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// There is none in it.
    #[error("there is no access key: each stands as ID:SECRET on a line of its own, or between commas")]
    None,
    /// One of them has not the form.
    #[error(
        "access key {0} is not of the form ID:SECRET, with an id of 3 to 128 letters, digits and underscores, and a secret \
         of 8 to 256 visible ASCII characters other than a comma"
    )]
    Form(usize),
    /// One of them has the id of another.
    #[error("access key {0} has the id of another")]
    Twice(usize),
}

impl AccessKeys {
    /// Reads `ID:SECRET`, one a line or between commas; blank lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// The first that is wrong, by its place from 1.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let entries = text
            .split(['\n', ','])
            .map(str::trim)
            .filter(|entry| !entry.is_empty() && !entry.starts_with('#'));
        let mut keys = BTreeMap::new();
        for (i, entry) in entries.enumerate() {
            let form = InvalidKeys::Form(i + 1);
            let (id, secret) = entry.split_once(':').ok_or(form)?;
            let named = id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
            let secret_ok = (8..=256).contains(&secret.len()) && secret.bytes().all(|c| c.is_ascii_graphic());
            if !(3..=128).contains(&id.len()) || !named || !secret_ok {
                return Err(form);
            }
            if keys.insert(id.to_owned(), secret.to_owned()).is_some() {
                return Err(InvalidKeys::Twice(i + 1));
            }
        }
        if keys.is_empty() {
            return Err(InvalidKeys::None);
        }
        Ok(Self(keys))
    }

    /// Whether none are configured: then signatures are not looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret of an id.
    pub(super) fn secret(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} access keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_never_shown() {
        let keys = AccessKeys::parse("# ours\nAKIDONE:secret-one\n\nAKIDTWO:se:cret/two+=\n").unwrap();
        assert_eq!(
            keys,
            AccessKeys::parse("AKIDONE:secret-one, AKIDTWO:se:cret/two+=").unwrap()
        );
        assert_eq!(
            (keys.secret("AKIDTWO"), keys.secret("AKID")),
            (Some("se:cret/two+="), None)
        );
        assert_eq!(format!("{keys:?}"), "2 access keys");
        for (text, expected) in [
            ("", InvalidKeys::None),
            ("# nothing", InvalidKeys::None),
            ("AKIDONE", InvalidKeys::Form(1)),
            ("AKIDONE:short", InvalidKeys::Form(1)),
            ("AKIDONE:secret-one,A K:secret-two", InvalidKeys::Form(2)),
            ("AKIDONE:secret one", InvalidKeys::Form(1)),
            ("AKIDONE:secret-one,AKIDONE:secret-two", InvalidKeys::Twice(2)),
        ] {
            let refused = AccessKeys::parse(text).unwrap_err();
            assert_eq!(refused, expected, "{text}");
            assert!(!refused.to_string().contains("secret-"), "{refused}");
        }
    }
}
