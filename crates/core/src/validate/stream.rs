//! Settings of streams of the built-in broker.

use super::{Violation, Violations};
use millstream_types::StreamSpec;

/// Checks a stream's settings.
///
/// # Errors
/// All rules they break.
pub fn stream(spec: &StreamSpec) -> Result<(), Violations> {
    let mut found = Violations::default();
    found.extend(Violation::outside("shard_count", spec.shards, &(1..=256), ""));
    found.extend(Violation::outside(
        "retention_hours",
        spec.retention_hours,
        &(1..=8_760),
        "hours",
    ));
    found.into_result()
}
