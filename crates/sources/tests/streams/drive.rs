//! Reads a whole stream as the engine does: shards by lineage, children after their parents, again after errors.

use futures::future::select_all;
use millstream_core::lineage::to_start;
use millstream_ports::{Credit, Gap, Page, SourceError, StreamSource};
use millstream_types::{Position, Record, ShardId, StartPin};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// No test of this kind takes nearly so long; one that hangs ends.
const ENDS_WITHIN: Duration = Duration::from_secs(120);
const CREDIT: Credit = Credit {
    records: 200,
    bytes: 1 << 20,
};

/// What was read, in the order in which it came.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) records: Vec<(ShardId, Record)>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) errors: Vec<SourceError>,
    pub(crate) finished: BTreeSet<ShardId>,
}

impl Read {
    /// The payloads as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |(_, r): &(ShardId, Record)| String::from_utf8(r.data.to_vec()).unwrap();
        self.records.iter().map(text).collect()
    }

    /// The payloads `KEY:N` by key, each with its numbers in the order in which they came.
    pub(crate) fn by_key(&self) -> BTreeMap<String, Vec<usize>> {
        let mut keys: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for text in self.texts() {
            let (key, n) = text.split_once(':').unwrap();
            keys.entry(key.to_owned()).or_default().push(n.parse().unwrap());
        }
        keys
    }
}

/// Reads from `pin` until `enough`, and tells what came.
pub(crate) async fn read(
    source: &Arc<dyn StreamSource>,
    pin: &StartPin,
    enough: impl Fn(&Read) -> bool,
) -> Read {
    let mut read = Read::default();
    let driven = drive(source, pin, &mut read, &enough);
    if tokio::time::timeout(ENDS_WITHIN, driven).await.is_err() {
        panic!(
            "not enough came: {} records, finished {:?}, errors {:?}",
            read.records.len(),
            read.finished,
            read.errors
        );
    }
    read
}

async fn drive(
    source: &Arc<dyn StreamSource>,
    pin: &StartPin,
    read: &mut Read,
    enough: &impl Fn(&Read) -> bool,
) {
    let (tell, mut told) = mpsc::channel(64);
    let mut shards = JoinSet::new();
    let mut started = BTreeSet::new();
    loop {
        match source.shards().await {
            Ok(listed) => {
                for (shard, from) in to_start(&listed, pin, &read.finished, &started) {
                    started.insert(shard.clone());
                    shards.spawn(read_shard(source.clone(), shard, from, tell.clone()));
                }
            }
            Err(error) => read.errors.push(error),
        }
        let changed = source.shards_changed();
        tokio::pin!(changed);
        loop {
            if enough(read) {
                return;
            }
            tokio::select! {
                () = &mut changed => break,
                Some((shard, page)) = told.recv() => if take(read, shard, page) { break },
            }
        }
    }
}

/// True at the end of a shard.
fn take(read: &mut Read, shard: ShardId, page: Result<Page, SourceError>) -> bool {
    match page {
        Ok(page) => {
            read.gaps.extend(page.gap);
            read.records
                .extend(page.records.into_iter().map(|r| (shard.clone(), r)));
            page.end && read.finished.insert(shard)
        }
        Err(error) => {
            read.errors.push(error);
            false
        }
    }
}

/// A shard from start to end; after an error, a new reader from the last record on.
async fn read_shard(
    source: Arc<dyn StreamSource>,
    shard: ShardId,
    mut from: Position,
    tell: mpsc::Sender<(ShardId, Result<Page, SourceError>)>,
) {
    loop {
        let mut reader = source.open(&shard, from).await.unwrap();
        loop {
            let page = reader.next(CREDIT).await;
            let (failed, end, empty) = match &page {
                Ok(page) => {
                    from = page.through.map_or(from, Position::After);
                    (false, page.end, page.records.is_empty())
                }
                Err(_) => (true, false, true),
            };
            if tell.send((shard.clone(), page)).await.is_err() || end {
                return;
            }
            if failed {
                break;
            }
            if empty {
                reader.wait().await;
            }
        }
    }
}

/// Several mappings read at once, each until `enough`.
pub(crate) async fn read_by_several(
    sources: &[Arc<dyn StreamSource>],
    pin: &StartPin,
    enough: impl Fn(&Read) -> bool,
) -> Vec<Read> {
    let all = sources.iter().map(|source| Box::pin(read(source, pin, &enough)));
    let mut running: Vec<_> = all.collect();
    let mut done = Vec::new();
    while !running.is_empty() {
        let (read, _, rest) = select_all(running).await;
        done.push(read);
        running = rest;
    }
    done
}
