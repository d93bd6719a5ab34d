//! The configuration file: a YAML mapping of keys to plain values, and to one list.

use super::connections::json;
use super::keys::KEYS;
use super::problem::{Origin, Problems};
use super::suggest::hint;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use std::collections::BTreeMap;

/// Most bytes of a file.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The values of a file by key, with the line each is on. What cannot be used is noted in `problems`.
pub(super) fn parse(
    path: &str,
    text: &str,
    problems: &mut Problems,
) -> BTreeMap<&'static str, (String, Origin)> {
    let at = |line: usize| Origin::File {
        path: path.to_owned(),
        line,
    };
    let mut values = BTreeMap::new();
    let documents = match MarkedYaml::load_from_str(text) {
        Ok(documents) => documents,
        Err(e) => {
            problems.at(&at(e.marker().line()), format!("not valid YAML: {}", e.info()));
            return values;
        }
    };
    if let Some(second) = documents.get(1) {
        problems.at(
            &at(second.span.start.line()),
            "one document is wanted, not several",
        );
    }
    let root = match documents.first().map(|d| (&d.data, d.span.start.line())) {
        None | Some((YamlData::Value(Scalar::Null), _)) => return values,
        Some((YamlData::Mapping(root), _)) => root,
        Some((_, line)) => {
            problems.at(
                &at(line),
                "a mapping of keys to values is wanted, e.g. `data_dir: /var/lib/millstream`",
            );
            return values;
        }
    };
    for (key, value) in root {
        let origin = at(key.span.start.line());
        let Some(name) = key.data.as_str() else {
            problems.at(&origin, "a key must be a plain text");
            continue;
        };
        let Some(known) = KEYS.iter().find(|k| k.name == name) else {
            let hint = hint(name, KEYS.iter().map(|k| k.name));
            problems.at(&origin, format!("there is no key '{name}'{hint}"));
            continue;
        };
        match scalar(&value.data) {
            Ok(Some(text)) => drop(values.insert(known.name, (text, origin))),
            Ok(None) => {}
            Err(()) if known.is_list() => {
                let text = json(&value.data).to_string();
                drop(values.insert(known.name, (text, origin)));
            }
            Err(()) => problems.at(&origin, format!("{name}: one value is wanted, {}", known.form)),
        }
    }
    values
}

/// The text of a single value, none for null.
fn scalar<'a>(data: &YamlData<'a, MarkedYaml<'a>>) -> Result<Option<String>, ()> {
    match data {
        YamlData::Value(Scalar::Null) => Ok(None),
        YamlData::Value(Scalar::Boolean(b)) => Ok(Some(b.to_string())),
        YamlData::Value(Scalar::Integer(n)) => Ok(Some(n.to_string())),
        YamlData::Value(Scalar::FloatingPoint(n)) => Ok(Some(n.to_string())),
        YamlData::Value(Scalar::String(s)) => Ok(Some(s.to_string())),
        _ => Err(()),
    }
}
