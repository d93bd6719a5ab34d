//! Why not, field by field.

use super::criteria;
use crate::filter::{DocumentFilter, Explanation, Mismatch, Shape};

fn explain(patterns: &[&str], shape: Shape, record: &str) -> Explanation {
    let filter = DocumentFilter::new(&criteria(patterns), shape).unwrap().unwrap();
    filter.explain(record).unwrap()
}

#[test]
fn every_reason() {
    let rows = [
        (r#"{"body":{"a":[2]}}"#, r#"{"a":1}"#, Mismatch::Other),
        (r#"{"body":{"b":[2]}}"#, r#"{"a":1}"#, Mismatch::Missing),
        (r#"{"body":{"a":[2]}}"#, r#"{"a":{"b":2}}"#, Mismatch::Object),
        (
            r#"{"body":{"a":[{"exists":false}]}}"#,
            r#"{"a":1}"#,
            Mismatch::Present,
        ),
        (r#"{"body":{"a":[2]}}"#, "plain", Mismatch::DataIsText),
        (r#"{"body":["plain"]}"#, r#"{"a":1}"#, Mismatch::DataIsJson),
        (r#"{"body":["plain"]}"#, "other", Mismatch::Other),
    ];
    for (pattern, body, expect) in rows {
        let record = serde_json::json!({ "body": body }).to_string();
        let found = explain(&[pattern], Shape::Sqs, &record);
        assert_eq!(found.matched, None, "{pattern}");
        assert_eq!(
            found.patterns[0].fields[0].mismatch,
            Some(expect),
            "{pattern} {body}"
        );
    }
    let binary = explain(&[r#"{"data":{"a":[1]}}"#], Shape::Kinesis, r#"{"data":"/w=="}"#);
    assert_eq!(
        binary.patterns[0].fields[0].mismatch,
        Some(Mismatch::DataIsBinary)
    );
}

#[test]
fn the_other_element() {
    let record = r#"{"a":[{"b":1},{"c":2}]}"#;
    let found = explain(&[r#"{"a":{"b":[1],"c":[2]}}"#], Shape::DynamoDb, record);
    let fields = &found.patterns[0].fields;
    assert!(
        fields.iter().all(|f| f.mismatch == Some(Mismatch::OtherElement)),
        "{fields:?}"
    );
}

#[test]
fn the_nearest_alternative_is_told_with_what_was_found() {
    let pattern = r#"{"x":["1"],"$or":[{"a":[1],"b":[1]},{"c":[3, {"prefix":"z"}]}]}"#;
    let found = explain(
        &[pattern, r#"{"x":["1"]}"#],
        Shape::DynamoDb,
        r#"{"x":"1","c":[4,"y",null]}"#,
    );
    assert_eq!(found.matched, Some(1));
    let [first, second] = found.patterns.as_slice() else {
        panic!()
    };
    assert_eq!(
        (first.matched, first.alternatives, second.matched),
        (false, 2, true)
    );
    let shown: Vec<_> = first
        .fields
        .iter()
        .map(|f| (f.path.as_str(), f.wanted.as_str(), f.found.join(" "), f.mismatch))
        .collect();
    assert_eq!(
        shown,
        [
            (
                "c",
                r#"[3, {"prefix":"z"}]"#,
                r#"4 "y" null"#.to_owned(),
                Some(Mismatch::Other)
            ),
            ("x", r#"["1"]"#, r#""1""#.to_owned(), None),
        ]
    );
}

#[test]
fn what_is_shown_is_bounded() {
    let record = format!(r#"{{"a":{}}}"#, serde_json::json!(vec!["ä".repeat(500); 100]));
    let found = explain(&[r#"{"a":["x"]}"#], Shape::DynamoDb, &record);
    let shown = &found.patterns[0].fields[0].found;
    assert_eq!(shown.len(), 8);
    assert_eq!(shown[0], format!("\"{}…\"", "ä".repeat(128)));
}
