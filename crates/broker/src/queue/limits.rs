//! What may be sent and how queues may be set. The numbers are SQS'.

use millstream_ports::{QueueError, SendEntry, SendError};
use millstream_types::message::{AttributeValue, MessageAttributes, attribute_bytes};
use millstream_types::queue::{DeduplicationScope, MAX_VISIBILITY_SECONDS};
use millstream_types::{QueueName, QueueSpec};
use std::time::Duration;

/// Most messages of one send, receive, delete or change of visibility.
pub(crate) const MAX_BATCH: usize = 10;
/// Most bytes of all messages of one send: 1 MiB.
pub(crate) const MAX_BATCH_BYTES: usize = 1 << 20;
/// Most messages of a page that is looked at.
pub(crate) const MAX_PEEK: usize = 100;
/// Longest wait of a receive.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(20);
/// Longest visibility timeout, and longest time from a receive to its end.
pub(crate) const MAX_VISIBILITY: Duration = Duration::from_secs(MAX_VISIBILITY_SECONDS as u64);
/// Longest delay.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(900);

const MAX_ATTRIBUTES: usize = 10;
const MAX_NAME_CHARS: usize = 256;
const MAX_ID_CHARS: usize = 128;
const MAX_TRACE_PARENT_BYTES: usize = 256;
const MAX_TRACE_STATE_BYTES: usize = 512;
const MAX_TRACE_HEADER_BYTES: usize = 1024;
const MAX_NUMBER_DIGITS: usize = 38;
const VALUE_CHARS: usize = 64;

type Field<'a> = (&'static str, &'a str, &'static str);

fn invalid((field, value, allowed): Field<'_>) -> SendError {
    SendError::Invalid {
        field,
        value: value.chars().take(VALUE_CHARS).collect(),
        allowed: allowed.to_owned(),
    }
}

/// Bytes of an entry that count.
pub(crate) fn entry_bytes(entry: &SendEntry) -> usize {
    entry.body.len() + attribute_bytes(&entry.attributes)
}

/// Checks one entry of a send to a queue with these settings.
pub(crate) fn check_entry(entry: &SendEntry, spec: &QueueSpec, fifo: bool) -> Result<(), SendError> {
    check_body(&entry.body)?;
    check_attributes(&entry.attributes)?;
    let (bytes, most) = (entry_bytes(entry), spec.max_message_bytes as usize);
    if bytes > most {
        return Err(SendError::Invalid {
            field: "body",
            value: format!("{bytes} bytes with its attributes"),
            allowed: format!("at most {most} bytes with the attributes"),
        });
    }
    check_order(entry, spec, fifo)?;
    check_delay(entry, fifo)?;
    check_trace(entry)
}

fn check_body(body: &[u8]) -> Result<(), SendError> {
    let refused = |value: &str, allowed| Err(invalid(("body", value, allowed)));
    let Ok(text) = std::str::from_utf8(body) else {
        return refused("bytes that are not UTF-8", "UTF-8");
    };
    if text.is_empty() {
        return refused("", "at least one character");
    }
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(c) => refused(
            &format!("a text with U+{:04X}", u32::from(c)),
            "tab, line feed, carriage return and the characters from U+0020 on but U+FFFE and U+FFFF",
        ),
        None => Ok(()),
    }
}

/// The characters of XML, which SQS transported once.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn check_attributes(attributes: &MessageAttributes) -> Result<(), SendError> {
    if attributes.len() > MAX_ATTRIBUTES {
        let value = format!("{} attributes", attributes.len());
        return Err(invalid(("attributes", &value, "at most 10")));
    }
    for (name, attribute) in attributes {
        check_attribute_name(name)?;
        let data_type = &*attribute.data_type;
        let (logical, label) = data_type.split_once('.').unwrap_or((data_type, "x"));
        let right = matches!(
            (logical, &attribute.value),
            ("String" | "Number", AttributeValue::Text(_)) | ("Binary", AttributeValue::Binary(_))
        );
        if !right || label.is_empty() || data_type.len() > MAX_NAME_CHARS {
            let allowed = "String or Number with a text, Binary with bytes, perhaps followed by a dot and a label, \
                           256 characters in all";
            return Err(invalid(("attributes.data_type", data_type, allowed)));
        }
        match &attribute.value {
            AttributeValue::Text(text) => {
                if logical == "Number" && !is_number(text) {
                    let allowed = "a decimal number of at most 38 digits between -10^128 and 10^126";
                    return Err(invalid(("attributes.string_value", text, allowed)));
                }
                if text.is_empty() || !text.chars().all(is_allowed) {
                    let allowed = "at least one character, of those that a body may have";
                    return Err(invalid(("attributes.string_value", text, allowed)));
                }
            }
            AttributeValue::Binary(bytes) if bytes.is_empty() => {
                return Err(invalid(("attributes.binary_value", "", "at least one byte")));
            }
            AttributeValue::Binary(_) => {}
        }
    }
    Ok(())
}

