//! The values of guarded keys as they are after every batch accepted so far, written or not.
//!
//! Guards of one group are judged before the group is written, so they must see the batches before them. The
//! values of tokens are kept from group to group: a checkpoint reads nothing from RocksDB.

use super::batch::{Guard, Op};
use super::cell::Cell;
use super::errors::{GuardedError, NotApplied, ReadError};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Most tokens kept; about 100 bytes each.
const MOST_KEPT: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct View {
    known: BTreeMap<Vec<u8>, Known>,
    /// Keys to forget after the group: their values may be large and are asked for once.
    passing: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Known {
    Value(Option<Bytes>),
    Unreadable(String),
}

impl View {
    /// Reads the keys of `guards` that are not known, before anything of their group is accepted.
    pub(super) fn learn<'a>(&mut self, guards: impl Iterator<Item = &'a Guard>, cell: &Cell) {
        if self.known.len() > MOST_KEPT {
            self.forget_all();
        }
        for guard in guards {
            let token = guard.token.as_ref().map(|(key, _)| key.as_slice());
            for key in guard.conditions.iter().map(|condition| condition.key()) {
                if !self.known.contains_key(key) {
                    self.read(key, cell.get(key), token == Some(key));
                }
            }
        }
    }

    fn read(&mut self, key: &[u8], read: Result<Option<Bytes>, ReadError>, keep: bool) {
        let keep = keep && read.is_ok();
        let known = read.map_or_else(|e| Known::Unreadable(e.to_string()), Known::Value);
        self.known.insert(key.to_vec(), known);
        if !keep {
            self.passing.push(key.to_vec());
        }
    }

    /// Judges a guard whose keys were learned.
    pub(super) fn judge(&self, guard: &Guard) -> Result<(), GuardedError> {
        for condition in &guard.conditions {
            let value = match self.known.get(condition.key()) {
                Some(Known::Value(value)) => value.as_deref(),
                Some(Known::Unreadable(why)) => return Err(unchecked(why)),
                None => return Err(unchecked("its key was not read")),
            };
            if !condition.holds(value) {
                return Err(GuardedError::Rejected);
            }
        }
        Ok(())
    }

    /// Takes in an accepted operation.
    pub(super) fn accept(&mut self, op: &Op) {
        match op {
            Op::Put(key, value) => self.set(key, Some(value)),
            Op::Delete(key) => self.set(key, None),
            Op::DeleteRange(range) => {
                for (_, known) in self.known.range_mut(range.from.clone()..range.to.clone()) {
                    *known = Known::Value(None);
                }
            }
        }
    }

    fn set(&mut self, key: &[u8], value: Option<&Bytes>) {
        if let Some(known) = self.known.get_mut(key) {
            *known = Known::Value(value.cloned());
        }
    }

    /// The group is written.
    pub(super) fn group_written(&mut self) {
        for key in self.passing.drain(..) {
            self.known.remove(&key);
        }
    }

    /// Nobody knows any more what is in the database.
    pub(super) fn forget_all(&mut self) {
        self.known.clear();
        self.passing.clear();
    }
}

fn unchecked(why: &str) -> GuardedError {
    GuardedError::NotWritten(NotApplied::Unchecked(why.to_owned()))
}
