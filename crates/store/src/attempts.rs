//! The history of queues: attempts without a lease, written as they come.

use crate::codec::{StoreError, encode};
use crate::db::{Batch, Db};
use crate::schema::{Key, Range, Table};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use millstream_ports::{Durability, JournalError};
use millstream_types::MappingId;
use millstream_types::durable::QueueAttempt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The numbers of the entries that each mapping has. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueAttempts {
    numbers: Arc<Mutex<BTreeMap<MappingId, std::ops::Range<u64>>>>,
}

impl QueueAttempts {
    /// Queues the write of `attempts`, and lets the oldest go if there are more than `most` then.
    pub(crate) fn append(
        &self,
        db: &Db,
        mapping: MappingId,
        attempts: &[QueueAttempt],
        most: u64,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        // The lock is held until the batch is queued: the numbers are in the order of the queue.
        let mut all = self.lock();
        let batch = match Self::batch(db, &mut all, mapping, attempts, most) {
            Ok(batch) => batch,
            Err(e) => return ready(Err(e)).boxed(),
        };
        db.write(batch, Durability::Written)
            .map(|answer| answer.map_err(|e| JournalError::Unavailable(e.to_string())))
            .boxed()
    }

    fn batch(
        db: &Db,
        all: &mut BTreeMap<MappingId, std::ops::Range<u64>>,
        mapping: MappingId,
        attempts: &[QueueAttempt],
        most: u64,
    ) -> Result<Batch, JournalError> {
        let mut numbers = match all.get(&mapping) {
            Some(numbers) => numbers.clone(),
            None => stored(db, mapping)?,
        };
        let mut batch = Batch::new();
        for attempt in attempts {
            let value = encode(attempt).map_err(|e| JournalError::Unavailable(e.to_string()))?;
            let number = numbers.end;
            batch.put(&Key::QueueLedger { mapping, number }, value);
            numbers.end += 1;
        }
        if numbers.end - numbers.start > most {
            numbers.start = numbers.end - (most - most / 16);
            let kept = Key::QueueLedger {
                mapping,
                number: numbers.start,
            };
            batch.delete_range(Range::mapping(Table::QueueLedger, mapping).below(&kept));
        }
        all.insert(mapping, numbers);
        Ok(batch)
    }

    /// Removes all entries of a mapping.
    pub(crate) fn forget(&self, mapping: MappingId, batch: &mut Batch) {
        self.lock().remove(&mapping);
        batch.delete_range(Range::mapping(Table::QueueLedger, mapping));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MappingId, std::ops::Range<u64>>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbers of the entries that an earlier process wrote.
fn stored(db: &Db, mapping: MappingId) -> Result<std::ops::Range<u64>, StoreError> {
    let range = Range::mapping(Table::QueueLedger, mapping);
    let number = |row: Option<(bytes::Bytes, bytes::Bytes)>| match row.map(|(key, _)| Key::decode(&key)) {
        Some(Ok(Key::QueueLedger { number, .. })) => Some(number),
        _ => None,
    };
    let (first, last) = (number(db.first(&range)?), number(db.last(&range)?));
    Ok(first.unwrap_or(0)..last.map_or(0, |last| last + 1))
}
