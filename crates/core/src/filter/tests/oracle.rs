//! The same semantics once more, slowly: over a tree of the event, every way to choose the fields tried.

use base64_simd::STANDARD;
use serde_json::{Map, Value};

type Path = Vec<String>;
/// Which array elements a field lies in: array and element.
type Inside = Vec<(usize, usize)>;

struct Field<'a> {
    path: Path,
    value: &'a Value,
    inside: Inside,
}

/// What the data of a record is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Data {
    None,
    Json,
    Text,
    Binary,
}

/// The first pattern that an encoded record matches; `key` is the name of its data.
pub(super) fn verdict(patterns: &[Value], record: &Value, key: &str) -> Option<usize> {
    let (event, data) = view(record, key);
    patterns.iter().position(|p| matches(p, &event, data, key))
}

/// Puts the data in place of its encoding, and what stands below `kinesis` at the top.
fn view(record: &Value, key: &str) -> (Value, Data) {
    let mut members = record.as_object().unwrap().clone();
    if let Some(Value::Object(inner)) = members.remove("kinesis") {
        members.extend(inner);
    }
    let bytes = match members.get(key) {
        Some(Value::String(text)) if key == "data" => STANDARD.decode_to_vec(text).unwrap(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        _ => return (Value::Object(members), Data::None),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        members.remove(key);
        return (Value::Object(members), Data::Binary);
    };
    let (value, data) = match serde_json::from_str(&text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => (value, Data::Json),
        _ => (Value::String(text), Data::Text),
    };
    members.insert(key.to_owned(), value);
    (Value::Object(members), data)
}

pub(super) fn matches(pattern: &Value, event: &Value, data: Data, key: &str) -> bool {
    let mut fields = Vec::new();
    flatten(event, &Vec::new(), &Vec::new(), &Vec::new(), &mut 0, &mut fields);
    branches(pattern.as_object().unwrap(), &Vec::new(), vec![Vec::new()])
        .iter()
        .any(|branch| {
            let of_data = |(path, _): &&(Path, Vec<Value>)| path[0] == key;
            let fits = branch.iter().filter(of_data).all(|(path, _)| match data {
                Data::Json => path.len() > 1,
                Data::Text => path.len() == 1,
                Data::None | Data::Binary => false,
            });
            fits && expand(branch).iter().any(|b| choose(b, &fields, &mut Vec::new()))
        })
}

/// Of an array's scalars, however nested, the field is where the array's name is; its objects are elements.
fn flatten<'a>(
    value: &'a Value,
    path: &Path,
    inside: &Inside,
    named: &Inside,
    arrays: &mut usize,
    out: &mut Vec<Field<'a>>,
) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path: Path = path.iter().cloned().chain([name.clone()]).collect();
                flatten(member, &path, inside, inside, arrays, out);
            }
        }
        Value::Array(elements) => {
            *arrays += 1;
            let array = *arrays;
            for (n, element) in elements.iter().enumerate() {
                let within: Inside = inside.iter().copied().chain([(array, n)]).collect();
                flatten(element, path, &within, named, arrays, out);
            }
        }
        scalar => out.push(Field {
            path: path.clone(),
            value: scalar,
            inside: named.clone(),
        }),
    }
}

type Branch = Vec<(Path, Vec<Value>)>;

fn branches(pattern: &Map<String, Value>, path: &Path, mut all: Vec<Branch>) -> Vec<Branch> {
    for (name, value) in pattern {
        let path: Path = path.iter().cloned().chain([name.clone()]).collect();
        let is_or = |v: &Vec<Value>| name == "$or" && v.len() > 1 && v.iter().all(Value::is_object);
        all = match value {
            Value::Array(either) if is_or(either) => either
                .iter()
                .flat_map(|one| {
                    branches(
                        one.as_object().unwrap(),
                        &path[..path.len() - 1].to_vec(),
                        all.clone(),
                    )
                })
                .collect(),
            Value::Object(members) => branches(members, &path, all),
            Value::Array(rules) => {
                for branch in &mut all {
                    branch.retain(|(known, _)| *known != path);
                    branch.push((path.clone(), rules.clone()));
                }
                all
            }
            _ => panic!("no pattern: {pattern:?}"),
        };
    }
    all
}

/// "One of these, or nothing" is two branches.
fn expand(branch: &Branch) -> Vec<Branch> {
    let mut all = vec![Branch::new()];
    for (path, rules) in branch {
        let (absent, present): (Vec<Value>, Vec<Value>) = rules.iter().cloned().partition(is_absence);
        let parts = [absent, present].into_iter().filter(|p| !p.is_empty());
        all = parts
            .flat_map(|part| {
                all.iter().map({
                    let path = path.clone();
                    move |b| {
                        let field = (path.clone(), part.clone());
                        b.iter().cloned().chain([field]).collect()
                    }
                })
            })
            .collect();
    }
    all
}

fn is_absence(rule: &Value) -> bool {
    *rule == serde_json::json!({"exists": false})
}

fn is_consistent(a: &Inside, b: &Inside) -> bool {
    a.iter()
        .all(|(array, n)| b.iter().all(|(other, m)| array != other || n == m))
}

fn choose<'a>(branch: &Branch, fields: &'a [Field<'a>], chosen: &mut Vec<&'a Field<'a>>) -> bool {
    let wanted: Vec<_> = branch
        .iter()
        .filter(|(_, rules)| !is_absence(&rules[0]))
        .collect();
    let Some((path, rules)) = wanted.get(chosen.len()) else {
        let there = |path: &Path| {
            let fits = |f: &&Field<'_>| chosen.iter().all(|c| is_consistent(&c.inside, &f.inside));
            fields.iter().filter(|f| f.path == *path).any(|f| fits(&f))
        };
        let mut absences = branch.iter().filter(|(_, rules)| is_absence(&rules[0]));
        return !absences.any(|(path, _)| there(path));
    };
    for field in fields.iter().filter(|f| f.path == *path) {
        let fits = chosen.iter().all(|c| is_consistent(&c.inside, &field.inside));
        if fits && rules.iter().any(|rule| holds(rule, field.value)) {
            chosen.push(field);
            let found = choose(branch, fields, chosen);
            chosen.pop();
            if found {
                return true;
            }
        }
    }
    false
}

fn holds(rule: &Value, value: &Value) -> bool {
    let Value::Object(operator) = rule else {
        return rule == value;
    };
    let (name, operand) = operator.iter().next().unwrap();
    let text = value.as_str();
    match (name.as_str(), operand) {
        ("exists", _) => true,
        ("prefix", Value::String(p)) => text.is_some_and(|t| t.starts_with(p.as_str())),
        ("suffix", Value::String(s)) => text.is_some_and(|t| t.ends_with(s.as_str())),
        ("equals-ignore-case", Value::String(w)) => {
            text.is_some_and(|t| t.to_lowercase() == w.to_lowercase())
        }
        ("anything-but", Value::Array(list)) => !list.iter().any(|one| holds(one, value)),
        ("anything-but", one) => !holds(one, value),
        ("numeric", Value::Array(terms)) => value.as_f64().is_some_and(|n| {
            terms.chunks(2).all(|term| {
                let bound = term[1].as_f64().unwrap();
                match term[0].as_str().unwrap() {
                    "=" => n == bound,
                    "<" => n < bound,
                    "<=" => n <= bound,
                    ">" => n > bound,
                    ">=" => n >= bound,
                    other => panic!("{other}"),
                }
            })
        }),
        other => panic!("{other:?}"),
    }
}
