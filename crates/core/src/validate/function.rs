//! Settings of functions.

use super::Violations;
use millstream_types::FunctionSpec;

/// Checks a function's settings.
///
/// # Errors
/// All rules they break.
pub fn function(spec: &FunctionSpec) -> Result<(), Violations> {
    let _ = spec;
    todo!()
}
