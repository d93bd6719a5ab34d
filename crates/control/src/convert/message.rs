//! Messages of queues: what is sent and asked for in, what is received and answered out.

use super::{small, timestamp, trace};
use crate::refusal::{Refusal, Refusals};
use bytes::Bytes;
use millstream_api::v1;
use millstream_ports::{
    EntryError, MAX_ENTRIES, MAX_WAIT, MessageState, PeekedMessage, ReceiveOptions, SendEntry, SendError,
    SendReceipt,
};
use millstream_telemetry::origin::TRACEPARENT;
use millstream_types::message::{AttributeValue, MessageAttribute};
use millstream_types::queue::MAX_VISIBILITY_SECONDS;
use millstream_types::{Message, Receipt, Wall};
use std::sync::Arc;
use std::time::Duration;
use v1::message_attribute::Value;

/// Checks how many entries a request has.
fn counted<T>(field: &str, entries: &[T]) -> Result<(), Refusal> {
    if (1..=MAX_ENTRIES).contains(&entries.len()) {
        return Ok(());
    }
    let found = format!("{} entries", entries.len());
    Err(Refusal::new(field, found, format!("1 to {MAX_ENTRIES} entries")))
}

/// The messages of a send. One that cannot be read refuses the whole request; rules about bodies, attributes and
/// ids are the broker's, per message.
pub(crate) fn entries(messages: Vec<v1::SendMessagesEntry>) -> Result<Vec<SendEntry>, Refusals> {
    let mut refusals = Refusals::default();
    if refusals.take(counted("messages", &messages)).is_none() {
        return Err(refusals);
    }
    let read = messages.into_iter().enumerate();
    let entries: Vec<_> = read
        .filter_map(|(i, m)| entry(&format!("messages[{i}]"), m, &mut refusals))
        .collect();
    if refusals.is_empty() {
        Ok(entries)
    } else {
        Err(refusals)
    }
}

fn entry(at: &str, m: v1::SendMessagesEntry, refusals: &mut Refusals) -> Option<SendEntry> {
    let delay = m.delay_seconds.map(|n| delay(at, n)).transpose();
    let trace = trace::read(&format!("{at}.trace_context"), m.trace_context.as_ref());
    let (delay, trace) = (refusals.take(delay), refusals.take(trace));
    let mut attributes = std::collections::BTreeMap::new();
    for (name, a) in m.attributes {
        let read = attribute(&format!("{at}.attributes[{name:.64}]"), a);
        attributes.insert(Arc::from(name), refusals.take(read)?);
    }
    Some(SendEntry {
        body: Bytes::from(m.body),
        attributes,
        delay: delay?,
        group: some(m.message_group_id),
        deduplication: some(m.message_deduplication_id),
        trace_header: some(m.aws_trace_header),
        trace: trace?,
    })
}

/// Whether a message brings a trace of its own, in any of its forms.
pub(crate) fn has_trace(entry: &SendEntry) -> bool {
    entry.trace.is_some() || entry.trace_header.is_some() || entry.attributes.contains_key(TRACEPARENT)
}

