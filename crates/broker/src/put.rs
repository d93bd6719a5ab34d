//! Puts: from entries to acknowledged records.
//!
//! Entries are routed by the newest view of the stream, collected per shard, and queued under the shard's lock.
//! A shard that is just being split, merged or recovered refuses; its entries go round again with the next view,
//! so a record lands in the parent before its end or in a child, never after the end. Nothing is acknowledged
//! before the synced write that holds it; if the caller goes away the write goes on and readers see it.

use crate::codec::BatchBuilder;
use crate::hash::of_partition_key;
use crate::limits::{check_entry, check_entry_count, check_put_bytes, entry_bytes};
use crate::meta::Floor;
use crate::sequence::{seq_of, shard_id};
use crate::shard::{Refusal, Shard};
use crate::stream::Stream;
use crate::view::View;
use futures::future::{BoxFuture, join_all};
use millstream_ports::{HashKey, PutEntry, PutError, PutReceipt, StreamError};
use millstream_store::schema::Key;
use millstream_store::{Applied, Batch, DiskFull, Durability, WriteError};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes of all puts that wait for the disk at once; further puts wait to be queued.
const IN_FLIGHT_KIB: usize = 64 * 1024;
/// What a put takes of that besides its bytes, per entry.
const ENTRY_OVERHEAD: usize = 64;
/// How often a put follows a stream that is being resharded under it.
const MAX_ROUNDS: usize = 32;

type Answer = Result<PutReceipt, PutError>;

/// Bounds what all puts of a broker hold in memory.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(IN_FLIGHT_KIB)))
    }

    /// Waits until `bytes` more may be on their way. Given back when the last clone is dropped.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Permit> {
        let kib = bytes.div_ceil(1024).clamp(1, IN_FLIGHT_KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        Arc::clone(&self.0)
            .acquire_many_owned(kib)
            .await
            .ok()
            .map(Arc::new)
    }
}

pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// The entries of one put for one shard.
struct Group {
    shard: Arc<Shard>,
    entries: Vec<usize>,
    batch: BatchBuilder,
}

/// A group whose write is queued.
struct Queued {
    shard: u32,
    entries: Vec<usize>,
    base: u64,
    written: BoxFuture<'static, Result<(), WriteError>>,
}

/// Puts `entries`; one answer each, in their order.
pub(crate) async fn put(
    stream: &Arc<Stream>,
    budget: &Budget,
    entries: &[PutEntry],
) -> Result<Vec<Answer>, StreamError> {
    check_entry_count(entries.len())?;
    let mut answers: Vec<Option<Answer>> = entries.iter().map(|e| check_entry(e).err().map(Err)).collect();
    let waiting: Vec<usize> = (0..entries.len()).filter(|i| answers[*i].is_none()).collect();
    let bytes = waiting.iter().map(|i| entry_bytes(&entries[*i])).sum();
    check_put_bytes(bytes)?;
    stream.present()?;
    match stream.host.db.check_room() {
        Err(DiskFull { free, floor }) => {
            waiting
                .iter()
                .for_each(|i| answers[*i] = Some(Err(PutError::DiskFull { free, floor })));
        }
        Ok(()) => {
            let permit = budget.take(bytes + waiting.len() * ENTRY_OVERHEAD).await;
            put_valid(stream, entries, waiting, permit, &mut answers).await?;
        }
    }
    let missing = || Err(PutError::Unavailable("the put was not carried out".into()));
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(missing))
        .collect())
}

/// Goes round until every entry has an answer.
async fn put_valid(
    stream: &Arc<Stream>,
    entries: &[PutEntry],
    mut waiting: Vec<usize>,
    permit: Option<Permit>,
    answers: &mut [Option<Answer>],
) -> Result<(), StreamError> {
    let mut views = stream.views();
    let mut stored = false;
    for _ in 0..MAX_ROUNDS {
        let view = Arc::clone(&views.borrow_and_update());
        if view.gone && !stored {
            return Err(StreamError::NotFound(stream.name.clone()));
        }
        let (mut queued, mut refused, mut why) = (Vec::new(), Vec::new(), None);
        for group in route(&view, entries, &waiting) {
            match queue(stream, group, permit.clone()) {
                Ok(group) => queued.push(group),
                Err((entries, refusal)) => {
                    refused.extend(entries);
                    why = why.max(Some(refusal));
                }
            }
        }
        stored |= !queued.is_empty();
        settle(queued, answers).await;
        let Some(why) = why.filter(|_| !view.gone) else {
            return Ok(());
        };
        waiting = refused;
        waiting.sort_unstable();
        if why == Refusal::Doubtful || stream.in_doubt() {
            if let Err(e) = stream.recover().await {
                fail(&waiting, answers, &e.to_string());
                return Ok(());
            }
        } else if views.changed().await.is_err() {
            return Ok(());
        }
    }
    fail(&waiting, answers, "the stream is being resharded again and again");
    Ok(())
}

