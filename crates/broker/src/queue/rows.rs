//! How queues lie in the database.

use super::meta::QueueRow;
use crate::rows::RowError;
use millstream_store::schema::{Key, Range, Table};
use millstream_store::{Batch, Db};
use millstream_types::{Namespace, QueueName};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The row of a queue's settings.
pub(crate) fn key(namespace: &Namespace, name: &QueueName) -> Key {
    Key::Queue {
        namespace: namespace.clone(),
        name: name.clone(),
    }
}

pub(crate) fn put(
    batch: &mut Batch,
    (namespace, name): (&Namespace, &QueueName),
    row: &QueueRow,
) -> Result<(), RowError> {
    let json = serde_json::to_vec(row).map_err(|e| damaged(name, &e))?;
    batch.put(&key(namespace, name), json);
    Ok(())
}

/// Removes everything of a queue.
pub(crate) fn delete_all(batch: &mut Batch, (namespace, name): (&Namespace, &QueueName), queue: u64) {
    batch.delete(&key(namespace, name));
    delete_messages(batch, queue, u64::MAX);
    batch
        .delete(&Key::QueueCursor { queue })
        .delete_range(Range::queue(Table::QueueDedup, queue));
}

/// Removes all messages below `number` of a standard queue, and all of a FIFO queue, which has no later ones yet.
pub(crate) fn delete_messages(batch: &mut Batch, queue: u64, number: u64) {
    batch
        .delete_range(Range::queue(Table::QueueMessage, queue).below(&Key::QueueMessage { queue, number }))
        .delete_range(Range::queue(Table::QueueGroupMessage, queue))
        .delete_range(Range::queue(Table::QueueHeld, queue).below(&Key::QueueHeld { queue, number }));
}

/// One queue's settings, if it exists.
pub(crate) fn load(db: &Db, namespace: &Namespace, name: &QueueName) -> Result<Option<QueueRow>, RowError> {
    let value = db.get(&key(namespace, name).encode())?;
    value
        .map(|value| serde_json::from_slice(&value).map_err(|e| damaged(name, &e)))
        .transpose()
}

/// The names of all queues, in order.
pub(crate) fn names(db: &Db) -> Result<Vec<(Namespace, QueueName)>, RowError> {
    let mut found = Vec::new();
    let mut wrong = None;
    db.scan(&Range::table(Table::Queue), |key, _| match Key::decode(key) {
        Ok(Key::Queue { namespace, name }) => {
            found.push((namespace, name));
            ControlFlow::Continue(())
        }
        Ok(_) => ControlFlow::Continue(()),
        Err(e) => {
            wrong = Some(RowError::Damaged {
                what: "the list of queues".into(),
                why: e.to_string(),
            });
            ControlFlow::Break(())
        }
    })?;
    wrong.map_or(Ok(found), Err)
}

/// The id that the next queue gets.
pub(crate) fn next_id(db: &Db) -> Result<u64, RowError> {
    let Some(value) = db.get(&Key::QueueNextId.encode())? else {
        return Ok(1);
    };
    let text = std::str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok());
    text.ok_or_else(|| RowError::Damaged {
        what: "the next queue's id".into(),
        why: format!("'{}' is not a number", String::from_utf8_lossy(&value)),
    })
}

/// Where a message lies.
pub(crate) fn message_key(queue: u64, group: Option<&Arc<str>>, fifo: bool, number: u64) -> Key {
    match group {
        Some(group) if fifo => Key::QueueGroupMessage {
            queue,
            group: group.as_ref().to_owned(),
            number,
        },
        _ => Key::QueueMessage { queue, number },
    }
}

pub(crate) fn damaged(name: &QueueName, e: &dyn std::fmt::Display) -> RowError {
    RowError::Damaged {
        what: format!("queue {name}"),
        why: e.to_string(),
    }
}
