//! Several objects: which needs which, in which order they are applied, and what they must not be together.

use super::kind::{Kind, Settings};
use super::read::{Object, ObjectId, Problem};
use crate::units;
use serde_json::Value;
use std::collections::BTreeMap;

/// A setting that names another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) path: &'static str,
    pub(crate) to: ObjectId,
}

impl Object {
    /// The objects of this system that it names.
    pub(crate) fn references(&self) -> Vec<Reference> {
        let text = |path: &str| self.settings.get(path).and_then(Value::as_str);
        let named = |path: &'static str, kind: Kind| {
            let name = text(path)?;
            Some(self.reference(path, kind, name))
        };
        let by_arn = |path: &'static str| {
            let arn = text(path)?;
            let (kind, name) = [Kind::Stream, Kind::Queue]
                .into_iter()
                .find_map(|kind| Some((kind, arn.strip_prefix(&kind.arn(""))?)))?;
            Some(self.reference(path, kind, name))
        };
        [
            // With a version, an alias or an ARN it is none that is declared.
            named("function", Kind::Function).filter(|function| !function.to.name.contains(':')),
            by_arn("source_arn"),
            by_arn("destination_config.on_failure.destination"),
            named("redrive_policy.dead_letter_queue", Kind::Queue),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn reference(&self, path: &'static str, kind: Kind, name: &str) -> Reference {
        Reference {
            path,
            to: ObjectId {
                kind,
                namespace: self.id.namespace.clone(),
                name: name.to_owned(),
            },
        }
    }
}

/// Puts objects into the order in which they are applied: by kind, and queues behind the dead-letter queues that they
/// name; otherwise as they were.
pub(crate) fn order(objects: Vec<Object>) -> Vec<Object> {
    let mut left = objects;
    left.sort_by_key(|o| o.id.kind);
    let mut sorted: Vec<Object> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |object: &Object| {
            let mut references = object.references().into_iter();
            object.id.kind == Kind::Queue
                && references.any(|r| r.to != object.id && left.iter().any(|other| other.id == r.to))
        };
        // If all wait for each other the first goes first; `rings` tells of it.
        let next = left.iter().position(|o| !waits(o)).unwrap_or(0);
        sorted.push(left.remove(next));
    }
    sorted
}

/// What objects must not be together: the same twice, or two mappings of the same source to the same function.
pub(crate) fn clashes(objects: &[Object]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut by_id: BTreeMap<&ObjectId, &Object> = BTreeMap::new();
    let mut by_ends: BTreeMap<(&str, &str, &str), &Object> = BTreeMap::new();
    for object in objects {
        if let Some(first) = by_id.insert(&object.id, object) {
            problems.push(object.problem("", format!("is declared twice, first at {}", first.place)));
            continue;
        }
        let text = |path: &str| object.settings.get(path).and_then(Value::as_str);
        if let (Kind::Mapping, Some(source), Some(function)) =
            (object.id.kind, text("source_arn"), text("function"))
        {
            let ends = (object.id.namespace.as_str(), source, function);
            if let Some(first) = by_ends.insert(ends, object) {
                let text = format!("maps the same source to the same function as {}", first.id);
                problems.push(object.problem("source_arn", text));
            }
        }
    }
    problems
}

/// Queues that are to be made and name each other as dead-letter queue, so that none can be first.
pub(crate) fn rings(objects: &[Object], is_new: impl Fn(&ObjectId) -> bool) -> Vec<Problem> {
    let new: BTreeMap<&ObjectId, &Object> = objects
        .iter()
        .filter(|o| o.id.kind == Kind::Queue && is_new(&o.id))
        .map(|o| (&o.id, o))
        .collect();
    let next = |object: &Object| {
        let mut references = object.references().into_iter();
        references.find_map(|r| new.get(&r.to).copied())
    };
    let mut problems = Vec::new();
    for object in new.values() {
        let mut at = next(object);
        for _ in 0..new.len() {
            at = match at {
                Some(found) if found.id == object.id => {
                    let text = "spec.redrive_policy.dead_letter_queue leads back to the queue itself: make one of \
                                them without it first";
                    problems.push(object.problem("redrive_policy.dead_letter_queue", text));
                    break;
                }
                Some(found) => next(found),
                None => break,
            };
        }
    }
    problems
}

