//! A message as a row.

use crate::cli::output::Columns;
use crate::cli::when;
use millstream_api::v1;
use v1::message_attribute::Value;

/// Letters of a body that a table shows, unless it is wide.
const SHOWN: usize = 80;

/// The columns of received messages.
pub(super) const RECEIVED: Columns = Columns {
    narrow: &["MESSAGE-ID", "RECEIVES", "SENT", "GROUP", "BODY"],
    wide: &[
        "RECEIPT-HANDLE",
        "SEQUENCE",
        "DEDUPLICATION-ID",
        "BYTES",
        "ATTRIBUTES",
        "FROM",
        "TRACE",
    ],
};
/// The columns of messages that were looked at.
pub(super) const PEEKED: Columns = Columns {
    narrow: &["STATE", "MESSAGE-ID", "RECEIVES", "SENT", "GROUP", "BODY"],
    wide: &[
        "VISIBLE",
        "SEQUENCE",
        "DEDUPLICATION-ID",
        "BYTES",
        "ATTRIBUTES",
        "FROM",
        "TRACE",
    ],
};

/// The cells of a received message.
pub(super) fn received(m: &v1::QueueMessage, wide: bool) -> Vec<String> {
    let mut cells = seen(m, wide);
    cells.push(m.receipt_handle.clone());
    cells.extend(more(m));
    cells
}

/// The cells of a message that was looked at.
pub(super) fn peeked(m: &v1::QueueMessage, wide: bool) -> Vec<String> {
    let state = m.state().as_str_name().trim_start_matches("MESSAGE_STATE_");
    let mut cells = vec![state.replace('_', "-")];
    cells.extend(seen(m, wide));
    cells.push(m.visible_time.as_ref().map_or_else(String::new, when::until));
    cells.extend(more(m));
    cells
}

fn seen(m: &v1::QueueMessage, wide: bool) -> Vec<String> {
    let cut = !wide && m.body.chars().count() > SHOWN;
    let body = if cut {
        m.body.chars().take(SHOWN - 1).chain(['…']).collect()
    } else {
        m.body.clone()
    };
    vec![
        m.message_id.clone(),
        m.receive_count.to_string(),
        when::stamp(m.send_time.as_ref()),
        m.message_group_id.clone(),
        body,
    ]
}

fn more(m: &v1::QueueMessage) -> [String; 6] {
    let trace = m.trace_context.as_ref().map(|t| t.traceparent.clone());
    [
        m.sequence_number.clone(),
        m.message_deduplication_id.clone(),
        m.body.len().to_string(),
        attributes(m),
        m.dead_letter_source_arn.clone(),
        trace.unwrap_or_else(|| m.aws_trace_header.clone()),
    ]
}

/// `name=value`, in the order of names.
fn attributes(m: &v1::QueueMessage) -> String {
    let mut shown: Vec<String> = m
        .attributes
        .iter()
        .map(|(name, a)| match &a.value {
            Some(Value::StringValue(text)) => format!("{name}={text}"),
            Some(Value::BinaryValue(bytes)) => format!("{name}=({} bytes)", bytes.len()),
            None => name.clone(),
        })
        .collect();
    shown.sort();
    shown.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> v1::QueueMessage {
        let attribute = |value| v1::MessageAttribute {
            data_type: String::new(),
            value: Some(value),
        };
        v1::QueueMessage {
            message_id: "id".to_owned(),
            receipt_handle: "r".to_owned(),
            body: "x".repeat(200),
            attributes: [
                ("b".to_owned(), attribute(Value::BinaryValue(vec![1, 2].into()))),
                ("a".to_owned(), attribute(Value::StringValue("1".to_owned()))),
            ]
            .into(),
            receive_count: 2,
            message_group_id: "g".to_owned(),
            state: v1::MessageState::InFlight.into(),
            visible_time: Some(prost_types::Timestamp::default()),
            ..Default::default()
        }
    }

    #[test]
    fn rows_fit_their_columns() {
        let (received, peeked) = (received(&message(), true), peeked(&message(), true));
        assert_eq!(received.len(), RECEIVED.narrow.len() + RECEIVED.wide.len());
        assert_eq!(peeked.len(), PEEKED.narrow.len() + PEEKED.wide.len());
        assert_eq!(received[5], "r");
        assert_eq!((peeked[0].as_str(), peeked[6].as_str()), ("IN-FLIGHT", "now"));
        assert!(peeked.contains(&"a=1,b=(2 bytes)".to_owned()), "{peeked:?}");
    }

    #[test]
    fn long_bodies_are_cut_in_a_narrow_table() {
        assert_eq!(received(&message(), false)[4].chars().count(), SHOWN);
        assert_eq!(received(&message(), true)[4].len(), 200);
    }
}
