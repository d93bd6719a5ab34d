//! Messages that matched no filter and are kept: as a discard, with the event that carries them.

use crate::event::QueueEventShape;
use crate::ids::IdSource;
use millstream_types::durable::{Discard, DiscardCondition};
use millstream_types::{Mapping, Message, ShardId, Wall};

/// A discard of messages of a mapping of a queue; none without messages. `place` stands for the queue where shards do;
/// `seed` must be new every time: the ids come from it.
#[must_use]
pub fn quarantine(
    mapping: &Mapping,
    place: &ShardId,
    messages: &[Message],
    shape: &QueueEventShape,
    seed: u128,
    now: Wall,
) -> Option<Discard> {
    let (first, last) = (messages.first()?, messages.last()?);
    let mut ids = IdSource::new(seed);
    Some(Discard {
        id: ids.discard(now),
        namespace: mapping.namespace.clone(),
        mapping: mapping.id,
        shard: place.clone(),
        condition: DiscardCondition::FilteredOut,
        request_id: ids.request(),
        invoke_count: 0,
        response: None,
        first: None,
        last: None,
        first_arrival: Some(first.system.sent),
        last_arrival: Some(last.system.sent),
        records: messages.len() as u32,
        at: now,
        function_arn: mapping.spec.function.arn(),
        source_arn: mapping.spec.source.as_str().to_owned(),
        payload: shape.encode(messages),
        window: None,
    })
}
