//! The event of a batch of changes of a DynamoDB table (semantics, section 14).

use super::{source, wrong};
use crate::cli::error::CliError;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use millstream::sample;
use millstream::types::arn::SourceKind;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time when the stream of a table that is only named was switched on.
const LABEL: &str = "2026-01-01T00:00:00.000";
/// Sequence numbers have 28 digits, and grow by more than one.
const FIRST_NUMBER: u128 = 4_421_584_500_000_000_017_450_439_091;
const TYPES: [&str; 10] = ["S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"];

/// A batch of changes of a table.
#[derive(Args, Debug)]
pub(super) struct DynamoDb {
    /// The table, by its name, or the ARN of its stream.
    #[arg(long, alias = "source-arn", value_name = "TABLE", default_value = "orders")]
    table: String,
    /// How many changes, 1 to 1000 [default: one for each --key].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    records: Option<u64>,
    /// The key of the item that changed; several are taken in turn [default: {"id": {"N": "1"}}, {"id": {"N": "2"}}, ...].
    #[arg(long, visible_alias = "keys", value_name = "ATTRIBUTES", value_parser = attributes)]
    key: Vec<Map<String, Value>>,
    /// The item after the change, its key included; not for REMOVE [default: the key alone].
    #[arg(long, value_name = "ATTRIBUTES", value_parser = attributes)]
    new_image: Option<Map<String, Value>>,
    /// The item before the change, its key included; not for INSERT [default: the key alone].
    #[arg(long, value_name = "ATTRIBUTES", value_parser = attributes)]
    old_image: Option<Map<String, Value>>,
    /// What happened to the item [default: what the images say; INSERT without any].
    #[arg(long, value_name = "WHAT", ignore_case = true)]
    event_name: Option<EventName>,
}

/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "UPPERCASE")]
#[value(rename_all = "UPPER")]
enum EventName {
    /// It is new.
    Insert,
    /// It was there before.
    Modify,
    /// It is gone.
    Remove,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(rename = "eventID")]
    event_id: String,
    event_name: EventName,
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'a str,
    dynamodb: Change<'a>,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    approximate_creation_date_time: u64,
    keys: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<&'a Map<String, Value>>,
    sequence_number: String,
    size_bytes: usize,
    stream_view_type: &'static str,
}

impl DynamoDb {
    pub(super) fn event(self) -> Result<Bytes, CliError> {
        let arn = match self.table.starts_with("arn:") {
            true => self.table.clone(),
            false => format!(
                "arn:aws:dynamodb:us-east-1:000000000000:table/{}/stream/{LABEL}",
                self.table
            ),
        };
        let source = source(&arn, "--table", "a table, or the ARN of its stream", |kind| {
            kind == SourceKind::DynamoDb
        })?;
        let name = self.event_name()?;
        let number = self
            .records
            .unwrap_or(self.key.len().max(1).try_into().unwrap_or(u64::MAX));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut records = Vec::new();
        for n in 0..number {
            let keys = self.keys(n);
            let (new, old) = (
                self.new_image.as_ref().unwrap_or(&keys),
                self.old_image.as_ref().unwrap_or(&keys),
            );
            let change = Change {
                approximate_creation_date_time: now.as_ref().map_or(0, std::time::Duration::as_secs),
                keys: &keys,
                new_image: (name != EventName::Remove).then_some(new),
                old_image: (name != EventName::Insert).then_some(old),
                sequence_number: (FIRST_NUMBER + 100 * u128::from(n)).to_string(),
                size_bytes: 0,
                stream_view_type: "NEW_AND_OLD_IMAGES",
            };
            let images = [Some(change.keys), change.new_image, change.old_image];
            let size_bytes = images.into_iter().flatten().map(size_of_item).sum();
            let record = Record {
                event_id: format!("{:032x}", FIRST_NUMBER + 100 * u128::from(n)),
                event_name: name,
                event_version: "1.1",
                event_source: "aws:dynamodb",
                aws_region: source.region(),
                dynamodb: Change { size_bytes, ..change },
                event_source_arn: source.as_str(),
            };
            let text = |e: serde_json::Error| CliError::failed("INTERNAL", e.to_string(), "");
            let key = serde_json::to_vec(&keys).map_err(text)?;
            records.push((
                Bytes::from(key),
                serde_json::to_vec(&record).map_err(text)?.into(),
            ));
        }
        Ok(sample::stream_event(&source, records))
    }

