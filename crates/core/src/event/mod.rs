//! The event a function gets, written by hand straight into one buffer.
//!
//! This is the hot path (design, section 4): serde takes four times as long. The layout is that of
//! semantics section 14, and serde is the oracle of the tests.

mod encoded;
mod message;
mod shape;

pub use encoded::EncodedEvent;
pub use message::QueueEventShape;
pub use shape::EventShape;
pub(crate) use shape::{arrival_seconds, role_arn};

/// Most bytes of an event, envelope and window state included: AWS's limit of a synchronous payload
/// (semantics 4.1).
pub const MAX_EVENT_BYTES: usize = 6_291_456;

#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod tests;
