//! Values: a version byte and postcard. (The catalog is JSON, for people with a RocksDB tool; see `catalog`.)

use crate::db::ReadError;
use crate::schema::{Key, Table};
use bytes::Bytes;
use millstream_ports::JournalError;
use millstream_types::durable::older::{DiscardV1, ShardRecordV1};
use millstream_types::durable::{
    DeliveryState, Discard, LedgerEntry, OutboxEntry, QueueAttempt, ShardRecord,
};
use millstream_types::{Epoch, MappingId, Wall};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value with what follows it, or why there is none.
type Decoded<'a, T> = Result<(T, &'a [u8]), postcard::Error>;

/// What is stored as one value: the version that is written, and the older ones that can be read.
pub trait Stored: Serialize + DeserializeOwned {
    /// The first byte of a value as it is written now.
    const VERSION: u8 = 1;

    /// The value of an older version; none if there never was such a one.
    fn older(_version: u8, _body: &[u8]) -> Option<Decoded<'_, Self>> {
        None
    }
}

impl Stored for Epoch {}
impl Stored for LedgerEntry {}
impl Stored for QueueAttempt {}
impl Stored for OutboxEntry {}
impl Stored for DeliveryState {}
impl Stored for (MappingId, Wall) {}

impl Stored for ShardRecord {
    const VERSION: u8 = 2;

    fn older(version: u8, body: &[u8]) -> Option<Decoded<'_, Self>> {
        (version == 1).then(|| from_older::<ShardRecordV1, Self>(body))
    }
}

impl Stored for Discard {
    const VERSION: u8 = 2;

    fn older(version: u8, body: &[u8]) -> Option<Decoded<'_, Self>> {
        (version == 1).then(|| from_older::<DiscardV1, Self>(body))
    }
}

fn from_older<O: DeserializeOwned, T: From<O>>(body: &[u8]) -> Decoded<'_, T> {
    postcard::take_from_bytes::<O>(body).map(|(old, rest)| (old.into(), rest))
}

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

/// A value as stored, in the newest version of its form.
///
/// # Errors
/// If the type uses a part of serde that postcard does not have: a mistake in the type, not in the value.
pub fn encode<T: Stored>(value: &T) -> Result<Bytes, postcard::Error> {
    with_version(T::VERSION, value)
}

/// The value that was stored under `key`, by this or an earlier release.
///
/// # Errors
/// [`Damaged`] if `bytes` are none, or of a newer version.
pub fn decode<T: Stored>(key: &[u8], bytes: &[u8]) -> Result<T, Damaged> {
    read(key, bytes, T::VERSION, |version, body| {
        if version == T::VERSION {
            Some(postcard::take_from_bytes(body))
        } else {
            T::older(version, body)
        }
    })
}

/// A row of a form that has had one version only.
///
/// # Errors
/// As [`encode`].
pub fn encode_row<T: Serialize>(value: &T) -> Result<Bytes, postcard::Error> {
    with_version(1, value)
}

/// The row that [`encode_row`] made, stored under `key`.
///
/// # Errors
/// As [`decode`].
pub fn decode_row<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, Damaged> {
    read(key, bytes, 1, |version, body| {
        (version == 1).then(|| postcard::take_from_bytes(body))
    })
}

fn with_version<T: Serialize>(version: u8, value: &T) -> Result<Bytes, postcard::Error> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(version);
    postcard::to_extend(value, bytes).map(Bytes::from)
}

fn read<'a, T>(
    key: &[u8],
    bytes: &'a [u8],
    newest: u8,
    decoded: impl FnOnce(u8, &'a [u8]) -> Option<Decoded<'a, T>>,
) -> Result<T, Damaged> {
    let Some((version, body)) = bytes.split_first() else {
        return Err(Damaged::at(key, "empty"));
    };
    match decoded(*version, body) {
        Some(Ok((value, []))) => Ok(value),
        Some(Ok((_, rest))) => Err(Damaged::at(key, format!("{} bytes too many", rest.len()))),
        Some(Err(e)) => Err(Damaged::at(key, e.to_string())),
        None => Err(Damaged::at(
            key,
            format!("value version {version}, this program knows 1 to {newest}"),
        )),
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