fn fail(waiting: &[usize], answers: &mut [Option<Answer>], why: &str) {
    waiting
        .iter()
        .for_each(|i| answers[*i] = Some(Err(PutError::Unavailable(why.to_owned()))));
}

/// The hash key by which an entry finds its shard.
pub(crate) fn hash_key(entry: &PutEntry) -> u128 {
    match entry.hash_key {
        HashKey::Explicit(key) => key,
        HashKey::OfPartitionKey => of_partition_key(&entry.partition_key),
    }
}

fn route(view: &View, entries: &[PutEntry], waiting: &[usize]) -> impl Iterator<Item = Group> + use<> {
    let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
    for &i in waiting {
        let Some(shard) = view.route(hash_key(&entries[i])) else {
            continue;
        };
        let group = groups.entry(shard.index).or_insert_with(|| Group {
            shard: Arc::clone(shard),
            entries: Vec::new(),
            batch: BatchBuilder::default(),
        });
        group.entries.push(i);
        group.batch.push(&entries[i]);
    }
    groups.into_values()
}

fn queue(
    stream: &Arc<Stream>,
    group: Group,
    permit: Option<Permit>,
) -> Result<Queued, (Vec<usize>, Refusal)> {
    let Group {
        shard,
        entries,
        batch,
    } = group;
    let appended = append(stream, &shard, &batch, permit, |write| {
        stream.host.db.write(write, Durability::Synced)
    });
    match appended {
        Ok((place, written)) => Ok(Queued {
            shard: shard.index,
            entries,
            base: place.offset,
            written,
        }),
        Err(refusal) => Err((entries, refusal)),
    }
}

/// Gives the records their place in the shard and has `write` queue them, as one step under the shard's lock.
/// The shard learns from the writer itself what became of them, whether or not anybody waits.
pub(crate) fn append<T>(
    stream: &Arc<Stream>,
    shard: &Arc<Shard>,
    records: &BatchBuilder,
    permit: Option<Permit>,
    write: impl FnOnce(Batch) -> T,
) -> Result<(Floor, T), Refusal> {
    let id = stream.view().meta.row.id;
    let count = records.count();
    shard.append(count, stream.now(), |place| {
        let mut batch = Batch::new();
        let key = Key::StreamBatch {
            stream: id,
            shard: shard.index,
            base: place.offset,
        };
        batch.put(&key, records.finish(place.offset, place.arrival));
        let end = Floor {
            offset: place.offset + u64::from(count),
            arrival: place.arrival,
        };
        let (shard, doubts) = (Arc::clone(shard), Arc::clone(&stream.host.doubts));
        batch.then(move |applied| {
            match applied {
                Applied::Yes => shard.committed(end),
                Applied::Maybe => {
                    shard.doubt();
                    doubts.notify_one();
                }
            }
            drop(permit);
        });
        write(batch)
    })
}

/// Waits for the disk and turns what it says into answers.
async fn settle(queued: Vec<Queued>, answers: &mut [Option<Answer>]) {
    let written = queued
        .into_iter()
        .map(|q| async move { (q.shard, q.entries, q.base, q.written.await) });
    for (shard, entries, base, result) in join_all(written).await {
        let id = shard_id(shard);
        for (offset, i) in (base..).zip(entries) {
            answers[i] = Some(match &result {
                Ok(()) => Ok(PutReceipt {
                    shard: id.clone(),
                    seq: seq_of(shard, offset),
                }),
                Err(e) => Err(PutError::Unavailable(e.to_string())),
            });
        }
    }
}