/// The rule between a mapping, its queue and its function that the server checks when the mapping is made; for a queue
/// or function that is not as it will be yet. Settings that are not known have their defaults.
pub(crate) fn visibility(mapping: &Object, queue: &Settings, function: &Settings) -> Option<Problem> {
    let hidden = queue.get("visibility_timeout_seconds").and_then(Value::as_u64);
    let hidden = hidden.unwrap_or(30);
    let timeout = function.get("timeout").and_then(Value::as_str);
    let millis = units::duration(timeout.unwrap_or("3s")).map_or(0, |d| d.as_millis());
    (u128::from(hidden) * 1000 < millis).then(|| {
        let seconds = millis.div_ceil(1000);
        let text = format!(
            "spec.source_arn is not valid: Queue visibility timeout: {hidden} seconds is less than Function timeout: \
             {seconds} seconds"
        );
        mapping.problem("source_arn", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read::Place;
    use serde_json::json;

    fn object(kind: Kind, name: &str, settings: &[(&'static str, &str)]) -> Object {
        Object {
            id: ObjectId {
                kind,
                namespace: "default".to_owned(),
                name: name.to_owned(),
            },
            settings: settings.iter().map(|(k, v)| (*k, json!(v))).collect(),
            place: Place {
                file: "x.yaml".to_owned(),
                line: 1,
            },
            lines: BTreeMap::new(),
        }
    }

    fn queue(name: &str, dead: &str) -> Object {
        let dead = [("redrive_policy.dead_letter_queue", dead)];
        let settings = if dead[0].1.is_empty() {
            &dead[..0]
        } else {
            &dead[..]
        };
        object(Kind::Queue, name, settings)
    }

    fn mapping(name: &str, function: &str) -> Object {
        let source = Kind::Queue.arn("a");
        object(
            Kind::Mapping,
            name,
            &[("source_arn", source.as_str()), ("function", function)],
        )
    }

    #[test]
    fn what_is_needed_comes_first() {
        let objects = vec![
            mapping("m", "f"),
            queue("a", "b"),
            object(Kind::Function, "f", &[]),
            queue("c", ""),
            queue("b", "c"),
            object(Kind::Stream, "s", &[]),
        ];
        let names: Vec<String> = order(objects).iter().map(|o| o.id.to_string()).collect();
        assert_eq!(
            names,
            [
                "stream/s",
                "function/f",
                "queue/c",
                "queue/b",
                "queue/a",
                "mapping/m"
            ]
        );
    }

    #[test]
    fn rings_of_new_queues_are_told_and_do_not_hang() {
        let objects = vec![queue("a", "b"), queue("b", "a"), queue("c", "a"), queue("d", "d")];
        assert_eq!(order(objects.clone()).len(), 4);
        let told: Vec<String> = rings(&objects, |_| true)
            .iter()
            .map(|p| p.object.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(told, ["queue/a", "queue/b", "queue/d"]);
        assert!(rings(&objects[..3], |id| id.name != "b").is_empty());
    }

    #[test]
    fn clashes_are_told() {
        let objects = vec![
            queue("a", ""),
            mapping("m", "f"),
            mapping("n", "f"),
            mapping("o", "g"),
            queue("a", ""),
        ];
        let told: Vec<String> = clashes(&objects).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "x.yaml:1: mapping/n: maps the same source to the same function as mapping/m",
                "x.yaml:1: queue/a: is declared twice, first at x.yaml:1",
            ]
        );
    }

    #[test]
    fn references_are_to_this_systems_own() {
        let mut m = mapping("m", "f");
        m.settings.insert(
            "destination_config.on_failure.destination",
            json!("arn:aws:kinesis:eu-west-1:123456789012:stream/x"),
        );
        let to: Vec<String> = m
            .references()
            .iter()
            .map(|r| format!("{} {}", r.path, r.to))
            .collect();
        assert_eq!(to, ["function function/f", "source_arn queue/a"]);
    }

    #[test]
    fn a_queue_must_hide_messages_for_as_long_as_the_function_may_run() {
        for (hidden, timeout, ok) in [
            (None, None, true),
            (Some(30), Some("30s"), true),
            (Some(30), Some("30001ms"), false),
            (None, Some("60s"), false),
            (Some(2), None, false),
        ] {
            let queue = hidden.map(|h: u64| ("visibility_timeout_seconds", json!(h)));
            let function = timeout.map(|t| ("timeout", json!(t)));
            let found = visibility(
                &mapping("m", "f"),
                &queue.into_iter().collect(),
                &function.into_iter().collect(),
            );
            assert_eq!(found.is_none(), ok, "{hidden:?} {timeout:?}");
        }
    }
}
