//! Lines of text as records.

use base64_simd::STANDARD;
use bytes::Bytes;
use millstream_api::v1::PutRecordsEntry;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where the key of a line is.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// All lines have this one; a line is the payload.
    One(String),
    /// In this field of the line, a JSON object; the line is the payload.
    Field(String),
    /// In an envelope: `{"partition_key": …, "data": …}`.
    Envelope,
}

/// A record with what tells how to store it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    partition_key: String,
    #[serde(default)]
    explicit_hash_key: String,
    /// A text is taken as it is, everything else as its JSON.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
}

impl Keys {
    /// The record of a line; none for a blank one.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn record(&self, line: &str) -> Result<Option<PutRecordsEntry>, String> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let (partition_key, explicit_hash_key, data) = match self {
            Self::One(key) => (
                key.clone(),
                String::new(),
                Bytes::copy_from_slice(line.as_bytes()),
            ),
            Self::Field(field) => (
                key_in(line, field)?,
                String::new(),
                Bytes::copy_from_slice(line.as_bytes()),
            ),
            Self::Envelope => enveloped(line)?,
        };
        Ok(Some(PutRecordsEntry {
            partition_key,
            explicit_hash_key,
            data,
            trace_context: None,
        }))
    }
}

fn key_in(line: &str, field: &str) -> Result<String, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|e| format!("not a JSON object: {e}"))?;
    match object.get(field) {
        Some(serde_json::Value::String(key)) => Ok(key.clone()),
        Some(serde_json::Value::Null) | None => {
            Err(format!("it has no field '{field}' to take the key from"))
        }
        Some(other) => Ok(other.to_string()),
    }
}

fn enveloped(line: &str) -> Result<(String, String, Bytes), String> {
    let envelope: Envelope = serde_json::from_str(line).map_err(|e| {
        format!("not of the form {{\"partition_key\": …, \"data\": …}} ({e}); for plain lines use --key or --key-field")
    })?;
    let data = match (envelope.data, envelope.data_base64) {
        (Some(data), None) => match serde_json::from_str::<String>(data.get()) {
            Ok(text) => text.into_bytes(),
            Err(_) => data.get().as_bytes().to_vec(),
        },
        (None, Some(text)) => STANDARD
            .decode_to_vec(text)
            .map_err(|_| "data_base64 is not Base64".to_owned())?,
        _ => return Err("one of data and data_base64 is wanted".to_owned()),
    };
    Ok((envelope.partition_key, envelope.explicit_hash_key, data.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_records() {
        let (one, field) = (Keys::One("k".to_owned()), Keys::Field("tail".to_owned()));
        for (keys, line, want) in [
            (&one, "hello", Ok(("k", "", "hello"))),
            (
                &field,
                r#"{"tail":"N1","x":2}"#,
                Ok(("N1", "", r#"{"tail":"N1","x":2}"#)),
            ),
            (&field, r#"{"tail":17}"#, Ok(("17", "", r#"{"tail":17}"#))),
            (&field, r#"{"x":17}"#, Err("no field 'tail'")),
            (&field, "N1", Err("not a JSON object")),
            (
                &Keys::Envelope,
                r#"{"partition_key":"a","data":"text"}"#,
                Ok(("a", "", "text")),
            ),
            (
                &Keys::Envelope,
                r#"{"partition_key":"a","data":{"n": 1},"explicit_hash_key":"7"}"#,
                Ok(("a", "7", r#"{"n": 1}"#)),
            ),
            (
                &Keys::Envelope,
                r#"{"partition_key":"a","data_base64":"aGk="}"#,
                Ok(("a", "", "hi")),
            ),
            (
                &Keys::Envelope,
                r#"{"partition_key":"a","data_base64":"%"}"#,
                Err("not Base64"),
            ),
            (
                &Keys::Envelope,
                r#"{"partition_key":"a"}"#,
                Err("one of data and data_base64"),
            ),
            (
                &Keys::Envelope,
                r#"{"key":"a","data":"x"}"#,
                Err("use --key or --key-field"),
            ),
        ] {
            match (keys.record(line), want) {
                (Ok(Some(r)), Ok((key, hash, data))) => {
                    assert_eq!(
                        (r.partition_key.as_str(), r.explicit_hash_key.as_str()),
                        (key, hash),
                        "{line}"
                    );
                    assert_eq!(r.data, data.as_bytes(), "{line}");
                }
                (Err(e), Err(part)) => assert!(e.contains(part), "{line}: {e}"),
                (got, want) => panic!("{line}: {got:?}, wanted {want:?}"),
            }
        }
        assert_eq!(one.record("  ").unwrap(), None);
    }
}
