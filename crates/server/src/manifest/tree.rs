//! Documents as trees that keep order and lines: read from YAML or JSON, written as either.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, Yaml, YamlData, YamlEmitter};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// Deepest nesting; no document of ours is a quarter as deep.
const DEEPEST: usize = 32;

/// A node of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// `null`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// Names and what they stand for, in order.
    Map(Vec<Entry>),
}

/// One name of a [`Tree::Map`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: Tree,
    /// Where it stands, from 1; 0 if that is not known.
    pub(crate) line: usize,
}

/// Why a text is no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// From 1; 0 if that is not known.
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Entry {
    /// An entry that stands nowhere.
    pub(crate) fn new(key: impl Into<String>, value: Tree) -> Self {
        Self {
            key: key.into(),
            value,
            line: 0,
        }
    }
}

impl Tree {
    /// A text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// What `key` stands for in a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// The value at a path of names with dots between; maps on the way are made.
    pub(crate) fn set(&mut self, path: &str, value: Self) {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(entries) = self else { return };
        let at = entries.iter().position(|e| e.key == key).unwrap_or_else(|| {
            entries.push(Entry::new(key, Self::Null));
            entries.len() - 1
        });
        if let Some(entry) = entries.get_mut(at) {
            match rest {
                "" => entry.value = value,
                rest => entry.value.set(rest, value),
            }
        }
    }

    /// Takes away what is at such a path, and maps on the way that become empty.
    pub(crate) fn remove(&mut self, path: &str) {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        let Self::Map(entries) = self else { return };
        let Some(at) = entries.iter().position(|e| e.key == key) else {
            return;
        };
        let gone = rest.is_empty()
            || entries.get_mut(at).is_some_and(|entry| {
                entry.value.remove(rest);
                matches!(&entry.value, Self::Map(left) if left.is_empty())
            });
        if gone {
            entries.remove(at);
        }
    }

    /// The value at a path of names with dots between.
    #[cfg(test)]
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |tree, key| tree.get(key))
    }

    /// As people should see it where a value is refused: on one line, shortened.
    pub(crate) fn shown(&self) -> String {
        let text = match self {
            Self::Text(text) => text.clone(),
            other => serde_json::to_string(other).unwrap_or_default(),
        };
        let mut shown: String = text
            .chars()
            .take(64)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if text.chars().nth(64).is_some() {
            shown.push('…');
        }
        shown
    }

    /// As a YAML document, without the dashes before it, with a line break at its end.
    pub(crate) fn to_yaml(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = YamlEmitter::new(&mut text).dump(&self.yaml());
        let text = text.strip_prefix("---\n").unwrap_or(&text);
        format!("{}\n", text.trim_end_matches('\n'))
    }

    fn yaml(&self) -> Yaml<'_> {
        match self {
            Self::Null => Yaml::Value(Scalar::Null),
            Self::Bool(b) => Yaml::Value(Scalar::Boolean(*b)),
            Self::Number(n) => Yaml::Value(Scalar::Integer(*n)),
            Self::Float(n) => Yaml::Value(Scalar::FloatingPoint((*n).into())),
            Self::Text(text) => Yaml::Value(Scalar::String(text.into())),
            Self::List(items) => Yaml::Sequence(items.iter().map(Self::yaml).collect()),
            Self::Map(entries) => Yaml::Mapping(
                entries
                    .iter()
                    .map(|e| (Yaml::Value(Scalar::String(e.key.as_str().into())), e.value.yaml()))
                    .collect(),
            ),
        }
    }
}

/// The documents of a text: YAML, or JSON if it begins like that. Empty ones are left out.
///
/// # Errors
/// If it is neither; only the first fault is known.
pub(crate) fn read(text: &str) -> Result<Vec<(usize, Tree)>, Unreadable> {
    let inside = text.trim_start().strip_prefix('{').map(str::trim_start);
    if inside.is_some_and(|inside| inside.starts_with(['"', '}'])) {
        read_json(text)
    } else {
        read_yaml(text)
    }
}

