//! A queue in memory with SQS's rules: visibility, receive counts, receipts that go stale, locked message groups, a
//! dead-letter queue. A plain sync state for simulations; [`crate::MemoryQueue`] is the port round it.

use crate::entropy::Rng;
use crate::queue_log::{Delivery, QueueEvent};
use bytes::Bytes;
use millstream_ports::{EntryError, QueueDepth};
use millstream_types::message::{FifoAttributes, SystemAttributes};
use millstream_types::queue::MAX_VISIBILITY_SECONDS;
use millstream_types::{Message, Mono, Now, Receipt, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A message in a [`QueueState`].
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its number: from 1, in the order of sending; also its sequence number in a FIFO queue.
    pub number: u64,
    /// Its message group, if it was sent with one.
    pub group: Option<Arc<str>>,
    /// The text.
    pub body: Bytes,
    /// When it can be received.
    pub visible_at: Mono,
    /// How often it was received.
    pub receives: u32,
    /// When it was sent.
    pub sent: Wall,
    /// When it was received first.
    first_received: Option<Wall>,
    /// When it was received last: no visibility timeout ends later than 12 hours after it.
    received: Mono,
    /// The number of its newest receipt.
    receipt: u64,
}

/// A queue's messages and settings.
#[derive(Clone, Debug)]
pub struct QueueState {
    fifo: bool,
    visibility: Duration,
    max_receives: Option<u32>,
    messages: BTreeMap<u64, StoredMessage>,
    dead_letters: Vec<u64>,
    deleted: BTreeSet<u64>,
    last_number: u64,
    last_receipt: u64,
    news: Vec<QueueEvent>,
}

impl QueueState {
    /// An empty queue whose received messages stay hidden for `visibility`.
    #[must_use]
    pub fn new(fifo: bool, visibility: Duration) -> Self {
        Self {
            fifo,
            visibility,
            max_receives: None,
            messages: BTreeMap::new(),
            dead_letters: Vec::new(),
            deleted: BTreeSet::new(),
            last_number: 0,
            last_receipt: 0,
            news: Vec::new(),
        }
    }

