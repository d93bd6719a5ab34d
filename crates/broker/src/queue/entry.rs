//! From what is sent to what is stored.

use super::dedup;
use super::message::{Head, StoredMessage, md5, md5_of_attributes};
use bytes::Bytes;
use millstream_ports::SendEntry;
use millstream_types::arn::LOCAL_ACCOUNT;
use millstream_types::message::MessageAttributes;
use millstream_types::{QueueSpec, Wall};
use std::sync::Arc;
use std::time::Duration;
use uuid::Builder;

/// A message on its way into a queue.
#[derive(Clone, Debug)]
pub(crate) struct NewMessage {
    pub(crate) message: StoredMessage,
    pub(crate) delay: Duration,
    /// Under which it is remembered, for deduplication.
    pub(crate) dedup: Option<u128>,
}

/// What a checked entry becomes in a queue with these settings.
pub(crate) fn new_message(
    entry: SendEntry,
    spec: &QueueSpec,
    fifo: bool,
    random: u128,
    now: Wall,
) -> NewMessage {
    let id = match entry.deduplication {
        Some(id) => Some(id),
        None => fifo.then(|| dedup::of_content(&entry.body)),
    };
    let group = entry.group.as_deref().unwrap_or_default();
    let digest = id
        .as_deref()
        .map(|id| dedup::digest(spec.deduplication_scope, group, id));
    let delay = entry
        .delay
        .unwrap_or_else(|| Duration::from_secs(spec.delay_seconds.into()));
    let head = Head {
        id: random_id(random),
        sent: now,
        sender: LOCAL_ACCOUNT.into(),
        md5_of_body: md5(&entry.body),
        md5_of_attributes: md5_of_attributes(&entry.attributes),
        attributes: Arc::new(entry.attributes),
        group: entry.group.map(Into::into),
        deduplication: id.map(Into::into),
        trace_header: entry.trace_header.map(Into::into),
        dead_letter_source: None,
        trace: entry.trace,
    };
    NewMessage {
        message: StoredMessage {
            head,
            body: entry.body,
        },
        delay,
        dedup: digest,
    }
}

/// A document of our own as a message.
pub(crate) fn of_document(document: Bytes, spec: &QueueSpec, random: u128, now: Wall) -> NewMessage {
    let entry = SendEntry {
        body: document,
        attributes: MessageAttributes::new(),
        delay: None,
        group: None,
        deduplication: None,
        trace_header: None,
        trace: None,
    };
    new_message(entry, spec, false, random, now)
}

fn random_id(random: u128) -> u128 {
    Builder::from_random_bytes(random.to_be_bytes())
        .into_uuid()
        .as_u128()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(body: &str) -> SendEntry {
        SendEntry {
            body: body.to_owned().into(),
            attributes: MessageAttributes::new(),
            delay: None,
            group: None,
            deduplication: None,
            trace_header: None,
            trace: None,
        }
    }

    pub(crate) fn stored(body: &str) -> StoredMessage {
        new_message(entry(body), &QueueSpec::default(), false, 7, Wall(1)).message
    }

    #[test]
    fn the_content_names_a_message_without_a_deduplication_id() {
        let spec = QueueSpec::default();
        let new = |entry| new_message(entry, &spec, true, 7, Wall(1));
        let (plain, same, other) = (new(entry("a")), new(entry("a")), new(entry("b")));
        assert_eq!(plain.dedup, same.dedup);
        assert_ne!(plain.dedup, other.dedup);
        let sha = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        assert_eq!(plain.message.head.deduplication.as_deref(), Some(sha));
        let named = new(SendEntry {
            deduplication: Some("a".into()),
            ..entry("a")
        });
        assert_ne!(named.dedup, plain.dedup);
    }
}
