//! A slot: room for one batch, from the first receive to the last delete.

use super::item::Item;
use super::orders::OrderId;
use crate::event::QueueEventShape;
use millstream_types::{Message, Mono, Now, RequestId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most deletes and changes of visibility, each, that one slot has on their way.
pub(super) const MOST_ORDERS: usize = 10;

/// What a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Free,
    /// Has a receive on its way and no message yet.
    Receiving,
    /// Has messages; its window runs.
    Filling,
    /// Its batch waits for a message group that another slot is about to let go of.
    Gated,
    /// Its batch is with the function.
    Invoking(OrderId),
    /// There was no capacity, or the attempt came to nothing: its batch waits to be sent again.
    Held,
    /// Messages leave it: done, or given back.
    Settling,
}

/// Room for one batch.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) phase: Phase,
    /// Since when.
    pub(super) since: Now,
    /// The batch, in the order of receipt.
    pub(super) items: Vec<Item>,
    /// What was received for this batch and did not fit any more: the next one.
    pub(super) carry: VecDeque<Item>,
    /// Bytes of an event of `items`.
    pub(super) bytes: usize,
    /// When the batch is sent though it is not full.
    pub(super) window_end: Mono,
    /// Receives on their way.
    pub(super) receives: usize,
    /// Messages they may bring.
    pub(super) reserved: usize,
    /// Whether it is not worth another receive before the window ends.
    pub(super) dry: bool,
    /// The id of the batch's invocation.
    pub(super) request_id: Option<RequestId>,
    /// The batch as it was sent, to be sent again.
    pub(super) sent: Option<Arc<[Message]>>,
    /// Throttles in a row.
    pub(super) throttles: u32,
    /// When a held batch is sent again.
    pub(super) not_before: Mono,
    /// Its place among the held ones, and whether it is not to be sent before its time.
    pub(super) hold: Option<(u64, bool)>,
    /// Why it is held.
    pub(super) reason: Option<String>,
    pub(super) settlement: Settlement,
    /// Extensions on their way.
    pub(super) renewals: usize,
    /// When the first message needs one.
    pub(super) renew_at: Option<Mono>,
    /// What the machine's timers hold for it.
    pub(super) timer: Option<Mono>,
}

/// Messages on their way out.
#[derive(Clone, Debug, Default)]
pub(super) struct Settlement {
    pub(super) deletes: VecDeque<Item>,
    pub(super) shows: VecDeque<Item>,
    /// To be tried again.
    pub(super) later: Vec<Item>,
    /// To be shown once the extension on its way is answered, so that it cannot come after.
    pub(super) renewing: Vec<Item>,
    /// Orders on their way.
    pub(super) orders: usize,
}

impl Settlement {
    pub(super) fn is_done(&self) -> bool {
        self.orders == 0 && self.waiting() == 0
    }

    /// Messages that are in no order.
    pub(super) fn waiting(&self) -> usize {
        self.deletes.len() + self.shows.len() + self.later.len() + self.renewing.len()
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.later.iter().map(|i| i.retry_at).min()
    }
}

impl Slot {
    pub(super) fn new(now: Now) -> Self {
        Self {
            phase: Phase::Free,
            since: now,
            items: Vec::new(),
            carry: VecDeque::new(),
            bytes: QueueEventShape::ENVELOPE_LEN,
            window_end: Mono(0),
            receives: 0,
            reserved: 0,
            dry: false,
            request_id: None,
            sent: None,
            throttles: 0,
            not_before: Mono(0),
            hold: None,
            reason: None,
            settlement: Settlement::default(),
            renewals: 0,
            renew_at: None,
            timer: None,
        }
    }

    /// Whether the batch can take a message of so many bytes; a single one always fits.
    pub(super) fn fits(&self, event_len: u32, batch_size: usize, event_bytes: usize) -> bool {
        let with = self.bytes + event_len as usize + 1;
        self.items.is_empty() || (self.items.len() < batch_size && with <= event_bytes)
    }

    /// Adds a message to the batch.
    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.event_len as usize + usize::from(!self.items.is_empty());
        self.items.push(item);
        self.sent = None;
    }

    /// Forgets the batch, not what follows it.
    pub(super) fn clear_batch(&mut self) -> Vec<Item> {
        self.bytes = QueueEventShape::ENVELOPE_LEN;
        self.request_id = None;
        self.sent = None;
        self.throttles = 0;
        self.dry = false;
        self.reason = None;
        std::mem::take(&mut self.items)
    }

    /// What a changed batch is long.
    pub(super) fn recount(&mut self) {
        self.sent = None;
        self.bytes = QueueEventShape::event_len(self.items.iter().map(|i| i.event_len as usize));
    }

    /// The batch to be sent.
    pub(super) fn messages(&mut self) -> Arc<[Message]> {
        let items = &self.items;
        self.sent
            .get_or_insert_with(|| items.iter().map(|i| i.message.clone()).collect())
            .clone()
    }

    /// Messages that wait to be sent, or are with the function.
    pub(super) fn held(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().chain(&self.carry)
    }

    pub(super) fn held_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.items.iter_mut().chain(&mut self.carry)
    }
}
