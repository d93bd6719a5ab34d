//! Tables of every operator and every row of the mismatch table, and properties against an oracle.

mod agree;
mod explained;
mod limits;
mod operators;
mod oracle;
mod rate;
mod sources;

use super::{DocumentFilter, Scratch, Shape};
use millstream_types::FilterCriteria;

pub(super) fn criteria(patterns: &[&str]) -> FilterCriteria {
    FilterCriteria {
        filters: patterns.iter().map(|p| (*p).to_owned()).collect(),
        ..FilterCriteria::default()
    }
}

pub(super) fn extended(patterns: &[&str]) -> FilterCriteria {
    FilterCriteria {
        extended: true,
        ..criteria(patterns)
    }
}

/// Whether a record of no particular source matches: whole records, as they stand.
pub(super) fn is_match(criteria: &FilterCriteria, record: &str) -> bool {
    let filter = DocumentFilter::new(criteria, Shape::DynamoDb)
        .unwrap_or_else(|e| panic!("{criteria:?}: {e:?}"))
        .unwrap();
    filter.matches(record, &mut Scratch::default()).unwrap().is_some()
}

/// The text is data of records in which it is called `d`: so nothing is special about it.
pub(super) fn holds(pattern: &str, data: &str) -> bool {
    is_match(
        &criteria(&[&format!(r#"{{"d":{pattern}}}"#)]),
        &format!(r#"{{"d":{data}}}"#),
    )
}

pub(super) fn refusal(pattern: &str, shape: Shape) -> Option<String> {
    let refused = super::check(&criteria(&[pattern]), shape).err()?;
    let [refused] = refused.as_slice() else {
        panic!("one pattern, one refusal: {refused:?}");
    };
    assert_eq!(refused.to_string(), "Invalid filter pattern definition.");
    Some(refused.allowed.clone())
}
