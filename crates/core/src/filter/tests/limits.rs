//! What is no pattern.

use super::{Shape, refusal};

#[test]
fn what_is_no_pattern_is_refused() {
    let refused = [
        // What AWS was seen to refuse.
        "",
        "simple string",
        "null",
        r#""text""#,
        "[]",
        "5",
        r#"{"eventSource": "aws:sqs"}"#,
        r#"{"eventSource": []}"#,
        r#"{"body": 3}"#,
        r#"{"a": null}"#,
        r#"{"a": ["x"]"#,
        r#"{"a": ["x"]} {}"#,
        r#"{"a": ["x",]}"#,
        // What the engine behind it refuses.
        "{}",
        r#"{"a": {}}"#,
        r#"{"a": [["x"]]}"#,
        r#"{"a": [{}]}"#,
        r#"{"a": [{"prefix":"x","suffix":"y"}]}"#,
        r#"{"a": [{"regex":"x"}]}"#,
        r#"{"a": [{"prefix":1}]}"#,
        r#"{"a": [{"prefix":["x"]}]}"#,
        r#"{"a": [{"prefix":{"prefix":"x"}}]}"#,
        r#"{"a": [{"suffix":null}]}"#,
        r#"{"a": [{"equals-ignore-case":["x"]}]}"#,
        r#"{"a": [{"exists":"true"}]}"#,
        r#"{"a": [{"exists":null}]}"#,
        r#"{"a": [{"anything-but":[]}]}"#,
        r#"{"a": [{"anything-but":["x",1]}]}"#,
        r#"{"a": [{"anything-but":[null]}]}"#,
        r#"{"a": [{"anything-but":true}]}"#,
        r#"{"a": [{"anything-but":{"numeric":["=",1]}}]}"#,
        r#"{"a": [{"numeric":[]}]}"#,
        r#"{"a": [{"numeric":["="]}]}"#,
        r#"{"a": [{"numeric":["=","1"]}]}"#,
        r#"{"a": [{"numeric":["!=",1]}]}"#,
        r#"{"a": [{"numeric":["=",1,"<",2]}]}"#,
        r#"{"a": [{"numeric":["<",2,">",1]}]}"#,
        r#"{"a": [{"numeric":[">",2,"<",2]}]}"#,
        r#"{"a": [{"numeric":[">",2,"<",1]}]}"#,
        r#"{"a": [{"numeric":[">",1,">",2]}]}"#,
        r#"{"a": [{"numeric":[">",1,"<",2,"<",3]}]}"#,
        r#"{"a": [{"numeric":[1]}]}"#,
        r#"{"a": [{"numeric":[">",1e400]}]}"#,
        r#"{"a": [{"wildcard":"x*"}]}"#,
        r#"{"a": [{"cidr":"10.0.0.0/8"}]}"#,
        r#"{"$or": [{"a":["x"]}]}"#,
        r#"{"$or": []}"#,
        r#"{"$or": [{"a":["x"]},{}]}"#,
        r#"{"$or": [{"a":["x"]},{"b":"y"}]}"#,
        r#"{"$or": [{"a":{"prefix":["x"]}},{"b":["y"]}]}"#,
    ];
    for pattern in refused {
        for shape in [Shape::Kinesis, Shape::Sqs, Shape::DynamoDb] {
            let why = refusal(pattern, shape).unwrap_or_else(|| panic!("{shape:?} takes {pattern}"));
            assert!(!why.is_empty());
        }
    }
}

#[test]
fn refusals_name_the_place() {
    let why = refusal(r#"{"a":{"b":[{"regex":"x"}]}}"#, Shape::Sqs).unwrap();
    assert_eq!(why, "a filter pattern; at a.b is an operator called regex");
    assert_eq!(refusal("[", Shape::Sqs).unwrap(), "one JSON object");
}

#[test]
fn all_that_are_none_are_told() {
    let three = super::criteria(&["x", r#"{"a":[1]}"#, "{}"]);
    let refused = super::super::check(&three, Shape::Sqs).unwrap_err();
    assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn the_data_of_streams_is_asked_for_as_json() {
    for (shape, key) in [(Shape::Kinesis, "data"), (Shape::DynamoDb, "dynamodb")] {
        for pattern in [
            format!(r#"{{"{key}":["text"]}}"#),
            format!(r#"{{"{key}":[{{"exists":true}}]}}"#),
            format!(r#"{{"$or":[{{"{key}":["text"]}},{{"x":[1]}}]}}"#),
        ] {
            assert!(refusal(&pattern, shape).unwrap().contains(key), "{pattern}");
            assert_eq!(
                refusal(&pattern, Shape::Sqs),
                None,
                "not the data of a queue: {pattern}"
            );
        }
        assert_eq!(refusal(&format!(r#"{{"{key}":{{"a":["text"]}}}}"#), shape), None);
    }
    assert_eq!(refusal(r#"{"body":["text"]}"#, Shape::Sqs), None);
    assert!(refusal(r#"{"body":"text"}"#, Shape::Sqs).is_some());
}

#[test]
fn alternatives_are_bounded() {
    let pair = |n: usize| format!(r#""k{n}":{{"$or":[{{"a":[1]}},{{"b":[1]}}]}}"#);
    let pattern = |n: usize| format!("{{{}}}", (0..n).map(pair).collect::<Vec<_>>().join(","));
    assert_eq!(refusal(&pattern(9), Shape::Sqs), None);
    let why = refusal(&pattern(10), Shape::Sqs).unwrap();
    assert!(why.contains("more than 1000 combinations"), "{why}");
    let why = refusal(&pattern(100), Shape::Sqs).unwrap();
    assert!(why.contains("more than 1000 combinations"), "{why}");
}