    /// Whether it is a FIFO queue.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.fifo
    }

    /// How long received messages stay hidden.
    #[must_use]
    pub fn visibility(&self) -> Duration {
        self.visibility
    }

    /// Changes how long messages received from now on stay hidden.
    pub fn set_visibility(&mut self, visibility: Duration) {
        self.visibility = visibility;
    }

    /// A message goes to the dead-letter queue when it would be received once more than this.
    #[must_use]
    pub fn max_receives(&self) -> Option<u32> {
        self.max_receives
    }

    /// Changes the redrive policy.
    pub fn set_max_receives(&mut self, max_receives: Option<u32>) {
        self.max_receives = max_receives;
    }

    /// Sends a message; its number.
    pub fn send(&mut self, group: Option<&str>, body: &[u8], at: Wall) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let group: Option<Arc<str>> = group.map(Arc::from);
        self.news.push(QueueEvent::Sent {
            message: id_of(number),
            group: group.clone().filter(|_| self.fifo),
        });
        let stored = StoredMessage {
            number,
            group,
            body: Bytes::copy_from_slice(body),
            visible_at: Mono(0),
            receives: 0,
            sent: at,
            first_received: None,
            received: Mono(0),
            receipt: 0,
        };
        self.messages.insert(number, stored);
        number
    }

    /// Up to `max` messages that are visible. Of a FIFO queue the oldest, none of a group of which one is hidden; of a
    /// standard queue in any order, if there is `chance`.
    pub fn receive(&mut self, max: usize, now: Now, chance: Option<&mut Rng>) -> Vec<Message> {
        self.move_dead_letters(now.mono);
        let mut ready = self.ready(now.mono, if chance.is_some() { usize::MAX } else { max });
        if let Some(rng) = chance.filter(|_| !self.fifo) {
            for at in (1..ready.len()).rev() {
                ready.swap(at, rng.index(at + 1));
            }
        }
        ready.truncate(max);
        ready.into_iter().filter_map(|n| self.hand_out(n, now)).collect()
    }

    fn ready(&self, now: Mono, most: usize) -> Vec<u64> {
        let hidden = self.messages.values().filter(|m| m.visible_at > now);
        let locked: BTreeSet<&str> = match self.fifo {
            true => hidden.filter_map(|m| m.group.as_deref()).collect(),
            false => BTreeSet::new(),
        };
        let is_free = |m: &&StoredMessage| {
            m.visible_at <= now && m.group.as_deref().is_none_or(|g| !locked.contains(g))
        };
        let free = self.messages.values().filter(is_free);
        free.take(most).map(|m| m.number).collect()
    }

    /// Hands a message out whatever its state, as a standard queue may do now and then.
    pub fn hand_out(&mut self, number: u64, now: Now) -> Option<Message> {
        let (until, fifo) = (now.mono.plus(self.visibility), self.fifo);
        let m = self.messages.get_mut(&number)?;
        self.last_receipt += 1;
        m.visible_at = until;
        m.received = now.mono;
        m.receives += 1;
        m.receipt = self.last_receipt;
        Some(Message {
            id: id_of(number),
            receipt: Receipt(format!("{number}:{}", m.receipt).into()),
            body: m.body.clone(),
            attributes: Arc::default(),
            md5_of_body: "0".into(),
            md5_of_attributes: None,
            system: SystemAttributes {
                receive_count: m.receives,
                sent: m.sent,
                first_received: *m.first_received.get_or_insert(now.wall),
                sender: "me".into(),
                trace_header: None,
                dead_letter_source: None,
                group: m.group.clone(),
                fifo: fifo.then(|| FifoAttributes {
                    sequence: number.to_string().into(),
                    deduplication: number.to_string().into(),
                }),
            },
            trace: None,
        })
    }

    fn move_dead_letters(&mut self, now: Mono) {
        let Some(max) = self.max_receives else { return };
        let is_dead = |m: &&StoredMessage| m.visible_at <= now && m.receives >= max;
        let dead: Vec<u64> = self.messages.values().filter(is_dead).map(|m| m.number).collect();
        for number in dead {
            if let Some(m) = self.messages.remove(&number) {
                self.dead_letters.push(number);
                self.news.push(QueueEvent::DeadLettered {
                    message: id_of(number),
                    receives: Some(m.receives),
                });
            }
        }
    }

    fn named(&mut self, receipt: &Receipt) -> (u64, Option<&mut StoredMessage>) {
        let parts = receipt.0.split_once(':');
        let (number, serial) =
            parts.map_or((0, 0), |(n, s)| (n.parse().unwrap_or(0), s.parse().unwrap_or(0)));
        let newest = self.messages.get_mut(&number).filter(|m| m.receipt == serial);
        (number, newest)
    }

    /// Deletes a message by its newest receipt; of a FIFO queue only while it is hidden. What is deleted already is
    /// deleted again without an error.
    ///
    /// # Errors
    /// [`EntryError::Receipt`].
    pub fn delete(&mut self, receipt: &Receipt, now: Mono) -> Result<(), EntryError> {
        let fifo = self.fifo;
        let (number, stored) = self.named(receipt);
        let valid = stored.filter(|m| !fifo || m.visible_at > now).map(|m| m.receives);
        if let Some(receives) = valid {
            self.messages.remove(&number);
            self.deleted.insert(number);
            self.news.push(QueueEvent::Deleted(Delivery {
                message: id_of(number),
                receives,
            }));
        }
        match self.deleted.contains(&number) {
            true => Ok(()),
            false => Err(stale(receipt)),
        }
    }

    /// Lets a hidden message stay hidden for so long from now.
    ///
    /// # Errors
    /// [`EntryError::Receipt`], also if it would be hidden for more than 12 hours since its receipt.
    pub fn change_visibility(
        &mut self,
        receipt: &Receipt,
        hidden: Duration,
        now: Mono,
    ) -> Result<(), EntryError> {
        let longest = Duration::from_secs(MAX_VISIBILITY_SECONDS.into());
        let until = now.plus(hidden);
        match self.named(receipt).1 {
            Some(m) if m.visible_at > now && until <= m.received.plus(longest) => {
                m.visible_at = until;
                Ok(())
            }
            _ => Err(stale(receipt)),
        }
    }

    /// When something becomes visible next.
    #[must_use]
    pub fn next_visible(&self, now: Mono) -> Option<Mono> {
        let times = self.messages.values().map(|m| m.visible_at);
        times.filter(|at| *at > now).min()
    }

    /// How much is in it.
    #[must_use]
    pub fn depth(&self, now: Now) -> QueueDepth {
        let visible = self
            .messages
            .values()
            .filter(|m| m.visible_at <= now.mono)
            .count() as u64;
        QueueDepth {
            visible,
            in_flight: self.messages.len() as u64 - visible,
            delayed: 0,
            oldest: self.messages.values().map(|m| now.wall.since(m.sent)).max(),
        }
    }

    /// Messages that are neither deleted nor dead letters, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &StoredMessage> {
        self.messages.values()
    }

    /// One of those.
    #[must_use]
    pub fn message(&self, number: u64) -> Option<&StoredMessage> {
        self.messages.get(&number)
    }

    /// Whether nothing is left in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Messages that were deleted, by number.
    #[must_use]
    pub fn deleted(&self) -> &BTreeSet<u64> {
        &self.deleted
    }

    /// Messages that were received too often, in the order in which they left.
    #[must_use]
    pub fn dead_letters(&self) -> &[u64] {
        &self.dead_letters
    }

    /// What happened since the last call.
    pub fn news(&mut self) -> Vec<QueueEvent> {
        std::mem::take(&mut self.news)
    }
}

