//! Looking at messages without receiving them, in the order in which they were sent.
//!
//! Of a FIFO queue this merges its groups, which takes a look at each of them per page: meant for people, not for
//! programs.

use super::Queue;
use super::held::{Held, Phase};
use super::limits::MAX_PEEK;
use super::load;
use super::message::{Handed, StoredMessage};
use super::state::Lane;
use crate::rows::RowError;
use millstream_ports::{Credit, MessageState, PeekedMessage, QueueError};
use millstream_store::schema::{Key, Range, Table};
use millstream_types::Wall;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// The page of one call, and where the next one starts.
type PeekPage = (Vec<PeekedMessage>, Option<Vec<u8>>);

/// Messages of a page, with their numbers.
type Found = Vec<(u64, StoredMessage)>;

/// A page within its credit.
struct Page {
    found: Found,
    credit: Credit,
    bytes: usize,
}

impl Page {
    fn new(credit: Credit) -> Self {
        Self {
            found: Vec::new(),
            credit,
            bytes: 0,
        }
    }

    /// Adds a message if it fits, and the first one in any case.
    fn push(&mut self, number: u64, message: StoredMessage) -> bool {
        let bytes = self.bytes + message.payload_bytes();
        let fits = self.found.len() < self.credit.records && bytes <= self.credit.bytes;
        if fits || self.found.is_empty() {
            self.bytes = bytes;
            self.found.push((number, message));
            return true;
        }
        false
    }
}

impl Queue {
    /// A page of messages after the one that `after` names.
    pub(crate) async fn peek(
        self: Arc<Self>,
        after: Option<&[u8]>,
        credit: Credit,
    ) -> Result<PeekPage, QueueError> {
        let from = start(after)?;
        if !(1..=MAX_PEEK).contains(&credit.records) {
            return Err(QueueError::Invalid {
                field: "credit",
                value: credit.records.to_string(),
                allowed: format!("1 to {MAX_PEEK}"),
            });
        }
        let looked = tokio::task::spawn_blocking(move || self.look(from, credit)).await;
        looked.map_err(|e| QueueError::Unavailable(e.to_string()))?
    }

    fn look(&self, from: u64, credit: Credit) -> Result<PeekPage, QueueError> {
        drop(self.present()?);
        let found = if self.name.is_fifo() {
            self.look_at_groups(from, credit)
        } else {
            self.look_along(from, credit)
        };
        let (found, more) = found.map_err(|e| QueueError::Unavailable(e.to_string()))?;
        let next = found
            .last()
            .filter(|_| more)
            .map(|(last, _)| (last + 1).to_be_bytes().to_vec());
        let state = self.present()?;
        let now = self.host.clock.now();
        let page = found.into_iter().map(|(number, message)| {
            let held = state.held.get(number);
            let locked = match (&state.lane, &message.head.group) {
                (Lane::Fifo(lane), Some(group)) => lane.is_locked(group),
                _ => false,
            };
            let handed = Handed {
                receipt: "",
                receives: held.map_or(0, |held| held.receives),
                first_received: held.map_or(Wall(0), |held| held.first_received),
            };
            PeekedMessage {
                state: state_of(held, locked, now.mono),
                message: message.to_message(number, self.name.is_fifo(), handed),
            }
        });
        Ok((page.collect(), next))
    }

    /// Below the cursor only what is held is left.
    fn look_along(&self, from: u64, credit: Credit) -> Result<(Found, bool), RowError> {
        let (held, cursor) = {
            let state = self.lock();
            let Lane::Standard(lane) = &state.lane else {
                return Ok((Vec::new(), false));
            };
            let held = state.held.numbers_from(from).take_while(|n| *n < lane.cursor);
            (held.take(credit.records + 1).collect::<Vec<u64>>(), lane.cursor)
        };
        let mut page = Page::new(credit);
        for number in held {
            if let Some(message) = self.read(number, None)?
                && !page.push(number, message)
            {
                return Ok((page.found, true));
            }
        }
        let key = Key::QueueMessage {
            queue: self.id,
            number: from.max(cursor),
        };
        let range = Range::queue(Table::QueueMessage, self.id).starting_at(&key);
        let (rows, more) = load::messages(&self.host.db, &range, (credit.records, credit.bytes))?;
        for (number, message) in rows {
            if let Ok(message) = message
                && !page.push(number, message)
            {
                return Ok((page.found, true));
            }
        }
        Ok((page.found, more))
    }

    /// Always the smallest number of all groups next.
    fn look_at_groups(&self, from: u64, credit: Credit) -> Result<(Found, bool), RowError> {
        let heads = match &self.lock().lane {
            Lane::Fifo(lane) => lane.heads(),
            Lane::Standard(_) => Vec::new(),
        };
        let mut heap = BinaryHeap::with_capacity(heads.len());
        for (head, group) in heads {
            // A group that begins later need not be looked at yet.
            let first = if head >= from {
                Some(head)
            } else {
                self.first_of(&group, from)?
            };
            heap.extend(first.map(|number| Reverse((number, group))));
        }
        let mut page = Page::new(credit);
        while let Some(Reverse((number, group))) = heap.pop() {
            if let Some(message) = self.read(number, Some(&group))?
                && !page.push(number, message)
            {
                return Ok((page.found, true));
            }
            let next = self.first_of(&group, number + 1)?;
            heap.extend(next.map(|number| Reverse((number, group))));
        }
        Ok((page.found, false))
    }

    fn first_of(&self, group: &str, from: u64) -> Result<Option<u64>, RowError> {
        let key = Key::QueueGroupMessage {
            queue: self.id,
            group: group.to_owned(),
            number: from,
        };
        let first = self
            .host
            .db
            .first(&Range::queue_group(self.id, group).starting_at(&key))?;
        Ok(first.and_then(|(key, _)| match Key::decode(&key) {
            Ok(Key::QueueGroupMessage { number, .. }) => Some(number),
            _ => None,
        }))
    }
}

fn start(after: Option<&[u8]>) -> Result<u64, QueueError> {
    let Some(after) = after else { return Ok(0) };
    after
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| QueueError::Invalid {
            field: "page_token",
            value: format!("{after:02x?}"),
            allowed: "the token of an earlier page of this queue".into(),
        })
}

fn state_of(held: Option<&Held>, locked: bool, now: millstream_types::Mono) -> MessageState {
    match held {
        Some(held) if held.until > now && held.phase == Phase::InFlight => {
            MessageState::InFlight(held.until_wall)
        }
        Some(held) if held.until > now && held.phase == Phase::Delayed => {
            MessageState::Delayed(held.until_wall)
        }
        Some(held) if held.phase == Phase::Deleting => MessageState::InFlight(held.until_wall),
        _ if locked => MessageState::Blocked,
        _ => MessageState::Visible,
    }
}
