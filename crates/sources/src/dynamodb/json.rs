//! A change of an item as it stands in an event (semantics, section 14).
//!
//! Written member by member, in AWS's order. Attributes come from the SDK in no order at all; they are written by
//! name, so that one change always gives the same bytes.

use crate::polled::WireError;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, StreamRecord};
use std::collections::HashMap;

/// Deeper than DynamoDB nests (32), and far from what a stack holds.
const MOST_LEVELS: usize = 64;

/// The item's key: the JSON of its attributes by name. Decides the lane.
pub(super) fn key(record: &Record) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    match record.dynamodb().and_then(|change| change.keys()) {
        Some(keys) => item(keys, 0, &mut out)?,
        None => out.extend_from_slice(b"{}"),
    }
    Ok(out)
}

/// The whole record.
pub(super) fn event_record(record: &Record, arn: &str, region: &str) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(512);
    let mut members = Members::open(&mut out);
    members.text("eventID", record.event_id())?;
    members.text("eventName", record.event_name().map(|name| name.as_str()))?;
    members.text("eventVersion", record.event_version())?;
    members.text(
        "eventSource",
        Some(record.event_source().unwrap_or("aws:dynamodb")),
    )?;
    members.text("awsRegion", Some(record.aws_region().unwrap_or(region)))?;
    if let Some(change) = record.dynamodb() {
        members.name("dynamodb")?;
        write_change(change, members.out)?;
    }
    members.text("eventSourceARN", Some(arn))?;
    if let Some(user) = record.user_identity() {
        members.name("userIdentity")?;
        let mut inner = Members::open(members.out);
        inner.text("type", user.r#type())?;
        inner.text("principalId", user.principal_id())?;
        inner.close();
    }
    members.close();
    Ok(out)
}

fn write_change(change: &StreamRecord, out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut members = Members::open(out);
    if let Some(at) = change.approximate_creation_date_time() {
        members.number("ApproximateCreationDateTime", at.secs())?;
    }
    let images = [
        ("Keys", change.keys()),
        ("NewImage", change.new_image()),
        ("OldImage", change.old_image()),
    ];
    for (name, image) in images {
        if let Some(image) = image {
            members.name(name)?;
            item(image, 0, members.out)?;
        }
    }
    members.text("SequenceNumber", change.sequence_number())?;
    if let Some(bytes) = change.size_bytes() {
        members.number("SizeBytes", bytes)?;
    }
    members.text(
        "StreamViewType",
        change.stream_view_type().map(|view| view.as_str()),
    )?;
    members.close();
    Ok(())
}

/// Attributes by name.
fn item(
    attributes: &HashMap<String, AttributeValue>,
    level: usize,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    let mut by_name: Vec<_> = attributes.iter().collect();
    by_name.sort_unstable_by_key(|(name, _)| *name);
    let mut members = Members::open(out);
    for (name, value) in by_name {
        members.name(name)?;
        attribute(value, level, members.out)?;
    }
    members.close();
    Ok(())
}

/// `{TYPE: VALUE}`. A number keeps its text.
fn attribute(value: &AttributeValue, level: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
    if level > MOST_LEVELS {
        return Err(WireError::Failed(format!(
            "an item is nested deeper than {MOST_LEVELS} levels"
        )));
    }
    let mut member = Members::open(out);
    match value {
        AttributeValue::S(text) => member.text("S", Some(text))?,
        AttributeValue::N(text) => member.text("N", Some(text))?,
        AttributeValue::B(bytes) => member.bytes("B", bytes.as_ref())?,
        AttributeValue::Bool(value) => member.literal("BOOL", truth(*value))?,
        AttributeValue::Null(value) => member.literal("NULL", truth(*value))?,
        AttributeValue::Ss(texts) => member.list("SS", texts, |text, out| string(text, out))?,
        AttributeValue::Ns(texts) => member.list("NS", texts, |text, out| string(text, out))?,
        AttributeValue::Bs(all) => member.list("BS", all, |bytes, out| {
            base64(bytes.as_ref(), out);
            Ok(())
        })?,
        AttributeValue::L(all) => member.list("L", all, |value, out| attribute(value, level + 1, out))?,
        AttributeValue::M(attributes) => {
            member.name("M")?;
            item(attributes, level + 1, member.out)?;
        }
        _ => {
            return Err(WireError::Failed(
                "an item has an attribute of a type that this build does not know".to_owned(),
            ));
        }
    }
    member.close();
    Ok(())
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn string(text: &str, out: &mut Vec<u8>) -> Result<(), WireError> {
    serde_json::to_writer(out, text).map_err(|e| WireError::Failed(e.to_string()))
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    base64_simd::STANDARD.encode_append(bytes, out);
    out.push(b'"');
}

/// Writes the members of an object.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn close(self) {
        self.out.push(b'}');
    }

    /// The name and the colon.
    fn name(&mut self, name: &str) -> Result<(), WireError> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        string(name, self.out)?;
        self.out.push(b':');
        Ok(())
    }

    /// Left out if there is none.
    fn text(&mut self, name: &str, text: Option<&str>) -> Result<(), WireError> {
        let Some(text) = text else { return Ok(()) };
        self.name(name)?;
        string(text, self.out)
    }

    fn number(&mut self, name: &str, number: i64) -> Result<(), WireError> {
        self.literal(name, &number.to_string())
    }

    fn literal(&mut self, name: &str, text: &str) -> Result<(), WireError> {
        self.name(name)?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), WireError> {
        self.name(name)?;
        base64(bytes, self.out);
        Ok(())
    }

    fn list<T>(
        &mut self,
        name: &str,
        all: &[T],
        write: impl Fn(&T, &mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.name(name)?;
        self.out.push(b'[');
        for (i, one) in all.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write(one, self.out)?;
        }
        self.out.push(b']');
        Ok(())
    }
}

#[cfg(test)]
mod tests;
