//! Records that come as JSON: one element of an event's `Records`, as a function would get it. For people who try a
//! filter, and for sources whose records are JSON from the start.

use super::Shape;
use super::program::NodeId;
use super::text::{Malformed, Scanner};
use super::walk::{Walk, Witness};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Tells of a whole record.
///
/// Of a Kinesis record the members of `kinesis` stand at the top beside the others, and `data` is what its base64 holds;
/// a body, or data, that is written as JSON itself is taken as it stands.
pub(super) fn tell<W: Witness>(shape: Shape, record: &str, walk: &mut Walk<'_, W>) -> Result<(), Malformed> {
    let members = members(record)?;
    for (name, value) in &members {
        match (shape, name.as_str()) {
            (Shape::Kinesis, "kinesis") => {
                for (name, value) in &self::members(value.get())? {
                    member(shape, name, value, walk)?;
                }
            }
            (_, name) => member(shape, name, value, walk)?,
        }
    }
    Ok(())
}

fn member<W: Witness>(
    shape: Shape,
    name: &str,
    value: &RawValue,
    walk: &mut Walk<'_, W>,
) -> Result<(), Malformed> {
    let Some((_, node)) = walk.program().find(0, name.as_bytes()) else {
        return Ok(());
    };
    if name == shape.data_key() {
        return data(shape, value.get(), node, walk);
    }
    walk.document(node, value.get().as_bytes())
}

fn data<W: Witness>(
    shape: Shape,
    value: &str,
    node: NodeId,
    walk: &mut Walk<'_, W>,
) -> Result<(), Malformed> {
    if !value.starts_with('"') {
        walk.payload(node, value.as_bytes());
        return Ok(());
    }
    let mut buffer = Vec::new();
    let mut scanner = Scanner::new(value.as_bytes());
    scanner.next()?;
    let text = scanner.string()?.decode(&mut buffer);
    match shape {
        Shape::Kinesis => {
            let bytes = base64_simd::STANDARD.decode_to_vec(text).map_err(|_| Malformed)?;
            walk.payload(node, &bytes);
        }
        Shape::Sqs | Shape::DynamoDb => walk.payload(node, text),
    }
    Ok(())
}

fn members(object: &str) -> Result<Members<'_>, Malformed> {
    serde_json::from_str(object).map_err(|_| Malformed)
}