/// The number of a message of a [`QueueState`]; 0 of any other.
#[must_use]
pub fn message_number(message: &Message) -> u64 {
    message
        .id
        .strip_prefix('m')
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// The number of the message that a receipt of a [`QueueState`] is of; 0 of any other.
#[must_use]
pub fn receipt_number(receipt: &Receipt) -> u64 {
    let number = receipt.0.split_once(':').map(|(number, _)| number);
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The id of the message of this number.
#[must_use]
pub fn id_of(number: u64) -> Arc<str> {
    format!("m{number}").into()
}

fn stale(receipt: &Receipt) -> EntryError {
    EntryError::Receipt(format!("{} is not the receipt of a hidden message", receipt.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Now {
        Now {
            wall: Wall(seconds * 1_000),
            mono: Mono(seconds * 1_000_000_000),
        }
    }

    fn numbers(messages: &[Message]) -> Vec<u64> {
        messages.iter().map(message_number).collect()
    }

    fn filled(fifo: bool, groups: &[&str]) -> QueueState {
        let mut queue = QueueState::new(fifo, HIDDEN);
        for group in groups {
            queue.send(Some(group), b"x", Wall(0));
        }
        queue
    }

    #[test]
    fn a_message_is_hidden_and_comes_back_with_a_new_receipt() {
        let mut queue = filled(false, &["-"]);
        let first = queue.receive(10, at(0), None);
        assert!(queue.receive(10, at(29), None).is_empty());
        assert_eq!(queue.next_visible(at(0).mono), Some(at(30).mono));
        let second = queue.receive(10, at(30), None);
        assert_eq!((second[0].system.receive_count, numbers(&second)), (2, vec![1]));
        assert!(queue.delete(&first[0].receipt, at(31).mono).is_err(), "stale");
        assert!(
            queue.delete(&second[0].receipt, at(99).mono).is_ok(),
            "late, but the newest"
        );
        assert!(queue.delete(&second[0].receipt, at(99).mono).is_ok(), "again");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_group_is_locked_while_one_of_it_is_hidden() {
        let mut queue = filled(true, &["a", "b", "a"]);
        let first = queue.receive(1, at(0), None);
        assert_eq!(numbers(&queue.receive(10, at(1), None)), [2]);
        queue.delete(&first[0].receipt, at(2).mono).unwrap();
        assert_eq!(numbers(&queue.receive(10, at(3), None)), [3]);
        assert_eq!(numbers(&queue.receive(10, at(33), None)), [2, 3]);
    }

    #[test]
    fn of_a_fifo_queue_nothing_visible_is_deleted() {
        let mut queue = filled(true, &["a"]);
        let got = queue.receive(1, at(0), None);
        assert!(queue.delete(&got[0].receipt, at(30).mono).is_err());
        assert!(
            queue
                .change_visibility(&got[0].receipt, HIDDEN, at(30).mono)
                .is_err()
        );
    }

    #[test]
    fn visibility_is_changed_while_hidden_and_for_twelve_hours_at_most() {
        let mut queue = filled(false, &["-"]);
        let receipt = queue.receive(1, at(0), None)[0].receipt.clone();
        let half_a_day = Duration::from_secs(43_200);
        assert!(queue.change_visibility(&receipt, half_a_day, at(1).mono).is_err());
        queue
            .change_visibility(&receipt, half_a_day - HIDDEN, at(20).mono)
            .unwrap();
        assert!(queue.receive(1, at(1_000), None).is_empty());
        queue
            .change_visibility(&receipt, Duration::ZERO, at(1_000).mono)
            .unwrap();
        assert_eq!(queue.depth(at(1_000)).visible, 1);
        assert!(
            queue.change_visibility(&receipt, HIDDEN, at(1_000).mono).is_err(),
            "visible"
        );
    }

    #[test]
    fn what_was_received_too_often_goes_to_the_dead_letters() {
        let mut queue = filled(false, &["-", "-"]);
        queue.set_max_receives(Some(2));
        for round in 0..4 {
            queue.receive(1, at(round * 30), None);
        }
        assert_eq!(queue.dead_letters(), [1]);
        assert_eq!(queue.message(2).unwrap().receives, 2);
        queue.receive(1, at(200), None);
        assert_eq!(queue.dead_letters(), [1, 2]);
    }
}
