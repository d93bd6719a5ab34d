//! Reads the member `state` of a response in one pass (semantics, section 11).

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Why a response has no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoState {
    /// No member of that name, or null; a response that is no object.
    Missing,
    /// The response is no JSON.
    InvalidJson,
}

impl NoState {
    /// The type of error.
    pub(super) fn error(self) -> &'static str {
        match self {
            Self::Missing => "WindowState.Missing",
            Self::InvalidJson => "WindowState.InvalidJson",
        }
    }
}

/// The state as the function wrote it. Of a member given twice the last counts, as in a report.
pub(super) fn read(body: &Bytes) -> Result<Bytes, NoState> {
    if body.trim_ascii().is_empty() {
        return Err(NoState::Missing);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let state = json
        .deserialize_any(Response)
        .and_then(|state| json.end().map(|()| state))
        .map_err(|_| NoState::InvalidJson)?;
    match state {
        Some(raw) if raw.get() != "null" => Ok(body.slice_ref(raw.get().as_bytes())),
        _ => Err(NoState::Missing),
    }
}

/// A response: any JSON value, as a function may return any.
struct Response;

impl<'de> Visitor<'de> for Response {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut state = None;
        while let Some(is_state) = map.next_key_seed(IsState)? {
            if is_state {
                state = Some(map.next_value::<&'de RawValue>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(state)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a member's name is the one.
struct IsState;

impl<'de> DeserializeSeed<'de> for IsState {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for IsState {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == "state")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(body: &str) -> Result<String, &'static str> {
        read(&Bytes::copy_from_slice(body.as_bytes()))
            .map(|s| String::from_utf8(s.to_vec()).unwrap())
            .map_err(NoState::error)
    }

    #[test]
    fn what_is_a_state() {
        let missing = Err("WindowState.Missing");
        let invalid = Err("WindowState.InvalidJson");
        for (body, expect) in [
            (r#"{"state":{"a":1}}"#, Ok(r#"{"a":1}"#)),
            (
                r#" {"batchItemFailures":[], "state" : {"a" : [ 1 ]} } "#,
                Ok(r#"{"a" : [ 1 ]}"#),
            ),
            (r#"{"state":{}}"#, Ok("{}")),
            (r#"{"st\u0061te":7}"#, Ok("7")),
            (r#"{"state":{"a":1},"state":{"b":2}}"#, Ok(r#"{"b":2}"#)),
            (r#"{"state":null}"#, missing),
            (r#"{"State":{}}"#, missing),
            (r#"{"a":{"state":{}}}"#, missing),
            ("{}", missing),
            ("null", missing),
            ("", missing),
            ("  ", missing),
            ("[{\"state\":{}}]", missing),
            ("\"state\"", missing),
            ("7", missing),
            ("-7", missing),
            ("1.5", missing),
            ("true", missing),
            (r#"{"state":{}"#, invalid),
            (r#"{"state":{}} x"#, invalid),
            (r#"{"state":nothing}"#, invalid),
        ] {
            assert_eq!(state(body), expect.map(str::to_owned), "{body}");
        }
    }

    #[test]
    fn what_is_no_text_is_no_json() {
        let body = Bytes::from_static(b"{\"state\":\"\xff\"}");
        assert_eq!(read(&body), Err(NoState::InvalidJson));
    }

    proptest! {
        #[test]
        fn any_body_is_read(body: Vec<u8>) {
            let _ = read(&body.into());
        }
    }
}
