//! How the fields of a key become bytes and back.

use super::Table;
use std::str::FromStr;
use uuid::Uuid;

/// Bytes that are no key of this schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key of this format: {bytes:02x?} ({why})")]
pub struct InvalidKey {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What is wrong with them.
    pub why: &'static str,
}

/// Builds a key field by field.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(table: Table) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(table as u8);
        Self(bytes)
    }

    /// A zero byte ends it: it sorts before every continuation, as the shorter text does.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    pub(super) fn id(mut self, id: Uuid) -> Self {
        self.0.extend_from_slice(id.as_bytes());
        self
    }

    pub(super) fn u64(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(super) fn u128(mut self, n: u128) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(super) fn u32(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a key apart field by field.
pub(super) struct Reader<'a> {
    table: Table,
    rest: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(whole: &'a [u8]) -> Result<Self, InvalidKey> {
        match whole
            .split_first()
            .and_then(|(&byte, rest)| Some((Table::of(byte)?, rest)))
        {
            Some((table, rest)) => Ok(Self { table, rest, whole }),
            None => Err(InvalidKey {
                bytes: whole.to_vec(),
                why: "no such table",
            }),
        }
    }

    pub(super) fn table(&self) -> Table {
        self.table
    }

    pub(super) fn name<N: FromStr>(&mut self) -> Result<N, InvalidKey> {
        let end = self
            .rest
            .iter()
            .position(|b| *b == 0)
            .ok_or_else(|| self.wrong("a text without an end"))?;
        let name = std::str::from_utf8(&self.rest[..end])
            .ok()
            .and_then(|text| text.parse().ok());
        let name = name.ok_or_else(|| self.wrong("a text that is no such name"))?;
        self.rest = &self.rest[end + 1..];
        Ok(name)
    }

    pub(super) fn id(&mut self) -> Result<Uuid, InvalidKey> {
        self.array().map(Uuid::from_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, InvalidKey> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, InvalidKey> {
        self.array().map(u128::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, InvalidKey> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn end(&self) -> Result<(), InvalidKey> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("too long"))
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], InvalidKey> {
        let (field, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.wrong("too short"))?;
        self.rest = rest;
        Ok(*field)
    }

    pub(super) fn wrong(&self, why: &'static str) -> InvalidKey {
        InvalidKey {
            bytes: self.whole.to_vec(),
            why,
        }
    }
}
