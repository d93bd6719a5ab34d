//! What is fast and what is slow agree: the filter over typed records, the filter over the event's JSON, and an oracle
//! over a tree of that JSON; and for the operators it has, another engine.

use super::oracle::{self, Data};
use super::sources::{identity, message, queue_identity, record};
use super::{criteria, is_match};
use crate::event::{EventShape, QueueEventShape};
use crate::filter::{DocumentFilter, MessageFilter, RecordFilter, Scratch, Shape, check};
use millstream_types::FilterCriteria;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..4_i64).prop_map(Value::from),
        select(vec![json!(1.5), json!(-2), json!(300)]),
        select(vec!["", "x", "y", "xy", "X", "ä\"\\\n", "null"]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", "d\"ä"]).prop_map(str::to_owned)
}

fn event() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            2 => btree_map(name(), inner.clone(), 0..4).prop_map(Value::from_iter),
            1 => vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

fn operator() -> impl Strategy<Value = Value> {
    let text = || select(vec!["", "x", "y", "X", "ä"]);
    let list = || {
        prop_oneof![
            vec(0..3_i64, 1..3).prop_map(Value::from),
            vec(text(), 1..3).prop_map(Value::from)
        ]
    };
    let relation = select(vec!["=", "<", "<=", ">", ">="]);
    prop_oneof![
        text().prop_map(|t| json!({ "prefix": t })),
        text().prop_map(|t| json!({ "suffix": t })),
        text().prop_map(|t| json!({ "equals-ignore-case": t })),
        text().prop_map(|t| json!({ "anything-but": t })),
        list().prop_map(|l| json!({ "anything-but": l })),
        (relation, -1..4_i64).prop_map(|(r, n)| json!({ "numeric": [r, n] })),
        (-1..3_i64, 1..4_i64).prop_map(|(n, more)| json!({ "numeric": [">=", n, "<", n + more] })),
        Just(json!({"exists": true})),
    ]
}

fn values(absence: bool) -> impl Strategy<Value = Value> {
    let absent = Just(json!({"exists": false}));
    let one = if absence {
        prop_oneof![3 => scalar(), 3 => operator(), 2 => absent].boxed()
    } else {
        prop_oneof![scalar(), operator()].boxed()
    };
    vec(one, 1..3).prop_map(Value::from)
}

fn pattern() -> impl Strategy<Value = Value> {
    let object = |inner: BoxedStrategy<Value>| btree_map(name(), inner, 1..3).prop_map(Value::from_iter);
    let tree = values(true).boxed().prop_recursive(3, 16, 3, move |inner| {
        let plain = object(inner.clone().boxed());
        let either =
            (object(inner.clone().boxed()), vec(object(inner.boxed()), 2..4)).prop_map(|(mut all, or)| {
                all.as_object_mut()
                    .unwrap()
                    .insert("$or".to_owned(), Value::from(or));
                all
            });
        prop_oneof![3 => plain, 1 => either]
    });
    btree_map(name(), tree, 1..3).prop_map(Value::from_iter)
}

