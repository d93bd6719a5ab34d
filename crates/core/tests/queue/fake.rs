//! A queue in memory with SQS's rules: visibility, receive counts, receipts, group locks, a dead-letter queue.

use bytes::Bytes;
use millstream_core::queue::EntryAnswer;
use millstream_testkit::Rng;
use millstream_types::message::{FifoAttributes, SystemAttributes};
use millstream_types::{Message, Mono, Receipt, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Stored {
    pub number: u64,
    pub group: Option<Arc<str>>,
    pub body: Bytes,
    pub visible_at: Mono,
    pub receives: u32,
    /// The newest receipt.
    pub receipt: u64,
    pub sent: Wall,
}

#[derive(Clone, Debug)]
pub struct FakeQueue {
    pub fifo: bool,
    pub visibility: Duration,
    pub max_receives: Option<u32>,
    /// Messages neither deleted nor moved away, by number.
    pub messages: BTreeMap<u64, Stored>,
    pub dead_letters: Vec<u64>,
    pub deleted: BTreeSet<u64>,
    next_number: u64,
    next_receipt: u64,
}

impl FakeQueue {
    pub fn new(fifo: bool, visibility: Duration) -> Self {
        Self {
            fifo,
            visibility,
            max_receives: None,
            messages: BTreeMap::new(),
            dead_letters: Vec::new(),
            deleted: BTreeSet::new(),
            next_number: 1,
            next_receipt: 1,
        }
    }

    pub fn send(&mut self, group: Option<&str>, body: &[u8], at: Wall) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let stored = Stored {
            number,
            group: group.map(Arc::from),
            body: Bytes::copy_from_slice(body),
            visible_at: Mono(0),
            receives: 0,
            receipt: 0,
            sent: at,
        };
        self.messages.insert(number, stored);
        number
    }

    /// Up to `max` messages; of a standard queue in any order if there is chance.
    pub fn receive(&mut self, max: usize, now: Mono, wall: Wall, rng: Option<&mut Rng>) -> Vec<Message> {
        self.move_dead_letters(now);
        let locked: BTreeSet<Arc<str>> = self
            .messages
            .values()
            .filter(|m| self.fifo && m.visible_at > now)
            .filter_map(|m| m.group.clone())
            .collect();
        let is_free = |m: &&Stored| {
            m.visible_at <= now && (!self.fifo || m.group.as_ref().is_none_or(|g| !locked.contains(g)))
        };
        let mut ready: Vec<u64> = self.messages.values().filter(is_free).map(|m| m.number).collect();
        if let Some(rng) = rng.filter(|_| !self.fifo) {
            for at in (1..ready.len()).rev() {
                ready.swap(at, rng.index(at + 1));
            }
        }
        ready.truncate(max);
        let taken: Vec<u64> = ready;
        taken.into_iter().map(|n| self.take(n, now, wall)).collect()
    }

    fn take(&mut self, number: u64, now: Mono, wall: Wall) -> Message {
        let (visibility, receipt, fifo) = (self.visibility, self.next_receipt, self.fifo);
        self.next_receipt += 1;
        let m = self.messages.get_mut(&number).unwrap();
        m.visible_at = now.plus(visibility);
        m.receives += 1;
        m.receipt = receipt;
        Message {
            id: format!("m{number}").into(),
            receipt: Receipt(format!("{number}:{receipt}").into()),
            body: m.body.clone(),
            attributes: Arc::default(),
            md5_of_body: "0".into(),
            md5_of_attributes: None,
            system: SystemAttributes {
                receive_count: m.receives,
                sent: m.sent,
                first_received: wall,
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
        }
    }

    fn move_dead_letters(&mut self, now: Mono) {
        let Some(max) = self.max_receives else { return };
        let dead: Vec<u64> = self
            .messages
            .values()
            .filter(|m| m.visible_at <= now && m.receives >= max)
            .map(|m| m.number)
            .collect();
        for number in dead {
            self.messages.remove(&number);
            self.dead_letters.push(number);
        }
    }

    fn named(&mut self, receipt: &Receipt) -> (u64, Option<&mut Stored>) {
        let (number, serial) = receipt.0.split_once(':').unwrap();
        let number: u64 = number.parse().unwrap();
        let serial: u64 = serial.parse().unwrap();
        (
            number,
            self.messages.get_mut(&number).filter(|m| m.receipt == serial),
        )
    }

    pub fn delete(&mut self, receipt: &Receipt, now: Mono) -> EntryAnswer {
        let fifo = self.fifo;
        let (number, stored) = self.named(receipt);
        let valid = stored.is_some_and(|m| !fifo || m.visible_at > now);
        if valid {
            self.messages.remove(&number);
            self.deleted.insert(number);
        }
        if self.deleted.contains(&number) {
            EntryAnswer::Done
        } else {
            EntryAnswer::ReceiptInvalid
        }
    }

    pub fn change(&mut self, receipt: &Receipt, hidden: Duration, now: Mono) -> EntryAnswer {
        match self.named(receipt).1 {
            Some(m) if m.visible_at > now => {
                m.visible_at = now.plus(hidden);
                EntryAnswer::Done
            }
            _ => EntryAnswer::ReceiptInvalid,
        }
    }

    /// When something becomes visible next.
    pub fn next_visible(&self, now: Mono) -> Option<Mono> {
        self.messages
            .values()
            .map(|m| m.visible_at)
            .filter(|at| *at > now)
            .min()
    }
}

/// The number of a message.
pub fn number(message: &Message) -> u64 {
    message.id[1..].parse().unwrap()
}
