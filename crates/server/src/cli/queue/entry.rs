//! Text as messages: what a flag, an argument or a line of a file says.

use base64_simd::STANDARD;
use millstream_api::v1::{self, SendMessagesEntry};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use v1::message_attribute::Value;

/// What lines are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Bodies.
    Bodies,
    /// Bodies that are JSON objects, with the message group and the deduplication id in these fields.
    Fields {
        /// Where the group is.
        group: Option<String>,
        /// Where the deduplication id is.
        deduplication: Option<String>,
    },
    /// Whole messages: `{"body": …, "message_group_id": …}`.
    Messages,
}

/// A message as a line of JSON. What `receive` and `peek` print can be sent again: what only the queue says is known and
/// left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    /// A text is sent as it is, everything else as its JSON.
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(default)]
    attributes: BTreeMap<String, Attribute>,
    delay_seconds: Option<i32>,
    #[serde(default)]
    message_group_id: String,
    #[serde(default)]
    message_deduplication_id: String,
    #[serde(default)]
    aws_trace_header: String,
    trace_context: Option<Trace>,
    #[serde(default, rename = "message_id")]
    _message_id: IgnoredAny,
    #[serde(default, rename = "receipt_handle")]
    _receipt_handle: IgnoredAny,
    #[serde(default, rename = "md5_of_body")]
    _md5_of_body: IgnoredAny,
    #[serde(default, rename = "md5_of_attributes")]
    _md5_of_attributes: IgnoredAny,
    #[serde(default, rename = "receive_count")]
    _receive_count: IgnoredAny,
    #[serde(default, rename = "send_time")]
    _send_time: IgnoredAny,
    #[serde(default, rename = "first_receive_time")]
    _first_receive_time: IgnoredAny,
    #[serde(default, rename = "sequence_number")]
    _sequence_number: IgnoredAny,
    #[serde(default, rename = "dead_letter_source_arn")]
    _dead_letter_source_arn: IgnoredAny,
    #[serde(default, rename = "state")]
    _state: IgnoredAny,
    #[serde(default, rename = "visible_time")]
    _visible_time: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trace {
    traceparent: String,
    #[serde(default)]
    tracestate: String,
}

/// An attribute of a line: with its type, or a text or number whose type is clear.
#[derive(Deserialize)]
#[serde(untagged)]
enum Attribute {
    Text(String),
    Number(serde_json::Number),
    Typed(Typed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl Lines {
    /// The message of a line; none for a blank one.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn message(&self, line: &str) -> Result<Option<SendMessagesEntry>, String> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let whole = || SendMessagesEntry {
            body: line.to_owned(),
            ..SendMessagesEntry::default()
        };
        let message = match self {
            Self::Bodies => whole(),
            Self::Fields { group, deduplication } => {
                let object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(line).map_err(|e| format!("not a JSON object: {e}"))?;
                SendMessagesEntry {
                    message_group_id: field(&object, group.as_deref())?,
                    message_deduplication_id: field(&object, deduplication.as_deref())?,
                    ..whole()
                }
            }
            Self::Messages => whole_message(line)?,
        };
        Ok(Some(message))
    }
}

fn field(object: &serde_json::Map<String, serde_json::Value>, name: Option<&str>) -> Result<String, String> {
    let Some(name) = name else {
        return Ok(String::new());
    };
    match object.get(name) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(serde_json::Value::Null) | None => Err(format!("it has no field '{name}'")),
        Some(other) => Ok(other.to_string()),
    }
}

fn whole_message(line: &str) -> Result<SendMessagesEntry, String> {
    let m: Message = serde_json::from_str(line).map_err(|e| {
        format!("not of the form {{\"body\": …}} ({e}); lines that are bodies need no --jsonl")
    })?;
    let body = serde_json::from_str::<String>(m.body.get()).unwrap_or_else(|_| m.body.get().to_owned());
    let attributes = m.attributes.into_iter().map(|(name, a)| match a.read() {
        Ok(a) => Ok((name, a)),
        Err(why) => Err(format!("attribute '{name}': {why}")),
    });
    Ok(SendMessagesEntry {
        body,
        attributes: attributes.collect::<Result<_, _>>()?,
        delay_seconds: m.delay_seconds,
        message_group_id: m.message_group_id,
        message_deduplication_id: m.message_deduplication_id,
        aws_trace_header: m.aws_trace_header,
        trace_context: m.trace_context.map(|t| v1::TraceContext {
            traceparent: t.traceparent,
            tracestate: t.tracestate,
        }),
    })
}

