//! Settings of mappings of streams.

use super::{Violation, Violations};
use millstream_types::{MappingSpec, StartingPosition, Wall};

/// Checks a new mapping.
///
/// # Errors
/// All rules it breaks.
pub fn mapping(spec: &MappingSpec, now: Wall) -> Result<(), Violations> {
    let _ = (spec, now);
    todo!()
}

/// Checks a change: the new settings, and that source and starting position stay (semantics 2.2).
///
/// # Errors
/// All rules it breaks.
pub fn update(old: &MappingSpec, new: &MappingSpec) -> Result<(), Violations> {
    let _ = (old, new);
    todo!()
}

/// Puts a starting position together from the API's two fields.
///
/// # Errors
/// With AWS's texts, if the position is missing or unknown, or does not go with the timestamp.
pub fn starting_position(position: Option<&str>, timestamp: Option<Wall>) -> Result<StartingPosition, Violation> {
    let _ = (position, timestamp);
    todo!()
}
