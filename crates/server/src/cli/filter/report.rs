//! What became of each record, as text and as JSON. Patterns are counted from 1, as metrics do.

use millstream::filter::{Explanation, FieldReport, PatternReport};
use serde_json::{Value, json};

/// Lines for people: what matches, and of what does not every field that is not as wanted.
pub(super) fn text(explained: &[Explanation]) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, explanation) in explained.iter().enumerate() {
        match explanation.matched {
            Some(_) if explanation.patterns.is_empty() => {
                lines.push(format!("record {at}: matches, there is no pattern"));
            }
            Some(pattern) => lines.push(format!("record {at}: matches pattern {}", pattern + 1)),
            None => {
                lines.push(format!("record {at}: matches none"));
                for (n, pattern) in explanation.patterns.iter().enumerate() {
                    lines.push(head(n, pattern));
                    lines.extend(pattern.fields.iter().filter_map(field));
                }
            }
        }
    }
    lines
}

fn head(n: usize, pattern: &PatternReport) -> String {
    match pattern.alternatives {
        0 | 1 => format!("  pattern {}:", n + 1),
        many => format!("  pattern {}, the nearest of {many} alternatives:", n + 1),
    }
}

fn field(field: &FieldReport) -> Option<String> {
    let why = field.mismatch?.as_str();
    let found = if field.found.is_empty() {
        String::new()
    } else {
        format!(", found {}", field.found.join(", "))
    };
    Some(format!(
        "    {}: wanted {}{found}: {why}",
        field.path, field.wanted
    ))
}

/// The same for programs, with the fields that are as wanted.
pub(super) fn json(explained: &[Explanation]) -> String {
    let of_field = |f: &FieldReport| {
        json!({
            "path": f.path,
            "wanted": f.wanted,
            "found": f.found,
            "reason": f.mismatch.map(|m| m.as_str()),
        })
    };
    let of_pattern = |(n, p): (usize, &PatternReport)| {
        json!({
            "pattern": n + 1,
            "matched": p.matched,
            "alternatives": p.alternatives,
            "fields": p.fields.iter().map(of_field).collect::<Vec<Value>>(),
        })
    };
    let of_record = |(n, e): (usize, &Explanation)| {
        json!({
            "record": n,
            "matched": e.matched.map(|pattern| pattern + 1),
            "patterns": e.patterns.iter().enumerate().map(of_pattern).collect::<Vec<Value>>(),
        })
    };
    let records: Vec<Value> = explained.iter().enumerate().map(of_record).collect();
    json!({ "records": records }).to_string()
}
