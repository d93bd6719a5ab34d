//! A queue as it is on disk.
//!
//! Of a standard queue only what is held and one row are read, however deep it is. Of a FIFO queue all messages are
//! looked at once, for the heads of its groups.

use super::dedup::{self, Dedup};
use super::fifo::Fifo;
use super::held::{Held, HeldSet, Phase};
use super::limits::MAX_VISIBILITY;
use super::message::StoredMessage;
use super::meta::{CursorRow, DedupRow, HeldRow, QueueRow};
use super::standard::Standard;
use super::state::{Lane, State};
use super::{Queue, QueueHost};
use crate::rows::RowError;
use bytes::Bytes;
use millstream_store::schema::{Key, Range, Table};
use millstream_store::{Damaged, Db, decode_row};
use millstream_types::queue::MAX_IN_FLIGHT;
use millstream_types::{Namespace, Now, QueueName, SourceArn, Wall};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

impl Queue {
    /// A queue as it is on disk.
    pub(crate) fn load(
        (namespace, name): (Namespace, QueueName),
        host: QueueHost,
        row: QueueRow,
    ) -> Result<Arc<Self>, RowError> {
        let state = load_state(&host.db, &name, row, host.clock.now())?;
        let queue = Arc::new_cyclic(|me| Self {
            arn: SourceArn::local_queue(&name).as_str().into(),
            id: state.row.id,
            namespace,
            name,
            host,
            me: me.clone(),
            state: Mutex::new(state),
            loading: Mutex::new(()),
            admin: tokio::sync::Mutex::new(()),
            arrivals: Notify::new(),
        });
        let mut state = queue.lock();
        state.expire_due(queue.host.clock.now().mono);
        queue.set_alarm(&mut state);
        drop(state);
        Ok(queue)
    }
}

fn load_state(db: &Db, name: &QueueName, row: QueueRow, now: Now) -> Result<State, RowError> {
    let queue = row.id;
    let cursor: Option<CursorRow> = match db.get(&Key::QueueCursor { queue }.encode())? {
        Some(value) => Some(parse(name, &Key::QueueCursor { queue }.encode(), &value)?),
        None => None,
    };
    let cursor = cursor.map_or(0, |cursor| cursor.next);
    let mut held = load_held(db, name, queue, now)?;
    let (lane, next) = if name.is_fifo() {
        load_fifo(db, name, queue, cursor, &mut held)?
    } else {
        load_standard(db, name, queue, cursor, &held)?
    };
    Ok(State {
        dedup: load_dedup(db, name, queue, now.wall)?,
        row,
        gone: false,
        next,
        held,
        lane,
        unsettled: VecDeque::new(),
        doubtful_moves: Vec::new(),
        alarm: None,
    })
}

fn load_held(db: &Db, name: &QueueName, queue: u64, now: Now) -> Result<HeldSet, RowError> {
    let mut held = HeldSet::default();
    each(db, name, &Range::queue(Table::QueueHeld, queue), |key, value| {
        if let Key::QueueHeld { number, .. } = key {
            let row: HeldRow = parse(name, &key.encode(), value)?;
            held.put(number, Held::of_row(row, now, MAX_VISIBILITY));
        }
        Ok(())
    })?;
    Ok(held)
}

fn load_standard(
    db: &Db,
    name: &QueueName,
    queue: u64,
    cursor: u64,
    held: &HeldSet,
) -> Result<(Lane, u64), RowError> {
    let from = Key::QueueMessage {
        queue,
        number: cursor,
    };
    // Below the cursor are only gaps and what is held: the search ends at once.
    let fresh = Range::queue(Table::QueueMessage, queue).starting_at(&from);
    let last = db
        .last(&fresh)?
        .and_then(|(key, _)| number_of(&key))
        .map(|number| number + 1);
    let held_end = held.last().map_or(0, |number| number + 1);
    let next = last.unwrap_or(0).max(cursor).max(held_end);
    // The stored cursor may be behind what was handed out and deleted since.
    let first = db.first(&fresh)?.and_then(|(key, _)| number_of(&key));
    let cursor = first.unwrap_or(next);
    let mut lane = Standard::new(cursor, next);
    let (mut expected, end) = (cursor, held.last().unwrap_or(cursor).min(cursor + MAX_IN_FLIGHT));
    let received = fresh.below(&Key::QueueMessage { queue, number: end });
    each(db, name, &received, |key, _| {
        if let Key::QueueMessage { number, .. } = key {
            (expected..number).for_each(|gap| lane.is_gap(gap));
            expected = number + 1;
        }
        Ok(())
    })?;
    Ok((Lane::Standard(lane), next))
}

