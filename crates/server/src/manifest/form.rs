//! The forms that settings have: how a value is checked, what it becomes, and how the API's JSON has it.
//!
//! A value is canonical once it is read, so that equal settings are equal values: `1m30s` is `90s`, an ARN of a
//! function is its name. Ranges stand here for good messages before anything is sent; the server checks them all the
//! same.

use super::kind::Kind;
use super::tree::Tree;
use crate::units;
use serde_json::{Value, json};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A word of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// As it is written.
    pub(crate) plain: &'static str,
    /// As the API has it; taken too.
    pub(crate) api: &'static str,
    /// As AWS has it, if that is neither; taken too.
    pub(crate) aws: &'static str,
}

/// The form of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A whole number from the first to the second, or the third.
    Number(i64, i64, Option<i64>),
    /// `true` or `false`.
    Bool,
    /// The name of a resource of this kind: bare, in full, or its ARN.
    Name(Kind),
    /// What names the function of a mapping; what is registered here becomes a bare name.
    Callee,
    /// The ARN of a stream or queue.
    Arn,
    /// An address of a web server.
    Url,
    /// A text that is not empty.
    Text,
    /// A directory; one that is not absolute counts from the file that names it.
    Dir,
    /// A list of texts.
    Texts,
    /// A list of event filters: patterns, or maps with a `pattern`.
    Patterns,
    /// Names and texts.
    TextMap,
    /// A duration from the first to the second number of milliseconds.
    Duration(u64, u64),
    /// A time.
    Time,
    /// One of these words.
    OneOf(&'static [Word]),
    /// Some of these words.
    SomeOf(&'static [Word]),
    /// An empty map.
    Nothing,
}

/// Where a value is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The namespace of the object.
    pub(crate) namespace: &'a str,
    /// What relative directories count from.
    pub(crate) base: &'a Path,
}

impl Form {
    /// What is allowed, for people.
    pub(crate) fn allowed(self) -> String {
        let words = |words: &[Word]| words.iter().map(|w| w.plain).collect::<Vec<_>>().join(", ");
        match self {
            Self::Number(least, most, None) => format!("a whole number, {least} to {most}"),
            Self::Number(least, most, Some(also)) => format!("a whole number, {least} to {most}, or {also}"),
            Self::Bool => "true or false".to_owned(),
            Self::Name(kind) => format!("the name of a {} of the same namespace, or its ARN", kind.word()),
            Self::Callee => "the name of a function of the same namespace, or what names a function of AWS Lambda: a name, an ARN \
                             or a part of one, with or without a version or an alias"
                .to_owned(),
            Self::Arn => "the ARN of a stream or queue".to_owned(),
            Self::Url => "an http:// or https:// address".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Dir => "a directory".to_owned(),
            Self::Texts => "a list of texts; numbers and the like in quotes".to_owned(),
            Self::Patterns => "a list of patterns, each a text of JSON".to_owned(),
            Self::TextMap => "names with texts; numbers and the like in quotes".to_owned(),
            Self::Duration(least, most) => format!(
                "a duration like 500ms, 30s or 1m30s, {} to {}",
                duration_text(least),
                duration_text(most)
            ),
            Self::Time => "a time like 2026-11-22T10:00:00Z".to_owned(),
            Self::OneOf(of) => words(of),
            Self::SomeOf(of) => format!("a list of: {}", words(of)),
            Self::Nothing => "an empty map, {}".to_owned(),
        }
    }

