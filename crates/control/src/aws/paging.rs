//! Pages of a listing: how many, and where to go on.

use super::Result;
use super::error::AwsError;
use crate::page;
use std::str::FromStr;

/// How many items of a page that asks for `asked`, where at most `cap` are given.
pub(super) fn size(asked: Option<i64>, cap: usize) -> usize {
    asked
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(cap)
        .min(cap)
}

/// The name to go on behind.
pub(super) fn open<T: FromStr>(scope: &str, marker: Option<&str>) -> Result<Option<T>> {
    let Some(marker) = marker else { return Ok(None) };
    page::open_as(scope, marker)
        .map_err(|_| AwsError::not_valid("Marker", marker, "the NextMarker of the same listing"))
}

/// The marker of the page behind `name`.
pub(super) fn seal(scope: &str, name: &str) -> String {
    page::seal(scope, name.as_bytes())
}