fn check_attribute_name(name: &str) -> Result<(), SendError> {
    let characters = name
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'));
    let lower = name.to_ascii_lowercase();
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !characters || dots || reserved {
        let allowed = "1 to 256 letters, digits, underscores, hyphens and single dots inside, not beginning with AWS. or \
                       Amazon.";
        return Err(invalid(("attributes.name", name, allowed)));
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text
        .bytes()
        .all(|c| c.is_ascii_digit() || matches!(c, b'+' | b'-' | b'.' | b'e' | b'E'));
    let value: Option<f64> = text.parse().ok().filter(|_| plain && digits <= MAX_NUMBER_DIGITS);
    value.is_some_and(|value| (-1e128..=1e126).contains(&value))
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
}

fn check_order(entry: &SendEntry, spec: &QueueSpec, fifo: bool) -> Result<(), SendError> {
    let id = "1 to 128 letters, digits and punctuation characters";
    let (group, deduplication) = ("message_group_id", "message_deduplication_id");
    match &entry.group {
        Some(text) if !is_id(text) => return Err(invalid((group, text, id))),
        None if fifo => return Err(invalid((group, "", "required for a FIFO queue"))),
        _ => {}
    }
    match &entry.deduplication {
        Some(text) if !fifo => {
            let allowed = "nothing: the queue is not a FIFO queue";
            Err(invalid((deduplication, text, allowed)))
        }
        Some(text) if !is_id(text) => Err(invalid((deduplication, text, id))),
        None if fifo && !spec.content_based_deduplication => {
            let allowed = "required for a FIFO queue without content-based deduplication";
            Err(invalid((deduplication, "", allowed)))
        }
        _ => Ok(()),
    }
}

fn check_delay(entry: &SendEntry, fifo: bool) -> Result<(), SendError> {
    let Some(delay) = entry.delay else { return Ok(()) };
    let value = format!("{} s", delay.as_secs());
    if fifo {
        let allowed = "nothing: the messages of a FIFO queue have the queue's delay";
        return Err(invalid(("delay_seconds", &value, allowed)));
    }
    if delay > MAX_DELAY {
        return Err(invalid(("delay_seconds", &value, "0 to 900")));
    }
    Ok(())
}

fn check_trace(entry: &SendEntry) -> Result<(), SendError> {
    let (parent, state) = match &entry.trace {
        Some(trace) => (
            &*trace.traceparent,
            trace.tracestate.as_deref().unwrap_or_default(),
        ),
        None => ("", ""),
    };
    let header = entry.trace_header.as_deref().unwrap_or_default();
    for (field, text, most, allowed) in [
        (
            "trace_context.traceparent",
            parent,
            MAX_TRACE_PARENT_BYTES,
            "at most 256 bytes",
        ),
        (
            "trace_context.tracestate",
            state,
            MAX_TRACE_STATE_BYTES,
            "at most 512 bytes",
        ),
        (
            "aws_trace_header",
            header,
            MAX_TRACE_HEADER_BYTES,
            "at most 1024 bytes",
        ),
    ] {
        if text.len() > most {
            return Err(invalid((field, text, allowed)));
        }
    }
    if !header.chars().all(is_allowed) {
        return Err(invalid((
            "aws_trace_header",
            header,
            "characters that a body may have",
        )));
    }
    Ok(())
}

fn refused(field: &'static str, value: &dyn std::fmt::Display, allowed: &str) -> QueueError {
    QueueError::Invalid {
        field,
        value: value.to_string(),
        allowed: allowed.to_owned(),
    }
}

/// Checks how many entries a call has.
pub(crate) fn check_count(field: &'static str, count: usize) -> Result<(), QueueError> {
    if (1..=MAX_BATCH).contains(&count) {
        return Ok(());
    }
    Err(refused(field, &format!("{count} entries"), "1 to 10 entries"))
}

/// Checks how large a send is.
pub(crate) fn check_batch_bytes(bytes: usize) -> Result<(), QueueError> {
    if bytes <= MAX_BATCH_BYTES {
        return Ok(());
    }
    let allowed = "at most 1048576 bytes of bodies and attributes in all";
    Err(refused("entries", &format!("{bytes} bytes"), allowed))
}

/// Checks the number of messages wanted.
pub(crate) fn check_max(max: usize) -> Result<(), QueueError> {
    if (1..=MAX_BATCH).contains(&max) {
        return Ok(());
    }
    Err(refused("max", &max, "1 to 10"))
}

/// Checks a wait.
pub(crate) fn check_wait(wait: Duration) -> Result<(), QueueError> {
    if wait <= MAX_WAIT {
        return Ok(());
    }
    Err(refused("wait", &wait.as_secs(), "0 to 20"))
}

/// Checks a visibility timeout.
pub(crate) fn check_visibility(timeout: Duration) -> Result<(), QueueError> {
    if timeout <= MAX_VISIBILITY {
        return Ok(());
    }
    Err(refused("visibility", &timeout.as_secs(), "0 to 43200"))
}

/// Checks the settings of the queue `name`, as far as they can be without looking at other queues.
pub(crate) fn check_spec(name: &QueueName, spec: &QueueSpec) -> Result<(), QueueError> {
    for (field, value, least, most, allowed) in [
        (
            "visibility_timeout_seconds",
            spec.visibility_timeout_seconds,
            0,
            MAX_VISIBILITY_SECONDS,
            "0 to 43200",
        ),
        (
            "retention_seconds",
            spec.retention_seconds,
            60,
            1_209_600,
            "60 to 1209600",
        ),
        ("delay_seconds", spec.delay_seconds, 0, 900, "0 to 900"),
        (
            "receive_wait_seconds",
            spec.receive_wait_seconds,
            0,
            20,
            "0 to 20",
        ),
        (
            "max_message_bytes",
            spec.max_message_bytes,
            1_024,
            1_048_576,
            "1024 to 1048576",
        ),
    ] {
        if !(least..=most).contains(&value) {
            return Err(refused(field, &value, allowed));
        }
    }
    let fifo_only = "only for a FIFO queue, whose name ends with .fifo";
    if !name.is_fifo() && spec.content_based_deduplication {
        return Err(refused("content_based_deduplication", &true, fifo_only));
    }
    if !name.is_fifo() && spec.deduplication_scope != DeduplicationScope::Queue {
        return Err(refused("deduplication_scope", &"message group", fifo_only));
    }
    let Some(redrive) = &spec.redrive else {
        return Ok(());
    };
    if !(1..=1_000).contains(&redrive.max_receive_count) {
        return Err(refused(
            "redrive.max_receive_count",
            &redrive.max_receive_count,
            "1 to 1000",
        ));
    }
    let dead_letters = &redrive.dead_letter_queue;
    let field = "redrive.dead_letter_queue";
    if dead_letters == name {
        return Err(refused(field, &dead_letters, "another queue than the one itself"));
    }
    if dead_letters.is_fifo() != name.is_fifo() {
        let allowed = "a FIFO queue for a FIFO queue, a standard queue for a standard queue";
        return Err(refused(field, &dead_letters, allowed));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::entry::tests::entry;
    use millstream_types::message::MessageAttribute;
    use millstream_types::queue::Redrive;

    fn text(data_type: &str, value: &str) -> MessageAttribute {
        MessageAttribute {
            data_type: data_type.into(),
            value: AttributeValue::Text(value.into()),
        }
    }

    fn with(name: &str, attribute: MessageAttribute) -> SendEntry {
        SendEntry {
            attributes: [(name.into(), attribute)].into(),
            ..entry("x")
        }
    }

    #[test]
    fn what_is_allowed_is_taken() {
        let spec = QueueSpec::default();
        for good in [
            entry("x"),
            entry("\t\r\n \u{fffd}\u{10ffff}"),
            with("a.b-C_1", text("Number.int", "-1.5e3")),
            with("a", text("String", "x")),
            SendEntry {
                delay: Some(MAX_DELAY),
                group: Some("fair".into()),
                ..entry("x")
            },
        ] {
            assert_eq!(check_entry(&good, &spec, false), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_field() {
        let spec = QueueSpec {
            max_message_bytes: 1_024,
            ..QueueSpec::default()
        };
        let fifo = |group: &str, deduplication: Option<&str>| SendEntry {
            group: Some(group.into()),
            deduplication: deduplication.map(Into::into),
            ..entry("x")
        };
        for (bad, to_fifo, want) in [
            (entry(""), false, "body '' is not valid: at least one character"),
            (entry("a\0"), false, "U+0000"),
            (entry("a\u{ffff}"), false, "U+FFFF"),
            (
                entry(&"x".repeat(1_025)),
                false,
                "'1025 bytes with its attributes'",
            ),
            (
                with("AWS.x", text("String", "x")),
                false,
                "attributes.name 'AWS.x'",
            ),
            (with("a..b", text("String", "x")), false, "attributes.name"),
            (with("a", text("Text", "x")), false, "attributes.data_type 'Text'"),
            (
                with("a", text("Binary", "x")),
                false,
                "attributes.data_type 'Binary'",
            ),
            (with("a", text("String.", "x")), false, "attributes.data_type"),
            (with("a", text("String", "")), false, "attributes.string_value"),
            (
                with("a", text("Number", "0x10")),
                false,
                "attributes.string_value '0x10'",
            ),
            (
                with("a", text("Number", "1e300")),
                false,
                "attributes.string_value",
            ),
            (entry("x"), true, "message_group_id '' is not valid: required"),
            (fifo("a b", Some("d")), true, "message_group_id 'a b'"),
            (
                fifo("a", None),
                true,
                "message_deduplication_id '' is not valid: required",
            ),
            (
                fifo("a", Some("d")),
                false,
                "message_deduplication_id 'd' is not valid: nothing",
            ),
            (
                SendEntry {
                    delay: Some(Duration::ZERO),
                    ..fifo("a", Some("d"))
                },
                true,
                "delay_seconds '0 s'",
            ),
            (
                SendEntry {
                    delay: Some(Duration::from_secs(901)),
                    ..entry("x")
                },
                false,
                "delay_seconds '901 s' is not valid: 0 to 900",
            ),
        ] {
            let told = check_entry(&bad, &spec, to_fifo).unwrap_err().to_string();
            assert!(told.contains(want), "{told}");
        }
    }

    #[test]
    fn settings_are_checked() {
        let name = |name: &str| QueueName::new(name).unwrap();
        let redrive = |queue: &str, count| QueueSpec {
            redrive: Some(Redrive {
                dead_letter_queue: name(queue),
                max_receive_count: count,
            }),
            ..QueueSpec::default()
        };
        let default = QueueSpec::default;
        assert_eq!(check_spec(&name("q"), &redrive("dead", 3)), Ok(()));
        assert_eq!(check_spec(&name("q.fifo"), &redrive("dead.fifo", 1_000)), Ok(()));
        for (queue, spec, want) in [
            (
                "q",
                QueueSpec {
                    visibility_timeout_seconds: 43_201,
                    ..default()
                },
                "visibility_timeout_seconds '43201'",
            ),
            (
                "q",
                QueueSpec {
                    retention_seconds: 59,
                    ..default()
                },
                "retention_seconds '59'",
            ),
            (
                "q",
                QueueSpec {
                    delay_seconds: 901,
                    ..default()
                },
                "delay_seconds '901'",
            ),
            (
                "q",
                QueueSpec {
                    receive_wait_seconds: 21,
                    ..default()
                },
                "receive_wait_seconds '21'",
            ),
            (
                "q",
                QueueSpec {
                    max_message_bytes: 1_023,
                    ..default()
                },
                "max_message_bytes '1023'",
            ),
            (
                "q",
                QueueSpec {
                    content_based_deduplication: true,
                    ..default()
                },
                "content_based_deduplication 'true'",
            ),
            (
                "q",
                QueueSpec {
                    deduplication_scope: DeduplicationScope::MessageGroup,
                    ..default()
                },
                "deduplication_scope",
            ),
            ("q", redrive("q", 3), "another queue"),
            (
                "q",
                redrive("dead.fifo", 3),
                "a standard queue for a standard queue",
            ),
            ("q", redrive("dead", 0), "max_receive_count '0'"),
        ] {
            let told = check_spec(&name(queue), &spec).unwrap_err().to_string();
            assert!(told.contains(want), "{told}");
        }
    }
}
