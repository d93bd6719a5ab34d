//! Names that people choose and ids that the system makes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// Why a text is not a valid name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} '{value}' is not valid: {allowed}")]
pub struct InvalidName {
    /// Which kind of name was meant, in words.
    pub kind: &'static str,
    /// The refused text.
    pub value: String,
    /// What is allowed, in words.
    pub allowed: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $allowed:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Checks and takes a ", $kind, ".\n\n# Errors\nIf the text is not ", $allowed, ".")]
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidName> {
                let value = value.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value.into()))
                } else {
                    Err(InvalidName { kind: $kind, value: value.to_owned(), allowed: $allowed })
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> {
                Self::new(s)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(s: String) -> Result<Self, InvalidName> {
                Self::new(s)
            }
        }

        impl From<$name> for String {
            fn from(n: $name) -> String {
                n.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn label(s: &str, max: usize) -> bool {
    let ok = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !s.is_empty() && s.len() <= max && s.bytes().all(ok) && !s.starts_with('-') && !s.ends_with('-')
}

fn word(s: &str, max: usize, extra: &[u8]) -> bool {
    let ok = |c: u8| c.is_ascii_alphanumeric() || extra.contains(&c);
    !s.is_empty() && s.len() <= max && s.bytes().all(ok)
}

name_type!(
    /// Separates same-named things of different teams; part of every stored key.
    Namespace,
    "namespace",
    "1 to 63 lower-case letters, digits and hyphens, not starting or ending with a hyphen",
    |s| label(s, 63)
);
name_type!(
    /// What a user calls a mapping; unique within its namespace. Defaults to the mapping's id.
    MappingName,
    "mapping name",
    "1 to 63 lower-case letters, digits and hyphens, not starting or ending with a hyphen",
    |s| label(s, 63)
);
name_type!(
    /// What a user calls a function (the bare name of semantics section 2).
    FunctionName,
    "function name",
    "1 to 64 letters, digits, hyphens and underscores",
    |s| word(s, 64, b"-_")
);
name_type!(
    /// What a user calls a stream.
    StreamName,
    "stream name",
    "1 to 128 letters, digits, hyphens, underscores and dots",
    |s| word(s, 128, b"-_.") && s != "." && s != ".."
);
name_type!(
    /// What a user calls a queue; the name of a FIFO queue ends with `.fifo`, no other may.
    QueueName,
    "queue name",
    "1 to 80 letters, digits, hyphens and underscores, the last of which may be followed by .fifo within the 80",
    |s| s.len() <= 80 && word(s.strip_suffix(".fifo").unwrap_or(s), 80, b"-_")
);
name_type!(
    /// A source's own name of a shard, e.g. `shardId-000000000000`.
    ShardId,
    "shard id",
    "1 to 128 letters, digits, hyphens, underscores and dots",
    |s| word(s, 128, b"-_.")
);

impl QueueName {
    /// Whether it names a FIFO queue.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(".fifo")
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// An id made of 128 supplied random bits (a version 4 UUID).
            #[must_use]
            pub fn from_random(bits: u128) -> Self {
                Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
            }

            /// An id of exactly these bits.
            #[must_use]
            pub fn from_bits(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, uuid::Error> {
                Uuid::from_str(s).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_type!(
    /// The lasting identity of a mapping (AWS's `UUID`): a mapping made anew under an old name gets a new one.
    MappingId
);
uuid_type!(
    /// The id of an invocation; an unchanged retry keeps it, a split or suffix gets a new one (semantics 7).
    RequestId
);
uuid_type!(
    /// One life of one node: made anew at every start, so that two processes never commit as one.
    Incarnation
);
uuid_type!(
    /// The lasting identity of a discard, by which its delivery is made repeatable.
    DiscardId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for (text, ok) in [
            ("default", true),
            ("a-1", true),
            ("", false),
            ("-a", false),
            ("A", false),
        ] {
            assert_eq!(Namespace::new(text).is_ok(), ok, "{text}");
        }
        for (text, ok) in [("Orders_2", true), ("a.b", false), ("ä", false)] {
            assert_eq!(FunctionName::new(text).is_ok(), ok, "{text}");
        }
        for (text, ok) in [("orders.v1", true), ("..", false), ("a/b", false)] {
            assert_eq!(StreamName::new(text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_value_and_rule() {
        let e = FunctionName::new("no spaces").unwrap_err().to_string();
        assert!(e.contains("'no spaces'") && e.contains("1 to 64"), "{e}");
    }
}
