//! A message to be sent, as a program writes it.

use bytes::Bytes;
use millstream_ports::SendEntry;
use millstream_types::message::{AttributeValue, MessageAttribute, MessageAttributes};
use std::time::Duration;

/// A message to be sent: made of its text, with what goes beside it. Rules are the queue's to check.
#[derive(Clone, Debug)]
#[must_use = "it is sent by Running::send"]
pub struct NewMessage(SendEntry);

impl NewMessage {
    /// A message of this text, which must be UTF-8.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self(SendEntry {
            body: body.into(),
            attributes: MessageAttributes::new(),
            delay: None,
            group: None,
            deduplication: None,
            trace_header: None,
            trace: None,
        })
    }

    /// Its message group, within which order is kept; required on FIFO queues.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.0.group = Some(group.into());
        self
    }

    /// What it is recognised by when it is sent again within five minutes; FIFO queues only, and required there
    /// unless the queue takes the body for it.
    pub fn deduplication(mut self, id: impl Into<String>) -> Self {
        self.0.deduplication = Some(id.into());
        self
    }

    /// How long it stays hidden, up to 15 minutes in whole seconds; not on FIFO queues.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.0.delay = Some(delay);
        self
    }

    /// A text that goes beside the body.
    pub fn attribute(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let attribute = MessageAttribute {
            data_type: "String".into(),
            value: AttributeValue::Text(value.as_ref().into()),
        };
        self.0.attributes.insert(name.as_ref().into(), attribute);
        self
    }

    pub(crate) fn into_entry(self) -> SendEntry {
        self.0
    }
}

impl From<SendEntry> for NewMessage {
    fn from(entry: SendEntry) -> Self {
        Self(entry)
    }
}

impl From<&'static str> for NewMessage {
    fn from(body: &'static str) -> Self {
        Self::new(body)
    }
}

impl From<String> for NewMessage {
    fn from(body: String) -> Self {
        Self::new(body)
    }
}

impl From<Bytes> for NewMessage {
    fn from(body: Bytes) -> Self {
        Self::new(body)
    }
}
