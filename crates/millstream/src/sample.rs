//! Events to try functions with: byte for byte what a function would be given, written by what writes the real ones.

use crate::system::{NoEntropy, SystemClock, SystemEntropy};
use bytes::Bytes;
use millstream_broker::sample;
use millstream_engine::{EventShape, QueueEventShape};
use millstream_ports::{Clock, Entropy, SendEntry, SendError};
use millstream_types::SourceArn;
use millstream_types::arn::SourceKind;

pub use millstream_engine::MAX_EVENT_BYTES;

/// Why there is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// There are no random numbers for the messages' ids.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// A queue would not take a message.
    #[error(transparent)]
    Message(#[from] SendError),
}

/// The event of a batch of a stream: partition keys with data, put just now, from the beginning of its first shard on.
#[must_use]
pub fn stream_event(source: &SourceArn, records: impl IntoIterator<Item = (Bytes, Bytes)>) -> Bytes {
    let now = SystemClock::default().now().wall;
    let numbered = (0..).zip(records);
    let records: Vec<_> = numbered
        .map(|(offset, (key, data))| sample::record(offset, key, data, now))
        .collect();
    let mut event = Vec::new();
    EventShape::of_stream(source, &sample::shard(), None).encode(&records, None, &mut event);
    event.into()
}

/// The event of a batch of a queue: messages sent just now and received for the first time. Whether a mapping with a
/// batching window is meant shows in messages without attributes.
///
/// # Errors
/// [`SampleError`].
pub fn queue_event(
    source: &SourceArn,
    has_window: bool,
    messages: impl IntoIterator<Item = SendEntry>,
) -> Result<Bytes, SampleError> {
    let now = SystemClock::default().now().wall;
    let entropy = SystemEntropy::new()?;
    let fifo = source.kind() == SourceKind::Sqs { fifo: true };
    let numbered = (0..).zip(messages);
    let messages: Vec<_> = numbered
        .map(|(number, entry)| sample::message(entry, fifo, number, entropy.next_u128(), now))
        .collect::<Result<_, _>>()?;
    Ok(QueueEventShape::sqs(source.as_str(), source.region(), has_window).encode(&messages))
}
