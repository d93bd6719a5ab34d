//! Splits and merges: closing shards and opening their children in one write.
//!
//! The parents' intake is closed first, so that the write that ends them is queued behind every record they
//! took; a put that comes too late waits for the new view and goes to a child. If the write fails, what is on
//! disk decides (`stream`), and the parents open again if it is not the split.

use crate::meta::{Closing, ReshardError, StreamMeta};
use crate::sequence::shard_index;
use crate::shard::Refusal;
use crate::stream::{Admin, Stream};
use crate::view::View;
use millstream_ports::StreamError;
use millstream_store::{Batch, DiskFull, Durability};
use millstream_types::ShardId;
use std::sync::Arc;

impl From<ReshardError> for StreamError {
    fn from(e: ReshardError) -> Self {
        Self::Precondition(e.to_string())
    }
}

/// Splits a shard at `at`, or in the middle.
pub(crate) async fn split(stream: &Stream, shard: &ShardId, at: Option<u128>) -> Result<(), StreamError> {
    let admin = stream.admin().await?;
    check_room(stream)?;
    let view = stream.present()?;
    let index = known(stream, &view, shard)?;
    let at = view.meta.split_point(index, at)?;
    view.meta.room_for(2)?;
    let closing = close(stream, &admin, &view, &[index]).await?;
    let new = view.meta.clone().split(index, at, closing[0]);
    commit(stream, &admin, new).await
}

/// Merges two neighbours.
pub(crate) async fn merge(stream: &Stream, shard: &ShardId, adjacent: &ShardId) -> Result<(), StreamError> {
    let admin = stream.admin().await?;
    check_room(stream)?;
    let view = stream.present()?;
    let (a, b) = (known(stream, &view, shard)?, known(stream, &view, adjacent)?);
    view.meta.merged_range(a, b)?;
    view.meta.room_for(1)?;
    let closing = close(stream, &admin, &view, &[a, b]).await?;
    let new = view.meta.clone().merge((a, closing[0]), (b, closing[1]));
    commit(stream, &admin, new).await
}

fn check_room(stream: &Stream) -> Result<(), StreamError> {
    stream
        .host
        .db
        .check_room()
        .map_err(|DiskFull { free, floor }| StreamError::DiskFull { free, floor })
}

/// The index of a shard that exists.
pub(crate) fn known(stream: &Stream, view: &View, shard: &ShardId) -> Result<u32, StreamError> {
    shard_index(shard)
        .filter(|index| view.shard(*index).is_some())
        .ok_or_else(|| StreamError::NoSuchShard {
            stream: stream.name.clone(),
            shard: shard.clone(),
        })
}

/// Closes the intake of these open shards; of all of them, or of none.
async fn close(
    stream: &Stream,
    admin: &Admin<'_>,
    view: &Arc<View>,
    shards: &[u32],
) -> Result<Vec<Closing>, StreamError> {
    let mut closed = Vec::new();
    let at = stream.now();
    for shard in shards.iter().filter_map(|index| view.shard(*index)) {
        let floor = match shard.close_intake() {
            Err(Refusal::Doubtful) => match stream.recover_locked(admin).await {
                Ok(()) => shard.close_intake(),
                Err(e) => return Err(e),
            },
            answer => answer,
        };
        match floor {
            Ok(floor) => closed.push(Closing {
                at,
                end: floor.offset,
                arrival: floor.arrival,
            }),
            Err(_) => {
                undo(stream, admin).await;
                return Err(StreamError::Unavailable(
                    "the shard's last write is not certain yet".into(),
                ));
            }
        }
    }
    Ok(closed)
}

async fn commit(
    stream: &Stream,
    admin: &Admin<'_>,
    new: Result<StreamMeta, ReshardError>,
) -> Result<(), StreamError> {
    match new {
        Ok(new) => stream
            .commit(admin, Batch::new(), new, Durability::Synced)
            .await
            .map(|_| ()),
        Err(e) => {
            undo(stream, admin).await;
            Err(e.into())
        }
    }
}

/// Opens again what was closed for a change that is not made.
async fn undo(stream: &Stream, admin: &Admin<'_>) {
    stream.set_doubt();
    if let Err(e) = stream.recover_locked(admin).await {
        tracing::warn!(stream = %stream.name, error = %e, "the stream recovers with the next put");
    }
}