impl Attribute {
    fn read(self) -> Result<v1::MessageAttribute, String> {
        let of = |data_type: &str, value| v1::MessageAttribute {
            data_type: data_type.to_owned(),
            value: Some(value),
        };
        match self {
            Self::Text(text) => Ok(of("String", Value::StringValue(text))),
            Self::Number(n) => Ok(of("Number", Value::StringValue(n.to_string()))),
            Self::Typed(t) => match (t.string_value, t.binary_value) {
                (Some(text), None) => Ok(of(&t.data_type, Value::StringValue(text))),
                (None, Some(text)) => Ok(of(&t.data_type, binary(&text)?)),
                _ => Err("one of string_value and binary_value is wanted".to_owned()),
            },
        }
    }
}

fn binary(text: &str) -> Result<Value, String> {
    let bytes = STANDARD
        .decode_to_vec(text)
        .map_err(|_| "the value is not Base64".to_owned())?;
    Ok(Value::BinaryValue(bytes.into()))
}

/// `NAME=VALUE` or `NAME:TYPE=VALUE`; the value of a `Binary` in Base64.
///
/// # Errors
/// If it is neither.
pub(crate) fn attribute(text: &str) -> Result<(String, v1::MessageAttribute), String> {
    let form = "NAME=VALUE, or NAME:TYPE=VALUE with String, Number or Binary (in Base64)";
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not {form}"))?;
    let (name, data_type) = name.split_once(':').unwrap_or((name, "String"));
    if name.is_empty() || data_type.is_empty() {
        return Err(format!("'{text}' is not {form}"));
    }
    let value = if data_type == "Binary" || data_type.starts_with("Binary.") {
        binary(value)?
    } else {
        Value::StringValue(value.to_owned())
    };
    let data_type = data_type.to_owned();
    Ok((
        name.to_owned(),
        v1::MessageAttribute {
            data_type,
            value: Some(value),
        },
    ))
}

