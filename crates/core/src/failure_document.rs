//! The document that tells a destination which records were given up (semantics, section 9).

use bytes::Bytes;
use millstream_types::durable::Discard;

/// The document for `discard`: metadata only, members in AWS's order, one line.
#[must_use]
pub fn failure_document(discard: &Discard) -> Bytes {
    let _ = discard;
    todo!()
}
