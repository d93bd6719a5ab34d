//! What a document must have, and what not together. Whatever else must be so is the server's to say.

use super::kind::{Kind, Settings};

/// What is missing or too much, one sentence each.
pub(super) fn missing(kind: Kind, settings: &Settings) -> Vec<&'static str> {
    let has = |path: &str| {
        let below = format!("{path}.");
        settings.keys().any(|k| *k == path || k.starts_with(&below))
    };
    let required = |rules: &[(&str, &'static str)]| {
        let broken = rules.iter().filter(|(path, _)| !has(path));
        broken.map(|(_, text)| *text).collect()
    };
    match kind {
        Kind::Stream => Vec::new(),
        Kind::Function => target(has),
        Kind::Queue if !has("redrive_policy") => Vec::new(),
        Kind::Queue => required(&[
            (
                "redrive_policy.dead_letter_queue",
                "spec.redrive_policy.dead_letter_queue is required: the name of a queue",
            ),
            (
                "redrive_policy.max_receive_count",
                "spec.redrive_policy.max_receive_count is required: a whole number, 1 to 1000",
            ),
        ]),
        Kind::Mapping => required(&[
            (
                "source_arn",
                "spec.source_arn is required: the ARN of a stream or queue; or spec.stream or spec.queue with its name",
            ),
            ("function", "spec.function is required: the name of a function"),
        ]),
    }
}

/// A function has one target.
fn target(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let targets = ["process", "http", "lambda", "in_process"]
        .into_iter()
        .filter(|t| has(t));
    match targets.count() {
        1 if has("process") && !has("process.command") => {
            vec!["spec.process.command is required: the program and its arguments"]
        }
        1 => Vec::new(),
        0 => vec![
            "spec.process.command is required: the program and its arguments; or spec.http.url, spec.lambda.function or spec.in_process",
        ],
        _ => vec!["spec.process, spec.http, spec.lambda and spec.in_process exclude each other"],
    }
}
