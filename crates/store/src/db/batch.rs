//! What is written together, and under which condition.

use crate::schema::{Key, Range};
use bytes::Bytes;
use std::fmt;

/// One change of one key or range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Put(Vec<u8>, Bytes),
    Delete(Vec<u8>),
    DeleteRange(Range),
}

/// What became of a batch, as its callback sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is written, and can be read.
    Yes,
    /// The write failed: it may turn out to be written after the reopen.
    Maybe,
}

type Callback = Box<dyn FnOnce(Applied) + Send>;

/// Changes that are written all or nothing, in this order.
#[derive(Default)]
pub struct Batch {
    pub(super) ops: Vec<Op>,
    pub(super) bytes: usize,
    pub(super) callbacks: Vec<Callback>,
}

/// What RocksDB adds to an operation in its log, about.
const OP_OVERHEAD: usize = 16;

impl Batch {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: &Key, value: impl Into<Bytes>) -> &mut Self {
        let (key, value) = (key.encode(), value.into());
        self.bytes += key.len() + value.len() + OP_OVERHEAD;
        self.ops.push(Op::Put(key, value));
        self
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, key: &Key) -> &mut Self {
        let key = key.encode();
        self.bytes += key.len() + OP_OVERHEAD;
        self.ops.push(Op::Delete(key));
        self
    }

    /// Removes all keys of `range`, at the price of one operation.
    pub fn delete_range(&mut self, range: Range) -> &mut Self {
        if !range.is_empty() {
            self.bytes += range.from.len() + range.to.len() + OP_OVERHEAD;
            self.ops.push(Op::DeleteRange(range));
        }
        self
    }

    /// Calls `f` on the writer thread once the batch is, or may be, written; not if it certainly is not. It runs
    /// before the answer, in the order of the writes, and also if nobody waits for the answer. `f` must be quick
    /// and must not wait for the database.
    pub fn then(&mut self, f: impl FnOnce(Applied) + Send + 'static) -> &mut Self {
        self.callbacks.push(Box::new(f));
        self
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// About how many bytes it adds to the log.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("ops", &self.ops.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Is(Vec<u8>, Bytes),
    Exists(Vec<u8>),
    Absent(Vec<u8>),
}

/// What must hold for a batch to be written: all of its conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    pub(super) conditions: Vec<Condition>,
    /// Which condition is a token, if one is.
    pub(super) token: Option<(Vec<u8>, Bytes)>,
}

impl Guard {
    /// No condition.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// `key` has exactly this value, **as a token**: its holder's batches build on each other. So once a batch
    /// with this token could not be written (or that is unknown), later ones with it are refused
    /// ([`NotApplied::Fenced`](super::NotApplied::Fenced)) until the key has another value: what was queued
    /// behind the gap must not be written without it.
    #[must_use]
    pub fn token(key: &Key, value: impl Into<Bytes>) -> Self {
        let (key, value) = (key.encode(), value.into());
        Self {
            conditions: vec![Condition::Is(key.clone(), value.clone())],
            token: Some((key, value)),
        }
    }

    /// Also: `key` has exactly this value.
    #[must_use]
    pub fn is(mut self, key: &Key, value: impl Into<Bytes>) -> Self {
        self.conditions.push(Condition::Is(key.encode(), value.into()));
        self
    }

    /// Also: `key` has some value.
    #[must_use]
    pub fn exists(mut self, key: &Key) -> Self {
        self.conditions.push(Condition::Exists(key.encode()));
        self
    }

    /// Also: `key` has no value.
    #[must_use]
    pub fn absent(mut self, key: &Key) -> Self {
        self.conditions.push(Condition::Absent(key.encode()));
        self
    }
}

impl Condition {
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Is(key, _) | Self::Exists(key) | Self::Absent(key) => key,
        }
    }

    /// Whether it holds for a key with this value.
    pub(super) fn holds(&self, value: Option<&[u8]>) -> bool {
        match self {
            Self::Is(_, want) => value == Some(want),
            Self::Exists(_) => value.is_some(),
            Self::Absent(_) => value.is_none(),
        }
    }
}
