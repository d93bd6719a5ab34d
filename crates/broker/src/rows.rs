//! How streams lie in the database: which rows a change of a stream writes, and how all of them are read.

use crate::meta::{ShardMeta, StreamMeta, StreamRow};
use millstream_store::schema::{Key, Range, Table};
use millstream_store::{Batch, Db, ReadError};
use millstream_types::{Namespace, StreamName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::ControlFlow;

/// Why what is stored of streams cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The database's error.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row is not what this program writes.
    #[error("stored data of {what} is damaged: {why}")]
    Damaged {
        /// Which row.
        what: String,
        /// In which way.
        why: String,
    },
}

/// What is changed in the database to go from `old` to `new`. Without `old` all rows are written.
pub(crate) fn put_changes(
    batch: &mut Batch,
    (namespace, name): (&Namespace, &StreamName),
    old: Option<&StreamMeta>,
    new: &StreamMeta,
) -> Result<(), RowError> {
    let stream = new.row.id;
    if old.is_none_or(|old| old.row != new.row) {
        batch.put(
            &Key::Stream {
                namespace: namespace.clone(),
                name: name.clone(),
            },
            json(name, &new.row)?,
        );
    }
    for shard in &new.shards {
        if old.and_then(|old| old.shard(shard.index)) != Some(shard) {
            batch.put(
                &Key::StreamShard {
                    stream,
                    shard: shard.index,
                },
                json(name, shard)?,
            );
        }
    }
    for shard in old.iter().flat_map(|old| &old.shards) {
        if new.shard(shard.index).is_none() {
            batch.delete(&Key::StreamShard {
                stream,
                shard: shard.index,
            });
        }
    }
    Ok(())
}

/// Removes everything of a stream.
pub(crate) fn delete_all(batch: &mut Batch, (namespace, name): (&Namespace, &StreamName), stream: u64) {
    batch
        .delete(&Key::Stream {
            namespace: namespace.clone(),
            name: name.clone(),
        })
        .delete_range(Range::stream(Table::StreamShard, stream))
        .delete_range(Range::stream(Table::StreamBatch, stream));
}

/// One stream, if it exists.
pub(crate) fn load(
    db: &Db,
    namespace: &Namespace,
    name: &StreamName,
) -> Result<Option<StreamMeta>, RowError> {
    let key = Key::Stream {
        namespace: namespace.clone(),
        name: name.clone(),
    };
    let Some(value) = db.get(&key.encode())? else {
        return Ok(None);
    };
    let row: StreamRow = parse(name, &value)?;
    let mut shards: Vec<ShardMeta> = Vec::new();
    let mut damaged = None;
    db.scan(
        &Range::stream(Table::StreamShard, row.id),
        |_, value| match parse(name, value) {
            Ok(shard) => {
                shards.push(shard);
                ControlFlow::Continue(())
            }
            Err(e) => {
                damaged = Some(e);
                ControlFlow::Break(())
            }
        },
    )?;
    damaged.map_or(Ok(Some(StreamMeta { row, shards })), Err)
}

/// The names of all streams, in order.
pub(crate) fn names(db: &Db) -> Result<Vec<(Namespace, StreamName)>, RowError> {
    let mut found = Vec::new();
    let mut damaged = None;
    db.scan(&Range::table(Table::Stream), |key, _| match Key::decode(key) {
        Ok(Key::Stream { namespace, name }) => {
            found.push((namespace, name));
            ControlFlow::Continue(())
        }
        Ok(_) => ControlFlow::Continue(()),
        Err(e) => {
            damaged = Some(RowError::Damaged {
                what: "the list of streams".into(),
                why: e.to_string(),
            });
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(found), Err)
}

/// The id that the next stream gets.
pub(crate) fn next_id(db: &Db) -> Result<u64, RowError> {
    let Some(value) = db.get(&Key::StreamNextId.encode())? else {
        return Ok(1);
    };
    let text = std::str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok());
    text.ok_or_else(|| RowError::Damaged {
        what: "the next stream's id".into(),
        why: format!("'{}' is not a number", String::from_utf8_lossy(&value)),
    })
}

/// Notes the id that the stream after the one made in `batch` gets.
pub(crate) fn put_next_id(batch: &mut Batch, id: u64) {
    batch.put(&Key::StreamNextId, id.to_string().into_bytes());
}

fn json(name: &StreamName, row: &impl Serialize) -> Result<Vec<u8>, RowError> {
    serde_json::to_vec(row).map_err(|e| damaged(name, &e))
}

fn parse<T: DeserializeOwned>(name: &StreamName, value: &[u8]) -> Result<T, RowError> {
    serde_json::from_slice(value).map_err(|e| damaged(name, &e))
}

fn damaged(name: &StreamName, e: &serde_json::Error) -> RowError {
    RowError::Damaged {
        what: format!("stream {name}"),
        why: e.to_string(),
    }
}
