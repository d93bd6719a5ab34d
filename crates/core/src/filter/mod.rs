//! Event filters: which records a mapping wants (`FilterCriteria`; semantics, section 13).
//!
//! The patterns of a mapping are compiled once, into one tree of all the names they ask for ([`program`]). A record is
//! then walked once along that tree: what nobody asks for is checked to be JSON and skipped, nothing is built, nothing is
//! allocated. What the patterns mean follows the engine behind AWS's filters where AWS says nothing:
//!
//! - An array of the event counts as each of its elements; what a pattern asks for below an array it must find within one
//!   element.
//! - `{"exists": false}` asks that there is no value: that the name is missing, or holds an object or an empty array.
//! - A name is a name: `{"a.b": …}` does not ask for `b` within `a`.
//! - Equality of numbers compares how they are written, also in `anything-but`; `numeric` compares doubles.
//! - Of members of the same name, of a pattern or an event, the last one counts.
//! - The data of a record is JSON if it is an object or an array; anything else is a plain text, so that a body `12` can
//!   be asked for as `["12"]`.
//! - Data nested deeper than 1,000 levels is taken for malformed.

mod address;
mod document;
mod explain;
mod fold;
mod json;
mod op;
mod pattern;
mod program;
mod record;
mod screen;
mod text;
mod walk;
mod wildcard;

#[cfg(test)]
mod tests;

pub use explain::{Explanation, FieldReport, Mismatch, PatternReport};
pub use record::{QueueIdentity, StreamIdentity};
pub use screen::{Screen, Screened};
pub use walk::Scratch;

use crate::event::role_arn;
use millstream_types::arn::SourceKind;
use millstream_types::{FilterCriteria, MappingSpec, Message, Record, ShardId};
use program::Program;
use record::{OfQueue, OfShard};
use std::fmt;
use walk::{Nobody, Walk};

/// How records of a kind of source look to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `data`, which must be asked for as JSON, and the other members of `kinesis` and of the record.
    Kinesis,
    /// `body`, as JSON or as a text, and the other members of a message.
    Sqs,
    /// The record as it stands; `dynamodb` must be asked for as JSON.
    DynamoDb,
}

impl Shape {
    /// The shape of records of a source.
    #[must_use]
    pub fn of(kind: SourceKind) -> Self {
        match kind {
            SourceKind::Kinesis => Self::Kinesis,
            SourceKind::DynamoDb => Self::DynamoDb,
            SourceKind::Sqs { .. } => Self::Sqs,
        }
    }

    /// Under which name the data stands.
    #[must_use]
    pub fn data_key(self) -> &'static str {
        match self {
            Self::Kinesis => "data",
            Self::Sqs => "body",
            Self::DynamoDb => "dynamodb",
        }
    }

    /// Whether a pattern can ask for the data only as JSON.
    fn data_is_json(self) -> bool {
        self != Self::Sqs
    }
}

/// A pattern that is none. Shown in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern {
    /// Which, from 0.
    pub index: usize,
    /// What is allowed, and what is there instead.
    pub allowed: String,
}

impl InvalidPattern {
    /// AWS's sentence (semantics 2.3).
    pub const MESSAGE: &str = "Invalid filter pattern definition.";
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MESSAGE)
    }
}

impl std::error::Error for InvalidPattern {}

/// The text is not one record, written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARecord;

impl fmt::Display for NotARecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a record: one JSON object, whose `kinesis.data` is base64 if it is a text")
    }
}

impl std::error::Error for NotARecord {}