fn read_json(text: &str) -> Result<Vec<(usize, Tree)>, Unreadable> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<Tree>()
        .map(|tree| match tree {
            Ok(tree) => Ok((0, tree)),
            Err(e) => Err(Unreadable {
                line: e.line(),
                why: format!("not valid JSON: {e}"),
            }),
        })
        .collect()
}

fn read_yaml(text: &str) -> Result<Vec<(usize, Tree)>, Unreadable> {
    let documents = MarkedYaml::load_from_str(text).map_err(|e| Unreadable {
        line: e.marker().line(),
        why: format!("not valid YAML: {}", e.info()),
    })?;
    let mut trees = Vec::new();
    for document in &documents {
        let line = document.span.start.line();
        match tree(document, DEEPEST)? {
            Tree::Null => {}
            tree => trees.push((line, tree)),
        }
    }
    Ok(trees)
}

fn tree(node: &MarkedYaml<'_>, deeper: usize) -> Result<Tree, Unreadable> {
    let line = node.span.start.line();
    let refused = |why: &str| Unreadable {
        line,
        why: why.to_owned(),
    };
    let deeper = deeper
        .checked_sub(1)
        .ok_or_else(|| refused("nested too deeply"))?;
    Ok(match &node.data {
        YamlData::Value(Scalar::Null) => Tree::Null,
        YamlData::Value(Scalar::Boolean(b)) => Tree::Bool(*b),
        YamlData::Value(Scalar::Integer(n)) => Tree::Number(*n),
        YamlData::Value(Scalar::FloatingPoint(n)) => Tree::Float(n.into_inner()),
        YamlData::Value(Scalar::String(text)) => Tree::text(text.as_ref()),
        YamlData::Sequence(items) => {
            Tree::List(items.iter().map(|i| tree(i, deeper)).collect::<Result<_, _>>()?)
        }
        YamlData::Mapping(map) => {
            let entry = |(key, value): (&MarkedYaml<'_>, &MarkedYaml<'_>)| {
                let text = key.data.as_str().map(str::to_owned);
                Ok(Entry {
                    key: text.ok_or_else(|| refused("a name that is no text; put it in quotes"))?,
                    value: tree(value, deeper)?,
                    line: key.span.start.line(),
                })
            };
            Tree::Map(map.iter().map(entry).collect::<Result<_, _>>()?)
        }
        YamlData::Tagged(..) => return Err(refused("a tag (!…); none is known here")),
        YamlData::Representation(..) | YamlData::Alias(_) | YamlData::BadValue => {
            return Err(refused("a value that cannot be read"));
        }
    })
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(b) => to.serialize_bool(*b),
            Self::Number(n) => to.serialize_i64(*n),
            Self::Float(n) => to.serialize_f64(*n),
            Self::Text(text) => to.serialize_str(text),
            Self::List(items) => to.collect_seq(items),
            Self::Map(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key, &entry.value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

/// Depth is bounded by `serde_json` itself.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Tree, E> {
        Ok(Tree::Number(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Tree, E> {
        #[allow(clippy::cast_precision_loss)] // nothing here is as large; it is refused as no whole number
        Ok(i64::try_from(n).map_or(Tree::Float(n as f64), Tree::Number))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Tree, E> {
        Ok(Tree::Float(n))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.iter().any(|e| e.key == key) {
                return Err(serde::de::Error::custom(format!("'{key}' is there twice")));
            }
            entries.push(Entry::new(key, map.next_value()?));
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Tree {
        let documents = read(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.into_iter().next().unwrap().1
    }

    /// Lines are forgotten, so that what was read can be compared.
    fn bare(tree: Tree) -> Tree {
        match tree {
            Tree::List(items) => Tree::List(items.into_iter().map(bare).collect()),
            Tree::Map(entries) => Tree::Map(
                entries
                    .into_iter()
                    .map(|e| Entry::new(e.key, bare(e.value)))
                    .collect(),
            ),
            other => other,
        }
    }

    #[test]
    fn order_and_lines_are_kept() {
        let documents = read("b: 1\na:\n  c: x\n---\n---\nd: [1, 2]\n").unwrap();
        assert_eq!(documents.iter().map(|d| d.0).collect::<Vec<_>>(), [1, 6]);
        let Tree::Map(entries) = &documents[0].1 else {
            panic!()
        };
        assert_eq!(
            entries
                .iter()
                .map(|e| (e.key.as_str(), e.line))
                .collect::<Vec<_>>(),
            [("b", 1), ("a", 2)]
        );
        assert_eq!(documents[0].1.at("a.c"), Some(&Tree::text("x")));
        assert_eq!(documents[1].1.to_yaml(), "d:\n  - 1\n  - 2\n");
    }

    #[test]
    fn json_is_read_as_json() {
        let text =
            "{\n\t\"a\": \"\\ud83d\\ude00\\/\",\n\t\"n\": -1, \"f\": 1.5, \"l\": [true, null]}\n{\"b\": {}}";
        let documents = read(text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].1.get("a"), Some(&Tree::text("😀/")));
        assert_eq!(documents[0].1.get("n"), Some(&Tree::Number(-1)));
        assert_eq!(documents[0].1.get("f"), Some(&Tree::Float(1.5)));
        assert_eq!(documents[1].1.get("b"), Some(&Tree::Map(Vec::new())));
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_line() {
        for (text, line, says) in [
            ("a: 1\na: 2\n", 2, "duplicated key"),
            ("a: 1\n b: 2\n", 2, "YAML"),
            ("a: !!x y\n1: b\n", 1, ""),
            ("1: b\n", 1, "no text"),
            ("{\"a\": 1,\n\"a\": 2}", 2, "twice"),
            ("{\"a\": 1", 1, "JSON"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.line == line && e.why.contains(says), "{text:?}: {e:?}");
        }
        assert!(read(&"[".repeat(100)).is_err());
        let deep = format!("{}a: 1", "- ".repeat(40));
        assert_eq!(read(&deep).unwrap_err().why, "nested too deeply");
    }

    #[test]
    fn paths_make_maps() {
        let mut tree = Tree::Null;
        tree.set("a.b", Tree::Number(1));
        tree.set("c", Tree::Bool(true));
        tree.set("a.d", Tree::text("no"));
        assert_eq!(tree.to_yaml(), "a:\n  b: 1\n  d: \"no\"\nc: true\n");
        assert_eq!(
            serde_json::to_string(&tree).unwrap(),
            r#"{"a":{"b":1,"d":"no"},"c":true}"#
        );
        assert_eq!(tree.at("a.x"), None);
        for path in ["a.b", "a.x", "x.y", "a.d", "c"] {
            tree.remove(path);
        }
        assert_eq!(tree, Tree::Map(Vec::new()));
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let text = prop_oneof![
            "\\PC*",
            any::<String>(),
            "(yes|no|null|~|1e3|0x1f|0o7|\\.inf|-|- a|#a|a: b|a #b|%a|@a|'|\"|\\||>| a|a |a\nb|a\n\n|\ta|=|<<|---|\\.\\.\\.|2026-01-01)"
        ];
        let leaf = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::Bool),
            any::<i64>().prop_map(Tree::Number),
            text.clone().prop_map(Tree::Text),
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            let entries = proptest::collection::btree_map(text.clone(), inner.clone(), 1..4);
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Tree::List),
                entries.prop_map(|m| Tree::Map(m.into_iter().map(|(k, v)| Entry::new(k, v)).collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is written is read back as it was, in both languages.
        #[test]
        fn written_is_read(tree in any_tree()) {
            let root = Tree::Map(vec![Entry::new("root", tree)]);
            let yaml = root.to_yaml();
            prop_assert_eq!(&bare(one(&yaml)), &root, "{}", yaml);
            let json = serde_json::to_string(&root).unwrap();
            prop_assert_eq!(&bare(one(&json)), &root);
        }
    }
}