    /// The value that a document has, canonical; none if it is not allowed.
    pub(crate) fn read(self, tree: &Tree, at: Context<'_>) -> Option<Value> {
        match (self, tree) {
            (Self::Number(least, most, also), Tree::Number(n)) => {
                ((least..=most).contains(n) || also == Some(*n)).then(|| json!(n))
            }
            (Self::Bool, Tree::Bool(b)) => Some(json!(b)),
            (Self::Name(kind), Tree::Text(text)) => bare_name(kind, text, at.namespace).map(|n| json!(n)),
            (Self::Callee, Tree::Text(text)) => {
                let elsewhere = || (!text.contains('/') && text.contains(':')).then(|| text.clone());
                bare_name(Kind::Function, text, at.namespace)
                    .or_else(elsewhere)
                    .map(|n| json!(n))
            }
            (Self::Arn, Tree::Text(text)) => text.starts_with("arn:").then(|| json!(text)),
            (Self::Url, Tree::Text(text)) => text.starts_with("http").then(|| json!(text)),
            (Self::Text, Tree::Text(text)) => (!text.is_empty()).then(|| json!(text)),
            (Self::Dir, Tree::Text(text)) => absolute(text, at.base).map(|d| json!(d)),
            (Self::Texts, Tree::List(items)) => items.iter().map(as_text).collect::<Option<Value>>(),
            (Self::Patterns, Tree::List(items)) => items.iter().map(as_pattern).collect::<Option<Value>>(),
            (Self::TextMap, Tree::Map(entries)) => {
                let pairs = entries.iter().map(|e| Some((e.key.clone(), as_text(&e.value)?)));
                pairs
                    .collect::<Option<serde_json::Map<_, _>>>()
                    .map(Value::Object)
            }
            (Self::Duration(least, most), Tree::Text(text)) => {
                let millis = millis(units::duration(text).ok()?);
                (least..=most)
                    .contains(&millis)
                    .then(|| json!(duration_text(millis)))
            }
            (Self::Time, Tree::Text(text)) => {
                let mut time: prost_types::Timestamp = text.parse().ok()?;
                // The server keeps milliseconds.
                time.nanos -= time.nanos % 1_000_000;
                Some(json!(time.to_string()))
            }
            (Self::OneOf(of), Tree::Text(text)) => word(of, text).map(|w| json!(w.plain)),
            (Self::SomeOf(of), Tree::List(items)) => items
                .iter()
                .map(|item| match item {
                    Tree::Text(text) => word(of, text).map(|w| json!(w.plain)),
                    _ => None,
                })
                .collect::<Option<Value>>(),
            (Self::Nothing, Tree::Map(entries)) => entries.is_empty().then(|| json!({})),
            _ => None,
        }
    }

    /// A canonical value as the API's JSON has it.
    pub(crate) fn to_api(self, value: &Value) -> Value {
        let api = |of: &[Word], value: &Value| {
            let word = of.iter().find(|w| Some(w.plain) == value.as_str());
            word.map_or_else(|| value.clone(), |w| json!(w.api))
        };
        match (self, value) {
            (Self::Duration(..), Value::String(text)) => {
                let millis = units::duration(text).map_or(0, millis);
                json!(format!("{}.{:03}s", millis / 1000, millis % 1000))
            }
            (Self::Patterns, Value::Array(items)) => items.iter().map(|i| json!({ "pattern": i })).collect(),
            (Self::OneOf(of), value) => api(of, value),
            (Self::SomeOf(of), Value::Array(items)) => items.iter().map(|i| api(of, i)).collect(),
            (_, value) => value.clone(),
        }
    }

    /// The canonical value of what the API's JSON has; none if that means that nothing is set.
    pub(crate) fn of_api(self, value: &Value) -> Option<Value> {
        let plain = |of: &[Word], value: &Value| {
            let word = of.iter().find(|w| Some(w.api) == value.as_str());
            word.map(|w| json!(w.plain))
        };
        match (self, value) {
            (_, Value::Null) => None,
            (
                Self::Name(_) | Self::Callee | Self::Arn | Self::Url | Self::Dir | Self::Time,
                Value::String(text),
            ) if text.is_empty() => None,
            (Self::Duration(..), Value::String(text)) => {
                let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
                let millis = Duration::try_from_secs_f64(seconds)
                    .ok()
                    .map(|d| (d.as_secs_f64() * 1000.0).round());
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // rounded, and never negative
                millis.map(|ms| json!(duration_text(ms as u64)))
            }
            (Self::Patterns, Value::Array(items)) if items.is_empty() => None,
            (Self::Patterns, Value::Array(items)) => {
                let pattern = |i: &Value| i.get("pattern").cloned().unwrap_or_else(|| json!(""));
                Some(items.iter().map(pattern).collect())
            }
            (Self::OneOf(of), value) => plain(of, value),
            (Self::SomeOf(of), Value::Array(items)) => Some(
                items
                    .iter()
                    .map(|i| plain(of, i).unwrap_or_else(|| i.clone()))
                    .collect(),
            ),
            (_, value) => Some(value.clone()),
        }
    }
}