/// Checks the patterns of a mapping.
///
/// # Errors
/// All of them that are none.
pub fn check(criteria: &FilterCriteria, shape: Shape) -> Result<(), Vec<InvalidPattern>> {
    let compiled = criteria.filters.iter().enumerate();
    let refused = compiled.filter_map(|(index, text)| {
        let refused = pattern::branches(text, shape, criteria.extended).err()?;
        Some(InvalidPattern {
            index,
            allowed: refused.0,
        })
    });
    let refused: Vec<_> = refused.collect();
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

/// None without filters.
fn compile(criteria: &FilterCriteria, shape: Shape) -> Result<Option<Program>, InvalidPattern> {
    let one = |(index, text): (usize, &String)| {
        pattern::branches(text, shape, criteria.extended).map_err(|refused| InvalidPattern {
            index,
            allowed: refused.0,
        })
    };
    let patterns: Result<Vec<_>, _> = criteria.filters.iter().enumerate().map(one).collect();
    let program = Program::new(&patterns?, shape.data_key());
    Ok((program.patterns > 0).then_some(program))
}

/// The filter of one shard.
#[derive(Clone, Debug)]
pub struct RecordFilter {
    program: Program,
    /// None if records are JSON documents as they stand.
    asked: Option<OfShard>,
}

impl RecordFilter {
    /// The filter of one shard of a mapping; none without filters.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn of(spec: &MappingSpec, shard: &ShardId) -> Result<Option<Self>, InvalidPattern> {
        let identity = StreamIdentity {
            source_arn: spec.source.as_str().into(),
            region: spec.source.region().into(),
            shard: shard.clone(),
            role_arn: role_arn(&spec.source, spec.function.role()).into(),
        };
        if spec.source.kind() == SourceKind::DynamoDb {
            let program = compile(&spec.filter_criteria, Shape::DynamoDb)?;
            return Ok(program.map(|program| Self { program, asked: None }));
        }
        Self::new(&spec.filter_criteria, identity)
    }

    /// Compiles, for records of Kinesis; none without filters.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn new(criteria: &FilterCriteria, identity: StreamIdentity) -> Result<Option<Self>, InvalidPattern> {
        let program = compile(criteria, Shape::Kinesis)?;
        Ok(program.map(|program| Self {
            asked: Some(OfShard::new(&program, identity)),
            program,
        }))
    }

    /// Which pattern the record matches, from 0: the first one that it does.
    #[must_use]
    pub fn matches(&self, record: &Record, scratch: &mut Scratch) -> Option<usize> {
        let mut nobody = Nobody;
        let mut walk = Walk::new(&self.program, scratch, &mut nobody);
        match &self.asked {
            Some(asked) => asked.tell(record, &mut walk),
            None => walk.record(&record.data),
        }
        walk.verdict()
    }
}

/// The filter of one queue.
#[derive(Clone, Debug)]
pub struct MessageFilter {
    program: Program,
    asked: OfQueue,
}

impl MessageFilter {
    /// The filter of a mapping of a queue; none without filters.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn of(spec: &MappingSpec) -> Result<Option<Self>, InvalidPattern> {
        let identity = QueueIdentity {
            queue_arn: spec.source.as_str().into(),
            region: spec.source.region().into(),
            has_window: spec.batching_window_seconds > 0,
        };
        Self::new(&spec.filter_criteria, identity)
    }

    /// Compiles; none without filters.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn new(criteria: &FilterCriteria, identity: QueueIdentity) -> Result<Option<Self>, InvalidPattern> {
        let program = compile(criteria, Shape::Sqs)?;
        Ok(program.map(|program| Self {
            asked: OfQueue::new(&program, identity),
            program,
        }))
    }

    /// Which pattern the message matches, from 0: the first one that it does.
    #[must_use]
    pub fn matches(&self, message: &Message, scratch: &mut Scratch) -> Option<usize> {
        let mut nobody = Nobody;
        let mut walk = Walk::new(&self.program, scratch, &mut nobody);
        self.asked.tell(message, &mut walk);
        walk.verdict()
    }
}

/// A filter for records that are written as JSON, as in an event's `Records`.
#[derive(Clone, Debug)]
pub struct DocumentFilter {
    program: Program,
    shape: Shape,
}

impl DocumentFilter {
    /// Compiles; none without filters.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn new(criteria: &FilterCriteria, shape: Shape) -> Result<Option<Self>, InvalidPattern> {
        Ok(compile(criteria, shape)?.map(|program| Self { program, shape }))
    }

    /// Which pattern the record matches, from 0: the first one that it does.
    ///
    /// # Errors
    /// If it is no record.
    pub fn matches(&self, record: &str, scratch: &mut Scratch) -> Result<Option<usize>, NotARecord> {
        let mut nobody = Nobody;
        let mut walk = Walk::new(&self.program, scratch, &mut nobody);
        document::tell(self.shape, record, &mut walk).map_err(|_| NotARecord)?;
        Ok(walk.verdict())
    }

    /// Why the record matches, or why not.
    ///
    /// # Errors
    /// If it is no record.
    pub fn explain(&self, record: &str) -> Result<Explanation, NotARecord> {
        explain::explain(&self.program, self.shape, record)
    }
}