    /// What happened, which the images must fit.
    fn event_name(&self) -> Result<EventName, CliError> {
        let told = match (&self.new_image, &self.old_image) {
            (Some(_), Some(_)) => EventName::Modify,
            (None, Some(_)) => EventName::Remove,
            (_, None) => EventName::Insert,
        };
        let name = self.event_name.unwrap_or(told);
        let wrong_image = match name {
            EventName::Insert => self.old_image.as_ref().map(|_| "--old-image"),
            EventName::Remove => self.new_image.as_ref().map(|_| "--new-image"),
            EventName::Modify => None,
        };
        match wrong_image {
            Some(flag) => Err(wrong(format!(
                "{flag} is not valid with --event-name {}: an item that is new has no old image, one that is gone no \
                 new one",
                format!("{name:?}").to_uppercase()
            ))),
            None => Ok(name),
        }
    }

    fn keys(&self, n: u64) -> Map<String, Value> {
        let at = |len: usize| usize::try_from(n).unwrap_or(0).checked_rem(len);
        match at(self.key.len()).and_then(|at| self.key.get(at)) {
            Some(keys) => keys.clone(),
            None => Map::from_iter([("id".to_owned(), serde_json::json!({"N": (n + 1).to_string()}))]),
        }
    }
}

/// Reads attributes as DynamoDB writes them: `{"id": {"N": "1"}, "name": {"S": "x"}}`.
fn attributes(text: &str) -> Result<Map<String, Value>, String> {
    let map: Map<String, Value> = serde_json::from_str(text)
        .map_err(|e| format!("attributes as DynamoDB writes them, as JSON: {e}"))?;
    if map.is_empty() {
        return Err("at least one attribute".to_owned());
    }
    match map.iter().find(|(_, value)| !is_attribute(value, 0)) {
        None => Ok(map),
        Some((name, value)) => Err(format!(
            "'{value}' of {name} is no value of an attribute: want one as {{\"S\": \"text\"}}, with a type out of {}",
            TYPES.join(", ")
        )),
    }
}

/// Whether this is `{TYPE: VALUE}`, down to DynamoDB's 32 levels.
fn is_attribute(value: &Value, depth: usize) -> bool {
    let Some((kind, value)) = value
        .as_object()
        .filter(|o| o.len() == 1)
        .and_then(|o| o.iter().next())
    else {
        return false;
    };
    let texts = |v: &Value| {
        v.as_array()
            .is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_string))
    };
    match kind.as_str() {
        "S" | "N" | "B" => value.is_string(),
        "SS" | "NS" | "BS" => texts(value),
        "NULL" | "BOOL" => value.is_boolean(),
        "L" if depth < 32 => value
            .as_array()
            .is_some_and(|all| all.iter().all(|v| is_attribute(v, depth + 1))),
        "M" if depth < 32 => value
            .as_object()
            .is_some_and(|all| all.values().all(|v| is_attribute(v, depth + 1))),
        _ => false,
    }
}

/// About what DynamoDB counts: names and values.
fn size_of_item(item: &Map<String, Value>) -> usize {
    item.iter().map(|(name, value)| name.len() + size(value)).sum()
}

fn size(attribute: &Value) -> usize {
    let of_values = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Array(all) => all
            .iter()
            .map(|v| v.as_str().map_or_else(|| size(v), str::len))
            .sum(),
        Value::Object(item) => size_of_item(item),
        _ => 1,
    };
    attribute
        .as_object()
        .map_or(0, |o| o.values().map(of_values).sum())
}