/// Patterns for the data and for what stands beside it.
fn of_source(key: &'static str, text: bool) -> impl Strategy<Value = Value> {
    let data = pattern;
    let beside = || {
        prop_oneof![
            select(vec!["k0", "k1"]).prop_map(|k| json!({"partitionKey": [k]})),
            select(vec!["1", "2"]).prop_map(|n| json!({"attributes": {"ApproximateReceiveCount": [n]}})),
            select(vec!["String", "Number"])
                .prop_map(|t| json!({"messageAttributes": {"n": {"dataType": [t, {"exists": false}]}}})),
            Just(json!({"eventSource": [{"prefix": "aws:"}], "eventID": [{"exists": false}]})),
            Just(json!({"approximateArrivalTimestamp": [{"numeric": [">", 1000.5]}]})),
        ]
    };
    let with = move |d: Value| json!({ key: d });
    let plain = values(false).prop_map(with);
    let both = (data(), beside()).prop_map(move |(d, mut b)| {
        b.as_object_mut().unwrap().insert(key.to_owned(), d);
        b
    });
    let either = (data(), beside()).prop_map(move |(d, b)| json!({"$or": [{ key: d }, b]}));
    let json = prop_oneof![data().prop_map(with), both, either, beside()];
    if text {
        prop_oneof![3 => json, 1 => plain].boxed()
    } else {
        json.boxed()
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => event().prop_map(|e| e.to_string().into_bytes()),
        1 => event().prop_map(|e| serde_json::to_vec_pretty(&e).unwrap()),
        1 => select(vec!["x", "1", "", " {} ", "{\"a\":1", "[1] 2", "{\"a\":1,}"]).prop_map(|t| t.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ]
}

/// Whether the alternatives of a pattern multiply to more than are taken; nothing else may be wrong with it.
fn is_beyond(criteria: &FilterCriteria) -> bool {
    match check(criteria, Shape::DynamoDb) {
        Ok(()) => false,
        Err(refused) => {
            assert!(
                refused.iter().all(|r| r.allowed.contains("combinations")),
                "{refused:?}"
            );
            true
        }
    }
}

fn texts(patterns: &[Value]) -> Vec<String> {
    patterns.iter().map(Value::to_string).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn of_a_tree(pattern in pattern(), event in btree_map(name(), event(), 0..4)) {
        let event = Value::from_iter(event);
        prop_assume!(!is_beyond(&criteria(&[&pattern.to_string()])));
        let expect = oracle::matches(&pattern, &event, Data::None, "");
        let fast = is_match(&criteria(&[&pattern.to_string()]), &event.to_string());
        prop_assert_eq!(fast, expect, "{} {}", pattern, event);
    }

    #[test]
    fn of_records(
        patterns in vec(of_source("data", false), 1..3),
        data in payload(),
        key in 0..3_u8,
        arrival in 0..3_000_000_u64,
    ) {
        let criteria = criteria(&texts(&patterns).iter().map(String::as_str).collect::<Vec<_>>());
        prop_assume!(!is_beyond(&criteria));
        let record = record(&data, &format!("k{key}"), arrival);
        let id = identity();
        let mut event = Vec::new();
        let shape = EventShape::kinesis(&id.source_arn, &id.region, &id.shard, &id.role_arn);
        shape.encode(std::slice::from_ref(&record), None, &mut event);
        let event: Value = serde_json::from_slice(&event).unwrap();
        let encoded = &event["Records"][0];

        let mut scratch = Scratch::default();
        let typed = RecordFilter::new(&criteria, id).unwrap().unwrap();
        let found = typed.matches(&record, &mut scratch);
        let documents = DocumentFilter::new(&criteria, Shape::Kinesis).unwrap().unwrap();
        let text = encoded.to_string();
        prop_assert_eq!(documents.matches(&text, &mut scratch).unwrap(), found, "{:?} {}", patterns, encoded);
        prop_assert_eq!(documents.explain(&text).unwrap().matched, found);
        prop_assert_eq!(oracle::verdict(&patterns, encoded, "data"), found, "{:?} {}", patterns, encoded);
    }

    #[test]
    fn of_messages(patterns in vec(of_source("body", true), 1..3), body in payload(), receives in 1..3_u32) {
        let body = String::from_utf8_lossy(&body).into_owned();
        let criteria = criteria(&texts(&patterns).iter().map(String::as_str).collect::<Vec<_>>());
        prop_assume!(!is_beyond(&criteria));
        let message = message(&body, receives);
        let shape = QueueEventShape::sqs(&queue_identity().queue_arn, &queue_identity().region, true);
        let event: Value = serde_json::from_slice(&shape.encode(std::slice::from_ref(&message))).unwrap();
        let encoded = &event["Records"][0];

        let mut scratch = Scratch::default();
        let typed = MessageFilter::new(&criteria, queue_identity()).unwrap().unwrap();
        let found = typed.matches(&message, &mut scratch);
        let documents = DocumentFilter::new(&criteria, Shape::Sqs).unwrap().unwrap();
        let text = encoded.to_string();
        prop_assert_eq!(documents.matches(&text, &mut scratch).unwrap(), found, "{:?} {}", patterns, encoded);
        prop_assert_eq!(documents.explain(&text).unwrap().matched, found);
        prop_assert_eq!(oracle::verdict(&patterns, encoded, "body"), found, "{:?} {}", patterns, encoded);
    }

    /// An explanation of a pattern that matches has no mismatch, and one of a pattern that does not has one.
    #[test]
    fn explanations_agree(patterns in vec(of_source("body", true), 1..3), body in event()) {
        let criteria = criteria(&texts(&patterns).iter().map(String::as_str).collect::<Vec<_>>());
        prop_assume!(!is_beyond(&criteria));
        let record = json!({"body": body.to_string(), "eventSource": "aws:sqs"});
        let documents = DocumentFilter::new(&criteria, Shape::Sqs).unwrap().unwrap();
        let explanation = documents.explain(&record.to_string()).unwrap();
        prop_assert_eq!(explanation.patterns.len(), patterns.len());
        for (report, pattern) in explanation.patterns.iter().zip(&patterns) {
            let alone = oracle::verdict(std::slice::from_ref(pattern), &record, "body").is_some();
            let clean = report.fields.iter().all(|f| f.mismatch.is_none());
            prop_assert_eq!((report.matched, clean), (alone, alone), "{} {} {:?}", pattern, record, report);
        }
    }

    /// Neither a pattern nor an event can break it.
    #[test]
    fn no_text_panics(
        pattern in r#"([\[\]{}:,"\\ a0-9.*/-]|true|null|"a":|\[\{"(prefix|numeric|exists|anything-but|wildcard|cidr)":|"\$or":\[\{|"[<>=]+"){0,24}"#,
        event: Vec<u8>,
        text in r#"([\[\]{}:,"\\ a0-9.-]|true|null|"a":|\\u[d-f][89]00){0,24}"#,
    ) {
        for criteria in [criteria(&[&pattern]), super::extended(&[&pattern])] {
            let Ok(Some(filter)) = RecordFilter::new(&criteria, identity()) else { continue };
            for data in [&event, text.as_bytes()] {
                let _ = filter.matches(&record(data, "k", 0), &mut Scratch::default());
            }
        }
        for good in [r#"{"data":{"a":{"a":[1,{"exists":false}]}}}"#, r#"{"data":{"a":[{"prefix":"a"}]}}"#] {
            let filter = RecordFilter::new(&criteria(&[good]), identity()).unwrap().unwrap();
            for data in [&event, text.as_bytes()] {
                let _ = filter.matches(&record(data, "k", 0), &mut Scratch::default());
            }
            let documents = DocumentFilter::new(&criteria(&[good]), Shape::Kinesis).unwrap().unwrap();
            let _ = documents.explain(&text);
            let _ = documents.explain(&format!(r#"{{"data":{text}}}"#));
        }
    }
}

/// Events for the other engine: it wants an object, and is not asked about arrays within arrays.
fn plain_event() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        scalar().boxed(),
        vec(scalar(), 1..3).prop_map(Value::from).boxed()
    ];
    let object = || btree_map(name(), field.clone(), 1..4).prop_map(Value::from_iter);
    let nested = prop_oneof![
        2 => field.clone(),
        2 => object(),
        1 => vec(object(), 1..3).prop_map(Value::from),
    ];
    btree_map(name(), nested, 1..4).prop_map(Value::from_iter)
}

fn plain_pattern() -> impl Strategy<Value = Value> {
    let absent = Just(json!([{"exists": false}]));
    let leaf = || prop_oneof![6 => values(false), 1 => absent.clone()];
    let object = btree_map(name(), values(false), 1..3).prop_map(Value::from_iter);
    btree_map(name(), prop_oneof![leaf(), object], 1..3).prop_map(Value::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn as_another_engine_sees_it(pattern in plain_pattern(), event in plain_event()) {
        let (pattern, event) = (pattern.to_string(), event.to_string());
        // It takes what is no number for one below anything, and objects in arrays for values; and it has rules of its own for
        // what exists (objects, and fields that may also be something else).
        let has_other = [":\"", "[\"", ",\"", "true", "false", "null"].iter().any(|start| event.contains(start));
        let is_other = pattern.contains("numeric") && has_other;
        if is_other || pattern.contains("exists") || event.contains("[{") {
            return Ok(());
        }
        let mut other = quamina::Quamina::<u8>::new();
        other.add_pattern(1, &pattern).unwrap();
        let expect = other.has_matches(event.as_bytes()).unwrap();
        prop_assert_eq!(is_match(&criteria(&[&pattern]), &event), expect, "{} {}", pattern, event);
    }
}
