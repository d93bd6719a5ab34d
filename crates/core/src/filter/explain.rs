//! Why a record matches a pattern, or why it does not: field by field, for people.

use super::document;
use super::op::Scalar;
use super::program::{Alternative, Field, NodeId, Program};
use super::walk::{Data, Scratch, Walk, Witness};
use super::{NotARecord, Shape};
use std::collections::BTreeMap;

/// Most values of one field that are shown.
const MOST_VALUES: usize = 8;
/// Longest value that is shown, in characters.
const MOST_CHARS: usize = 128;

/// What every pattern makes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The first pattern that matches, from 0.
    pub matched: Option<usize>,
    /// Each pattern, in order.
    pub patterns: Vec<PatternReport>,
}

/// What one pattern makes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternReport {
    /// Whether it matches.
    pub matched: bool,
    /// How many alternatives its `$or`s leave; only the nearest one is told of.
    pub alternatives: usize,
    /// The fields of the alternative that matches, or that is nearest to it.
    pub fields: Vec<FieldReport>,
}

/// What became of one field of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldReport {
    /// Its names, joined by dots.
    pub path: String,
    /// What the pattern says of it.
    pub wanted: String,
    /// The first values that the record has there, as JSON.
    pub found: Vec<String>,
    /// Why it is not as wanted; none if it is.
    pub mismatch: Option<Mismatch>,
}

/// Why a field is not as wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The record has no such field, or no value there.
    Missing,
    /// It holds an object, and no value.
    Object,
    /// None of its values is one of those wanted.
    Other,
    /// There is a value, and there should be none.
    Present,
    /// It is as wanted in an element of an array in which another field of the pattern is not.
    OtherElement,
    /// The data is no JSON object or array, and the pattern asks for its members.
    DataIsText,
    /// The data is a JSON object or array, and the pattern asks for a text.
    DataIsJson,
    /// The data is not UTF-8.
    DataIsBinary,
}

impl Mismatch {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "there is no such field",
            Self::Object => "it is an object, not a value",
            Self::Other => "none of its values is wanted",
            Self::Present => "there is a value where there should be none",
            Self::OtherElement => "as wanted, but in another array element than the other fields",
            Self::DataIsText => "the data is not a JSON object or array",
            Self::DataIsJson => "the data is JSON, and a plain text is wanted",
            Self::DataIsBinary => "the data is not UTF-8",
        }
    }
}

pub(super) fn explain(program: &Program, shape: Shape, record: &str) -> Result<Explanation, NotARecord> {
    let mut scratch = Scratch::default();
    let mut seen = Seen {
        program,
        fields: BTreeMap::new(),
    };
    let mut walk = Walk::new(program, &mut scratch, &mut seen);
    document::tell(shape, record, &mut walk).map_err(|_| NotARecord)?;
    let (matched, data) = (walk.verdict(), walk.data);
    let right: Vec<Vec<bool>> = program
        .alternatives
        .iter()
        .map(|a| (a.run.from..a.run.to).map(|bit| walk.is_right(bit)).collect())
        .collect();
    let mut nearest: Vec<Option<PatternReport>> = vec![None; program.patterns];
    for (alternative, right) in program.alternatives.iter().zip(right) {
        let fields = alternative.fields.iter().zip(right);
        let fields: Vec<FieldReport> = fields
            .map(|(field, right)| seen.report(field, right, data_mismatch(alternative, field, shape, data)))
            .collect();
        let failed = |fields: &[FieldReport]| fields.iter().filter(|f| f.mismatch.is_some()).count();
        let best = &mut nearest[alternative.pattern];
        let alternatives = best.as_ref().map_or(0, |b| b.alternatives) + 1;
        match best {
            Some(best) if failed(&best.fields) <= failed(&fields) => best.alternatives = alternatives,
            _ => {
                *best = Some(PatternReport {
                    matched: failed(&fields) == 0,
                    alternatives,
                    fields,
                });
            }
        }
    }
    Ok(Explanation {
        matched,
        patterns: nearest.into_iter().flatten().collect(),
    })
}

/// Whether the data is not of the kind that the alternative asks for.
fn data_mismatch(alternative: &Alternative, field: &Field, shape: Shape, data: Data) -> Option<Mismatch> {
    let (top, is_member) = match field.path.split_once('.') {
        Some((top, _)) => (top, true),
        None => (&*field.path, false),
    };
    if top != shape.data_key() {
        return None;
    }
    match data {
        Data::Binary => Some(Mismatch::DataIsBinary),
        Data::Text if alternative.wants_json && is_member => Some(Mismatch::DataIsText),
        Data::Json if alternative.wants_text && !is_member => Some(Mismatch::DataIsJson),
        Data::Unread => Some(Mismatch::Missing),
        Data::Text | Data::Json | Data::Malformed => None,
    }
}

/// What was seen of one field.
#[derive(Default)]
struct Values {
    shown: Vec<String>,
    is_object: bool,
    /// Which of the field's tests held for one of its values.
    held: Vec<usize>,
}

struct Seen<'a> {
    program: &'a Program,
    fields: BTreeMap<NodeId, Values>,
}

impl Witness for Seen<'_> {
    fn value(&mut self, node: NodeId, value: &Scalar<'_>) {
        let values = self.fields.entry(node).or_default();
        if values.shown.len() < MOST_VALUES {
            values.shown.push(shown(value));
        }
        for (n, test) in self.program.nodes[node].tests.iter().enumerate() {
            if test.ops.iter().any(|op| op.matches(value)) {
                values.held.push(n);
            }
        }
    }

    fn object(&mut self, node: NodeId) {
        self.fields.entry(node).or_default().is_object = true;
    }

    fn forget(&mut self, node: NodeId) {
        self.fields.remove(&node);
    }
}

impl Seen<'_> {
    fn report(&self, field: &Field, right: bool, data: Option<Mismatch>) -> FieldReport {
        let values = self.fields.get(&field.node);
        let has_values = values.is_some_and(|v| !v.shown.is_empty());
        let mismatch = if data.is_some() {
            data
        } else if right {
            None
        } else if field.rule.absent {
            Some(Mismatch::Present)
        } else if values.is_some_and(|v| v.held.contains(&field.test)) {
            Some(Mismatch::OtherElement)
        } else if has_values {
            Some(Mismatch::Other)
        } else if values.is_some_and(|v| v.is_object) {
            Some(Mismatch::Object)
        } else {
            Some(Mismatch::Missing)
        };
        FieldReport {
            path: field.path.to_string(),
            wanted: field.rule.text.to_string(),
            found: values.map(|v| v.shown.clone()).unwrap_or_default(),
            mismatch,
        }
    }
}

fn shown(value: &Scalar<'_>) -> String {
    let cut = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let mut short: String = text.chars().take(MOST_CHARS).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        short
    };
    match value {
        Scalar::Text(text) => serde_json::Value::String(cut(text)).to_string(),
        Scalar::Number(text) => cut(text),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Null => "null".to_owned(),
    }
}
