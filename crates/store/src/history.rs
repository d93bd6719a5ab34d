//! The history of attempts, page by page. The journal writes it.

use crate::codec::{StoreError, Stored};
use crate::db::Db;
use crate::rows::{off_runtime, read_rows};
use crate::schema::{Range, Table};
use async_trait::async_trait;
use millstream_ports::{JournalError, LedgerPage, LedgerQuery, LedgerRead};

/// The ledger of one node. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct LedgerStore {
    db: Db,
}

impl LedgerStore {
    /// The ledger in `db`.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl LedgerRead for LedgerStore {
    async fn read(&self, query: LedgerQuery) -> Result<LedgerPage, JournalError> {
        let db = self.db.clone();
        off_runtime(move || {
            let (entries, next) = page(&db, Table::Ledger, &query)?;
            let (attempts, next_attempt) = match entries.is_empty() {
                // A mapping is of a stream or of a queue: it has entries in one of the tables only.
                true => page(&db, Table::QueueLedger, &query)?,
                false => (Vec::new(), None),
            };
            Ok(LedgerPage {
                entries,
                attempts,
                next: next.or(next_attempt),
            })
        })
        .await
    }
}

/// A page of a mapping's entries in one table, and the key of its last one if there are more.
fn page<T: Stored>(
    db: &Db,
    table: Table,
    query: &LedgerQuery,
) -> Result<(Vec<T>, Option<Vec<u8>>), StoreError> {
    let mut range = Range::mapping(table, query.mapping);
    if let Some(mut after) = query.after.clone() {
        // A cursor that is not ours only chooses another start within the mapping.
        after.push(0);
        range.from = range.from.max(after);
    }
    // One more than asked for tells whether there is a next page.
    let limit = query.limit.max(1);
    let mut rows = read_rows(db, &range, limit.saturating_add(1), |row| {
        Ok((row.raw.to_vec(), row.decode()?))
    })?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(key, _)| key.clone());
    Ok((rows.into_iter().map(|(_, entry)| entry).collect(), next))
}