fn number_of(key: &[u8]) -> Option<u64> {
    match Key::decode(key) {
        Ok(Key::QueueMessage { number, .. }) => Some(number),
        _ => None,
    }
}

fn load_fifo(
    db: &Db,
    name: &QueueName,
    queue: u64,
    next: u64,
    held: &mut HeldSet,
) -> Result<(Lane, u64), RowError> {
    let (mut fifo, mut next) = (Fifo::default(), next);
    let mut found = std::collections::BTreeSet::new();
    each(
        db,
        name,
        &Range::queue(Table::QueueGroupMessage, queue),
        |key, _| {
            if let Key::QueueGroupMessage { group, number, .. } = key {
                let group: Arc<str> = group.into();
                fifo.commit(&group, number);
                next = next.max(number + 1);
                if held.contains(number) {
                    found.insert(number);
                }
            }
            Ok(())
        },
    )?;
    // What is held of a message that is gone is of no use.
    let lost: Vec<u64> = held
        .iter()
        .map(|(n, _)| n)
        .filter(|n| !found.contains(n))
        .collect();
    for number in lost {
        held.remove(number);
    }
    for (_, one) in held.iter().filter(|(_, one)| one.phase == Phase::InFlight) {
        if let Some(group) = &one.group {
            fifo.taken_off(group);
        }
    }
    fifo.sort_ready();
    Ok((Lane::Fifo(fifo), next))
}

fn load_dedup(db: &Db, name: &QueueName, queue: u64, now: Wall) -> Result<Dedup, RowError> {
    let mut ids = Dedup::default();
    let first = Key::QueueDedup {
        queue,
        minute: dedup::minute(Wall(now.0.saturating_sub(dedup::WINDOW_MILLIS))),
        digest: 0,
    };
    let range = Range::queue(Table::QueueDedup, queue).starting_at(&first);
    each(db, name, &range, |key, value| {
        if let Key::QueueDedup { digest, .. } = key {
            let row: DedupRow = parse(name, &key.encode(), value)?;
            ids.put(digest, row);
        }
        Ok(())
    })?;
    Ok(ids)
}

/// Calls `f` with every row of a range until it fails.
pub(super) fn each(
    db: &Db,
    name: &QueueName,
    range: &Range,
    mut f: impl FnMut(Key, &[u8]) -> Result<(), RowError>,
) -> Result<(), RowError> {
    let mut result = Ok(());
    db.scan(range, |key, value| {
        let key = Key::decode(key).map_err(|e| super::rows::damaged(name, &e));
        result = key.and_then(|key| f(key, value));
        if result.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    result
}

/// Messages as they lie in the database, with their numbers; damaged ones too.
pub(super) type Rows = Vec<(u64, Result<StoredMessage, RowError>)>;

/// Reads at most `most` messages and about `bytes` of a range, but at least one, and tells whether more follow.
pub(super) fn messages(
    db: &Db,
    range: &Range,
    (most, bytes): (usize, usize),
) -> Result<(Rows, bool), RowError> {
    let (mut found, mut size, mut more) = (Vec::new(), 0, false);
    db.scan(range, |key, value| {
        more = !found.is_empty() && (found.len() >= most || size + value.len() > bytes);
        if more {
            return ControlFlow::Break(());
        }
        size += value.len();
        if let Ok(Key::QueueMessage { number, .. } | Key::QueueGroupMessage { number, .. }) = Key::decode(key)
        {
            found.push((number, StoredMessage::decode(&Bytes::copy_from_slice(value))));
        }
        ControlFlow::Continue(())
    })?;
    Ok((found, more))
}

fn parse<T: DeserializeOwned>(name: &QueueName, key: &[u8], value: &[u8]) -> Result<T, RowError> {
    decode_row(key, value).map_err(|e: Damaged| super::rows::damaged(name, &e))
}
