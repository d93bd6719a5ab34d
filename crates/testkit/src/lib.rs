//! For tests only: everything that a test replaces in order to own it, and the judges of what came of it.
//!
//! - [`ManualClock`], [`SeededEntropy`], [`Rng`]: time and chance under control;
//! - [`Script`] and [`ScriptedFunction`]: functions that fail as told;
//! - [`MemoryJournal`] and [`MemoryStream`]: the durable parts, which can lose power, lie about a commit, or
//!   lose records to retention. Each is a plain sync state (for simulations) with a port round it;
//! - [`QueueState`] and [`MemoryQueue`]: the same for queues, with SQS's rules; [`MessageFunction`]: a function for
//!   their messages that takes its time;
//! - [`servers`]: servers of others that speak AWS's protocols, for what is tested over a network;
//! - [`Log`], [`QueueLog`] and [`check`]: what happened, and the invariants of `reliability.md` 3.4 over it.
//!   Simulations and the kill loop judge with the same code.

pub mod check;
mod clock;
mod entropy;
mod function;
mod journal;
mod journal_port;
mod lambda;
mod log;
mod messages;
mod queue;
mod queue_log;
mod queue_port;
pub mod servers;
mod stream;
mod stream_port;

pub use clock::ManualClock;
pub use entropy::{Rng, SeededEntropy};
pub use function::{Behaviour, Fault, Rule, Script, ScriptedFunction, raised, report_of, report_of_ids};
pub use journal::{CommitNumber, JournalState, Write};
pub use journal_port::{CommitFault, MemoryJournal};
pub use lambda::NoLambda;
pub use log::{CallResult, Event, Given, Log, Progress};
pub use messages::{MessageCall, MessageFunction, Reply};
pub use queue::{QueueState, StoredMessage, id_of, message_number, receipt_number};
pub use queue_log::{BatchResult, Delivery, QueueEvent, QueueLog};
pub use queue_port::{Asked, EntryTrouble, MemoryQueue, MemoryQueues, ReceiveTrouble};
pub use stream::StreamState;
pub use stream_port::MemoryStream;
