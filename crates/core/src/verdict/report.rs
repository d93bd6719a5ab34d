//! Reads `{"batchItemFailures":[{"itemIdentifier":"…"}]}` in one pass, without building a tree: a response
//! may be six megabytes, of which only these members matter.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a function reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Nothing failed.
    NoFailure,
    /// What is reported, as indices into the batch: in the order of the report, at least one, perhaps some twice.
    Listed(Vec<usize>),
    /// Not a valid report; the type of error.
    Invalid(String),
}

impl Report {
    fn invalid(why: &str) -> Self {
        Self::Invalid(format!("BatchItemFailures.{why}"))
    }

    /// Both are reported; one that is invalid spoils all.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (invalid @ Self::Invalid(_), _) | (_, invalid @ Self::Invalid(_)) => invalid,
            (Self::Listed(mut a), Self::Listed(b)) => {
                a.extend(b);
                Self::Listed(a)
            }
            (Self::NoFailure, other) | (other, Self::NoFailure) => other,
        }
    }
}

/// Reads a response body; `find` tells the index of what an id names in the batch.
pub(super) fn read(body: &[u8], find: &dyn Fn(&str) -> Option<usize>) -> Report {
    if body.trim_ascii().is_empty() {
        return Report::NoFailure;
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let report = Reader {
        find,
        level: Level::Response,
    }
    .deserialize(&mut json);
    match report.and_then(|report| json.end().map(|()| report)) {
        Ok(report) => report,
        Err(_) => Report::invalid("InvalidJson"),
    }
}

/// Where in the report the reader is.
#[derive(Clone, Copy)]
enum Level {
    /// The whole response.
    Response,
    /// The value of `batchItemFailures`.
    List,
    /// One of its entries.
    Item,
    /// The value of `itemIdentifier`.
    Id,
}

/// Reads one level; takes any JSON value, as a function may return any.
#[derive(Clone, Copy)]
struct Reader<'a> {
    find: &'a dyn Fn(&str) -> Option<usize>,
    level: Level,
}

impl<'a> Reader<'a> {
    fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// A value that has no place at this level.
    fn misplaced(self) -> Report {
        Report::invalid(match self.level {
            Level::Response => "NotAnObject",
            Level::List => "NotAnArray",
            Level::Item => "InvalidEntry",
            Level::Id => "InvalidIdentifier",
        })
    }

    /// The report of the last member `name`, or `missing`.
    fn member<'de, A: MapAccess<'de>>(
        self,
        mut map: A,
        name: &str,
        missing: Report,
    ) -> Result<Report, A::Error> {
        let below = self.at(if matches!(self.level, Level::Response) {
            Level::List
        } else {
            Level::Id
        });
        let mut report = missing;
        while let Some(found) = map.next_key_seed(Named(name))? {
            if found {
                report = map.next_value_seed(below)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(report)
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Report;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Report, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Report;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Report, E> {
        Ok(match self.level {
            Level::Response | Level::List => Report::NoFailure,
            Level::Item | Level::Id => self.misplaced(),
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Report, E> {
        Ok(match self.level {
            Level::Response if text.is_empty() => Report::NoFailure,
            Level::Id if text.is_empty() => self.misplaced(),
            Level::Id => match (self.find)(text) {
                Some(index) => Report::Listed(vec![index]),
                None => Report::invalid(&format!("UnknownIdentifier: '{text}'")),
            },
            _ => self.misplaced(),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Report, A::Error> {
        let mut report = Report::NoFailure;
        while let Some(one) = match self.level {
            Level::List => list.next_element_seed(self.at(Level::Item))?,
            _ => list.next_element::<IgnoredAny>()?.map(|_| self.misplaced()),
        } {
            report = report.and(one);
        }
        // An empty array is no identifier and no entry either.
        Ok(if matches!(self.level, Level::Item | Level::Id) {
            self.misplaced()
        } else {
            report
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Report, A::Error> {
        match self.level {
            Level::Response => self.member(map, "batchItemFailures", Report::NoFailure),
            Level::Item => self.member(map, "itemIdentifier", self.misplaced()),
            Level::List | Level::Id => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(self.misplaced())
            }
        }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Report, E> {
        Ok(self.misplaced())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Report, E> {
        Ok(self.misplaced())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Report, E> {
        Ok(self.misplaced())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Report, E> {
        Ok(self.misplaced())
    }
}

/// Whether a member has this name.
struct Named<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
