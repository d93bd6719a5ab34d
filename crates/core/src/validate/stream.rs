//! Settings of streams.

use super::Violations;
use millstream_types::StreamSpec;

/// Checks a stream's settings.
///
/// # Errors
/// All rules they break.
pub fn stream(spec: &StreamSpec) -> Result<(), Violations> {
    let _ = spec;
    todo!()
}
