//! Patterns and records as people have them in files.

use millstream::filter::Shape;
use millstream::types::FilterCriteria;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The patterns of a file.
pub(super) struct Filters {
    pub(super) criteria: FilterCriteria,
}

/// AWS's form, and that of the API.
#[derive(Deserialize)]
struct Criteria {
    #[serde(alias = "Filters")]
    filters: Vec<One>,
    #[serde(default)]
    extended: bool,
}

#[derive(Deserialize)]
struct One {
    #[serde(alias = "Pattern")]
    pattern: String,
}

impl Filters {
    /// One pattern, a list of patterns, or a FilterCriteria object. What looks like a pattern is one, and checked later.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if let Ok(criteria) = serde_json::from_str::<Criteria>(text) {
            let patterns = criteria.filters.into_iter().map(|one| one.pattern);
            return Ok(Self::of(patterns.collect(), criteria.extended));
        }
        if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(text) {
            let patterns: Result<Vec<String>, String> = list.into_iter().map(pattern).collect();
            return Ok(Self::of(patterns?, false));
        }
        Ok(Self::of(vec![text.trim().to_owned()], false))
    }

    fn of(filters: Vec<String>, extended: bool) -> Self {
        Self {
            criteria: FilterCriteria {
                filters,
                extended,
                ..FilterCriteria::default()
            },
        }
    }
}

/// An element of a list: `{"Pattern": "…"}`, a pattern as a text, or a pattern.
fn pattern(element: &RawValue) -> Result<String, String> {
    let text = element.get();
    if let Ok(one) = serde_json::from_str::<One>(text) {
        return Ok(one.pattern);
    }
    if text.starts_with('"') {
        return serde_json::from_str(text).map_err(|e| e.to_string());
    }
    Ok(text.to_owned())
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<&'a RawValue>,
}

/// The records of an event, of a list, or one record.
pub(super) fn records(text: &str) -> Result<Vec<&str>, String> {
    let records = if let Ok(event) = serde_json::from_str::<Event<'_>>(text) {
        event.records
    } else if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(text) {
        list
    } else {
        vec![serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?]
    };
    if records.is_empty() {
        return Err("there is no record in it".to_owned());
    }
    Ok(records.into_iter().map(RawValue::get).collect())
}

/// What kind of source a record looks to be of.
pub(super) fn shape_of(record: &str) -> Result<Shape, String> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(record).map_err(|_| "it is not an object".to_owned())?;
    let source = members.get("eventSource").map(|source| source.get());
    match source {
        Some(r#""aws:kinesis""#) => return Ok(Shape::Kinesis),
        Some(r#""aws:sqs""#) => return Ok(Shape::Sqs),
        Some(r#""aws:dynamodb""#) => return Ok(Shape::DynamoDb),
        _ => {}
    }
    let telling = [
        ("kinesis", Shape::Kinesis),
        ("dynamodb", Shape::DynamoDb),
        ("body", Shape::Sqs),
    ];
    let found = telling.into_iter().find(|(name, _)| members.contains_key(*name));
    found.map(|(_, shape)| shape).ok_or_else(|| {
        "it does not look like a record of Kinesis, SQS or DynamoDB: say with --source".to_owned()
    })
}
