//! What the machine orders, and what it is answered.

use crate::event::QueueEventShape;
use crate::verdict::QueueVerdict;
use millstream_types::durable::QueueAttempt;
use millstream_types::{Message, Receipt, RequestId, Wall};
use std::sync::Arc;
use std::time::Duration;

/// Identifies an order within one machine. Every order is answered once; an answer that the machine does not expect
/// (any more) changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Receive messages.
    Receive(ReceiveOrder),
    /// A receive that still waits for its first message is not wanted any more. If it can be ended without losing
    /// messages to the visibility timeout, end it, and answer it as empty; if not, let it be. It is answered with
    /// [`super::QueueMachine::on_receive`] either way.
    CutShort(OrderId),
    /// Run one attempt.
    Invoke(AttemptOrder),
    /// Delete messages.
    Delete(DeleteOrder),
    /// Change how long messages stay hidden.
    ChangeVisibility(VisibilityOrder),
    /// An attempt to be kept in the history. Nothing waits for it.
    Note(Box<QueueAttempt>),
    /// The machine has stopped; nothing follows, and nothing is in flight.
    Stopped(StopReason),
}

/// Why a machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// As asked; everything is finished or given back.
    Drained,
}

/// Receive once, and answer with [`super::QueueMachine::on_receive`]. Whoever carries it out answers with a
/// [`ReceiveFault`] if the queue has not answered some seconds after `wait`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveOrder {
    /// Its number.
    pub id: OrderId,
    /// Most messages, 1 to 10.
    pub max: usize,
    /// How long to wait for the first one, at most 20 s; less while a window runs.
    pub wait: Duration,
}

/// What a receive brought.
#[derive(Clone, Debug)]
pub struct ReceiveReport {
    /// Its number.
    pub id: OrderId,
    /// Messages in the order in which the queue gave them (see [`Received::measure`]), or why there are none.
    pub result: Result<Vec<Received>, ReceiveFault>,
}

/// A message with the length it has in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// Bytes it takes in an event, exactly, without a comma.
    pub event_len: u32,
    /// What becomes of it instead of being sent, if it matches no filter.
    pub unmatched: Option<Unmatched>,
}

/// What becomes of a message that matches no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unmatched {
    /// It is deleted. While draining it is given back instead: the next filters may match it.
    Deleted,
    /// It is stored elsewhere, and deleted here whatever happens.
    Stored,
    /// It is left alone until its visibility timeout ends. Not of a FIFO queue.
    Left,
}

impl Received {
    /// Measures messages: work for the task that received them, not for the owner of the machine.
    #[must_use]
    pub fn measure(messages: Vec<Message>, shape: &QueueEventShape) -> Vec<Self> {
        let measured = |message| Self {
            event_len: u32::try_from(shape.message_len(&message)).unwrap_or(u32::MAX),
            unmatched: None,
            message,
        };
        messages.into_iter().map(measured).collect()
    }
}

/// Why a receive failed. Either way the machine goes on trying, with growing pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveFault {
    /// The queue cannot be used now; why, for people.
    Unavailable(String),
    /// There is no such queue; for people. Tried less often.
    NoSuchQueue(String),
}

/// Run one attempt, and answer with [`super::QueueMachine::on_attempt`], or with [`super::QueueMachine::on_held`] if it
/// came to nothing.
#[derive(Clone, Debug)]
pub struct AttemptOrder {
    /// Its number.
    pub id: OrderId,
    /// The slot, for people.
    pub slot: u32,
    /// The id of the request; the same when the batch was throttled before.
    pub request_id: RequestId,
    /// The messages; never empty.
    pub messages: Arc<[Message]>,
    /// How long the batch was filled before it is sent for the first time; none if it was held back in between.
    pub waited: Option<Duration>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// Its number.
    pub id: OrderId,
    /// What it means ([`crate::verdict::queue_verdict`]).
    pub verdict: QueueVerdict,
    /// When it was sent.
    pub started: Wall,
}

/// Why an attempt came to nothing, though not for want of capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// It was not let go: the mapping is being paused or removed, or this node may not work. It has not happened.
    NotLetGo,
    /// A fault of ours ended it. Perhaps the function was called; nobody heard the answer.
    Fault,
}

/// Delete, and answer with [`super::QueueMachine::on_delete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOrder {
    /// Its number.
    pub id: OrderId,
    /// 1 to 10.
    pub receipts: Vec<Receipt>,
}

/// Let each message stay hidden for so long from when this is carried out, and answer with
/// [`super::QueueMachine::on_visibility`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityOrder {
    /// Its number.
    pub id: OrderId,
    /// 1 to 10; zero shows a message at once.
    pub entries: Vec<(Receipt, Duration)>,
}

/// What became of one entry of a [`DeleteOrder`] or [`VisibilityOrder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryAnswer {
    /// Done.
    Done,
    /// The receipt is not, or no more, that of a hidden message: trying again is of no use.
    ReceiptInvalid,
    /// It may work later; why, for people. Also what a missing or lost answer counts as.
    Unavailable(String),
}
