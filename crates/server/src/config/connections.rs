//! The setting `connections`: a list, where all others are single values.
//!
//! In the file it is a list of mappings; a variable or a flag holds the same as one text of YAML, of which JSON is a part.
//! Between file and check it is JSON.

use super::suggest::hint;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Value};

/// The members of a connection.
const MEMBERS: [&str; 4] = ["match", "region", "endpoint_url", "credentials"];

/// The check's outcome, by what this build can do.
#[cfg(feature = "aws")]
pub(crate) type Connections = millstream::Connections;
/// Nothing: this build reads nothing but the built-in broker.
#[cfg(not(feature = "aws"))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections;

/// A node of YAML as JSON; numbers and the like as the text they are written with is not kept, so they are refused by
/// the check like any other value that is no text.
pub(super) fn json<'a>(data: &YamlData<'a, MarkedYaml<'a>>) -> Value {
    match data {
        YamlData::Value(Scalar::Boolean(b)) => Value::Bool(*b),
        YamlData::Value(Scalar::Integer(n)) => Value::from(*n),
        YamlData::Value(Scalar::FloatingPoint(n)) => Value::from(n.into_inner()),
        YamlData::Value(Scalar::String(s)) => Value::String(s.to_string()),
        YamlData::Sequence(items) => items.iter().map(|item| json(&item.data)).collect(),
        YamlData::Mapping(members) => {
            let member = |(key, value): (&MarkedYaml<'a>, &MarkedYaml<'a>)| {
                (
                    key.data.as_str().unwrap_or_default().to_owned(),
                    json(&value.data),
                )
            };
            Value::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// Reads the text of the setting.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Connections, Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Connections::default());
    }
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|e| vec![format!("connections: not valid YAML: {}", e.info())])?;
    let list = documents.first().map_or(Value::Null, |d| json(&d.data));
    let Value::Array(list) = list else {
        let want = "connections: a list is wanted, e.g. [{match: \"arn:aws:sqs:*:123456789012:*\"}]";
        return Err(vec![want.to_owned()]);
    };
    let mut problems = Vec::new();
    let written: Vec<Written> = list
        .iter()
        .enumerate()
        .map(|(index, item)| members(index, item, &mut problems))
        .collect();
    check(&written, problems)
}

/// The members of one connection, in the order of [`MEMBERS`].
type Written = [Option<String>; 4];

fn members(index: usize, item: &Value, problems: &mut Vec<String>) -> Written {
    let mut written = Written::default();
    let Value::Object(item) = item else {
        problems.push(format!(
            "connections[{index}]: a mapping of {} is wanted",
            MEMBERS.join(", ")
        ));
        return written;
    };
    if item.get("match").is_none_or(Value::is_null) {
        problems.push(format!(
            "connections[{index}].match is missing: which ARNs the connection is for"
        ));
    }
    for (name, value) in item {
        let Some(place) = MEMBERS.iter().position(|known| known == name) else {
            let hint = hint(name, MEMBERS.into_iter());
            problems.push(format!("connections[{index}]: there is no member '{name}'{hint}"));
            continue;
        };
        match value {
            Value::Null => {}
            Value::String(text) => written[place] = Some(text.clone()),
            _ => problems.push(format!(
                "connections[{index}].{name}: a text is wanted, perhaps in quotes"
            )),
        }
    }
    written
}

#[cfg(feature = "aws")]
fn check(written: &[Written], mut problems: Vec<String>) -> Result<Connections, Vec<String>> {
    let settings: Vec<_> = written
        .iter()
        .map(
            |[pattern, region, endpoint_url, credentials]| millstream::ConnectionSettings {
                // One that is missing was told already.
                pattern: pattern.clone().unwrap_or_else(|| "*".to_owned()),
                region: region.clone(),
                endpoint_url: endpoint_url.clone(),
                credentials: credentials.clone(),
            },
        )
        .collect();
    let told = !problems.is_empty();
    match Connections::read(&settings) {
        Ok(connections) if !told => Ok(connections),
        Ok(_) => Err(problems),
        Err(wrong) => {
            let missing = |p: &&millstream::ConnectionProblem| {
                p.field != "match" || written.get(p.index).is_none_or(|w| w[0].is_some())
            };
            problems.extend(wrong.iter().filter(missing).map(ToString::to_string));
            Err(problems)
        }
    }
}

#[cfg(not(feature = "aws"))]
fn check(written: &[Written], mut problems: Vec<String>) -> Result<Connections, Vec<String>> {
    if written.is_empty() && problems.is_empty() {
        return Ok(Connections);
    }
    problems.push(
        "connections: this program was built without the feature `aws` and reads nothing of AWS".to_owned(),
    );
    Err(problems)
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_yaml_and_as_json() {
        for text in [
            "- match: 'arn:aws:sqs:*:123456789012:*'\n  region: eu-west-1\n  endpoint_url: http://127.0.0.1:4566\n  credentials: env:ORDERS\n- match: arn:*",
            r#"[{"match":"arn:aws:sqs:*:123456789012:*","region":"eu-west-1","endpoint_url":"http://127.0.0.1:4566","credentials":"env:ORDERS"},{"match":"arn:*","region":null}]"#,
        ] {
            let connections = parse(text).unwrap();
            let remote: Vec<_> = connections
                .remote()
                .map(millstream::Connection::pattern)
                .collect();
            assert_eq!(remote, ["arn:*"], "{text}");
            assert!(connections.find("arn:aws:sqs:eu-west-1:123456789012:q").is_some());
        }
        for text in ["", "[]", "  "] {
            assert!(parse(text).unwrap().is_empty());
        }
    }

    #[test]
    fn everything_wrong_is_told() {
        let text = "- match: sqs\n  regoin: a\n- region: 1\n  credentials: 'AKIA:hunter2'\n- text\n";
        let problems = parse(text).unwrap_err();
        let want = [
            "connections[0]: there is no member 'regoin'; did you mean 'region'?",
            "connections[1].match is missing",
            "connections[1].region: a text is wanted",
            "connections[2]: a mapping of match, region, endpoint_url, credentials is wanted",
            "connections[0].match: 'sqs' is not valid",
            "connections[1].credentials: what is set is no reference",
        ];
        assert_eq!(problems.len(), want.len(), "{problems:#?}");
        for (want, problem) in want.iter().zip(&problems) {
            assert!(problem.starts_with(want), "{problem}\nwanted {want}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        for (text, part) in [
            ("arn:*", "a list is wanted"),
            ("[", "not valid YAML"),
            ("{match: a}", "a list is wanted"),
        ] {
            assert!(parse(text).unwrap_err()[0].contains(part), "{text}");
        }
    }
}
