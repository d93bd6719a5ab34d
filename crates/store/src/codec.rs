//! Values: a version byte and postcard. (The catalog is JSON, for people with a RocksDB tool; see `catalog`.)

use crate::db::ReadError;
use crate::schema::{Key, Table};
use bytes::Bytes;
use millstream_ports::JournalError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The first byte of every value.
const VERSION: u8 = 1;

/// A stored value that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored data of {table:?} is damaged: {key}: {why}")]
pub struct Damaged {
    /// Which table; none if the key itself is damaged.
    pub table: Option<Table>,
    /// Which key, for people.
    pub key: String,
    /// In which way.
    pub why: String,
}

impl Damaged {
    /// The value of `key` is damaged.
    #[must_use]
    pub fn at(key: &[u8], why: impl Into<String>) -> Self {
        let text = Key::decode(key).map_or_else(|e| e.to_string(), |key| format!("{key:?}"));
        Self {
            table: key.first().and_then(|byte| Table::of(*byte)),
            key: text,
            why: why.into(),
        }
    }
}

/// Why something stored could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read makes no sense.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

impl From<StoreError> for JournalError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Read(e) => Self::Unavailable(e.to_string()),
            StoreError::Damaged(Damaged { key, why, .. }) => Self::Damaged { what: key, why },
        }
    }
}

/// A value as stored.
///
/// # Errors
/// If the type uses a part of serde that postcard does not have: a mistake in the type, not in the value.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, postcard::Error> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(VERSION);
    postcard::to_extend(value, bytes).map(Bytes::from)
}

/// The value that was stored under `key`.
///
/// # Errors
/// [`Damaged`] if `bytes` are none, or of a newer version.
pub fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, Damaged> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(Damaged::at(key, format!("{} bytes too many", rest.len()))),
            Err(e) => Err(Damaged::at(key, e.to_string())),
        },
        Some((version, _)) => Err(Damaged::at(
            key,
            format!("value version {version}, this program knows 1"),
        )),
        None => Err(Damaged::at(key, "empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::Epoch;

    #[test]
    fn a_value_survives() {
        let bytes = encode(&Epoch(7)).unwrap();
        assert_eq!(decode::<Epoch>(&Key::Format.encode(), &bytes), Ok(Epoch(7)));
    }

    #[test]
    fn damage_names_table_and_key() {
        let key = Key::StreamShard { stream: 7, shard: 1 }.encode();
        for (bytes, why) in [
            (&b""[..], "empty"),
            (&b"\x02\x07"[..], "version 2"),
            (&b"\x01"[..], "end"),
            (&b"\x01\x07\x07"[..], "1 bytes too many"),
        ] {
            let e = decode::<Epoch>(&key, bytes).unwrap_err();
            assert_eq!(e.table, Some(Table::StreamShard));
            let text = e.to_string();
            assert!(text.contains("stream: 7") && text.contains(why), "{text}");
        }
    }

    #[test]
    fn a_damaged_key_is_named_by_its_bytes() {
        assert!(Damaged::at(b"\xffabc", "?").to_string().contains("no such table"));
    }
}
