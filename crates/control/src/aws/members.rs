//! The members of a JSON object, each taken once; what is left over at the end is not known and refused.
//!
//! AWS ignores members that it does not know. Here a setting is honoured or refused, so that nobody believes in one that
//! has no effect.

use super::Result;
use super::error::{AwsError, Exception};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What of an object was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Where the object is: empty for the body itself, otherwise with a dot at its end.
    path: String,
    members: Map<String, Value>,
}

fn malformed(message: String) -> AwsError {
    AwsError::new(Exception::Serialization, message)
}

impl Members {
    /// Those of a body; an empty one has none.
    pub(super) fn of_body(body: &[u8]) -> Result<Self> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|e| malformed(format!("Could not parse request body into json: {e}")))?;
        match value {
            Value::Object(members) => Ok(Self {
                path: String::new(),
                members,
            }),
            other => Err(malformed(format!(
                "Could not parse request body into json: an object is wanted, not {}",
                kind(&other)
            ))),
        }
    }

    fn take<T>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let value = match self.members.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let found = kind(&value);
        let wrong = || malformed(format!("{}{name}: {wanted} is wanted, not {found}", self.path));
        read(value).map(Some).ok_or_else(wrong)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.take(name, "a text", text)
    }

    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        self.take(name, "an integer", |v| v.as_i64())
    }

    /// Any number, e.g. a time in seconds.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>> {
        self.take(name, "a number", |v| v.as_f64())
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.take(name, "true or false", |v| v.as_bool())
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        self.take(name, "a list of texts", |v| match v {
            Value::Array(list) => list.into_iter().map(text).collect(),
            _ => None,
        })
    }

    pub(super) fn text_map(&mut self, name: &str) -> Result<Option<BTreeMap<String, String>>> {
        self.take(name, "an object of texts", |v| match v {
            Value::Object(map) => map.into_iter().map(|(k, v)| Some((k, text(v)?))).collect(),
            _ => None,
        })
    }

    /// Whatever it is.
    pub(super) fn any(&mut self, name: &str) -> Result<Option<Value>> {
        self.take(name, "a value", Some)
    }

    /// An object inside.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>> {
        let path = format!("{}{name}.", self.path);
        self.take(name, "an object", |v| match v {
            Value::Object(members) => Some(Self { path, members }),
            _ => None,
        })
    }

    /// A list of objects inside.
    pub(super) fn objects(&mut self, name: &str) -> Result<Option<Vec<Self>>> {
        let path = format!("{}{name}", self.path);
        self.take(name, "a list of objects", |v| match v {
            Value::Array(list) => {
                let member = |(i, v)| match v {
                    Value::Object(members) => Some(Self {
                        path: format!("{path}[{i}]."),
                        members,
                    }),
                    _ => None,
                };
                list.into_iter().enumerate().map(member).collect()
            }
            _ => None,
        })
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<()> {
        let Some(name) = self.members.keys().next() else {
            return Ok(());
        };
        Err(AwsError::invalid(format!(
            "Unknown member {}{}: this operation has no such member, and none is ignored here",
            self.path,
            name.chars().take(128).collect::<String>()
        )))
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_taken_once_and_null_is_none() {
        let body = br#"{"t":"x","n":7,"f":1.5,"b":true,"l":["a"],"o":{"p":1},"z":null}"#;
        let mut m = Members::of_body(body).unwrap();
        assert_eq!(m.text("t").unwrap().as_deref(), Some("x"));
        assert_eq!(
            (m.integer("n").unwrap(), m.number("f").unwrap()),
            (Some(7), Some(1.5))
        );
        assert_eq!(
            (m.flag("b").unwrap(), m.texts("l").unwrap()),
            (Some(true), Some(vec!["a".to_owned()]))
        );
        let mut o = m.object("o").unwrap().unwrap();
        assert_eq!(o.integer("p").unwrap(), Some(1));
        o.finish().unwrap();
        assert_eq!((m.text("z").unwrap(), m.text("t").unwrap()), (None, None));
        m.finish().unwrap();
    }

    #[test]
    fn what_is_left_or_wrong_is_named() {
        type Read = fn(&mut Members) -> Result<()>;
        let rows: [(&str, Read, &str); 7] = [
            (r#"{"Batchsize":1}"#, |_| Ok(()), "Unknown member Batchsize:"),
            (
                r#"{"o":{"x":1}}"#,
                |m| m.object("o")?.unwrap_or_default().finish(),
                "Unknown member o.x:",
            ),
            (
                r#"{"n":1.5}"#,
                |m| m.integer("n").map(drop),
                "n: an integer is wanted, not a number",
            ),
            (r#"{"t":1}"#, |m| m.text("t").map(drop), "t: a text is wanted"),
            (
                r#"{"l":["a",1]}"#,
                |m| m.texts("l").map(drop),
                "l: a list of texts is wanted",
            ),
            (
                r#"{"f":[{"p":[]}]}"#,
                |m| m.objects("f")?.unwrap_or_default().remove(0).text("p").map(drop),
                "f[0].p: a text is wanted, not a list",
            ),
            (r#"{"t":null}"#, |_| Ok(()), "Unknown member t:"),
        ];
        for (body, read, expected) in rows {
            let mut m = Members::of_body(body.as_bytes()).unwrap();
            let e = read(&mut m).and_then(|()| m.finish()).unwrap_err();
            assert!(e.message.starts_with(expected), "{body}: {}", e.message);
        }
        for body in ["[]", "{", "\"x\"", "{} {}"] {
            let e = Members::of_body(body.as_bytes()).unwrap_err();
            assert_eq!(e.exception, Exception::Serialization, "{body}");
        }
    }
}