fn as_text(tree: &Tree) -> Option<Value> {
    match tree {
        Tree::Text(text) => Some(json!(text)),
        _ => None,
    }
}

/// A pattern as the API, AWS or people have it.
fn as_pattern(tree: &Tree) -> Option<Value> {
    match tree {
        Tree::Map(entries) => match entries.as_slice() {
            [one] if one.key == "pattern" || one.key == "Pattern" => as_text(&one.value),
            _ => None,
        },
        other => as_text(other),
    }
}

fn word(of: &[Word], text: &str) -> Option<Word> {
    of.iter()
        .find(|w| w.plain == text || w.api == text || (w.aws == text && !text.is_empty()))
        .copied()
}

/// The bare name of what is named in any of the ways that the API takes.
fn bare_name(kind: Kind, text: &str, namespace: &str) -> Option<String> {
    let prefix = format!("namespaces/{namespace}/{}/", kind.collection());
    let bare = text
        .strip_prefix(&prefix)
        .or_else(|| text.strip_prefix(&kind.arn("")))
        .unwrap_or(text);
    let ok = !bare.is_empty() && !bare.contains(['/', ':']);
    ok.then(|| bare.to_owned())
}

/// An absolute path without dots. Links are not followed: nothing is looked at.
fn absolute(text: &str, base: &Path) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let mut path = PathBuf::new();
    for part in base.join(text).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.to_str().map(str::to_owned)
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// In seconds where they are whole; `units::duration` reads it.
fn duration_text(millis: u64) -> String {
    if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tree;

    const WORDS: &[Word] = &[
        Word {
            plain: "ONE",
            api: "WORD_ONE",
            aws: "One",
        },
        Word {
            plain: "TWO",
            api: "WORD_TWO",
            aws: "",
        },
    ];

    fn read(form: Form, text: &str) -> Option<Value> {
        let documents = tree::read(&format!("v: {text}")).unwrap();
        let at = Context {
            namespace: "default",
            base: Path::new("/srv/app"),
        };
        form.read(documents[0].1.get("v").unwrap(), at)
    }

    #[test]
    fn what_is_allowed_becomes_canonical() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let elsewhere = "arn:aws:lambda:eu-west-1:123456789012:function:f:7";
        for (form, text, want) in [
            (Form::Number(1, 10, None), "10", Some(json!(10))),
            (Form::Number(1, 10, None), "11", None),
            (Form::Number(1, 10, Some(-1)), "-1", Some(json!(-1))),
            (Form::Number(1, 10, None), "\"5\"", None),
            (Form::Number(1, 10, None), "5.0", None),
            (Form::Number(1, 10, None), "", None),
            (Form::Bool, "true", Some(json!(true))),
            (Form::Bool, "yes", None),
            (Form::Callee, "f", Some(json!("f"))),
            (Form::Callee, arn, Some(json!("f"))),
            (Form::Callee, "f:live", Some(json!("f:live"))),
            (Form::Callee, elsewhere, Some(json!(elsewhere))),
            (Form::Callee, "namespaces/other/functions/f", None),
            (Form::Name(Kind::Function), "f:live", None),
            (
                Form::Name(Kind::Function),
                "namespaces/default/functions/f",
                Some(json!("f")),
            ),
            (Form::Name(Kind::Function), "namespaces/other/functions/f", None),
            (Form::Name(Kind::Queue), arn, None),
            (Form::Arn, "orders", None),
            (
                Form::Url,
                "http://127.0.0.1:8080/",
                Some(json!("http://127.0.0.1:8080/")),
            ),
            (Form::Url, "ftp://x", None),
            (Form::Text, "f:live", Some(json!("f:live"))),
            (Form::Text, "\"\"", None),
            (Form::Dir, ".", Some(json!("/srv/app"))),
            (Form::Dir, "../lib/./x", Some(json!("/srv/lib/x"))),
            (Form::Dir, "/opt", Some(json!("/opt"))),
            (Form::Dir, "\"\"", None),
            (Form::Texts, "[a, \"1\"]", Some(json!(["a", "1"]))),
            (Form::Texts, "[a, 1]", None),
            (
                Form::Patterns,
                "['{}', {pattern: a}, {Pattern: b}]",
                Some(json!(["{}", "a", "b"])),
            ),
            (Form::Patterns, "[{patterns: a}]", None),
            (Form::TextMap, "{A: b}", Some(json!({"A": "b"}))),
            (Form::TextMap, "{A: 1}", None),
            (Form::Duration(1, 900_000), "1m30s", Some(json!("90s"))),
            (Form::Duration(1, 900_000), "1500ms", Some(json!("1500ms"))),
            (Form::Duration(1, 900_000), "0ms", None),
            (Form::Duration(1, 900_000), "901s", None),
            (Form::Duration(1, 900_000), "30", None),
            (
                Form::Time,
                "2026-11-22T11:00:00+01:00",
                Some(json!("2026-11-22T10:00:00Z")),
            ),
            (
                Form::Time,
                "2026-11-22T10:00:00.123456Z",
                Some(json!("2026-11-22T10:00:00.123Z")),
            ),
            (Form::Time, "today", None),
            (Form::OneOf(WORDS), "ONE", Some(json!("ONE"))),
            (Form::OneOf(WORDS), "WORD_TWO", Some(json!("TWO"))),
            (Form::OneOf(WORDS), "One", Some(json!("ONE"))),
            (Form::OneOf(WORDS), "\"\"", None),
            (Form::SomeOf(WORDS), "[TWO]", Some(json!(["TWO"]))),
            (Form::SomeOf(WORDS), "[THREE]", None),
            (Form::Nothing, "{}", Some(json!({}))),
            (Form::Nothing, "{a: 1}", None),
        ] {
            assert_eq!(read(form, text), want, "{form:?}: {text}");
        }
    }

    #[test]
    fn values_go_to_the_api_and_back() {
        for (form, value, api) in [
            (Form::Number(1, 10, None), json!(7), json!(7)),
            (Form::Duration(1, 900_000), json!("90s"), json!("90.000s")),
            (Form::Duration(1, 900_000), json!("1500ms"), json!("1.500s")),
            (Form::Duration(1, 900_000), json!("1ms"), json!("0.001s")),
            (Form::Patterns, json!(["{}"]), json!([{"pattern": "{}"}])),
            (Form::OneOf(WORDS), json!("TWO"), json!("WORD_TWO")),
            (Form::SomeOf(WORDS), json!(["ONE"]), json!(["WORD_ONE"])),
            (Form::SomeOf(WORDS), json!([]), json!([])),
            (Form::Nothing, json!({}), json!({})),
        ] {
            assert_eq!(form.to_api(&value), api, "{form:?}");
            assert_eq!(form.of_api(&api), Some(value), "{form:?}");
        }
        assert_eq!(Form::OneOf(WORDS).of_api(&json!("WORD_UNSPECIFIED")), None);
        assert_eq!(Form::Dir.of_api(&json!("")), None);
        assert_eq!(Form::Duration(1, 9).of_api(&json!("3s")), Some(json!("3s")));
    }
}
