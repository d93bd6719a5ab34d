//! JSON whose fields stay in their order while the keys of maps are sorted: what is printed twice is the same text.

use prost_reflect::{Kind, MessageDescriptor};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// How deep messages are looked into; none of the API's is as deep.
const DEEPEST: usize = 8;

/// A JSON value that remembers the order of its fields.
#[derive(Debug)]
pub(super) enum Ordered {
    /// Neither of the others.
    Leaf(Value),
    /// An array.
    List(Vec<Ordered>),
    /// An object.
    Object(Vec<(String, Ordered)>),
}

/// Whether a message has maps in it, at any depth.
pub(super) fn has_maps(message: &MessageDescriptor) -> bool {
    fn look(message: &MessageDescriptor, left: usize) -> bool {
        left > 0
            && message.fields().any(|field| match field.kind() {
                Kind::Message(of) => field.is_map() || look(&of, left - 1),
                _ => false,
            })
    }
    look(message, DEEPEST)
}

impl Ordered {
    /// Sorts the keys of what are maps in `message`.
    pub(super) fn sort_maps(&mut self, message: &MessageDescriptor) {
        let Self::Object(fields) = self else { return };
        for (name, value) in fields {
            let field = message.get_field_by_name(name);
            let Some((field, Kind::Message(of))) = field.map(|f| (f.clone(), f.kind())) else {
                continue;
            };
            match value {
                Self::Object(entries) if field.is_map() => {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                    if let Kind::Message(of) = of.map_entry_value_field().kind() {
                        entries.iter_mut().for_each(|(_, value)| value.sort_maps(&of));
                    }
                }
                Self::List(items) => items.iter_mut().for_each(|item| item.sort_maps(&of)),
                one => one.sort_maps(&of),
            }
        }
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(k, v)| (k, v))),
        }
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

/// Takes whatever comes.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Leaf(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Ordered::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Ordered::Object(fields))
    }
}