/// Bytes of a message as queues count them: body, and names, types and values of attributes.
pub(super) fn size(message: &SendMessagesEntry) -> usize {
    let one = |(name, a): (&String, &v1::MessageAttribute)| {
        let value = match &a.value {
            Some(Value::StringValue(text)) => text.len(),
            Some(Value::BinaryValue(bytes)) => bytes.len(),
            None => 0,
        };
        name.len() + a.data_type.len() + value
    };
    message.body.len() + message.attributes.iter().map(one).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &Lines, line: &str) -> SendMessagesEntry {
        lines
            .message(line)
            .unwrap_or_else(|e| panic!("{line}: {e}"))
            .unwrap()
    }

    fn text(data_type: &str, value: &str) -> v1::MessageAttribute {
        v1::MessageAttribute {
            data_type: data_type.to_owned(),
            value: Some(Value::StringValue(value.to_owned())),
        }
    }

    #[test]
    fn lines_become_messages() {
        assert_eq!(read(&Lines::Bodies, r#"{"x":1}"#).body, r#"{"x":1}"#);
        assert_eq!(Lines::Bodies.message("  ").unwrap(), None);
        let fields = Lines::Fields {
            group: Some("dest".to_owned()),
            deduplication: Some("id".to_owned()),
        };
        let got = read(&fields, r#"{"dest":"SFO","id":17}"#);
        assert_eq!(
            (
                got.body.as_str(),
                got.message_group_id.as_str(),
                got.message_deduplication_id.as_str()
            ),
            (r#"{"dest":"SFO","id":17}"#, "SFO", "17")
        );
        for (lines, line, part) in [
            (&fields, "SFO", "not a JSON object"),
            (&fields, r#"{"dest":"SFO"}"#, "no field 'id'"),
            (&Lines::Messages, "hello", "need no --jsonl"),
            (&Lines::Messages, r#"{"bdy":"x"}"#, "bdy"),
            (
                &Lines::Messages,
                r#"{"body":"x","attributes":{"a":{"data_type":"String"}}}"#,
                "attribute 'a': one of string_value and binary_value",
            ),
            (
                &Lines::Messages,
                r#"{"body":"x","attributes":{"a":{"data_type":"Binary","binary_value":"%"}}}"#,
                "not Base64",
            ),
        ] {
            let e = lines.message(line).unwrap_err();
            assert!(e.contains(part), "{line}: {e}");
        }
    }

    #[test]
    fn a_whole_message_says_all_about_itself() {
        let line = r#"{"body":{"n": 1},"attributes":{"a":"b","n":12,"p":{"data_type":"Binary.png","binary_value":"aGk="}},
            "delay_seconds":5,"message_group_id":"g","message_deduplication_id":"d","aws_trace_header":"Root=1",
            "trace_context":{"traceparent":"00-1"}}"#;
        let m = read(&Lines::Messages, line);
        assert_eq!((m.body.as_str(), m.delay_seconds), (r#"{"n": 1}"#, Some(5)));
        assert_eq!(m.attributes["a"], text("String", "b"));
        assert_eq!(m.attributes["n"], text("Number", "12"));
        assert_eq!(
            m.attributes["p"].value,
            Some(Value::BinaryValue(b"hi".to_vec().into()))
        );
        assert_eq!(
            (
                m.message_group_id.as_str(),
                m.message_deduplication_id.as_str(),
                m.aws_trace_header.as_str()
            ),
            ("g", "d", "Root=1")
        );
        assert_eq!(m.trace_context.unwrap().traceparent, "00-1");
        assert_eq!(
            read(&Lines::Messages, r#"{"body":"\"quoted\""}"#).body,
            "\"quoted\""
        );
    }

    #[test]
    fn what_is_printed_can_be_sent_again() {
        use crate::cli::output::to_json;
        let message = v1::QueueMessage {
            message_id: "id".to_owned(),
            receipt_handle: "r".to_owned(),
            body: "{\"x\":1}".to_owned(),
            attributes: [("a".to_owned(), text("Number.int", "1"))].into(),
            receive_count: 3,
            send_time: Some(prost_types::Timestamp::default()),
            first_receive_time: Some(prost_types::Timestamp::default()),
            message_group_id: "g".to_owned(),
            message_deduplication_id: "d".to_owned(),
            sequence_number: "5".to_owned(),
            state: v1::MessageState::InFlight.into(),
            visible_time: Some(prost_types::Timestamp::default()),
            trace_context: Some(v1::TraceContext {
                traceparent: "00-1".to_owned(),
                tracestate: "k=v".to_owned(),
            }),
            ..Default::default()
        };
        let again = read(&Lines::Messages, &to_json(&message, false).unwrap());
        assert_eq!(again.body, message.body);
        assert_eq!(again.attributes, message.attributes);
        assert_eq!(again.trace_context, message.trace_context);
        assert_eq!(
            (
                again.message_group_id.as_str(),
                again.message_deduplication_id.as_str()
            ),
            ("g", "d")
        );
    }

    #[test]
    fn attributes_of_flags() {
        for (flag, want) in [
            ("a=b=c", Ok(("a", text("String", "b=c")))),
            ("n:Number=1", Ok(("n", text("Number", "1")))),
            ("n:Number.int=", Ok(("n", text("Number.int", "")))),
            ("a", Err("NAME=VALUE")),
            ("=x", Err("NAME=VALUE")),
            ("a:=x", Err("NAME=VALUE")),
            ("a:Binary=%", Err("not Base64")),
        ] {
            match (attribute(flag), want) {
                (Ok((name, a)), Ok((n, want))) => assert_eq!((name.as_str(), a), (n, want), "{flag}"),
                (Err(e), Err(part)) => assert!(e.contains(part), "{flag}: {e}"),
                (got, want) => panic!("{flag}: {got:?}, wanted {want:?}"),
            }
        }
        let (_, binary) = attribute("p:Binary.png=aGk=").unwrap();
        assert_eq!(binary.value, Some(Value::BinaryValue(b"hi".to_vec().into())));
    }

    #[test]
    fn the_size_is_that_of_body_and_attributes() {
        let m = SendMessagesEntry {
            body: "12345".to_owned(),
            attributes: [("abc".to_owned(), text("Number", "1"))].into(),
            message_group_id: "not counted".to_owned(),
            ..Default::default()
        };
        assert_eq!(size(&m), 5 + 3 + 6 + 1);
    }
}