/// Longer than 15 minutes is the message's own fault, which the broker tells.
fn delay(at: &str, n: i32) -> Result<Duration, Refusal> {
    let refused = |_| Refusal::new(format!("{at}.delay_seconds"), n, "0 to 900 seconds");
    u64::try_from(n).map(Duration::from_secs).map_err(refused)
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn attribute(at: &str, a: v1::MessageAttribute) -> Result<MessageAttribute, Refusal> {
    let value = match a.value {
        Some(Value::StringValue(text)) => AttributeValue::Text(text.into()),
        Some(Value::BinaryValue(bytes)) => AttributeValue::Binary(bytes),
        None => return Err(Refusal::missing(at, "string_value or binary_value")),
    };
    Ok(MessageAttribute {
        data_type: a.data_type.into(),
        value,
    })
}

fn seconds(field: &str, n: i32, most: u32) -> Result<Duration, Refusal> {
    let valid = u32::try_from(n).ok().filter(|n| *n <= most);
    valid
        .map(|n| Duration::from_secs(n.into()))
        .ok_or_else(|| Refusal::new(field, n, format!("0 to {most} seconds")))
}

/// What became of the messages of a send.
pub(crate) fn send_response(results: Vec<Result<SendReceipt, SendError>>) -> v1::SendMessagesResponse {
    let failed = results.iter().filter(|r| r.is_err()).count();
    let results = results.into_iter().map(|result| match result {
        Ok(receipt) => v1::SendMessagesResult {
            message_id: receipt.id.to_string(),
            md5_of_body: receipt.md5_of_body.to_string(),
            md5_of_attributes: text(receipt.md5_of_attributes.as_ref()),
            sequence_number: text(receipt.sequence.as_ref()),
            ..v1::SendMessagesResult::default()
        },
        Err(e) => {
            let code = match &e {
                SendError::Invalid { .. } => "INVALID_MESSAGE",
                SendError::DiskFull { .. } => "DISK_FULL",
                SendError::Unavailable(_) => "UNAVAILABLE",
            };
            v1::SendMessagesResult {
                error_code: code.to_owned(),
                error_message: e.to_string(),
                ..v1::SendMessagesResult::default()
            }
        }
    });
    v1::SendMessagesResponse {
        failed_message_count: i32::try_from(failed).unwrap_or(i32::MAX),
        results: results.collect(),
    }
}

fn text(text: Option<&Arc<str>>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// How a receive is asked for; bytes are not the caller's to choose.
pub(crate) fn receive(r: &v1::ReceiveMessagesRequest, refusals: &mut Refusals) -> ReceiveOptions {
    let max = match usize::try_from(r.max_messages) {
        Ok(0) => Some(1),
        Ok(n) if n <= MAX_ENTRIES => Some(n),
        _ => None,
    };
    let refused = || Refusal::new("max_messages", r.max_messages, "1 to 10, or 0 for 1");
    let most_wait = u32::try_from(MAX_WAIT.as_secs()).unwrap_or(u32::MAX);
    let mut length = |field, value: Option<i32>, most| {
        let read = value.map(|n| seconds(field, n, most)).transpose();
        refusals.take(read).flatten()
    };
    ReceiveOptions {
        wait: length("wait_time_seconds", r.wait_time_seconds, most_wait),
        visibility: length(
            "visibility_timeout_seconds",
            r.visibility_timeout_seconds,
            MAX_VISIBILITY_SECONDS,
        ),
        max: refusals.take(max.ok_or_else(refused)).unwrap_or(1),
        max_bytes: None,
    }
}

/// The receipts of a delete.
pub(crate) fn receipts(handles: Vec<String>) -> Result<Vec<Receipt>, Refusal> {
    counted("receipt_handles", &handles)?;
    Ok(handles.into_iter().map(|h| Receipt(h.into())).collect())
}

/// The entries of a change of visibility.
pub(crate) fn visibilities(
    entries: Vec<v1::ChangeMessageVisibilityEntry>,
) -> Result<Vec<(Receipt, Duration)>, Refusals> {
    let mut refusals = Refusals::default();
    refusals.take(counted("entries", &entries));
    let read = entries.into_iter().enumerate().filter_map(|(i, e)| {
        let field = format!("entries[{i}].visibility_timeout_seconds");
        let hidden = refusals.take(seconds(
            &field,
            e.visibility_timeout_seconds,
            MAX_VISIBILITY_SECONDS,
        ))?;
        Some((Receipt(e.receipt_handle.into()), hidden))
    });
    let read = read.collect();
    if refusals.is_empty() {
        Ok(read)
    } else {
        Err(refusals)
    }
}

/// What became of the entries of a delete or a change of visibility.
pub(crate) fn results(results: Vec<Result<(), EntryError>>) -> Vec<v1::MessageResult> {
    let one = |result| match result {
        Ok(()) => v1::MessageResult::default(),
        Err(e) => {
            let code = match &e {
                EntryError::Receipt(_) => "INVALID_RECEIPT",
                EntryError::Unavailable(_) => "UNAVAILABLE",
            };
            v1::MessageResult {
                error_code: code.to_owned(),
                error_message: e.to_string(),
            }
        }
    };
    results.into_iter().map(one).collect()
}

/// A message that was received.
pub(crate) fn to_api(m: &Message) -> v1::QueueMessage {
    let s = &m.system;
    v1::QueueMessage {
        message_id: m.id.to_string(),
        receipt_handle: m.receipt.0.to_string(),
        // Bodies are UTF-8: they came as text, or were checked when they were sent.
        body: String::from_utf8_lossy(&m.body).into_owned(),
        attributes: m
            .attributes
            .iter()
            .map(|(name, a)| (name.to_string(), attribute_to_api(a)))
            .collect(),
        md5_of_body: m.md5_of_body.to_string(),
        md5_of_attributes: text(m.md5_of_attributes.as_ref()),
        receive_count: small(s.receive_count),
        send_time: Some(timestamp(s.sent)),
        first_receive_time: (s.receive_count > 0).then(|| timestamp(s.first_received)),
        message_group_id: text(s.group.as_ref()),
        message_deduplication_id: text(s.fifo.as_ref().map(|f| &f.deduplication)),
        sequence_number: text(s.fifo.as_ref().map(|f| &f.sequence)),
        aws_trace_header: text(s.trace_header.as_ref()),
        dead_letter_source_arn: text(s.dead_letter_source.as_ref()),
        trace_context: trace::to_api(m.trace.as_ref()),
        state: v1::MessageState::Unspecified.into(),
        visible_time: None,
    }
}

fn attribute_to_api(a: &MessageAttribute) -> v1::MessageAttribute {
    v1::MessageAttribute {
        data_type: a.data_type.to_string(),
        value: Some(match &a.value {
            AttributeValue::Text(text) => Value::StringValue(text.to_string()),
            AttributeValue::Binary(bytes) => Value::BinaryValue(bytes.clone()),
        }),
    }
}

/// A message as it lies in its queue.
pub(crate) fn peeked_to_api(p: &PeekedMessage) -> v1::QueueMessage {
    let (state, until): (_, Option<Wall>) = match p.state {
        MessageState::Visible => (v1::MessageState::Visible, None),
        MessageState::InFlight(until) => (v1::MessageState::InFlight, Some(until)),
        MessageState::Delayed(until) => (v1::MessageState::Delayed, Some(until)),
        MessageState::Blocked => (v1::MessageState::Blocked, None),
    };
    v1::QueueMessage {
        state: state.into(),
        visible_time: until.map(timestamp),
        receipt_handle: String::new(),
        ..to_api(&p.message)
    }
}

#[cfg(test)]
mod tests;
